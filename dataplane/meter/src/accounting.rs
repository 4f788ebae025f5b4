//! `Accounting`: the meter that a host holds, and `Meter`, a handle on one of its rows.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    counters::{Counters, Row},
    table::Table,
    Labels, Settings, Snapshot,
};

/// A meter. Share it by reference or in an `Arc`; every call may come from any thread.
#[derive(Debug)]
pub struct Accounting {
    settings: Settings,
    table: Table,
    /// The readings at the last `window_tick`.
    ticked: Mutex<HashMap<Labels, Counters>>,
}

impl Accounting {
    /// A meter as the environment says (`ACC_WINDOW_MS`, `ACC_LABEL_LIMIT`).
    ///
    /// # Panics
    /// If a variable does not say what it must; `Settings::from_env` gives the error instead.
    #[must_use]
    pub fn new_default() -> Self {
        match Settings::from_env() {
            Ok(settings) => Self::new(settings),
            Err(error) => panic!("{error}"),
        }
    }

    /// A meter as the host says.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, table: Table::new(settings.label_limit.get()), ticked: Mutex::default() }
    }

    /// Counts one request.
    pub fn incr_request(&self, labels: &Labels) {
        self.record(labels, Counters { reqs: 1, ..Counters::default() });
    }

    /// Counts inbound bytes.
    pub fn add_bytes_in(&self, labels: &Labels, bytes: u64) {
        self.record(labels, Counters { bytes_in: bytes, ..Counters::default() });
    }

    /// Counts outbound bytes.
    pub fn add_bytes_out(&self, labels: &Labels, bytes: u64) {
        self.record(labels, Counters { bytes_out: bytes, ..Counters::default() });
    }

    /// Counts requests and bytes at once.
    pub fn record(&self, labels: &Labels, counted: Counters) {
        self.table.add(labels, counted);
    }

    /// A handle on the row of these labels: the look-up is done once.
    #[must_use]
    pub fn meter(&self, labels: &Labels) -> Meter {
        Meter { row: self.table.row(labels) }
    }

    /// Everything that was counted since the meter was made. Changes nothing.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.settings.window_ms.get(), self.table.read())
    }

    /// What was counted since the last tick: each increment is in exactly one tick's snapshot.
    /// Label sets that counted nothing are left out.
    pub fn window_tick(&self) -> Snapshot {
        let mut ticked = self.ticked.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entries = self.table.read();
        entries.retain_mut(|(labels, now)| {
            let before = ticked.get_mut(labels);
            let reading = *now;
            *now = reading.since(before.as_deref().copied().unwrap_or_default());
            match before {
                Some(before) => *before = reading,
                None => drop(ticked.insert(labels.clone(), reading)),
            }
            !now.is_zero()
        });
        Snapshot::new(self.settings.window_ms.get(), entries)
    }
}

/// A handle on one row: counts without a look-up.
#[derive(Clone, Debug)]
pub struct Meter {
    row: Arc<Row>,
}

impl Meter {
    /// Counts one request.
    pub fn incr_request(&self) {
        self.record(Counters { reqs: 1, ..Counters::default() });
    }

    /// Counts inbound bytes.
    pub fn add_bytes_in(&self, bytes: u64) {
        self.record(Counters { bytes_in: bytes, ..Counters::default() });
    }

    /// Counts outbound bytes.
    pub fn add_bytes_out(&self, bytes: u64) {
        self.record(Counters { bytes_out: bytes, ..Counters::default() });
    }

    /// Counts requests and bytes at once.
    pub fn record(&self, counted: Counters) {
        self.row.add(counted);
    }
}

#[cfg(test)]
mod tests;
