//! What lies on the disk: frames, the superblock, the slot, checkpoint files, record batches.
//!
//! Hashes are made right again from `docs/format-journal.md`, not by the code under test.

use journal::{
    CHECKPOINT_HEADER_BYTES, Checkpoint, FrameHash, FrameHeader, FrameKey, FrameNumber, Geometry,
    HEADER_BYTES, HashKind, IMAGE_BYTES, Position, SegmentNumber, Slot, Superblock, open, seal,
};
use model::{
    AccountId, Amount, Asset, Balance, BatchView, BatchWriter, Beginning, Cause, Epoch, Ext, Head,
    Incarnation, Kind, LedgerId, Parent, Posting, Reason, RecordRef, Seq, Side, Slice, Text, Timestamp,
};

use super::harness::Target;

const LEDGER: LedgerId = LedgerId([1; 16]);
const SECRET: [u8; 32] = [5; 32];

fn key() -> FrameKey {
    FrameKey::new(&SECRET)
}

fn geometry() -> Geometry {
    Geometry::new(4096, 1 << 20).unwrap()
}

/// The documented hash of one use.
fn keyed(context: &str, bytes: &[u8]) -> [u8; 32] {
    *blake3::keyed_hash(&blake3::derive_key(context, &SECRET), bytes).as_bytes()
}

/// Writes the hash of all before `at` to `at`, if the bytes go so far.
fn rehash(bytes: &mut [u8], at: usize, hash: impl Fn(&[u8]) -> [u8; 32]) {
    if let Some((body, tag)) = bytes.split_at_mut_checked(at)
        && let Some(tag) = tag.first_chunk_mut::<32>()
    {
        *tag = hash(body);
    }
}

fn posting(seq: u64, ext: Option<Ext>) -> Posting {
    let side = |number: u128| Side {
        account: AccountId::from_bits(number),
        seq,
        balance: Balance::new(500).unwrap(),
        held: 3,
    };
    Posting {
        head: Head {
            seq: Seq(seq),
            at: Timestamp::from_millis(1_760_631_062_000),
            kind: Kind::Transfer,
            op: Kind::Transfer,
            reason: None,
            idx: 0,
        },
        amount: Amount::new(12_345).unwrap(),
        asset: Asset::parse("ron").unwrap(),
        debit: side(7),
        credit: side(8),
        nonce: 4,
        key: [2; 16],
        key_millis: 1_760_631_062_000,
        fingerprint: 99,
        debit_blind: [3; 16],
        credit_blind: [4; 16],
        ext,
    }
}

fn refused(seq: u64) -> Posting {
    let plain = posting(seq, None);
    let head = Head { kind: Kind::Refused, reason: Some(Reason::InsufficientFunds), ..plain.head };
    Posting { head, ..plain }
}

fn slice(seq: u64) -> Slice {
    Slice {
        head: Head { kind: Kind::Usage, op: Kind::Usage, ..posting(seq, None).head },
        stream: [6; 16],
        number: 3,
        window_start_millis: 1_760_631_060_000,
        window_millis: 60_000,
        rows: 2,
        digest: [7; 32],
        previous: [8; 32],
        requests: 10,
        bytes_in: 20,
        bytes_out: 30,
        blind: [9; 16],
        body_at: 0,
        body_len: 0,
    }
}

fn batch() -> Vec<u8> {
    let text = Text::new("order-17").unwrap();
    let ext = Ext { text, ref_seq: Seq(1), ..Ext::default() };
    let mut writer = BatchWriter::with_capacity(64 << 10);
    writer.push_posting(&posting(1, None));
    writer.push_posting(&posting(2, Some(ext)));
    writer.push_posting(&refused(3));
    writer.push_slice(&mut slice(4), b"the body of a slice");
    writer.push_beginning(&beginning(5));
    let mut bytes = vec![0; writer.payload_len()];
    writer.finish(&mut bytes);
    bytes
}

fn beginning(seq: u64) -> Beginning {
    let kind = Kind::Incarnation;
    Beginning {
        head: Head { seq: Seq(seq), kind, op: kind, ..posting(seq, None).head },
        incarnation: Incarnation(2),
        life: [5; 8],
        parent: Parent { incarnation: Incarnation(1), size: seq + 7, root: [6; 32] },
        cause: Cause::Restore,
        reason: Text::new("a disk was lost").unwrap(),
    }
}

fn records(bytes: &[u8]) -> Result<Vec<RecordRef<'_>>, model::BatchError> {
    BatchView::parse(bytes)?.iter().collect()
}

fn frame(payload: &[u8], count: u32) -> Vec<u8> {
    let header = FrameHeader {
        ledger: LEDGER,
        incarnation: Incarnation(1),
        epoch: Epoch(2),
        frame: FrameNumber(9),
        position: Position { segment: SegmentNumber(3), offset: 8192 },
        first_seq: Seq(40),
        count,
        at: Timestamp::from_millis(1_760_631_062_000),
        previous: FrameHash([7; 32]),
        durable_frame: FrameNumber(8),
        durable: Seq(39),
        tree_size: 39,
        root: [8; 32],
        cut_bytes: 0,
        payload_bytes: u32::try_from(payload.len()).unwrap(),
    };
    let mut bytes = vec![0; geometry().frame_bytes(payload.len()).unwrap()];
    bytes[HEADER_BYTES..HEADER_BYTES + payload.len()].copy_from_slice(payload);
    seal(&header, &key(), geometry(), &mut bytes);
    bytes
}

#[test]
fn frames() {
    let repair = |bytes: &mut [u8]| {
        let len = bytes.get(12..16).and_then(|len| len.try_into().ok()).map_or(0, u32::from_le_bytes);
        let payload = bytes.get(HEADER_BYTES..).and_then(|rest| rest.get(..usize::try_from(len).ok()?));
        if let Some(hash) = payload.map(|payload| keyed("macronode journal 2025 frame payload", payload)) {
            bytes[192..224].copy_from_slice(&hash);
        }
        rehash(bytes, 224, |body| keyed("macronode journal 2025 frame header", body));
    };
    let target = Target {
        name: "journal_frame",
        times: 10,
        seeds: vec![frame(&batch(), 5), frame(&[], 0), frame(&[1; 5000], 1)],
        repair: Some(&repair),
        fixed: 0,
        factor: 0,
        refusals: &["Truncated", "Magic", "Header", "Format", "Field", "Payload"],
    };
    let seen = target.run(
        |bytes| open(bytes, &key(), geometry()).map(drop),
        |bytes| {
            let frame = open(bytes, &key(), geometry()).unwrap();
            let mut again = vec![0; frame.frame_bytes];
            again[HEADER_BYTES..HEADER_BYTES + frame.payload.len()].copy_from_slice(frame.payload);
            seal(&frame.header, &key(), geometry(), &mut again);
            // No hash covers the padding, and no reader takes anything from it.
            let again = open(&again, &key(), geometry()).unwrap();
            assert_eq!((again.header, again.hash, again.payload), (frame.header, frame.hash, frame.payload));
            assert!(frame.header.last_seq() >= frame.header.durable);
        },
    );
    let deep = seen.accepted + seen.refused.get("Field").copied().unwrap_or(0);
    let outer = seen.refused.get("Header").copied().unwrap_or(0);
    assert!(deep > outer, "most mutants get past the header's hash: {deep} of {outer}");
}

#[test]
fn record_batches() {
    let mut empty = vec![0; 32];
    BatchWriter::with_capacity(32).finish(&mut empty);
    let target = Target {
        name: "record_batch",
        times: 10,
        seeds: vec![batch(), empty],
        repair: None,
        fixed: 2 << 10,
        factor: 8,
        refusals: &["Length", "Version", "Kind", "Reason", "Field"],
    };
    target.run(
        |bytes| records(bytes).map(drop),
        |bytes| {
            let first = records(bytes).unwrap();
            let mut writer = BatchWriter::with_capacity(1 << 20);
            for record in &first {
                match record {
                    RecordRef::Posting(posting) => writer.push_posting(posting),
                    RecordRef::Slice(slice, body) => writer.push_slice(&mut slice.clone(), body),
                    RecordRef::Beginning(beginning) => writer.push_beginning(beginning),
                }
            }
            let mut again = vec![0; writer.payload_len()];
            writer.finish(&mut again);
            for (first, second) in first.iter().zip(records(&again).unwrap()) {
                match (first, second) {
                    (RecordRef::Posting(first), RecordRef::Posting(second)) => assert_eq!(*first, second),
                    (RecordRef::Beginning(first), RecordRef::Beginning(second)) => {
                        assert_eq!(*first, second);
                    }
                    (RecordRef::Slice(first, body), RecordRef::Slice(second, same)) => {
                        // Bodies are packed anew; everything else stays.
                        assert_eq!(Slice { body_at: second.body_at, ..*first }, second);
                        assert_eq!(*body, same);
                    }
                    (first, second) => panic!("{first:?} was read back as {second:?}"),
                }
                let hash = ledger::HashKind::Blake3;
                assert_ne!(ledger::record_leaf_hash(hash, first), [0; 32]);
            }
        },
    );
}

#[test]
fn superblocks() {
    let superblock = Superblock {
        ledger: LEDGER,
        incarnation: Incarnation(1),
        epoch: Epoch(4),
        hash: HashKind::Sha256,
        created: Timestamp::from_millis(1_760_631_062_000),
        geometry: geometry(),
        frame_key: SECRET,
        ledger_secret: [6; 32],
        log_key: [0; 32],
    };
    let mut image = [0; IMAGE_BYTES];
    superblock.encode(&mut image);
    let repair = |bytes: &mut [u8]| {
        rehash(bytes, IMAGE_BYTES - 32, |body| *blake3::hash(body).as_bytes());
    };
    let target = Target {
        name: "superblock",
        times: 10,
        seeds: vec![image.to_vec()],
        repair: Some(&repair),
        fixed: 0,
        factor: 0,
        refusals: &["Truncated", "Foreign", "Damaged", "Newer", "Field"],
    };
    target.run(
        |bytes| Superblock::decode(bytes).map(drop),
        |bytes| {
            let mut again = [0; IMAGE_BYTES];
            Superblock::decode(bytes).unwrap().encode(&mut again);
            assert_eq!(again, bytes[..IMAGE_BYTES]);
        },
    );
}

#[test]
fn slots() {
    let slot = Slot { sequence: 8, clean: true, ..Slot::genesis(LEDGER, Incarnation(1), [4; 32]) };
    let mut image = [0; IMAGE_BYTES];
    slot.encode(&key(), &mut image);
    let repair = |bytes: &mut [u8]| {
        rehash(bytes, IMAGE_BYTES - 32, |body| keyed("macronode journal 2025 frontier slot", body));
    };
    let target = Target {
        name: "slot",
        times: 10,
        seeds: vec![image.to_vec()],
        repair: Some(&repair),
        fixed: 0,
        factor: 0,
        refusals: &["Truncated", "Foreign", "Damaged", "Newer", "Field", "OtherLedger"],
    };
    target.run(
        |bytes| Slot::decode(bytes, &key(), LEDGER).map(drop),
        |bytes| {
            let mut again = [0; IMAGE_BYTES];
            Slot::decode(bytes, &key(), LEDGER).unwrap().encode(&key(), &mut again);
            assert_eq!(again, bytes[..IMAGE_BYTES]);
        },
    );
}

#[test]
fn checkpoint_files() {
    let context = "macronode journal 2025 checkpoint";
    let checkpoint = Checkpoint {
        ledger: LEDGER,
        incarnation: Incarnation(2),
        frame: FrameNumber(5),
        hash: FrameHash([6; 32]),
        position: Position { segment: SegmentNumber(1), offset: 8192 },
        through: Seq(40),
        tree_size: 40,
        root: [9; 32],
    };
    let payload = [3; 700];
    let mut header = [0; CHECKPOINT_HEADER_BYTES];
    checkpoint.encode_header(&key(), &payload, &mut header);
    // The payload's length stands after the root, its hash after that.
    let repair = |bytes: &mut [u8]| {
        let hash = bytes.get(CHECKPOINT_HEADER_BYTES..).map(|payload| keyed(context, payload));
        if let (Some(place), Some(hash)) = (bytes.get_mut(144..176), hash) {
            place.copy_from_slice(&hash);
        }
        rehash(bytes, CHECKPOINT_HEADER_BYTES - 32, |body| keyed(context, body));
    };
    let target = Target {
        name: "checkpoint_file",
        times: 10,
        seeds: vec![[&header[..], &payload].concat()],
        repair: Some(&repair),
        fixed: 0,
        factor: 0,
        refusals: &["Truncated", "Foreign", "Damaged", "Newer", "Field", "OtherLedger"],
    };
    target.run(
        |bytes| Checkpoint::decode(bytes, &key(), LEDGER).map(drop),
        |bytes| {
            let (checkpoint, payload) = Checkpoint::decode(bytes, &key(), LEDGER).unwrap();
            let mut again = [0; CHECKPOINT_HEADER_BYTES];
            checkpoint.encode_header(&key(), payload, &mut again);
            assert_eq!(again, bytes[..CHECKPOINT_HEADER_BYTES]);
        },
    );
}
