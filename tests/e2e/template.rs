//! A small data directory that a real node has made, copied for every test that damages one.
//!
//! Holds: `bank` has paid `PAID` units to `payee`, one in each frame.

use std::{
    fs,
    path::{Path, PathBuf},
};

use client::Client;

use super::process::RunningNode;

/// What `payee` has.
pub(crate) const PAID: u64 = 20;
/// Settings of every node on a template.
pub(crate) const SETTINGS: [&str; 1] = ["ledger.segment_mib=1"];

/// The directory, gone with this value.
pub(crate) struct Template {
    home: tempfile::TempDir,
}

impl Template {
    /// Makes one and stops the node cleanly.
    pub(crate) async fn new() -> Self {
        let home = scratch();
        let mut node = RunningNode::start_with(&home.path().join("data"), &SETTINGS).await;
        let mut client = node.wallet().await;
        issue(&mut client).await;
        for number in 0..PAID {
            assert_eq!(pay(&mut client, &format!("t{number}")).await.0, 200);
        }
        assert_eq!(node.stop().await.code(), Some(0));
        Self { home }
    }

    /// A copy, to be damaged.
    pub(crate) fn copy(&self, name: &str) -> PathBuf {
        let to = self.home.path().join(name);
        copy_tree(&self.home.path().join("data"), &to);
        to
    }
}

/// A directory in memory where there is such a thing: the device is not the subject.
pub(crate) fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a temporary directory")
}

/// Gives `bank` more than any test spends.
pub(crate) async fn issue(client: &mut Client) {
    let body = r#"{"to":"bank","asset":"ron","amount_minor":"1000000000"}"#;
    let reply = client.post("/v1/issue", "fund", body.into()).await.expect("it listens");
    assert_eq!(reply.status, 200, "{}", reply.text());
}

/// Pays one unit to `payee`: status and body.
pub(crate) async fn pay(client: &mut Client, key: &str) -> (u16, String) {
    let body = r#"{"from":"bank","to":"payee","asset":"ron","amount_minor":"1"}"#;
    let reply = client.post("/v1/transfer", key, body.into()).await.expect("it listens");
    (reply.status, reply.text())
}

/// What `payee` has.
pub(crate) async fn paid(client: &mut Client) -> u64 {
    let reply = client.get("/v1/balance?account=payee&asset=ron").await.expect("it listens");
    reply.json()["amount_minor"].as_str().expect("a balance").parse().expect("units")
}

/// Copies a directory with the modes of its files.
fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("it is there") {
        let entry = entry.expect("listed");
        let target = to.join(entry.file_name());
        let kind = entry.file_type().expect("listed");
        if kind.is_dir() {
            copy_tree(&entry.path(), &target);
        } else if kind.is_file() {
            fs::copy(entry.path(), &target).expect("copied");
        }
    }
    let mode = fs::metadata(from).expect("it is there").permissions();
    fs::set_permissions(to, mode).expect("it is ours");
}

/// Flips a bit of the byte at `offset`.
pub(crate) fn flip(path: &Path, offset: usize) {
    let mut bytes = fs::read(path).expect("it is there");
    bytes[offset] ^= 0x20;
    fs::write(path, bytes).expect("it is ours");
}

/// The files in `directory`, in order.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("it is there");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("listed").path()).collect();
    files.sort();
    files
}
