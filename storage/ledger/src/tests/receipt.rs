//! A receipt proves its holder's side, and no changed receipt proves anything.

use alloc::{string::String, vec::Vec};

use model::{Balance, Kind, Seq};

use super::{
    merkle::Nodes,
    world::{Stored, World, account, transfer},
};
use crate::{
    Hash, HashKind, LeafFields, NoteError, NoteSigner, NoteVerifier, OpenedSide, Params, ProofError, Receipt,
    ReceiptError, TreeHead, Which, inclusion_path, leaf_data, sign_checkpoint, verify_receipt,
    verify_receipt_under,
};

struct Held {
    leaf_data: Vec<u8>,
    opened: OpenedSide,
    path: Vec<Hash>,
    checkpoint: String,
    log: NoteVerifier,
}

impl Held {
    fn receipt(&self) -> Receipt<'_> {
        Receipt {
            leaf_data: &self.leaf_data,
            opened: self.opened,
            path: &self.path,
            checkpoint: &self.checkpoint,
        }
    }
}

/// The receipt of the transfer at `Seq(6)`, in a tree of more entries.
fn held(hash: HashKind, which: Which) -> Held {
    let mut world = World::new(Params { hash, ..super::world::params() });
    for (who, amount) in [("a", 1000), ("b", 500)] {
        world.accept(&super::world::request(Kind::Mint, who, amount, who));
    }
    world.accept(&transfer("a", "b", 250, "pay"));
    for key in ["1", "2", "3"] {
        world.accept(&transfer("b", "a", 1, key));
    }
    let Stored::Posting(posting) = &world.journal[5] else { panic!("not a slice") };
    let (nodes, _) = Nodes::grow(hash, &world.leaves);
    let signer = NoteSigner::new("ledger.test/ron", &[3; 32]).unwrap();
    let head = TreeHead { origin: signer.name().into(), size: world.tree.size(), root: world.tree.root() };
    Held {
        leaf_data: leaf_data(hash, posting).as_bytes().to_vec(),
        opened: OpenedSide::of(posting, which),
        path: inclusion_path(hash, &nodes, 5, world.tree.size()).unwrap(),
        checkpoint: sign_checkpoint(&signer, &head),
        log: signer.verifier(),
    }
}

#[test]
fn a_receipt_proves_its_side_to_whoever_has_the_key() {
    for hash in [HashKind::Sha256, HashKind::Blake3] {
        for (which, who, balance) in [(Which::Debit, "a", 750), (Which::Credit, "b", 750)] {
            let held = held(hash, which);
            let verified = verify_receipt(&held.receipt(), &held.log).unwrap();
            assert_eq!((verified.seq, verified.kind, verified.hash), (Seq(6), Kind::Transfer, hash));
            assert_eq!((verified.amount.units(), verified.head.size), (250, 9));
            assert_eq!(verified.side.account, account(who).id());
            assert_eq!((verified.side.balance.units(), verified.side.account_seq), (balance, 2));
        }
    }
}

#[test]
fn many_receipts_need_one_look_at_their_checkpoint() {
    let held = held(HashKind::Sha256, Which::Debit);
    let head = crate::open_checkpoint(&held.checkpoint, &held.log).unwrap();
    let receipt = Receipt { checkpoint: "", ..held.receipt() };
    assert_eq!(verify_receipt_under(&receipt, head.clone()), verify_receipt(&held.receipt(), &held.log));
    let other = TreeHead { root: [0; 32], ..head };
    let mismatch = Err(ReceiptError::Proof(ProofError::RootMismatch));
    assert_eq!(verify_receipt_under(&receipt, other), mismatch);
}

#[test]
fn no_changed_side_is_the_one_committed_to() {
    let changes: [fn(&mut OpenedSide); 7] = [
        |side| side.which = Which::Credit,
        |side| side.account = account("b").id(),
        |side| side.asset = super::world::asset("usd"),
        |side| side.account_seq += 1,
        |side| side.balance = Balance::new(751).unwrap(),
        |side| side.held = 1,
        |side| side.blind[15] ^= 1,
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut held = held(HashKind::Sha256, Which::Debit);
        change(&mut held.opened);
        let found = verify_receipt(&held.receipt(), &held.log);
        assert_eq!(found, Err(ReceiptError::Commitment), "change {at}");
    }
}

#[test]
fn no_changed_leaf_path_or_checkpoint_proves() {
    let good = held(HashKind::Sha256, Which::Debit);
    for at in 0..good.leaf_data.len() {
        for bit in 0..8 {
            let mut changed = held(HashKind::Sha256, Which::Debit);
            changed.leaf_data[at] ^= 1 << bit;
            assert!(verify_receipt(&changed.receipt(), &good.log).is_err(), "byte {at} bit {bit}");
        }
    }
    for len in 0..good.leaf_data.len() {
        let cut = Receipt { leaf_data: &good.leaf_data[..len], ..good.receipt() };
        assert_eq!(verify_receipt(&cut, &good.log), Err(ReceiptError::Leaf), "{len}");
        assert_eq!(LeafFields::parse(&good.leaf_data[..len]), None);
    }
    let short = Receipt { path: &good.path[1..], ..good.receipt() };
    assert!(matches!(verify_receipt(&short, &good.log), Err(ReceiptError::Proof(_))));
    let mut path = good.path.clone();
    path[0][0] ^= 1;
    let turned = Receipt { path: &path, ..good.receipt() };
    let mismatch = Err(ReceiptError::Proof(ProofError::RootMismatch));
    assert_eq!(verify_receipt(&turned, &good.log), mismatch);
    let other = NoteSigner::new("ledger.test/ron", &[4; 32]).unwrap().verifier();
    assert_eq!(verify_receipt(&good.receipt(), &other), Err(ReceiptError::Note(NoteError::NotSigned)));
    let swapped = good.checkpoint.replace("\n9\n", "\n8\n");
    let swapped = Receipt { checkpoint: &swapped, ..good.receipt() };
    assert_eq!(verify_receipt(&swapped, &good.log), Err(ReceiptError::Note(NoteError::Signature)));
}
