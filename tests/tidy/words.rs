//! Words that have no business in the tree or its history: paths of one machine, tools of one desk.

use super::tree::File;

/// The words, put together here so that this file does not hold them itself.
fn foreign() -> Vec<String> {
    let mut words = Vec::new();
    for folder in ["work", "root"] {
        words.push(format!("/{folder}/"));
    }
    for (first, second) in [
        ("bash", "_jobs"),
        ("before", "-stop"),
        ("farm", "-studio"),
        ("farm", "-bench"),
        ("cla", "ude"),
        ("anth", "ropic"),
        ("open", "ai.com"),
        ("chat", "gpt"),
        ("co", "pilot"),
        ("arti", "factory."),
        ("sub", "agent"),
        ("language ", "model"),
    ] {
        words.push(format!("{first}{second}"));
    }
    words
}

/// Whether `line` holds `word` not merely as the middle of a longer path or word.
fn holds(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|letter| letter.is_alphanumeric() || "_-.}{".contains(letter))
    })
}

/// Foreign words in one text, by line.
fn foreign_words(name: &str, text: &str) -> Vec<String> {
    let words = foreign();
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let lower = line.to_lowercase();
        for word in words.iter().filter(|word| holds(&lower, word)) {
            found.push(format!("{name}:{}: {word}", index + 1));
        }
    }
    found
}

/// Foreign words in the files and in their names.
fn in_files(files: &[File]) -> Vec<String> {
    let in_file = |file: &File| {
        let mut found = foreign_words(&file.path, &file.text);
        found.extend(foreign_words("a path", &format!("/{}", file.path)));
        found
    };
    files.iter().flat_map(in_file).collect()
}

mod tests {
    use super::{
        super::{assert_found, assert_none, output, tree},
        *,
    };

    #[test]
    fn the_tree_has_no_foreign_words() {
        assert_none(&in_files(&tree::files()));
    }

    #[test]
    fn the_history_has_no_foreign_words() {
        let messages = output("git", &["log", "--format=%h %an %s%n%b"]);
        assert_none(&foreign_words("git log", &messages));
        let changes = output("git", &["log", "--format=%h", "--patch", "--unified=0", "--no-color"]);
        let added: String =
            changes.lines().filter(|line| line.starts_with('+')).fold(String::new(), |mut all, line| {
                all.push_str(line);
                all.push('\n');
                all
            });
        assert_none(&foreign_words("git log -p", &added));
    }

    #[test]
    fn canary_each_foreign_word_is_seen() {
        for word in foreign() {
            let file = File::new("docs/page.md", &format!("fine\nsee {word}x for more\n"));
            assert_found(&in_files(&[file]), &format!("docs/page.md:2: {word}"));
        }
        assert_none(&foreign_words("fine", "GET /roots and the folder network/ and ./tree/root/x"));
    }
}
