//! Payloads read back, and damaged ones are refused by name.

use alloc::{vec, vec::Vec};

use super::*;
use crate::{AccountId, Amount, Asset, Balance, Head, Reason, Seq, Side, Text, Timestamp};

fn head(kind: Kind) -> Head {
    Head { seq: Seq(7), at: Timestamp(9), kind, op: kind, reason: None, idx: 3 }
}

fn posting(ext: Option<Ext>) -> Posting {
    let side = |bits| Side {
        account: AccountId::from_bits(bits),
        seq: 11,
        balance: Balance::new(-5).unwrap(),
        held: 1,
    };
    Posting {
        head: head(Kind::Transfer),
        amount: Amount::new(250_000).unwrap(),
        asset: Asset::parse("ron").unwrap(),
        debit: side(1),
        credit: side(u128::MAX),
        nonce: 42,
        key: [3; 16],
        key_millis: 1_728_794_183_123,
        fingerprint: u64::MAX,
        debit_blind: [4; 16],
        credit_blind: [5; 16],
        ext,
    }
}

fn slice() -> Slice {
    Slice {
        head: head(Kind::Usage),
        stream: [1; 16],
        number: 1,
        window_start_millis: 60_000,
        window_millis: 60_000,
        rows: 2,
        digest: [2; 32],
        previous: [0; 32],
        requests: 10,
        bytes_in: 11,
        bytes_out: 12,
        blind: [6; 16],
        body_at: 0,
        body_len: 0,
    }
}

fn payload() -> (Vec<u8>, Posting, Posting, Slice) {
    let plain = posting(None);
    let ext = Ext { text: Text::new("order-17").unwrap(), ref_seq: Seq(1), ..Ext::default() };
    let extended = posting(Some(ext));
    let mut slice = slice();
    let mut writer = BatchWriter::with_capacity(4096);
    writer.push_posting(&plain);
    writer.push_slice(&mut slice, b"rows of the slice");
    writer.push_posting(&extended);
    let mut out = vec![0; writer.payload_len()];
    assert_eq!(writer.finish(&mut out), out.len());
    assert_eq!(writer.count(), 0);
    (out, plain, extended, slice)
}

#[test]
fn a_batch_reads_back_in_place() {
    let (bytes, plain, extended, slice) = payload();
    let view = BatchView::parse(&bytes).unwrap();
    let records: Vec<_> = view.iter().map(Result::unwrap).collect();
    assert_eq!(
        records,
        [
            RecordRef::Posting(plain),
            RecordRef::Slice(slice, b"rows of the slice"),
            RecordRef::Posting(extended)
        ]
    );
    assert_eq!(bytes.len(), 16 + 3 * 240 + 160 + 17);
}

#[test]
fn damage_is_refused_by_name() {
    let (good, ..) = payload();
    let damaged = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        match BatchView::parse(&bytes) {
            Ok(view) => view.iter().find_map(Result::err),
            Err(error) => Some(error),
        }
    };
    assert_eq!(damaged(0, 4), Some(BatchError::Length));
    assert_eq!(damaged(12, 1), Some(BatchError::Length));
    assert_eq!(damaged(16 + 16, 99), Some(BatchError::Kind(99)));
    assert_eq!(damaged(16 + 18, 99), Some(BatchError::Reason(99)));
    assert_eq!(
        damaged(16 + 18, Reason::Busy.number()),
        Some(BatchError::Field("op and reason do not fit the kind"))
    );
    assert_eq!(damaged(16 + 19, 9), Some(BatchError::Version(9)));
    assert_eq!(damaged(16 + 32 + 15, 1), Some(BatchError::Field("amount")));
    assert_eq!(damaged(16 + 480 + 22, 2), Some(BatchError::Field("extension index")));
    for len in 0..good.len() {
        assert!(BatchView::parse(&good[..len]).is_err(), "a prefix of {len} bytes");
    }
}

#[test]
fn no_single_byte_change_panics() {
    let (good, ..) = payload();
    for at in 0..good.len() {
        for flip in [1, 0x80, 0xff] {
            let mut bytes = good.clone();
            bytes[at] ^= flip;
            if let Ok(view) = BatchView::parse(&bytes) {
                assert!(view.iter().count() <= 3);
            }
        }
    }
}

/// `docs/format.md` is what other programs read: each field lies where it says.
#[test]
fn every_field_lies_where_the_format_says() {
    let (mut writer, mut out) = (BatchWriter::with_capacity(4096), vec![0; 4096]);
    let text = Text::new("order-17").unwrap();
    let budgets = [[6; 16], [7; 16], [8; 16], [9; 16]];
    let ext = Ext { text, ref_seq: Seq(12), expires: Timestamp(13), budgets };
    writer.push_posting(&posting(Some(ext)));
    let mut slice = slice();
    writer.push_slice(&mut slice, &[1, 2, 3]);
    let len = writer.finish(&mut out);
    let (records, exts) = (16, 16 + 2 * RECORD_BYTES);
    let (first, second) = (records, records + RECORD_BYTES);
    let five = (-5_i128).to_le_bytes();
    let places: [(usize, &[u8]); 32] = [
        (0, &[2, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]),
        (first, &7_u64.to_le_bytes()),
        (first + 8, &9_u64.to_le_bytes()),
        (first + 16, &[1, 1, 0, 0, 3, 0, 1, 0]),
        (first + 24, &42_u64.to_le_bytes()),
        (first + 32, &250_000_u128.to_le_bytes()),
        (first + 48, b"ron\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        (first + 64, &1_u128.to_le_bytes()),
        (first + 80, &five),
        (first + 96, &1_u128.to_le_bytes()),
        (first + 112, &11_u64.to_le_bytes()),
        (first + 120, &u128::MAX.to_le_bytes()),
        (first + 136, &five),
        (first + 176, &[3; 16]),
        (first + 192, &1_728_794_183_123_u64.to_le_bytes()),
        (first + 200, &u64::MAX.to_le_bytes()),
        (first + 208, &[4; 16]),
        (first + 224, &[5; 16]),
        (second + 16, &[12, 12, 0, 0, 3, 0, 0, 0]),
        (second + 24, &slice.number.to_le_bytes()),
        (second + 32, &slice.stream),
        (second + 48, &slice.digest),
        (second + 80, &slice.previous),
        (second + 112, &slice.requests.to_le_bytes()),
        (second + 128, &slice.bytes_in.to_le_bytes()),
        (second + 144, &slice.bytes_out.to_le_bytes()),
        (second + 160, &slice.blind),
        (second + 176, &slice.window_start_millis.to_le_bytes()),
        (second + 184, &slice.window_millis.to_le_bytes()),
        (second + 188, &slice.rows.to_le_bytes()),
        (second + 192, &[0, 0, 0, 0, 3, 0, 0, 0]),
        (exts, b"order-17"),
    ];
    for (at, bytes) in places {
        assert_eq!(&out[at..at + bytes.len()], bytes, "at {at}");
    }
    assert_eq!(out[exts + 64..exts + 128], *budgets.as_flattened());
    assert_eq!(out[exts + 128..exts + 136], 12_u64.to_le_bytes());
    assert_eq!(out[exts + 136..exts + 144], 13_u64.to_le_bytes());
    assert_eq!(out[exts + 144..exts + 160], [8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!((exts + EXT_BYTES + 3, &out[len - 3..len]), (len, &[1, 2, 3][..]));
}
