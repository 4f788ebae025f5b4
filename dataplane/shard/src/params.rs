//! `Params`: how a shard is set up; every bound it keeps.

use model::{ShardId, Text};
use wire::usage::{BATCH_RECORDS_MAX, TENANT_ROWS_MAX, stream_name};

const DAY_MILLIS: u64 = 24 * 60 * 60 * 1000;

/// Why parameters do not fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParamsError {
    /// The node's name is empty, too long, not printable, or has a `/`.
    #[error("the node's name does not make a stream name")]
    NodeName,
    /// The shard's number is not below the count of shards.
    #[error("the shard's number is not below the count of shards")]
    Shard,
    /// A window is not 100 ms to 1 h long, or does not divide a day.
    #[error("a window must be 100 ms to 1 h long and divide a day")]
    Window,
    /// A bound is zero or larger than the machine can keep.
    #[error("`{0}` is out of its range")]
    Bound(&'static str),
}

/// How a shard is set up. `Params::new` gives defaults; every field may be changed before
/// `Shard::new`, which checks them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// This shard.
    pub shard: ShardId,
    /// How many shards the node has.
    pub shards: u16,
    /// The name of this shard's streams.
    pub stream: Text,
    /// Length of a window in milliseconds; windows begin at multiples of it since 1970.
    pub window_millis: u32,
    /// How long after its end a window stays open for what is still on its way.
    pub grace_millis: u64,
    /// How long a correction gathers before it is sealed.
    pub correction_millis: u64,
    /// How old a window may be to be corrected. Deduplication remembers as long.
    pub late_millis_max: u64,
    /// How far in the future a window may begin.
    pub ahead_millis_max: u64,
    /// Windows and corrections that gather at once.
    pub windows_max: usize,
    /// Tenants, for the life of the shard.
    pub tenants_max: u32,
    /// Label sets in use at once, beside one overflow row for each tenant.
    pub rows_max: u32,
    /// Label sets of one tenant in use at once.
    pub tenant_rows_max: u32,
    /// Producers that are remembered.
    pub producers_max: u32,
    /// Connections at once.
    pub connections_max: usize,
    /// Batches that a producer may have on the way.
    pub credits: u64,
    /// Sealed slices that wait for the ledger; at this many, writers are throttled.
    pub backlog_max: usize,
    /// Bytes of their bodies, likewise.
    pub backlog_bytes_max: usize,
    /// Slices that the ledger is asked to take at once.
    pub exports_max: usize,
    /// How long to wait before a refused slice is offered again, at first; doubles each time.
    pub retry_millis_min: u64,
    /// How long at most.
    pub retry_millis_max: u64,
    /// Past windows that queries can see.
    pub windows_retained: u32,
    /// Bytes of slices kept for queries.
    pub retained_bytes_max: usize,
    /// Events whose ids are remembered; older ones count again.
    pub events_max: usize,
    /// Drawn at random at start: keeps the places of event ids in the table unpredictable.
    pub secret: u64,
}

impl Params {
    /// The defaults for shard `shard` of `shards` on `node`, with windows of `window_millis`.
    ///
    /// # Errors
    /// Says what does not fit.
    pub fn new(node: &str, shard: ShardId, shards: u16, window_millis: u32) -> Result<Self, ParamsError> {
        let stream = stream_name(node, shard, shards).ok_or(ParamsError::NodeName)?;
        let params = Self {
            shard,
            shards,
            stream,
            window_millis,
            grace_millis: (u64::from(window_millis) / 30).min(2_000),
            correction_millis: u64::from(window_millis).min(1_000),
            late_millis_max: DAY_MILLIS,
            ahead_millis_max: 5 * 60 * 1000,
            windows_max: 8,
            tenants_max: 4_096,
            rows_max: 16_384,
            tenant_rows_max: 2_048,
            producers_max: 4_096,
            connections_max: 1_024,
            credits: 64,
            backlog_max: 1_000,
            backlog_bytes_max: 64 << 20,
            exports_max: 64,
            retry_millis_min: 50,
            retry_millis_max: 5_000,
            windows_retained: 5,
            retained_bytes_max: 16 << 20,
            events_max: 65_536,
            secret: 0,
        };
        params.check().map(|()| params)
    }

    /// Whether the parameters fit together.
    ///
    /// # Errors
    /// Names the first that does not.
    pub fn check(&self) -> Result<(), ParamsError> {
        if self.shard.0 >= self.shards {
            return Err(ParamsError::Shard);
        }
        let window = u64::from(self.window_millis);
        if !(100..=3_600_000).contains(&window) || !DAY_MILLIS.is_multiple_of(window) {
            return Err(ParamsError::Window);
        }
        let tenant_rows_max = u32::try_from(TENANT_ROWS_MAX).expect("a small constant");
        let bounds = [
            ("late_millis_max", (window..=365 * DAY_MILLIS).contains(&self.late_millis_max)),
            ("ahead_millis_max", self.ahead_millis_max <= DAY_MILLIS),
            ("grace_millis", self.grace_millis <= 3_600_000),
            ("correction_millis", self.correction_millis <= 3_600_000),
            ("windows_max", (3..=64).contains(&self.windows_max)),
            ("tenants_max", (1..=1 << 20).contains(&self.tenants_max)),
            ("rows_max", (1..=1 << 24).contains(&self.rows_max)),
            ("tenant_rows_max", (1..=tenant_rows_max).contains(&self.tenant_rows_max)),
            ("producers_max", (1..=1 << 20).contains(&self.producers_max)),
            ("connections_max", (1..=1 << 20).contains(&self.connections_max)),
            ("credits", (1..=1 << 20).contains(&self.credits)),
            ("backlog_max", (1..=1 << 20).contains(&self.backlog_max)),
            ("backlog_bytes_max", self.backlog_bytes_max >= 1),
            ("exports_max", (1..=1 << 16).contains(&self.exports_max)),
            ("retry_millis_min", (1..=self.retry_millis_max).contains(&self.retry_millis_min)),
            ("retry_millis_max", self.retry_millis_max <= 3_600_000),
            ("windows_retained", self.windows_retained <= 1 << 16),
            ("events_max", (1..=1 << 26).contains(&self.events_max)),
        ];
        bounds.into_iter().find(|(_, holds)| !holds).map_or(Ok(()), |(name, _)| Err(ParamsError::Bound(name)))
    }

    /// Producer ranges that one window keeps: when fewer than one batch could add are free, the
    /// window is sealed early.
    pub(crate) const fn window_ranges_max(&self) -> usize {
        2 * BATCH_RECORDS_MAX
    }

    /// Start of the window that holds this moment.
    pub(crate) fn window_start(&self, millis: u64) -> u64 {
        millis - millis % u64::from(self.window_millis)
    }
}
