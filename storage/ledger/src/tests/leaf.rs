//! Leaves are what `docs/format.md` says, written down a second time as plain concatenations.

use alloc::vec::Vec;

use model::{Ext, Posting, Slice, Text};

use super::{
    slices::slice,
    world::{Stored, World, transfer},
};
use crate::{Hash, HashKind, LeafFields, SliceDecision, leaf_data, record_leaf_hash, slice_leaf_data};

const HASHES: [HashKind; 2] = [HashKind::Sha256, HashKind::Blake3];

fn posting(ext: Option<Ext>) -> Posting {
    let mut world = World::with_money();
    let posting = world.accept(&transfer("a", "b", 250, "pay"));
    Posting { ext, ..posting }
}

fn sliced() -> Slice {
    match World::with_money().send_slice(&slice(1, 1, [0; 32])) {
        SliceDecision::Take(slice) => slice,
        other => panic!("{other:?}"),
    }
}

fn commitments(hash: HashKind, posting: &Posting) -> [Hash; 3] {
    let side = |tag: &[u8], side: &model::Side, blind: &[u8]| {
        let account = side.account.bits().to_le_bytes();
        let (balance, held) = (side.balance.units().to_le_bytes(), side.held.to_le_bytes());
        let seq = side.seq.to_le_bytes();
        hash.digest(&[tag, blind, &account, &posting.asset.bytes(), &seq, &balance, &held].concat())
    };
    let blind = hash.digest(&[b"reqblnd0".as_slice(), &posting.debit_blind, &posting.credit_blind].concat());
    let mut request = [b"requestv".as_slice(), &blind[..16], &posting.key].concat();
    for word in [posting.key_millis, posting.fingerprint, posting.nonce] {
        request.extend(word.to_le_bytes());
    }
    if let Some(ext) = &posting.ext {
        request.push(ext.text.len());
        request.extend(ext.text.padded());
        request.extend(ext.ref_seq.0.to_le_bytes());
        request.extend(ext.expires.0.to_le_bytes());
        request.extend(ext.budgets.concat());
    }
    [
        side(b"debit/v0", &posting.debit, &posting.debit_blind),
        side(b"creditv0", &posting.credit, &posting.credit_blind),
        hash.digest(&request),
    ]
}

#[test]
fn a_posting_leaf_is_the_concatenation_of_its_fields() {
    let ext = Ext { text: Text::new("order-17").unwrap(), budgets: [[9; 16]; 4], ..Ext::default() };
    for hash in HASHES {
        for ext in [None, Some(ext), Some(Ext::default())] {
            let posting = posting(ext);
            let mut data: Vec<u8> = [0, hash.number(), 1, 1, 0, 0, 0, 0].into();
            data.extend(6_u64.to_le_bytes());
            data.extend(posting.head.at.0.to_le_bytes());
            data.extend(250_u128.to_le_bytes());
            data.extend(b"ron\0\0\0\0\0\0\0\0\0\0\0\0\0");
            data.extend(commitments(hash, &posting).concat());
            let leaf = leaf_data(hash, &posting);
            assert_eq!((leaf.as_bytes(), data.len()), (data.as_slice(), 152));
            let whole = [&[0], data.as_slice()].concat();
            assert_eq!(record_leaf_hash(hash, &Stored::Posting(posting).as_ref()), hash.digest(&whole));
            let fields = LeafFields::parse(&data).unwrap();
            assert_eq!((fields.hash, fields.head), (hash, posting.head));
        }
    }
}

#[test]
fn a_slice_leaf_is_the_concatenation_of_its_fields() {
    for hash in HASHES {
        let slice = sliced();
        let mut committed = [b"slice/v0".as_slice(), &slice.blind].concat();
        committed.extend(60_000_u64.to_le_bytes());
        committed.extend(60_000_u32.to_le_bytes());
        committed.extend(3_u32.to_le_bytes());
        committed.extend([slice.digest, slice.previous].concat());
        for total in [5_u128, 6, 7] {
            committed.extend(total.to_le_bytes());
        }
        let mut data: Vec<u8> = [0, hash.number(), 12, 12, 0, 0, 0, 0].into();
        data.extend(6_u64.to_le_bytes());
        data.extend(slice.head.at.0.to_le_bytes());
        data.extend([1; 16]);
        data.extend(1_u64.to_le_bytes());
        data.extend(hash.digest(&committed));
        assert_eq!((slice_leaf_data(hash, &slice).as_bytes(), data.len()), (data.as_slice(), 80));
        assert_eq!(LeafFields::parse(&data).unwrap().sides, None);
    }
}

/// Whatever is changed in a record, its leaf changes: nothing of it can be rewritten unseen.
#[test]
fn every_field_of_a_posting_moves_its_leaf() {
    type Change = fn(&mut Posting);
    let changes: [Change; 21] = [
        |p| p.head.seq.0 += 1,
        |p| p.head.at.0 += 1,
        |p| p.head.kind = model::Kind::Mint,
        |p| p.head.op = model::Kind::Mint,
        |p| p.head.reason = Some(model::Reason::Overflow),
        |p| p.head.idx += 1,
        |p| p.amount = model::Amount::new(251).unwrap(),
        |p| p.asset = model::Asset::parse("usd").unwrap(),
        |p| p.debit.account = p.credit.account,
        |p| p.debit.seq += 1,
        |p| p.debit.balance = model::Balance::ZERO,
        |p| p.debit.held += 1,
        |p| p.credit.seq += 1,
        |p| p.credit.held += 1,
        |p| p.nonce += 1,
        |p| p.key[0] ^= 1,
        |p| p.key_millis += 1,
        |p| p.fingerprint ^= 1,
        |p| p.debit_blind[0] ^= 1,
        |p| p.credit_blind[15] ^= 1,
        |p| p.ext = Some(Ext::default()),
    ];
    let posting = posting(None);
    let leaf = |posting: &Posting| leaf_data(HashKind::Blake3, posting).hash(HashKind::Blake3);
    for (at, change) in changes.into_iter().enumerate() {
        let mut changed = posting;
        change(&mut changed);
        assert_ne!(leaf(&changed), leaf(&posting), "change {at}");
    }
}
