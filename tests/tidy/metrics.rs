//! The names of metrics: what the code registers and what `docs/OBSERVABILITY.md` lists, both ways.

use std::collections::BTreeSet;

use super::tree::File;

/// Where metrics may be registered.
const REGISTERS: &str = "control/server/src/";

/// The page that lists them.
const PAGE: &str = "docs/OBSERVABILITY.md";

/// What stands right before the name of a metric where it is registered.
const OPENERS: [&str; 7] = [
    "Opts::new(",
    "Gauge::new(",
    "float(",
    "counter(registry,",
    "gauge(registry,",
    "histogram(registry,",
    "queue(registry,",
];

/// Names that the code registers.
fn registered(files: &[File]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in files.iter().filter(|file| file.path.starts_with(REGISTERS)) {
        let (code, _) = file.split_tests();
        let dense: String = code.join("").split_whitespace().collect();
        let mut parts = dense.split('"');
        let mut before = parts.next().unwrap_or_default();
        while let (Some(literal), Some(after)) = (parts.next(), parts.next()) {
            let opens = OPENERS.iter().any(|opener| before.ends_with(opener));
            let is_arm = before.ends_with("=>") && literal.ends_with("_total");
            if opens || is_arm {
                names.insert(literal.to_owned());
            }
            before = after;
        }
    }
    names
}

/// Names in the first column of the page's tables.
fn listed(files: &[File]) -> BTreeSet<String> {
    let page = files.iter().find(|file| file.path == PAGE);
    let rows =
        page.into_iter().flat_map(|page| page.text.lines()).filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split_once('`')).map(|(name, _)| name.to_owned()).collect()
}

/// Names that stand on one side only.
fn apart(files: &[File]) -> Vec<String> {
    let (code, page) = (registered(files), listed(files));
    let missing = code.difference(&page).map(|name| format!("{name}: not in {PAGE}"));
    missing.chain(page.difference(&code).map(|name| format!("{name}: not registered"))).collect()
}

mod tests {
    use super::{
        super::{assert_found, assert_none, tree},
        *,
    };

    #[test]
    fn metrics_are_listed_and_registered() {
        let files = tree::files();
        assert!(registered(&files).len() > 20, "the rule still sees how metrics are registered");
        assert_none(&apart(&files));
    }

    #[test]
    fn canary_metrics() {
        let code = "let a = counter(\n    registry,\n    \"a_total\",\n    \"all a\",\n)?;\n\
            let b = IntGaugeVec::new(Opts::new(\"b\", \"all b\"), &[\"q\"])?;\n\
            match x { X => \"c_total\", Y => \"word\" }\n";
        let page = "| name |\n|---|\n| `a_total` | counter |\n| `gone` | gauge |\n";
        let files = [File::new("control/server/src/t.rs", code), File::new(PAGE, page)];
        let found = apart(&files);
        assert_eq!(found.len(), 3, "{found:?}");
        for name in ["b: not in", "c_total: not in", "gone: not registered"] {
            assert_found(&found, name);
        }
    }
}
