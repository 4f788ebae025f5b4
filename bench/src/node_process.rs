//! `NodeProcess`: a real `macronode` in its own process, on a directory of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::clock::Clock;
use crate::http::{Ask, Connection};

/// How long a start or a stop may take before the run is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long to wait between two looks.
const LOOK_EVERY: Duration = Duration::from_micros(500);

/// A running node; killed when it falls.
#[derive(Debug)]
pub struct NodeProcess {
    child: Child,
    /// The wallet's address.
    pub wallet: SocketAddr,
    /// The ledger's address.
    pub ledger: SocketAddr,
    /// The capability for everything.
    pub token: String,
    /// From the start of the process to all roles ready.
    pub ready_after: Duration,
}

impl NodeProcess {
    /// Starts `binary` on `data` with `settings` and waits until all its roles are ready.
    ///
    /// # Errors
    /// If it does not start, or is not ready in a minute.
    pub fn start(binary: &Path, data: &Path, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let endpoints = data.join("run/endpoints.json");
        if endpoints.exists() {
            std::fs::remove_file(&endpoints)?;
        }
        let mut command = Command::new(binary);
        command.env_remove("XDG_RUNTIME_DIR").stdout(Stdio::null());
        let mut set = |key: &str, value: &str| {
            command.arg("--set").arg(format!("{key}={value}"));
        };
        set("data_dir", &data.display().to_string());
        set("log", "warn");
        for key in ["ledger.http", "ledger.admin", "wallet.http", "wallet.admin", "accounting.admin"] {
            set(key, "127.0.0.1:0");
        }
        settings.iter().for_each(|(key, value)| set(key, value));
        let clock = Clock::start();
        let child = command.spawn().with_context(|| format!("starting {}", binary.display()))?;
        let nowhere = SocketAddr::from(([0; 4], 0));
        let mut node = Self {
            child,
            wallet: nowhere,
            ledger: nowhere,
            token: String::new(),
            ready_after: Duration::ZERO,
        };
        node.await_ready(&endpoints, &clock)?;
        node.token = std::fs::read_to_string(data.join("keys/dev.token"))?.trim().to_owned();
        Ok(node)
    }

    fn await_ready(&mut self, endpoints: &Path, clock: &Clock) -> anyhow::Result<()> {
        loop {
            // The file is renamed into its place, so it is whole or not there.
            if let Ok(text) = std::fs::read(endpoints) {
                let found: serde_json::Value = serde_json::from_slice(&text)?;
                let address = |name: &str| -> anyhow::Result<SocketAddr> {
                    Ok(found[name].as_str().with_context(|| format!("an address of {name}"))?.parse()?)
                };
                (self.wallet, self.ledger) = (address("wallet")?, address("ledger")?);
                let admins = found.as_object().context("an object of addresses")?.keys();
                for admin in admins.filter(|name| name.ends_with("_admin")) {
                    while !is_ready(address(admin)?)? {
                        self.check_patience(clock)?;
                    }
                }
                self.ready_after = Duration::from_nanos(clock.nanos());
                return Ok(());
            }
            self.check_patience(clock)?;
        }
    }

    fn check_patience(&mut self, clock: &Clock) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the node ended before it was ready: {status}");
        }
        ensure!(Duration::from_nanos(clock.nanos()) < PATIENCE, "the node is not ready after {PATIENCE:?}");
        rest(LOOK_EVERY);
        Ok(())
    }

    /// Processor time that its threads have used so far.
    ///
    /// # Errors
    /// If the kernel does not say.
    pub fn cpu_time(&self) -> anyhow::Result<Duration> {
        let mut nanos = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            // Its first number is the time on a core, in nanoseconds. A thread may end meanwhile.
            let text = std::fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
            nanos += text.split(' ').next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(Duration::from_nanos(nanos))
    }

    /// Resident memory, in MiB.
    ///
    /// # Errors
    /// If the kernel does not say.
    pub fn resident_mib(&self) -> anyhow::Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: u32 = line.trim().trim_end_matches(" kB").trim().parse()?;
        Ok(f64::from(kib) / 1024.0)
    }

    /// Asks it to stop and waits until it has.
    ///
    /// # Errors
    /// If it does not stop cleanly in a minute.
    pub fn stop(mut self) -> anyhow::Result<()> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).context("asking the node to stop")?;
        let clock = Clock::start();
        loop {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "the node did not stop cleanly: {status}");
                return Ok(());
            }
            ensure!(Duration::from_nanos(clock.nanos()) < PATIENCE, "the node does not stop");
            rest(LOOK_EVERY);
        }
    }

    /// Kills it (`SIGKILL`) and waits until it is gone.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The node's binary: the one that is named, or the one beside this.
///
/// # Errors
/// If it is not there.
pub fn binary(named: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    built(named, "macronode", "macronode", "--node")
}

/// The binary of this name: the one that is named, or the one beside this.
///
/// # Errors
/// If it is not there.
pub fn built(named: Option<PathBuf>, name: &str, package: &str, flag: &str) -> anyhow::Result<PathBuf> {
    let binary = match named {
        Some(named) => named,
        None => std::env::current_exe()?.with_file_name(name),
    };
    ensure!(
        binary.exists(),
        "{}: not there; build it in the same profile (cargo build --release -p {package}) or name one with {flag}",
        binary.display()
    );
    Ok(binary)
}

fn is_ready(admin: SocketAddr) -> anyhow::Result<bool> {
    let ask = Ask { method: "GET", path: "/readyz", token: "none", key: "", body: "" };
    Ok(Connection::open(admin)?.ask(ask)?.status == 200)
}

/// Rests, as a process does that waits for another.
#[expect(clippy::disallowed_methods, reason = "waits for another process, with a deadline")]
pub fn rest(span: Duration) {
    std::thread::sleep(span);
}
