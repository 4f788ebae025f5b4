//! The audit finds every fault that is put into a sound journal, and none in a sound one.

use alloc::vec::Vec;

use model::{AccountId, Amount, Asset, Balance, Kind, Posting, Reason, Seq, Slice, Timestamp};

use super::{Audit, Fault};
use crate::{
    HashKind, Which,
    tests::{
        slices::chain,
        world::{Stored, World, account, request, transfer},
    },
};

/// Opens and mints at 1 to 5, transfers at 6 and 7, a refusal at 8, slices at 9 to 11.
fn journal() -> Vec<Stored> {
    let mut world = World::with_money();
    world.accept(&transfer("a", "b", 250, "pay"));
    world.accept(&request(Kind::Burn, "b", 10, "burn"));
    world.send(&transfer("a", "b", 5000, "too much"));
    for slice in chain(1, 3) {
        world.send_slice(&slice);
    }
    assert_eq!(world.journal.len(), 11);
    world.journal
}

/// What the audit says of a journal: every fault with its entry.
fn faults(journal: &[Stored]) -> Vec<(u64, Fault)> {
    let mut audit = Audit::new(HashKind::Sha256);
    let mut found = Vec::new();
    for record in journal {
        if let Err(finding) = audit.feed(&record.as_ref()) {
            found.push((finding.seq.0, finding.fault));
        }
    }
    if let Err(finding) = audit.finish() {
        found.push((finding.seq.0, finding.fault));
    }
    assert_eq!(u64::try_from(found.len()).unwrap(), audit.report().findings);
    found
}

fn with_posting(seq: u64, change: fn(&mut Posting)) -> Vec<(u64, Fault)> {
    let mut journal = journal();
    match &mut journal[usize::try_from(seq - 1).unwrap()] {
        Stored::Posting(posting) => change(posting),
        _ => panic!("entry {seq} is no posting"),
    }
    faults(&journal)
}

fn with_slice(seq: u64, change: fn(&mut Slice, &mut Vec<u8>)) -> Vec<(u64, Fault)> {
    let mut journal = journal();
    match &mut journal[usize::try_from(seq - 1).unwrap()] {
        Stored::Slice(slice, body) => change(slice, body),
        _ => panic!("entry {seq} is no slice"),
    }
    faults(&journal)
}

#[test]
fn a_sound_journal_has_no_finding() {
    assert_eq!(faults(&journal()), []);
    let mut audit = Audit::new(HashKind::Sha256);
    for record in journal() {
        audit.feed(&record.as_ref()).unwrap();
    }
    let report = audit.finish().unwrap();
    assert_eq!((report.entries, report.transfers, report.refusals, report.opens), (11, 4, 1, 3));
    assert_eq!((report.slices, report.keys, report.accounts, report.streams), (3, 5, 3, 1));
    let ron = report.assets.values().next().unwrap();
    assert_eq!((ron.moved.low, ron.minted.low, ron.burned.low), (1760, 1500, 10));
}

#[test]
fn each_fault_in_a_posting_is_found_where_it_is() {
    type Change = fn(&mut Posting);
    let cases: [(u64, Change, Fault); 19] = [
        (6, |p| p.head.seq = Seq(9), Fault::Gap { expected: Seq(6) }),
        (6, |p| p.head.at = Timestamp(1), Fault::TimeBackwards),
        (6, |p| p.head.kind = Kind::Hold, Fault::UnknownKind(Kind::Hold)),
        (6, |p| p.amount = Amount::ZERO, Fault::Shape),
        (6, |p| p.head.kind = Kind::Mint, Fault::Shape),
        (6, |p| p.asset = Asset::NONE, Fault::Shape),
        (6, |p| p.debit.account = account("x").id(), Fault::NotOpen(Which::Debit)),
        (6, |p| p.debit.seq = 9, Fault::AccountSeq { which: Which::Debit, expected: 2 }),
        (6, |p| p.credit.held = 1, Fault::Held(Which::Credit)),
        (6, |p| p.nonce = 3, Fault::Nonce { expected: 1 }),
        (6, |p| p.key = [0; 16], Fault::NoKey),
        (
            6,
            |p| p.credit.balance = Balance::new(751).unwrap(),
            Fault::Balance { which: Which::Credit, expected: 750 },
        ),
        (2, |p| p.credit.account = AccountId::from_bits(7), Fault::Name),
        (2, |p| p.ext = None, Fault::Name),
        (2, |p| p.nonce = 1, Fault::Shape),
        (8, |p| p.amount = Amount::new(750).unwrap(), Fault::Refusal),
        (8, |p| p.head.reason = Some(Reason::NotFound), Fault::Refusal),
        (8, |p| p.head.reason = Some(Reason::Busy), Fault::Refusal),
        (8, |p| p.debit.balance = Balance::ZERO, Fault::Balance { which: Which::Debit, expected: 750 }),
    ];
    for (at, (seq, change, fault)) in cases.into_iter().enumerate() {
        let found = with_posting(seq, change);
        assert_eq!(found.first().map(|(_, fault)| *fault), Some(fault), "case {at}: {found:?}");
    }
}

#[test]
fn money_from_nothing_and_debt_are_found() {
    let both_sides = with_posting(6, |p| {
        p.amount = Amount::new(2000).unwrap();
        p.debit.balance = Balance::new(-1000).unwrap();
        p.credit.balance = Balance::new(2500).unwrap();
    });
    assert_eq!(both_sides[0], (6, Fault::Negative(Which::Debit)));
    let from_nothing = with_posting(7, |p| p.debit.balance = Balance::new(5000).unwrap());
    let last = *from_nothing.last().unwrap();
    assert_eq!(from_nothing[0], (7, Fault::Balance { which: Which::Debit, expected: 740 }));
    assert!(matches!(last.1, Fault::SumNotZero(_)), "{from_nothing:?}");
}

#[test]
fn repeated_and_missing_entries_are_found() {
    let mut repeated = journal();
    repeated.insert(6, repeated[5].clone());
    assert_eq!(faults(&repeated)[0], (6, Fault::Gap { expected: Seq(7) }));
    let mut missing = journal();
    missing.remove(5);
    assert_eq!(faults(&missing)[0], (7, Fault::Gap { expected: Seq(6) }));
    let second_key = with_posting(7, |p| p.key = model::IdemKey::new("subject", "pay", 0).digest);
    assert_eq!(second_key, [(7, Fault::KeyTwice { first: Seq(6) })]);
    let mut opened_twice = journal();
    if let Stored::Posting(open) = opened_twice[1].clone() {
        opened_twice[3] = Stored::Posting(Posting { head: model::Head { seq: Seq(4), ..open.head }, ..open });
    }
    assert_eq!(faults(&opened_twice)[0], (4, Fault::OpenTwice));
}

#[test]
fn slices_out_of_their_chain_are_found() {
    assert_eq!(with_slice(10, |slice, _| slice.number = 3)[0], (10, Fault::SliceChain { expected: 2 }));
    assert_eq!(with_slice(10, |slice, _| slice.previous[0] ^= 1), [(10, Fault::SliceChain { expected: 2 })]);
    assert_eq!(with_slice(11, |_, body| body[0] ^= 1), [(11, Fault::SliceDigest)]);
}

#[test]
fn claimed_heads_are_recomputed() {
    let mut audit = Audit::new(HashKind::Sha256);
    let mut heads = Vec::new();
    for record in journal() {
        audit.feed(&record.as_ref()).unwrap();
        heads.push(audit.end_frame());
    }
    audit.head(0, &HashKind::Sha256.empty()).unwrap();
    for (size, root) in &heads {
        audit.head(*size, root).unwrap();
        let mut other = *root;
        other[31] ^= 1;
        assert_eq!(audit.head(*size, &other).unwrap_err().fault, Fault::Root { size: *size });
    }
    assert_eq!(audit.head(12, &[0; 32]).unwrap_err().fault, Fault::HeadSize { claimed: 12 });
    assert_eq!((audit.report().heads, audit.report().findings), (12, 12));
}
