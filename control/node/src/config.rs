//! `Config`: the raw settings, as they stand in a file, the environment and the flags.
//!
//! Holds: order of strength is flag, environment, file, default; an unknown key or a wrong type
//! is refused with its place. Leaves to others: relations between settings (`params`).

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// Environment variables that set keys begin with this; `__` stands for the dot.
const ENV_PREFIX: &str = "MACRONODE_";

/// Every setting. Written in full in `deploy/config/macronode.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `dev` or `production`.
    pub environment: String,
    /// `macronode` (persistent).
    pub profile: String,
    /// Where everything durable lies.
    pub data_dir: PathBuf,
    /// Log filter, in the syntax of `RUST_LOG`.
    pub log: String,
    /// The ledger role.
    pub ledger: LedgerConfig,
    /// Group commit.
    pub commit: CommitConfig,
    /// Bounds of the queues.
    pub queues: QueuesConfig,
    /// The accounting role.
    pub accounting: AccountingConfig,
    /// The wallet role.
    pub wallet: WalletConfig,
}

/// The ledger role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerConfig {
    /// Address of `/ingest`, `/roots` and the proofs.
    pub http: String,
    /// Address of health, readiness, metrics and version.
    pub admin: String,
    /// Hash of the Merkle tree, `sha256` or `blake3`; fixed when the ledger is created.
    pub hash: String,
    /// Name under which checkpoints are signed.
    pub origin: String,
    /// Size of a journal segment in MiB, 1 to 4096.
    pub segment_mib: u32,
    /// `auto`, `uring` or `pwrite`.
    pub io: String,
    /// Frames on their way to the disk at once, 1 to 8.
    pub frames_in_flight: u32,
    /// Core of the committer; -1 lets the plan choose.
    pub core: i64,
    /// Whether the committer polls instead of sleeping. For tuned hosts with a core to give.
    pub spin: bool,
    /// Accounts that the ledger holds at most.
    pub accounts_max: u32,
    /// Idempotency keys that the ledger remembers at most.
    pub keys_max: u32,
    /// Seconds that the wall clock may be ahead of the last entry at start.
    pub max_forward_jump_secs: u64,
}

/// Group commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommitConfig {
    /// Entries of one batch at most.
    pub batch_max_entries: u32,
}

/// Bounds of the queues.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueuesConfig {
    /// Calls to the ledger open at once; beyond it 429.
    pub ingress: u32,
}

/// The accounting role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountingConfig {
    /// Address of health, metrics and `/v1/usage`.
    pub admin: String,
    /// Unix socket for producers; empty: `accounting.sock` in the runtime directory.
    pub socket: String,
    /// Length of a window in milliseconds, 100 to 3,600,000; a divisor of a day.
    pub window_millis: u32,
    /// Shards, 1 to 64.
    pub shards: u16,
    /// Label sets of one shard at most.
    pub label_limit: u32,
}

/// The wallet role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WalletConfig {
    /// Address of `/v1` and `/wallet`.
    pub http: String,
    /// Address of health, readiness, metrics and version.
    pub admin: String,
    /// Milliseconds that a request may take to arrive.
    pub read_ms: u64,
    /// Milliseconds that a request may take to be answered.
    pub write_ms: u64,
    /// Milliseconds that a connection may be idle.
    pub idle_ms: u64,
    /// Requests in flight at once; beyond it 503.
    pub inflight: u32,
    /// Bytes of a request body at most.
    pub body_max_bytes: u32,
}

impl Config {
    /// The development defaults of `docs/CONFIG.md`.
    #[must_use]
    pub fn development() -> Self {
        Self {
            environment: "dev".into(),
            profile: "macronode".into(),
            data_dir: "./macronode-data".into(),
            log: "info".into(),
            ledger: LedgerConfig {
                http: "127.0.0.1:5082".into(),
                admin: "127.0.0.1:9909".into(),
                hash: "sha256".into(),
                origin: "localhost/macronode-dev".into(),
                segment_mib: 16,
                io: "auto".into(),
                frames_in_flight: 4,
                core: -1,
                spin: false,
                accounts_max: 1_000_000,
                keys_max: 4_000_000,
                max_forward_jump_secs: 30 * 86_400,
            },
            commit: CommitConfig { batch_max_entries: 8_190 },
            queues: QueuesConfig { ingress: 4_096 },
            accounting: AccountingConfig {
                admin: "127.0.0.1:9600".into(),
                socket: String::new(),
                window_millis: 60_000,
                shards: 1,
                label_limit: 2_048,
            },
            wallet: WalletConfig {
                http: "127.0.0.1:8080".into(),
                admin: "127.0.0.1:9090".into(),
                read_ms: 3_000,
                write_ms: 3_000,
                idle_ms: 10_000,
                inflight: 1_024,
                body_max_bytes: 1 << 20,
            },
        }
    }
}

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The built-in development default.
    Default,
    /// The config file.
    File,
    /// The environment.
    Environment,
    /// A flag.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Environment => "environment",
            Self::Flag => "flag",
        })
    }
}

/// What is wrong with the settings, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: cannot be read: {error}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system says.
        error: String,
    },
    /// The file does not parse or has a wrong key.
    #[error("{path}:{line}: {message}")]
    File {
        /// The file.
        path: String,
        /// From 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// A flag or a variable does not fit.
    #[error("{name}: {message}")]
    Value {
        /// The variable or flag.
        name: String,
        /// What is wrong.
        message: String,
    },
    /// A value is outside its range, or two do not go together.
    #[error("{key} = {value}: {message}")]
    Range {
        /// The dotted key.
        key: &'static str,
        /// The value given.
        value: String,
        /// What is expected.
        message: &'static str,
    },
}

/// The settings with the origin of each.
#[derive(Clone, Debug)]
pub struct Layered {
    /// The settings.
    pub config: Config,
    origins: BTreeMap<String, Origin>,
}

impl Layered {
    /// Lays file, environment and flags (`key=value`) over the development defaults.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn load(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        flags: &[String],
    ) -> Result<Self, ConfigError> {
        let defaults = Table::try_from(Config::development()).expect("the defaults are plain values");
        let mut merged = Value::Table(defaults);
        let mut origins = BTreeMap::new();
        if let Some(path) = file {
            let table = read_file(path)?;
            lay(&mut merged, &Value::Table(table), "", Origin::File, &mut origins);
        }
        let mut variables: Vec<_> = environment
            .filter(|(name, _)| name.starts_with(ENV_PREFIX) && !RESERVED.contains(&name.as_str()))
            .collect();
        variables.sort();
        for (name, text) in variables {
            let key = name[ENV_PREFIX.len()..].to_lowercase().replace("__", ".");
            set(&mut merged, &name, &key, &text, Origin::Environment, &mut origins)?;
        }
        for flag in flags {
            let (key, text) = flag.split_once('=').ok_or_else(|| ConfigError::Value {
                name: format!("--set {flag}"),
                message: "expected KEY=VALUE".into(),
            })?;
            set(&mut merged, &format!("--set {key}"), key, text, Origin::Flag, &mut origins)?;
        }
        let config = Config::deserialize(merged)
            .map_err(|error| ConfigError::Value { name: "config".into(), message: error.message().into() })?;
        Ok(Self { config, origins })
    }

    /// Every key with its value and origin, one line each, in the order of the keys.
    #[must_use]
    pub fn print(&self) -> String {
        let table = Value::try_from(&self.config).expect("plain values");
        let mut lines = String::new();
        print_into(&table, "", &self.origins, &mut lines);
        lines
    }
}

/// Variables with the prefix that are not keys.
const RESERVED: [&str; 1] = ["MACRONODE_CONFIG"];

fn read_file(path: &Path) -> Result<Table, ConfigError> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError::Unreadable { path: shown.clone(), error: error.to_string() })?;
    let place = |error: &toml::de::Error| {
        let at = error.span().map_or(0, |span| span.start);
        1 + text.get(..at).unwrap_or_default().matches('\n').count()
    };
    let table: Table = toml::from_str(&text).map_err(|error| ConfigError::File {
        path: shown.clone(),
        line: place(&error),
        message: error.message().into(),
    })?;
    // Checked on its own, over the defaults, so that a wrong key is told with its line.
    toml::from_str::<Partial>(&text).map_err(|error| ConfigError::File {
        path: shown,
        line: place(&error),
        message: error.message().into(),
    })?;
    Ok(table)
}

/// The same keys as `Config`, each of them optional: what a file may hold.
macro_rules! partial {
    ($name:ident { $($field:ident : $type:ty),* $(,)? }) => {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct $name {
            $(#[serde(default)] #[expect(dead_code, reason = "only its type is checked")] $field: Option<$type>,)*
        }
    };
}

partial!(Partial {
    environment: String,
    profile: String,
    data_dir: PathBuf,
    log: String,
    ledger: PartialLedger,
    commit: PartialCommit,
    queues: PartialQueues,
    accounting: PartialAccounting,
    wallet: PartialWallet,
});
partial!(PartialLedger {
    http: String,
    admin: String,
    hash: String,
    origin: String,
    segment_mib: u32,
    io: String,
    frames_in_flight: u32,
    core: i64,
    spin: bool,
    accounts_max: u32,
    keys_max: u32,
    max_forward_jump_secs: u64,
});
partial!(PartialCommit { batch_max_entries: u32 });
partial!(PartialQueues { ingress: u32 });
partial!(PartialAccounting {
    admin: String,
    socket: String,
    window_millis: u32,
    shards: u16,
    label_limit: u32,
});
partial!(PartialWallet {
    http: String,
    admin: String,
    read_ms: u64,
    write_ms: u64,
    idle_ms: u64,
    inflight: u32,
    body_max_bytes: u32,
});

fn lay(under: &mut Value, over: &Value, path: &str, origin: Origin, origins: &mut BTreeMap<String, Origin>) {
    match (under, over) {
        (Value::Table(under), Value::Table(over)) => {
            for (key, value) in over {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                lay(under.entry(key.clone()).or_insert(value.clone()), value, &path, origin, origins);
            }
        }
        (under, over) => {
            *under = over.clone();
            origins.insert(path.into(), origin);
        }
    }
}

fn set(
    merged: &mut Value,
    name: &str,
    key: &str,
    text: &str,
    origin: Origin,
    origins: &mut BTreeMap<String, Origin>,
) -> Result<(), ConfigError> {
    let wrong = |message: String| ConfigError::Value { name: name.into(), message };
    let mut place = merged;
    for part in key.split('.') {
        place = place
            .as_table_mut()
            .and_then(|table| table.get_mut(part))
            .ok_or_else(|| wrong(format!("there is no key `{key}`")))?;
    }
    *place = match place {
        Value::String(_) => Value::String(text.into()),
        Value::Integer(_) => {
            Value::Integer(text.parse().map_err(|_| wrong(format!("`{text}` is not an integer")))?)
        }
        Value::Boolean(_) => Value::Boolean(
            text.parse().map_err(|_| wrong(format!("`{text}` is neither `true` nor `false`")))?,
        ),
        Value::Table(_) => return Err(wrong(format!("`{key}` is a section, not a key"))),
        Value::Float(_) | Value::Datetime(_) | Value::Array(_) => unreachable!("no key has such a type"),
    };
    origins.insert(key.into(), origin);
    Ok(())
}

fn print_into(value: &Value, path: &str, origins: &BTreeMap<String, Origin>, lines: &mut String) {
    if let Value::Table(table) = value {
        for (key, value) in table {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            print_into(value, &path, origins, lines);
        }
        return;
    }
    let origin = origins.get(path).copied().unwrap_or(Origin::Default);
    lines.push_str(&format!("{path} = {value}  # {origin}\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: Option<&str>, env: &[(&str, &str)], flags: &[&str]) -> Result<Layered, ConfigError> {
        let path = file.map(|text| {
            let path =
                std::env::temp_dir().join(format!("macronode-config-{}-{}", std::process::id(), text.len()));
            std::fs::write(&path, text).unwrap();
            path
        });
        let env = env.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).into()).collect();
        let result = Layered::load(path.as_deref(), env, &flags);
        if let Some(path) = path {
            std::fs::remove_file(path).unwrap();
        }
        result
    }

    #[test]
    fn flag_beats_environment_beats_file_beats_default() {
        let file = "[ledger]\nhttp = \"file:1\"\nadmin = \"file:2\"\norigin = \"file\"\n";
        let env = [("MACRONODE_LEDGER__HTTP", "env:1"), ("MACRONODE_LEDGER__ADMIN", "env:2"), ("OTHER", "x")];
        let layered = load(Some(file), &env, &["ledger.http=flag:1"]).unwrap();
        assert_eq!(layered.config.ledger.http, "flag:1");
        assert_eq!(layered.config.ledger.admin, "env:2");
        assert_eq!(layered.config.ledger.origin, "file");
        let printed = layered.print();
        assert!(printed.contains("ledger.http = \"flag:1\"  # flag\n"), "{printed}");
        assert!(printed.contains("wallet.inflight = 1024  # default\n"), "{printed}");
    }

    #[test]
    fn wrong_settings_are_told_with_their_place() {
        for (file, env, flag, expected) in [
            (Some("\n[ledger]\nhtpp = \"x\"\n"), None, None, ":3: unknown field `htpp`"),
            (Some("\nsegment = 1\n"), None, None, ":2: unknown field `segment`"),
            (Some("[ledger]\nsegment_mib = \"big\"\n"), None, None, ":2: invalid type"),
            (Some("[ledger\n"), None, None, ":1: "),
            (None, Some(("MACRONODE_LEDGER__HTPP", "x")), None, "MACRONODE_LEDGER__HTPP: there is no key"),
            (None, Some(("MACRONODE_LEDGER__SPIN", "yes")), None, "`yes` is neither"),
            (None, None, Some("wallet=1"), "is a section"),
            (None, None, Some("wallet"), "expected KEY=VALUE"),
            (None, None, Some("queues.ingress=1.5"), "`1.5` is not an integer"),
        ] {
            let env: Vec<_> = env.into_iter().collect();
            let flags: Vec<_> = flag.into_iter().collect();
            let error = load(file, &env, &flags).unwrap_err().to_string();
            assert!(error.contains(expected), "{error:?} does not contain {expected:?}");
        }
    }

    #[test]
    fn every_key_may_stand_in_a_file() {
        let all = toml::to_string(&Config::development()).unwrap();
        assert_eq!(load(Some(&all), &[], &[]).unwrap().config, Config::development());
    }
}
