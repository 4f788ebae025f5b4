//! What the ledger reads back: records on replay, its checkpoint, leaves, notes, proofs.

use ledger::{
    Decision, HashKind, LeafFields, Ledger, NoteSigner, NoteVerifier, Params, Receipt, SignedNote, Tile,
    TlogProof, Tree, TreeHead, Which, leaf_data, open_checkpoint, record_leaf_hash, sign_checkpoint,
    verify_receipt,
};
use model::{
    AccountName, Amount, Asset, BatchView, BatchWriter, IdemKey, Kind, Posting, Preconditions, RecordRef,
    Request, Text, Timestamp,
};

use super::harness::Target;

const HASH: HashKind = HashKind::Sha256;

fn params() -> Params {
    Params { hash: HASH, secret: [9; 32], accounts_max: 16, keys_max: 64, streams_max: 2 }
}

/// A ledger of a few entries, its tree, and the records that led there.
fn played() -> (Ledger, Tree, Vec<Posting>) {
    let (mut ledger, mut tree, mut postings) = (Ledger::new(params()), Tree::new(HASH), Vec::new());
    let moves = [
        (Kind::Mint, "@issuance", "ada", 1000),
        (Kind::Transfer, "ada", "bob/till", 250),
        (Kind::Transfer, "ada", "bob/till", 5000),
        (Kind::Burn, "bob/till", "@issuance", 50),
        (Kind::Credit, "@external", "cy", 7),
        (Kind::Debit, "cy", "@external", 7),
    ];
    let at = Timestamp::from_millis(1_760_631_062_000);
    for (number, (kind, debit, credit, amount)) in moves.into_iter().enumerate() {
        let request = Request {
            kind,
            debit: AccountName::parse(debit).unwrap(),
            credit: AccountName::parse(credit).unwrap(),
            asset: Asset::parse("ron").unwrap(),
            amount: Amount::new(amount).unwrap(),
            key: IdemKey::new("fuzz", &number.to_string(), 0),
            preconditions: Preconditions::default(),
            reference: Text::new("order-17").unwrap(),
            idx: 0,
        };
        let Decision::Postings(decided) = ledger.decide(&request, at, ledger.last().next()) else {
            panic!("{request:?} is decided");
        };
        for posting in decided.iter() {
            ledger.apply(&posting);
            tree.push(record_leaf_hash(HASH, &RecordRef::Posting(posting)));
            postings.push(posting);
        }
    }
    (ledger, tree, postings)
}

/// Replays until a record is refused; the state that it leaves must hold.
fn replay(bytes: &[u8], ledger: &mut Ledger) -> Result<(), String> {
    let batch = BatchView::parse(bytes).map_err(|error| format!("{error:?}"))?;
    for record in batch.iter() {
        let record = record.map_err(|error| format!("{error:?}"))?;
        ledger.apply_record(&record).map_err(|error| format!("{error:?}"))?;
    }
    Ok(())
}

#[test]
fn replay_of_records() {
    let (_, _, postings) = played();
    let mut writer = BatchWriter::with_capacity(64 << 10);
    postings.iter().for_each(|posting| writer.push_posting(posting));
    let mut bytes = vec![0; writer.payload_len()];
    writer.finish(&mut bytes);
    let target = Target {
        name: "replay",
        times: 10,
        seeds: vec![bytes],
        repair: None,
        fixed: 256 << 10,
        factor: 8,
        refusals: &["\"Length\"", "\"OutOfOrder", "\"Impossible"],
    };
    target.run(
        |bytes| {
            let mut ledger = Ledger::new(params());
            let replayed = replay(bytes, &mut ledger);
            ledger.check();
            replayed
        },
        |bytes| {
            // What was replayed can be kept as a checkpoint and read back.
            let (mut ledger, mut tree) = (Ledger::new(params()), Tree::new(HASH));
            replay(bytes, &mut ledger).unwrap();
            for record in BatchView::parse(bytes).unwrap().iter() {
                tree.push(record_leaf_hash(HASH, &record.unwrap()));
            }
            let mut kept = Vec::new();
            ledger.encode_checkpoint(&tree, &mut kept);
            Ledger::decode_checkpoint(&kept, params()).unwrap();
        },
    );
}

#[test]
fn checkpoints_of_the_state() {
    let (ledger, tree, _) = played();
    let mut seeds = vec![Vec::new(), Vec::new()];
    ledger.encode_checkpoint(&tree, &mut seeds[0]);
    Ledger::new(params()).encode_checkpoint(&Tree::new(HASH), &mut seeds[1]);
    let repair = |bytes: &mut [u8]| {
        if let Some((content, digest)) = bytes.split_last_chunk_mut::<32>() {
            *digest = *blake3::hash(content).as_bytes();
        }
    };
    let target = Target {
        name: "ledger_checkpoint",
        times: 1,
        seeds,
        repair: Some(&repair),
        fixed: 256 << 10,
        factor: 16,
        refusals: &[
            "CheckpointDamaged",
            "CheckpointVersion",
            "CheckpointHash",
            "CheckpointTooLarge",
            "CheckpointField",
        ],
    };
    target.run(
        |bytes| Ledger::decode_checkpoint(bytes, params()).map(drop),
        |bytes| {
            let (ledger, tree) = Ledger::decode_checkpoint(bytes, params()).unwrap();
            ledger.check();
            let mut again = Vec::new();
            ledger.encode_checkpoint(&tree, &mut again);
            assert_eq!(again, bytes);
        },
    );
}

#[test]
fn leaves() {
    let (_, _, postings) = played();
    let target = Target {
        name: "leaf",
        times: 1,
        seeds: postings.iter().map(|posting| leaf_data(HASH, posting).as_bytes().to_vec()).collect(),
        repair: None,
        fixed: 0,
        factor: 0,
        refusals: &[")"],
    };
    target.run(
        |bytes| LeafFields::parse(bytes).map(drop).ok_or(()),
        |bytes| {
            let fields = LeafFields::parse(bytes).unwrap();
            assert_eq!(fields.head.reason.is_some(), fields.head.kind == Kind::Refused);
        },
    );
}

fn signer() -> NoteSigner {
    NoteSigner::new("localhost/fuzz", &[3; 32]).unwrap()
}

/// A receipt of the first payment: its leaf, its side, its path and its note.
fn receipt() -> (Vec<u8>, ledger::OpenedSide, Vec<[u8; 32]>, String) {
    let (_, tree, postings) = played();
    let last = postings.last().unwrap();
    let root = tree.root();
    let head = TreeHead { origin: "localhost/fuzz".into(), size: tree.size(), root };
    // The siblings of the last leaf are the peaks of the tree without it, from the leaf up.
    let mut before = Tree::new(HASH);
    for posting in &postings[..postings.len() - 1] {
        before.push(record_leaf_hash(HASH, &RecordRef::Posting(*posting)));
    }
    let mut path = before.frontier();
    if path.first() > path.last() || path.len() > 1 {
        path.reverse();
    }
    let leaf = leaf_data(HASH, last).as_bytes().to_vec();
    let opened = ledger::OpenedSide::of(last, Which::Debit);
    let note = sign_checkpoint(&signer(), &head);
    let whole = Receipt { leaf_data: &leaf, opened, path: &path, checkpoint: &note };
    if verify_receipt(&whole, &signer().verifier()).is_err() {
        path.reverse();
    }
    (leaf, opened, path, note)
}

#[test]
fn signed_notes() {
    let (.., note) = receipt();
    let twice = format!("{note}— other/key AAAAAFhYWA==\n");
    let target = Target {
        name: "checkpoint_note",
        times: 10,
        seeds: vec![note.clone().into_bytes(), twice.into_bytes()],
        repair: None,
        fixed: 1 << 10,
        factor: 64,
        refusals: &["\"Format", "\"NotSigned\"", "\"Signature\""],
    };
    let verifier = signer().verifier();
    let seen = target.run(
        |bytes| {
            let note = str::from_utf8(bytes).map_err(|_| "NotUtf8".to_owned())?;
            open_checkpoint(note, &verifier).map(drop).map_err(|error| format!("{error:?}"))
        },
        |bytes| {
            let head = open_checkpoint(str::from_utf8(bytes).unwrap(), &verifier).unwrap();
            let signed = open_checkpoint(&note, &verifier).unwrap();
            assert_eq!(head, signed, "what verifies says what was signed");
        },
    );
    assert!(seen.refused.len() > 3, "{seen:?}");
    let parse = Target { name: "signed_note", refusals: &["Format"], ..target };
    parse.run(
        |bytes| SignedNote::parse(&String::from_utf8_lossy(bytes)).map(drop),
        |bytes| {
            let text = String::from_utf8_lossy(bytes);
            assert!(SignedNote::parse(&text).unwrap().text.ends_with('\n'));
        },
    );
}

#[test]
fn verifier_keys() {
    let target = Target {
        name: "verifier_key",
        times: 10,
        seeds: vec![signer().verifier().to_string().into_bytes()],
        repair: None,
        fixed: 1 << 10,
        factor: 16,
        refusals: &["Name", "Key"],
    };
    let parse = |bytes: &[u8]| NoteVerifier::parse(&String::from_utf8_lossy(bytes));
    let again = |bytes: &[u8]| {
        let text = parse(bytes).unwrap().to_string();
        assert_eq!(text.as_bytes(), bytes);
    };
    target.run(|bytes| parse(bytes).map(drop), again);
}

#[test]
fn proofs() {
    let (leaf, opened, path, note) = receipt();
    let verifier = signer().verifier();
    let whole = Receipt { leaf_data: &leaf, opened, path: &path, checkpoint: &note };
    verify_receipt(&whole, &verifier).unwrap();
    let (_, _, postings) = played();
    let index = postings.len() as u64 - 1;
    let proof = TlogProof { extra: Some(leaf.clone()), index, path: path.clone(), checkpoint: note.clone() };
    let leaf_hash = HASH.leaf(&leaf);
    let target = Target {
        name: "tlog_proof",
        times: 1,
        seeds: vec![proof.to_string().into_bytes()],
        repair: None,
        fixed: 4 << 10,
        factor: 64,
        refusals: &["Format"],
    };
    target.run(
        |bytes| TlogProof::parse(&String::from_utf8_lossy(bytes)).map(drop),
        |bytes| {
            let read = TlogProof::parse(&String::from_utf8_lossy(bytes)).unwrap();
            assert_eq!(TlogProof::parse(&read.to_string()).unwrap(), read);
            // Whatever was changed: only the one true proof verifies.
            let held = read.verify(HASH, &leaf_hash, &verifier).is_ok();
            assert!(!held || (read.index, &read.path) == (index, &path), "{read:?}");
        },
    );
    // The same of a receipt whose leaf is damaged.
    let damaged = Target {
        name: "receipt",
        times: 10,
        seeds: vec![leaf.clone()],
        repair: None,
        fixed: 16 << 10,
        factor: 16,
        refusals: &["Leaf", "Commitment", "Proof"],
    };
    damaged.run(
        |bytes| {
            let receipt = Receipt { leaf_data: bytes, opened, path: &path, checkpoint: &note };
            verify_receipt(&receipt, &verifier).map(drop)
        },
        |bytes| assert_eq!(bytes, leaf, "only the signed leaf verifies"),
    );
}

#[test]
fn tile_paths() {
    let paths = [(0, 0, 256), (1, 1_234_067, 256), (2, 5, 7)];
    let path = |(level, index, width)| Tile { level, index }.path(width).into_bytes();
    let target = Target {
        name: "tile_path",
        times: 1,
        seeds: paths.map(path).into(),
        repair: None,
        fixed: 1 << 10,
        factor: 16,
        refusals: &[")"],
    };
    target.run(
        |bytes| Tile::parse(&String::from_utf8_lossy(bytes)).map(drop).ok_or(()),
        |bytes| {
            let (tile, width) = Tile::parse(&String::from_utf8_lossy(bytes)).unwrap();
            assert_eq!(tile.path(width).as_bytes(), bytes);
        },
    );
}
