//! The past is what was answered at the time, whatever happens to the files that it is looked up in.

use std::{collections::BTreeMap, fs, path::Path};

use model::Posting;
use wire::{AccountPage, At};

use super::*;

/// What the answers said: by account and entry, its sequence and balance after it.
#[derive(Default)]
struct Told(BTreeMap<(&'static str, u64), (u64, i128)>);

const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];

impl Told {
    fn hear(&mut self, answer: &Answer) {
        for outcome in &answer.outcomes {
            let Outcome::Decided { posting, .. } = outcome else { panic!("{outcome:?}") };
            let Posting { head, debit, credit, .. } = posting;
            for side in [debit, credit] {
                let name = NAMES.iter().find(|name| AccountName::parse(name).unwrap().id() == side.account);
                let known =
                    name.map(|name| self.0.insert((name, head.seq.0), (side.seq, side.balance.units())));
                assert_ne!(known, Some(Some((0, 0))));
            }
        }
    }

    fn at(&self, name: &'static str, seq: u64) -> (u64, i128) {
        self.0.range((name, 0)..=(name, seq)).next_back().map_or((0, 0), |(_, stood)| *stood)
    }

    fn last(&self) -> u64 {
        self.0.keys().map(|(_, seq)| *seq).max().unwrap()
    }

    /// Asks for the past of every account at moments all over the ledger's life.
    fn check(&self, role: &LedgerRole, what: &str) {
        let last = self.last();
        for seq in (0..40).map(|step| last * step / 39).chain([last, last + 100]) {
            for name in NAMES {
                let then = patiently(role, || ask_at(name, At::Seq(Seq(seq))));
                let Found::AccountThen(Some(then)) = then else {
                    panic!("{what}: {name} at {seq}: {then:?}")
                };
                let found = (then.account_seq, then.balance.units());
                assert_eq!(found, self.at(name, seq), "{what}: {name} at {seq}");
                assert_eq!(then.as_of_seq.0, seq.min(role.board.committed().size), "{what}");
                let same = patiently(role, || ask_at(name, At::Time(then.as_of)));
                let Found::AccountThen(Some(same)) = same else { panic!("{what}: {same:?}") };
                assert!(same.as_of_seq >= then.as_of_seq && same.as_of == then.as_of, "{what}: {same:?}");
                assert_eq!(
                    (same.account_seq, same.balance.units()),
                    self.at(name, same.as_of_seq.0),
                    "{what}: {name} at the time of {seq}"
                );
            }
        }
        for from in [0, 1, 77, self.at("bob", last).0] {
            let page = page(role, "bob", from, 5);
            let first = from.max(1);
            let seqs: Vec<u64> = page.entries.iter().map(|entry| entry.posting.credit.seq).collect();
            let end = (first + 5).min(self.at("bob", last).0 + 1);
            assert_eq!(seqs, (first..end).collect::<Vec<u64>>(), "{what}: from {from}");
            assert_eq!(page.next, (end <= self.at("bob", last).0).then_some(end), "{what}");
        }
    }
}

fn ask_at(name: &str, at: At) -> ReadAsk {
    ReadAsk::AccountAt(AccountName::parse(name).unwrap(), Asset::parse("ron").unwrap(), at)
}

/// Asks again while the history is behind.
fn patiently(role: &LedgerRole, ask: impl Fn() -> ReadAsk) -> Found {
    wait(|| Some(read(role, ask())).filter(|found| *found != Found::Behind))
}

fn page(role: &LedgerRole, name: &str, from: u64, limit: usize) -> AccountPage {
    let (account, asset) = (AccountName::parse(name).unwrap(), Asset::parse("ron").unwrap());
    let found = patiently(role, || ReadAsk::AccountEntries { account, asset, from, limit });
    let Found::AccountEntries(Some(page)) = found else { panic!("{found:?}") };
    page
}

fn pay(role: &LedgerRole, told: &mut Told, round: usize) {
    let transfers = (0..1_300)
        .map(|number| {
            let to = if number % 100 == round { "carol" } else { "bob" };
            request(
                Kind::Transfer,
                "alice",
                to,
                1 + u128::try_from(number % 7).unwrap(),
                &format!("{round}-{number}"),
            )
        })
        .collect();
    told.hear(&ask(role, transfers));
}

fn runs(directory: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(directory.join("history")).unwrap().map(|entry| entry.unwrap().path());
    let mut runs: Vec<_> = names.filter(|path| path.extension().is_some_and(|of| of == "run")).collect();
    runs.sort();
    runs
}

/// Flips a byte in every block of every run.
fn damage(directory: &Path) {
    for run in runs(directory) {
        let mut bytes = fs::read(&run).unwrap();
        bytes.iter_mut().skip(4096 + 100).step_by(4096).for_each(|byte| *byte ^= 1);
        fs::write(&run, bytes).unwrap();
    }
}

#[test]
fn the_past_is_what_was_answered_whatever_happens_to_its_files() {
    let scratch = Scratch::new("history");
    let mut told = Told::default();
    let role = start(&scratch.0, Io::Pwrite);
    told.hear(&ask(&role, vec![request(Kind::Mint, "@issuance", "alice", 1_000_000, "m")]));
    told.hear(&ask(&role, vec![request(Kind::Transfer, "alice", "dave", 5, "d")]));
    for round in 0..20 {
        pay(&role, &mut told, round);
    }
    told.check(&role, "from memory and runs");
    wait(|| (!runs(&scratch.0).is_empty()).then_some(()));
    damage(&scratch.0);
    told.check(&role, "damaged while running");
    assert!(role.stop());
    let covered: Vec<_> = runs(&scratch.0);
    assert!(!covered.is_empty(), "a stop leaves all of it in runs");

    let role = start(&scratch.0, Io::Pwrite);
    assert_eq!(role.report.store.frames, 0);
    told.check(&role, "after a clean stop");
    fs::remove_dir_all(scratch.0.join("history")).unwrap();
    told.check(&role, "deleted while running");
    pay(&role, &mut told, 20);
    told.check(&role, "written on");
    assert!(role.stop());

    fs::remove_dir_all(scratch.0.join("history")).unwrap();
    let role = start(&scratch.0, Io::Pwrite);
    told.check(&role, "deleted while stopped");
    assert!(role.stop());

    damage(&scratch.0);
    let older = runs(&scratch.0).into_iter().next().unwrap();
    fs::write(scratch.0.join("history/.1.run.new"), b"left by a kill").unwrap();
    fs::copy(&older, scratch.0.join("history/00000000000000000001-00000000000000000002.run")).unwrap();
    let role = start(&scratch.0, Io::Pwrite);
    told.check(&role, "damaged while stopped");
    assert!(!scratch.0.join("history/.1.run.new").exists());
    assert!(role.stop());
    let nobody = start(&scratch.0, Io::Pwrite);
    let found = patiently(&nobody, || ask_at("nobody", At::Seq(Seq(3))));
    assert_eq!(found, Found::AccountThen(None));
    assert!(nobody.stop());
}

#[test]
fn runs_of_a_journal_that_went_another_way_are_not_believed() {
    let (scratch, other) = (Scratch::new("fork-a"), Scratch::new("fork-b"));
    let mut told = Told::default();
    for (directory, amount) in [(&other.0, 7), (&scratch.0, 1)] {
        let role = start(directory, Io::Pwrite);
        told = Told::default();
        told.hear(&ask(&role, vec![request(Kind::Mint, "@issuance", "alice", 1_000, "m")]));
        for number in 0..50 {
            let transfer = request(Kind::Transfer, "alice", "bob", amount, &format!("t{number}"));
            told.hear(&ask(&role, vec![transfer]));
        }
        for name in ["carol", "dave"] {
            told.hear(&ask(&role, vec![request(Kind::Transfer, "alice", name, 1, name)]));
        }
        assert!(role.stop());
    }
    // The same ledger id, the same entries by number, another content: only the frame tells.
    fs::remove_dir_all(scratch.0.join("history")).unwrap();
    fs::rename(other.0.join("history"), scratch.0.join("history")).unwrap();
    let role = start(&scratch.0, Io::Pwrite);
    for seq in 1..=told.last() {
        let then = patiently(&role, || ask_at("bob", At::Seq(Seq(seq))));
        let Found::AccountThen(Some(then)) = then else { panic!("{then:?}") };
        assert_eq!((then.account_seq, then.balance.units()), told.at("bob", seq), "at {seq}");
    }
    assert!(role.stop());
}
