//! Bodies: what is written reads back, what is not canonical does not, nothing panics.

use super::*;

fn text(text: &str) -> Text {
    Text::new(text).unwrap()
}

fn header() -> SliceHeader {
    SliceHeader {
        tenant: text("t-123"),
        stream: text("node.shard-0-of-1"),
        number: 4,
        window_start_millis: 1_760_631_060_000,
        window_millis: 60_000,
        previous: [9; 32],
    }
}

fn range(producer: u8, from: u64, to: u64) -> ProducerRange {
    ProducerRange { producer: [producer; 16], epoch: 1, from, to, through: to }
}

fn body(ranges: &[ProducerRange], rows: &[(&str, u128)]) -> Vec<u8> {
    let mut writer = SliceBodyWriter::new(&header(), ranges);
    for (route, requests) in rows {
        // The writer's own sum would overflow first; the decoder must find it by itself.
        writer.totals = Totals::ZERO;
        let labels = [text("GET"), text(route), text("s"), text("r")];
        writer.row(&labels, &Totals { requests: *requests, bytes_in: 2, bytes_out: 3 });
    }
    // Not `finish`: that asserts what these tests break.
    let count = writer.rows.to_le_bytes();
    let at = writer.row_count_at;
    writer.bytes[at..at + 4].copy_from_slice(&count);
    writer.bytes
}

#[test]
fn bodies_read_back() {
    let ranges = [range(1, 1, 5), range(1, 7, 7), range(2, 1, 1)];
    let bytes = body(&ranges, &[("/a", 10), ("/b", 1 << 100)]);
    let body = SliceBody::decode(&bytes).unwrap();
    assert_eq!(body.header, header());
    assert_eq!(body.ranges().collect::<Vec<_>>(), ranges);
    assert_eq!(body.rows().map(|row| row.labels[1]).collect::<Vec<_>>(), ["/a", "/b"]);
    assert_eq!(body.totals, Totals { requests: 10 + (1 << 100), bytes_in: 4, bytes_out: 6 });
}

#[test]
fn the_form_is_the_documented_one() {
    let bytes = body(&[range(1, 1, 5)], &[("/a", 10)]);
    let expected = [
        &[0, 0][..],
        &4u64.to_le_bytes(),
        &1_760_631_060_000u64.to_le_bytes(),
        &60_000u32.to_le_bytes(),
        &[9; 32],
        b"\x05t-123",
        b"\x11node.shard-0-of-1",
        &1u32.to_le_bytes(),
        &[1; 16],
        &[1u64, 1, 5, 5].map(u64::to_le_bytes).concat(),
        &1u32.to_le_bytes(),
        b"\x03GET\x02/a\x01s\x01r",
        &[10u128, 2, 3].map(u128::to_le_bytes).concat(),
    ];
    assert_eq!(bytes, expected.concat());
}

#[test]
fn what_is_not_canonical_is_refused() {
    let good = [range(1, 1, 5)];
    for (expected, bytes) in [
        (BodyError::Order(1), body(&good, &[("/b", 1), ("/a", 1)])),
        (BodyError::Order(1), body(&good, &[("/a", 1), ("/a", 1)])),
        (BodyError::Order(1), body(&[range(2, 1, 1), range(1, 1, 1)], &[])),
        (BodyError::Order(1), body(&[range(1, 1, 5), range(1, 5, 6)], &[])),
        (BodyError::Range(0), body(&[range(1, 5, 4)], &[])),
        (BodyError::Range(0), body(&[range(1, 0, 4)], &[])),
        (BodyError::Overflow, body(&good, &[("/a", u128::MAX), ("/b", 1)])),
    ] {
        assert_eq!(SliceBody::decode(&bytes).unwrap_err(), expected);
    }
    let mut bytes = body(&good, &[("/a", 1)]);
    bytes.push(0);
    assert!(matches!(SliceBody::decode(&bytes), Err(BodyError::Field(_))));
    bytes[0] = 1;
    assert_eq!(SliceBody::decode(&bytes).unwrap_err(), BodyError::Version(1));
}

#[test]
fn no_truncation_or_flip_panics_and_every_flip_moves_the_digest() {
    let bytes = body(&[range(1, 1, 5), range(2, 1, 1)], &[("/a", 10), ("/b", 11)]);
    for cut in 0..bytes.len() {
        assert!(SliceBody::decode(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    let digest = blake3::hash(&bytes);
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x55;
        if let Ok(body) = SliceBody::decode(&flipped) {
            assert_eq!(body.rows().len() + body.ranges().len(), 4);
        }
        assert_ne!(blake3::hash(&flipped), digest);
    }
}
