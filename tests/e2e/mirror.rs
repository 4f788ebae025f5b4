//! The real binary on two directories: killed under load, one copy gone, damaged, another's, and an
//! operator's word.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use super::{
    not_run,
    payers::{Load, PATIENT, answers, check, fund},
    process::{RunningNode, command, ended},
    template::{flip, issue, paid, pay, scratch},
};
use crate::kernel::image::Image;

/// Kills of a node under load.
const KILLS: u64 = 4;
const PAID: u64 = 12;

/// A ledger with a mirror, in which `payee` has been paid.
struct Home {
    home: tempfile::TempDir,
}

impl Home {
    async fn new() -> Self {
        let home = Self { home: scratch() };
        let mut node = RunningNode::start_with(&home.data(), &home.settings()).await;
        let mut wallet = node.wallet().await;
        issue(&mut wallet).await;
        for number in 0..PAID {
            assert_eq!(pay(&mut wallet, &format!("t{number}")).await.0, 200);
        }
        assert_eq!(node.stop().await.code(), Some(0));
        home
    }

    fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn mirror(&self) -> PathBuf {
        self.home.path().join("mirror")
    }

    fn settings(&self) -> [&'static str; 2] {
        ["ledger.segment_mib=1", leak(format!("ledger.mirror={}", self.mirror().display()))]
    }

    /// Starts, and checks that everything that was paid is there.
    async fn check(&self) {
        let mut node = RunningNode::start_with(&self.data(), &self.settings()).await;
        let mut wallet = node.wallet().await;
        assert_eq!(paid(&mut wallet).await, PAID);
        assert_eq!(node.stop().await.code(), Some(0));
    }

    /// Its exit code and its last words, when it must not start.
    async fn refused(&self, settings: &[&str]) -> (Option<i32>, String) {
        let mut command = command(&self.data(), settings);
        let mut process =
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let status = ended(&mut process).await;
        let mut words = String::new();
        let mut stderr = process.stderr.take().expect("piped");
        std::io::Read::read_to_string(&mut stderr, &mut words).expect("text");
        (status.code(), words)
    }

    fn forget_checkpoints(&self) {
        fs::remove_dir_all(self.data().join("ledger/checkpoints")).expect("they are ours");
    }
}

/// Settings are named for as long as the test runs.
fn leak(text: String) -> &'static str {
    text.leak()
}

fn segment(directory: &Path) -> PathBuf {
    directory.join("segments/0000000000.segment")
}

async fn metrics(node: &RunningNode) -> String {
    node.client("ledger_admin").await.get("/metrics").await.expect("it listens").text()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_under_load_lose_nothing_of_two_copies() {
    let home = scratch();
    let (data, mirror) = (home.path().join("data"), home.path().join("mirror"));
    let mut settings: Vec<&str> = PATIENT.to_vec();
    settings.push(leak(format!("ledger.mirror={}", mirror.display())));
    let mut node = RunningNode::start_with(&data, &settings).await;
    fund(&node).await;
    let mut payers = Vec::new();
    for kill in 0..KILLS {
        let load = Load::begin(&node, payers).await;
        tokio::time::sleep(Duration::from_millis(30 + 17 * kill)).await;
        node.kill();
        payers = load.broken().await;
        node = RunningNode::start_with(&data, &settings).await;
        check(&node, &mut payers).await;
    }
    assert!(answers(&payers) > 4, "the load was real");
    assert_eq!(node.stop().await.code(), Some(0));
    let (first, second) = (fs::read(segment(&data.join("ledger"))), fs::read(segment(&mirror)));
    assert!(first.expect("it is there") == second.expect("it is there"), "the copies are equal");
}

#[tokio::test]
async fn damage_on_one_side_is_repaired_and_told_and_on_both_is_rot() {
    let home = Home::new().await;
    home.forget_checkpoints();
    flip(&segment(&home.mirror()), 3 * 4096 + 300);
    flip(&segment(&home.data().join("ledger")), 5 * 4096 + 300);
    let mut node = RunningNode::start_with(&home.data(), &home.settings()).await;
    assert!(metrics(&node).await.contains("ledger_mirror_repaired_bytes 8192"));
    assert_eq!(paid(&mut node.wallet().await).await, PAID);
    assert_eq!(node.stop().await.code(), Some(0));
    home.forget_checkpoints();
    for copy in [home.mirror(), home.data().join("ledger")] {
        flip(&segment(&copy), 4 * 4096 + 300);
    }
    let (code, words) = home.refused(&home.settings()).await;
    assert_eq!(code, Some(82), "{words}");
    assert!(words.contains("nothing was changed"), "{words}");
}

#[tokio::test]
async fn a_copy_that_is_gone_is_asked_for() {
    let home = Home::new().await;
    let (code, words) = home.refused(&["ledger.segment_mib=1"]).await;
    assert_eq!(code, Some(96), "{words}");
    assert!(words.contains("ledger.mirror is not set"), "{words}");
    fs::rename(home.mirror(), home.home.path().join("aside")).expect("renamed");
    let (code, words) = home.refused(&home.settings()).await;
    assert_eq!(code, Some(96), "{words}");
    assert!(words.contains("put its device back") && words.contains("mirror"), "{words}");
    fs::rename(home.home.path().join("aside"), home.mirror()).expect("renamed");
    home.check().await;
}

#[tokio::test]
async fn another_ledger_in_the_mirrors_place_is_refused_by_name() {
    let (home, other) = (Home::new().await, Home::new().await);
    fs::remove_dir_all(home.mirror()).expect("it is ours");
    let moved = Command::new("cp").arg("-a").arg(other.mirror()).arg(home.mirror()).status();
    assert!(moved.expect("cp starts").success());
    let (code, words) = home.refused(&home.settings()).await;
    assert_eq!(code, Some(97), "{words}");
    assert!(words.contains("not the other copy of this ledger"), "{words}");
}

#[tokio::test]
async fn a_mirror_that_goes_away_under_load_costs_no_answer() {
    let image = match Image::mount("ext4", 64 << 20) {
        Ok(image) => image,
        Err(reason) => return not_run("mirror", reason),
    };
    let home = scratch();
    let data = home.path().join("data");
    let mirror = leak(format!("ledger.mirror={}", image.path().join("mirror").display()));
    let settings = ["ledger.segment_mib=1", mirror];
    let mut node = RunningNode::start_with(&data, &settings).await;
    let mut wallet = node.wallet().await;
    issue(&mut wallet).await;
    let mut count = 0;
    for number in 0..30 {
        assert_eq!(pay(&mut wallet, &format!("before-{number}")).await.0, 200);
        count += 1;
    }
    if let Err(reason) = image.shut_down() {
        return not_run("mirror", reason);
    }
    for number in 0..30 {
        let (status, body) = pay(&mut wallet, &format!("after-{number}")).await;
        assert_eq!(status, 200, "{body}");
        count += 1;
    }
    assert_eq!(paid(&mut wallet).await, count);
    let ready = node.client("ledger_admin").await.get("/readyz").await.expect("it listens");
    assert_eq!((ready.status, ready.json()["reason"].as_str()), (200, Some("mirror_lost")));
    node.kill();
    // The survivor's record stands, so that it starts by itself, and brings up a new one.
    let fresh = leak(format!("ledger.mirror={}", home.path().join("fresh").display()));
    let mut node = RunningNode::start_with(&data, &["ledger.segment_mib=1", fresh]).await;
    assert_eq!(paid(&mut node.wallet().await).await, count);
    assert!(metrics(&node).await.contains("ledger_mirror_lost 0"));
    assert_eq!(node.stop().await.code(), Some(0));
}
