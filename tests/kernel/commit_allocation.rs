//! The committer's loop allocates nothing for an entry: counted on its own thread, in every turn.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use engine::{Birth, CommitMethod, CommitObserver, Direct, Io, LedgerParams, LedgerRole, StoreParams};
use model::{
    AccountName, Amount, Asset, IdemKey, Kind, LedgerId, Nanos, Outcome, Preconditions, Request, Text,
};
use wire::{Ask, Call, CallId, Group};

/// Entries before counting begins: every table and list has been used by then.
const WARMING: u64 = 2_000;
/// Entries that are counted.
const COUNTED: u64 = 6_000;

/// What the committer's thread counted. A static, because a turn is called through a plain function;
/// the tests of this file take turns at it.
static COUNTER: Counter =
    Counter { armed: AtomicBool::new(false), turns: AtomicU64::new(0), allocations: AtomicU64::new(0) };
static TAKEN: std::sync::Mutex<()> = std::sync::Mutex::new(());

struct Counter {
    armed: AtomicBool,
    turns: AtomicU64,
    allocations: AtomicU64,
}

fn counted(turn: &mut dyn FnMut()) {
    let info = allocation_counter::measure(turn);
    if COUNTER.armed.load(Ordering::Acquire) {
        COUNTER.turns.fetch_add(1, Ordering::Relaxed);
        COUNTER.allocations.fetch_add(info.count_total, Ordering::Release);
    }
}

/// Counts; and allocates for each frame, if it is the canary.
struct Watcher {
    canary: bool,
}

impl CommitObserver for Watcher {
    fn frame(&mut self, nanos: u64, _entries: u64) {
        if self.canary {
            drop(std::hint::black_box(Box::new(nanos)));
        }
    }

    fn call(&mut self, _nanos: u64) {}

    fn write(&mut self, _nanos: u64, _bytes: u64) {}

    fn around(&self) -> fn(&mut dyn FnMut()) {
        counted
    }
}

fn start(directory: &std::path::Path, canary: bool) -> LedgerRole {
    let params = LedgerParams {
        store: StoreParams {
            directory: directory.into(),
            hash: ledger::HashKind::Blake3,
            segment_bytes: 16 << 20,
            accounts_max: 1_000,
            keys_max: 20_000,
            direct: Direct::Preferred,
            mirror: None,
        },
        io: Io::Auto,
        commit: CommitMethod::Dsync,
        frames_in_flight: 4,
        core: None,
        spin: false,
        batch_max_entries: 8_190,
        ingress: 64,
        slice_lanes: 1,
        max_forward_jump: Nanos::from_secs(86_400),
    };
    let birth = Birth {
        ledger: LedgerId([7; 16]),
        frame_key: [8; 32],
        ledger_secret: [9; 32],
        created: engine::wall(),
    };
    let signer =
        ledger::NoteSigner::new("example.test/ledger", &[1; 32]).expect("a name that a log may have");
    LedgerRole::start(&params, &birth, signer, Box::new(Watcher { canary })).expect("the ledger starts")
}

fn request(number: u64) -> Request {
    let name = |number: u64| AccountName::parse(&format!("account-{}", number % 50)).expect("a name");
    let mint = number < 50;
    Request {
        kind: if mint { Kind::Mint } else { Kind::Transfer },
        debit: if mint { AccountName::issuance() } else { name(number / 50) },
        credit: name(if mint { number } else { number / 50 + 1 + number % 49 }),
        asset: Asset::parse("ron").expect("an asset"),
        amount: Amount::new(if mint { 1_000_000 } else { 1 }).expect("an amount"),
        key: IdemKey::new("tests", &number.to_string(), 0),
        preconditions: Preconditions::default(),
        reference: Text::EMPTY,
        idx: 0,
    }
}

/// Sends entries `from..to`, in groups of 1 to 20, up to eight groups open, and takes every answer.
fn drive(role: &LedgerRole, from: u64, to: u64) {
    let (mut next, mut open) = (from, 0_u64);
    let begun = engine::monotonic();
    while next < to || open > 0 {
        while next < to && open < 8 {
            let end = (next + 1 + next % 20).min(to);
            let group = Group { requests: (next..end).map(request).collect(), atomic: false };
            role.money.ask(Call::new(CallId(next), Ask::Money(group))).expect("there is room");
            (next, open) = (end, open + 1);
        }
        role.money.answer_bell().wait(Nanos::from_secs(1), || role.money.has_answer());
        while let Some(answer) = role.money.answer() {
            open -= 1;
            let accepted = |outcome: &Outcome| matches!(outcome, Outcome::Decided { posting, .. } if posting.head.reason.is_none());
            assert!(answer.outcomes.iter().all(accepted), "{:?}", answer.outcomes);
        }
        assert!(engine::monotonic().since(begun) < Nanos::from_secs(120), "no answer within two minutes");
    }
}

/// A directory in memory where there is one: the device is not the subject.
fn memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory")
}

/// Turns and allocations of the committer's thread for `COUNTED` entries after the first ones.
fn count(canary: bool) -> (u64, u64) {
    let _alone = TAKEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let home = memory();
    let role = start(home.path(), canary);
    drive(&role, 0, WARMING);
    COUNTER.turns.store(0, Ordering::Relaxed);
    COUNTER.allocations.store(0, Ordering::Relaxed);
    COUNTER.armed.store(true, Ordering::Release);
    drive(&role, WARMING, WARMING + COUNTED);
    COUNTER.armed.store(false, Ordering::Release);
    assert!(role.stop());
    (COUNTER.turns.load(Ordering::Acquire), COUNTER.allocations.load(Ordering::Acquire))
}

#[test]
fn an_entry_costs_the_committer_no_allocation() {
    let (turns, allocations) = count(false);
    assert!(turns > 0, "the loop was counted");
    assert_eq!(allocations, 0, "in {turns} turns for {COUNTED} entries");
}

/// The same counter sees an observer that allocates for each frame.
#[test]
fn a_committer_that_allocates_is_found() {
    let (turns, allocations) = count(true);
    assert!(allocations > 50, "{allocations} allocations in {turns} turns");
}
