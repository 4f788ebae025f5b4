//! `RunningNode`: the real binary as a process of its own, for every test that needs one.
//!
//! Holds: every listener is on a free port; it is killed and reaped when it goes out of scope.
//! Leaves to others: what is asked of it.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use client::Client;
use serde_json::Value;
use tempfile::TempDir;

/// How long a node may take to do what it was asked for, on the slowest machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The keys whose value is an address to listen on.
const LISTENERS: [&str; 5] =
    ["ledger.http", "ledger.admin", "accounting.admin", "wallet.http", "wallet.admin"];

/// A running node, killed when it goes out of scope.
#[derive(Debug)]
pub(crate) struct RunningNode {
    process: Child,
    endpoints: Value,
    token: String,
}

impl RunningNode {
    /// Starts a node on `data` with the development defaults and waits until it serves.
    pub(crate) async fn start(data: &Path) -> Self {
        Self::start_with(data, &[]).await
    }

    /// As `start`, with settings such as `ledger.segment_mib=1` laid over the defaults.
    pub(crate) async fn start_with(data: &Path, settings: &[&str]) -> Self {
        Self::spawn(command(data, settings).stdout(Stdio::null()), data).await
    }

    /// Spawns `command`, which must start a node on `data`, and waits until it serves.
    pub(crate) async fn spawn(command: &mut Command, data: &Path) -> Self {
        drop(std::fs::remove_file(data.join("run/endpoints.json")));
        Self::adopt(command.spawn().expect("the binary starts"), data).await
    }

    /// Waits until a process that is starting on `data` serves.
    pub(crate) async fn adopt(mut process: Child, data: &Path) -> Self {
        let endpoints = endpoints(&mut process, data).await;
        let token = std::fs::read_to_string(data.join("keys/dev.token")).expect("made at the first start");
        Self { process, endpoints, token: token.trim().into() }
    }

    /// The development token.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The address in use under this name of `run/endpoints.json`, such as `ledger_admin`.
    pub(crate) fn endpoint(&self, name: &str) -> SocketAddr {
        let text = self.endpoints[name].as_str();
        text.unwrap_or_else(|| panic!("{name} not in {}", self.endpoints)).parse().expect("an address")
    }

    /// The socket for producers.
    pub(crate) fn accounting_socket(&self) -> PathBuf {
        self.endpoints["accounting_socket"].as_str().expect("a path").into()
    }

    /// A connection to the address of this name, with the development token.
    pub(crate) async fn client(&self, name: &str) -> Client {
        Client::connect(self.endpoint(name), Some(&self.token)).await.expect("the node listens")
    }

    /// A connection to the wallet.
    pub(crate) async fn wallet(&self) -> Client {
        self.client("wallet").await
    }

    /// SIGKILL; returns when the process is gone.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it was started here");
    }

    /// Sends a signal by name, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status();
        assert!(sent.expect("kill starts").success(), "signal {name} is sent");
    }

    /// SIGTERM, and how the process ended.
    pub(crate) async fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.ended().await
    }

    /// Waits for the end of the process.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        ended(&mut self.process).await
    }
}

impl Drop for RunningNode {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// A directory of this test alone, in memory where the host has that: the device is not the subject,
/// and removing a journal stalls some disks for seconds.
pub(crate) fn scratch() -> TempDir {
    let made = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    made.expect("a temporary directory")
}

/// The command that runs a node on `data`, every listener on a free port, with a small journal.
pub(crate) fn command(data: &Path, settings: &[&str]) -> Command {
    let mut command = Command::new(binary("macronode"));
    // The node of whoever runs the tests may hold the operators' socket and the producers' there.
    command
        .env_remove("XDG_RUNTIME_DIR")
        .stdin(Stdio::null())
        .arg("--set")
        .arg(format!("data_dir={}", data.display()));
    for key in LISTENERS {
        command.arg("--set").arg(format!("{key}=127.0.0.1:0"));
    }
    command.args(["--set", "log=warn", "--set", "ledger.segment_mib=4"]);
    // Tests run on disks of any size; those that are about the marks set them.
    command.args(["--set", "storage.soft_mib=0", "--set", "storage.hard_mib=0"]);
    for setting in settings {
        command.args(["--set", setting]);
    }
    command
}

/// One of our programs, beside the test binary.
pub(crate) fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let target = test.ancestors().nth(2).expect("tests lie in the target directory's deps");
    let binary = target.join(name);
    assert!(binary.exists(), "{}: build it first: cargo build --workspace --bins", binary.display());
    binary
}

/// Whether this host has a program.
pub(crate) fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Effective user id 0, as the kernel tells it.
pub(crate) fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let uids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    uids.and_then(|uids| uids.split_whitespace().nth(1)) == Some("0")
}

/// Waits for the end of a process.
pub(crate) async fn ended(process: &mut Child) -> ExitStatus {
    until("the process ends", || process.try_wait().expect("a child of ours")).await
}

/// Waits until `look` finds something.
#[expect(clippy::disallowed_methods, reason = "waits for another process, with a deadline")]
pub(crate) async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {} s: {what}", PATIENCE.as_secs());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn endpoints(process: &mut Child, data: &Path) -> Value {
    until("the node writes run/endpoints.json", || {
        if let Some(status) = process.try_wait().expect("a child of ours") {
            panic!("the node ended before it served: {status}");
        }
        let text = std::fs::read(data.join("run/endpoints.json")).unwrap_or_default();
        serde_json::from_slice::<Value>(&text).ok().filter(Value::is_object)
    })
    .await
}
