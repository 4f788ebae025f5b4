//! Queries: what a tenant used in the windows that the shard still knows.

use std::collections::BTreeMap;

use model::Text;
use wire::usage::{LabelSet, SliceBody, Totals, UsageQuery, UsageRow, UsageWindow};

use crate::{Shard, catalog::TenantIndex};

#[derive(Debug, Default)]
struct Found {
    window_millis: u32,
    is_open: bool,
    rows: BTreeMap<[Text; 4], Totals>,
}

impl Found {
    fn add(&mut self, labels: [Text; 4], totals: Totals) {
        let sum = self.rows.entry(labels).or_default();
        *sum = sum.join(totals).expect("sums of a window fit in 128 bits");
    }

    fn add_body(&mut self, body: &[u8]) {
        let view = SliceBody::decode(body).expect("written or checked by this shard");
        for row in view.rows() {
            let labels = row.labels.map(|label| Text::new(label).expect("decode has checked it"));
            self.add(labels, row.totals);
        }
    }
}

impl Shard {
    /// What a tenant used, window by window, oldest first: what gathers, what waits for the
    /// ledger, and the last windows that are in it.
    #[must_use]
    pub fn windows(&self, query: &UsageQuery) -> Vec<UsageWindow> {
        let Some(tenant) = self.catalog.find(&query.tenant) else { return Vec::new() };
        let mut found = BTreeMap::new();
        self.find_open(tenant, query, &mut found);
        let millis = self.params.window_millis;
        let waiting = self.lanes.of(tenant);
        let waiting = waiting.map(|sealed| (sealed.slice.window_start_millis, &sealed.body, true));
        let kept = self.retained.of(tenant).map(|kept| (kept.start_millis, &kept.body, false));
        for (start, body, is_open) in waiting.chain(kept) {
            if is_asked(query, start, millis) {
                let window: &mut Found = found.entry(start).or_default();
                window.window_millis = millis;
                window.is_open |= is_open;
                window.add_body(body);
            }
        }
        let window = |(start_millis, found): (u64, Found)| UsageWindow {
            start_millis,
            window_millis: found.window_millis,
            is_final: !found.is_open,
            rows: rows(query.tenant, found.rows),
        };
        found.into_iter().map(window).collect()
    }

    fn find_open(&self, tenant: TenantIndex, query: &UsageQuery, found: &mut BTreeMap<u64, Found>) {
        let millis = self.params.window_millis;
        for window in self.windows.iter().filter(|window| window.is_touched(tenant)) {
            if is_asked(query, window.start_millis, millis) {
                let one = found.entry(window.start_millis).or_default();
                (one.window_millis, one.is_open) = (millis, true);
                for (labels, row) in self.catalog.rows_of(tenant) {
                    let sum = window.sum(row);
                    if !sum.is_zero() {
                        one.add(labels, sum);
                    }
                }
            }
        }
    }
}

fn is_asked(query: &UsageQuery, start_millis: u64, window_millis: u32) -> bool {
    let end = start_millis.saturating_add(window_millis.into());
    end > query.from_millis && start_millis < query.to_millis
}

fn rows(tenant: Text, rows: BTreeMap<[Text; 4], Totals>) -> Vec<UsageRow> {
    let row = |([method, route, service, region], totals): ([Text; 4], Totals)| UsageRow {
        labels: LabelSet { tenant, method, route, service, region },
        totals,
    };
    rows.into_iter().map(row).collect()
}
