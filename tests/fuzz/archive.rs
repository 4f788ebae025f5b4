//! What says where a journal's first segments are: the index of an archive, the release record.

use journal::{
    ARCHIVE_HEADER_BYTES, ARCHIVE_ROW_BYTES, ArchiveIndex, ChainStart, FrameHash, FrameKey, FrameNumber,
    IMAGE_BYTES, LastFrame, Position, Release, SegmentNumber, ShippedSegment,
};
use model::{Epoch, Incarnation, LedgerId, Seq, Timestamp};

use super::harness::Target;

const LEDGER: LedgerId = LedgerId([1; 16]);
const SECRET: [u8; 32] = [5; 32];

fn row(number: u32) -> ShippedSegment {
    let n = u64::from(number);
    ShippedSegment {
        segment: SegmentNumber(number),
        incarnation: Incarnation(1),
        epoch: Epoch(2),
        first: (FrameNumber(n * 10 + 1), FrameHash([1; 32])),
        last: (FrameNumber(n * 10 + 10), FrameHash([2; 32])),
        first_seq: Seq(n * 100 + 1),
        entries: 100,
        at: Timestamp::from_millis(1_760_631_062_000 + n),
        tree_size: n * 100 + 100,
        root: [3; 32],
        bytes: 1 << 20,
        digest: [4; 32],
        file_bytes: 1 << 18,
        file_digest: [6; 32],
    }
}

#[test]
fn archive_indexes() {
    let index = |count| ArchiveIndex {
        ledger: LEDGER,
        incarnation: Incarnation(1),
        superblock: [7; 32],
        segments: (0..count).map(row).collect(),
    };
    let target = Target {
        name: "archive_index",
        times: 10,
        seeds: vec![index(0).encode(), index(1).encode(), index(3).encode()],
        repair: None,
        fixed: 1 << 10,
        factor: 8,
        refusals: &["Truncated", "Foreign", "Newer", "Field"],
    };
    target.run(
        |bytes| ArchiveIndex::decode(bytes).map(drop),
        |bytes| {
            let (index, rest) = ArchiveIndex::decode(bytes).unwrap();
            assert_eq!(index.encode(), bytes[..bytes.len() - rest.len()]);
            let rows = index.segments.len();
            assert_eq!(bytes.len() - rest.len(), ARCHIVE_HEADER_BYTES + rows * ARCHIVE_ROW_BYTES);
            assert_eq!(usize::try_from(index.after().next.segment.0), Ok(rows));
        },
    );
}

#[test]
fn release_records() {
    let key = FrameKey::new(&SECRET);
    let last = LastFrame {
        frame: FrameNumber(900),
        hash: FrameHash([5; 32]),
        seq: Seq(8_000),
        epoch: Epoch(4),
        incarnation: Incarnation(1),
        tree_size: 8_000,
        root: [6; 32],
        quiet: true,
    };
    let none = Release::none(LEDGER, Incarnation(1));
    let some = Release {
        sequence: 3,
        allowed: true,
        after: ChainStart { last, next: Position { segment: SegmentNumber(3), offset: 0 } },
        archive: "/mnt/offsite/ledger".into(),
        ..none.clone()
    };
    let image = |record: &Release| {
        let mut image = [0; IMAGE_BYTES];
        record.encode(&key, &mut image);
        image.to_vec()
    };
    let context = "macronode journal 2026 release record";
    let repair = |bytes: &mut [u8]| {
        if let Some((body, tag)) = bytes.split_at_mut_checked(IMAGE_BYTES - 32)
            && let Some(tag) = tag.first_chunk_mut::<32>()
        {
            *tag = *blake3::keyed_hash(&blake3::derive_key(context, &SECRET), body).as_bytes();
        }
    };
    let target = Target {
        name: "release_record",
        times: 10,
        seeds: vec![image(&none), image(&some)],
        repair: Some(&repair),
        fixed: 2 << 10,
        factor: 1,
        refusals: &["Truncated", "Foreign", "Damaged", "Newer", "Field", "OtherLedger"],
    };
    target.run(
        |bytes| Release::decode(bytes, &key, LEDGER).map(drop),
        |bytes| {
            let record = Release::decode(bytes, &key, LEDGER).unwrap();
            assert_eq!(image(&record), bytes[..IMAGE_BYTES]);
        },
    );
}
