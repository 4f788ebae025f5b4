//! The real binary on a disk that fills up: it says so, refuses what is new, goes on with the rest,
//! and takes writes again when there is room.
//!
//! Holds: at what moment the disk fills is the disk's business; each answer is checked against what
//! may be answered at any moment, and what must come in the end is waited for.

use std::{fs, io::Write, path::Path, process::Command};

use client::Client;

use super::not_run;
use super::{
    process::{RunningNode, command, ended},
    template::{SETTINGS, issue, paid, pay},
};

/// A file system in memory of a given size; unmounted with this value.
pub(crate) struct SmallDisk {
    home: tempfile::TempDir,
}

impl SmallDisk {
    pub(crate) fn mount(kib: u32) -> Result<Self, String> {
        let home = tempfile::tempdir().map_err(|error| error.to_string())?;
        let size = format!("size={kib}k");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(home.path())
            .output()
            .map_err(|error| format!("mount: {error}"))?;
        if mounted.status.success() {
            Ok(Self { home })
        } else {
            Err(String::from_utf8_lossy(&mounted.stderr).trim().to_owned())
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.home.path()
    }

    /// Writes into the file of this name until nothing more goes in.
    fn fill(&self, name: &str) {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(self.path().join(name));
        let file = file.as_mut().expect("a name costs nothing");
        while file.write(&[1; 4096]).is_ok() {}
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, because a test that panics may have a node on it.
        drop(Command::new("umount").arg("-l").arg(self.home.path()).status());
    }
}

/// What was paid and what was refused so far.
struct Payments {
    sent: u64,
    paid: u64,
    first: String,
}

impl Payments {
    /// One payment: it is taken, or refused for want of space and leaves nothing.
    async fn pay(&mut self, client: &mut Client) -> bool {
        self.sent += 1;
        let (status, body) = pay(client, &format!("p{}", self.sent)).await;
        match status {
            200 => self.paid += 1,
            503 => assert!(body.contains(r#""code":"degraded""#) && body.contains("disk is full"), "{body}"),
            _ => panic!("{status}: {body}"),
        }
        status == 200
    }

    /// The first payment again, byte for byte, and the balance.
    async fn check(&self, client: &mut Client) {
        let (status, body) = pay(client, "p1").await;
        assert_eq!((status, body.as_str()), (200, self.first.as_str()), "a repeat");
        assert_eq!(paid(client).await, self.paid);
    }
}

pub(crate) async fn readiness(node: &RunningNode) -> (u16, String) {
    let reply = node.client("ledger_admin").await.get("/readyz").await.expect("it listens");
    (reply.status, reply.json()["reason"].as_str().unwrap_or_default().to_owned())
}

/// Waits until the metrics have all of these lines.
async fn shows(node: &RunningNode, lines: &[&str]) {
    let mut admin = node.client("ledger_admin").await;
    let mut text = String::new();
    for _ in 0..20_000 {
        text = admin.get("/metrics").await.expect("it listens").text();
        if lines.iter().all(|line| text.contains(line)) {
            return;
        }
    }
    panic!("{lines:?} do not come in {text}");
}

#[tokio::test]
async fn a_full_disk_refuses_new_entries_and_nothing_else() {
    let disk = match SmallDisk::mount(10 << 10) {
        Ok(disk) => disk,
        Err(reason) => return not_run("full", reason),
    };
    let mut node = RunningNode::start_with(&disk.path().join("data"), &SETTINGS).await;
    let mut wallet = node.wallet().await;
    issue(&mut wallet).await;
    let mut payments = Payments { sent: 1, paid: 1, first: pay(&mut wallet, "p1").await.1 };

    // What the node frees or has prepared meanwhile is filled again, until it says that it is full.
    let mut filled = 0;
    while readiness(&node).await != (503, "no_space".into()) {
        disk.fill("hog");
        for _ in 0..50 {
            payments.pay(&mut wallet).await;
        }
        filled += 1;
        assert!(filled < 2_000, "it is never full");
    }
    for _ in 0..20 {
        payments.pay(&mut wallet).await;
        payments.check(&mut wallet).await;
    }
    shows(&node, &["ledger_full 1", "ledger_space_low 1", "ledger_safe_mode 1"]).await;

    fs::remove_file(disk.path().join("hog")).expect("it is there");
    let mut tries = 0;
    while !payments.pay(&mut wallet).await {
        tries += 1;
        assert!(tries < 100_000, "writes do not go on");
        tokio::task::yield_now().await;
    }
    payments.check(&mut wallet).await;
    let mut ready = readiness(&node).await;
    for _ in 0..100_000 {
        if ready.0 == 200 {
            break;
        }
        ready = readiness(&node).await;
    }
    assert_eq!(ready.0, 200, "{}", ready.1);
    shows(&node, &["ledger_full 0", "ledger_space_low 0", "ledger_safe_mode 0"]).await;
    assert_eq!(node.stop().await.code(), Some(0));

    let node = RunningNode::start_with(&disk.path().join("data"), &SETTINGS).await;
    payments.check(&mut node.wallet().await).await;
}

#[tokio::test]
async fn a_disk_without_room_for_the_first_segment_is_told() {
    // Room for keys, superblock and slot, and none for a segment.
    let disk = match SmallDisk::mount(600) {
        Ok(disk) => disk,
        Err(reason) => return not_run("full::first", reason),
    };
    let mut node = RunningNode::start_with(&disk.path().join("data"), &SETTINGS).await;
    let mut last = (0, String::new());
    for _ in 0..100_000 {
        last = readiness(&node).await;
        if last == (503, "no_space".into()) {
            break;
        }
    }
    assert_eq!(last, (503, "no_space".into()));
    let mut wallet = node.wallet().await;
    let (status, body) = pay(&mut wallet, "early").await;
    assert_eq!(status, 503, "{body}");
    assert_eq!(node.stop().await.code(), Some(0));
    drop(disk);

    // Not even room for those.
    let disk = SmallDisk::mount(64).expect("it was mounted before");
    disk.fill("hog");
    let mut process = command(&disk.path().join("data"), &SETTINGS).spawn().expect("it starts");
    assert_eq!(ended(&mut process).await.code(), Some(87));
}
