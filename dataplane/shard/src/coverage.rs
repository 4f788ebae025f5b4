//! `Coverage`: which batches of a producer the ledger holds already, tenant by tenant, as read
//! back after a restart.
//!
//! A batch may have records of several tenants, and a crash may come when the slices of some of
//! them are in the ledger and those of others are not. So the question is asked per tenant, and
//! a replayed batch counts exactly where it is missing.

use wire::usage::ProducerRange;

use crate::catalog::TenantIndex;

#[derive(Debug)]
struct TenantCoverage {
    tenant: TenantIndex,
    /// Everything up to here.
    through: u64,
    /// And these, ascending, above `through`, not touching one another.
    beyond: Vec<(u64, u64)>,
}

#[derive(Debug, Default)]
pub(crate) struct Coverage {
    /// Ascending by tenant.
    tenants: Vec<TenantCoverage>,
    /// The highest batch that any slice names.
    seq_max: u64,
}

impl Coverage {
    /// A slice of `tenant` names this range.
    pub(crate) fn add(&mut self, tenant: TenantIndex, range: &ProducerRange) {
        self.seq_max = self.seq_max.max(range.to);
        let place = match self.tenants.binary_search_by_key(&tenant, |known| known.tenant) {
            Ok(place) => place,
            Err(place) => {
                self.tenants.insert(place, TenantCoverage { tenant, through: 0, beyond: Vec::new() });
                place
            }
        };
        let known = self.tenants.get_mut(place).expect("found or inserted");
        known.through = known.through.max(range.through);
        let at = known.beyond.partition_point(|(from, _)| *from < range.from);
        known.beyond.insert(at, (range.from, range.to));
        known.tidy();
    }

    /// The highest batch that any slice names: above it nothing needs to be asked.
    pub(crate) const fn seq_max(&self) -> u64 {
        self.seq_max
    }

    /// Whether the ledger holds what batch `seq` counted for `tenant`.
    pub(crate) fn covers(&self, tenant: TenantIndex, seq: u64) -> bool {
        let Ok(place) = self.tenants.binary_search_by_key(&tenant, |known| known.tenant) else {
            return false;
        };
        let Some(known) = self.tenants.get(place) else { return false };
        let at = known.beyond.partition_point(|(_, to)| *to < seq);
        seq <= known.through || known.beyond.get(at).is_some_and(|(from, _)| *from <= seq)
    }
}

impl TenantCoverage {
    /// Joins ranges that touch, and drops what `through` says already.
    fn tidy(&mut self) {
        let through = &mut self.through;
        self.beyond.dedup_by(|next, last| {
            let touch = next.0 <= last.1.saturating_add(1);
            if touch {
                last.1 = last.1.max(next.1);
            }
            touch
        });
        self.beyond.retain(|(from, to)| {
            if *from <= through.saturating_add(1) {
                *through = (*through).max(*to);
            }
            *to > *through
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_join_and_holes_stay_holes() {
        let mut coverage = Coverage::default();
        let mut seen = Vec::new();
        for (from, to, through) in [(5, 6, 0), (9, 9, 0), (7, 8, 0), (12, 14, 2), (1, 1, 2), (20, 20, 9)] {
            coverage.add(TenantIndex(1), &ProducerRange { producer: [0; 16], epoch: 1, from, to, through });
            seen.push((1..=21).filter(|seq| coverage.covers(TenantIndex(1), *seq)).collect::<Vec<u64>>());
        }
        assert_eq!(
            seen,
            [
                vec![5, 6],
                vec![5, 6, 9],
                vec![5, 6, 7, 8, 9],
                vec![1, 2, 5, 6, 7, 8, 9, 12, 13, 14],
                vec![1, 2, 5, 6, 7, 8, 9, 12, 13, 14],
                vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 20],
            ]
        );
        assert!(!coverage.covers(TenantIndex(0), 5), "other tenants are other questions");
        assert_eq!(coverage.seq_max(), 20);
    }
}
