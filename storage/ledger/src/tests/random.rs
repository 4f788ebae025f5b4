//! Random requests against a reference that is too plain to be wrong, then replay and audit.

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use std::format;

use model::{Kind, Preconditions, Reason, Request, Timestamp};

use super::{
    slices::slice,
    world::{Fate, Random, START_MILLIS, World, account, asset, params, seed, transfer},
};
use crate::{Audit, HashKind, Ledger, Params, SliceDecision, record_leaf_hash};

const OPERATIONS: u64 = 200_000;
const ASSETS: [&str; 2] = ["ron", "usd"];

/// One account in one asset of the reference.
#[derive(Clone, Copy, Default)]
struct Plain {
    balance: i128,
    seq: u64,
}

/// The rules, written down once more without any regard to speed.
#[derive(Default)]
struct Reference {
    accounts: BTreeMap<(String, String), Plain>,
    nonces: BTreeMap<String, u64>,
    outcomes: BTreeMap<[u8; 16], (u64, Option<Reason>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    New(Option<Reason>),
    Replayed(Option<Reason>),
    Declined(Reason),
}

impl Reference {
    fn answer(&mut self, request: &Request) -> Answer {
        if let Some((fingerprint, reason)) = self.outcomes.get(&request.key.digest) {
            let same = *fingerprint == request.fingerprint();
            return if same { Answer::Replayed(*reason) } else { Answer::Declined(Reason::IdemConflict) };
        }
        let (debit, credit) = (request.debit.as_str(), request.credit.as_str());
        let fits = match request.kind {
            Kind::Transfer => !debit.starts_with('@') && !credit.starts_with('@'),
            Kind::Mint => debit == "@issuance" && !credit.starts_with('@'),
            Kind::Burn => credit == "@issuance" && !debit.starts_with('@'),
            Kind::Credit => debit == "@external" && !credit.starts_with('@'),
            Kind::Debit => credit == "@external" && !debit.starts_with('@'),
            _ => return Answer::Declined(Reason::UnknownKind),
        };
        if !fits || request.amount.units() == 0 {
            return Answer::Declined(Reason::PolicyDenied);
        }
        let reason = self.refusal(request);
        self.outcomes.insert(request.key.digest, (request.fingerprint(), reason));
        if reason.is_none() {
            self.book(request);
        }
        Answer::New(reason)
    }

    fn refusal(&self, request: &Request) -> Option<Reason> {
        let (debit, credit) = (request.debit.as_str(), request.credit.as_str());
        let comes_in = matches!(request.kind, Kind::Mint | Kind::Credit);
        let owner = if comes_in { credit } else { debit };
        let asset = String::from(request.asset.as_str());
        let plain = |who: &str| self.accounts.get(&(who.into(), asset.clone())).copied().unwrap_or_default();
        let named = request.preconditions;
        let units = i128::try_from(request.amount.units()).unwrap();
        if debit == credit {
            return Some(Reason::AccountConflict);
        }
        if !comes_in && !self.nonces.contains_key(debit) {
            return Some(Reason::NotFound);
        }
        if named.nonce.is_some_and(|nonce| nonce != self.nonces.get(owner).unwrap_or(&0) + 1) {
            return Some(Reason::NonceConflict);
        }
        let least = named.if_balance_at_least.map(|least| i128::try_from(least.units()).unwrap());
        if named.if_seq.is_some_and(|seq| seq != plain(owner).seq)
            || least.is_some_and(|least| plain(owner).balance < least)
        {
            return Some(Reason::PreconditionFailed);
        }
        (!comes_in && plain(debit).balance < units).then_some(Reason::InsufficientFunds)
    }

    fn book(&mut self, request: &Request) {
        let units = i128::try_from(request.amount.units()).unwrap();
        let sides = [(request.debit.as_str(), -units), (request.credit.as_str(), units)];
        for (who, moved) in sides {
            let plain = self.accounts.entry((who.into(), request.asset.as_str().into())).or_default();
            plain.balance += moved;
            plain.seq += 1;
            self.nonces.entry(who.into()).or_default();
        }
        let comes_in = matches!(request.kind, Kind::Mint | Kind::Credit);
        let owner = if comes_in { request.credit.as_str() } else { request.debit.as_str() };
        let consumes = !comes_in || request.preconditions.nonce.is_some();
        *self.nonces.get_mut(owner).unwrap() += u64::from(consumes);
    }

    fn agrees_with(&self, ledger: &Ledger) {
        assert_eq!(ledger.accounts_count(), self.accounts.len());
        assert_eq!(ledger.names_count(), self.nonces.len());
        for ((who, of), plain) in &self.accounts {
            let view = ledger.account(account(who).id(), asset(of)).unwrap();
            assert_eq!((view.balance.units(), view.account_seq), (plain.balance, plain.seq), "{who} {of}");
        }
        for (who, nonce) in &self.nonces {
            assert_eq!(ledger.nonce(account(who).id()), Some(*nonce), "{who}");
        }
    }
}

fn random_request(random: &mut Random, recent: &mut Vec<Request>) -> Request {
    if !recent.is_empty() && random.below(10) == 0 {
        let at = usize::try_from(random.below(u64::try_from(recent.len()).unwrap())).unwrap();
        let mut again = recent[at];
        if random.below(4) == 0 {
            again.amount = model::Amount::new(again.amount.units() + 1).unwrap();
        }
        return again;
    }
    let plain = |random: &mut Random| format!("account/{}", random.below(40));
    let (one, other) = (plain(random), plain(random));
    let (kind, debit, credit) = match random.below(40) {
        0..=3 => (Kind::Mint, "@issuance", one.as_str()),
        4..=5 => (Kind::Credit, "@external", one.as_str()),
        6 => (Kind::Burn, one.as_str(), "@issuance"),
        7 => (Kind::Debit, one.as_str(), "@external"),
        8 => (Kind::Mint, one.as_str(), other.as_str()),
        9 => (Kind::Hold, one.as_str(), other.as_str()),
        10 => (Kind::Transfer, one.as_str(), "@issuance"),
        _ => (Kind::Transfer, one.as_str(), other.as_str()),
    };
    let maybe = |random: &mut Random, bound| (random.below(8) == 0).then(|| random.below(bound));
    let preconditions = Preconditions {
        nonce: maybe(random, 300),
        if_seq: maybe(random, 300),
        if_balance_at_least: maybe(random, 200).and_then(|units| model::Amount::new(u128::from(units))),
    };
    let key = format!("{}", random.below(u64::MAX >> 12));
    let request = Request {
        kind,
        asset: asset(ASSETS[usize::try_from(random.below(2)).unwrap()]),
        preconditions,
        ..transfer(debit, credit, u128::from(random.below(120)), &key)
    };
    recent.push(request);
    if recent.len() > 500 {
        recent.swap_remove(usize::try_from(random.below(500)).unwrap());
    }
    request
}

#[test]
fn random_requests_agree_with_the_reference_with_replay_and_with_the_audit() {
    let mut random = Random::new(seed());
    let keys_max = u32::try_from(OPERATIONS).unwrap();
    let params = Params { hash: HashKind::Blake3, keys_max, ..params() };
    let (mut world, mut reference) = (World::new(params.clone()), Reference::default());
    let (mut recent, mut accepted, mut refused) = (Vec::new(), 0_u64, BTreeMap::new());
    for step in 0..OPERATIONS {
        world.now = Timestamp::from_millis(START_MILLIS + step / 100);
        let request = random_request(&mut random, &mut recent);
        let found = match world.send(&request) {
            Fate::Entry(entry) => Answer::New(entry.head.reason),
            Fate::Declined(declined) => Answer::Declined(declined.reason),
            Fate::Replayed(seq) => {
                let stored = &world.journal[usize::try_from(seq.0 - 1).unwrap()];
                Answer::Replayed(stored.as_ref().head().reason)
            }
        };
        assert_eq!(found, reference.answer(&request), "step {step}: {request:?}");
        match found {
            Answer::New(None) => accepted += 1,
            Answer::New(Some(reason)) | Answer::Declined(reason) => {
                *refused.entry(reason).or_insert(0_u64) += 1
            }
            Answer::Replayed(_) => {}
        }
        if step % 20_000 == 0 {
            world.ledger.check();
            reference.agrees_with(&world.ledger);
        }
    }
    world.ledger.check();
    reference.agrees_with(&world.ledger);
    assert!(accepted > OPERATIONS / 10, "{accepted} of {OPERATIONS} accepted");
    let reasons: Vec<Reason> = refused.into_keys().collect();
    let expected = [
        Reason::UnknownKind,
        Reason::PolicyDenied,
        Reason::InsufficientFunds,
        Reason::AccountConflict,
        Reason::NonceConflict,
        Reason::PreconditionFailed,
        Reason::IdemConflict,
    ];
    assert!(expected.iter().all(|reason| reasons.contains(reason)), "{reasons:?}");
    replays_to_the_same_state(&world, params);
}

/// The journal alone leads to the same bytes, and the audit finds nothing in it.
fn replays_to_the_same_state(world: &World, params: Params) {
    let mut audit = Audit::new(params.hash);
    let mut copy = World::new(params.clone());
    let mut claimed = (0, world.ledger.hash().empty());
    for (at, record) in world.journal.iter().enumerate() {
        let record = record.as_ref();
        copy.ledger.apply_record(&record).unwrap();
        copy.tree.push(record_leaf_hash(copy.ledger.hash(), &record));
        audit.feed(&record).unwrap();
        if at % 100 == 99 {
            audit.head(claimed.0, &claimed.1).unwrap();
            claimed = audit.end_frame();
            assert_eq!(claimed, (copy.tree.size(), copy.tree.root()));
        }
    }
    assert_eq!(copy.checkpoint(), world.checkpoint());
    let keys_max = u64::from(params.keys_max);
    let mut at_once = World::new(params);
    at_once.ledger.expect(keys_max, |_| {});
    let records: Vec<_> = world.journal.iter().map(|record| record.as_ref()).collect();
    at_once.ledger.apply_records(&records).unwrap();
    at_once.tree = copy.tree.clone();
    assert_eq!(at_once.checkpoint(), world.checkpoint());
    audit.head(world.tree.size(), &world.tree.root()).unwrap();
    let report = audit.finish().unwrap();
    assert_eq!((report.entries, report.root), (world.ledger.last().0, world.tree.root()));
    assert_eq!(report.findings, 0);
    assert!(report.keys >= u64::from(world.ledger.keys_count()));
    assert_eq!(report.accounts, u64::try_from(world.ledger.accounts_count()).unwrap());
}

/// Half a year of ledger time: keys come and go, the table stays within its bound.
#[test]
fn keys_come_and_go_without_a_second_execution() {
    let mut random = Random::new(seed());
    let mut world = World::new(Params { keys_max: 300, ..params() });
    world.accept(&super::world::request(Kind::Mint, "a", u128::from(u64::MAX), "start"));
    let mut executed = BTreeMap::new();
    let (mut replayed, mut expired) = (0, 0);
    for step in 0..20_000_u64 {
        world.now = Timestamp::from_millis(world.now.as_millis() + random.below(900_000));
        let sent = world.now.as_millis() + random.below(600_000) - 300_000;
        let mut request = transfer("a", "b", 1, &format!("{step}"));
        request.key.millis = sent;
        if step > 0 && random.below(3) == 0 {
            let old = random.below(step.min(400)) + 1;
            request = *executed.get(&(step - old)).unwrap_or(&request);
        }
        match world.send(&request) {
            Fate::Entry(_) => {
                let twice = executed.values().any(|done: &Request| done.key == request.key);
                assert!(!twice, "{request:?}");
                executed.insert(step, request);
                executed.retain(|done, _| step - done < 500);
            }
            Fate::Replayed(_) => replayed += 1,
            Fate::Declined(declined) => {
                assert_eq!(declined.reason, Reason::IdemExpired);
                expired += 1;
            }
        }
        assert!(world.ledger.keys_count() <= 300);
    }
    assert!(replayed > 1000 && expired > 1000, "{replayed} {expired}");
    world.ledger.check();
    let taken = matches!(world.send_slice(&slice(1, 1, [0; 32])), SliceDecision::Take(_));
    assert!(taken);
    replays_to_the_same_state(&world, Params { keys_max: 300, ..params() });
}
