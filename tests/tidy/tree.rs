//! The files that are in the repository, or would be with the next commit.

use std::fs;

use super::{output, root};

/// One text file.
#[derive(Clone, Debug)]
pub(super) struct File {
    /// From the root, with `/`.
    pub(super) path: String,
    /// Its whole text.
    pub(super) text: String,
}

impl File {
    /// For canaries.
    pub(super) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// Its folder's crate, as the folder from the root: `storage/model`.
    pub(super) fn crate_folder(&self) -> &str {
        self.path.find("/src/").map_or("tests", |end| &self.path[..end])
    }

    /// The lines outside the file's own test module, and the lines inside it.
    pub(super) fn split_tests(&self) -> (Vec<&str>, Vec<&str>) {
        let lines: Vec<&str> = self.text.lines().collect();
        let opens = |pair: &[&str]| {
            pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{')
        };
        let at = lines.windows(2).position(opens).unwrap_or(lines.len());
        (lines[..at].to_vec(), lines[at..].to_vec())
    }
}

/// Paths that are tracked, or new and not ignored.
pub(super) fn paths() -> Vec<String> {
    let listed = output("git", &["ls-files", "--cached", "--others", "--exclude-standard"]);
    let mut paths: Vec<String> = listed.lines().map(str::to_owned).collect();
    paths.retain(|path| root().join(path).is_file());
    paths.sort();
    paths.dedup();
    paths
}

/// Every file that is text.
pub(super) fn files() -> Vec<File> {
    let read = |path: String| fs::read_to_string(root().join(&path)).ok().map(|text| File { path, text });
    paths().into_iter().filter_map(read).collect()
}

/// The Rust sources.
pub(super) fn sources() -> Vec<File> {
    files().into_iter().filter(|file| file.path.ends_with(".rs")).collect()
}

/// A line that is neither blank nor only a comment.
pub(super) fn is_code(line: &str) -> bool {
    let line = line.trim_start();
    !line.is_empty() && !line.starts_with("//")
}
