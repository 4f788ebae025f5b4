//! Frames read back, and nothing else reads as one.

use alloc::{vec, vec::Vec};

use super::*;

fn geometry() -> Geometry {
    Geometry::new(512, 8192).unwrap()
}

fn key() -> FrameKey {
    FrameKey::new(&[3; 32])
}

fn header() -> FrameHeader {
    FrameHeader {
        ledger: LedgerId([1; 16]),
        incarnation: Incarnation(2),
        epoch: Epoch(3),
        frame: FrameNumber(9),
        position: Position { segment: SegmentNumber(4), offset: 1024 },
        first_seq: Seq(100),
        count: 5,
        at: Timestamp(77),
        previous: FrameHash([8; 32]),
        durable_frame: FrameNumber(7),
        durable: Seq(90),
        tree_size: 104,
        root: [9; 32],
        cut_bytes: 512,
        payload_bytes: 300,
    }
}

fn sealed(header: &FrameHeader) -> Vec<u8> {
    let mut buffer = vec![0xee; 8192];
    for (index, byte) in buffer.iter_mut().enumerate().skip(HEADER_BYTES) {
        *byte = u8::try_from(index % 251).unwrap();
    }
    let sealed = seal(header, &key(), geometry(), &mut buffer);
    buffer.truncate(sealed.frame_bytes);
    buffer
}

/// A frame whose header was changed by one who holds the key.
fn forged(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut frame = sealed(&header());
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    let hash = key().header_hash(&frame[..HASHED_BYTES]);
    frame[HASHED_BYTES..HEADER_BYTES].copy_from_slice(&hash);
    frame
}

#[test]
fn a_sealed_frame_reads_back_and_is_padded_with_zeros() {
    for (payload_bytes, frame_bytes) in [(0, 512), (256, 512), (257, 1024), (300, 1024), (7936, 8192)] {
        let position = Position { segment: SegmentNumber(4), offset: 0 };
        let header = FrameHeader { payload_bytes, position, ..header() };
        let bytes = sealed(&header);
        assert_eq!(bytes.len(), frame_bytes);
        let frame = open(&bytes, &key(), geometry()).unwrap();
        assert_eq!((frame.header, frame.frame_bytes), (header, frame_bytes));
        let end = HEADER_BYTES + payload_bytes as usize;
        assert_eq!(frame.payload, &bytes[HEADER_BYTES..end]);
        assert!(bytes[end..].iter().all(|byte| *byte == 0));
        assert_eq!(frame.header.last_seq(), Seq(104));
    }
}

#[test]
fn every_flipped_bit_of_header_and_payload_is_found() {
    let whole = sealed(&header());
    for byte in 0..HEADER_BYTES + 300 {
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[byte] ^= 1 << bit;
            let expected = match byte {
                0..8 => FrameError::Magic,
                8..HEADER_BYTES => FrameError::Header,
                _ => FrameError::Payload,
            };
            assert_eq!(open(&flipped, &key(), geometry()), Err(expected), "byte {byte} bit {bit}");
        }
    }
}

#[test]
fn every_missing_byte_is_found() {
    let whole = sealed(&header());
    for length in 0..HEADER_BYTES + 300 {
        assert_eq!(open(&whole[..length], &key(), geometry()), Err(FrameError::Truncated), "{length}");
    }
}

#[test]
fn nobody_without_the_key_makes_a_frame() {
    let whole = sealed(&header());
    let other = FrameKey::new(&[4; 32]);
    assert_eq!(open(&whole, &other, geometry()), Err(FrameError::Header));
    // A payload that is itself a frame of another key, as a client might send it.
    let mut outer = vec![0; 8192];
    let mut inner = whole.clone();
    let hash = other.header_hash(&inner[..HASHED_BYTES]);
    inner[HASHED_BYTES..HEADER_BYTES].copy_from_slice(&hash);
    outer[512..512 + inner.len()].copy_from_slice(&inner);
    seal(&FrameHeader { payload_bytes: 4096, ..header() }, &key(), geometry(), &mut outer);
    assert_eq!(open(&outer[512..], &key(), geometry()), Err(FrameError::Header));
}

#[test]
fn fields_out_of_range_are_refused_even_from_one_who_holds_the_key() {
    let far = u64::MAX.to_le_bytes();
    for (at, bytes, expected) in [
        (8, &[1, 0][..], FrameError::Format(1)),
        (10, &[1][..], FrameError::Field("reserved")),
        (12, &[0xff; 4][..], FrameError::Field("payload length")),
        (40, &[0; 8][..], FrameError::Field("frame number")),
        (48, &far[..], FrameError::Field("first seq")),
        (48, &[0; 8][..], FrameError::Field("durable")),
        (56, &[0xff; 4][..], FrameError::Field("count")),
        (64, &far[..], FrameError::Field("offset")),
        (64, &[1][..], FrameError::Field("offset")),
        (64, &[0, 0x1e][..], FrameError::Field("offset")),
        (80, &[9][..], FrameError::Field("frame number")),
        (88, &[100][..], FrameError::Field("durable")),
        (96, &[105][..], FrameError::Field("tree size")),
        (176, &[1][..], FrameError::Field("reserved")),
    ] {
        assert_eq!(open(&forged(at, bytes), &key(), geometry()), Err(expected), "at {at}");
    }
    assert_eq!(open(&[0; 512], &key(), geometry()), Err(FrameError::Empty));
}

#[test]
#[should_panic(expected = "in range")]
fn a_frame_that_could_not_be_read_back_is_not_sealed() {
    let mut buffer = vec![0; 1024];
    seal(&FrameHeader { tree_size: 105, ..header() }, &key(), geometry(), &mut buffer);
}
