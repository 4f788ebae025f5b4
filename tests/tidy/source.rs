//! How a source file is built: its opening line, its size, what `lib.rs` holds, what pure crates
//! and `unsafe` may touch.
//!
//! The length of a function is clippy's `too_many_lines` at the threshold of `clippy.toml`; here is
//! only the list of functions that were let off, which may shrink and not grow.

use super::tree::{File, is_code};

/// Code lines of one file, its own test module apart.
const FILE_LINES_MAX: usize = 600;

/// Lines of a test module inside its file; a longer one is a sibling `tests.rs`.
const INNER_TEST_LINES_MAX: usize = 110;

/// Files over `FILE_LINES_MAX`, with the lines that they may have: a ratchet.
const LONG_FILES: [(&str, usize); 0] = [];

/// Functions that are let off clippy's 70 lines, by file: a ratchet.
const LONG_FUNCTIONS: [(&str, usize); 0] = [];

/// Crates that decide and never touch the world.
const PURE: [&str; 7] = [
    "storage/model",
    "storage/ledger",
    "storage/journal",
    "dataplane/wire",
    "dataplane/shard",
    "control/caps",
    "control/wallet",
];

/// The one crate with `unsafe`.
const UNSAFE: &str = "storage/disk";

/// What cannot be reached from a pure crate: files, sockets, threads, clocks, chance, floats.
const IMPURE: [&str; 17] = [
    "std::fs",
    "std::net",
    "std::os",
    "std::thread",
    "std::process",
    "std::env",
    "std::io",
    "std::time",
    "std::collections::Hash",
    "RandomState",
    "SystemTime",
    "getrandom",
    "tokio",
    "rustix",
    "libc",
    "f32",
    "f64",
];

/// Files that do not open by saying what they own. A sibling `tests.rs` belongs to its file.
fn without_opening(sources: &[File]) -> Vec<String> {
    let silent = |file: &&File| !file.text.starts_with("//! ") && !file.path.ends_with("/tests.rs");
    sources.iter().filter(silent).map(|file| format!("{}: does not open with `//! `", file.path)).collect()
}

/// Files that hold too much.
fn too_long(sources: &[File], ratchet: &[(&str, usize)]) -> Vec<String> {
    let mut found = Vec::new();
    for file in sources {
        let (code, tests) = file.split_tests();
        let lines = code.into_iter().filter(|line| is_code(line)).count();
        let allowed =
            ratchet.iter().find(|(path, _)| *path == file.path).map_or(FILE_LINES_MAX, |(_, max)| *max);
        if lines > allowed {
            found.push(format!("{}: {lines} code lines, {allowed} are allowed", file.path));
        }
        if allowed > FILE_LINES_MAX && lines < allowed {
            found.push(format!("{}: now {lines} code lines, lower the ratchet", file.path));
        }
        if tests.len() > INNER_TEST_LINES_MAX {
            found.push(format!("{}: {} lines of tests, move them to a sibling", file.path, tests.len()));
        }
    }
    found
}

/// Functions that are let off the length rule beyond the ratchet.
fn let_off(sources: &[File], ratchet: &[(&str, usize)]) -> Vec<String> {
    let lint = concat!("clippy::too_", "many_lines");
    let mut found = Vec::new();
    for file in sources {
        let count = file.text.lines().filter(|line| is_code(line) && line.contains(lint)).count();
        let allowed = ratchet.iter().find(|(path, _)| *path == file.path).map_or(0, |(_, max)| *max);
        if count != allowed {
            found.push(format!("{}: {count} functions let off the length rule, {allowed} listed", file.path));
        }
    }
    found
}

/// `lib.rs` files with more than docs, modules and re-exports.
fn busy_lib(sources: &[File]) -> Vec<String> {
    let starts =
        ["fn ", "pub fn ", "impl", "struct ", "pub struct ", "enum ", "pub enum ", "trait ", "pub trait "];
    let mut found = Vec::new();
    for file in sources.iter().filter(|file| file.path.ends_with("src/lib.rs")) {
        let (code, _) = file.split_tests();
        for line in code.into_iter().filter(|line| starts.iter().any(|start| line.starts_with(start))) {
            found.push(format!("{}: `{line}` belongs in a file of its own", file.path));
        }
    }
    found
}

/// Crates other than `disk` that could hold `unsafe`.
fn could_be_unsafe(sources: &[File]) -> Vec<String> {
    let roots = ["src/lib.rs", "src/main.rs"];
    let mut found = Vec::new();
    for file in sources.iter().filter(|file| file.crate_folder() != UNSAFE) {
        let is_root = roots.iter().any(|root| file.path.ends_with(root));
        if is_root && !file.text.lines().any(|line| line == "#![forbid(unsafe_code)]") {
            found.push(format!("{}: does not forbid unsafe code", file.path));
        }
    }
    found
}

/// What pure crates must not reach, where they reach it; tests may.
fn impure(sources: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    let is_tests = |file: &File| file.path.ends_with("/tests.rs") || file.path.contains("/tests/");
    for file in sources.iter().filter(|file| PURE.contains(&file.crate_folder()) && !is_tests(file)) {
        let (code, _) = file.split_tests();
        for line in code.into_iter().map(without_comment) {
            for word in IMPURE.iter().filter(|word| has_word(line, word)) {
                found.push(format!("{}: `{word}` in a pure crate", file.path));
            }
        }
    }
    found
}

/// The line up to its comment; an address in a string is cut too, which only loses its rest.
fn without_comment(line: &str) -> &str {
    line.split_once("//").map_or(line, |(code, _)| code)
}

fn has_word(line: &str, word: &str) -> bool {
    let joins = |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    let path = word.ends_with("Hash");
    line.match_indices(word).any(|(at, _)| {
        let after = line[at + word.len()..].chars().next();
        !joins(line[..at].chars().next_back()) && (path || !joins(after))
    })
}

mod tests {
    use super::{
        super::{assert_found, assert_none, tree},
        *,
    };

    #[test]
    fn files_open_by_saying_what_they_own() {
        assert_none(&without_opening(&tree::sources()));
    }

    #[test]
    fn canary_a_silent_file() {
        assert_found(&without_opening(&[File::new("a/src/b.rs", "use core::fmt;\n")]), "a/src/b.rs");
    }

    #[test]
    fn files_are_short() {
        assert_none(&too_long(&tree::sources(), &LONG_FILES));
    }

    #[test]
    fn canary_long_files_and_long_tests() {
        let long = File::new("a/src/long.rs", &"let x = 1;\n".repeat(FILE_LINES_MAX + 1));
        assert_found(&too_long(std::slice::from_ref(&long), &[]), "601 code lines");
        assert_found(&too_long(&[long], &[("a/src/long.rs", 700)]), "lower the ratchet");
        let tests = format!("fn f() {{}}\n#[cfg(test)]\nmod tests {{\n{}}}\n", "x();\n".repeat(120));
        assert_found(&too_long(&[File::new("a/src/b.rs", &tests)], &[]), "move them to a sibling");
        assert_none(&too_long(&[File::new("a/src/b.rs", &"// why\n".repeat(900))], &[]));
    }

    #[test]
    fn functions_are_short() {
        let clippy = tree::files().into_iter().find(|file| file.path == "clippy.toml").expect("clippy.toml");
        assert!(clippy.text.contains("too-many-lines-threshold = 70"));
        assert_none(&let_off(&tree::sources(), &LONG_FUNCTIONS));
    }

    #[test]
    fn canary_a_function_let_off() {
        let text = concat!("#[expect(clippy::too_", "many_lines, reason = \"a table\")]\nfn f() {}\n");
        assert_found(&let_off(&[File::new("a/src/b.rs", text)], &[]), "1 functions let off");
        assert_found(&let_off(&[File::new("a/src/b.rs", "")], &[("a/src/b.rs", 1)]), "0 functions let off");
    }

    #[test]
    fn lib_holds_docs_and_modules_only() {
        assert_none(&busy_lib(&tree::sources()));
    }

    #[test]
    fn canary_logic_in_lib() {
        assert_found(&busy_lib(&[File::new("a/src/lib.rs", "//! A.\npub fn f() {}\n")]), "pub fn f()");
    }

    #[test]
    fn only_disk_could_be_unsafe() {
        assert_none(&could_be_unsafe(&tree::sources()));
    }

    #[test]
    fn canary_a_crate_that_could_be_unsafe() {
        let text = "//! A.\n// #![forbid(unsafe_code)]\nmod a;\n";
        assert_found(&could_be_unsafe(&[File::new("control/a/src/lib.rs", text)]), "control/a");
    }

    #[test]
    fn pure_crates_reach_nothing() {
        assert_none(&impure(&tree::sources()));
    }

    #[test]
    fn canary_impurities() {
        for word in IMPURE {
            let file = File::new("storage/ledger/src/clock.rs", &format!("use {word};\n"));
            assert_found(&impure(&[file]), word);
        }
        let tests = "fn f() {}\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n";
        assert_none(&impure(&[File::new("storage/ledger/src/a.rs", tests)]));
        assert_none(&impure(&[File::new("storage/ledger/src/a.rs", "let half_f64th = 1; // f64\n")]));
    }
}
