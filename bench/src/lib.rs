//! `ron-bench`: what the system does, beside what the machine and its peers do in the same run.
//!
//! - [`blocks`]: two sides measured in turns, so that a drifting machine drifts for both.
//! - [`pace`]: load that does not wait for the system under test (open loop), and load that does.
//! - [`bare_ring`]: the device's own clock.
//! - [`commit`]: the committer beside the bare ring; other systems plug in by [`commit::Committing`].
//! - [`storage`]: the journal beside `fio` ([`fio`]) and the bare ring: the committer machine and the
//!   disk alone ([`journal_under_test`]), the whole ledger, what runs [`beside`] it, its [`replay`].
//! - [`snapshot`]: that ledger while snapshots of it are made in a process beside it.
//! - [`ledger_under_test`]: the real committer, as that scenario drives it.
//! - [`wallet`], [`start`]: a real node in its own process ([`node_process`]), asked over HTTP
//!   ([`http`], [`load`]) and audited afterwards ([`books`]).
//! - [`fingerprint`], [`report`]: on what it ran, and the object and table that come out.
//!
//! A figure without its environment and without its peer in the same run is not printed.
#![forbid(unsafe_code)]

pub mod affinity;
pub mod bare_ring;
pub mod beside;
pub mod blocks;
pub mod books;
pub mod clock;
pub mod commit;
pub mod fingerprint;
pub mod fio;
pub mod http;
pub mod journal_under_test;
pub mod ledger_under_test;
pub mod load;
pub mod node_process;
pub mod pace;
pub mod replay;
pub mod report;
pub mod snapshot;
pub mod start;
pub mod storage;
pub mod wallet;
