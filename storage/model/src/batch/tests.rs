//! Payloads read back, and damaged ones are refused by name.

use alloc::{vec, vec::Vec};

use super::*;
use crate::{AccountId, Amount, Asset, Balance, Head, Reason, Seq, Side, Text, Timestamp};

fn head(seq: u64, kind: Kind) -> Head {
    Head { seq: Seq(seq), at: Timestamp(9), kind, op: kind, reason: None, idx: 3 }
}

fn posting(seq: u64, ext: Option<Ext>) -> Posting {
    let side = |bits| Side {
        account: AccountId::from_bits(bits),
        seq: 11,
        balance: Balance::new(-5).unwrap(),
        held: 1,
    };
    Posting {
        head: head(seq, Kind::Transfer),
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

fn slice(seq: u64) -> Slice {
    Slice {
        head: head(seq, Kind::Usage),
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
    let plain = posting(7, None);
    let ext = Ext { text: Text::new("order-17").unwrap(), ref_seq: Seq(1), ..Ext::default() };
    let extended = posting(9, Some(ext));
    let mut slice = slice(8);
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
    assert_eq!(bytes.len(), 32 + 3 * 216 + 160 + 17);
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
    assert_eq!(damaged(32, 99), Some(BatchError::Kind(99)));
    assert_eq!(damaged(32 + 2, 99), Some(BatchError::Reason(99)));
    assert_eq!(
        damaged(32 + 2, Reason::Busy.number()),
        Some(BatchError::Field("op and reason do not fit the kind"))
    );
    assert_eq!(damaged(32 + 3, 9), Some(BatchError::Version(9)));
    assert_eq!(damaged(32 + 28, 0), Some(BatchError::Field("asset")));
    assert_eq!(damaged(32 + 60 + 15, 1), Some(BatchError::Field("balance")));
    assert_eq!(damaged(32 + 2 * 216 + 6, 2), Some(BatchError::Field("extension index")));
    let mut last = good.clone();
    last[16..24].fill(0xff);
    assert_eq!(BatchView::parse(&last).unwrap_err(), BatchError::Field("the batch's first number"));
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

#[test]
#[should_panic(expected = "numbered without gaps")]
fn a_gap_is_not_written() {
    let mut writer = BatchWriter::with_capacity(4096);
    writer.push_posting(&posting(7, None));
    writer.push_posting(&posting(9, None));
}

#[test]
#[should_panic(expected = "a batch has one time")]
fn a_second_time_is_not_written() {
    let mut writer = BatchWriter::with_capacity(4096);
    writer.push_posting(&posting(7, None));
    let mut later = posting(8, None);
    later.head.at = Timestamp(10);
    writer.push_posting(&later);
}

#[test]
#[should_panic(expected = "above its bound")]
fn what_does_not_fit_its_field_is_not_written() {
    let mut held = posting(7, None);
    held.debit.held = 1 << 112;
    BatchWriter::with_capacity(4096).push_posting(&held);
}

/// `docs/format.md` is what other programs read: each field lies where it says.
#[test]
fn every_field_lies_where_the_format_says() {
    let (mut writer, mut out) = (BatchWriter::with_capacity(4096), vec![0; 4096]);
    let text = Text::new("order-17").unwrap();
    let budgets = [[6; 16], [7; 16], [8; 16], [9; 16]];
    let ext = Ext { text, ref_seq: Seq(12), expires: Timestamp(13), budgets };
    writer.push_posting(&posting(7, Some(ext)));
    let mut slice = slice(8);
    writer.push_slice(&mut slice, &[1, 2, 3]);
    let len = writer.finish(&mut out);
    let (records, exts) = (32, 32 + 2 * RECORD_BYTES);
    let (first, second) = (records, records + RECORD_BYTES);
    let five = (-5_i128).to_le_bytes();
    let places: [(usize, &[u8]); 34] = [
        (0, &[2, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]),
        (16, &7_u64.to_le_bytes()),
        (24, &9_u64.to_le_bytes()),
        (first, &[1, 1, 0, 0, 3, 0, 1, 0]),
        (first + 8, &42_u64.to_le_bytes()),
        (first + 16, &[0x90, 0xd0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (first + 28, b"ron\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        (first + 44, &1_u128.to_le_bytes()),
        (first + 60, &five),
        (first + 76, &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (first + 90, &11_u64.to_le_bytes()),
        (first + 98, &u128::MAX.to_le_bytes()),
        (first + 114, &five),
        (first + 130, &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (first + 144, &11_u64.to_le_bytes()),
        (first + 152, &[3; 16]),
        (first + 168, &1_728_794_183_123_u64.to_le_bytes()),
        (first + 176, &u64::MAX.to_le_bytes()),
        (first + 184, &[4; 16]),
        (first + 200, &[5; 16]),
        (second, &[12, 12, 0, 0, 3, 0, 0, 0]),
        (second + 8, &slice.number.to_le_bytes()),
        (second + 16, &slice.stream),
        (second + 32, &slice.digest),
        (second + 64, &slice.previous),
        (second + 96, &slice.requests.to_le_bytes()),
        (second + 112, &slice.bytes_in.to_le_bytes()),
        (second + 128, &slice.bytes_out.to_le_bytes()),
        (second + 144, &slice.blind),
        (second + 160, &slice.window_start_millis.to_le_bytes()),
        (second + 168, &slice.window_millis.to_le_bytes()),
        (second + 172, &slice.rows.to_le_bytes()),
        (second + 176, &[0, 0, 0, 0, 3, 0, 0, 0]),
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
