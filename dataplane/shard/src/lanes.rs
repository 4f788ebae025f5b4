//! `Lanes`: sealed slices on their way to the ledger: in order inside a stream, one of a stream
//! at a time, many streams at once.
//!
//! One at a time inside a stream, because after a refusal of slice n the ledger would refuse
//! n+1 as a gap; streams are many and do not wait for one another.

use std::collections::VecDeque;

use model::{Slice, Timestamp};

use crate::catalog::{TenantIndex, place};

/// A slice that waits for the ledger.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) tenant: TenantIndex,
    pub(crate) generation: u64,
    pub(crate) sealed_at: Timestamp,
    pub(crate) slice: Slice,
    pub(crate) body: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum LaneState {
    /// Empty.
    #[default]
    Idle,
    /// Its first slice may be offered.
    Ready,
    /// Its first slice has been offered.
    Offered,
    /// Its first slice was refused and is offered again later.
    Held,
    /// The ledger's stream and ours do not agree; nothing is offered any more.
    Halted,
}

#[derive(Debug, Default)]
struct Lane {
    state: LaneState,
    /// Refusals of the first slice in a row.
    attempts: u32,
    waiting: VecDeque<Sealed>,
}

#[derive(Debug)]
pub(crate) struct Lanes {
    lanes: Vec<Lane>,
    ready: VecDeque<TenantIndex>,
    /// Lanes that are held, and until when, milliseconds since 1970.
    held: Vec<(u64, TenantIndex)>,
    offered: usize,
    offered_max: usize,
    count: usize,
    count_max: usize,
    bytes: usize,
    bytes_max: usize,
    retry_millis: (u64, u64),
}

impl Lanes {
    pub(crate) fn new(params: &crate::Params) -> Self {
        let tenants = place(params.tenants_max);
        Self {
            lanes: Vec::new(),
            ready: VecDeque::with_capacity(tenants.min(params.backlog_max)),
            held: Vec::new(),
            offered: 0,
            offered_max: params.exports_max,
            count: 0,
            count_max: params.backlog_max,
            bytes: 0,
            bytes_max: params.backlog_bytes_max,
            retry_millis: (params.retry_millis_min, params.retry_millis_max),
        }
    }

    /// Whether another slice may be sealed.
    pub(crate) const fn has_room(&self) -> bool {
        self.count < self.count_max && self.bytes < self.bytes_max
    }

    /// Slices that wait or are offered.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// Whether `offer` would give one.
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty() && self.offered < self.offered_max
    }

    /// A slice was sealed.
    pub(crate) fn push(&mut self, sealed: Sealed) {
        assert!(self.has_room(), "room was asked for before sealing");
        let tenant = sealed.tenant;
        if self.lanes.len() <= tenant.place() {
            self.lanes.resize_with(tenant.place() + 1, Lane::default);
        }
        self.count += 1;
        self.bytes += sealed.body.len();
        let lane = self.lane(tenant);
        let previous = lane.waiting.back().map(|last| last.slice.number);
        assert!(previous.is_none_or(|number| number + 1 == sealed.slice.number), "numbers have no gaps");
        lane.waiting.push_back(sealed);
        if lane.state == LaneState::Idle {
            lane.state = LaneState::Ready;
            self.ready.push_back(tenant);
        }
    }

    /// The next slice to offer, if there is one and not too many are offered.
    pub(crate) fn offer(&mut self) -> Option<&Sealed> {
        if self.offered >= self.offered_max {
            return None;
        }
        let tenant = self.ready.pop_front()?;
        self.offered += 1;
        let lane = self.lane(tenant);
        assert!(lane.state == LaneState::Ready, "only ready lanes queue up");
        lane.state = LaneState::Offered;
        Some(lane.waiting.front().expect("a ready lane has a slice"))
    }

    /// The ledger holds the slice that was offered. `None` if no such slice was.
    pub(crate) fn durable(&mut self, tenant: TenantIndex, number: u64) -> Option<Sealed> {
        let lane = self.offered_lane(tenant, number)?;
        lane.attempts = 0;
        let sealed = lane.waiting.pop_front().expect("an offered lane has a slice");
        let more = !lane.waiting.is_empty();
        lane.state = if more { LaneState::Ready } else { LaneState::Idle };
        if more {
            self.ready.push_back(tenant);
        }
        self.offered -= 1;
        self.count -= 1;
        self.bytes -= sealed.body.len();
        Some(sealed)
    }

    /// The ledger did not take it now: it is offered again after a pause that doubles, with a
    /// share that differs from stream to stream so that they do not all come back at once.
    /// `false` if no such slice was offered.
    pub(crate) fn retry(&mut self, tenant: TenantIndex, number: u64, now_millis: u64) -> bool {
        let (retry_min, retry_max) = self.retry_millis;
        let Some(lane) = self.offered_lane(tenant, number) else { return false };
        lane.state = LaneState::Held;
        let pause = retry_min.saturating_mul(1 << lane.attempts.min(20)).min(retry_max);
        lane.attempts += 1;
        let spread = pause / 4 * u64::from(tenant.0 % 8) / 8;
        self.held.push((now_millis.saturating_add(pause + spread), tenant));
        self.offered -= 1;
        true
    }

    /// The ledger will never take it. `false` if no such slice was offered.
    pub(crate) fn halt(&mut self, tenant: TenantIndex, number: u64) -> bool {
        let Some(lane) = self.offered_lane(tenant, number) else { return false };
        lane.state = LaneState::Halted;
        self.offered -= 1;
        true
    }

    /// Lets held lanes go whose time has come.
    pub(crate) fn wake(&mut self, now_millis: u64) {
        let (lanes, ready) = (&mut self.lanes, &mut self.ready);
        self.held.retain(|(until, tenant)| {
            let due = *until <= now_millis;
            if due {
                lanes.get_mut(tenant.place()).expect("held lanes exist").state = LaneState::Ready;
                ready.push_back(*tenant);
            }
            !due
        });
    }

    /// When the next held lane is due, milliseconds since 1970.
    pub(crate) fn due_millis(&self) -> Option<u64> {
        self.held.iter().map(|(until, _)| *until).min()
    }

    /// The slices of a tenant that wait or are offered, in order.
    pub(crate) fn of(&self, tenant: TenantIndex) -> impl Iterator<Item = &Sealed> + '_ {
        self.lanes.get(tenant.place()).into_iter().flat_map(|lane| lane.waiting.iter())
    }

    fn lane(&mut self, tenant: TenantIndex) -> &mut Lane {
        self.lanes.get_mut(tenant.place()).expect("made when its first slice was sealed")
    }

    fn offered_lane(&mut self, tenant: TenantIndex, number: u64) -> Option<&mut Lane> {
        let lane = self.lanes.get_mut(tenant.place())?;
        let offered = lane.state == LaneState::Offered;
        let is_first = lane.waiting.front().is_some_and(|sealed| sealed.slice.number == number);
        (offered && is_first).then_some(lane)
    }

    /// Asserts what holds of the lanes. Linear; for simulation.
    pub(crate) fn check(&self) {
        let waiting = self.lanes.iter().map(|lane| lane.waiting.len()).sum::<usize>();
        assert_eq!(waiting, self.count);
        let in_state = |state| self.lanes.iter().filter(|lane| lane.state == state).count();
        assert_eq!(in_state(LaneState::Offered), self.offered);
        assert_eq!(in_state(LaneState::Ready), self.ready.len());
        assert_eq!(in_state(LaneState::Held), self.held.len());
        assert!(self.lanes.iter().all(|lane| (lane.state == LaneState::Idle) == lane.waiting.is_empty()));
    }
}
