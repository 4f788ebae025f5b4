//! `Child`: the node under test, a process of this same binary on a directory of its own.
//!
//! Holds: it is dead when it goes out of scope. Leaves to others: when it is killed.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use engine::monotonic;
use ledger::NoteVerifier;
use model::Nanos;

use super::violation::DemoError;
use crate::{endpoints::Endpoints, token};

const READY_MAX_SECS: u64 = 60;
const PAUSE: Duration = Duration::from_millis(2);
/// Lines of its log that are shown when it ends by itself.
const LAST_WORDS: usize = 5;

/// What the demo was given and gives on to each start: `--config`, `--set`.
#[derive(Clone, Debug)]
pub(crate) struct Passed {
    config: Option<PathBuf>,
    set: Vec<String>,
    /// What the settings say of the shards.
    pub(crate) shards: u16,
}

impl Passed {
    pub(crate) fn new(config: Option<PathBuf>, set: Vec<String>, shards: u16) -> Self {
        Self { config, set, shards }
    }
}

/// Where the node keeps its data, and where its words go.
#[derive(Clone, Debug)]
pub(crate) struct Home(PathBuf);

impl Home {
    pub(crate) fn new(directory: &Path) -> Self {
        Self(directory.to_owned())
    }

    fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    fn run(&self) -> PathBuf {
        self.data().join("run")
    }

    fn log(&self) -> PathBuf {
        self.0.join("node.log")
    }
}

/// A running node.
#[derive(Debug)]
pub(crate) struct Child {
    process: std::process::Child,
    home: Home,
    pub(crate) endpoints: Endpoints,
    /// The development capability.
    pub(crate) token: String,
    /// The key that checks the log's signatures.
    pub(crate) log_key: NoteVerifier,
}

impl Child {
    /// Starts the node and waits until it is ready: what it says at the terminal is not heard.
    pub(crate) async fn start(home: &Home, passed: &Passed) -> Result<Self, DemoError> {
        Endpoints::clear(&home.run()).map_err(DemoError::io(home.run().display()))?;
        let mut spawned = Spawned(spawn(home, passed)?);
        let began = monotonic();
        loop {
            if let Some((endpoints, log_key)) = ready(home) {
                let path = home.data().join("keys").join(token::TOKEN);
                let token = fs::read_to_string(&path).map_err(DemoError::io(path.display()))?;
                let process = spawned.0.take().expect("it is taken once");
                let token = token.trim().to_owned();
                return Ok(Self { process, home: home.clone(), endpoints, token, log_key });
            }
            let process = spawned.0.as_mut().expect("it is not taken yet");
            if let Some(status) = process.try_wait().map_err(DemoError::io("the node"))? {
                return Err(ended(home, status));
            }
            if monotonic().since(began) > Nanos::from_secs(READY_MAX_SECS) {
                return Err(DemoError::NotReady { seconds: READY_MAX_SECS, log: home.log() });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Kills it with SIGKILL; an error if it had ended before.
    pub(crate) fn kill(mut self) -> Result<(), DemoError> {
        self.alive()?;
        self.process.kill().and_then(|()| self.process.wait()).map_err(DemoError::io("kill"))?;
        Ok(())
    }

    /// An error if it has ended by itself.
    pub(crate) fn alive(&mut self) -> Result<(), DemoError> {
        match self.process.try_wait().map_err(DemoError::io("the node"))? {
            None => Ok(()),
            Some(status) => Err(ended(&self.home, status)),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

/// A process that is not ready yet.
struct Spawned(Option<std::process::Child>);

impl Drop for Spawned {
    fn drop(&mut self) {
        self.0.as_mut().map(end);
    }
}

fn end(process: &mut std::process::Child) {
    // It may have ended already, and then there is nothing to kill.
    drop(process.kill());
    drop(process.wait());
}

/// The settings that the demo needs, stronger than what it was given.
fn settings(home: &Home) -> Vec<String> {
    let mut settings = vec![format!("data_dir={}", home.data().display()), "log=warn".to_owned()];
    for address in ["ledger.http", "ledger.admin", "wallet.http", "wallet.admin", "accounting.admin"] {
        settings.push(format!("{address}=127.0.0.1:0"));
    }
    settings.push("accounting.window_millis=1000".to_owned());
    // Not in the runtime directory, where they would be in the way of a node that stays.
    for socket in ["accounting", "admin"] {
        settings.push(format!("{socket}.socket={}", home.run().join(format!("{socket}.sock")).display()));
    }
    settings
}

fn spawn(home: &Home, passed: &Passed) -> Result<Option<std::process::Child>, DemoError> {
    let binary = std::env::current_exe().map_err(DemoError::io("the path of this program"))?;
    let mut command = Command::new(&binary);
    if let Some(config) = &passed.config {
        command.arg("--config").arg(config);
    }
    for setting in passed.set.iter().chain(&settings(home)) {
        command.args(["--set", setting]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null());
    // Of both starts, one after the other.
    let log = File::options().create(true).append(true).open(home.log());
    command.stderr(log.map_err(DemoError::io(home.log().display()))?);
    command.spawn().map(Some).map_err(DemoError::io(binary.display()))
}

/// Where the node listens and the key that checks its signatures, once it has written them.
fn ready(home: &Home) -> Option<(Endpoints, NoteVerifier)> {
    let endpoints = Endpoints::read(&home.run())?;
    let key = fs::read_to_string(home.data().join("keys").join(token::LOG_KEY)).ok()?;
    Some((endpoints, NoteVerifier::parse(key.trim()).ok()?))
}

fn ended(home: &Home, status: std::process::ExitStatus) -> DemoError {
    let log = fs::read_to_string(home.log()).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    let words = lines.split_at(lines.len().saturating_sub(LAST_WORDS)).1.join("\n");
    DemoError::Ended { status, words }
}
