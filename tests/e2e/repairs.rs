//! Damage that there is a second copy for, or that can be computed again: the node starts, serves the
//! same, and has mended it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::{
    process::RunningNode,
    template::{PAID, SETTINGS, Template, files, flip, paid, pay},
};

/// Where the second copy of a superblock or slot lies.
const SECOND_COPY: usize = 65_536;
const COPY: usize = 4_096;

type Damage = fn(&Path);
type Mended = fn(&Path) -> bool;

fn newest_checkpoint(data: &Path) -> PathBuf {
    files(&data.join("ledger/checkpoints")).pop().expect("a clean stop leaves one")
}

fn both_copies_are_whole(name: &str, data: &Path) -> bool {
    let bytes = fs::read(data.join("ledger").join(name)).expect("it is there");
    let (first, second) = (&bytes[..COPY], &bytes[SECOND_COPY..SECOND_COPY + COPY]);
    // Slots differ by their number, so only the beginning and what is not zero can be compared.
    first[..8] == second[..8] && first[COPY - 32..] != [0; 32] && second[COPY - 32..] != [0; 32]
}

/// Starts a node on the damaged directory, asks it everything that the damage could touch, and stops
/// it.
async fn check(name: &str, data: &Path, mended: Mended) {
    let mut node = RunningNode::start_with(data, &SETTINGS).await;
    let mut wallet = node.wallet().await;
    assert_eq!(paid(&mut wallet).await, PAID, "{name}");
    let (status, body) = pay(&mut wallet, "t3").await;
    assert_eq!(status, 200, "{name}: a repeat: {body}");
    assert_eq!(paid(&mut wallet).await, PAID, "{name}: a repeat pays nothing");
    let receipt: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    let txid = receipt["txid"].as_str().expect("a receipt has a txid");
    let proof = wallet.get(&format!("/v1/tx/{txid}/proof")).await.expect("it listens");
    assert_eq!(proof.status, 200, "{name}: a proof: {}", proof.text());
    let roots = node.client("ledger").await.get("/roots?since=0").await.expect("it listens");
    assert_eq!(roots.status, 200, "{name}: roots: {}", roots.text());
    assert_eq!(pay(&mut wallet, "new").await.0, 200, "{name}");
    assert_eq!(node.stop().await.code(), Some(0), "{name}");
    assert!(mended(data), "{name}: it is not mended");
}

#[tokio::test]
async fn one_bad_copy_and_lost_derived_files_are_survived_and_mended() {
    let template = Template::new().await;
    let cases: [(&str, Damage, Mended); 11] = [
        (
            "first superblock",
            |data| flip(&data.join("ledger/superblock"), 100),
            |data| both_copies_are_whole("superblock", data),
        ),
        (
            "second superblock",
            |data| flip(&data.join("ledger/superblock"), SECOND_COPY + 9),
            |data| both_copies_are_whole("superblock", data),
        ),
        ("the newest checkpoint", |data| flip(&newest_checkpoint(data), 300), |_| true),
        ("a checkpoint's header", |data| flip(&newest_checkpoint(data), 30), |_| true),
        (
            "a checkpoint half written",
            |data| {
                let left = data.join("ledger/checkpoints/.00000000000000000009.checkpoint.new");
                fs::write(left, [1; 5_000]).expect("it is ours");
            },
            |data| !data.join("ledger/checkpoints/.00000000000000000009.checkpoint.new").exists(),
        ),
        (
            "no checkpoint",
            |data| fs::remove_dir_all(data.join("ledger/checkpoints")).expect("it is ours"),
            |data| newest_checkpoint(data).exists(),
        ),
        (
            "no derived files",
            |data| fs::remove_dir_all(data.join("ledger/derived")).expect("it is ours"),
            |data| data.join("ledger/derived/level-0").exists(),
        ),
        ("a flipped tile", |data| flip(&data.join("ledger/derived/level-0"), 3 * 32), |_| true),
        (
            "a torn index",
            |data| fs::write(data.join("ledger/derived/frames"), [3; 100]).expect("it is ours"),
            |data| fs::metadata(data.join("ledger/derived/frames")).is_ok_and(|file| file.len() > 100),
        ),
        (
            "derived is a file",
            |data| {
                fs::remove_dir_all(data.join("ledger/derived")).expect("it is ours");
                fs::write(data.join("ledger/derived"), b"in the way").expect("it is ours");
            },
            |data| data.join("ledger/derived/level-0").exists(),
        ),
        (
            "derived may not be entered",
            |data| {
                let mode = fs::Permissions::from_mode(0o000);
                fs::set_permissions(data.join("ledger/derived"), mode).expect("it is ours");
            },
            |_| true,
        ),
    ];
    for (name, damage, mended) in cases {
        let data = template.copy(name);
        damage(&data);
        check(name, &data, mended).await;
    }
    // Of the slot, the older copy: the newer one alone knows of the last frames, and without it a
    // clean start reads on.
    for copy in [0, SECOND_COPY] {
        let data = template.copy(&format!("slot {copy}"));
        flip(&data.join("ledger/slot"), copy + 50);
        check(&format!("slot at {copy}"), &data, |data| both_copies_are_whole("slot", data)).await;
    }
}
