//! The real threads on a real directory: answers are durable, restarts lose nothing.

use std::path::{Path, PathBuf};

use model::{
    AccountName, Amount, Asset, IdemKey, Kind, LedgerId, Outcome, Preconditions, Reason, Request, Seq, Text,
    Timestamp,
};
use wire::{Ask, CallId, Found, Group, ReadAsk};

use disk::Direct;

use super::*;
use crate::commit_loop::NoObserver;

mod history;

/// A directory that is gone when the test is over.
pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    pub(super) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("macronode-role-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&path));
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn start(directory: &Path, io: Io) -> LedgerRole {
    start_with(directory, io, |_| {})
}

fn start_with(directory: &Path, io: Io, change: impl FnOnce(&mut LedgerParams)) -> LedgerRole {
    try_start(directory, io, change).unwrap()
}

pub(super) fn try_start(
    directory: &Path,
    io: Io,
    change: impl FnOnce(&mut LedgerParams),
) -> Result<LedgerRole, OpenError> {
    let store = StoreParams {
        directory: directory.into(),
        hash: ledger::HashKind::Sha256,
        segment_bytes: 1 << 20,
        accounts_max: 10_000,
        keys_max: 100_000,
        direct: Direct::Preferred,
        mirror: None,
    };
    let mut params = LedgerParams {
        store,
        io,
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
        created: Timestamp::from_millis(1),
    };
    let signer = ledger::NoteSigner::new("example.test/ledger", &[1; 32]).unwrap();
    change(&mut params);
    LedgerRole::start(&params, &birth, signer, Box::new(NoObserver))
}

pub(super) fn request(kind: Kind, debit: &str, credit: &str, amount: u128, key: &str) -> Request {
    Request {
        kind,
        debit: AccountName::parse(debit).unwrap(),
        credit: AccountName::parse(credit).unwrap(),
        asset: Asset::parse("ron").unwrap(),
        amount: Amount::new(amount).unwrap(),
        key: IdemKey::new("tests", key, 0),
        preconditions: Preconditions::default(),
        reference: Text::EMPTY,
        idx: 0,
    }
}

pub(super) fn ask(role: &LedgerRole, requests: Vec<Request>) -> Answer {
    let call = Call::new(CallId(1), Ask::Money(Group { requests, atomic: false }));
    role.money.ask(call).expect("there is room");
    wait(|| role.money.answer())
}

fn wait<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let begun = clock::monotonic();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(clock::monotonic().since(begun) < Nanos::from_secs(20), "no answer within 20 s");
        std::thread::yield_now();
    }
}

fn read(role: &LedgerRole, ask: ReadAsk) -> Found {
    role.reads.ask(ReadCall { id: CallId(9), ask }).expect("there is room");
    wait(|| role.reads.answer()).found
}

pub(super) fn balance(role: &LedgerRole, name: &str) -> i128 {
    let ask = ReadAsk::Account(AccountName::parse(name).unwrap(), Asset::parse("ron").unwrap());
    let Found::Account(Some(account)) = read(role, ask) else { panic!("{name} is not open") };
    account.balance.units()
}

fn seq_of(outcome: &Outcome) -> Seq {
    let Outcome::Decided { posting, .. } = outcome else { panic!("{outcome:?}") };
    posting.head.seq
}

fn life(directory: &Path, io: Io) {
    let role = start(directory, io);
    assert!(role.report.store.created);
    let minted = ask(&role, vec![request(Kind::Mint, "@issuance", "alice", 1_000, "m")]);
    assert_eq!(minted.committed.size, seq_of(&minted.outcomes[0]).0);
    for number in 0..300 {
        ask(&role, vec![request(Kind::Transfer, "alice", "bob", 1, &format!("t{number}"))]);
    }
    let short = ask(&role, vec![request(Kind::Transfer, "bob", "alice", 1_000_000, "short")]);
    let Outcome::Decided { posting, .. } = &short.outcomes[0] else { panic!("{short:?}") };
    assert_eq!(posting.head.reason, Some(Reason::InsufficientFunds));
    let again = ask(&role, vec![request(Kind::Transfer, "alice", "bob", 1, "t7")]);
    assert!(matches!(again.outcomes[0], Outcome::Replayed { .. }), "{again:?}");
    assert_eq!(balance(&role, "bob"), 300);
    assert_eq!(role.board.committed().size, short.committed.size);
    let Found::Roots(roots) = read(&role, ReadAsk::Roots { since: Seq::ZERO, limit: 1_000 }) else {
        panic!()
    };
    assert_eq!(roots.last().unwrap().root, short.committed.root);
    assert!(role.stop());

    let role = start(directory, io);
    assert!(!role.report.store.created);
    assert_eq!(role.report.store.frames, 0, "a clean stop leaves nothing to replay");
    assert_eq!(balance(&role, "alice"), 700);
    let Found::EntryProof(Some(proof)) = read(&role, ReadAsk::EntryProof(Seq(minted.committed.size))) else {
        panic!()
    };
    assert_eq!(proof.entry.posting.head.kind, Kind::Mint);
    assert!(proof.checkpoint.note.contains("example.test/ledger\n"), "{}", proof.checkpoint.note);
    let again = ask(&role, vec![request(Kind::Transfer, "alice", "bob", 1, "t8")]);
    assert!(matches!(again.outcomes[0], Outcome::Replayed { .. }), "{again:?}");
    let after = ask(&role, vec![request(Kind::Transfer, "alice", "bob", 1, "new")]);
    assert_eq!(seq_of(&after.outcomes[0]).0, short.committed.size + 1);
    assert!(role.stop());
}

#[test]
fn a_ledger_lives_through_a_restart_on_a_ring() {
    disk::raise_memlock().ok();
    life(&Scratch::new("uring").0, Io::Auto);
}

#[test]
fn a_ledger_lives_through_a_restart_on_pwritev2() {
    life(&Scratch::new("pwrite").0, Io::Pwrite);
}

#[test]
fn a_second_ledger_in_the_same_directory_is_refused() {
    let scratch = Scratch::new("locked");
    let role = start(&scratch.0, Io::Auto);
    let second = std::panic::catch_unwind(|| start(&scratch.0, Io::Auto));
    assert!(second.is_err());
    assert!(role.stop());
}

#[test]
fn bulk_groups_fill_segments_and_survive() {
    disk::raise_memlock().ok();
    let scratch = Scratch::new("bulk");
    let role = start(&scratch.0, Io::Auto);
    ask(&role, vec![request(Kind::Mint, "@issuance", "alice", 1_000_000, "m")]);
    for round in 0..8 {
        let transfers: Vec<_> = (0..1_000)
            .map(|number| request(Kind::Transfer, "alice", "bob", 1, &format!("{round}-{number}")))
            .collect();
        let answer = ask(&role, transfers);
        assert!(answer.outcomes.iter().all(|outcome| matches!(outcome, Outcome::Decided { .. })));
    }
    assert_eq!(balance(&role, "bob"), 8_000);
    assert!(role.stop());
    let role = start(&scratch.0, Io::Auto);
    assert_eq!(balance(&role, "bob"), 8_000);
    assert!(role.stop());
}

/// Pays one unit `count` times in groups, each under its own key.
fn pay_in_bulk(role: &LedgerRole, round: &str, count: usize) {
    let transfers = (0..count)
        .map(|number| request(Kind::Transfer, "alice", "bob", 1, &format!("{round}-{number}")))
        .collect();
    let answer = ask(role, transfers);
    assert!(answer.outcomes.iter().all(|outcome| matches!(outcome, Outcome::Decided { .. })));
}

#[test]
fn checkpoints_are_made_while_running_and_bound_what_a_kill_costs() {
    disk::raise_memlock().ok();
    let scratch = Scratch::new("checkpoints");
    let large = |params: &mut LedgerParams| {
        params.store.segment_bytes = 16 << 20;
        params.store.keys_max = 2_000_000;
    };
    let role = start_with(&scratch.0, Io::Auto, large);
    ask(&role, vec![request(Kind::Mint, "@issuance", "alice", 1_000_000, "m")]);
    let names = || std::fs::read_dir(scratch.0.join("checkpoints")).unwrap().count();
    let mut rounds = 0;
    while names() == 0 {
        pay_in_bulk(&role, &rounds.to_string(), 4_000);
        rounds += 1;
        assert!(rounds < 200, "no checkpoint after {rounds} rounds");
        assert_eq!(balance(&role, "bob"), rounds * 4_000, "reads go on");
    }
    // As a kill would leave it: a copy of the files while the ledger runs. What is copied of a frame in
    // flight is torn; there is none.
    let copy = Scratch::new("checkpoints-copy");
    copy_tree(&scratch.0, &copy.0);
    assert!(role.stop());
    let role = start_with(&copy.0, Io::Auto, large);
    assert!(role.report.store.checkpoint_entries >= 100_000, "{:?}", role.report.store);
    assert_eq!(balance(&role, "bob"), rounds * 4_000);
    let again = ask(&role, vec![request(Kind::Transfer, "alice", "bob", 1, "0-7")]);
    assert!(matches!(again.outcomes[0], Outcome::Replayed { .. }), "{again:?}");
    assert!(role.stop());
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}

#[test]
fn a_group_that_no_frame_holds_is_refused_and_blocks_nobody() {
    let scratch = Scratch::new("misfit");
    let role = start(&scratch.0, Io::Pwrite);
    ask(&role, vec![request(Kind::Mint, "@issuance", "alice", 1_000_000, "m")]);
    // Frames are as long as a segment at most, which is 1 MiB here.
    let transfers: Vec<_> =
        (0..4_000).map(|number| request(Kind::Transfer, "alice", "bob", 1, &format!("g-{number}"))).collect();
    let answer = ask(&role, transfers);
    assert!(answer.outcomes.iter().all(|outcome| matches!(
        outcome,
        Outcome::Declined(declined) if declined.reason == Reason::TooLarge
    )));
    pay_in_bulk(&role, "fits", 1);
    assert_eq!(balance(&role, "bob"), 1);
    assert!(role.stop());
}

#[test]
fn bounds_below_what_the_journal_holds_are_told_by_key() {
    let scratch = Scratch::new("bounds");
    let role = start(&scratch.0, Io::Pwrite);
    ask(&role, vec![request(Kind::Mint, "@issuance", "alice", 1_000_000, "m")]);
    let transfers = (0..40)
        .map(|number| request(Kind::Transfer, "alice", &format!("payee-{number}"), 1, &format!("b-{number}")))
        .collect();
    ask(&role, transfers);
    assert!(role.stop());
    for change in [
        |params: &mut LedgerParams| params.store.accounts_max = 10,
        |params: &mut LedgerParams| {
            params.store.keys_max = 10;
        },
    ] {
        let error = try_start(&scratch.0, Io::Pwrite, change).unwrap_err();
        assert!(matches!(error, OpenError::Setting { key: "ledger.accounts_max", .. }), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
    let role = start(&scratch.0, Io::Pwrite);
    assert_eq!(balance(&role, "payee-39"), 1);
    assert!(role.stop());
}

#[test]
fn more_segments_than_may_be_open_at_once_are_replayed() {
    let scratch = Scratch::new("segments");
    let role = start(&scratch.0, Io::Pwrite);
    ask(&role, vec![request(Kind::Mint, "@issuance", "alice", 1_000_000, "m")]);
    for round in 0..14 {
        pay_in_bulk(&role, &round.to_string(), 1_300);
        pay_in_bulk(&role, &format!("more-{round}"), 1_300);
    }
    assert!(role.stop());
    // Eight files are open at once (`Segments`).
    assert!(std::fs::read_dir(scratch.0.join("segments")).unwrap().count() > 8);
    std::fs::remove_dir_all(scratch.0.join("checkpoints")).unwrap();
    let role = start(&scratch.0, Io::Pwrite);
    assert_eq!(balance(&role, "bob"), 28 * 1_300);
    // Entries of the oldest and of the newest segment.
    for seq in [3, 20_000, 30_000] {
        let Found::EntryProof(Some(proof)) = read(&role, ReadAsk::EntryProof(Seq(seq))) else { panic!() };
        assert_eq!(proof.entry.posting.head.seq, Seq(seq));
    }
    assert!(role.stop());
}

#[test]
fn a_proof_that_a_damaged_tile_makes_wrong_is_not_given_out() {
    let scratch = Scratch::new("tile");
    let role = start(&scratch.0, Io::Pwrite);
    let from = ask(&role, vec![request(Kind::Mint, "@issuance", "alice", 1_000, "m")]).committed.size;
    let mut to = from;
    for number in 0..20 {
        let transfer = request(Kind::Transfer, "alice", "bob", 1, &format!("t{number}"));
        to = ask(&role, vec![transfer]).committed.size;
    }
    assert!(role.stop());
    let role = start(&scratch.0, Io::Pwrite);
    let consistency = || read(&role, ReadAsk::Consistency { from, to });
    assert!(matches!(consistency(), Found::Consistency(Some(path)) if !path.is_empty()));
    let leaves = scratch.0.join("derived").join("level-0");
    let mut bytes = std::fs::read(&leaves).unwrap();
    bytes[10 * 32] ^= 1;
    std::fs::write(&leaves, bytes).unwrap();
    assert_eq!(consistency(), Found::Behind, "no wrong one, and not one that is not there");
    for number in 20..40 {
        // Frames that come while the tiles are derived anew are in them too.
        let transfer = request(Kind::Transfer, "alice", "bob", 1, &format!("t{number}"));
        ask(&role, vec![transfer]);
    }
    let found = wait(|| Some(consistency()).filter(|found| *found != Found::Behind));
    assert!(matches!(found, Found::Consistency(Some(path)) if !path.is_empty()));
    wait(|| (!role.board.status(clock::monotonic(), 0, 0).health.derived_lost).then_some(()));
    let last = role.board.committed().size;
    for seq in [1, to, last] {
        let Found::EntryProof(Some(proof)) = read(&role, ReadAsk::EntryProof(Seq(seq))) else { panic!() };
        assert_eq!(proof.entry.posting.head.seq, Seq(seq));
    }
    assert!(role.stop());
    let role = start(&scratch.0, Io::Pwrite);
    assert_eq!(role.report.store.frames, 0, "what was derived anew is there at the next start");
    assert!(role.stop());
}

#[test]
fn a_replay_believes_leaves_only_as_far_as_the_journal_bears_them_out() {
    let scratch = Scratch::new("hints");
    let role = start(&scratch.0, Io::Auto);
    ask(&role, vec![request(Kind::Mint, "@issuance", "alice", 1_000_000, "m")]);
    for round in 0..20 {
        let transfers = (0..100)
            .map(|number| request(Kind::Transfer, "alice", "bob", 1, &format!("{round}-{number}")))
            .collect();
        ask(&role, transfers);
    }
    assert!(role.stop());
    let level = scratch.0.join("derived/level-0");
    let whole = std::fs::read(&level).unwrap();
    let mut damaged = whole.clone();
    damaged[1_000 * 32] ^= 1;
    let short = whole[..1_500 * 32 + 7].to_vec();
    let longer = [whole.clone(), vec![9; 64_000]].concat();
    for leaves in [whole.clone(), damaged, short, longer, Vec::new()] {
        std::fs::remove_dir_all(scratch.0.join("checkpoints")).unwrap();
        std::fs::write(&level, leaves).unwrap();
        let role = start(&scratch.0, Io::Auto);
        assert!(role.report.store.frames > 20, "replayed from the beginning: {:?}", role.report.store);
        assert_eq!(balance(&role, "bob"), 2_000);
        let Found::EntryProof(Some(proof)) = read(&role, ReadAsk::EntryProof(Seq(1_001))) else { panic!() };
        assert_eq!(proof.leaf_data.len(), 152);
        let again = ask(&role, vec![request(Kind::Transfer, "alice", "bob", 1, "0-0")]);
        assert!(
            matches!(again.outcomes[0], Outcome::Replayed { .. }),
            "both copies know the keys: {again:?}"
        );
        assert!(role.stop());
        assert!(std::fs::read(&level).unwrap() == whole, "the tiles are right again");
    }
}
