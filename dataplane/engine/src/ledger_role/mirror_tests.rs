//! The real threads on two directories: what each start makes of them.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use journal::{Active, FrameKey, IMAGE_BYTES, Member, Membership};
use model::{Incarnation, Kind, LedgerId};

use super::{
    tests::{Scratch, ask, balance, request, try_start},
    *,
};

/// A home with the ledger's own directory and the mirror's.
struct Pair {
    home: Scratch,
}

impl Pair {
    fn new(name: &str) -> Self {
        Self { home: Scratch::new(&format!("mirror-{name}")) }
    }

    fn path(&self, member: Member) -> PathBuf {
        self.home.0.join(if member == Member::First { "ledger" } else { "mirror" })
    }

    fn try_start(&self, with_mirror: bool, io: Io) -> Result<LedgerRole, OpenError> {
        let mirror = with_mirror.then(|| self.path(Member::Second));
        try_start(&self.path(Member::First), io, |params| params.store.mirror = mirror)
    }

    fn start(&self) -> LedgerRole {
        self.try_start(true, Io::Auto).unwrap()
    }

    /// A ledger in both directories, stopped cleanly, in which bob has so much.
    fn with(name: &str, paid: u64) -> Self {
        let pair = Self::new(name);
        let role = pair.start();
        fund(&role);
        pay(&role, "a", paid);
        assert!(role.stop());
        pair
    }

    /// The exit code of a start that is refused, with nothing changed.
    fn refused(&self, with_mirror: bool) -> u8 {
        let before = self.snapshot();
        let error = self.try_start(with_mirror, Io::Pwrite).map(|_| ()).unwrap_err();
        assert_eq!(self.snapshot(), before, "{error}");
        error.exit_code()
    }

    /// Every file of the journal in both directories.
    fn snapshot(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        Member::BOTH.into_iter().flat_map(|member| journal_of(&self.path(member))).collect()
    }

    /// Both copies hold the same segments.
    fn assert_equal(&self) {
        let segments = |member| {
            let directory = self.path(member);
            let names = journal_of(&directory).into_iter();
            let names = names.filter(|(path, _)| path.extension().is_some());
            let named = names.map(|(path, bytes)| (path.strip_prefix(&directory).unwrap().to_owned(), bytes));
            named.collect::<Vec<_>>()
        };
        assert!(segments(Member::First) == segments(Member::Second), "the copies differ");
    }

    /// Flips a byte of an entry's frame on one copy, and says where.
    fn damage(&self, member: Member, page: u64) {
        let path = self.path(member).join("segments/0000000000.segment");
        let file = fs::OpenOptions::new().write(true).read(true).open(path).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, page * 4096 + 300).unwrap();
        file.write_all_at(&[byte[0] ^ 0x10], page * 4096 + 300).unwrap();
    }

    /// Writes a record as a committer does that has lost the other member.
    fn write_alone(&self, survivor: Member, generation: u64) {
        let record = Membership {
            ledger: LedgerId([7; 16]),
            incarnation: Incarnation(1),
            generation,
            holder: survivor,
            active: Active::Only(survivor),
        };
        let mut image = [0; IMAGE_BYTES];
        record.encode(&FrameKey::new(&[8; 32]), &mut image);
        let path = self.path(survivor).join(journal::MEMBERSHIP_FILE);
        fs::OpenOptions::new()
            .write(true)
            .open(path)
            .unwrap()
            .write_all_at(&image, record.copy().offset())
            .unwrap();
    }
}

fn journal_of(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let names = ["superblock", "slot", "membership"].map(|name| directory.join(name));
    let segments = fs::read_dir(directory.join("segments")).into_iter().flatten();
    let paths = names.into_iter().chain(segments.map(|entry| entry.unwrap().path()));
    paths.filter_map(|path| Some((path.clone(), fs::read(path).ok()?))).collect()
}

fn fund(role: &LedgerRole) {
    ask(role, vec![request(Kind::Mint, "@issuance", "alice", 1_000_000, "fund")]);
}

fn pay(role: &LedgerRole, key: &str, times: u64) {
    for number in 0..times {
        ask(role, vec![request(Kind::Transfer, "alice", "bob", 1, &format!("{key}{number}"))]);
    }
}

fn is_lost(role: &LedgerRole) -> bool {
    role.board.status(clock::monotonic(), 0, 1).health.mirror_lost
}

#[test]
fn both_directories_hold_the_journal_over_either_backend() {
    for io in [Io::Auto, Io::Pwrite] {
        let pair = Pair::new(&format!("both-{io:?}"));
        let role = pair.try_start(true, io).unwrap();
        assert!(role.report.store.created && !is_lost(&role));
        fund(&role);
        pay(&role, "a", 50);
        assert!(role.stop());
        pair.assert_equal();
        let role = pair.try_start(true, io).unwrap();
        assert_eq!((balance(&role, "bob"), role.report.store.copied), (50, 0));
        assert_eq!(role.report.store.repaired, crate::Copied::default());
        assert!(role.stop());
    }
}

#[test]
fn a_ledger_without_a_mirror_gets_one_at_its_next_start() {
    let pair = Pair::new("begun");
    let role = pair.try_start(false, Io::Auto).unwrap();
    fund(&role);
    pay(&role, "a", 30);
    assert!(role.stop());
    assert!(!pair.path(Member::First).join(journal::MEMBERSHIP_FILE).exists(), "nothing speaks of a mirror");
    let role = pair.start();
    assert!(role.report.store.copied > 0 && !is_lost(&role));
    pay(&role, "b", 30);
    assert!(role.stop());
    pair.assert_equal();
}

#[test]
fn damage_on_one_copy_is_repaired_and_on_both_is_rot() {
    let pair = Pair::with("damage", 20);
    // A start from the checkpoint would not replay what is damaged.
    let forget = || drop(fs::remove_dir_all(pair.path(Member::First).join("checkpoints")));
    for (member, page) in [(Member::First, 4), (Member::Second, 9), (Member::First, 20)] {
        forget();
        pair.damage(member, page);
        let role = pair.start();
        assert_eq!(balance(&role, "bob"), 20);
        assert_eq!(role.report.store.repaired, crate::Copied { bytes: 4096, ranges: 1 });
        assert!(role.stop());
        pair.assert_equal();
    }
    forget();
    pair.damage(Member::First, 7);
    pair.damage(Member::Second, 7);
    assert_eq!(pair.refused(true), 82);
}

#[test]
fn files_that_one_copy_lacks_are_written_again_from_the_other() {
    let pair = Pair::with("lacks", 20);
    for (member, name) in [
        (Member::Second, "segments/0000000000.segment"),
        (Member::First, "segments/0000000000.segment"),
        (Member::Second, "slot"),
        (Member::First, "slot"),
        (Member::Second, "superblock"),
        (Member::First, "superblock"),
    ] {
        fs::remove_file(pair.path(member).join(name)).unwrap();
        let role = pair.start();
        assert_eq!(balance(&role, "bob"), 20, "{member} {name}");
        assert!(role.stop());
        pair.assert_equal();
    }
}

#[test]
fn a_start_needs_both() {
    let pair = Pair::with("needs", 10);
    assert_eq!(pair.refused(false), 96, "ledger.mirror is not set");
    let (mirror, aside) = (pair.path(Member::Second), pair.home.0.join("aside"));
    fs::rename(&mirror, &aside).unwrap();
    assert_eq!(pair.refused(true), 96, "it is gone");
    assert!(!mirror.exists(), "nothing is made in place of a device that is not there");
    fs::create_dir(&mirror).unwrap();
    assert_eq!(pair.refused(true), 96, "an empty mount point");
    fs::remove_dir_all(&mirror).unwrap();
    fs::write(&mirror, b"no directory").unwrap();
    assert_eq!(pair.refused(true), 96, "it cannot be read");
    fs::remove_file(&mirror).unwrap();
    fs::rename(&aside, &mirror).unwrap();
    let role = pair.start();
    assert_eq!(balance(&role, "bob"), 10);
    assert!(role.stop());
}

#[test]
fn a_stranger_in_the_mirrors_place_is_refused_by_name() {
    let pair = Pair::with("stranger", 5);
    let (first, mirror, aside) =
        (pair.path(Member::First), pair.path(Member::Second), pair.home.0.join("aside"));
    fs::rename(&mirror, &aside).unwrap();
    let role = try_start(&mirror, Io::Auto, |_| {}).unwrap();
    assert!(role.stop());
    assert_eq!(pair.refused(true), 97, "a ledger that never was a mirror");
    fs::remove_dir_all(&mirror).unwrap();
    fs::rename(&first, &mirror).unwrap();
    fs::rename(&aside, &first).unwrap();
    assert_eq!(pair.refused(true), 97, "swapped");
}

#[test]
fn a_member_that_was_given_up_is_brought_up_again_and_not_believed() {
    for survivor in Member::BOTH {
        let pair = Pair::with(&format!("stale-{survivor}"), 10);
        let lost = survivor.other();
        // The lost one has an older record and frames that the survivor has not: they do not count.
        pair.write_alone(survivor, 2);
        pair.damage(lost, 5);
        pair.damage(lost, 6);
        let role = pair.start();
        assert_eq!(balance(&role, "bob"), 10);
        assert!(role.report.store.copied >= 4096 && !is_lost(&role), "{:?}", role.report.store);
        pay(&role, "b", 10);
        assert!(role.stop());
        pair.assert_equal();
        let role = pair.start();
        assert_eq!((balance(&role, "bob"), role.report.store.copied), (20, 0), "it counts again");
        assert!(role.stop());
        // What it lost is no matter to a survivor that stands in a record of its own.
        pair.write_alone(survivor, 4);
        fs::remove_dir_all(pair.path(lost)).unwrap();
        fs::write(pair.path(lost), b"no directory").unwrap();
        let role = pair.start();
        assert_eq!(balance(&role, "bob"), 20);
        assert!(is_lost(&role));
        assert!(role.stop());
    }
}

#[test]
fn copies_that_went_apart_are_refused() {
    let pair = Pair::with("apart", 5);
    for survivor in Member::BOTH {
        pair.write_alone(survivor, 2);
    }
    assert_eq!(pair.refused(true), 96);
}
