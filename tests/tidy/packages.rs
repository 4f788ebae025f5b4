//! The packages that are built, as cargo tells them, against `deny.toml`: licences, sources, one
//! version of each.
//!
//! `deny.toml` is the one list; `cargo deny` reads it too where it is installed.

use std::fs;

use serde::Deserialize;

use super::{cargo, output, root};

/// What `cargo metadata` says.
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    /// Ours and others'.
    pub(super) packages: Vec<Package>,
}

/// One package.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Package {
    /// As in its manifest.
    pub(super) name: String,
    /// As in its manifest.
    pub(super) version: String,
    /// An SPDX expression, or an older form with `/`.
    pub(super) license: Option<String>,
    /// `None` for ours.
    pub(super) source: Option<String>,
    /// The lowest compiler that it claims.
    pub(super) rust_version: Option<String>,
    /// The program that `cargo run` takes if nothing else is said.
    pub(super) default_run: Option<String>,
    /// What it names in its manifest.
    pub(super) dependencies: Vec<Dependency>,
}

/// One line of a dependency table.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Dependency {
    /// The package's name.
    pub(super) name: String,
    /// `None`, `dev` or `build`.
    pub(super) kind: Option<String>,
    /// Set for ours.
    pub(super) path: Option<String>,
}

/// The parts of `deny.toml` that are checked here.
#[derive(Debug, Deserialize)]
struct Deny {
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Debug, Deserialize)]
struct Licenses {
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

/// What one package may have beside `allow`.
#[derive(Debug, Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Bans {
    deny: Vec<Banned>,
    skip: Vec<Skipped>,
}

#[derive(Debug, Deserialize)]
struct Banned {
    #[serde(rename = "crate")]
    name: String,
}

#[derive(Debug, Deserialize)]
struct Skipped {
    #[serde(rename = "crate")]
    name_at_version: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

/// The packages that this host builds, from the lock file.
pub(super) fn metadata() -> Metadata {
    let version = output("rustc", &["-vV"]);
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
    let json = cargo(&["metadata", "--format-version", "1", "--locked", "--filter-platform", host]);
    serde_json::from_str(&json).expect("cargo metadata has the form that cargo documents")
}

fn deny() -> Deny {
    let text = fs::read_to_string(root().join("deny.toml")).expect("deny.toml lies in the root");
    toml::from_str(&text).expect("deny.toml has licences, bans and sources")
}

/// Packages whose licence is not on the list.
fn licences(packages: &[Package], deny: &Deny) -> Vec<String> {
    let allowed = |package: &&Package| {
        let exceptions = deny.licenses.exceptions.iter().filter(|exception| exception.name == package.name);
        let allow = deny.licenses.allow.iter().chain(exceptions.flat_map(|exception| &exception.allow));
        let allow: Vec<String> = allow.cloned().collect();
        package.license.as_deref().is_some_and(|expression| permits(expression, &allow))
    };
    let refused = packages.iter().filter(|package| !allowed(package));
    refused.map(|package| format!("{}: licence {:?}", package.name, package.license)).collect()
}

/// Whether an SPDX expression can be met with the licences in `allow`: `OR` needs one side, `AND`
/// both and binds closer; `/` is the old spelling of `OR`.
fn permits(expression: &str, allow: &[String]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let met = either(&words, &mut at, allow);
    met && at == words.len()
}

fn either(words: &[&str], at: &mut usize, allow: &[String]) -> bool {
    let mut met = both(words, at, allow);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        met |= both(words, at, allow);
    }
    met
}

fn both(words: &[&str], at: &mut usize, allow: &[String]) -> bool {
    let mut met = one(words, at, allow);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(words, at, allow);
    }
    met
}

fn one(words: &[&str], at: &mut usize, allow: &[String]) -> bool {
    let Some(word) = words.get(*at) else { return false };
    *at += 1;
    if *word == "(" {
        let met = either(words, at, allow);
        let closed = words.get(*at) == Some(&")");
        *at += 1;
        return met && closed;
    }
    let mut name = (*word).to_owned();
    if let [Some(&"WITH"), Some(exception)] = [words.get(*at), words.get(*at + 1)] {
        name = format!("{name} WITH {exception}");
        *at += 2;
    }
    // `+`: this version or a later one.
    allow.contains(&name) || name.strip_suffix('+').is_some_and(|name| allow.iter().any(|one| one == name))
}

/// Packages from elsewhere than the listed registries and our own folders.
fn sources(packages: &[Package], deny: &Deny) -> Vec<String> {
    let strange = |source: &String| {
        let address = source.strip_prefix("registry+").unwrap_or(source);
        !deny.sources.allow_registry.iter().any(|allowed| allowed == address)
    };
    let foreign = packages.iter().filter(|package| package.source.as_ref().is_some_and(strange));
    foreign.map(|package| format!("{}: comes from {:?}", package.name, package.source)).collect()
}

/// Banned packages, packages in more than one version that are not on the skip list, and entries of
/// the skip list that nothing needs.
fn bans(packages: &[Package], deny: &Deny) -> Vec<String> {
    let skipped = |package: &&Package| {
        let name = format!("{}@{}", package.name, package.version);
        deny.bans.skip.iter().any(|skip| skip.name_at_version == name)
    };
    let mut found: Vec<String> = deny
        .bans
        .skip
        .iter()
        .filter(|skip| {
            let is = |p: &Package| format!("{}@{}", p.name, p.version) == skip.name_at_version;
            !packages.iter().any(is)
        })
        .map(|skip| format!("{}: skipped in deny.toml and not built", skip.name_at_version))
        .collect();
    let counted: Vec<&Package> = packages.iter().filter(|package| !skipped(package)).collect();
    for (index, package) in counted.iter().enumerate() {
        if deny.bans.deny.iter().any(|banned| banned.name == package.name) {
            found.push(format!("{}: banned in deny.toml", package.name));
        }
        if let Some(other) = counted[..index].iter().find(|other| other.name == package.name) {
            found.push(format!("{}: in versions {} and {}", package.name, other.version, package.version));
        }
    }
    found
}

mod tests {
    use super::{
        super::{assert_found, assert_none},
        *,
    };

    fn package(name: &str, version: &str, license: &str) -> Package {
        Package {
            name: name.to_owned(),
            version: version.to_owned(),
            license: Some(license.to_owned()),
            ..Package::default()
        }
    }

    #[test]
    fn licences_are_on_the_list() {
        assert_none(&licences(&metadata().packages, &deny()));
    }

    #[test]
    fn canary_licences() {
        assert_found(&licences(&[package("a", "1.0.0", "GPL-3.0-only")], &deny()), "GPL-3.0-only");
        assert_found(&licences(&[package("a", "1.0.0", "MPL-2.0+")], &deny()), "MPL-2.0");
        assert_found(&licences(&[Package { license: None, ..package("b", "1.0.0", "") }], &deny()), "b: ");
        let allow = ["MIT".to_owned(), "Apache-2.0".to_owned(), "Apache-2.0 WITH LLVM-exception".to_owned()];
        let cases = [
            ("MIT", true),
            ("MIT/Apache-2.0", true),
            ("GPL-3.0-only OR MIT", true),
            ("GPL-3.0-only AND MIT", false),
            ("(MIT OR GPL-3.0-only) AND Apache-2.0", true),
            ("MIT AND (GPL-3.0-only OR AGPL-3.0-only)", false),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("Apache-2.0 WITH other-exception", false),
            ("(MIT", false),
            ("MIT MIT", false),
            ("Apache-2.0+", true),
            ("MPL-2.0+", false),
            ("", false),
        ];
        for (expression, met) in cases {
            assert_eq!(permits(expression, &allow), met, "{expression}");
        }
    }

    #[test]
    fn packages_come_from_the_registry_or_from_here() {
        assert_none(&sources(&metadata().packages, &deny()));
    }

    #[test]
    fn canary_a_package_from_elsewhere() {
        let source = Some("git+https://example.org/a".to_owned());
        assert_found(&sources(&[Package { source, ..package("a", "1.0.0", "MIT") }], &deny()), "example.org");
    }

    #[test]
    fn each_package_has_one_version() {
        assert_none(&bans(&metadata().packages, &deny()));
    }

    #[test]
    fn canary_versions_and_bans() {
        let mut rules = deny();
        let twice = [package("a", "1.0.0", "MIT"), package("a", "2.0.0", "MIT")];
        rules.bans.skip.clear();
        assert_found(&bans(&twice, &rules), "1.0.0 and 2.0.0");
        rules.bans.skip.push(Skipped { name_at_version: "a@1.0.0".to_owned() });
        assert_none(&bans(&twice, &rules));
        assert_found(&bans(&[], &rules), "not built");
        let banned = rules.bans.deny.first().expect("deny.toml bans something").name.clone();
        assert_found(&bans(&[package(&banned, "1.0.0", "MIT")], &rules), "banned");
    }
}
