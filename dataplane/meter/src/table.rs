//! `Table`: which row a label set counts in.
//!
//! The one place that knows how rows are found and kept: stripes per thread replace what is in
//! here without a change outside.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use crate::{
    counters::{Counters, Row},
    Labels, OVERFLOW,
};

#[derive(Debug)]
pub(crate) struct Table {
    /// Label sets with a row of their own; as many overflow rows may stand beside them.
    label_limit: usize,
    rows: RwLock<Rows>,
}

#[derive(Debug, Default)]
struct Rows {
    own: HashMap<Labels, Arc<Row>>,
    /// By tenant.
    overflow: HashMap<String, Arc<Row>>,
}

impl Table {
    pub(crate) fn new(label_limit: usize) -> Self {
        Self { label_limit, rows: RwLock::default() }
    }

    /// Adds under these labels. Allocates only when a row is made.
    pub(crate) fn add(&self, labels: &Labels, counted: Counters) {
        {
            // A poisoned lock guards a map that is still whole: nothing panics between two
            // changes of it.
            let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(row) = rows.find(labels, self.label_limit) {
                return row.add(counted);
            }
        }
        self.row(labels).add(counted);
    }

    /// The row of these labels, made if there is room, else the tenant's overflow row.
    pub(crate) fn row(&self, labels: &Labels) -> Arc<Row> {
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(row) = rows.find(labels, self.label_limit) {
            return Arc::clone(row);
        }
        if rows.may_own(labels, self.label_limit) {
            return Arc::clone(rows.own.entry(labels.clone()).or_default());
        }
        let tenant = rows.overflow_tenant(labels, self.label_limit).to_owned();
        Arc::clone(rows.overflow.entry(tenant).or_default())
    }

    /// Every row and what it says.
    pub(crate) fn read(&self) -> Vec<(Labels, Counters)> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        let own = rows.own.iter().map(|(labels, row)| (labels.clone(), row.read()));
        let overflow = rows.overflow.iter().map(|(tenant, row)| (Labels::overflow(tenant), row.read()));
        own.chain(overflow).filter(|(_, counted)| !counted.is_zero()).collect()
    }
}

impl Rows {
    fn find(&self, labels: &Labels, limit: usize) -> Option<&Arc<Row>> {
        if let Some(row) = self.own.get(labels) {
            return Some(row);
        }
        if self.may_own(labels, limit) {
            return None;
        }
        self.overflow.get(self.overflow_tenant(labels, limit))
    }

    /// Whether a label set without a row gets its own.
    fn may_own(&self, labels: &Labels, limit: usize) -> bool {
        self.own.len() < limit && labels.fits() && *labels != Labels::overflow(&labels.tenant)
    }

    /// Under which name these labels overflow: their tenant's, as long as there is room for one
    /// more.
    fn overflow_tenant<'a>(&self, labels: &'a Labels, limit: usize) -> &'a str {
        let tenant = labels.tenant.as_str();
        let has_room = self.overflow.len() < limit && tenant.len() <= crate::LABEL_BYTES_MAX;
        if has_room || self.overflow.contains_key(tenant) {
            tenant
        } else {
            OVERFLOW
        }
    }
}
