//! The checker finds what it is there to find: a real ledger answers honestly, and then one thing is
//! changed.

use ledger::{
    Decision, Hash, HashKind, HashSource, Ledger, NoteSigner, Params, Tree, inclusion_path, leaf_data,
    record_leaf_hash, sign_checkpoint,
};
use model::{Balance, Incarnation, Kind as EntryKind, RecordRef, Seq, Timestamp};
use wallet::{IdempotencyKey, Intent, Problem, Render, Visible, money_answer};
use wire::{Checkpoint, EntryProof, InclusionProof, StoredEntry};

use super::*;
use crate::demo::{
    books::is_receipt,
    plan::{Kind, Wish, Write, wish},
    witness::{Witness, consistent},
};

const HASH: HashKind = HashKind::Sha256;
const NOW: Timestamp = Timestamp::from_millis(1_760_000_000_000);
const PAYERS: u16 = 3;
const STEPS: u64 = 25;
const LIFE: Incarnation = Incarnation(1);

/// A ledger in memory, the answers that it gave, and the log that it signs.
struct World {
    ledger: Ledger,
    signer: NoteSigner,
    leaves: Leaves,
    entries: Vec<StoredEntry>,
    held: Vec<Held>,
}

struct Leaves(Vec<Hash>);

impl HashSource for Leaves {
    fn node(&self, level: u8, index: u64) -> Option<Hash> {
        let Some(below) = level.checked_sub(1) else {
            return self.0.get(usize::try_from(index).ok()?).copied();
        };
        Some(HASH.node(&self.node(below, index * 2)?, &self.node(below, index * 2 + 1)?))
    }
}

impl World {
    /// What some payers do in their first steps.
    fn honest() -> Self {
        let params =
            Params { hash: HASH, secret: [7; 32], accounts_max: 64, keys_max: 1_024, streams_max: 1 };
        let signer = NoteSigner::new("demo.test/log", &[3; 32]).unwrap();
        let (entries, held) = (Vec::new(), Vec::new());
        let mut world =
            Self { ledger: Ledger::new(params), signer, leaves: Leaves(Vec::new()), entries, held };
        for payer in 0..PAYERS {
            let (mut nonce, mut balance) = (0, 0);
            for step in 0..STEPS {
                let Wish::Write(kind) = wish(payer, step) else { continue };
                let write = Write::new(kind, payer, step, nonce, balance);
                let by = write.moved().map_or(0, i128::from);
                balance += if kind == Kind::Issue { by } else { -by };
                nonce = write.nonce_after();
                world.answer(write);
            }
        }
        world
    }

    fn answer(&mut self, write: Write) {
        let parse = if write.kind == Kind::Issue { Intent::issue } else { Intent::transfer };
        let key = IdempotencyKey::new(&write.key()).unwrap();
        let request = parse(write.body().as_bytes()).unwrap().request("dev", &key);
        let Decision::Postings(postings) = self.ledger.decide(&request, NOW, self.ledger.last().next())
        else {
            panic!("a new request is decided");
        };
        for posting in postings.iter() {
            self.ledger.apply(&posting);
            let leaf = record_leaf_hash(HASH, &RecordRef::Posting(posting));
            self.leaves.0.push(leaf);
            let (debit, credit) = (Some(request.debit), Some(request.credit));
            self.entries.push(StoredEntry { posting, leaf, debit, credit });
        }
        let entry = self.entries.last().unwrap();
        let (status, body) = match money_answer(Render::CURRENT, entry, LIFE, Some(&key)) {
            Ok(receipt) => (200, receipt.to_json()),
            Err(problem) => (409, Problem::to_json(&problem, 409)),
        };
        let seq = write.judge(status, body.as_bytes()).unwrap();
        self.held.push(Held { write, seq, status, body: body.into_bytes().into() });
    }

    fn head(&self, size: usize) -> TreeHead {
        let mut tree = Tree::new(HASH);
        self.leaves.0.iter().take(size).for_each(|leaf| tree.push(*leaf));
        TreeHead { origin: self.signer.name().to_owned(), size: tree.size(), root: tree.root() }
    }

    fn document(&self, held: &Held) -> ProofDocument {
        let head = self.head(self.leaves.0.len());
        let index = held.seq - 1;
        let entry = self.entries[usize::try_from(index).unwrap()];
        let path = inclusion_path(HASH, &self.leaves, index, head.size).unwrap();
        let note = sign_checkpoint(&self.signer, &head);
        let TreeHead { size, root, .. } = head;
        let text = TlogProof { extra: None, index, path: path.clone(), checkpoint: note.clone() };
        let proof = EntryProof {
            entry,
            leaf_data: leaf_data(HASH, &entry.posting).as_bytes().to_vec(),
            proof: InclusionProof { seq: Seq(held.seq), leaf: entry.leaf, size, root, path },
            checkpoint: Checkpoint { size, root, note },
        };
        let receipt = money_answer(Render::CURRENT, &entry, LIFE, None).unwrap();
        let visible = Visible { debit: true, credit: true };
        ProofDocument::new(receipt, &proof, visible, text.to_string()).unwrap()
    }

    fn heads(&self) -> Heads {
        Heads::new(self.signer.verifier())
    }

    fn receipts(&self) -> impl Iterator<Item = &Held> {
        self.held.iter().filter(|held| is_receipt(held))
    }

    fn check(&self, held: &Held, document: &ProofDocument) -> Result<Proven, Violation> {
        receipt(held, document.to_json().as_bytes(), &mut self.heads())
    }

    fn changes(&self) -> Vec<Change> {
        let proven = self.receipts().map(|held| self.check(held, &self.document(held)).unwrap());
        proven.flat_map(|proven| proven.changes).collect()
    }

    fn told(&self) -> BTreeMap<String, Standing> {
        let books = Books::of(&self.held).unwrap();
        books.told().map(|(name, standing)| (name.clone(), *standing)).collect()
    }

    fn size(&self) -> u64 {
        self.head(self.leaves.0.len()).size
    }
}

fn assert_told(found: Result<impl std::fmt::Debug, Violation>, expected: &str) {
    let text = found.unwrap_err().to_string();
    assert!(text.contains(expected), "{text:?} does not contain {expected:?}");
}

#[test]
fn an_honest_ledger_passes() {
    let world = World::honest();
    let books = Books::of(&world.held).unwrap();
    assert!(books.refused > 0 && books.accepted > 0);
    accounts(&books, world.changes(), &world.told()).unwrap();
    assert_eq!(entries(&books, world.size(), 0), Ok(0));
    assert_eq!(entries(&books, world.size() + 3, 2), Ok(3));
}

#[test]
fn a_forged_receipt_is_found() {
    let world = World::honest();
    let good = world.held.iter().find(|held| held.write.kind == Kind::Transfer).unwrap();
    let text = String::from_utf8(good.body.to_vec()).unwrap();
    let amount = format!("\"{}\"", good.write.amount);
    for (from, to) in [
        (amount.as_str(), "\"99\""),
        ("shop-", "ship-"),
        ("\"receipt_hash\":\"", "\"receipt_hash\":\"00"),
        ("2025", "2024"),
    ] {
        let mut body = text.replacen(from, to, 1);
        assert_ne!(body, text, "{from}");
        if from.contains("hash") {
            // Still 64 digits.
            body.truncate(body.len() - 4);
            body.push_str("\"}");
        }
        let forged = Held { body: body.into_bytes().into(), ..good.clone() };
        assert_told(world.check(&forged, &world.document(good)), "the receipt in the proof");
    }
    let other = world.receipts().last().unwrap();
    assert_told(world.check(good, &world.document(other)), "the receipt in the proof");
    let renumbered = Held { seq: good.seq + 1, ..good.clone() };
    assert_told(world.check(&renumbered, &world.document(good)), "seq of");
}

#[test]
fn a_forged_proof_is_found() {
    let world = World::honest();
    let held = world.receipts().last().unwrap();
    let forger = NoteSigner::new("demo.test/log", &[4; 32]).unwrap();
    type Change<'a> = &'a dyn Fn(&mut ProofDocument);
    let cases: [(Change<'_>, &str); 8] = [
        (&|proof| proof.sides[0].balance = Balance::new(1).unwrap(), "the opened side is not the one"),
        (&|proof| proof.sides[1].account_seq += 1, "the opened side is not the one"),
        (&|proof| proof.leaf_data[16] ^= 1, "the path leads to another root"),
        (&|proof| proof.path[0][0] ^= 1, "the path leads to another root"),
        (&|proof| proof.checkpoint = sign_checkpoint(&forger, &world.head(9)), "no signature of this key"),
        (&|proof| proof.checkpoint = sign_checkpoint(&world.signer, &world.head(9)), "outside the tree"),
        (&|proof| proof.tlog_proof = proof.tlog_proof.replace("index ", "index 1"), "the tlog-proof"),
        (&|proof| proof.sides.truncate(1), "the opened sides"),
    ];
    for (change, expected) in cases {
        let mut proof = world.document(held);
        change(&mut proof);
        assert_told(world.check(held, &proof), expected);
    }
    assert_told(receipt(held, b"{}", &mut world.heads()), "a proof document");
}

#[test]
fn a_wrong_balance_is_found() {
    let world = World::honest();
    let books = Books::of(&world.held).unwrap();
    for name in ["payer-0", "shop-3"] {
        let mut told = world.told();
        told.get_mut(name).unwrap().balance += 1;
        assert_told(accounts(&books, world.changes(), &told), &format!("the balance of {name}"));
        told.remove(name);
        assert_told(accounts(&books, world.changes(), &told), &format!("the balance of {name}"));
        let mut wrong = books.clone();
        wrong.accounts.get_mut(name).unwrap().balance -= 1;
        assert_told(accounts(&wrong, world.changes(), &world.told()), &format!("{name} at the end"));
    }
    let mut changes = world.changes();
    changes[4].balance += 1;
    assert_told(accounts(&books, changes, &world.told()), "by its proven leaves");
}

#[test]
fn a_missing_or_foreign_entry_is_found() {
    let world = World::honest();
    let books = Books::of(&world.held).unwrap();
    let honest = world.changes();
    for missing in 0..honest.len() {
        let mut changes = honest.clone();
        changes.remove(missing);
        assert_told(accounts(&books, changes, &world.told()), "by its proven leaves");
    }
    let mut changes = honest;
    changes.push(Change { account: AccountId::of_name("thief"), account_seq: 1, balance: 1, by: 1 });
    assert_told(accounts(&books, changes, &world.told()), "accounts in proven leaves");
    assert_told(entries(&books, world.size() - 1, 0), "entries in the last checkpoint");
    assert_told(entries(&books, world.size() + 1, 0), "entries in the last checkpoint");
    assert_told(entries(&books, world.size() + 1, 2), "entries in the last checkpoint");
    let mut held = world.held.clone();
    held[1].seq = held[2].seq;
    assert_told(Books::of(&held), "twice");
}

#[test]
fn a_rewritten_history_is_found() {
    let world = World::honest();
    let (old, last) = (world.head(9), world.head(world.leaves.0.len()));
    let path = ledger::consistency_path(HASH, &world.leaves, old.size, last.size).unwrap();
    consistent(HASH, &old, &last, &path).unwrap();
    let other = TreeHead { root: [9; 32], ..old.clone() };
    assert_told(consistent(HASH, &other, &last, &path), "a prefix of the last");
    let mut witness = Witness::default();
    witness.add(old).unwrap();
    assert_told(witness.add(other), "the root of the tree of 9");
}

#[test]
fn refusals_are_entries_and_no_receipts() {
    let world = World::honest();
    let refused = world.entries.iter().filter(|entry| entry.posting.head.kind == EntryKind::Refused);
    let count = world.held.len() - world.receipts().count();
    assert_eq!(refused.count(), count);
}
