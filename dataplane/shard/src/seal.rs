//! Sealing: a window's counts become one slice for each tenant, chained by digest.

use model::{Head, Kind, Seq, Slice, Timestamp};
use wire::usage::{ProducerRange, SliceBodyWriter, SliceHeader};

use crate::{Shard, catalog::TenantIndex, lanes::Sealed, window::Range, windows::WindowIndex};

impl Shard {
    /// Seals the next tenant of the window that is due, or ends the window. `false` if no window
    /// is due.
    pub(crate) fn seal_step(&mut self, now: Timestamp) -> bool {
        let Some(window) = self.windows.next_to_seal(now.as_millis()) else { return false };
        let filling = self.windows.one(window);
        // Names go in order; a tenant that is sealed is no longer touched, so the first touched
        // one is the next.
        let mut tenants = self.catalog.tenants_after(filling.sealed_name);
        let next = tenants.find(|(_, tenant)| filling.is_touched(*tenant));
        drop(tenants);
        if let Some((name, tenant)) = next {
            self.seal_tenant(now, window, tenant);
            self.windows.one_mut(window).sealed_name = Some(name);
            return true;
        }
        let generation = filling.generation;
        self.windows.one_mut(window).free();
        if self.windows.generations.seal(generation) {
            self.producers.advance(&self.windows.generations);
        }
        true
    }

    fn seal_tenant(&mut self, now: Timestamp, window: WindowIndex, tenant: TenantIndex) {
        let ranges = self.ranges_of(window, tenant);
        let known = *self.catalog.tenant(tenant);
        let filling = self.windows.one_mut(window);
        let (window_start_millis, generation) = (filling.start_millis, filling.generation);
        let header = SliceHeader {
            tenant: known.name,
            stream: self.params.stream,
            number: known.number + 1,
            window_start_millis,
            window_millis: self.params.window_millis,
            previous: known.digest,
        };
        let mut writer = SliceBodyWriter::new(&header, &ranges);
        for (labels, row) in self.catalog.rows_of(tenant) {
            let sum = filling.sum(row);
            if !sum.is_zero() {
                writer.row(&labels, &sum);
                filling.clear_row(row);
            }
        }
        filling.clear_tenant(tenant);
        let (body, rows, totals) = writer.finish();
        if rows == 0 {
            // Only zeros were counted: nothing to tell, and a replay would count zeros again.
            return;
        }
        let digest = *blake3::hash(&body).as_bytes();
        let slice = Slice {
            head: Head {
                seq: Seq::ZERO,
                at: Timestamp(0),
                kind: Kind::Usage,
                op: Kind::Usage,
                reason: None,
                idx: 0,
            },
            stream: known.stream,
            number: header.number,
            window_start_millis,
            window_millis: header.window_millis,
            rows,
            digest,
            previous: known.digest,
            requests: totals.requests,
            bytes_in: totals.bytes_in,
            bytes_out: totals.bytes_out,
            blind: [0; 16],
            body_at: 0,
            body_len: u32::try_from(body.len()).expect("bodies are bounded"),
        };
        let end = window_start_millis + u64::from(header.window_millis);
        let state = self.catalog.tenant_mut(tenant);
        (state.number, state.digest) = (header.number, digest);
        self.counters.slices_correcting += u64::from(state.sealed_to_millis >= end);
        state.sealed_to_millis = state.sealed_to_millis.max(end);
        self.counters.slices_sealed += 1;
        self.counters.rows_sealed += u64::from(rows);
        self.windows.generations.add_slice(generation);
        self.lanes.push(Sealed { tenant, generation, sealed_at: now, slice, body });
    }

    /// Which batches are in the slice of a tenant, in canonical order.
    fn ranges_of(&self, window: WindowIndex, tenant: TenantIndex) -> Vec<ProducerRange> {
        let ranges = self.windows.one(window).ranges_of(tenant);
        ranges
            .map(|range| ProducerRange {
                producer: range.id,
                epoch: range.epoch,
                from: range.from,
                to: range.to,
                through: self.complete_through(range),
            })
            .collect()
    }

    /// Up to which batch everything that the range's producer counted for its tenant is in this
    /// slice or an earlier one: up to the last batch that was taken, unless another window that
    /// is still to be sealed holds an earlier one.
    fn complete_through(&self, range: &Range) -> u64 {
        let producer = self.producers.one(range.producer);
        if (producer.id, producer.epoch) != (range.id, range.epoch) {
            // A later start of the producer: older batches are not taken any more.
            return range.to;
        }
        match self.windows.first_unsealed(range) {
            Some(first) => first - 1,
            None => producer.received(),
        }
    }
}
