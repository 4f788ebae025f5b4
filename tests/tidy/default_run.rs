//! What `cargo run` at the root starts: with several programs in the workspace, cargo takes the one
//! package that names a `default-run`, and refuses if there are two.

use super::packages::Package;

/// What the packages say about it, if that is not `macronode` once.
fn wrong(packages: &[Package]) -> Vec<String> {
    let runs = packages.iter().filter_map(|package| package.default_run.as_deref());
    match runs.collect::<Vec<_>>().as_slice() {
        ["macronode"] => Vec::new(),
        [] => vec!["no package has a default-run".to_owned()],
        runs => vec![format!("default-run: expected `macronode` alone, found {runs:?}")],
    }
}

mod tests {
    use super::{
        super::{assert_found, assert_none, packages},
        *,
    };

    #[test]
    fn cargo_run_at_the_root_starts_macronode() {
        let mut packages = packages::metadata().packages;
        packages.retain(|package| package.source.is_none());
        assert!(packages.len() > 10, "the workspace's own packages");
        assert_none(&wrong(&packages));
        let manifest = std::fs::read_to_string(super::super::root().join("Cargo.toml"));
        let manifest = manifest.expect("the root has a manifest");
        assert!(!manifest.contains("default-members"), "build, test and clippy cover every member");
    }

    #[test]
    fn canary_default_run() {
        let named = |name: &str| Package { default_run: Some(name.into()), ..Package::default() };
        assert_none(&wrong(&[Package::default(), named("macronode")]));
        assert_found(&wrong(&[Package::default()]), "no package");
        assert_found(&wrong(&[named("xtask")]), "xtask");
        assert_found(&wrong(&[named("macronode"), named("ron-bench")]), "alone");
    }
}
