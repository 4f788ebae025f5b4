//! Whatever happens to derived files: they are used if they are right, and made anew if not.

use std::{fs, os::unix::fs::PermissionsExt};

use ledger::Tree;
use model::Timestamp;

use super::*;

const LEDGER: LedgerId = LedgerId([7; 16]);
const HASH: HashKind = HashKind::Blake3;

fn push(derived: &mut Derived, tree: &mut Tree, seq: u64) {
    let mut nodes = Vec::new();
    tree.push_each(HASH.leaf(&seq.to_le_bytes()), |level, _, node| nodes.push((level, *node)));
    derived.push_nodes(&nodes);
}

fn fill(derived: &mut Derived, count: u64) -> Tree {
    let mut tree = Tree::new(HASH);
    for seq in 1..=count {
        push(derived, &mut tree, seq);
        derived.push_row(FrameRow {
            first_seq: Seq(seq),
            count: 1,
            segment: 0,
            offset: seq * 4096,
            at: Timestamp(seq),
            root: tree.root(),
            has_slices: false,
        });
    }
    derived.flush();
    tree
}

fn at(directory: &Path, tree: &Tree) -> Option<Derived> {
    Derived::at(directory, HASH, LEDGER, tree.size(), &tree.root()).unwrap()
}

#[test]
fn what_fits_is_used_and_what_goes_on_is_cut() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("derived");
    let mut derived = Derived::empty(&directory, HASH, LEDGER).unwrap();
    let tree = fill(&mut derived, 300);
    let mut longer = tree.clone();
    for seq in 301..=310 {
        push(&mut derived, &mut longer, seq);
    }
    derived.flush();
    drop(derived);
    let derived = at(&directory, &tree).expect("it fits");
    assert_eq!(derived.roots(Seq(298), 10).unwrap().len(), 2);
    assert_eq!(derived.node(8, 0).map(|_| ()), Some(()));
}

#[test]
fn every_damage_is_found_and_costs_a_derivation_and_no_start() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 10] = [
        ("a tile is torn", |path| {
            let level = path.join("level-0");
            let bytes = fs::read(&level).unwrap();
            fs::write(&level, &bytes[..bytes.len() / 2 + 7]).unwrap();
        }),
        ("a hash of the right edge is flipped", |path| {
            let level = path.join("level-0");
            let mut bytes = fs::read(&level).unwrap();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            fs::write(&level, bytes).unwrap();
        }),
        ("a level is missing", |path| fs::remove_file(path.join("level-1")).unwrap()),
        ("a level is a directory", |path| {
            fs::remove_file(path.join("level-0")).unwrap();
            fs::create_dir(path.join("level-0")).unwrap();
        }),
        ("the index is empty", |path| fs::write(path.join("frames"), b"").unwrap()),
        ("the index is of another make", |path| fs::write(path.join("frames"), vec![1; 64 * 300]).unwrap()),
        ("the index's last row is flipped", |path| {
            let mut bytes = fs::read(path.join("frames")).unwrap();
            let last = bytes.len() - 70;
            bytes[last] ^= 1;
            fs::write(path.join("frames"), bytes).unwrap();
        }),
        ("nobody may enter the directory", |path| {
            fs::remove_file(path.join("frames")).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
        }),
        ("the directory is a file", |path| {
            fs::remove_dir_all(path).unwrap();
            fs::write(path, b"in the way").unwrap();
        }),
        ("all of it is gone", |path| fs::remove_dir_all(path).unwrap()),
    ];
    for (name, damage) in damages {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("derived");
        let tree = fill(&mut Derived::empty(&directory, HASH, LEDGER).unwrap(), 300);
        assert!(at(&directory, &tree).is_some());
        damage(&directory);
        assert!(at(&directory, &tree).is_none(), "{name}");
        let mut derived = Derived::empty(&directory, HASH, LEDGER).unwrap();
        assert!(derived.is_there(), "{name}");
        fill(&mut derived, 300);
        assert!(at(&directory, &tree).is_some(), "{name}");
    }
}

#[test]
fn files_of_another_ledger_are_not_used() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("derived");
    let tree = fill(&mut Derived::empty(&directory, HASH, LedgerId([8; 16])).unwrap(), 300);
    assert!(at(&directory, &tree).is_none());
}

#[test]
fn what_was_given_up_says_so() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("derived");
    let mut derived = Derived::empty(&directory, HASH, LEDGER).unwrap();
    fill(&mut derived, 10);
    derived.give_up("a proof did not verify");
    assert!(!derived.is_there() && !directory.exists());
    assert!(matches!(derived.roots(Seq::ZERO, 1), Err(DerivedError::Absent)));
    fill(&mut derived, 10);
    assert_eq!(derived.sync(), Ok(()));
}
