//! A ledger's real threads on a directory, and what is asked of them.

use std::path::Path;

use disk::{Direct, Io};
use engine::{Birth, CommitMethod, CommitObserver, LedgerParams, LedgerRole, StoreParams, monotonic};
use model::{
    AccountName, Amount, Asset, IdemKey, Kind, LedgerId, Nanos, Outcome, Preconditions, Reason, Request, Seq,
    Text, Timestamp,
};
use wire::{Ask, Call, CallId, Found, Group, ReadAsk, ReadCall};

/// How long anything may take on the slowest machine.
const PATIENCE: Nanos = Nanos::from_secs(60);

/// Starts a ledger with segments of 1 MiB.
pub(super) fn start(directory: &Path, io: Io, observer: Box<dyn CommitObserver>) -> LedgerRole {
    start_on(directory, None, io, observer)
}

/// The same, with this commit method.
pub(super) fn start_with(
    directory: &Path,
    io: Io,
    commit: CommitMethod,
    observer: Box<dyn CommitObserver>,
) -> LedgerRole {
    start_params(directory, None, (io, commit), observer)
}

/// The same, with a mirror.
pub(super) fn start_on(
    directory: &Path,
    mirror: Option<&Path>,
    io: Io,
    observer: Box<dyn CommitObserver>,
) -> LedgerRole {
    start_params(directory, mirror, (io, CommitMethod::Dsync), observer)
}

fn start_params(
    directory: &Path,
    mirror: Option<&Path>,
    (io, commit): (Io, CommitMethod),
    observer: Box<dyn CommitObserver>,
) -> LedgerRole {
    let store = StoreParams {
        directory: directory.into(),
        hash: ledger::HashKind::Blake3,
        segment_bytes: 1 << 20,
        accounts_max: 1_000,
        keys_max: 1_000_000,
        direct: Direct::Preferred,
        mirror: mirror.map(Path::to_path_buf),
    };
    let params = LedgerParams {
        store,
        io,
        commit,
        frames_in_flight: 4,
        core: None,
        spin: false,
        batch_max_entries: 8_190,
        ingress: 64,
        slice_lanes: 0,
        max_forward_jump: Nanos::from_secs(86_400),
    };
    let birth = Birth {
        ledger: LedgerId([7; 16]),
        frame_key: [8; 32],
        ledger_secret: [9; 32],
        created: Timestamp::from_millis(1),
    };
    let signer = ledger::NoteSigner::new("example.test/ledger", &[1; 32]).expect("a good name");
    LedgerRole::start(&params, &birth, signer, observer).expect("it opens")
}

/// Gives `alice` more than any test here spends.
pub(super) fn fund(role: &LedgerRole) {
    let outcome = decide(role, request(Kind::Mint, "@issuance", "alice", 1 << 40, "fund"));
    assert!(matches!(outcome, Outcome::Decided { .. }), "{outcome:?}");
}

/// Asks for so many payments at once, under keys that begin with `round`; every one is taken.
pub(super) fn pay_together(role: &LedgerRole, round: &str, count: u64) {
    for number in 0..count {
        let request = request(Kind::Transfer, "alice", "bob", 1, &format!("{round}-{number}"));
        let group = Group { requests: vec![request], atomic: false };
        role.money.ask(Call::new(CallId(number), Ask::Money(group))).expect("there is room");
    }
    for _ in 0..count {
        let answer = until("an answer", || role.money.answer());
        assert!(matches!(answer.outcomes[..], [Outcome::Decided { .. }]), "{:?}", answer.outcomes);
    }
}

/// Pays one unit from `alice` to `bob` under this key.
pub(super) fn pay(role: &LedgerRole, key: &str) -> Outcome {
    decide(role, request(Kind::Transfer, "alice", "bob", 1, key))
}

fn decide(role: &LedgerRole, request: Request) -> Outcome {
    let group = Group { requests: vec![request], atomic: false };
    role.money.ask(Call::new(CallId(1), Ask::Money(group))).expect("there is room");
    let answer = until("an answer", || role.money.answer());
    answer.outcomes.into_iter().next().expect("one outcome for one request")
}

/// What the reader answers.
pub(super) fn read(role: &LedgerRole, ask: ReadAsk) -> Found {
    role.reads.ask(ReadCall { id: CallId(9), ask }).expect("there is room");
    until("a read", || role.reads.answer()).found
}

/// The balance of `bob`, zero before his account is open.
pub(super) fn paid(role: &LedgerRole) -> i128 {
    paid_or_refused(role).expect("it can be read")
}

/// The same; `None` if the reader refuses because of safe mode.
pub(super) fn paid_or_refused(role: &LedgerRole) -> Option<i128> {
    let ask = ReadAsk::Account(name("bob"), Asset::parse("ron").expect("a good asset"));
    let found = read(role, ask);
    if found == Found::Refused(Reason::SafeMode) {
        return None;
    }
    let Found::Account(account) = found else { panic!("{found:?}") };
    Some(account.map_or(0, |account| account.balance.units()))
}

/// The last entry that is durable.
pub(super) fn durable(role: &LedgerRole) -> Seq {
    Seq(role.board.durable())
}

/// Whether the outcome is a refusal for this reason that leaves nothing.
pub(super) fn declined(outcome: &Outcome, reason: Reason) -> bool {
    matches!(outcome, Outcome::Declined(declined) if declined.reason == reason)
}

/// Looks until something is there.
pub(super) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = monotonic();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(monotonic().since(begun) < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::yield_now();
    }
}

fn name(name: &str) -> AccountName {
    AccountName::parse(name).expect("a good name")
}

fn request(kind: Kind, debit: &str, credit: &str, amount: u128, key: &str) -> Request {
    Request {
        kind,
        debit: name(debit),
        credit: name(credit),
        asset: Asset::parse("ron").expect("a good asset"),
        amount: Amount::new(amount).expect("a small amount"),
        key: IdemKey::new("tests", key, 0),
        preconditions: Preconditions::default(),
        reference: Text::EMPTY,
        idx: 0,
    }
}
