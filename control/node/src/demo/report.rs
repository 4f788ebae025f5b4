//! `Report`: what the demo saw, as one table or one JSON object.

use std::fmt;

use serde::Serialize;

use super::latency::Quantiles;

/// What the demo saw. Every figure was measured in this run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) connections: u16,
    /// Seconds of traffic, without the restart.
    pub(crate) traffic_s: f64,
    pub(crate) transfers: u64,
    pub(crate) issues: u64,
    /// Refusals for want of funds, each one expected.
    pub(crate) refusals: u64,
    pub(crate) balance_reads: u64,
    /// Requests sent again and answered with the same bytes.
    pub(crate) repeats: u64,
    /// Requests whose fate was open at the kill, settled with the same key.
    pub(crate) settled: u64,
    /// Times that a request had to wait for the node.
    pub(crate) waits: u64,
    pub(crate) writes_per_s: f64,
    pub(crate) answers_per_s: f64,
    pub(crate) write_us: Quantiles,
    pub(crate) read_us: Quantiles,
    /// From SIGKILL to ready again.
    pub(crate) restart_ms: u64,
    /// Entries in the last checkpoint.
    pub(crate) entries: u64,
    /// Of them, slices of usage.
    pub(crate) usage_entries: u64,
    pub(crate) root: String,
    pub(crate) log_key: String,
    pub(crate) checkpoints: usize,
    pub(crate) receipts: usize,
    /// Of them, those whose path leads to the last root itself.
    pub(crate) receipts_direct: usize,
    /// Of them, those under an earlier checkpoint that is proven to be a prefix of the last.
    pub(crate) receipts_by_prefix: usize,
    pub(crate) accounts: usize,
    pub(crate) issued: String,
    /// Requests that were metered, over the socket and over HTTP.
    pub(crate) usage_requests: String,
    pub(crate) usage_tenants: usize,
    /// Windows of all tenants, each final.
    pub(crate) usage_windows: u64,
    /// Of the metered requests, events over HTTP.
    pub(crate) events: u64,
    /// Batches of events that the kill took, sent again.
    pub(crate) batches_resent: u64,
    pub(crate) check_s: f64,
    pub(crate) violations: u32,
    /// Where the node's directory was left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) directory: Option<String>,
}

impl Report {
    /// The report as one JSON object.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a report is texts and numbers")
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let quantiles = |of: Quantiles| {
            format!("p50 {}   p99 {}   p99.9 {}", millis(of.p50), millis(of.p99), millis(of.p999))
        };
        let proven = if self.receipts_by_prefix == 0 {
            "all by a path to the last root".to_owned()
        } else {
            let Self { receipts_direct, receipts_by_prefix, .. } = self;
            format!(
                "{receipts_direct} by a path to the last root, {receipts_by_prefix} to that of a prefix of it"
            )
        };
        let mut rows = vec![
            ("traffic", format!("{:.1} s on {} connections", self.traffic_s, self.connections)),
            (
                "answers",
                format!(
                    "{} transfers, {} issues, {} refusals, {} balances",
                    self.transfers, self.issues, self.refusals, self.balance_reads
                ),
            ),
            (
                "rates",
                format!("{:.0} durable writes/s, {:.0} answers/s", self.writes_per_s, self.answers_per_s),
            ),
            ("writes", quantiles(self.write_us)),
            ("balances", quantiles(self.read_us)),
            ("SIGKILL", format!("ready again after {} ms", self.restart_ms)),
            ("open at the kill", format!("{} requests, settled by the same key", self.settled)),
            ("sent again", format!("{} requests, the same bytes each time", self.repeats)),
            ("entries", format!("{}, of them {} slices of usage", self.entries, self.usage_entries)),
            ("root", self.root.clone()),
            ("log key", self.log_key.clone()),
            ("checkpoints", format!("{} seen, each a prefix of the last", self.checkpoints)),
            ("receipts", format!("{} verified in {:.1} s, {proven}", self.receipts, self.check_s)),
            (
                "accounts",
                format!(
                    "{}: no hole in any sequence, every balance as in the books, {} issued",
                    self.accounts, self.issued
                ),
            ),
            (
                "usage",
                format!(
                    "{} requests of {} tenants in {} windows, to the unit as recorded",
                    self.usage_requests, self.usage_tenants, self.usage_windows
                ),
            ),
            (
                "of it over HTTP",
                format!(
                    "{} events; {} batches that the kill took, sent again",
                    self.events, self.batches_resent
                ),
            ),
            ("violations", self.violations.to_string()),
        ];
        if let Some(directory) = &self.directory {
            rows.push(("directory", directory.clone()));
        }
        rows
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.rows() {
            writeln!(f, "{name:<17} {value}")?;
        }
        Ok(())
    }
}

fn millis(micros: u64) -> String {
    format!("{}.{:02} ms", micros / 1_000, micros % 1_000 / 10)
}
