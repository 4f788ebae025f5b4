//! Roles composed into a process: settings, keys, ports, start and stop.
//!
//! Holds: nothing is decided here. Leaves to others: rules (`ledger`), durability (`engine`), HTTP
//! (`server`), capabilities (`caps`).
#![forbid(unsafe_code)]

mod admin_desk;
mod admin_place;
mod admin_socket;
mod asker;
mod banner;
mod cli;
mod clock;
mod config;
mod demo;
mod descriptors;
mod endpoints;
mod http;
mod keys;
mod ledger_port;
mod logging;
mod observer;
mod params;
mod place;
mod process;
mod readiness;
mod signals;
mod start_error;
mod storage;
mod terminal;
mod token;
mod usage;
mod usage_port;

pub use cli::{Build, main};
pub use config::{Origin, Problem, Problems, Settings};
pub use params::Params;
