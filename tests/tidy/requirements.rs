//! `requirements.toml`: every requirement has a status, and what a status points to is there.
//!
//! A status is one of `test` (ids of tests), `command` (a stage of the test command, or a command
//! that e2e runs), `doc` (only where a row asks for a document: `path` or `path#anchor`), `todo`
//! (the area that owes it), `outside` (why it is not ours).

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::tree::File;

/// The rows of the specification by area, and the conflicts between its documents.
const ROWS: [(&str, u32); 9] =
    [("A", 131), ("AD", 85), ("L", 113), ("W", 104), ("C", 18), ("B", 14), ("S", 25), ("X", 15), ("K", 93)];

/// All rows but the conflicts.
const REQUIREMENTS: u32 = 505;

/// Who can owe a row.
const AREAS: [&str; 7] = ["accounting", "ledger", "storage", "wallet", "control", "operations", "measure"];

/// One row's status; exactly one field is set.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    test: Option<Tests>,
    command: Option<String>,
    doc: Option<String>,
    todo: Option<String>,
    outside: Option<String>,
}

/// One test or several that hold a row together.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Tests {
    One(String),
    Several(Vec<String>),
}

impl Row {
    fn status(&self) -> Result<&'static str, usize> {
        let set = [
            self.test.as_ref().map(|_| "test"),
            self.command.as_ref().map(|_| "command"),
            self.doc.as_ref().map(|_| "doc"),
            self.todo.as_ref().map(|_| "todo"),
            self.outside.as_ref().map(|_| "outside"),
        ];
        let set: Vec<_> = set.into_iter().flatten().collect();
        if let [status] = set.as_slice() { Ok(status) } else { Err(set.len()) }
    }

    fn tests(&self) -> &[String] {
        match &self.test {
            Some(Tests::One(test)) => std::slice::from_ref(test),
            Some(Tests::Several(tests)) => tests,
            None => &[],
        }
    }
}

type Rows = BTreeMap<String, Row>;

/// Ids that are missing or unknown, rows with no status or two, unknown areas.
fn malformed(rows: &Rows) -> Vec<String> {
    let wanted: BTreeSet<String> = ROWS
        .iter()
        .flat_map(|(area, count)| (1..=*count).map(move |number| format!("{area}{number}")))
        .collect();
    let mut found: Vec<String> =
        wanted.iter().filter(|id| !rows.contains_key(*id)).map(|id| format!("{id}: missing")).collect();
    for (id, row) in rows {
        if !wanted.contains(id) {
            found.push(format!("{id}: no such requirement"));
        }
        match row.status() {
            Err(count) => found.push(format!("{id}: {count} statuses, not one")),
            Ok("outside") if !id.starts_with('X') => found.push(format!("{id}: only X rows are outside")),
            Ok(_) => {}
        }
        if row.todo.as_ref().is_some_and(|area| !AREAS.contains(&area.as_str())) {
            found.push(format!("{id}: {:?} is no area", row.todo));
        }
    }
    found
}

/// Tests, commands and documents that rows name and that are not there.
fn dangling(rows: &Rows, files: &[File]) -> Vec<String> {
    let tests = test_ids(files);
    let mut found = Vec::new();
    for (id, row) in rows {
        for test in row.tests().iter().filter(|test| !tests.contains(*test)) {
            found.push(format!("{id}: no test {test}"));
        }
        if row.command.as_ref().is_some_and(|command| !is_run(command, files)) {
            found.push(format!("{id}: nothing runs {:?}", row.command));
        }
        if row.doc.as_ref().is_some_and(|doc| !is_written(doc, files)) {
            found.push(format!("{id}: nothing is written at {:?}", row.doc));
        }
    }
    found
}

/// A stage, as `cargo xtask test: STAGE`, or a command that stands in an e2e test.
fn is_run(command: &str, files: &[File]) -> bool {
    let (folder, text) = match command.strip_prefix("cargo xtask test: ") {
        Some(stage) => ("tests/xtask/src/", format!("(\"{stage}\", &[")),
        None => ("tests/e2e", command.to_owned()),
    };
    files.iter().any(|file| file.path.starts_with(folder) && file.text.contains(&text))
}

/// A file, and in it a heading or a table row that begins with the anchor.
fn is_written(doc: &str, files: &[File]) -> bool {
    let (path, anchor) = doc.split_once('#').map_or((doc, None), |(path, anchor)| (path, Some(anchor)));
    let Some(file) = files.iter().find(|file| file.path == path) else { return false };
    let begins = |anchor: &str| {
        let row = format!("| {anchor} |");
        file.text.lines().any(|line| line.starts_with(&row) || is_heading(line, anchor))
    };
    anchor.is_none_or(begins)
}

/// Whether `line` is the heading that renderers give `anchor` to.
fn is_heading(line: &str, anchor: &str) -> bool {
    let Some((marks, title)) = line.split_once(' ') else { return false };
    let keep = |letter: char| match letter {
        ' ' => Some('-'),
        letter if letter.is_alphanumeric() || letter == '-' || letter == '_' => {
            Some(letter.to_ascii_lowercase())
        }
        _ => None,
    };
    marks.starts_with('#') && title.chars().filter_map(keep).collect::<String>() == anchor
}

/// The ids of all tests that are not ignored, as `crate::module::test`, read from the sources.
fn test_ids(files: &[File]) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for file in files.iter().filter(|file| file.path.ends_with(".rs")) {
        let (folder, inside) = match file.path.split_once("/src/") {
            Some(parts) => parts,
            None => file.path.split_once('/').unwrap_or_default(),
        };
        let manifest = format!("{folder}/Cargo.toml");
        let manifest = files.iter().find(|file| file.path == manifest).map(|file| file.text.as_str());
        let named = manifest.and_then(|text| text.lines().find_map(|line| line.strip_prefix("name = ")));
        let mut path = vec![named.unwrap_or(folder).trim_matches('"').to_owned()];
        let inside = inside.trim_end_matches(".rs");
        path.extend(
            inside.split('/').filter(|part| !["lib", "main", "mod"].contains(part)).map(str::to_owned),
        );
        ids.extend(tests_in(&path, &file.text));
    }
    ids
}

fn tests_in(path: &[String], text: &str) -> Vec<String> {
    let mut path = path.to_vec();
    let mut indents: Vec<usize> = Vec::new();
    let (mut is_test, mut is_ignored) = (false, false);
    let mut ids = Vec::new();
    for line in text.lines() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        if code.starts_with("#[test]") || code.starts_with("#[tokio::test") {
            (is_test, is_ignored) = (true, false);
        } else if code.starts_with("#[ignore") {
            is_ignored = true;
        } else if let Some(name) = code.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(" {")) {
            indents.push(indent);
            path.push(name.to_owned());
        } else if code == "}" && indents.last() == Some(&indent) {
            indents.pop();
            path.pop();
        } else if let Some(rest) = code.strip_prefix("fn ").or_else(|| code.strip_prefix("async fn ")) {
            let name = rest.split(['(', '<']).next().unwrap_or_default();
            if is_test && !is_ignored {
                ids.push(format!("{}::{name}", path.join("::")));
            }
            (is_test, is_ignored) = (false, false);
        }
    }
    ids
}

mod tests {
    use super::{
        super::{assert_found, assert_none, tree},
        *,
    };

    fn rows(text: &str) -> Rows {
        toml::from_str(text).expect("requirements.toml has one table per row")
    }

    fn real() -> (Rows, Vec<File>) {
        let files = tree::files();
        let file = files.iter().find(|file| file.path == "tests/requirements.toml").expect("it is there");
        (rows(&file.text), files)
    }

    #[test]
    fn every_requirement_has_a_status() {
        assert_eq!(
            ROWS.iter().filter(|(area, _)| *area != "K").map(|(_, count)| count).sum::<u32>(),
            REQUIREMENTS
        );
        let (rows, _) = real();
        assert_none(&malformed(&rows));
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for (id, row) in &rows {
            let set = if id.starts_with('K') { "conflicts" } else { "requirements" };
            let status = row.status().expect("checked above");
            let area = row.todo.as_ref().map_or(String::new(), |area| format!(" {area}"));
            *counts.entry(format!("{set}: {status}{area}")).or_default() += 1;
        }
        for (status, count) in counts {
            println!("{count:>4} {status}");
        }
    }

    #[test]
    fn what_a_status_names_is_there() {
        let (rows, files) = real();
        assert_none(&dangling(&rows, &files));
    }

    #[test]
    fn canary_rows() {
        let found = |text: &str| malformed(&rows(text));
        assert_found(&found(""), "A1: missing");
        assert_found(&found("A132 = { todo = 'ledger' }"), "A132: no such requirement");
        assert_found(&found("A1 = { todo = 'attic' }"), "no area");
        assert_found(&found("A1 = {}"), "A1: 0 statuses");
        assert_found(&found("A1 = { todo = 'ledger', doc = 'x' }"), "A1: 2 statuses");
        assert_found(&found("A1 = { outside = 'no' }"), "only X rows");
        assert!(toml::from_str::<Rows>("A1 = { done = 'yes' }").is_err());
    }

    #[test]
    fn canary_what_is_not_there() {
        let files = [
            File::new("storage/model/Cargo.toml", "[package]\nname = \"model\"\n"),
            File::new(
                "storage/model/src/a/b.rs",
                "#[cfg(test)]\nmod tests {\n    #[test]\n    fn holds() {}\n\n    #[test]\n    #[ignore]\n    fn later() {}\n}\n\n#[test]\nfn outer() {}\nfn plain() {}\n",
            ),
            File::new("tests/Cargo.toml", "[package]\nname = \"tests\"\n"),
            File::new("tests/e2e.rs", "//! x\n#[test]\nfn starts() { run(\"macronode --version\") }\n"),
            File::new("tests/xtask/src/suite.rs", "(\"format\", &[\"fmt\"])"),
            File::new("docs/a.md", "# A page\n\n## Two words, more\n\n| K1 | decided |\n"),
        ];
        let good = [
            "A1 = { test = 'model::a::b::tests::holds' }",
            "A1 = { test = ['model::a::b::outer', 'tests::e2e::starts'] }",
            "A1 = { command = 'macronode --version' }",
            "A1 = { command = 'cargo xtask test: format' }",
            "A1 = { doc = 'docs/a.md' }",
            "A1 = { doc = 'docs/a.md#two-words-more' }",
            "A1 = { doc = 'docs/a.md#K1' }",
        ];
        for row in good {
            assert_none(&dangling(&rows(row), &files));
        }
        let bad = [
            "A1 = { test = 'model::a::b::tests::later' }",
            "A1 = { test = 'model::a::b::plain' }",
            "A1 = { test = ['model::a::b::outer', 'model::outer'] }",
            "A1 = { command = 'macronode --help' }",
            "A1 = { command = 'cargo xtask test: fmt' }",
            "A1 = { doc = 'docs/b.md' }",
            "A1 = { doc = 'docs/a.md#K2' }",
        ];
        for row in bad {
            assert_found(&dangling(&rows(row), &files), "A1: no");
        }
    }
}
