//! The committer's thread: `select -> apply -> act`.
//!
//! Holds: it waits in one place, on its ring; it never waits to answer, never touches a socket, and
//! allocates nothing per entry. Leaves to others: every decision (`Pipeline`, `journal::Committer`).

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use disk::{AlignedBuf, Backend, BufferPool, Completion, DiskError};
use journal::{
    Effect, Effects, Event, FrameKey, FrameNumber, IMAGE_BYTES, Member, Membership, Position, WriteFailure,
};
use ledger::Hash;
use model::{Instant, Nanos, Reason, Seq, Timestamp, limits::FRAME_ENTRIES_MAX};

use crate::{
    bell::Bell,
    clock,
    commit_files::{CommitFiles, Ticket},
    feed::{FEED, FedFrame, FeedLine, News},
    intake::{Intake, LaneId, frame_bytes},
    ledger_time::LedgerTime,
    pipeline::{Gathered, Pipeline},
    preparer::Preparer,
    status_board::StatusBoard,
};

/// Watches the committer's times; called on its thread, so it must not wait.
pub trait CommitObserver: Send {
    /// A frame with `entries` entries took `nanos` from the taking of its first call to the release of its
    /// answers.
    fn frame(&mut self, nanos: u64, entries: u64);
    /// A call took `nanos` from its taking to its answer.
    fn call(&mut self, nanos: u64);
    /// The frame's own write of `bytes` took `nanos` from its submission to its completion.
    fn write(&mut self, nanos: u64, bytes: u64);
    /// What each turn of the loop is called through, exactly once: a place to count what a turn costs
    /// its thread. By default the turn is only called.
    fn around(&self) -> fn(&mut dyn FnMut()) {
        |turn| turn()
    }
}

/// Observes nothing.
#[derive(Debug)]
pub struct NoObserver;

impl CommitObserver for NoObserver {
    fn frame(&mut self, _nanos: u64, _entries: u64) {}
    fn call(&mut self, _nanos: u64) {}
    fn write(&mut self, _nanos: u64, _bytes: u64) {}
}

/// A frame between its sealing and its release.
#[derive(Debug)]
struct Flying {
    frame: FrameNumber,
    position: Position,
    frame_bytes: usize,
    submitted: Instant,
    buffer: Option<AlignedBuf>,
}

/// Everything the loop owns.
pub(crate) struct CommitLoop {
    pub(crate) pipeline: Pipeline,
    pub(crate) intake: Intake,
    pub(crate) backend: Backend,
    pub(crate) bell: Arc<Bell>,
    pub(crate) pool: BufferPool,
    /// Buffers for the second of two copies; empty pockets without a mirror.
    pub(crate) twins: Option<BufferPool>,
    pub(crate) files: CommitFiles,
    pub(crate) preparer: Preparer,
    pub(crate) key: FrameKey,
    pub(crate) time: LedgerTime,
    pub(crate) feed: Arc<FeedLine>,
    pub(crate) board: Arc<StatusBoard>,
    pub(crate) observer: Box<dyn CommitObserver>,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) spin: bool,
    pub(crate) run: Run,
}

/// What changes as the loop runs.
#[derive(Default)]
pub(crate) struct Run {
    flying: VecDeque<Flying>,
    /// Where the next event's effects go.
    effects: Box<Effects>,
    /// The other list: effects are acted on in one while acting may fill the other.
    acted: Option<Box<Effects>>,
    /// Lists of leaves that are not with the follower.
    leaves: Vec<Vec<Hash>>,
    to_ring: Vec<LaneId>,
    /// Whether the follower has news that it was not rung for.
    has_news: bool,
    told_stop: bool,
    stopped: Option<bool>,
    /// What is first in line waits for the preparer.
    waits_for_room: bool,
    /// Whether the preparer was stuck when it was last looked at.
    short: bool,
    /// The ring itself refused: it is not asked again.
    ring_dead: bool,
}

impl Run {
    pub(crate) fn new(lanes: usize) -> Self {
        Self {
            flying: VecDeque::with_capacity(model::limits::FRAMES_IN_FLIGHT_MAX + 1),
            acted: Some(Box::default()),
            // The follower's line holds as many, has one in hand, and gives them all back.
            leaves: (0..FEED + 2).map(|_| Vec::with_capacity(FRAME_ENTRIES_MAX)).collect(),
            to_ring: Vec::with_capacity(lanes),
            ..Self::default()
        }
    }
}

impl CommitLoop {
    /// From here on calls are taken; what is asked before `run` waits for it.
    pub(crate) fn go_online(&mut self) {
        self.tell(Event::Tick);
        self.board.set_online();
        tracing::info!("committer=online next_seq={}", self.pipeline.committer().next_seq());
    }

    /// Runs until it is told to stop; true if everything it took is durable.
    pub(crate) fn run(mut self) -> bool {
        let around = self.observer.around();
        loop {
            around(&mut || self.turn());
            if let Some(clean) = self.run.stopped
                && (clean || self.run.ring_dead || self.backend_is_quiet())
            {
                // The follower takes this when it has taken everything before it.
                while self.feed.send(News::End).is_err() {
                    self.feed.ring();
                    self.bell.wait(Nanos::from_millis(1), || false);
                }
                self.feed.ring();
                return clean;
            }
        }
    }

    fn turn(&mut self) {
        self.select();
        self.reap();
        self.take_prepared();
        self.take_failures();
        self.look_at_space();
        self.take_calls();
        self.tick();
        self.ring();
    }

    /// Waits until something happened: a completion, a call, a prepared segment, a deadline.
    fn select(&mut self) {
        if self.run.ring_dead {
            // Nothing can complete any more. A ring that is half alive may swallow the bell's word, so
            // the wait is short.
            self.bell.wait(Nanos::from_millis(20), || self.has_work());
            return;
        }
        self.backend.watch(Ticket::Bell.token());
        let submitted = if self.spin {
            self.backend.spin()
        } else if self.has_work() {
            self.backend.submit()
        } else {
            self.bell.prepare();
            let wait = if self.has_work() { Duration::ZERO } else { self.patience() };
            let submitted = self.backend.submit_and_wait(1, Some(wait));
            self.bell.awake();
            submitted
        };
        if let Err(error) = submitted {
            self.ring_failed(&error);
        }
    }

    fn has_work(&self) -> bool {
        let may_take = self.pipeline.may_begin() && self.can_take_buffer() || self.is_poisoned();
        may_take && self.intake.is_waiting() && (!self.run.waits_for_room || self.is_poisoned())
            || self.preparer.has_news()
            || self.preparer.is_stuck() != self.run.short
            || self.stop.load(Ordering::Acquire) && !self.run.told_stop
    }

    fn patience(&self) -> Duration {
        let deadline = self.pipeline.committer().deadline();
        let until = deadline.map_or(60_000_000_000, |deadline| deadline.since(clock::monotonic()).0);
        Duration::from_nanos(until)
    }

    fn reap(&mut self) {
        while let Some(completion) = self.backend.reap() {
            let Completion { token, result, buffer } = completion;
            match Ticket::of(token) {
                Ticket::Frame { member, twin, frame } => {
                    let frame = FrameNumber(frame);
                    self.keep_frame(frame, twin, buffer);
                    self.frame_written(member, frame, result);
                }
                Ticket::Slot { member, sequence } => {
                    self.files.slot_written(member, buffer);
                    let result = verdict(result, IMAGE_BYTES);
                    self.tell(Event::SlotWritten { member, sequence, result });
                }
                Ticket::Membership { generation } => {
                    let result = verdict(result, IMAGE_BYTES);
                    self.tell(Event::MembershipWritten { generation, result });
                }
                Ticket::Bell => {}
            }
        }
    }

    /// Puts a frame's buffer where it belongs.
    fn keep_frame(&mut self, frame: FrameNumber, twin: bool, buffer: Option<AlignedBuf>) {
        let buffer = buffer.expect("a write brings its buffer back");
        if twin {
            return self.twins.as_mut().expect("there is a second copy").give_back(buffer);
        }
        match self.run.flying.iter_mut().find(|flying| flying.frame == frame) {
            Some(flying) => flying.buffer = Some(buffer),
            // Released while a member that was given up had not answered.
            None => self.pool.give_back(buffer),
        }
    }

    fn frame_written(&mut self, member: Member, frame: FrameNumber, result: Result<u32, disk::Errno>) {
        let now = clock::monotonic();
        let Some(flying) = self.run.flying.iter().find(|flying| flying.frame == frame) else {
            // Late word from a member that was given up, which the committer knows.
            return self.tell(Event::Persisted { member, frame, result: Ok(()) });
        };
        let verdict = verdict(result, flying.frame_bytes);
        let bytes = u64::try_from(flying.frame_bytes).expect("a length fits in 64 bits");
        self.observer.write(now.since(flying.submitted).0, bytes);
        self.tell(Event::Persisted { member, frame, result: verdict });
    }

    fn take_prepared(&mut self) {
        while let Some(prepared) = self.preparer.prepared() {
            if let Err(error) = self.files.prepared(&prepared, &mut self.backend) {
                self.ring_failed(&error);
            }
            self.tell(Event::Prepared { segment: prepared.segment, bytes: prepared.bytes });
            self.run.waits_for_room = false;
        }
    }

    fn take_failures(&mut self) {
        while let Some((member, failure)) = self.preparer.failed() {
            self.tell(Event::PrepareFailed { member, failure });
        }
    }

    /// Sees whether more room is coming, and tells the board.
    fn look_at_space(&mut self) {
        let short = self.preparer.is_stuck();
        if short != self.run.short {
            self.run.short = short;
            self.run.waits_for_room = false;
            self.pipeline.set_short(short);
        }
        self.board.set_space(short, self.pipeline.is_full());
        self.board.set_clock_ahead(self.time.ahead_millis(clock::monotonic(), clock::wall()));
    }

    /// Gathers what waits into batches, and begins them as long as frames may be begun.
    fn take_calls(&mut self) {
        if self.stop.load(Ordering::Acquire) && !self.run.told_stop {
            self.run.told_stop = true;
            self.take_batches();
            self.tell(Event::Stop);
        }
        if self.is_poisoned() || self.run.told_stop {
            let reason = if self.is_poisoned() { Reason::SafeMode } else { Reason::Busy };
            while let Some((lane, call)) = self.intake.next(usize::MAX) {
                self.give(lane, Pipeline::refuse(call, reason));
            }
            return;
        }
        self.take_batches();
    }

    fn take_batches(&mut self) {
        while self.pipeline.may_begin() && self.intake.is_waiting() {
            let Some(mut buffer) = self.take_buffer() else { return };
            let now = clock::monotonic();
            let at = self.time.advance(now, clock::wall());
            let took = self.gather(now, at);
            let begun = self.pipeline.begin(now, &mut buffer, &mut self.run.effects);
            if begun {
                self.fly(buffer, now);
                self.act();
                continue;
            }
            self.pool.give_back(buffer);
            if let Some(done) = self.pipeline.settle() {
                self.finish(done, now);
            }
            if !took {
                return;
            }
        }
    }

    /// Takes what the next frame has room for. False if it is nothing.
    fn gather(&mut self, now: Instant, at: Timestamp) -> bool {
        let mut took = false;
        let largest = self.pipeline.largest();
        loop {
            let next = self.intake.next(self.pipeline.room());
            let Some((lane, call)) = next else { break };
            took = true;
            if frame_bytes(&call.ask) > largest {
                self.give(lane, Pipeline::refuse(call, Reason::TooLarge));
            } else {
                self.pipeline.take(lane, call, now, at);
            }
        }
        if took || !self.intake.is_waiting() {
            return took;
        }
        // An empty batch has no place for what is first in line.
        if !self.run.short {
            self.run.waits_for_room = true;
            return false;
        }
        let Some((lane, call)) = self.intake.next(usize::MAX) else { return false };
        self.pipeline.take_without_room(lane, call, now, at);
        true
    }

    fn fly(&mut self, buffer: AlignedBuf, now: Instant) {
        let frame = FrameNumber(self.pipeline.committer().next_frame().0 - 1);
        let position = Position::default();
        self.run.flying.push_back(Flying {
            frame,
            position,
            frame_bytes: 0,
            submitted: now,
            buffer: Some(buffer),
        });
        self.board.set_oldest(self.pipeline.oldest());
    }

    fn tick(&mut self) {
        let now = clock::monotonic();
        if self.pipeline.committer().deadline().is_some_and(|deadline| deadline <= now) {
            self.tell(Event::Tick);
        }
    }

    fn tell(&mut self, event: Event<'_>) {
        self.pipeline.tell(clock::monotonic(), event, &mut self.run.effects);
        self.act();
    }

    fn act(&mut self) {
        let other = self.run.acted.take().unwrap_or_default();
        let mut effects = std::mem::replace(&mut self.run.effects, other);
        let mut want_idle = false;
        for effect in effects.drain() {
            match effect {
                Effect::Persist { frame, position, bytes } => self.persist(frame, position, bytes),
                Effect::Release { frame, through } => self.release(frame, through),
                Effect::WriteMembership { membership, cause } => self.lose(&membership, cause),
                Effect::PrepareSegment(segment) => self.preparer.want(segment),
                Effect::WriteSlot { slot, .. } => {
                    self.files.write_slot(&mut self.backend, &self.key, &slot);
                }
                Effect::Published { tree_size, root } => {
                    self.feed.publish(tree_size, root);
                }
                Effect::WantIdleFrame => want_idle = true,
                Effect::Declined(declined) => unreachable!("may_begin was asked first: {declined:?}"),
                Effect::Poisoned(poison) => self.poison(&format!("{poison:?}")),
                Effect::Stopped { clean } => self.run.stopped = Some(clean),
            }
        }
        self.run.acted = Some(effects);
        if want_idle {
            self.begin_idle();
        }
    }

    fn begin_idle(&mut self) {
        if !self.pipeline.may_begin() || !self.pipeline.has_room_for_idle() {
            return;
        }
        let Some(mut buffer) = self.take_buffer() else { return };
        let now = clock::monotonic();
        let at = self.time.advance(now, clock::wall());
        self.pipeline.begin_idle(now, at, &mut buffer, &mut self.run.effects);
        self.fly(buffer, now);
        self.act();
    }

    fn persist(&mut self, frame: FrameNumber, position: Position, bytes: usize) {
        let now = clock::monotonic();
        let flying = self.run.flying.iter_mut().find(|flying| flying.frame == frame).expect("sealed before");
        (flying.position, flying.frame_bytes, flying.submitted) = (position, bytes, now);
        let mut buffer = flying.buffer.take();
        let oldest = self.run.flying.front().map_or(position.segment, |flying| flying.position.segment);
        // The last of them gets the frame itself, one before it a copy.
        let mut left = self.files.members().count();
        for member in self.files.members() {
            left -= 1;
            let twin = left > 0;
            let bytes_of_it = if twin { self.twin(buffer.as_ref(), bytes) } else { buffer.take() };
            let whole = (bytes_of_it.expect("sealed and not yet submitted"), bytes);
            let ticket = Ticket::Frame { member, twin, frame: frame.0 };
            self.files.write_frame(&mut self.backend, position, whole, member, ticket);
        }
        if let Err(error) = self.files.retire(&mut self.backend, position.segment, oldest) {
            self.ring_failed(&error);
        }
    }

    /// A copy of the frame, for the other member.
    fn twin(&mut self, frame: Option<&AlignedBuf>, bytes: usize) -> Option<AlignedBuf> {
        let mut twin = self.twins.as_mut()?.take().expect("as many as frames in flight");
        twin.get_mut(..bytes)?.copy_from_slice(frame?.get(..bytes)?);
        Some(twin)
    }

    /// A write failed on one of two members: the other goes on, when its record says so.
    fn lose(&mut self, record: &Membership, cause: journal::Poison) {
        tracing::error!(
            "mirror lost: the {} copy failed ({cause:?}); the {} goes on alone, generation {}; see to the \
             device and restart",
            record.holder.other(),
            record.holder,
            record.generation
        );
        self.files.write_membership(&mut self.backend, &self.key, record);
        self.preparer.lose(record.holder.other());
        self.board.set_mirror_lost();
    }

    fn release(&mut self, frame: FrameNumber, through: Seq) {
        let now = clock::monotonic();
        let mut done = self.pipeline.released(frame, through);
        let flying = self.run.flying.pop_front().expect("released frames are in flight");
        assert_eq!(flying.frame, frame);
        self.board.set_oldest(self.pipeline.oldest());
        let entries = u64::try_from(done.leaves.len()).expect("a count fits");
        let taken = done.taken;
        let leaves = std::mem::take(&mut done.leaves);
        if let Some(buffer) = flying.buffer {
            let fed = FedFrame { buffer, position: flying.position, frame_bytes: flying.frame_bytes, leaves };
            if let Err(News::Frame(fed)) = self.feed.send(News::Frame(fed)) {
                // The follower lags and will read this frame from the journal.
                self.pool.give_back(fed.buffer);
                self.keep_leaves(fed.leaves);
            }
        } else {
            // A member that was given up still has it: the follower reads this frame from the journal.
            self.keep_leaves(leaves);
        }
        self.take_back();
        done.leaves = self.run.leaves.pop().expect("one more than the follower can have");
        self.run.has_news = true;
        // After the news and before the answers: who was answered can read what it wrote.
        self.board.set_durable(through.0);
        self.finish(done, now);
        if entries > 0 {
            self.observer.frame(clock::monotonic().since(taken).0, entries);
        }
    }

    /// Takes back what the follower is done with.
    fn take_back(&mut self) {
        while let Some((buffer, leaves)) = self.feed.returned() {
            self.pool.give_back(buffer);
            self.keep_leaves(leaves);
        }
    }

    fn keep_leaves(&mut self, mut leaves: Vec<Hash>) {
        leaves.clear();
        self.run.leaves.push(leaves);
    }

    fn finish(&mut self, mut done: Gathered, now: Instant) {
        for routed in done.answers.drain(..) {
            self.observer.call(now.since(routed.taken).0);
            self.intake.give(routed.lane, routed.answer);
            if !self.run.to_ring.contains(&routed.lane) {
                self.run.to_ring.push(routed.lane);
            }
        }
        self.pipeline.recycle(done);
    }

    fn give(&mut self, lane: LaneId, answer: wire::Answer) {
        self.intake.give(lane, answer);
        self.intake.ring(lane);
    }

    fn ring(&mut self) {
        for lane in self.run.to_ring.drain(..) {
            self.intake.ring(lane);
        }
        // The follower is in less of a hurry than those who wait for their answers.
        if std::mem::take(&mut self.run.has_news) {
            self.feed.ring();
        }
    }

    fn take_buffer(&mut self) -> Option<AlignedBuf> {
        self.take_back();
        self.pool.take()
    }

    fn can_take_buffer(&self) -> bool {
        self.pool.free_count() > 0 || self.feed.has_returned()
    }

    fn is_poisoned(&self) -> bool {
        self.pipeline.committer().is_poisoned() || self.board.is_poisoned()
    }

    fn backend_is_quiet(&self) -> bool {
        // The doorbell's watch is always in flight.
        self.backend.in_flight() <= 1
    }

    /// The ring itself refuses: no write can be trusted to complete any more.
    fn ring_failed(&mut self, error: &DiskError) {
        self.run.ring_dead = true;
        if self.is_poisoned() {
            return;
        }
        self.poison(&error.to_string());
        let failure = WriteFailure::Error(error.errno().map_or(0, disk::Errno::raw_os_error));
        self.tell(Event::BackendFailed { failure });
    }

    /// Safe mode: nothing more is written, what is in flight has an open fate, reads go on.
    fn poison(&mut self, cause: &str) {
        if self.board.is_poisoned() {
            return;
        }
        tracing::error!(
            "commit error: {cause}; safe mode: writes are refused, reads go on, restart to recover"
        );
        self.board.set_poisoned();
        self.board.set_oldest(None);
        let lost: Vec<_> = self.pipeline.poisoned().collect();
        for routed in lost {
            self.give(routed.lane, routed.answer);
        }
        // Proofs that wait for a root to be published wait in vain.
        self.feed.ring();
    }
}

fn verdict(result: Result<u32, disk::Errno>, wanted: usize) -> Result<(), WriteFailure> {
    match result {
        Ok(written) if usize::try_from(written) == Ok(wanted) => Ok(()),
        Ok(written) => Err(WriteFailure::Short(written)),
        Err(errno) => Err(WriteFailure::Error(errno.raw_os_error())),
    }
}
