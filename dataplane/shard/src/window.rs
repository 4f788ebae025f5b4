//! `Window`: one filling of one window: a sum for each row, and which batches are in it.
//!
//! All memory is taken when it is made; counting and noting allocate nothing.

use hashbrown::HashTable;
use model::Text;
use wire::usage::{BATCH_RECORDS_MAX, SLICE_RANGES_MAX, Tally, Totals};

use crate::{
    catalog::{RowIndex, TenantIndex, place},
    producers::ProducerIndex,
};

/// What a window is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Free,
    /// Counting.
    Open,
    /// Closed; waits for its turn.
    Queued,
    /// Its tenants are being sealed, one after the other.
    Sealing,
}

/// Batches of one producer that counted for one tenant here, in a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub(crate) tenant: TenantIndex,
    pub(crate) producer: ProducerIndex,
    pub(crate) id: [u8; 16],
    pub(crate) epoch: u64,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// First and last range of a producer and a tenant.
#[derive(Clone, Copy, Debug)]
struct Span {
    tenant: TenantIndex,
    producer: ProducerIndex,
    first: u32,
    last: u32,
}

fn hash(tenant: TenantIndex, producer: ProducerIndex) -> u64 {
    // Dense numbers, given out here: nobody outside can choose where they fall.
    let both = u64::from(tenant.0) << 32 | u64::from(producer.0);
    let mixed = both.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 32
}

#[derive(Debug)]
pub(crate) struct Window {
    pub(crate) state: State,
    pub(crate) start_millis: u64,
    pub(crate) generation: u64,
    /// When it is due to be sealed, milliseconds since 1970.
    pub(crate) seal_at_millis: u64,
    /// While sealing: the last tenant that was sealed.
    pub(crate) sealed_name: Option<Text>,
    sums: Vec<[u128; 3]>,
    /// Per tenant: whether anything counts.
    touched: Vec<bool>,
    /// Per tenant: the stamp of the last batch that asked, and its lowest bit whether the answer
    /// was to leave the tenant out.
    marks: Vec<u64>,
    /// Per tenant: its ranges here.
    range_counts: Vec<u16>,
    ranges: Vec<Range>,
    ranges_max: usize,
    spans: HashTable<Span>,
    /// Places of `ranges` in the order of slices; filled when sealing begins.
    order: Vec<u32>,
    tenant_full: bool,
}

impl Window {
    pub(crate) fn new(rows: usize, tenants: usize, ranges_max: usize) -> Self {
        assert!(ranges_max > BATCH_RECORDS_MAX, "an empty window takes any batch");
        Self {
            state: State::Free,
            start_millis: 0,
            generation: 0,
            seal_at_millis: 0,
            sealed_name: None,
            sums: vec![[0; 3]; rows],
            touched: vec![false; tenants],
            marks: vec![0; tenants],
            range_counts: vec![0; tenants],
            ranges: Vec::with_capacity(ranges_max),
            ranges_max,
            spans: HashTable::with_capacity(ranges_max),
            order: Vec::with_capacity(ranges_max),
            tenant_full: false,
        }
    }

    /// Whether another batch of the largest size might not find room for its ranges.
    pub(crate) fn is_full(&self) -> bool {
        self.tenant_full || self.ranges_max - self.ranges.len() < BATCH_RECORDS_MAX
    }

    /// Whether the batch of `stamp` asked about this tenant before, and if so whether it is left
    /// out.
    pub(crate) fn mark(&self, tenant: TenantIndex, stamp: u64) -> Option<bool> {
        let mark = self.marks.get(tenant.place()).expect("one mark for each tenant");
        (*mark >> 1 == stamp).then_some(mark & 1 == 1)
    }

    /// Notes the answer for the batch of `stamp`.
    pub(crate) fn set_mark(&mut self, tenant: TenantIndex, stamp: u64, left_out: bool) {
        *self.marks.get_mut(tenant.place()).expect("one mark for each tenant") =
            stamp << 1 | u64::from(left_out);
    }

    /// Something is about to count for this tenant.
    pub(crate) fn touch(&mut self, tenant: TenantIndex) {
        *self.touched.get_mut(tenant.place()).expect("one flag for each tenant") = true;
    }

    /// Batch `range.from` (equal to `range.to`) counts for its tenant. `joins` says whether a
    /// range that ends before it may be stretched to it.
    pub(crate) fn note(&mut self, range: Range, joins: impl FnOnce(u64) -> bool) {
        let Range { tenant, producer, .. } = range;
        let is_same = |span: &Span| span.tenant == tenant && span.producer == producer;
        if let Some(span) = self.spans.find(hash(tenant, producer), is_same) {
            let last = self.ranges.get_mut(place(span.last)).expect("spans point at ranges");
            if last.id == range.id && last.epoch == range.epoch && joins(last.to) {
                assert!(last.to < range.from, "batches are taken in order");
                last.to = range.to;
                return;
            }
        }
        assert!(self.ranges.len() < self.ranges_max, "a full window is sealed before the next batch");
        let position = u32::try_from(self.ranges.len()).expect("bounded by ranges_max");
        self.ranges.push(range);
        if let Some(span) = self.spans.find_mut(hash(tenant, producer), is_same) {
            span.last = position;
        } else {
            let span = Span { tenant, producer, first: position, last: position };
            self.spans.insert_unique(hash(tenant, producer), span, |span| hash(span.tenant, span.producer));
        }
        let count = self.range_counts.get_mut(tenant.place()).expect("one count for each tenant");
        *count += 1;
        self.tenant_full |= usize::from(*count) == SLICE_RANGES_MAX;
    }

    /// Adds a tally to a row.
    pub(crate) fn count(&mut self, row: RowIndex, tally: Tally) {
        let [requests, bytes_in, bytes_out] =
            self.sums.get_mut(row.place()).expect("one sum for each row, overflow rows included");
        *requests += u128::from(tally.requests);
        *bytes_in += u128::from(tally.bytes_in);
        *bytes_out += u128::from(tally.bytes_out);
    }

    pub(crate) fn sum(&self, row: RowIndex) -> Totals {
        let [requests, bytes_in, bytes_out] =
            *self.sums.get(row.place()).expect("one sum for each row, overflow rows included");
        Totals { requests, bytes_in, bytes_out }
    }

    pub(crate) fn is_touched(&self, tenant: TenantIndex) -> bool {
        self.touched.get(tenant.place()).copied().unwrap_or(false)
    }

    /// The first batch of this start of a producer that counts for a tenant here.
    pub(crate) fn first_batch(&self, range: &Range) -> Option<u64> {
        let is_same = |span: &Span| span.tenant == range.tenant && span.producer == range.producer;
        let span = self.spans.find(hash(range.tenant, range.producer), is_same)?;
        let mut between = self.ranges.get(place(span.first)..=place(span.last))?.iter();
        let same = |known: &&Range| {
            known.tenant == range.tenant && known.id == range.id && known.epoch == range.epoch
        };
        between.find(same).map(|known| known.from)
    }

    /// Closes the window and puts its ranges in the order of slices.
    pub(crate) fn begin_seal(&mut self) {
        self.state = State::Sealing;
        self.order.extend(0..u32::try_from(self.ranges.len()).expect("bounded by ranges_max"));
        let ranges = &self.ranges;
        let key = |position: &u32| {
            let range = ranges.get(place(*position)).expect("positions of ranges");
            (range.tenant, range.id, range.epoch, range.from)
        };
        self.order.sort_unstable_by_key(key);
    }

    /// The ranges of a tenant in the order of its slice. Only while sealing.
    pub(crate) fn ranges_of(&self, tenant: TenantIndex) -> impl Iterator<Item = &Range> + '_ {
        let range = |position: &u32| self.ranges.get(place(*position)).expect("positions of ranges");
        let from = self.order.partition_point(move |position| range(position).tenant < tenant);
        let rest = self.order.get(from..).unwrap_or_default();
        rest.iter().map(range).take_while(move |range| range.tenant == tenant)
    }

    /// Zeroes what a sealed tenant counted.
    pub(crate) fn clear_row(&mut self, row: RowIndex) {
        *self.sums.get_mut(row.place()).expect("one sum for each row, overflow rows included") = [0; 3];
    }

    /// A tenant's slice is sealed.
    pub(crate) fn clear_tenant(&mut self, tenant: TenantIndex) {
        *self.touched.get_mut(tenant.place()).expect("one flag for each tenant") = false;
        *self.range_counts.get_mut(tenant.place()).expect("one count for each tenant") = 0;
    }

    /// All tenants are sealed: ready to be used again.
    pub(crate) fn free(&mut self) {
        assert!(self.touched.iter().all(|touched| !touched), "every tenant was sealed");
        self.state = State::Free;
        self.sealed_name = None;
        self.ranges.clear();
        self.spans.clear();
        self.order.clear();
        self.tenant_full = false;
    }

    /// Asserts what holds of a window. Linear; for simulation.
    pub(crate) fn check(&self) {
        if self.state == State::Free {
            assert!(self.sums.iter().all(|sum| *sum == [0; 3]) && self.ranges.is_empty());
        }
        assert!(self.ranges.len() <= self.ranges_max);
    }
}
