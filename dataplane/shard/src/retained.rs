//! `Retained`: slices that are in the ledger and recent enough to be asked for.

use std::collections::VecDeque;

use crate::catalog::TenantIndex;

#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) tenant: TenantIndex,
    pub(crate) start_millis: u64,
    pub(crate) body: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Retained {
    kept: VecDeque<Kept>,
    bytes: usize,
    bytes_max: usize,
}

impl Retained {
    pub(crate) const fn new(bytes_max: usize) -> Self {
        Self { kept: VecDeque::new(), bytes: 0, bytes_max }
    }

    /// Keeps a slice; the oldest go when there are too many bytes.
    pub(crate) fn push(&mut self, kept: Kept) {
        self.bytes += kept.body.len();
        self.kept.push_back(kept);
        while self.bytes > self.bytes_max {
            let Some(gone) = self.kept.pop_front() else { break };
            self.bytes -= gone.body.len();
        }
    }

    /// Forgets what began before this.
    pub(crate) fn forget_before(&mut self, start_millis: u64) {
        let bytes = &mut self.bytes;
        self.kept.retain(|kept| {
            let keep = kept.start_millis >= start_millis;
            if !keep {
                *bytes -= kept.body.len();
            }
            keep
        });
    }

    /// The slices of a tenant.
    pub(crate) fn of(&self, tenant: TenantIndex) -> impl Iterator<Item = &Kept> + '_ {
        self.kept.iter().filter(move |kept| kept.tenant == tenant)
    }
}
