//! RFC 6962 vectors, and every path of every small tree under every damage.

use alloc::{vec, vec::Vec};

use crate::{
    Hash, HashKind, HashSource, ProofError, Tree, consistency_path, inclusion_path, verify_consistency,
    verify_inclusion,
};

/// The eight leaves that the published vectors of Certificate Transparency use.
const LEAVES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];

const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

const INCLUSION: [(u64, u64, &[&str]); 3] = [
    (
        0,
        8,
        &[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        &[
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, &["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
];

const CONSISTENCY: [(u64, u64, &[&str]); 3] = [
    (
        3,
        7,
        &[
            "0298d122906dcfc10892cb53a73992fc5b9f493ea4c9badb27b791b4127a7fe7",
            "07506a85fd9dd2f120eb694f86011e5bb4662e5c415a62917033d4a9624487e7",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "837dbb152e9b079010717e84e865da4ebc0fa198a806d59d31bf15accef22d0e",
        ],
    ),
    (4, 7, &["837dbb152e9b079010717e84e865da4ebc0fa198a806d59d31bf15accef22d0e"]),
    (
        6,
        8,
        &[
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
];

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
}

fn hashes(texts: &[&str]) -> Vec<Hash> {
    texts.iter().map(|text| unhex(text).try_into().unwrap()).collect()
}

/// Every node of a tree, by level.
pub(crate) struct Nodes(Vec<Vec<Hash>>);

impl Nodes {
    /// The tree over these leaf hashes with its root at each size.
    pub(crate) fn grow(hash: HashKind, leaves: &[Hash]) -> (Self, Vec<Hash>) {
        let (mut tree, mut nodes) = (Tree::new(hash), vec![Vec::new(); 64]);
        let mut roots = vec![tree.root()];
        for leaf in leaves {
            tree.push_each(*leaf, |level, index, node| {
                let level: &mut Vec<Hash> = &mut nodes[usize::from(level)];
                assert_eq!(u64::try_from(level.len()).unwrap(), index, "nodes come in order");
                level.push(*node);
            });
            roots.push(tree.root());
            assert_eq!(Tree::from_frontier(hash, tree.size(), &tree.frontier()), Some(tree.clone()));
        }
        (Self(nodes), roots)
    }
}

impl HashSource for Nodes {
    fn node(&self, level: u8, index: u64) -> Option<Hash> {
        self.0.get(usize::from(level))?.get(usize::try_from(index).ok()?).copied()
    }
}

#[test]
fn published_vectors_of_rfc_6962_hold() {
    let hash = HashKind::Sha256;
    let leaves: Vec<Hash> = LEAVES.iter().map(|leaf| hash.leaf(&unhex(leaf))).collect();
    let (nodes, roots) = Nodes::grow(hash, &leaves);
    assert_eq!(roots, hashes(&ROOTS));
    for (index, size, expected) in INCLUSION {
        let path = inclusion_path(hash, &nodes, index, size).unwrap();
        assert_eq!(path, hashes(expected), "PATH({index}, {size})");
    }
    for (old, new, expected) in CONSISTENCY {
        let path = consistency_path(hash, &nodes, old, new).unwrap();
        assert_eq!(path, hashes(expected), "PROOF({old}, {new})");
    }
}

/// RFC 6962's recursive definition, word for word.
fn root_by_definition(hash: HashKind, leaves: &[Hash]) -> Hash {
    match leaves {
        [] => hash.empty(),
        [leaf] => *leaf,
        more => {
            let mut half = 1;
            while half * 2 < more.len() {
                half *= 2;
            }
            let (left, right) = more.split_at(half);
            hash.node(&root_by_definition(hash, left), &root_by_definition(hash, right))
        }
    }
}

#[test]
fn every_path_of_every_small_tree_proves_and_no_damaged_one_does() {
    const SIZE: usize = 40;
    for hash in [HashKind::Sha256, HashKind::Blake3] {
        let leaves: Vec<Hash> = (0..SIZE).map(|at| hash.leaf(&at.to_le_bytes())).collect();
        let (nodes, roots) = Nodes::grow(hash, &leaves);
        for size in 0..=SIZE {
            assert_eq!(roots[size], root_by_definition(hash, &leaves[..size]), "{size}");
            for (at, leaf) in leaves.iter().enumerate().take(size) {
                check_inclusion(hash, &nodes, leaf, (at, size), &roots[size]);
            }
            for old in 0..=size {
                check_consistency(hash, &nodes, (old, &roots[old]), (size, &roots[size]));
            }
        }
        let outside = inclusion_path(hash, &nodes, 41, 41);
        assert_eq!(outside, Err(ProofError::OutOfRange));
        let missing = inclusion_path(hash, &nodes, 0, 64);
        assert_eq!(missing, Err(ProofError::MissingNode { level: 5, index: 1 }));
        assert_eq!(consistency_path(hash, &nodes, 3, 2), Err(ProofError::OutOfRange));
    }
}

fn check_inclusion(hash: HashKind, nodes: &Nodes, leaf: &Hash, (at, size): (usize, usize), root: &Hash) {
    let (at, size) = (u64::try_from(at).unwrap(), u64::try_from(size).unwrap());
    let path = inclusion_path(hash, nodes, at, size).unwrap();
    let verify = |leaf: &Hash, at, size, path: &[Hash]| verify_inclusion(hash, leaf, at, size, path, root);
    assert_eq!(verify(leaf, at, size, &path), Ok(()), "{at} of {size}");
    assert!(verify(&[9; 32], at, size, &path).is_err());
    assert!(verify(leaf, size, size, &path).is_err());
    for other in 0..size {
        assert_eq!(verify(leaf, other, size, &path).is_ok(), other == at, "{other} for {at} of {size}");
    }
    for damaged in damages(&path) {
        assert!(verify(leaf, at, size, &damaged).is_err(), "{at} of {size}");
    }
}

fn check_consistency(hash: HashKind, nodes: &Nodes, old: (usize, &Hash), new: (usize, &Hash)) {
    let old = (u64::try_from(old.0).unwrap(), old.1);
    let new = (u64::try_from(new.0).unwrap(), new.1);
    let path = consistency_path(hash, nodes, old.0, new.0).unwrap();
    assert_eq!(verify_consistency(hash, old, new, &path), Ok(()), "{} to {}", old.0, new.0);
    assert!(verify_consistency(hash, (old.0, &[9; 32]), new, &path).is_err());
    if old.0 != 0 {
        assert!(verify_consistency(hash, old, (new.0, &[9; 32]), &path).is_err());
    }
    assert!(verify_consistency(hash, (new.0 + 1, old.1), new, &path).is_err());
    for damaged in damages(&path) {
        assert!(verify_consistency(hash, old, new, &damaged).is_err(), "{} to {}", old.0, new.0);
    }
}

/// The path cut, lengthened, with one bit turned, and reversed.
fn damages(path: &[Hash]) -> Vec<Vec<Hash>> {
    let mut damaged: Vec<Vec<Hash>> = Vec::new();
    damaged.push([path, &[[0; 32]]].concat());
    if let Some((_, shorter)) = path.split_last() {
        damaged.push(shorter.to_vec());
    }
    for at in 0..path.len() {
        let mut turned = path.to_vec();
        turned[at][at % 32] ^= 1;
        damaged.push(turned);
    }
    let reversed: Vec<Hash> = path.iter().rev().copied().collect();
    if reversed != path {
        damaged.push(reversed);
    }
    damaged
}

#[test]
fn a_frontier_of_the_wrong_length_is_no_tree() {
    let hash = HashKind::Blake3;
    assert_eq!(Tree::from_frontier(hash, 3, &[[1; 32]]), None);
    assert_eq!(Tree::from_frontier(hash, 4, &[[1; 32]; 2]), None);
    assert_eq!(Tree::from_frontier(hash, 0, &[]), Some(Tree::new(hash)));
}
