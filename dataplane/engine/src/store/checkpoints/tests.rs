//! Checkpoints of a real ledger, damaged between writing and reading back.

use std::fs;

use model::{
    AccountName, Amount, Asset, IdemKey, Kind, LedgerId, Nanos, Preconditions, Request, Text, Timestamp,
};
use wire::{Ask, Call, CallId, Group};

use super::*;
use crate::{
    LedgerParams, LedgerRole, NoObserver,
    store::{Birth, Replay, UpkeepParams},
};

const KEPT: usize = 3;
const OLD: u64 = 6;
/// One in each frame.
const ENTRIES: u64 = 10;

/// A ledger that has stopped, as its next start finds it.
struct World {
    recipe: Recipe,
    replay: Replay,
    _home: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let params = StoreParams {
            directory: home.path().join("ledger"),
            hash: ledger::HashKind::Sha256,
            segment_bytes: 1 << 20,
            accounts_max: 1_000,
            keys_max: 1_000,
            direct: Direct::Preferred,
            may_release: false,
            upkeep: UpkeepParams { checkpoints_kept: KEPT, ..UpkeepParams::default() },
        };
        let birth = Birth {
            ledger: LedgerId([7; 16]),
            frame_key: [8; 32],
            ledger_secret: [9; 32],
            created: Timestamp::from_millis(1),
        };
        pay(&params, &birth);
        let signer = ledger::NoteSigner::new("example.test/ledger", &[1; 32]).unwrap();
        let log_key = ledger::HashKind::Sha256.leaf(signer.verifier().to_string().as_bytes());
        let mut store = crate::store::open(&params, &birth, &log_key).unwrap();
        let places = Places { root: params.directory.clone() };
        let replay = store.replay.take().unwrap();
        let first_retained = store.release.first_retained();
        let recipe = Recipe { params, places, superblock: store.superblock, key: store.key, first_retained };
        Self { recipe, replay, _home: home }
    }

    fn draft(&self) -> Draft {
        let (checkpoint, payload) = self.replay.checkpoint(&self.recipe.superblock).unwrap();
        Draft::write(&self.recipe, checkpoint, &payload, &|| {}).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = directory::list(&self.recipe.places.checkpoints()).unwrap();
        entries.into_iter().map(|entry| entry.name).collect()
    }

    /// The one that the stop left, under the names of older ones too.
    fn age(&self, frames: std::ops::Range<u64>) {
        let directory = self.recipe.places.checkpoints();
        let newest = directory.join(self.names().pop().unwrap());
        for frame in frames {
            fs::copy(&newest, directory.join(checkpoint_file_name(FrameNumber(frame)))).unwrap();
        }
    }
}

/// One life of the ledger, with a clean stop.
fn pay(params: &StoreParams, birth: &Birth) {
    let signer = ledger::NoteSigner::new("example.test/ledger", &[1; 32]).unwrap();
    let params = LedgerParams {
        store: params.clone(),
        io: disk::Io::Pwrite,
        commit: disk::CommitMethod::Dsync,
        frames_in_flight: 4,
        core: None,
        spin: false,
        batch_max_entries: 100,
        ingress: 8,
        slice_lanes: 1,
        max_forward_jump: Nanos::from_secs(86_400),
    };
    let role = LedgerRole::start(&params, birth, signer, Box::new(NoObserver)).unwrap();
    for number in 0..ENTRIES {
        ask(&role, mint(&number.to_string()));
    }
    assert!(role.stop());
}

fn mint(key: &str) -> Request {
    Request {
        kind: Kind::Mint,
        debit: AccountName::parse("@issuance").unwrap(),
        credit: AccountName::parse("alice").unwrap(),
        asset: Asset::parse("ron").unwrap(),
        amount: Amount::new(5).unwrap(),
        key: IdemKey::new("tests", key, 0),
        preconditions: Preconditions::default(),
        reference: Text::EMPTY,
        idx: 0,
    }
}

fn ask(role: &LedgerRole, request: Request) {
    let group = Group { requests: vec![request], atomic: false };
    role.money.ask(Call::new(CallId(1), Ask::Money(group))).expect("there is room");
    let begun = crate::clock::monotonic();
    while role.money.answer().is_none() {
        assert!(crate::clock::monotonic().since(begun) < Nanos::from_secs(20), "no answer within 20 s");
        std::thread::yield_now();
    }
}

#[test]
fn what_is_damaged_before_it_is_read_back_does_not_count_and_the_older_ones_stay() {
    type Damage = fn(&Path);
    let world = World::new();
    world.age(1..2);
    let stale = world.names().first().cloned().unwrap();
    let before = world.names();
    let cases: [(&str, Damage); 6] = [
        ("a flipped bit in the header", |path| flip(path, 50)),
        ("a flipped bit in the payload", |path| flip(path, CHECKPOINT_HEADER_BYTES + 40)),
        ("the last byte", |path| flip(path, fs::read(path).unwrap().len() - 1)),
        ("cut short", |path| {
            let bytes = fs::read(path).unwrap();
            fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("never arrived", |path| fs::write(path, vec![0; fs::read(path).unwrap().len()]).unwrap()),
        ("gone", |path| fs::write(path, b"").unwrap()),
    ];
    for (name, damage) in cases {
        let draft = world.draft();
        damage(&draft.beside);
        let refused = draft.admit(&world.recipe, &|| {}).unwrap_err();
        assert!(matches!(refused, KeepError::Wrong(_)), "{name}: {refused}");
        let mut after = world.names();
        assert_eq!(after.pop().as_deref(), Some(WRONG), "{name}: one is kept to be looked at");
        assert_eq!(after, before, "{name}: the older ones stay");
    }
    assert!(before.contains(&stale));
    // The same without damage: the harness can tell.
    world.draft().admit(&world.recipe, &|| {}).unwrap();
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

#[test]
fn what_another_journal_or_another_state_would_say_is_found() {
    let world = World::new();
    let (checkpoint, payload) = world.replay.checkpoint(&world.recipe.superblock).unwrap();
    let other_frame = Checkpoint { hash: journal::FrameHash([3; 32]), ..checkpoint };
    let draft = Draft::write(&world.recipe, other_frame, &payload, &|| {}).unwrap();
    let refused = draft.admit(&world.recipe, &|| {}).unwrap_err();
    assert!(matches!(refused, KeepError::Wrong(WrongError::Frame)), "{refused}");

    let other_root = Checkpoint { root: [4; 32], ..checkpoint };
    let draft = Draft::write(&world.recipe, other_root, &payload, &|| {}).unwrap();
    let refused = draft.admit(&world.recipe, &|| {}).unwrap_err();
    assert!(matches!(refused, KeepError::Wrong(WrongError::State)), "{refused}");

    // A whole file, of another write: what a device gives that lost this one.
    let draft = world.draft();
    fs::copy(world.recipe.places.checkpoints().join(WRONG), &draft.beside).unwrap();
    let refused = draft.admit(&world.recipe, &|| {}).unwrap_err();
    assert!(matches!(refused, KeepError::Wrong(WrongError::Header)), "{refused}");
}

#[test]
fn as_many_are_kept_as_was_asked_for_and_they_are_the_newest() {
    let world = World::new();
    let newest = world.names().pop().unwrap();
    let draft = world.draft();
    // Only the order of their names counts here.
    for frame in 0..OLD {
        let name = checkpoint_file_name(FrameNumber(frame));
        fs::write(world.recipe.places.checkpoints().join(name), vec![1; 17 << 20]).unwrap();
    }
    let steps = std::cell::Cell::new(0);
    draft.admit(&world.recipe, &|| steps.set(steps.get() + 1)).unwrap();
    let names = world.names();
    assert_eq!((names.len(), names.last()), (KEPT, Some(&newest)), "{names:?}");
    assert!(
        steps.get() >= (usize::try_from(OLD).unwrap() - KEPT),
        "large files go in steps: {}",
        steps.get()
    );
}
