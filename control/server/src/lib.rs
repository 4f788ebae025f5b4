//! HTTP: ledger, wallet and accounting routes, health, metrics, limits.
//!
//! Holds: every request is bounded in size, time and number before it costs anything; every answer
//! is counted and carries its correlation id; HTTP status numbers exist in `status` only.
//! Leaves to others: queues, threads and clocks (`node`), the rules (`ledger`), what a wallet may
//! ask (`wallet`), capabilities (`caps`).
#![forbid(unsafe_code)]

mod admin;
mod code;
mod corr;
mod error;
mod http_telemetry;
mod listener;
mod pace;
mod params;
mod ports;
mod problem;
mod process;
mod service;
mod site;
mod status;
mod telemetry;

pub use admin::{Admin, Readiness, Role, admin_router};
pub use code::Code;
pub use corr::{CorrId, CorrMaker};
pub use error::ServerError;
pub use http_telemetry::HttpTelemetry;
pub use listener::{Drained, serve};
pub use params::HttpParams;
pub use ports::{Clock, LedgerPort, PortError, Promise};
pub use problem::{Number, Problem};
pub use process::ProcessTelemetry;
pub use service::{Service, Version};
pub use site::{Front, Site};
pub use telemetry::{AccountingTelemetry, LedgerTelemetry, WalletTelemetry};
