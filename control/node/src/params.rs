//! `Params`: settings that have been parsed, derived and checked against each other.
//!
//! Only `Params` travels; nothing is repaired silently.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use crate::config::{Config, ConfigError};

/// What the node runs with.
#[derive(Clone, Debug)]
pub struct Params {
    /// Where everything durable lies.
    pub data_dir: PathBuf,
    /// The ledger role.
    pub ledger: LedgerParams,
    /// The accounting role.
    pub accounting: AccountingParams,
    /// The wallet role.
    pub wallet: WalletParams,
}

/// The ledger role.
#[derive(Clone, Debug)]
pub struct LedgerParams {
    /// Address of the API.
    pub http: SocketAddr,
    /// Address of health and metrics.
    pub admin: SocketAddr,
    /// Hash of the Merkle tree.
    pub hash: ledger::HashKind,
    /// Name under which checkpoints are signed.
    pub origin: String,
    /// Bytes of a segment.
    pub segment_bytes: u64,
    /// How the journal is written.
    pub io: engine::Io,
    /// Frames on their way at once.
    pub frames_in_flight: usize,
    /// The committer's core, if one is named.
    pub core: Option<usize>,
    /// Whether the committer polls.
    pub spin: bool,
    /// Accounts at most.
    pub accounts_max: usize,
    /// Idempotency keys at most.
    pub keys_max: usize,
    /// How far the wall clock may be ahead of the last entry.
    pub max_forward_jump: model::Nanos,
    /// Entries of one batch at most.
    pub batch_max_entries: usize,
    /// Calls open at once.
    pub ingress: usize,
}

/// The accounting role.
#[derive(Clone, Debug)]
pub struct AccountingParams {
    /// Address of health, metrics and usage.
    pub admin: SocketAddr,
    /// Socket for producers; `None`: in the runtime directory.
    pub socket: Option<PathBuf>,
    /// Length of a window.
    pub window_millis: u32,
    /// Shards.
    pub shards: u16,
    /// Label sets of one shard at most.
    pub label_limit: u32,
}

/// The wallet role.
#[derive(Clone, Debug)]
pub struct WalletParams {
    /// Address of the API.
    pub http: SocketAddr,
    /// Address of health and metrics.
    pub admin: SocketAddr,
    /// How long a request may take to arrive.
    pub read_timeout: Duration,
    /// How long a request may take to be answered.
    pub write_timeout: Duration,
    /// How long a connection may be idle.
    pub idle_timeout: Duration,
    /// Requests in flight at once.
    pub inflight: usize,
    /// Bytes of a body at most.
    pub body_bytes_max: usize,
}

impl Params {
    /// Checks the settings and derives what runs.
    ///
    /// # Errors
    /// The first value outside its range, by its key.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        word("environment", &config.environment, &["dev", "production"])?;
        if config.environment == "production" {
            return Err(range(
                "environment",
                &config.environment,
                "production needs an OTLP endpoint, and this version has no trace export; use `dev`",
            ));
        }
        if config.profile != "macronode" {
            return Err(range("profile", &config.profile, "this version has the profile `macronode` only"));
        }
        Ok(Self {
            data_dir: config.data_dir.clone(),
            ledger: ledger_params(config)?,
            accounting: accounting_params(config)?,
            wallet: wallet_params(config)?,
        })
    }
}

fn ledger_params(config: &Config) -> Result<LedgerParams, ConfigError> {
    let ledger = &config.ledger;
    let hash = match word("ledger.hash", &ledger.hash, &["sha256", "blake3"])? {
        0 => ledger::HashKind::Sha256,
        _ => ledger::HashKind::Blake3,
    };
    let io = match word("ledger.io", &ledger.io, &["auto", "uring", "pwrite"])? {
        0 => engine::Io::Auto,
        1 => engine::Io::Uring,
        _ => engine::Io::Pwrite,
    };
    if ledger.origin.is_empty()
        || ledger.origin.contains(|letter: char| letter.is_whitespace() || letter == '+')
    {
        return Err(range(
            "ledger.origin",
            &ledger.origin,
            "a name without spaces or `+` (C2SP signed-note)",
        ));
    }
    Ok(LedgerParams {
        http: address("ledger.http", &ledger.http)?,
        admin: address("ledger.admin", &ledger.admin)?,
        hash,
        origin: ledger.origin.clone(),
        segment_bytes: u64::from(within("ledger.segment_mib", ledger.segment_mib, 1, 4_096, "1 to 4096")?)
            << 20,
        io,
        frames_in_flight: size(within("ledger.frames_in_flight", ledger.frames_in_flight, 1, 8, "1 to 8")?),
        core: usize::try_from(ledger.core).ok(),
        spin: ledger.spin,
        accounts_max: size(within(
            "ledger.accounts_max",
            ledger.accounts_max,
            1_000,
            100_000_000,
            "1000 to 100000000",
        )?),
        keys_max: size(within("ledger.keys_max", ledger.keys_max, 1_000, 200_000_000, "1000 to 200000000")?),
        max_forward_jump: model::Nanos::from_secs(ledger.max_forward_jump_secs),
        batch_max_entries: size(within(
            "commit.batch_max_entries",
            config.commit.batch_max_entries,
            1,
            8_190,
            "1 to 8190",
        )?),
        ingress: size(within("queues.ingress", config.queues.ingress, 1, 1 << 20, "1 to 1048576")?),
    })
}

fn accounting_params(config: &Config) -> Result<AccountingParams, ConfigError> {
    let accounting = &config.accounting;
    let window =
        within("accounting.window_millis", accounting.window_millis, 100, 3_600_000, "100 to 3600000")?;
    if 86_400_000 % window != 0 {
        return Err(range("accounting.window_millis", &window.to_string(), "a day must be whole windows"));
    }
    let shards = within("accounting.shards", u32::from(accounting.shards), 1, 64, "1 to 64")?;
    Ok(AccountingParams {
        admin: address("accounting.admin", &accounting.admin)?,
        socket: (!accounting.socket.is_empty()).then(|| PathBuf::from(strip_unix(&accounting.socket))),
        window_millis: window,
        shards: u16::try_from(shards).expect("checked above"),
        label_limit: within("accounting.label_limit", accounting.label_limit, 16, 8_192, "16 to 8192")?,
    })
}

fn wallet_params(config: &Config) -> Result<WalletParams, ConfigError> {
    let wallet = &config.wallet;
    let millis = |key, value: u64| {
        let value = u32::try_from(value).unwrap_or(u32::MAX);
        within(key, value, 10, 600_000, "10 to 600000 milliseconds")
            .map(|ms| Duration::from_millis(u64::from(ms)))
    };
    Ok(WalletParams {
        http: address("wallet.http", &wallet.http)?,
        admin: address("wallet.admin", &wallet.admin)?,
        read_timeout: millis("wallet.read_ms", wallet.read_ms)?,
        write_timeout: millis("wallet.write_ms", wallet.write_ms)?,
        idle_timeout: millis("wallet.idle_ms", wallet.idle_ms)?,
        inflight: size(within("wallet.inflight", wallet.inflight, 1, 65_536, "1 to 65536")?),
        body_bytes_max: size(within(
            "wallet.body_max_bytes",
            wallet.body_max_bytes,
            1_024,
            1 << 20,
            "1024 to 1048576",
        )?),
    })
}

fn strip_unix(path: &str) -> &str {
    path.strip_prefix("unix://").unwrap_or(path)
}

fn size(value: u32) -> usize {
    usize::try_from(value).expect("a 64-bit host")
}

fn range(key: &'static str, value: &str, message: &'static str) -> ConfigError {
    ConfigError::Range { key, value: value.into(), message }
}

fn word(key: &'static str, value: &str, words: &'static [&'static str]) -> Result<usize, ConfigError> {
    let message = match words {
        ["dev", ..] => "`dev` or `production`",
        ["sha256", ..] => "`sha256` or `blake3`",
        _ => "`auto`, `uring` or `pwrite`",
    };
    words.iter().position(|known| *known == value).ok_or_else(|| range(key, value, message))
}

fn within(
    key: &'static str,
    value: u32,
    low: u32,
    high: u32,
    message: &'static str,
) -> Result<u32, ConfigError> {
    if (low..=high).contains(&value) { Ok(value) } else { Err(range(key, &value.to_string(), message)) }
}

fn address(key: &'static str, value: &str) -> Result<SocketAddr, ConfigError> {
    value.parse().map_err(|_| range(key, value, "an address such as `127.0.0.1:8080` (port 0: any free one)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_development_defaults_hold() {
        let params = Params::new(&Config::development()).unwrap();
        assert_eq!(params.ledger.segment_bytes, 16 << 20);
        assert_eq!(params.ledger.core, None);
    }

    #[test]
    fn values_outside_their_range_are_told_by_key() {
        type Change = fn(&mut Config);
        let cases: [(Change, &str); 9] = [
            (|c| c.environment = "prod".into(), "environment = prod"),
            (|c| c.environment = "production".into(), "environment = production"),
            (|c| c.profile = "micronode".into(), "profile = micronode"),
            (|c| c.ledger.hash = "md5".into(), "ledger.hash = md5: `sha256` or `blake3`"),
            (|c| c.ledger.http = "localhost".into(), "ledger.http = localhost"),
            (|c| c.ledger.origin = "a b".into(), "ledger.origin = a b"),
            (|c| c.ledger.frames_in_flight = 9, "ledger.frames_in_flight = 9: 1 to 8"),
            (|c| c.accounting.window_millis = 7_001, "a day must be whole windows"),
            (|c| c.wallet.read_ms = 0, "wallet.read_ms = 0"),
        ];
        for (change, expected) in cases {
            let mut config = Config::development();
            change(&mut config);
            let error = Params::new(&config).unwrap_err().to_string();
            assert!(error.contains(expected), "{error:?} does not contain {expected:?}");
        }
    }
}
