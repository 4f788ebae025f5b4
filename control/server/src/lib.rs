//! HTTP: ledger, wallet and accounting routes, health, metrics, limits.
//!
//! Holds: every request is bounded in size, time and number before it costs anything; every answer
//! is counted and carries its correlation id; HTTP status numbers exist in `status` only.
//! Leaves to others: queues, threads and clocks (`node`), the rules (`ledger`), what a wallet may
//! ask (`wallet`), capabilities (`caps`).
#![forbid(unsafe_code)]

mod admin;
mod answer;
mod authority;
mod body;
mod chaos;
mod cloud_event;
mod corr;
mod error;
mod http_telemetry;
mod ingest;
mod ledger_routes;
mod listener;
mod pace;
mod params;
mod ports;
mod process;
mod query;
mod reader;
mod refusal;
mod service;
mod site;
mod status;
mod telemetry;
#[cfg(test)]
mod tests;
mod tlog_proof;
mod unread;
mod upkeep_telemetry;
mod usage_routes;
mod usage_telemetry;
mod wallet_routes;

pub use admin::{Admin, Readiness, Role, admin_router};
pub use authority::Authority;
pub use chaos::Chaos;
pub use corr::{CorrId, CorrMaker};
pub use error::ServerError;
pub use http_telemetry::HttpTelemetry;
pub use ledger_routes::{MoneyParts, ledger_router};
pub use listener::{Drained, serve};
pub use params::HttpParams;
pub use ports::{Clock, LedgerPort, PortError, Promise, UsagePort};
pub use process::ProcessTelemetry;
pub use prometheus::Registry;
pub use refusal::Refusal;
pub use service::{Service, Storage, Version};
pub use site::{Front, Site};
pub use telemetry::{AccountingTelemetry, LedgerTelemetry, WalletTelemetry};
pub use usage_routes::{UsageParts, usage_router};
pub use usage_telemetry::{Counts, UsageNumbers, UsageTelemetry};
pub use wallet_routes::wallet_router;
