//! `Service`: which role a listener serves, and the facts of the build that it tells.

use serde::Serialize;

/// A role, under the name that its metrics and log lines carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// The ledger.
    Ledger,
    /// Accounting.
    Accounting,
    /// The wallet.
    Wallet,
}

impl Service {
    /// The name in metrics, logs and `/version`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ledger => "ron-ledger",
            Self::Accounting => "ron-accounting",
            Self::Wallet => "svc-wallet",
        }
    }

    /// The name of the counter of refusals, labelled with `reason`.
    #[must_use]
    pub const fn rejected_metric(self) -> &'static str {
        match self {
            Self::Accounting => "ron_accounting_rejected_total",
            Self::Ledger | Self::Wallet => "rejected_total",
        }
    }
}

/// What `GET /version` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Version {
    /// The role's name.
    pub service: &'static str,
    /// Version of the build.
    pub version: &'static str,
    /// Commit that it was built from, `unknown` outside a checkout.
    pub git: &'static str,
    /// Compiler that built it.
    pub rustc: &'static str,
    /// Features that it was built with.
    pub features: Vec<&'static str>,
    /// Version of the `OpenAPI` specification that `/openapi.json` follows, empty if it is not served.
    pub openapi: &'static str,
    /// Whether post-quantum key exchange is on.
    pub pq: bool,
    /// How the journal is written; the ledger tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
}

/// How the journal is written, in the words of the settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Storage {
    /// What carries the writes.
    pub io: &'static str,
    /// How a frame is made durable.
    pub commit: &'static str,
    /// Whether the page cache is passed by.
    pub direct: bool,
    /// Buffers that the kernel keeps pinned.
    pub registered_buffers: usize,
}
