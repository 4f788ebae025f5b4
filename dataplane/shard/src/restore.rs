//! Restoring: what the ledger holds tells a new shard where its streams stand and which batches
//! are counted already.

use model::{Slice, Timestamp};
use wire::usage::{BodyError, SliceBody, shard_of, stream_id};

use crate::{Shard, retained::Kept};

/// Why a slice of the ledger cannot be taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// The body does not read.
    #[error("the body of slice {number} does not read: {why}")]
    Body {
        /// The slice's number in its stream.
        number: u64,
        /// What is wrong.
        why: BodyError,
    },
    /// The body is not the one that the entry names, or contradicts the entry.
    #[error("the body of slice {number} is not the one that its entry names")]
    Mismatch {
        /// The slice's number in its stream.
        number: u64,
    },
    /// The slice does not follow the one before it.
    #[error("slice {number} does not follow slice {last} of its stream")]
    Chain {
        /// The slice's number.
        number: u64,
        /// The number of the last slice that was taken up.
        last: u64,
    },
    /// The slice belongs to another stream name or to another shard's tenant.
    #[error("the slice belongs to another shard")]
    Foreign,
    /// There are more tenants than the shard may have.
    #[error("more tenants than `tenants_max`")]
    TenantLimit,
    /// There are more producers than the shard may remember.
    #[error("more producers than `producers_max`")]
    ProducerLimit,
}

impl Shard {
    /// Takes up a slice that is in the ledger. Call it for every slice of this shard's streams, in
    /// the ledger's order, before the first event. Slices of other shards are `Foreign` and may
    /// be skipped.
    ///
    /// # Errors
    /// Says what does not fit. Nothing was taken up then.
    pub fn restore(&mut self, now: Timestamp, slice: &Slice, body: &[u8]) -> Result<(), RestoreError> {
        let number = slice.number;
        let view = SliceBody::decode(body).map_err(|why| RestoreError::Body { number, why })?;
        let header = view.header;
        if header.stream != self.params.stream
            || shard_of(header.tenant.as_str(), self.params.shards) != self.params.shard
        {
            return Err(RestoreError::Foreign);
        }
        let totals = (view.totals.requests, view.totals.bytes_in, view.totals.bytes_out);
        let matches = *blake3::hash(body).as_bytes() == slice.digest
            && stream_id(header.tenant.as_str(), header.stream.as_str()) == slice.stream
            && (header.number, header.previous) == (number, slice.previous)
            && header.window_start_millis == slice.window_start_millis
            && header.window_millis == slice.window_millis
            && totals == (slice.requests, slice.bytes_in, slice.bytes_out)
            && usize::try_from(slice.rows).is_ok_and(|rows| rows == view.rows().len());
        if !matches {
            return Err(RestoreError::Mismatch { number });
        }
        let tenant = self.catalog.admit(header.tenant).ok_or(RestoreError::TenantLimit)?;
        let known = self.catalog.tenant(tenant);
        // The first one that is told may stand anywhere: older ones may be in the archive.
        if known.number != 0 && (number, slice.previous) != (known.number + 1, known.digest) {
            return Err(RestoreError::Chain { number, last: known.number });
        }
        self.now_millis = now.as_millis();
        let end = header.window_start_millis.saturating_add(header.window_millis.into());
        self.restore_ranges(tenant, &view, end)?;
        let known = self.catalog.tenant_mut(tenant);
        (known.number, known.digest) = (number, slice.digest);
        known.sealed_to_millis = known.sealed_to_millis.max(end);
        let retained = u64::from(self.params.windows_retained) * u64::from(self.params.window_millis);
        if end.saturating_add(retained) > self.now_millis {
            let start_millis = header.window_start_millis;
            self.retained.push(Kept { tenant, start_millis, body: body.to_vec() });
        }
        Ok(())
    }

    fn restore_ranges(
        &mut self,
        tenant: crate::catalog::TenantIndex,
        view: &SliceBody<'_>,
        end_millis: u64,
    ) -> Result<(), RestoreError> {
        let too_old = self.too_old_millis();
        // Batches of windows this old are refused as late, so they need not be remembered.
        if end_millis < too_old {
            return Ok(());
        }
        for range in view.ranges() {
            let admitted = self.producers.admit(range.producer, range.epoch, too_old);
            let index = admitted.ok_or(RestoreError::ProducerLimit)?;
            let producer = self.producers.one_mut(index);
            if range.epoch > producer.epoch {
                producer.renew(range.epoch);
            }
            if range.epoch == producer.epoch {
                producer.coverage.add(tenant, &range);
            }
            producer.active_to_millis = producer.active_to_millis.max(end_millis);
        }
        Ok(())
    }
}
