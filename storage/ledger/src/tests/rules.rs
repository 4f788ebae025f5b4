//! Every rule and every reason that can be reached, each from the same small world.

use alloc::vec::Vec;

use model::{
    Amount, Asset, Balance, IdemKey, Kind, Preconditions, Reason, Request, Seq, Text, Timestamp,
    limits::KEY_AHEAD_MILLIS_MAX,
};

use super::world::{Fate, START_MILLIS, World, account, asset, params, request, transfer};
use crate::{Effect, Error, KEY_RETENTION_MILLIS, Params};

/// What a request in the world of `with_money` comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Accepted,
    Refused(Reason),
    Declined(Reason, u128),
}

fn with(base: Request, preconditions: Preconditions) -> Request {
    Request { preconditions, ..base }
}

fn amount(units: u128) -> Option<Amount> {
    Amount::new(units)
}

/// Each case alone, in a world in which `a` has 1000 and `b` 500.
fn check(cases: &[(&str, Request, Expected)]) {
    for (name, request, expected) in cases {
        let mut world = World::with_money();
        let before = world.checkpoint();
        let fate = world.send(request);
        let found = match fate {
            Fate::Entry(entry) => entry.head.reason.map_or(Expected::Accepted, Expected::Refused),
            Fate::Declined(declined) => Expected::Declined(declined.reason, declined.number),
            Fate::Replayed(_) => panic!("{name}: the key is new"),
        };
        assert_eq!(found, *expected, "{name}");
        world.ledger.check();
        match fate {
            Fate::Entry(entry) => {
                assert_eq!(world.ledger.key(&request.key.digest).unwrap().seq, entry.head.seq);
                assert_eq!(world.send(request), Fate::Replayed(entry.head.seq), "{name}");
                let other = Request { reference: Text::new("other").unwrap(), ..*request };
                assert!(
                    matches!(world.send(&other), Fate::Declined(why) if why.reason == Reason::IdemConflict)
                );
            }
            Fate::Declined(_) | Fate::Replayed(_) => assert_eq!(world.checkpoint(), before, "{name}"),
        }
    }
}

#[test]
fn each_accepted_or_frozen_request_is_what_its_rule_says() {
    use Expected::{Accepted, Declined, Refused};
    let nonce = |nonce| Preconditions { nonce: Some(nonce), ..Preconditions::default() };
    let if_seq = |seq| Preconditions { if_seq: Some(seq), ..Preconditions::default() };
    let if_balance = |least| Preconditions { if_balance_at_least: amount(least), ..Preconditions::default() };
    check(&[
        ("transfer", transfer("a", "b", 1, "k"), Accepted),
        ("transfer of all", transfer("a", "b", 1000, "k"), Accepted),
        ("transfer to a new account", transfer("a", "c", 1, "k"), Accepted),
        ("mint", request(Kind::Mint, "a", 5, "k"), Accepted),
        ("burn", request(Kind::Burn, "a", 5, "k"), Accepted),
        ("credit", request(Kind::Credit, "c", 5, "k"), Accepted),
        ("debit", request(Kind::Debit, "a", 5, "k"), Accepted),
        ("too much", transfer("a", "b", 1001, "k"), Refused(Reason::InsufficientFunds)),
        ("burn too much", request(Kind::Burn, "a", 1001, "k"), Refused(Reason::InsufficientFunds)),
        ("debit too much", request(Kind::Debit, "a", 1001, "k"), Refused(Reason::InsufficientFunds)),
        ("to itself", transfer("a", "a", 1, "k"), Refused(Reason::AccountConflict)),
        ("from nobody", transfer("nobody", "b", 1, "k"), Refused(Reason::NotFound)),
        ("nonce", with(transfer("a", "b", 1, "k"), nonce(1)), Accepted),
        ("old nonce", with(transfer("a", "b", 1, "k"), nonce(0)), Refused(Reason::NonceConflict)),
        ("far nonce", with(transfer("a", "b", 1, "k"), nonce(2)), Refused(Reason::NonceConflict)),
        ("if_seq", with(transfer("a", "b", 1, "k"), if_seq(1)), Accepted),
        ("old if_seq", with(transfer("a", "b", 1, "k"), if_seq(0)), Refused(Reason::PreconditionFailed)),
        ("if_seq of a mint", with(request(Kind::Mint, "c", 1, "k"), if_seq(0)), Accepted),
        ("if_balance", with(transfer("a", "b", 1, "k"), if_balance(1000)), Accepted),
        (
            "if_balance",
            with(transfer("a", "b", 1, "k"), if_balance(1001)),
            Refused(Reason::PreconditionFailed),
        ),
        ("known key", transfer("a", "b", 1, "start-a"), Declined(Reason::IdemConflict, 3)),
    ]);
}

#[test]
fn the_ledgers_own_accounts_stand_where_the_kind_puts_them() {
    let of_kind = |kind| Request { kind, ..transfer("a", "b", 1, "k") };
    let no_key = IdemKey { digest: [0; 16], millis: 0 };
    let denied = Expected::Declined(Reason::PolicyDenied, 0);
    check(&[
        ("nothing", transfer("a", "b", 0, "k"), denied),
        ("no asset", Request { asset: Asset::NONE, ..transfer("a", "b", 1, "k") }, denied),
        ("no key", Request { key: no_key, ..transfer("a", "b", 1, "k") }, denied),
        ("transfer from issuance", transfer("@issuance", "b", 1, "k"), denied),
        ("transfer to issuance", transfer("a", "@issuance", 1, "k"), denied),
        ("transfer from outside", transfer("@external", "b", 1, "k"), denied),
        ("transfer to outside", transfer("a", "@external", 1, "k"), denied),
        ("mint from an account", of_kind(Kind::Mint), denied),
        ("burn to an account", of_kind(Kind::Burn), denied),
        ("credit from an account", of_kind(Kind::Credit), denied),
        ("debit to an account", of_kind(Kind::Debit), denied),
        (
            "mint for outside",
            Request { kind: Kind::Mint, ..transfer("@issuance", "@external", 1, "k") },
            denied,
        ),
        ("mint from outside", Request { kind: Kind::Mint, ..transfer("@external", "a", 1, "k") }, denied),
    ]);
}

#[test]
fn kinds_without_rules_are_unknown() {
    let of_kind = |kind| Request { kind, ..transfer("a", "b", 1, "k") };
    let unknown = Expected::Declined(Reason::UnknownKind, 0);
    check(&[
        ("hold", of_kind(Kind::Hold), unknown),
        ("capture", of_kind(Kind::Capture), unknown),
        ("release", of_kind(Kind::Release), unknown),
        ("reverse", of_kind(Kind::Reverse), unknown),
        ("open", of_kind(Kind::Open), unknown),
        ("flag", of_kind(Kind::Flag), unknown),
        ("usage", of_kind(Kind::Usage), unknown),
        ("usage_loss", of_kind(Kind::UsageLoss), unknown),
        ("refused", of_kind(Kind::Refused), unknown),
        ("horizon", of_kind(Kind::Horizon), unknown),
    ]);
}

#[test]
fn an_entry_carries_both_sides_as_it_left_them() {
    let mut world = World::with_money();
    let paid = world.accept(&Request {
        reference: Text::new("order-17").unwrap(),
        idx: 4,
        ..transfer("a", "b", 250, "pay")
    });
    assert_eq!((paid.head.seq, paid.head.idx, paid.amount.units()), (Seq(6), 4, 250));
    assert_eq!((paid.debit.account, paid.debit.seq, paid.debit.balance.units()), (account("a").id(), 2, 750));
    assert_eq!(
        (paid.credit.account, paid.credit.seq, paid.credit.balance.units()),
        (account("b").id(), 2, 750)
    );
    assert_eq!((paid.nonce, paid.ext.unwrap().text.as_str()), (1, "order-17"));
    assert_ne!(paid.debit_blind, paid.credit_blind);

    let refused = match world.send(&transfer("a", "b", 751, "again")) {
        Fate::Entry(entry) => entry,
        other => panic!("{other:?}"),
    };
    assert_eq!((refused.head.kind, refused.head.op), (Kind::Refused, Kind::Transfer));
    assert_eq!(refused.head.reason, Some(Reason::InsufficientFunds));
    assert_eq!((refused.debit, refused.credit), (paid.debit, paid.credit), "as they stood");
    assert_eq!((refused.nonce, refused.amount.units()), (1, 751));
    assert_eq!(world.ledger.nonce(account("a").id()), Some(1), "a refusal does not advance the nonce");
}

#[test]
fn new_accounts_are_opened_in_the_entries_before() {
    let mut world = World::new(params());
    world.accept(&request(Kind::Mint, "a", 1000, "mint"));
    let kinds: Vec<_> = world.journal.iter().map(|record| record.as_ref().head().kind).collect();
    assert_eq!(kinds, [Kind::Open, Kind::Open, Kind::Mint]);
    assert_eq!(world.ledger.name(account("a").id()), Some(account("a")));
    assert_eq!(world.balance("@issuance"), -1000);
    assert_eq!(world.balance("a"), 1000);
    world.accept(&Request { asset: asset("usd"), ..request(Kind::Mint, "a", 3, "usd") });
    assert_eq!((world.ledger.last(), world.ledger.names_count()), (Seq(4), 2), "a name is opened once");
    assert_eq!(world.ledger.accounts_count(), 4);
    let nothing = transfer("a", "b", 1, "other asset");
    let refused = world.send(&Request { asset: asset("eur"), ..nothing });
    assert!(matches!(refused, Fate::Entry(entry) if entry.head.reason == Some(Reason::InsufficientFunds)));
    assert_eq!(world.ledger.name(account("b").id()), None, "a refusal opens nothing");
}

/// The nonce counts per account over its assets, and only what its owner began.
#[test]
fn nonces_count_what_the_owner_began() {
    let mut world = World::with_money();
    let nonce = |world: &World, who: &str| world.ledger.nonce(account(who).id()).unwrap();
    let named = Preconditions { nonce: Some(1), ..Preconditions::default() };
    assert_eq!(nonce(&world, "a"), 0, "a mint is begun by the issuer");
    world.accept(&with(request(Kind::Mint, "a", 1, "named"), named));
    assert_eq!(nonce(&world, "a"), 1, "a nonce that was named is used up");
    world.accept(&Request { asset: asset("usd"), ..request(Kind::Credit, "a", 7, "usd") });
    world.accept(&Request { asset: asset("usd"), ..transfer("a", "b", 7, "usd out") });
    world.accept(&request(Kind::Burn, "a", 1, "burn"));
    world.accept(&request(Kind::Debit, "a", 1, "debit"));
    assert_eq!((nonce(&world, "a"), nonce(&world, "b")), (4, 0));
    let stale = with(transfer("a", "b", 1, "stale"), named);
    match world.send(&stale) {
        Fate::Entry(entry) => assert_eq!((entry.head.reason, entry.nonce), (Some(Reason::NonceConflict), 5)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_racers_with_one_if_seq_have_one_winner() {
    let mut world = World::with_money();
    let if_seq = Preconditions { if_seq: Some(1), ..Preconditions::default() };
    let fates = ["one", "two"].map(|key| world.send(&with(transfer("a", "b", 600, key), if_seq)));
    let reasons = fates.map(|fate| match fate {
        Fate::Entry(entry) => entry.head.reason,
        other => panic!("{other:?}"),
    });
    assert_eq!(reasons, [None, Some(Reason::PreconditionFailed)]);
}

#[test]
fn supply_and_balances_stop_at_their_limits() {
    let mut world = World::new(params());
    let rounds = (1_u32 << 16) - 1;
    let mint = |round: u32| request(Kind::Mint, "a", Amount::MAX.units(), &std::format!("{round}"));
    for round in 0..=rounds {
        world.accept(&mint(round));
    }
    let room = Balance::LIMIT - world.balance("a");
    assert_eq!(room, i128::from(rounds), "2^16 mints of 2^96 - 1 leave 2^16 - 1 below 2^112 - 1");
    let over = u128::try_from(room).unwrap() + 1;
    match world.send(&request(Kind::Mint, "b", over, "over")) {
        Fate::Entry(entry) => assert_eq!(entry.head.reason, Some(Reason::Overflow)),
        other => panic!("{other:?}"),
    }
    world.accept(&request(Kind::Mint, "b", over - 1, "exact"));
    match world.send(&request(Kind::Credit, "a", over, "outside")) {
        Fate::Entry(entry) => assert_eq!(entry.head.reason, Some(Reason::Overflow)),
        other => panic!("{other:?}"),
    }
    world.ledger.check();
}

#[test]
fn keys_with_a_time_are_taken_within_their_age_only() {
    let now = START_MILLIS;
    let day = KEY_RETENTION_MILLIS - KEY_AHEAD_MILLIS_MAX;
    for (millis, expected) in [
        (now, None),
        (now - day, None),
        (now - day - 1, Some(now - day)),
        (now + KEY_AHEAD_MILLIS_MAX, None),
        (now + KEY_AHEAD_MILLIS_MAX + 1, Some(now + KEY_AHEAD_MILLIS_MAX)),
    ] {
        let mut world = World::with_money();
        let mut request = transfer("a", "b", 1, "timed");
        request.key.millis = millis;
        match (world.send(&request), expected) {
            (Fate::Entry(entry), None) => assert_eq!(entry.key_millis, millis),
            (Fate::Declined(declined), Some(bound)) => {
                assert_eq!((declined.reason, declined.number), (Reason::IdemExpired, u128::from(bound)));
            }
            other => panic!("{millis}: {other:?}"),
        }
    }
}

#[test]
fn a_key_is_forgotten_only_when_it_would_be_refused() {
    let mut world = World::with_money();
    let mut ahead = transfer("a", "b", 1, "ahead");
    ahead.key.millis = START_MILLIS + KEY_AHEAD_MILLIS_MAX;
    let first = world.accept(&ahead).head.seq;
    let bystander = |world: &mut World, key: &str| world.accept(&request(Kind::Mint, "a", 1, key));
    world.now = Timestamp::from_millis(START_MILLIS + KEY_RETENTION_MILLIS);
    bystander(&mut world, "one");
    assert_eq!(world.send(&ahead), Fate::Replayed(first), "as old as can be");
    world.now = Timestamp::from_millis(START_MILLIS + KEY_RETENTION_MILLIS + 1);
    bystander(&mut world, "two");
    assert_eq!(world.ledger.key(&ahead.key.digest), None);
    assert!(matches!(world.send(&ahead), Fate::Declined(why) if why.reason == Reason::IdemExpired));
    world.ledger.check();
}

#[test]
fn full_tables_decline_and_leave_nothing() {
    let mut world = World::new(Params { accounts_max: 3, keys_max: 2, ..params() });
    world.accept(&request(Kind::Mint, "a", 10, "k1"));
    world.accept(&request(Kind::Mint, "b", 10, "k2"));
    let busy = world.send(&transfer("a", "b", 1, "k3"));
    assert!(matches!(busy, Fate::Declined(why) if (why.reason, why.number) == (Reason::Busy, 2)));
    world.now = Timestamp::from_millis(START_MILLIS + KEY_RETENTION_MILLIS + 1);
    world.accept(&transfer("a", "b", 1, "k3"));
    let quota = world.send(&transfer("a", "c", 1, "k4"));
    assert!(matches!(quota, Fate::Declined(why) if (why.reason, why.number) == (Reason::Quota, 3)));
    world.accept(&transfer("b", "a", 1, "k4"));
    world.ledger.check();
}

/// A second name with the id of the first cannot be made here, so it is recorded by hand.
#[test]
fn what_is_recorded_is_applied_only_if_it_is_possible() {
    let mut world = World::with_money();
    let paid = match world.send(&transfer("a", "c", 250, "pay")) {
        Fate::Entry(_) => world.journal.last().unwrap().as_ref(),
        other => panic!("{other:?}"),
    };
    let model::RecordRef::Posting(paid) = paid else { panic!("not a slice") };
    let mut before = World::with_money();
    let opening = world.journal[5].as_ref();
    let skipped = before.ledger.apply_record(&model::RecordRef::Posting(paid));
    assert_eq!(skipped, Err(Error::OutOfOrder { last: Seq(5), found: Seq(7) }));
    before.ledger.apply_record(&opening).unwrap();
    assert!(before.ledger.apply_record(&opening).is_err());

    type Damage = fn(&mut model::Posting);
    let impossible: [(Effect, Damage); 11] = [
        (Effect::Balance, |paid| paid.amount = Amount::new(251).unwrap()),
        (Effect::Balance, |paid| paid.amount = Amount::ZERO),
        (Effect::Balance, |paid| paid.credit.balance = Balance::ZERO),
        (Effect::Sequence, |paid| paid.debit.seq += 1),
        (Effect::Sequence, |paid| paid.credit.seq = 0),
        (Effect::Held, |paid| paid.debit.held = 1),
        (Effect::Nonce, |paid| paid.nonce += 1),
        (Effect::Account, |paid| paid.debit.account = account("nobody").id()),
        (Effect::Account, |paid| paid.credit.account = paid.debit.account),
        (Effect::Account, |paid| paid.head.kind = Kind::Mint),
        (Effect::Key, |paid| paid.key = IdemKey::new("subject", "start-a", 0).digest),
    ];
    for (effect, damage) in impossible {
        let mut damaged = paid;
        damage(&mut damaged);
        let found = before.ledger.apply_record(&model::RecordRef::Posting(damaged));
        assert_eq!(found, Err(Error::Impossible { seq: Seq(7), effect }));
    }
    let early = model::Posting { head: model::Head { at: Timestamp(1), ..paid.head }, ..paid };
    let found = before.ledger.apply_record(&model::RecordRef::Posting(early));
    assert_eq!(found, Err(Error::TimeBackwards { seq: Seq(7) }));
    let hold = model::Posting { head: model::Head { kind: Kind::Hold, ..paid.head }, ..paid };
    let found = before.ledger.apply_record(&model::RecordRef::Posting(hold));
    assert_eq!(found, Err(Error::UnknownKind { seq: Seq(7), kind: Kind::Hold }));

    before.ledger.apply_record(&model::RecordRef::Posting(paid)).unwrap();
    assert_eq!(before.ledger.account(account("c").id(), asset("ron")).unwrap().balance.units(), 250);
}
