//! The admin socket: one JSON object a line, a question and its answer, with a version in each.
//!
//! Holds: a line has at most `LINE_BYTES_MAX` bytes; an unknown version, verb or field is refused by
//! name. Leaves to others: the socket and who may open it (`node`), what people see (`ctl`).

use serde::{Deserialize, Serialize};

/// The version of the messages that this build speaks.
pub const VERSION: u32 = 1;
/// Bytes of one line at most, its end included.
pub const LINE_BYTES_MAX: usize = 64 << 10;
/// Milliseconds of latency that may be injected at most.
pub const FAULT_MILLIS_MAX: u64 = 60_000;
/// Seconds that a fault may last at most.
pub const FAULT_SECS_MAX: u64 = 3_600;

/// Findings of one answer at most.
pub const FINDINGS_MAX: usize = 16;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// `VERSION`.
    pub v: u32,
    /// What is asked.
    pub ask: Verb,
}

/// What a node can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case", deny_unknown_fields)]
pub enum Verb {
    /// How the node is.
    Status {},
    /// Begins a fault; one of each kind at a target, the newer replaces the older.
    ChaosInject(Inject),
    /// Ends the faults at a target, or all of them.
    ChaosClear {
        /// Which role; none for all.
        target: Option<Target>,
    },
    /// How the scrub is.
    ScrubStatus {},
    /// Begins a pass of the scrub, if none is under way.
    ScrubStart {},
}

/// A fault to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inject {
    /// Whose requests.
    pub target: Target,
    /// What happens to them.
    pub fault: Fault,
    /// Milliseconds that a request waits; of `latency` only, 1 to `FAULT_MILLIS_MAX`.
    #[serde(default)]
    pub millis: u64,
    /// Seconds after which it ends by itself, 1 to `FAULT_SECS_MAX`.
    pub for_secs: u64,
}

/// The roles that a fault may be injected into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The ledger's HTTP.
    Ledger,
    /// The wallet's HTTP.
    Wallet,
    /// Accounting's HTTP; not its socket.
    Accounting,
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// It waits before it is looked at.
    Latency,
    /// It is done, and its connection is closed in place of the answer.
    Disconnect,
}

impl Fault {
    /// The word in messages and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Disconnect => "disconnect",
        }
    }
}

impl Target {
    /// The word in messages.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::Wallet => "wallet",
            Self::Accounting => "accounting",
        }
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// `VERSION`.
    pub v: u32,
    /// What is answered.
    pub result: Outcome,
}

/// What a node answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// How it is.
    Status(Box<NodeStatus>),
    /// The faults that are in force now.
    Chaos(ChaosStatus),
    /// How the scrub is.
    Scrub(ScrubStatus),
    /// It does not do that.
    Error(Refusal),
}

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// For programs.
    pub code: RefusalCode,
    /// For people: what is wrong and what to do.
    pub message: String,
}

/// Why, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// The line is no request of this version.
    BadRequest,
    /// A version that this build does not speak.
    Version,
    /// The line is longer than `LINE_BYTES_MAX`.
    TooLong,
    /// The line did not arrive in time.
    Timeout,
    /// Too many connections.
    Busy,
    /// The peer is neither the node's user nor root.
    Forbidden,
    /// Faults are not enabled in this node's settings.
    ChaosDisabled,
    /// The scrub is off in this node's settings.
    ScrubOff,
}

/// How a node is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeStatus {
    /// The program.
    pub service: String,
    /// Its version.
    pub version: String,
    /// Its commit.
    pub git: String,
    /// Its process.
    pub pid: u32,
    /// Seconds since it became ready for the first time.
    pub uptime_secs: u64,
    /// Where its data lies.
    pub data_dir: String,
    /// The verifier key of its checkpoints.
    pub log_key: String,
    /// Whether every role is ready.
    pub ready: bool,
    /// Whether any role is degraded.
    pub degraded: bool,
    /// The roles.
    pub roles: Vec<RoleStatus>,
    /// The ledger.
    pub ledger: LedgerStatus,
    /// Faults that were injected.
    pub chaos: ChaosStatus,
}

/// How one role is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleStatus {
    /// Its name.
    pub name: String,
    /// Whether it does its work.
    pub ready: bool,
    /// Whether something that it can do without for a while is missing.
    pub degraded: bool,
    /// Why it is not ready or degraded; empty if neither.
    pub reason: String,
    /// Address of its API.
    pub http: String,
    /// Address of health, readiness, metrics and version.
    pub admin: String,
}

/// How the ledger is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerStatus {
    /// Its identity, in hex.
    pub id: String,
    /// Which life of it.
    pub incarnation: u32,
    /// Which start of it.
    pub epoch: u32,
    /// The last entry that is durable.
    pub durable_seq: u64,
    /// Entries in the tree that readers see.
    pub size: u64,
    /// The root of that tree, in hex.
    pub root: String,
    /// Ledger time of that root, RFC 3339.
    pub at: String,
    /// Whether a failed write has made it read-only until a restart.
    pub safe_mode: bool,
    /// Calls that wait.
    pub intake_depth: u64,
    /// Calls that may wait.
    pub intake_capacity: u64,
    /// Age of the oldest frame that is not durable, in milliseconds.
    pub committer_lag_millis: u64,
    /// The scrub.
    pub scrub: ScrubStatus,
}

/// How the scrub is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScrubStatus {
    /// Bytes that it reads in a second; zero if it is off.
    pub bytes_per_s: u64,
    /// Whether a pass is under way.
    pub runs: bool,
    /// The segment at which it stands.
    pub segment: u32,
    /// Segments that the journal has left.
    pub segments: u32,
    /// Bytes read since the start.
    pub bytes: u64,
    /// When the last pass ended, RFC 3339; `null` if none did.
    pub last_pass: Option<String>,
    /// Places in which stored bytes are known to be damaged.
    pub findings_count: u64,
    /// The first of them, at most `FINDINGS_MAX`.
    pub findings: Vec<String>,
}

/// Faults that were injected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChaosStatus {
    /// Whether `chaos.enabled` is set.
    pub enabled: bool,
    /// Those in force now.
    pub faults: Vec<FaultStatus>,
}

/// A fault in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultStatus {
    /// Whose requests.
    pub target: Target,
    /// What happens to them.
    pub fault: Fault,
    /// Milliseconds of latency, zero for another fault.
    pub millis: u64,
    /// Seconds until it ends by itself, rounded up.
    pub left_secs: u64,
    /// Requests that it has met.
    pub met: u64,
}

impl Request {
    /// A question of this version.
    #[must_use]
    pub const fn new(ask: Verb) -> Self {
        Self { v: VERSION, ask }
    }

    /// Reads one line.
    ///
    /// # Errors
    /// The refusal that says what is wrong with it.
    pub fn parse(line: &[u8]) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        struct Versioned {
            v: u32,
        }
        let bad = |error: serde_json::Error| Refusal {
            code: RefusalCode::BadRequest,
            message: format!("not a request of this version: {error}"),
        };
        let Versioned { v } = serde_json::from_slice(line).map_err(bad)?;
        if v != VERSION {
            let message = format!("this node speaks version {VERSION} of the admin messages, not {v}");
            return Err(Refusal { code: RefusalCode::Version, message });
        }
        serde_json::from_slice(line).map_err(bad)
    }

    /// The line that asks it, its end included.
    #[must_use]
    pub fn line(&self) -> String {
        serde_json::to_string(self).expect("a request is words and numbers") + "\n"
    }
}

impl Reply {
    /// An answer of this version.
    #[must_use]
    pub const fn new(result: Outcome) -> Self {
        Self { v: VERSION, result }
    }

    /// The line that tells it, its end included.
    #[must_use]
    pub fn line(&self) -> String {
        serde_json::to_string(self).expect("an answer is texts and numbers") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_these_bytes_and_read_back() {
        let inject = Inject { target: Target::Wallet, fault: Fault::Latency, millis: 50, for_secs: 9 };
        for (ask, line) in [
            (Verb::Status {}, r#"{"v":1,"ask":{"verb":"status"}}"#),
            (
                Verb::ChaosInject(inject),
                r#"{"v":1,"ask":{"verb":"chaos_inject","target":"wallet","fault":"latency","millis":50,"for_secs":9}}"#,
            ),
            (Verb::ScrubStart {}, r#"{"v":1,"ask":{"verb":"scrub_start"}}"#),
            (Verb::ChaosClear { target: None }, r#"{"v":1,"ask":{"verb":"chaos_clear","target":null}}"#),
        ] {
            let request = Request::new(ask);
            assert_eq!(request.line(), format!("{line}\n"));
            assert_eq!(Request::parse(line.as_bytes()), Ok(request));
        }
    }

    #[test]
    fn what_is_no_request_is_refused_by_name() {
        for (line, code, word) in [
            ("", RefusalCode::BadRequest, "EOF"),
            ("\u{0}\u{1}", RefusalCode::BadRequest, "expected value"),
            ("[1]", RefusalCode::BadRequest, ""),
            (r#"{"ask":{"verb":"status"}}"#, RefusalCode::BadRequest, "missing field `v`"),
            (r#"{"v":2,"ask":{"verb":"status"},"more":1}"#, RefusalCode::Version, "not 2"),
            (r#"{"v":1,"ask":{"verb":"reboot"}}"#, RefusalCode::BadRequest, "unknown variant `reboot`"),
            (r#"{"v":1,"ask":{"verb":"status","x":1}}"#, RefusalCode::BadRequest, "unknown field `x`"),
            (r#"{"v":1,"ask":{"verb":"status"},"x":1}"#, RefusalCode::BadRequest, "unknown field `x`"),
        ] {
            let refusal = Request::parse(line.as_bytes()).unwrap_err();
            assert_eq!(refusal.code, code, "{line}");
            assert!(refusal.message.contains(word), "{line}: {}", refusal.message);
        }
    }
}
