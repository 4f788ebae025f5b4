//! What is derived from the journal and read back: the frame index, tiles. And the record of who
//! counts in a mirror.
//!
//! Check words are made right again from ADR 0006, hashes from `docs/format-journal.md`.

use std::{fs, path::Path};

use engine::{FrameIndex, FrameRow, IndexError, TileFiles};
use journal::{Active, FrameKey, IMAGE_BYTES, Member, Membership};
use ledger::HashKind;
use model::{Incarnation, LedgerId, Seq, Timestamp};
use sha2::{Digest, Sha256};

use super::harness::Target;

const LEDGER: LedgerId = LedgerId([1; 16]);
const SECRET: [u8; 32] = [5; 32];
/// A row is so many bytes and a check word of eight.
const BODY_BYTES: usize = 64;

fn rows() -> Vec<FrameRow> {
    let row = |first_seq: u64, count: u32| FrameRow {
        first_seq: Seq(first_seq),
        count,
        segment: 3,
        offset: first_seq * 4096,
        at: Timestamp(first_seq),
        root: [7; 32],
        has_slices: count == 5,
    };
    vec![row(1, 1), row(2, 5), row(7, 3), row(10, 1), row(11, 40)]
}

fn open(path: &Path) -> Result<FrameIndex, disk::DiskError> {
    FrameIndex::open(path, HashKind::Sha256, LEDGER)
}

/// Asks for everything that an index is asked for.
fn ask(path: &Path, bytes: &[u8]) -> Result<(), IndexError> {
    fs::write(path, bytes).unwrap();
    let index = open(path)?;
    let last = index.last_seq();
    for seq in [1, 2, 6, 7, 9, 10, 11, 50, last.0, last.0.saturating_add(1), u64::MAX] {
        let found = index.find(Seq(seq))?;
        assert!(found.is_none_or(|(_, row)| (row.first_seq.0..=row.last_seq().0).contains(&seq)));
        assert!(index.root_at(seq)?.is_none() || found.is_some());
        assert!(index.first_at(Timestamp(seq))? <= bytes.len() as u64);
    }
    assert!(index.roots(Seq(3), 100)?.len() <= 100);
    Ok(())
}

#[test]
fn frame_index() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("frames");
    let mut index = open(&path).unwrap();
    rows().into_iter().for_each(|row| index.push(row));
    index.flush().unwrap();
    let seed = fs::read(&path).unwrap();
    let repair = |bytes: &mut [u8]| {
        for row in bytes.chunks_exact_mut(BODY_BYTES + 8) {
            let (body, check) = row.split_at_mut(BODY_BYTES);
            let hash = Sha256::new().chain_update([0]).chain_update(LEDGER.0).chain_update(body);
            check.copy_from_slice(&hash.finalize()[..8]);
        }
    };
    let target = Target {
        name: "frame_index",
        times: 1,
        seeds: vec![seed],
        repair: Some(&repair),
        fixed: 16 << 10,
        factor: 1,
        refusals: &["Damaged"],
    };
    target.run(|bytes| ask(&path, bytes), |_| {});
}

#[test]
fn tile_files() {
    let home = tempfile::tempdir().unwrap();
    let mut tiles = TileFiles::open(home.path(), HashKind::Sha256).unwrap();
    (0..200).for_each(|leaf| tiles.push(0, [leaf; 32]));
    tiles.flush().unwrap();
    let path = home.path().join("level-0");
    let seed = fs::read(&path).unwrap();
    assert_eq!(seed.len(), 200 * 32);
    let root = tiles.root(200);
    let target = Target {
        name: "tile_files",
        times: 1,
        seeds: vec![seed.clone(), seed[..100 * 32].to_vec()],
        repair: None,
        fixed: 64 << 10,
        factor: 8,
        refusals: &[],
    };
    target.run(
        |bytes| {
            fs::write(&path, bytes).unwrap();
            let tiles = TileFiles::open(home.path(), HashKind::Sha256).map_err(|error| error.to_string())?;
            assert!(tiles.size() <= bytes.len() as u64 / 32);
            // Another leaf is another root: what is built on it does not hold.
            let whole = bytes.get(..seed.len()) == Some(&seed[..]);
            assert!(whole || tiles.root(200).is_none() || tiles.root(200) != root);
            Ok::<_, String>(())
        },
        |_| {},
    );
}

#[test]
fn memberships() {
    let key = FrameKey::new(&SECRET);
    let alone = Membership::alone(LEDGER, Incarnation(1));
    let mut image = [0; IMAGE_BYTES];
    alone.next(Member::Second, Active::Both).encode(&key, &mut image);
    let repair = |bytes: &mut [u8]| {
        if let Some((body, hash)) = bytes.split_at_mut_checked(IMAGE_BYTES - 32)
            && let Some(hash) = hash.first_chunk_mut::<32>()
        {
            let key = blake3::derive_key("macronode journal 2025 membership", &SECRET);
            *hash = *blake3::keyed_hash(&key, body).as_bytes();
        }
    };
    let target = Target {
        name: "membership",
        times: 10,
        seeds: vec![image.to_vec()],
        repair: Some(&repair),
        fixed: 0,
        factor: 0,
        refusals: &["Truncated", "Foreign", "Damaged", "Newer", "Field", "OtherLedger"],
    };
    target.run(
        |bytes| Membership::decode(bytes, &key, LEDGER).map(drop),
        |bytes| {
            let mut again = [0; IMAGE_BYTES];
            Membership::decode(bytes, &key, LEDGER).unwrap().encode(&key, &mut again);
            assert_eq!(again, bytes[..IMAGE_BYTES]);
        },
    );
}
