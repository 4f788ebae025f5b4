//! Who may import whom. The direction of the house is written here and nowhere else.

use super::packages::Package;

/// Our crates, and which of ours each may name outside its tests.
const EDGES: [(&str, &[&str]); 24] = [
    ("model", &[]),
    ("ledger", &["model"]),
    ("journal", &["model"]),
    ("disk", &[]),
    ("ron-meter", &[]),
    ("wire", &["model"]),
    ("shard", &["model", "wire"]),
    ("producer", &["model", "wire"]),
    ("engine", &["model", "wire", "ledger", "journal", "disk", "shard"]),
    ("caps", &["model"]),
    ("client", &[]),
    ("wallet", &["model", "wire"]),
    ("server", &["model", "wire", "wallet", "caps", "ledger"]),
    (
        "node",
        &[
            "model", "wire", "wallet", "caps", "ledger", "disk", "shard", "engine", "server", "client",
            "producer",
        ],
    ),
    ("macronode", &["node"]),
    ("ron-accounting", &["ron-meter", "node"]),
    ("ron-ledger", &["node"]),
    ("svc-wallet", &["node"]),
    ("ctl", &["model", "wire", "wallet", "caps", "ledger", "journal", "disk", "engine", "client"]),
    (
        "bench",
        &[
            "model",
            "wire",
            "ledger",
            "journal",
            "disk",
            "ron-meter",
            "shard",
            "engine",
            "caps",
            "client",
            "producer",
        ],
    ),
    ("ron-tune", &["disk"]),
    (
        "tests",
        &[
            "model",
            "wire",
            "ledger",
            "journal",
            "disk",
            "ron-meter",
            "shard",
            "engine",
            "caps",
            "wallet",
            "client",
        ],
    ),
    ("xtask", &[]),
    ("fuzz", &["model", "wire", "ledger", "journal", "caps", "ron-meter"]),
];

/// Outside crates that one or few of ours may name: what touches the kernel, HTTP, keys, bytes.
const FENCES: [(&str, &[&str]); 20] = [
    ("indicatif", &["node"]),
    ("glommio", &["engine"]),
    ("io-uring", &["disk"]),
    ("axum", &["server"]),
    ("tower", &["server"]),
    ("prometheus", &["server"]),
    (
        "tokio",
        &[
            "server",
            "client",
            "node",
            "macronode",
            "ron-accounting",
            "ron-ledger",
            "svc-wallet",
            "ctl",
            "bench",
        ],
    ),
    ("rkyv", &["model"]),
    ("httparse", &["bench"]),
    ("hmac", &["caps"]),
    ("subtle", &["caps"]),
    ("ed25519-dalek", &["ledger"]),
    ("core_affinity", &["engine", "bench"]),
    ("crossbeam-queue", &["engine"]),
    ("getrandom", &["node", "ctl", "bench"]),
    ("clap", &["node", "ctl", "bench", "ron-tune"]),
    ("toml", &["node", "ctl", "tests", "bench", "ron-tune"]),
    ("rustix", &["disk", "engine", "node", "ctl", "bench", "ron-tune"]),
    ("libc", &["disk"]),
    (
        "anyhow",
        &[
            "node",
            "macronode",
            "ron-accounting",
            "ron-ledger",
            "svc-wallet",
            "ctl",
            "bench",
            "ron-tune",
            "tests",
            "xtask",
        ],
    ),
];

/// Edges between our crates that are not in the list, and crates that are not in it.
fn strange_edges(packages: &[Package]) -> Vec<String> {
    let mut found = Vec::new();
    for package in packages.iter().filter(|package| package.source.is_none()) {
        let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == package.name) else {
            found.push(format!("{}: a crate without a place in tests/tidy/edges.rs", package.name));
            continue;
        };
        let ours = package.dependencies.iter().filter(|edge| edge.path.is_some() && !in_tests(edge));
        for edge in ours.filter(|edge| !allowed.contains(&edge.name.as_str())) {
            found.push(format!("{} -> {}: not an edge of the house", package.name, edge.name));
        }
    }
    found
}

/// Our crates that name an outside crate which is fenced off from them.
fn over_the_fence(packages: &[Package]) -> Vec<String> {
    let mut found = Vec::new();
    for package in packages.iter().filter(|package| package.source.is_none()) {
        for edge in package.dependencies.iter().filter(|edge| !in_tests(edge)) {
            let fence = FENCES.iter().find(|(name, _)| *name == edge.name);
            if fence.is_some_and(|(_, may)| !may.contains(&package.name.as_str())) {
                found.push(format!("{} -> {}: fenced off", package.name, edge.name));
            }
        }
    }
    found
}

fn in_tests(edge: &super::packages::Dependency) -> bool {
    edge.kind.as_deref() == Some("dev")
}

mod tests {
    use super::{
        super::{
            assert_found, assert_none,
            packages::{Dependency, metadata},
            tree::{self, File},
        },
        *,
    };

    fn package(name: &str, edge: &str, path: Option<&str>, kind: Option<&str>) -> Package {
        let edge = Dependency {
            name: edge.to_owned(),
            kind: kind.map(str::to_owned),
            path: path.map(str::to_owned),
        };
        Package { name: name.to_owned(), dependencies: vec![edge], ..Package::default() }
    }

    #[test]
    fn edges_follow_the_house() {
        assert_none(&strange_edges(&metadata().packages));
    }

    #[test]
    fn canary_edges() {
        assert_found(&strange_edges(&[package("ledger", "disk", Some("x"), None)]), "ledger -> disk");
        assert_found(&strange_edges(&[package("attic", "model", Some("x"), None)]), "attic");
        assert_none(&strange_edges(&[package("ledger", "disk", Some("x"), Some("dev"))]));
    }

    #[test]
    fn the_list_has_no_cycle() {
        let mut placed: Vec<&str> = Vec::new();
        let mut left: Vec<_> = EDGES.iter().collect();
        while !left.is_empty() {
            let before = left.len();
            left.retain(|(name, edges)| {
                let free = edges.iter().all(|edge| placed.contains(edge));
                if free {
                    placed.push(name);
                }
                !free
            });
            assert!(left.len() < before, "a cycle among {left:?}");
        }
    }

    #[test]
    fn fences_hold() {
        assert_none(&over_the_fence(&metadata().packages));
    }

    #[test]
    fn canary_fences() {
        for (outside, may) in FENCES {
            assert!(!may.contains(&"model") || outside == "rkyv", "the model crate touches nothing");
            assert_found(&over_the_fence(&[package("wire", outside, None, None)]), outside);
        }
    }

    /// Sources that name glommio; the fence of the design is one file.
    fn names_glommio(sources: &[File]) -> Vec<String> {
        let word = concat!("glom", "mio::");
        let names = |file: &&File| file.text.lines().any(|line| tree::is_code(line) && line.contains(word));
        sources.iter().filter(names).map(|file| file.path.clone()).collect()
    }

    #[test]
    fn one_file_names_the_shard_executor() {
        let files = names_glommio(&tree::sources());
        let in_engine = files.iter().all(|path| path.starts_with("dataplane/engine/src/"));
        assert!(files.len() <= 1 && in_engine, "the fence has holes: {files:?}");
    }

    #[test]
    fn canary_the_shard_executor_is_seen() {
        let text = concat!("use glom", "mio::LocalExecutor;\n");
        assert_eq!(names_glommio(&[File::new("a/src/b.rs", text), File::new("a/src/c.rs", "")]).len(), 1);
    }
}
