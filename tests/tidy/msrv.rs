//! The lowest compiler: what others embed keeps 1.80, the daemons take what their crates need.
//!
//! Reads the `rust-version` that each package claims; clippy's `incompatible_msrv` checks what our
//! own code calls.

use super::{cargo, packages::Package};

/// For `ron-meter`, and for `ron-accounting` without its daemon.
const EMBEDDED: (u32, u32) = (1, 80);

/// `1.80` or `1.80.0`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split('.').map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Some((major, minor)),
        _ => None,
    }
}

/// Packages of `tree` that claim to need more than `most`. `tree` has lines `name vVERSION ..`.
fn need_more(tree: &str, packages: &[Package], most: (u32, u32)) -> Vec<String> {
    let mut found = Vec::new();
    for line in tree.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(at)) = (words.next(), words.next()) else { continue };
        let at = at.trim_start_matches('v');
        let known = packages.iter().find(|package| package.name == name && package.version == at);
        let Some(package) = known else {
            found.push(format!("{name} {at}: not among the packages"));
            continue;
        };
        let claimed = package.rust_version.as_deref().and_then(version);
        if claimed.is_some_and(|claimed| claimed > most) {
            found.push(format!("{name} {at}: needs Rust {}", package.rust_version.as_deref().unwrap_or("?")));
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Packages of `tree` besides those named: what an embedder would build along.
fn brought_along(tree: &str, ours: &[&str]) -> Vec<String> {
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    names.filter(|name| !ours.contains(name)).map(|name| format!("{name}: built along")).collect()
}

/// What a package is built from, its own tests apart.
fn built_from(package: &str, features: &[&str]) -> String {
    let mut words =
        vec!["tree", "--locked", "--edges", "normal,build", "--prefix", "none", "--package", package];
    words.extend(features);
    cargo(&words)
}

mod tests {
    use super::{
        super::{assert_found, assert_none, packages::metadata},
        *,
    };

    #[test]
    fn embedded_crates_build_with_an_old_compiler() {
        let packages = metadata().packages;
        for package in ["ron-meter", "ron-accounting"] {
            let tree = built_from(package, &["--no-default-features"]);
            assert!(tree.starts_with(package), "{tree}");
            assert_none(&need_more(&tree, &packages, EMBEDDED));
        }
    }

    #[test]
    fn embedded_crates_bring_nothing_along() {
        let tree = built_from("ron-accounting", &["--no-default-features"]);
        assert!(tree.contains("ron-meter"), "{tree}");
        assert_none(&brought_along(&tree, &["ron-accounting", "ron-meter"]));
    }

    #[test]
    fn canary_something_brought_along() {
        assert_found(&brought_along("a v1.0.0\ntokio v1.0.0\n", &["a"]), "tokio");
    }

    #[test]
    fn the_workspace_claims_what_its_crates_need() {
        let packages = metadata().packages;
        let ours = packages.iter().find(|package| package.name == "model").expect("model is ours");
        let claimed =
            ours.rust_version.as_deref().and_then(version).expect("the workspace has a rust-version");
        let tree = cargo(&["tree", "--locked", "--workspace", "--edges", "normal,build", "--prefix", "none"]);
        assert_none(&need_more(&tree, &packages, claimed));
    }

    #[test]
    fn canary_a_crate_that_needs_more() {
        let package = |name: &str, needs: &str| Package {
            name: name.to_owned(),
            version: "1.2.3".to_owned(),
            rust_version: Some(needs.to_owned()),
            ..Package::default()
        };
        let packages = [package("old", "1.60"), package("new", "1.81.0")];
        assert_found(
            &need_more("old v1.2.3\nnew v1.2.3\n", &packages, (1, 80)),
            "new 1.2.3: needs Rust 1.81.0",
        );
        assert_none(&need_more("old v1.2.3\nnew v1.2.3 (*)\n", &packages, (1, 81)));
        assert_found(&need_more("gone v1.2.3\n", &packages, (1, 80)), "gone");
        assert_eq!(version("1.80.1"), Some((1, 80)));
        assert_eq!(version("nightly"), None);
    }
}
