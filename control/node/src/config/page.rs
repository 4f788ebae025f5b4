//! What is written from the table of keys: `docs/CONFIG.md` and `deploy/config/macronode.toml`.

use std::fmt::Write as _;

use super::{
    key::{Key, Kind},
    keys::{SECTIONS, Section},
};

const HEAD: &str = "\
# Configuration

Written by `cargo run --release -- config page > docs/CONFIG.md`; what is told here stands in `control/node/src/config/keys.rs`.

A value is taken from the strongest of four places: a flag (`--set ledger.http=127.0.0.1:5082`), the environment (`MACRONODE_LEDGER__HTTP`; two underscores stand for the dot; some keys have weaker names beside it, listed below), the config file, the development default. The file is TOML and is named by `--config FILE` or, weaker, by `RON_CONFIG`. Without a file the node runs with the defaults below: `environment = \"dev\"`, profile `macronode`. A file must name its profile.

- `macronode config print` shows every key with its value and where that comes from.
- `macronode config check [FILE]` says `ok` and exits 0, or names every problem by its key and place and exits 2.

An unknown key, a wrong type, a value outside its range, two listeners on one address: each is refused with exit code 2, also where a stronger value would hide it. [`deploy/config/macronode.toml`](../deploy/config/macronode.toml) holds every key with its default.
";

/// `docs/CONFIG.md`.
pub(crate) fn page() -> String {
    let mut page = String::from(HEAD);
    for section in SECTIONS {
        let title = if section.name.is_empty() { "Before the first section" } else { section.name };
        write!(page, "\n## {title}\n\n{}\n\n", section.doc).expect("a string takes it");
        page.push_str("| key | in the environment | default | may be | is |\n|---|---|---|---|---|\n");
        for key in section.keys {
            let Key { name, kind, default, doc, also } = key;
            let mut variables = key.variable();
            for other in *also {
                variables.push_str(&format!("`, `{other}"));
            }
            let may = cell(kind);
            writeln!(page, "| `{name}` | `{variables}` | `{default}` | {may} | {doc} |")
                .expect("a string takes it");
        }
    }
    page
}

fn cell(kind: &Kind) -> String {
    match kind {
        Kind::Integer(low, high) => format!("{low} to {high}"),
        Kind::Address => "address and port; port 0: any free one".into(),
        Kind::Text | Kind::Path | Kind::Word(_) | Kind::Boolean => kind.to_string(),
    }
}

const TEMPLATE_HEAD: &str = "\
# A macronode for development: every key with its default. What is commented out is what runs anyway.
# Written by `cargo run --release -- config template`; docs/CONFIG.md says more.
# Check a changed copy with `macronode config check FILE`.
";

/// Keys that stand in the file without a comment sign: a file must say for what it is.
const SAID: [&str; 2] = ["environment", "profile"];

/// `deploy/config/macronode.toml`.
pub(crate) fn template() -> String {
    let mut file = String::from(TEMPLATE_HEAD);
    for Section { name, doc, keys } in SECTIONS {
        if name.is_empty() {
            writeln!(file, "\n# {doc}").expect("a string takes it");
        } else {
            writeln!(file, "\n# {doc}\n[{name}]").expect("a string takes it");
        }
        for key in *keys {
            let sign = if SAID.contains(&key.name) { "" } else { "# " };
            let (doc, name, default) = (key.doc, key.parts().1, &key.default);
            let may = cell(&key.kind);
            writeln!(file, "\n# {doc}\n# May be: {may}.\n{sign}{name} = {default}")
                .expect("a string takes it");
        }
    }
    file
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use super::{super::Settings, *};

    fn root() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    #[test]
    fn the_page_is_what_the_table_says() {
        let written = fs::read_to_string(root().join("docs/CONFIG.md")).unwrap();
        let command = "cargo run --release -- config page > docs/CONFIG.md";
        assert!(written == page(), "docs/CONFIG.md is not what the table of keys says: {command}");
    }

    #[test]
    fn the_shipped_file_is_what_the_table_says() {
        let written = fs::read_to_string(root().join("deploy/config/macronode.toml")).unwrap();
        let command = "cargo run --release -- config template > deploy/config/macronode.toml";
        assert!(written == template(), "deploy/config/macronode.toml is not what the table says: {command}");
    }

    #[test]
    fn the_shipped_file_holds_and_its_comments_are_the_defaults() {
        let shipped = root().join("configs/macronode.toml");
        let settings = Settings::load(Some(&shipped), std::iter::empty(), &[]).unwrap();
        crate::params::Params::new(&settings).unwrap();
        let text = fs::read_to_string(&shipped).unwrap();
        // A commented key is a line such as `# name = value`; prose never has ` = ` after one word.
        let uncommented: String = text
            .lines()
            .map(|line| {
                let bare = line.strip_prefix("# ").unwrap_or(line);
                let is_key = bare.split_once(" = ").is_some_and(|(name, _)| !name.contains(' '));
                if is_key { format!("{bare}\n") } else { format!("{line}\n") }
            })
            .collect();
        let name = format!("macronode-template-{}", std::process::id());
        let full = std::env::temp_dir().join(name);
        fs::write(&full, uncommented).unwrap();
        let all = Settings::load(Some(&full), std::iter::empty(), &[]);
        fs::remove_file(&full).unwrap();
        let (all, none) =
            (all.unwrap().print(), Settings::load(None, std::iter::empty(), &[]).unwrap().print());
        for (from_file, built_in) in all.lines().zip(none.lines()) {
            let value = built_in.strip_suffix("  # default").unwrap();
            assert!(from_file.starts_with(&format!("{value}  # file ")), "{from_file}");
        }
    }
}
