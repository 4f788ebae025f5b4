//! What a member's manifest may say: the workspace's lints, edition and versions, nothing of its own.

use toml::{Table, Value};

use super::tree::File;

/// Tables that name dependencies.
const TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// Crates that keep an older compiler for those who embed them.
const EMBEDDED: [&str; 2] = ["ron-meter", "ron-accounting"];

/// What is wrong with one member's manifest.
fn wrong_in(file: &File) -> Vec<String> {
    let manifest: Table = match file.text.parse() {
        Ok(manifest) => manifest,
        Err(error) => return vec![format!("{}: {error}", file.path)],
    };
    let mut found = Vec::new();
    if !is_from_workspace(manifest.get("lints")) {
        found.push(format!("{}: `[lints] workspace = true` is missing", file.path));
    }
    let package = manifest.get("package").and_then(Value::as_table).cloned().unwrap_or_default();
    let name = package.get("name").and_then(Value::as_str).unwrap_or_default();
    let own = if EMBEDDED.contains(&name) { &["version", "license"][..] } else { &FROM_WORKSPACE[..] };
    for key in own.iter().filter(|key| !is_from_workspace(package.get(**key))) {
        found.push(format!("{}: `{key}.workspace = true` is missing", file.path));
    }
    if !package.contains_key("description") {
        found.push(format!("{}: a description is missing", file.path));
    }
    let targets = manifest.get("target").and_then(Value::as_table).cloned().unwrap_or_default();
    let tables = targets.values().filter_map(Value::as_table).chain([&manifest]);
    for (name, dependency) in tables.flat_map(dependencies) {
        if !is_from_workspace(Some(&dependency)) {
            found.push(format!("{}: {name} has a version of its own", file.path));
        }
    }
    found
}

const FROM_WORKSPACE: [&str; 5] = ["version", "edition", "rust-version", "license", "publish"];

fn dependencies(table: &Table) -> Vec<(String, Value)> {
    let tables = TABLES.iter().filter_map(|name| table.get(*name)).filter_map(Value::as_table);
    tables.flat_map(|table| table.clone().into_iter()).collect()
}

fn is_from_workspace(value: Option<&Value>) -> bool {
    value.and_then(|value| value.get("workspace")).and_then(Value::as_bool) == Some(true)
}

/// Dependencies that a crate of the foundation is about to use: may shrink, and ends empty.
const AWAITED: [&str; 1] = ["libc"];

/// Dependencies of the root manifest that no member names.
fn unused(root: &File, members: &[File], awaited: &[&str]) -> Vec<String> {
    let listed = |file: &File| file.text.parse::<Table>().unwrap_or_default();
    let mut used: Vec<String> = Vec::new();
    for manifest in members.iter().map(listed) {
        let targets = manifest.get("target").and_then(Value::as_table).cloned().unwrap_or_default();
        let tables = targets.values().filter_map(Value::as_table).chain([&manifest]);
        used.extend(tables.flat_map(dependencies).map(|(name, _)| name));
    }
    let workspace = listed(root);
    let all =
        workspace.get("workspace").and_then(|table| table.get("dependencies")).and_then(Value::as_table);
    let names = all.into_iter().flat_map(Table::keys);
    let unused = names.filter(|name| !used.contains(name) && !awaited.contains(&name.as_str()));
    unused.map(|name| format!("{name}: nobody uses it")).collect()
}

mod tests {
    use super::{
        super::{assert_found, assert_none, tree},
        *,
    };

    fn manifests() -> (File, Vec<File>) {
        let mut all: Vec<File> =
            tree::files().into_iter().filter(|file| file.path.ends_with("Cargo.toml")).collect();
        let root = all.iter().position(|file| file.path == "Cargo.toml").expect("the root has a manifest");
        (all.swap_remove(root), all)
    }

    const GOOD: &str = "package.name = 'a'\npackage.description = 'A.'\nlints.workspace = true\n\
        package.version.workspace = true\npackage.edition.workspace = true\n\
        package.rust-version.workspace = true\npackage.license.workspace = true\n\
        package.publish.workspace = true\n";

    #[test]
    fn members_follow_the_workspace() {
        let (_, members) = manifests();
        assert!(!members.is_empty());
        assert_none(&members.iter().flat_map(wrong_in).collect::<Vec<_>>());
    }

    #[test]
    fn canary_manifests() {
        let found = |text: String| wrong_in(&File::new("a/Cargo.toml", &text));
        assert_none(&found(GOOD.to_owned()));
        assert_found(&found(GOOD.replace("lints.workspace", "lints.rust")), "[lints]");
        assert_found(&found(GOOD.replace("edition.workspace", "edition.own")), "edition");
        assert_found(&found(format!("{GOOD}[dependencies]\nlibc = '0.2'\n")), "libc");
        assert_found(&found(format!("{GOOD}[dev-dependencies]\nlibc.version = '0.2'\n")), "libc");
        assert_found(&found(format!("{GOOD}[target.'cfg(unix)'.dependencies]\nlibc = '0.2'\n")), "libc");
        assert_none(&found(format!(
            "{GOOD}[dependencies]\nlibc = {{ workspace = true, optional = true }}\n"
        )));
        assert_found(&found("not a manifest".to_owned()), "a/Cargo.toml");
    }

    #[test]
    fn the_root_lists_nothing_that_nobody_uses() {
        let (root, members) = manifests();
        assert_none(&unused(&root, &members, &AWAITED));
    }

    #[test]
    fn canary_a_dependency_that_nobody_uses() {
        let root = File::new("Cargo.toml", "[workspace.dependencies]\nlibc = '0.2'\nhex = '0.4'\n");
        let member = File::new("a/Cargo.toml", "[dependencies]\nhex.workspace = true\n");
        assert_found(&unused(&root, std::slice::from_ref(&member), &[]), "libc");
        assert_eq!(unused(&root, &[member], &[]).len(), 1);
    }
}
