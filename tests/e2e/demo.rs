//! `macronode demo`, as a person runs it: what it checks holds, and it leaves nothing behind. That
//! its checks can fail is shown beside them, in `node`.
//!
//! Reads `DEMO_SECONDS` of traffic (2 if unset).

use std::{
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;
use tests::random::from_environment;

use super::process::binary;

/// A directory for temporary directories, in memory where that can be had.
fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    made.expect("a temporary directory")
}

fn demo(scratch: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary("macronode"));
    command.arg("demo").args(["--connections", "4"]).args(arguments).env("TMPDIR", scratch.path());
    // Whatever is made there shows in the emptiness of `scratch`.
    command.env("XDG_RUNTIME_DIR", scratch.path().join("runtime"));
    command.stdin(Stdio::null());
    command
}

fn is_empty(scratch: &TempDir) -> bool {
    std::fs::read_dir(scratch.path()).expect("it is still there").next().is_none()
}

#[test]
fn every_receipt_of_a_killed_node_is_verified() {
    let scratch = scratch();
    let seconds = from_environment("DEMO_SECONDS", 2).clamp(2, 60).to_string();
    let output = demo(&scratch, &["--seconds", &seconds, "--json"]).output().expect("the binary is built");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {told}", output.status);
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON object and nothing else");
    let number = |name: &str| report[name].as_u64().unwrap_or_else(|| panic!("{name}: {report}"));
    assert_eq!(number("violations"), 0);
    assert_eq!(number("receipts"), number("transfers") + number("issues"));
    assert_eq!(number("receipts"), number("receipts_direct") + number("receipts_by_prefix"));
    assert!(number("receipts") > 40 && number("refusals") > 0 && number("balance_reads") > 0, "{report}");
    assert!(number("repeats") > 0 && number("checkpoints") > 0 && number("restart_ms") > 0, "{report}");
    // Four payers, eight shops, and the account that money is issued from.
    assert_eq!(number("accounts"), 13);
    let money = number("receipts") + number("refusals") + number("accounts");
    assert_eq!(number("entries"), money + number("usage_entries"), "{report}");
    assert!(number("usage_entries") >= number("usage_windows"), "{report}");
    // Every write is metered over the socket, and the events come on top.
    assert_eq!(number("usage_tenants"), 5);
    let writes = number("receipts") + number("refusals");
    let metered: u64 = report["usage_requests"].as_str().and_then(|text| text.parse().ok()).expect("a count");
    assert_eq!(metered, writes + number("events"));
    assert!(number("events") > 0, "{report}");
    assert_eq!(report["root"].as_str().expect("a root").len(), 64);
    assert!(is_empty(&scratch), "the directory of the node is gone");
    println!("proof: e2e demo seconds={seconds} receipts={} violations=0", number("receipts"));
}

#[test]
fn a_demo_that_is_stopped_takes_its_node_and_directory_along() {
    let scratch = scratch();
    let mut process =
        demo(&scratch, &["--seconds", "60"]).stderr(Stdio::piped()).spawn().expect("it is built");
    let wallet = wait(|| wallet(scratch.path()), "the node is up");
    assert!(TcpStream::connect(wallet).is_ok(), "the node listens");
    let id = process.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill is there").success());
    let status = wait(|| process.try_wait().expect("it is our child"), "the demo ends");
    assert_eq!(status.code(), Some(130), "{}", stderr(process));
    assert!(TcpStream::connect(wallet).is_err(), "the node is gone");
    assert!(is_empty(&scratch), "the directory of the node is gone");
}

fn stderr(process: Child) -> String {
    let output = process.wait_with_output().expect("it has ended");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Where the node of the demo in this directory listens, once it does.
fn wallet(scratch: &Path) -> Option<SocketAddr> {
    let home = std::fs::read_dir(scratch).ok()?.next()?.ok()?.path();
    let text = std::fs::read(home.join("data/run/endpoints.json")).ok()?;
    serde_json::from_slice::<Value>(&text).ok()?["wallet"].as_str()?.parse().ok()
}

#[expect(clippy::disallowed_methods, reason = "waits for another process, with a deadline")]
fn wait<T>(mut ready: impl FnMut() -> Option<T>, what: &str) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = ready() {
            return found;
        }
        assert!(Instant::now() < deadline, "within 60 s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
