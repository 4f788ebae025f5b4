//! `Params`: what is derived from the settings, and the relations between them.
//!
//! Holds: only `Params` travels; nothing is repaired silently. Leaves to others: what one key may
//! hold by itself (`config`).

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use crate::{
    config::{Problem, Problems, Settings},
    logging,
};

/// What the node runs with.
#[derive(Clone, Debug)]
pub struct Params {
    /// Where everything durable lies.
    pub data_dir: PathBuf,
    /// How long requests in work may go on after a stop was asked for.
    pub drain_timeout: Duration,
    /// Filter of the log.
    pub log: String,
    /// The ledger role.
    pub ledger: LedgerParams,
    /// The accounting role.
    pub accounting: AccountingParams,
    /// The wallet role.
    pub wallet: WalletParams,
    /// The operators' socket; `None`: in the runtime directory.
    pub admin_socket: Option<PathBuf>,
    /// Whether operators may inject faults.
    pub chaos: bool,
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
    pub storage: StorageParams,
    /// Directory of the second copy of the journal.
    pub mirror: Option<PathBuf>,
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

/// How the journal is written.
#[derive(Clone, Debug)]
pub struct StorageParams {
    /// What carries the writes.
    pub io: engine::Io,
    /// Whether the page cache is passed by.
    pub direct: engine::Direct,
    /// How a frame is made durable.
    pub commit: engine::CommitMethod,
    /// Bytes of the data directory in memory; `None`: it lies on disk.
    pub ram_bytes: Option<u64>,
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
    /// What runs the shards' loops.
    pub executor: engine::Executor,
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

/// Keys that name an address to listen on.
const LISTENERS: [&str; 5] =
    ["ledger.http", "ledger.admin", "accounting.admin", "wallet.http", "wallet.admin"];

impl Params {
    /// Checks the settings against each other and derives what runs.
    ///
    /// # Errors
    /// Everything that does not go together, by its key.
    pub fn new(settings: &Settings) -> Result<Self, Problems> {
        let problems = relations(settings);
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        Ok(Self {
            data_dir: settings.path("data_dir"),
            drain_timeout: Duration::from_millis(settings.number("drain_ms")),
            log: settings.text("log").into(),
            ledger: ledger_params(settings),
            accounting: accounting_params(settings),
            wallet: wallet_params(settings),
            admin_socket: socket(settings, "admin.socket"),
            chaos: settings.is_on("chaos.enabled"),
        })
    }
}

/// What one key by itself cannot tell.
fn relations(settings: &Settings) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut wrong = |key: &str, message: String| problems.push(settings.problem(key, message));
    if settings.text("environment") == "production" {
        let why = "production needs an OTLP endpoint, and this version exports no traces; use `dev`";
        wrong("environment", why.into());
    }
    if settings.text("profile") == "micronode" {
        wrong("profile", "this version has the profile `macronode` only".into());
    }
    if let Err(error) = logging::parse(settings.text("log")) {
        wrong("log", error);
    }
    let origin = settings.text("ledger.origin");
    if origin.is_empty() || origin.contains(|letter: char| letter.is_whitespace() || letter == '+') {
        wrong("ledger.origin", "expected a name without spaces or `+` (C2SP signed-note)".into());
    }
    let own = settings.path("data_dir").join("ledger");
    let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
    if mirror(settings).is_some_and(|mirror| absolute(mirror) == absolute(own)) {
        wrong("ledger.mirror", "expected another directory than the ledger's own".into());
    }
    if 86_400_000 % settings.number::<u32>("accounting.window_millis") != 0 {
        wrong("accounting.window_millis", "a day must be whole windows".into());
    }
    let small_segments = settings.number::<u32>("ledger.segment_mib") < 4;
    if small_segments && settings.number::<u32>("accounting.label_limit") > 2_048 {
        wrong("accounting.label_limit", "over 2048, a slice needs `ledger.segment_mib` of 4".into());
    }
    for (index, key) in LISTENERS.into_iter().enumerate() {
        let address = settings.address(key);
        let taken = LISTENERS[..index].iter().find(|other| settings.address(other) == address);
        if let Some(other) = taken.filter(|_| address.port() != 0) {
            wrong(key, format!("`{other}` listens there already"));
        }
    }
    problems
}

fn ledger_params(settings: &Settings) -> LedgerParams {
    LedgerParams {
        http: settings.address("ledger.http"),
        admin: settings.address("ledger.admin"),
        hash: match settings.text("ledger.hash") {
            "blake3" => ledger::HashKind::Blake3,
            _ => ledger::HashKind::Sha256,
        },
        origin: settings.text("ledger.origin").into(),
        segment_bytes: settings.number::<u64>("ledger.segment_mib") << 20,
        storage: storage_params(settings),
        mirror: mirror(settings),
        frames_in_flight: settings.number("ledger.frames_in_flight"),
        core: usize::try_from(settings.number::<i64>("ledger.core")).ok(),
        spin: settings.is_on("ledger.spin"),
        accounts_max: settings.number("ledger.accounts_max"),
        keys_max: settings.number("ledger.keys_max"),
        max_forward_jump: model::Nanos::from_secs(settings.number("ledger.max_forward_jump_secs")),
        batch_max_entries: settings.number("commit.batch_max_entries"),
        ingress: settings.number("queues.ingress"),
    }
}

fn storage_params(settings: &Settings) -> StorageParams {
    let commit = settings.text("storage.commit");
    StorageParams {
        io: match settings.text("storage.io") {
            "uring" => engine::Io::Uring,
            "pwrite" => engine::Io::Pwrite,
            _ => engine::Io::Auto,
        },
        direct: match settings.text("storage.direct") {
            "required" => engine::Direct::Required,
            "off" => engine::Direct::Off,
            _ => engine::Direct::Preferred,
        },
        commit: engine::CommitMethod::ALL
            .into_iter()
            .find(|method| method.word() == commit)
            .expect("the key's words are the methods'"),
        ram_bytes: match settings.text("storage.io") {
            "ram" => Some(settings.number::<u64>("storage.ram_mib") << 20),
            _ => None,
        },
    }
}

fn accounting_params(settings: &Settings) -> AccountingParams {
    AccountingParams {
        admin: settings.address("accounting.admin"),
        socket: socket(settings, "accounting.socket"),
        window_millis: settings.number("accounting.window_millis"),
        shards: settings.number("accounting.shards"),
        label_limit: settings.number("accounting.label_limit"),
        executor: match settings.text("accounting.executor") {
            "glommio" => engine::Executor::Ring,
            "epoll" => engine::Executor::Epoll,
            _ => engine::Executor::Auto,
        },
    }
}

fn mirror(settings: &Settings) -> Option<PathBuf> {
    let path = settings.text("ledger.mirror");
    (!path.is_empty()).then(|| PathBuf::from(path))
}

/// A socket's path; `None` if it is left to the node.
fn socket(settings: &Settings, key: &str) -> Option<PathBuf> {
    let path = settings.text(key);
    let path = path.strip_prefix("unix://").unwrap_or(path);
    (!path.is_empty()).then(|| PathBuf::from(path))
}

fn wallet_params(settings: &Settings) -> WalletParams {
    let millis = |key| Duration::from_millis(settings.number(key));
    WalletParams {
        http: settings.address("wallet.http"),
        admin: settings.address("wallet.admin"),
        read_timeout: millis("wallet.read_ms"),
        write_timeout: millis("wallet.write_ms"),
        idle_timeout: millis("wallet.idle_ms"),
        inflight: settings.number("wallet.inflight"),
        body_bytes_max: settings.number("wallet.body_max_bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(flags: &[&str]) -> Result<Params, Problems> {
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).into()).collect();
        Params::new(&Settings::load(None, std::iter::empty(), &flags)?)
    }

    #[test]
    fn the_development_defaults_hold() {
        let params = params(&[]).unwrap();
        assert_eq!(params.ledger.segment_bytes, 16 << 20);
        assert_eq!(params.ledger.core, None);
        assert_eq!(params.accounting.socket, None);
    }

    #[test]
    fn both_ends_of_every_range_fit() {
        for number in ["low", "high"] {
            let mut flags = Vec::new();
            for key in crate::config::ranges() {
                let end = if number == "low" { key.1 } else { key.2 };
                // The window is the one range with a relation beside it; both of its ends hold.
                flags.push(format!("{}={end}", key.0));
            }
            let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
            params(&flags).unwrap();
        }
    }

    #[test]
    fn what_does_not_go_together_is_told_by_key() {
        for (flag, expected) in [
            ("environment=production", "environment = \"production\" (flag --set): production needs an OTLP"),
            ("profile=micronode", "profile = \"micronode\" (flag --set): this version has"),
            ("ledger.origin=a b", "ledger.origin = \"a b\""),
            ("ledger.origin=", "expected a name"),
            ("accounting.window_millis=7001", "a day must be whole windows"),
            ("wallet.admin=127.0.0.1:9909", "wallet.admin = \"127.0.0.1:9909\" (flag --set): `ledger.admin`"),
            ("ledger.mirror=macronode-data/ledger", "expected another directory than the ledger's own"),
            ("log=engine=loud", "log = \"engine=loud\""),
        ] {
            let error = params(&[flag]).unwrap_err().to_string();
            assert!(error.contains(expected), "{error:?} does not contain {expected:?}");
        }
        let slices = params(&["accounting.label_limit=4096", "ledger.segment_mib=1"]).unwrap_err();
        assert!(slices.to_string().contains("a slice needs `ledger.segment_mib`"), "{slices}");
        let all = params(&["profile=micronode", "environment=production", "ledger.origin="]).unwrap_err();
        assert_eq!(all.0.len(), 3, "{all}");
    }
}
