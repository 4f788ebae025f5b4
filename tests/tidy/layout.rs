//! What lies where: the folders at the root, the names of files, crates that hold something.

use super::tree::{File, is_code};

/// What may stand at the root; a new folder is a decision, not an accident.
const FOLDERS: [&str; 11] = [
    ".cargo",
    ".ci",
    ".config",
    ".github",
    "bench",
    "control",
    "dataplane",
    "deploy",
    "docs",
    "storage",
    "tests",
];
/// As above, for the issue that brings host tuning.
const FOLDERS_LATER: [&str; 1] = ["tuning"];

/// Names that say nothing about what is inside.
const NAMELESS: [&str; 10] =
    ["utils", "util", "common", "helpers", "helper", "misc", "impls", "impl", "stuff", "shared"];

/// Folders at the root that are not part of the house.
fn strange_folders(paths: &[String]) -> Vec<String> {
    let folders = paths.iter().filter_map(|path| path.split_once('/').map(|(folder, _)| folder));
    let mut strange: Vec<String> = folders
        .filter(|folder| !FOLDERS.contains(folder) && !FOLDERS_LATER.contains(folder))
        .map(|folder| format!("{folder}/ is not a folder of the house"))
        .collect();
    strange.dedup();
    strange
}

/// Files and folders with a name that says nothing.
fn nameless(paths: &[String]) -> Vec<String> {
    let says_nothing = |path: &&String| {
        path.split('/').any(|part| NAMELESS.contains(&part.split('.').next().unwrap_or_default()))
    };
    paths.iter().filter(says_nothing).map(|path| format!("{path}: name it after what it holds")).collect()
}

/// Crates that the foundation has a place for and no code yet: may shrink, and ends empty.
const AWAITED: [&str; 0] = [];

/// Crates without a line of code besides attributes.
fn hollow(sources: &[File], awaited: &[&str]) -> Vec<String> {
    let mut folders: Vec<&str> = sources.iter().map(File::crate_folder).collect();
    folders.dedup();
    let holds = |file: &File| file.text.lines().any(|line| is_code(line) && !line.starts_with("#!["));
    folders
        .into_iter()
        .filter(|folder| !awaited.contains(folder))
        .filter(|folder| !sources.iter().any(|file| file.crate_folder() == *folder && holds(file)))
        .map(|folder| format!("{folder}: the crate is empty"))
        .collect()
}

mod tests {
    use super::{
        super::{assert_found, assert_none, tree},
        *,
    };

    #[test]
    fn the_root_holds_the_houses_folders() {
        assert_none(&strange_folders(&tree::paths()));
    }

    #[test]
    fn canary_a_strange_folder() {
        assert_found(&strange_folders(&["scripts/run.sh".to_owned()]), "scripts/");
    }

    #[test]
    fn every_file_is_named_after_what_it_holds() {
        assert_none(&nameless(&tree::paths()));
    }

    #[test]
    fn canary_a_nameless_file() {
        for path in ["storage/disk/src/utils.rs", "control/common/src/lib.rs"] {
            assert_found(&nameless(&[path.to_owned()]), path);
        }
    }

    #[test]
    fn no_crate_is_empty() {
        assert_none(&hollow(&tree::sources(), &AWAITED));
    }

    #[test]
    fn canary_an_empty_crate() {
        let empty = File::new("storage/attic/src/lib.rs", "//! Nothing yet.\n#![forbid(unsafe_code)]\n");
        assert_found(&hollow(&[empty], &[]), "storage/attic");
    }
}
