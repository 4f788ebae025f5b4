//! `Catalog`: tenants and label sets, and the dense numbers that the hot path knows them by.
//!
//! Holds: a tenant always has an overflow row, so nothing of an admitted tenant is ever dropped
//! for want of a row; a row is reused only when no connection refers to it and no window counts
//! in it. Ordered maps, not hashed ones: the canonical order of a slice falls out of them, and
//! no choice of labels makes a look-up slow.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
};

use model::Text;
use wire::usage::{LabelRefusal, LabelSet, stream_id};

/// A dense number as an index.
pub(crate) fn place(number: u32) -> usize {
    usize::try_from(number).expect("an index of 32 bits fits")
}

/// A tenant's dense number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TenantIndex(pub(crate) u32);

impl TenantIndex {
    pub(crate) fn place(self) -> usize {
        place(self.0)
    }
}

/// A row's dense number: label sets first, then one overflow row for each tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RowIndex(pub(crate) u32);

impl RowIndex {
    pub(crate) fn place(self) -> usize {
        place(self.0)
    }
}

/// A tenant and where the chain of its slices stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tenant {
    pub(crate) name: Text,
    /// The identity of its stream.
    pub(crate) stream: [u8; 16],
    /// The number of the last sealed slice.
    pub(crate) number: u64,
    /// BLAKE3 of its body.
    pub(crate) digest: [u8; 32],
    /// End of the latest window that was sealed for it, milliseconds since 1970.
    pub(crate) sealed_to_millis: u64,
    rows: u32,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    tenant: TenantIndex,
    /// Connections' labels that stand for it.
    references: u32,
}

/// Where a label set is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resolved {
    pub(crate) row: RowIndex,
    pub(crate) overflowed: bool,
}

#[derive(Debug)]
pub(crate) struct Catalog {
    stream: Text,
    tenants_max: u32,
    rows_max: u32,
    tenant_rows_max: u32,
    by_name: BTreeMap<Text, TenantIndex>,
    by_stream: BTreeMap<[u8; 16], TenantIndex>,
    tenants: Vec<Tenant>,
    by_labels: BTreeMap<(TenantIndex, [Text; 4]), RowIndex>,
    rows: Vec<Row>,
    free: Vec<RowIndex>,
}

impl Catalog {
    pub(crate) fn new(stream: Text, tenants_max: u32, rows_max: u32, tenant_rows_max: u32) -> Self {
        Self {
            stream,
            tenants_max,
            rows_max,
            tenant_rows_max,
            by_name: BTreeMap::new(),
            by_stream: BTreeMap::new(),
            tenants: Vec::new(),
            by_labels: BTreeMap::new(),
            rows: Vec::new(),
            free: Vec::new(),
        }
    }

    /// The tenant of this name, made if there is room.
    pub(crate) fn admit(&mut self, name: Text) -> Option<TenantIndex> {
        if let Some(index) = self.by_name.get(&name) {
            return Some(*index);
        }
        let index = u32::try_from(self.tenants.len()).ok().filter(|count| *count < self.tenants_max)?;
        let index = TenantIndex(index);
        let stream = stream_id(name.as_str(), self.stream.as_str());
        let before = self.by_stream.insert(stream, index);
        assert!(before.is_none(), "two tenants cannot have one stream: it is a digest of the name");
        self.by_name.insert(name, index);
        self.tenants.push(Tenant { name, stream, number: 0, digest: [0; 32], sealed_to_millis: 0, rows: 0 });
        Some(index)
    }

    pub(crate) fn find(&self, name: &Text) -> Option<TenantIndex> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn by_stream(&self, stream: &[u8; 16]) -> Option<TenantIndex> {
        self.by_stream.get(stream).copied()
    }

    pub(crate) fn tenant(&self, index: TenantIndex) -> &Tenant {
        self.tenants.get(index.place()).expect("tenants are never forgotten")
    }

    pub(crate) fn tenant_mut(&mut self, index: TenantIndex) -> &mut Tenant {
        self.tenants.get_mut(index.place()).expect("tenants are never forgotten")
    }

    pub(crate) fn tenant_count(&self) -> usize {
        self.tenants.len()
    }

    pub(crate) fn row_count(&self) -> usize {
        self.by_labels.len()
    }

    /// The tenants after `name`, in the order of their names.
    pub(crate) fn tenants_after(&self, name: Option<Text>) -> impl Iterator<Item = (Text, TenantIndex)> + '_ {
        let from = name.map_or(Unbounded, Excluded);
        self.by_name.range((from, Unbounded)).map(|(name, index)| (*name, *index))
    }

    /// The rows of a tenant in canonical order, its overflow row in its place among them.
    pub(crate) fn rows_of(&self, tenant: TenantIndex) -> impl Iterator<Item = ([Text; 4], RowIndex)> + '_ {
        let from = (tenant, [Text::EMPTY; 4]);
        let overflow = LabelSet::overflow(self.tenant(tenant).name).fields();
        // A label set with the overflow row's own words is counted there (see `resolve`), so the
        // two never meet.
        let rows = self.by_labels.range(from..).take_while(move |((owner, _), _)| *owner == tenant);
        let mut rows = rows.map(|((_, labels), row)| (*labels, *row)).peekable();
        let mut pending = Some((overflow, self.overflow_row(tenant)));
        std::iter::from_fn(move || {
            let before = rows.peek().is_none_or(|(labels, _)| *labels > overflow);
            if before { pending.take().or_else(|| rows.next()) } else { rows.next() }
        })
    }

    /// The tenant of a row. On the hot path.
    pub(crate) fn tenant_of(&self, row: RowIndex) -> TenantIndex {
        match row.0.checked_sub(self.rows_max) {
            Some(tenant) => TenantIndex(tenant),
            None => self.rows.get(row.place()).expect("rows are numbered densely").tenant,
        }
    }

    /// How many rows a window counts in: label sets, and one overflow row for each tenant.
    pub(crate) fn window_rows(&self) -> usize {
        place(self.rows_max) + place(self.tenants_max)
    }

    const fn overflow_row(&self, tenant: TenantIndex) -> RowIndex {
        RowIndex(self.rows_max + tenant.0)
    }

    /// Where a label set is counted; a new one takes a row if its tenant may have one more.
    pub(crate) fn resolve(&mut self, labels: &LabelSet) -> Result<Resolved, LabelRefusal> {
        let tenant = self.admit(labels.tenant).ok_or(LabelRefusal::TenantLimit)?;
        let overflow = Resolved { row: self.overflow_row(tenant), overflowed: true };
        let key = (tenant, labels.fields());
        if key.1 == LabelSet::overflow(labels.tenant).fields() {
            return Ok(overflow);
        }
        if let Some(row) = self.by_labels.get(&key) {
            return Ok(Resolved { row: *row, overflowed: false });
        }
        if self.tenant(tenant).rows == self.tenant_rows_max {
            return Ok(overflow);
        }
        let Some(row) = self.take_row(tenant) else { return Ok(overflow) };
        self.by_labels.insert(key, row);
        self.tenant_mut(tenant).rows += 1;
        Ok(Resolved { row, overflowed: false })
    }

    fn take_row(&mut self, tenant: TenantIndex) -> Option<RowIndex> {
        let fresh = Row { tenant, references: 0 };
        if let Some(row) = self.free.pop() {
            *self.rows.get_mut(row.place()).expect("rows are numbered densely") = fresh;
            return Some(row);
        }
        let row = u32::try_from(self.rows.len()).ok().filter(|count| *count < self.rows_max)?;
        self.rows.push(fresh);
        Some(RowIndex(row))
    }

    /// A connection's label stands for this row now.
    pub(crate) fn refer(&mut self, row: RowIndex) {
        if let Some(row) = self.rows.get_mut(row.place()) {
            row.references += 1;
        }
    }

    /// A connection's label stands for it no more.
    pub(crate) fn release(&mut self, row: RowIndex) {
        if let Some(row) = self.rows.get_mut(row.place()) {
            row.references = row.references.checked_sub(1).expect("what is released was referred to");
        }
    }

    /// Whether rows run short, so that `sweep` is worth its while.
    pub(crate) fn is_crowded(&self) -> bool {
        let used = self.rows.len() - self.free.len();
        used > place(self.rows_max) / 8 * 7
    }

    /// Forgets every row that no connection refers to and `is_counting` says no of; says how
    /// many that were.
    pub(crate) fn sweep(&mut self, is_counting: impl Fn(RowIndex) -> bool) -> u64 {
        let (rows, free, tenants) = (&self.rows, &mut self.free, &mut self.tenants);
        let before = free.len();
        self.by_labels.retain(|(tenant, _), row| {
            let keep = rows.get(row.place()).is_some_and(|row| row.references > 0) || is_counting(*row);
            if !keep {
                free.push(*row);
                tenants.get_mut(tenant.place()).expect("tenants are never forgotten").rows -= 1;
            }
            keep
        });
        u64::try_from(free.len() - before).expect("a count fits in 64 bits")
    }
}
