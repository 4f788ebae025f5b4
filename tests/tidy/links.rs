//! Pages that other pages and the code point to.

use super::tree::File;

/// Pages that are named before they are written: `docs/proof.md` is written by a long proof.
const AWAITED: [&str; 1] = ["docs/proof.md"];

/// Links of pages, and pages named in sources, that lead nowhere. `paths` is everything that is
/// there.
fn dead(files: &[File], paths: &[String], awaited: &[&str]) -> Vec<String> {
    let is_there = |target: &str| {
        let folder = format!("{}/", target.trim_end_matches('/'));
        paths.iter().any(|path| path == target || path.starts_with(&folder)) || awaited.contains(&target)
    };
    let mut found = Vec::new();
    for file in files {
        let targets = if file.path.ends_with(".md") { links(file) } else { pages_named(file) };
        for target in targets.into_iter().filter(|target| !is_there(target)) {
            found.push(format!("{}: {target} is not there", file.path));
        }
    }
    found
}

/// Targets of relative links, from the root.
fn links(page: &File) -> Vec<String> {
    let folder = page.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let parts = page.text.split("](").skip(1);
    let targets = parts.filter_map(|part| part.split_once(')')).map(|(target, _)| target);
    let relative = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    relative.map(|target| from_root(folder, target.split('#').next().unwrap_or_default())).collect()
}

fn from_root(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    parts.join("/")
}

/// Words such as `docs/NAME.md` in a source, this crate's own examples apart.
fn pages_named(file: &File) -> Vec<String> {
    if !file.path.ends_with(".rs") || file.path.starts_with("tests/tidy/") {
        return Vec::new();
    }
    let part_of_path = |letter: char| letter.is_alphanumeric() || "/._-".contains(letter);
    let words = file.text.split(|letter| !part_of_path(letter)).map(|word| word.trim_end_matches('.'));
    words.filter(|word| word.starts_with("docs/") && word.ends_with(".md")).map(str::to_owned).collect()
}

mod tests {
    use super::{
        super::{assert_found, assert_none, tree},
        *,
    };

    #[test]
    fn links_lead_somewhere() {
        assert_none(&dead(&tree::files(), &tree::paths(), &AWAITED));
    }

    #[test]
    fn canary_dead_links() {
        let paths = ["docs/adr/0001-a.md".to_owned(), "README.md".to_owned()];
        let check = |path: &str, text: &str| dead(&[File::new(path, text)], &paths, &[]);
        assert_none(&check(
            "README.md",
            "[a](docs/adr/0001-a.md#top) [b](docs/adr) [c](https://a.b/c) [d](#e)",
        ));
        assert_none(&check("docs/adr/0001-a.md", "[a](../../README.md)"));
        assert_found(&check("docs/adr/0001-a.md", "[a](../README.md)"), "docs/README.md");
        assert_found(&check("a/src/b.rs", "//! See `docs/none.md`.\n"), "docs/none.md");
        assert_none(&check("a/src/b.rs", "//! See docs/adr/0001-a.md.\n"));
    }
}
