//! `LedgerUnderTest`: the real committer on a real directory, as the `commit` scenario drives it.
//!
//! Holds: callers are threads of their own on another core than the committer's; requests are made
//! before their time begins. A committer that spins would take the core from the bare ring, so it
//! runs only while its block does. Leaves to others: HTTP (`wallet`), what the device does alone
//! (`bare_ring`).

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use engine::{Birth, CommitMethod, CommitObserver, Direct, Io, LedgerParams, LedgerRole, StoreParams};
use ledger::{HashKind, NoteSigner};
use model::limits::GROUP_ENTRIES_MAX;
use model::{
    AccountName, Amount, Asset, IdemKey, Kind, LedgerId, Nanos, Outcome, Preconditions, Request, Text,
};
use wire::{Answer, Ask, Call, CallId, Group};

use crate::affinity::{Pinned, cores};
use crate::bare_ring::Waiting;
use crate::clock::Clock;
use crate::commit::{Batched, Committing, Lone, Plan, Side};
use crate::pace::Latencies;

/// Accounts that money moves between.
const ACCOUNTS: usize = 1_000;
/// What each of them begins with: more than all transfers together can take.
const FUNDS: u128 = 1 << 60;
/// Full batches open at once: one is written while the next is decided.
const BATCHES_OPEN: usize = 3;
/// How long anything may take before the run is given up.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where and how the ledger under test runs.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Its directory; made if it is not there.
    pub directory: PathBuf,
    /// The hash of its tree.
    pub hash: HashKind,
    /// The committer's core.
    pub committer_core: Option<usize>,
    /// The caller's core.
    pub caller_core: Option<usize>,
    /// Bytes of a segment: a block of full batches fits, so that preparing does not run beside it.
    pub segment_bytes: u64,
    /// Entries that the whole run makes at most.
    pub entries_max: usize,
}

/// The ledger with either hash; goals are for the first.
pub const SIDES: [Side; 2] = [
    Side { prefix: "", open: |plan, place| side(plan, place, HashKind::Blake3) },
    Side { prefix: "sha256_", open: |plan, place| side(plan, place, HashKind::Sha256) },
];

fn side(plan: &Plan, place: &Path, hash: HashKind) -> anyhow::Result<Box<dyn Committing>> {
    let system = LedgerUnderTest::open(Setting {
        directory: place.to_path_buf(),
        hash,
        committer_core: plan.core,
        caller_core: cores().into_iter().find(|core| Some(*core) != plan.core),
        segment_bytes: plan.segment_bytes(),
        entries_max: plan.entries_max(),
    })?;
    Ok(Box::new(system))
}

/// What the committer's thread tells of itself.
#[derive(Debug, Default)]
struct Told {
    commits: Latencies,
    bytes: u64,
}

/// Writes down what the committer's thread tells.
struct Scribe(Arc<Mutex<Told>>);

impl CommitObserver for Scribe {
    fn frame(&mut self, nanos: u64, _entries: u64) {
        locked(&self.0).commits.record(0, nanos);
    }

    fn call(&mut self, _nanos: u64) {}

    fn write(&mut self, _nanos: u64, bytes: u64) {
        locked(&self.0).bytes += bytes;
    }
}

/// The real committer.
#[derive(Debug)]
pub struct LedgerUnderTest {
    setting: Setting,
    running: Option<(Waiting, LedgerRole)>,
    told: Arc<Mutex<Told>>,
    accounts: Vec<AccountName>,
    next: u64,
}

impl LedgerUnderTest {
    /// Starts a ledger and gives its accounts their funds.
    ///
    /// # Errors
    /// If it does not start.
    pub fn open(setting: Setting) -> anyhow::Result<Self> {
        let accounts = (0..ACCOUNTS).map(|number| AccountName::parse(&format!("account-{number}")));
        let mut system = Self {
            setting,
            running: None,
            told: Arc::default(),
            accounts: accounts.collect::<Result<_, _>>()?,
            next: 0,
        };
        let issuance = AccountName::issuance();
        let accounts = system.accounts.clone();
        let mints = accounts.into_iter().map(|name| system.request(Kind::Mint, issuance, name, FUNDS));
        let mints = mints.collect::<anyhow::Result<Vec<_>>>()?;
        let call = system.call(mints);
        let role = system.role(Waiting::Sleep)?;
        let answer = Caller { role, waiting: Waiting::Sleep }.settle(call)?;
        check(&answer)?;
        system.await_prepared()?;
        Ok(system)
    }

    fn role(&mut self, waiting: Waiting) -> anyhow::Result<&LedgerRole> {
        if self.running.as_ref().is_some_and(|(as_now, _)| *as_now != waiting) {
            self.close()?;
        }
        if self.running.is_none() {
            let observer = Box::new(Scribe(Arc::clone(&self.told)));
            let role = start(&self.setting, waiting, observer)?;
            self.running = Some((waiting, role));
        }
        Ok(self.running.as_ref().map(|(_, role)| role).expect("started above"))
    }

    fn close(&mut self) -> anyhow::Result<()> {
        if let Some((_, role)) = self.running.take() {
            ensure!(role.stop(), "a write of the ledger under test failed");
        }
        Ok(())
    }

    fn request(
        &mut self,
        kind: Kind,
        debit: AccountName,
        credit: AccountName,
        units: u128,
    ) -> anyhow::Result<Request> {
        self.next += 1;
        Ok(Request {
            kind,
            debit,
            credit,
            asset: Asset::parse("ron")?,
            amount: Amount::new(units).context("an amount below its bound")?,
            key: IdemKey::new("bench", &self.next.to_string(), 0),
            preconditions: Preconditions::default(),
            reference: Text::EMPTY,
            idx: 0,
        })
    }

    /// Transfers between accounts that have no locality.
    fn transfers(&mut self, count: usize) -> anyhow::Result<Vec<Request>> {
        (0..count)
            .map(|_| {
                let from = usize::try_from(self.next.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40)?;
                let debit = *self.accounts.get(from % ACCOUNTS).expect("a remainder");
                let credit = *self.accounts.get((from / 7 + 1 + from) % ACCOUNTS).expect("a remainder");
                let credit = if credit == debit {
                    *self.accounts.get((from + 1) % ACCOUNTS).expect("a remainder")
                } else {
                    credit
                };
                self.request(Kind::Transfer, debit, credit, 1)
            })
            .collect()
    }

    fn call(&mut self, requests: Vec<Request>) -> Call {
        self.next += 1;
        Call::new(CallId(self.next), Ask::Money(Group { requests, atomic: false }))
    }

    fn calls(&mut self, count: u32, entries: usize) -> anyhow::Result<VecDeque<Call>> {
        (0..count)
            .map(|_| {
                let requests = self.transfers(entries)?;
                Ok(self.call(requests))
            })
            .collect()
    }

    fn forget(&self) {
        *locked(&self.told) = Told::default();
    }

    /// Runs `calls` on a thread of its own, `open` at a time; the latency of each and the time that
    /// all took.
    fn run(
        &mut self,
        calls: VecDeque<Call>,
        open: usize,
        waiting: Waiting,
    ) -> anyhow::Result<(Latencies, Duration)> {
        let core = self.setting.caller_core;
        let role = self.role(waiting)?;
        let outcome = std::thread::scope(|scope| {
            let caller = scope.spawn(move || {
                let _pinned = Pinned::to(core);
                Caller { role, waiting }.run(calls, open)
            });
            caller.join().map_err(|_| anyhow::anyhow!("the caller's thread panicked"))?
        })?;
        if waiting == Waiting::Spin {
            self.close()?;
        }
        Ok(outcome)
    }

    /// Waits until the next segments are written full, so that no block runs beside it.
    fn await_prepared(&mut self) -> anyhow::Result<()> {
        let segments = self.setting.directory.join("segments");
        let begun = Clock::start();
        let mut whole_since = None;
        loop {
            let lengths = lengths(&segments)?;
            let whole = lengths.len() > 1 && lengths.iter().all(|len| *len == self.setting.segment_bytes);
            let now = begun.nanos();
            whole_since = if whole { whole_since.or(Some(now)) } else { None };
            if whole_since.is_some_and(|since| now - since >= 50_000_000) {
                return Ok(());
            }
            ensure!(Duration::from_nanos(now) < PATIENCE, "segments are not prepared: {lengths:?}");
            rest(Duration::from_millis(5));
        }
    }
}

impl Committing for LedgerUnderTest {
    fn lone(&mut self, commits: u32, waiting: Waiting) -> anyhow::Result<Lone> {
        let calls = self.calls(commits, 1)?;
        self.role(waiting)?;
        self.forget();
        let (caller, _) = self.run(calls, 1, waiting)?;
        let committer = std::mem::take(&mut locked(&self.told).commits);
        ensure!(committer.count() == u64::from(commits), "each lone commit is one frame");
        Ok(Lone { committer, caller })
    }

    fn deep(&mut self, commits: u32, depth: u16) -> anyhow::Result<f64> {
        let calls = self.calls(commits, 1)?;
        let (_, took) = self.run(calls, usize::from(depth), Waiting::Sleep)?;
        Ok(f64::from(commits) / took.as_secs_f64())
    }

    fn batched(&mut self, batches: u32) -> anyhow::Result<Batched> {
        let calls = self.calls(batches, GROUP_ENTRIES_MAX)?;
        self.role(Waiting::Sleep)?;
        self.forget();
        let (_, took) = self.run(calls, BATCHES_OPEN, Waiting::Sleep)?;
        let bytes = locked(&self.told).bytes;
        self.await_prepared()?;
        let entries = f64::from(batches) * f64::from(u32::try_from(GROUP_ENTRIES_MAX)?);
        let mib = f64::from(u32::try_from(bytes >> 10)?) / 1024.0;
        Ok(Batched {
            entries_per_second: entries / took.as_secs_f64(),
            bytes_per_second: mib * f64::from(1 << 20) / took.as_secs_f64(),
        })
    }
}

impl Drop for LedgerUnderTest {
    fn drop(&mut self) {
        // An error of the run is told already; this one would hide it.
        drop(self.close());
    }
}

/// Asks, and waits for answers.
struct Caller<'a> {
    role: &'a LedgerRole,
    waiting: Waiting,
}

impl Caller<'_> {
    fn run(&self, mut calls: VecDeque<Call>, open: usize) -> anyhow::Result<(Latencies, Duration)> {
        let mut latencies = Latencies::new();
        let mut asked = VecDeque::with_capacity(open);
        let clock = Clock::start();
        while !(calls.is_empty() && asked.is_empty()) {
            while asked.len() < open
                && let Some(call) = calls.pop_front()
            {
                asked.push_back(clock.nanos());
                ensure!(self.role.money.ask(call).is_ok(), "the intake has room for every open call");
            }
            let answer = self.wait(&clock)?;
            // Calls of one lane are answered in their order.
            let began = asked.pop_front().context("an answer without a question")?;
            latencies.record(began, clock.nanos());
            check(&answer)?;
        }
        Ok((latencies, Duration::from_nanos(clock.nanos())))
    }

    fn settle(&self, call: Call) -> anyhow::Result<Answer> {
        ensure!(self.role.money.ask(call).is_ok(), "an idle intake has room");
        self.wait(&Clock::start())
    }

    fn wait(&self, clock: &Clock) -> anyhow::Result<Answer> {
        let source = &self.role.money;
        let begun = clock.nanos();
        loop {
            if let Some(answer) = source.answer() {
                return Ok(answer);
            }
            ensure!(Duration::from_nanos(clock.nanos() - begun) < PATIENCE, "no answer within {PATIENCE:?}");
            match self.waiting {
                Waiting::Sleep => source.answer_bell().wait(Nanos::from_secs(1), || source.has_answer()),
                Waiting::Spin => std::thread::yield_now(),
            }
        }
    }
}

fn start(
    setting: &Setting,
    waiting: Waiting,
    observer: Box<dyn CommitObserver>,
) -> anyhow::Result<LedgerRole> {
    let params = LedgerParams {
        store: StoreParams {
            directory: setting.directory.clone(),
            hash: setting.hash,
            segment_bytes: setting.segment_bytes,
            accounts_max: 4 * ACCOUNTS,
            keys_max: setting.entries_max + 4 * ACCOUNTS,
            direct: Direct::Required,
            mirror: None,
        },
        io: Io::Uring,
        commit: CommitMethod::Dsync,
        frames_in_flight: model::limits::FRAMES_IN_FLIGHT_MAX,
        core: setting.committer_core,
        spin: waiting == Waiting::Spin,
        batch_max_entries: GROUP_ENTRIES_MAX,
        ingress: 64,
        slice_lanes: 0,
        max_forward_jump: Nanos::from_secs(86_400),
    };
    // The keys of a ledger that is thrown away: nothing is kept from anyone by them.
    let birth = Birth {
        ledger: LedgerId(*b"ron-bench commit"),
        frame_key: [1; 32],
        ledger_secret: [2; 32],
        created: engine::wall(),
    };
    let signer = NoteSigner::new("bench.invalid/ledger", &[3; 32])?;
    LedgerRole::start(&params, &birth, signer, observer).context("the ledger under test")
}

/// Every entry of the answer was accepted.
fn check(answer: &Answer) -> anyhow::Result<()> {
    let is_decided = |outcome: &Outcome| matches!(outcome, Outcome::Decided { posting, .. } if posting.head.reason.is_none());
    let refused = answer.outcomes.iter().find(|outcome| !is_decided(outcome));
    ensure!(refused.is_none() && !answer.outcomes.is_empty(), "not accepted: {refused:?}");
    Ok(())
}

fn lengths(directory: &Path) -> anyhow::Result<Vec<u64>> {
    std::fs::read_dir(directory)?.map(|entry| Ok(entry?.metadata()?.len())).collect()
}

#[expect(clippy::disallowed_methods, reason = "waits for another thread's files, with a deadline")]
fn rest(span: Duration) {
    std::thread::sleep(span);
}

fn locked(told: &Mutex<Told>) -> std::sync::MutexGuard<'_, Told> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}
