//! Files of format 0, byte for byte: what this build makes of fixed inputs is what lies in
//! `tests/golden/format-0`, and it reads what lies there.
//!
//! `cargo test -p tests --test all golden::write -- --ignored` writes them anew, while the format is
//! 0; with format 1 they are frozen (`docs/format.md`).
#![expect(clippy::unwrap_used, reason = "the inputs are fixed and valid")]

mod make;

use std::{fs, path::PathBuf};

use engine::{FrameIndex, TileFiles};
use journal::{
    CHECKPOINT_HEADER_BYTES, Checkpoint, FrameNumber, Membership, Position, SegmentNumber, Slot, Superblock,
    open,
};
use ledger::{Ledger, NoteVerifier, TlogProof, open_checkpoint};
use model::{BatchView, Kind, RecordRef, Seq};

use make::{HASH, LEDGER, Made, geometry, key, params};

fn place(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/format-0").join(name)
}

fn read(name: &str) -> Vec<u8> {
    fs::read(place(name)).unwrap_or_else(|error| panic!("tests/golden/format-0/{name}: {error}"))
}

#[test]
fn what_is_made_now_is_what_was_kept() {
    let files = make::files();
    for (name, bytes) in &files {
        let kept = read(name);
        let differs = kept.iter().zip(bytes).position(|(kept, made)| kept != made);
        let lens = (kept.len(), bytes.len());
        assert!(
            kept == *bytes,
            "tests/golden/format-0/{name}: differs at {differs:?}, bytes kept and made: {lens:?}"
        );
    }
    let bytes: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    println!("proof: golden: {} files of format 0, {bytes} bytes", files.len());
    let kept = fs::read_dir(place("")).unwrap().count();
    assert_eq!(kept, files.len(), "nothing else lies beside them");
}

#[test]
fn what_was_kept_is_read() {
    let superblock = Superblock::decode(&read("superblock")).unwrap();
    assert_eq!((superblock.ledger, superblock.geometry), (LEDGER, geometry()));
    let slot = Slot::decode(&read("slot"), &key(), LEDGER).unwrap();
    assert_eq!((slot.frame, slot.clean), (FrameNumber(2), true));
    assert_eq!(Membership::decode(&read("membership"), &key(), LEDGER).unwrap().generation, 1);

    let bytes = read("checkpoint");
    let (checkpoint, payload) = Checkpoint::decode(&bytes, &key(), LEDGER).unwrap();
    let (ledger, tree) = Ledger::decode_checkpoint(payload, params()).unwrap();
    assert_eq!((checkpoint.tree_size, checkpoint.root), (tree.size(), tree.root()));
    assert_eq!(bytes.len(), CHECKPOINT_HEADER_BYTES + payload.len());
    ledger.check();
}

#[test]
fn the_segment_that_was_kept_holds_an_entry_of_every_kind_that_is_decided() {
    let segment = read("segment");
    let (mut at, mut replayed, mut kinds) = (0, Ledger::new(params()), Vec::new());
    while at < segment.len() {
        let frame = open(&segment[at..], &key(), geometry()).unwrap();
        assert_eq!(frame.header.position, Position { segment: SegmentNumber(0), offset: at as u64 });
        at += frame.frame_bytes;
        if frame.header.count == 0 {
            continue;
        }
        for record in BatchView::parse(frame.payload).unwrap().iter() {
            let record = record.unwrap();
            kinds.push(match &record {
                RecordRef::Posting(posting) => posting.head.kind,
                RecordRef::Slice(slice, _) => slice.head.kind,
                RecordRef::Beginning(beginning) => beginning.head.kind,
            });
            replayed.apply_record(&record).unwrap();
        }
    }
    for kind in [
        Kind::Transfer,
        Kind::Mint,
        Kind::Burn,
        Kind::Credit,
        Kind::Debit,
        Kind::Open,
        Kind::Usage,
        Kind::Refused,
    ] {
        assert!(kinds.contains(&kind), "{kind:?} is in {kinds:?}");
    }
}

#[test]
fn the_note_and_the_proof_that_were_kept_hold() {
    let verifier = NoteVerifier::parse(str::from_utf8(&read("log-key")).unwrap().trim_end()).unwrap();
    let note = String::from_utf8(read("note")).unwrap();
    let head = open_checkpoint(&note, &verifier).unwrap();
    let proof = TlogProof::parse(str::from_utf8(&read("receipt.tlog-proof")).unwrap()).unwrap();
    let leaf = HASH.leaf(proof.extra.as_deref().unwrap());
    proof.verify(HASH, &leaf, &verifier).unwrap();
    assert_eq!(head.size, Made::new().tree.size());
}

#[test]
fn the_derived_files_that_were_kept_are_read() {
    let made = Made::new();
    let index = FrameIndex::open(&copied("frames").1, HASH, LEDGER).unwrap();
    assert_eq!(index.last_seq(), Seq(made.tree.size()));
    let (home, _) = copied("level-0");
    let tiles = TileFiles::open(home.path(), HASH).unwrap();
    assert_eq!(tiles.root(tiles.size()), Some(made.tree.root()));
}

/// A copy in a directory of its own: whoever opens derived files may cut them.
fn copied(name: &str) -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let copy = home.path().join(name);
    fs::write(&copy, read(name)).unwrap();
    (home, copy)
}

#[test]
#[ignore = "writes the files that the others compare with"]
fn write() {
    fs::create_dir_all(place("")).unwrap();
    for (name, bytes) in make::files() {
        fs::write(place(name), bytes).unwrap();
    }
}
