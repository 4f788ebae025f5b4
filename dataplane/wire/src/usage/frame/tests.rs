//! Frames: every message reads back; no truncation, flip or garbage panics.

use model::ShardId;

use super::*;
use crate::usage::{
    BATCH_RECORDS_MAX, BatchHeader, CONNECTION_LABELS_MAX, Hello, LabelId, LabelRefusal, LabelSet, Rejection,
    Tally, Totals, UsageRecord,
};

fn hello() -> Hello {
    Hello { producer: [7; 16], epoch: 3, resume: 1, shard: ShardId(0) }
}

fn batch(records: usize) -> (BatchHeader, Vec<UsageRecord>) {
    let header = BatchHeader {
        producer: [7; 16],
        epoch: 3,
        seq: 9,
        window_start_millis: 1_760_631_060_000,
        totals: Totals { requests: 10, bytes_in: 1 << 70, bytes_out: 3 },
    };
    let record = |index: usize| UsageRecord {
        label: LabelId(u32::try_from(index).unwrap()),
        tally: Tally { requests: 1, bytes_in: u64::MAX, bytes_out: 7 },
    };
    (header, (0..records).map(record).collect())
}

fn client_stream() -> Vec<u8> {
    let mut bytes = Vec::new();
    hello().encode(&mut bytes);
    let labels = LabelSet::new("t-123", "GET", "/v1/objects/:id", "omnigate", "iad").unwrap();
    labels.encode(LabelId(4), &mut bytes);
    let (header, records) = batch(3);
    header.encode(&records, &mut bytes);
    bytes
}

fn server_messages() -> Vec<ServerMessage> {
    let mut messages = vec![
        ServerMessage::Welcome { shard: ShardId(1), shards: 2, window_millis: 60_000, next: 5, limit: 69 },
        ServerMessage::Received { seq: 5, limit: 70, records_refused: 1 },
        ServerMessage::Durable { through: 4 },
        ServerMessage::Credit { limit: u64::MAX },
    ];
    for why in [
        Rejection::Duplicate,
        Rejection::Conflict,
        Rejection::Gap { expected: 8 },
        Rejection::Late,
        Rejection::Skewed,
        Rejection::Busy,
        Rejection::UnknownLabel,
    ] {
        messages.push(ServerMessage::Rejected { seq: 1, why });
    }
    for why in [LabelRefusal::WrongShard, LabelRefusal::TenantLimit, LabelRefusal::Taken] {
        messages.push(ServerMessage::LabelRefused { label: LabelId(2), why });
    }
    for why in [
        Refusal::Version { spoken: 1 },
        Refusal::Malformed,
        Refusal::TooLarge,
        Refusal::Order,
        Refusal::StaleEpoch { current: 9 },
        Refusal::WrongShard { shards: 4 },
        Refusal::Superseded,
        Refusal::Busy,
        Refusal::Draining,
        Refusal::Denied,
    ] {
        messages.push(ServerMessage::Refused(why));
    }
    messages
}

/// Reads a producer's bytes to the end, in pieces of `step`; says how many messages came.
fn read_all(bytes: &[u8], step: usize) -> Result<usize, FrameError> {
    let mut buffer = FrameBuffer::new();
    let mut count = 0;
    for piece in bytes.chunks(step) {
        let mut piece = piece;
        while !piece.is_empty() {
            let space = buffer.space();
            assert!(!space.is_empty(), "whole frames are taken out, so there is space");
            let taken = space.len().min(piece.len());
            space[..taken].copy_from_slice(&piece[..taken]);
            buffer.filled(taken);
            piece = &piece[taken..];
            while let Some(message) = buffer.client()? {
                if let ClientMessage::Batch(batch) = message {
                    std::hint::black_box(batch.records().count());
                }
                count += 1;
            }
        }
    }
    Ok(count)
}

#[test]
fn client_messages_read_back_at_any_cut() {
    let bytes = client_stream();
    for step in 1..bytes.len() {
        assert_eq!(read_all(&bytes, step), Ok(3), "in pieces of {step}");
    }
    let (message, used) = ClientMessage::parse(&bytes).unwrap().unwrap();
    assert_eq!(message, ClientMessage::Hello(hello()));
    let (message, more) = ClientMessage::parse(&bytes[used..]).unwrap().unwrap();
    assert!(
        matches!(message, ClientMessage::Labels(LabelId(4), labels) if labels.route.as_str() == "/v1/objects/:id")
    );
    let (message, _) = ClientMessage::parse(&bytes[used + more..]).unwrap().unwrap();
    let ClientMessage::Batch(view) = message else { panic!("a batch was written") };
    let (header, records) = batch(3);
    assert_eq!(view.header, header);
    assert_eq!(view.records().collect::<Vec<_>>(), records);
}

#[test]
fn the_form_is_the_documented_one() {
    let mut bytes = Vec::new();
    hello().encode(&mut bytes);
    let expected = [&[41, 0, 0, 0, 1][..], b"RONu", &[1, 0, 0, 0], &[7; 16], &[3, 0, 0, 0, 0, 0, 0, 0, 1]];
    assert_eq!(bytes[..bytes.len() - 7], expected.concat());
    let (header, records) = batch(2);
    let mut bytes = Vec::new();
    header.encode(&records[1..], &mut bytes);
    let expected = [
        &(1u32 + 92 + 28).to_le_bytes()[..],
        &[3],
        &[7; 16],
        &[3u64, 9, 1_760_631_060_000].map(u64::to_le_bytes).concat(),
        &[10u128, 1 << 70, 3].map(u128::to_le_bytes).concat(),
        &1u32.to_le_bytes(),
        &1u32.to_le_bytes(),
        &[1, u64::MAX, 7].map(u64::to_le_bytes).concat(),
    ];
    assert_eq!(bytes, expected.concat());
}

#[test]
fn server_messages_read_back() {
    for message in server_messages() {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        assert_eq!(ServerMessage::parse(&bytes), Ok(Some((message, bytes.len()))));
        for cut in 0..bytes.len() {
            assert_eq!(ServerMessage::parse(&bytes[..cut]), Ok(None), "{message:?} cut at {cut}");
        }
    }
}

#[test]
fn no_flip_of_any_byte_panics() {
    let client = client_stream();
    let mut server = Vec::new();
    for message in server_messages() {
        message.encode(&mut server);
    }
    let mut faults = 0;
    for at in 0..client.len() {
        for flip in [1, 0x80, 0xff] {
            let mut bytes = client.clone();
            bytes[at] ^= flip;
            faults += usize::from(read_all(&bytes, 64).is_err());
        }
    }
    assert!(faults > 100, "flips are noticed where they break the form: {faults}");
    for at in 0..server.len() {
        let mut bytes = server.clone();
        bytes[at] ^= 0xff;
        let mut rest = bytes.as_slice();
        while let Ok(Some((_, used))) = ServerMessage::parse(rest) {
            rest = &rest[used..];
        }
    }
}

fn framed(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let start = begin(&mut bytes, kind);
    bytes.extend_from_slice(payload);
    end(&mut bytes, start);
    bytes
}

#[test]
fn each_fault_has_its_name() {
    let mut hello_bytes = Vec::new();
    hello().encode(&mut hello_bytes);
    let edited = |at: usize, byte: u8| {
        let mut bytes = hello_bytes.clone();
        bytes[at] = byte;
        bytes
    };
    let (header, records) = batch(1);
    let mut short = Vec::new();
    header.encode(&records, &mut short);
    let count_at = short.len() - 28 - 4;
    let mut claimed = short.clone();
    claimed[count_at..count_at + 4].copy_from_slice(&8_193u32.to_le_bytes());
    let mut zero = short.clone();
    zero[29..37].copy_from_slice(&[0; 8]);
    let long_text = [&[0, 0, 0, 0, 65][..], &[b'a'; 65]].concat();
    for (fault, bytes) in [
        (FrameFault::TooLarge, u32::MAX.to_le_bytes().to_vec()),
        (FrameFault::Truncated, framed(1, b"RO")),
        (FrameFault::Truncated, vec![0; 4]),
        (FrameFault::Trailing, framed(1, &[&hello_bytes[5..], b"x"].concat())),
        (FrameFault::UnknownKind, framed(99, b"")),
        (FrameFault::Magic, edited(5, b'X')),
        (FrameFault::Version, edited(9, 2)),
        (FrameFault::TextTooLong, framed(2, &long_text)),
        (FrameFault::TextNotPrintable, framed(2, &[0, 0, 0, 0, 1, 7])),
        (FrameFault::NoTenant, framed(2, &[0, 0, 0, 0, 0, 0, 0, 0, 0])),
        (FrameFault::LabelId, framed(2, &CONNECTION_LABELS_MAX.to_le_bytes())),
        (FrameFault::RecordCount, claimed),
        (FrameFault::Zero, zero),
    ] {
        let error = ClientMessage::parse(&bytes).unwrap_err();
        assert_eq!(error.fault, fault, "{error}");
    }
    let unknown = framed(70, &[200, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(ServerMessage::parse(&unknown).unwrap_err().fault, FrameFault::UnknownCode);
    let mut words: Vec<_> = FrameFault::ALL.iter().map(|fault| fault.word()).collect();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), FrameFault::ALL.len());
}

#[test]
fn the_largest_batch_fits_and_the_buffer_stays_bounded() {
    let (header, records) = batch(BATCH_RECORDS_MAX);
    let mut bytes = Vec::new();
    header.encode(&records, &mut bytes);
    assert!(bytes.len() <= FRAME_BYTES_MAX);
    assert_eq!(read_all(&bytes, 1_000), Ok(1));
    // A peer that announces much and sends little gets little memory.
    let mut buffer = FrameBuffer::new();
    buffer.space()[..5].copy_from_slice(&bytes[..5]);
    buffer.filled(5);
    assert_eq!(buffer.client(), Ok(None));
    assert!(buffer.bytes.len() <= BUFFER_BYTES_MIN);
}
