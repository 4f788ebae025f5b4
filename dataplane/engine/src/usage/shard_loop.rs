//! `ShardLoop`: one shard's select and act, without the waiting.
//!
//! An executor moves bytes and waits; everything else is here: frames become events, effects become
//! messages and calls to the ledger. Holds: nothing is allocated for a record; the work of one turn
//! is bounded; a connection that is slow to read or to send is closed, and holds nobody else up.
//! Leaves to others: counting (`shard`), waiting (the executors), hellos (the acceptor).

use std::{
    collections::{BTreeMap, VecDeque},
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crossbeam_queue::ArrayQueue;
use model::{Instant, Nanos, Outcome, SliceRequest, Timestamp};
use shard::{ConnectionId, Effect, Effects, Event, ExportRefusal, Shard};
use wire::{
    Answer, Ask, Call, CallId,
    usage::{
        ClientMessage, FrameError, Refusal, ServerMessage, UsageAnswer, UsageAsk, UsageCall, UsageReply,
    },
};

use super::{
    acceptor::Accepted,
    board::{ShardBoard, ShardStatus, SocketCounters},
    connection::{CloseReason, Connection},
    role::UsageObserver,
};
use crate::{
    bell::Bell,
    clock,
    source::{Inlet, Source},
};

/// Effects of one event.
const EFFECTS: usize = 256;
/// Frames of one connection, calls, answers and seals after which others have their turn.
const TURN_MAX: usize = 512;
/// How often deadlines are looked at while one runs.
const LOOK_EVERY: Nanos = Nanos::from_millis(250);
/// The longest sleep: glommio may park with a task that could run if its thread is held up while
/// it goes to sleep, and looks again after this.
const SLEEP_MAX: Nanos = Nanos::from_millis(100);
/// The longest sleep of a loop that stops and waits for its producers to read.
const DRAIN_SLEEP_MAX: Nanos = Nanos::from_millis(5);

/// What a loop is made from.
pub(crate) struct Parts {
    pub(crate) shard: Shard,
    pub(crate) accepted: Arc<ArrayQueue<Accepted>>,
    pub(crate) calls: Inlet<UsageCall, UsageAnswer>,
    pub(crate) ledger: Source<Call, Answer>,
    pub(crate) bell: Arc<Bell>,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) board: Arc<ShardBoard>,
    pub(crate) observer: Box<dyn UsageObserver>,
    pub(crate) frame_max: Nanos,
    pub(crate) unread_max: Nanos,
    pub(crate) drain_max: Nanos,
}

/// One shard's loop.
pub(crate) struct ShardLoop {
    parts: Parts,
    effects: Effects,
    connections: BTreeMap<ConnectionId, Connection>,
    last_connection: u64,
    /// New ones, for the executor.
    opened: VecDeque<(ConnectionId, UnixStream)>,
    /// Those that have something to be sent, or to be closed, for the executor.
    stirred: VecDeque<ConnectionId>,
    /// Those whose frames are not all taken.
    unfinished: VecDeque<ConnectionId>,
    /// Slices that the ledger was asked to take, and when they were sealed.
    exporting: BTreeMap<CallId, Timestamp>,
    last_call: u64,
    socket: SocketCounters,
    looked_at: Instant,
    /// Since when it stops.
    draining: Option<Instant>,
    is_finished: bool,
}

impl ShardLoop {
    pub(crate) fn new(parts: Parts) -> Self {
        assert!(parts.shard.params().exports_max <= parts.ledger.capacity(), "each export finds its place");
        Self {
            parts,
            effects: Effects::new(EFFECTS),
            connections: BTreeMap::new(),
            last_connection: 0,
            opened: VecDeque::new(),
            stirred: VecDeque::new(),
            unfinished: VecDeque::new(),
            exporting: BTreeMap::new(),
            last_call: 0,
            socket: SocketCounters::default(),
            looked_at: Instant::default(),
            draining: None,
            is_finished: false,
        }
    }

    /// Rung when there is something for `turn`.
    pub(crate) fn bell(&self) -> &Arc<Bell> {
        &self.parts.bell
    }

    /// Takes what waits in queues, what time brings, and what an earlier turn left over.
    pub(crate) fn turn(&mut self) {
        self.take_answers();
        self.take_accepted();
        self.take_calls();
        for _ in 0..self.unfinished.len().min(TURN_MAX) {
            let Some(id) = self.unfinished.pop_front() else { break };
            self.take_frames(id);
            // It may be read from again.
            self.stirred.push_back(id);
        }
        self.drain();
        let now = clock::wall();
        let is_due = self.parts.shard.due().is_some_and(|due| due <= now);
        if is_due || !self.parts.shard.is_idle() {
            self.apply(Event::Tick);
        }
        self.look_at_deadlines();
        self.publish();
    }

    /// Whether `turn` has something to do that rang the bell.
    pub(crate) fn has_work(&self) -> bool {
        let parts = &self.parts;
        parts.ledger.has_answer()
            || parts.calls.is_waiting()
            || !parts.accepted.is_empty()
            || (parts.stop.load(Ordering::Acquire) && self.draining.is_none())
    }

    /// How long nothing happens unless a bell rings or bytes move.
    pub(crate) fn sleep(&self) -> Nanos {
        let left = !self.unfinished.is_empty() || !self.parts.shard.is_idle();
        if left || !self.stirred.is_empty() || !self.opened.is_empty() {
            return Nanos(0);
        }
        let most = if self.draining.is_some() { DRAIN_SLEEP_MAX } else { SLEEP_MAX };
        self.parts.shard.due().map_or(most, |due| due.since(clock::wall()).min(most))
    }

    /// Whether the loop is over.
    pub(crate) const fn is_finished(&self) -> bool {
        self.is_finished
    }

    /// Whether everything that was counted is in the ledger.
    pub(crate) fn is_drained(&self) -> bool {
        self.parts.shard.is_drained()
    }

    /// A new connection.
    pub(crate) fn take_opened(&mut self) -> Option<(ConnectionId, UnixStream)> {
        self.opened.pop_front()
    }

    /// A connection to look at: to send what it has to send, and to drop it if it is over.
    pub(crate) fn take_stirred(&mut self) -> Option<ConnectionId> {
        self.stirred.pop_front()
    }

    /// Where the next bytes of a connection go; `None` if none are to be read now.
    pub(crate) fn space(&mut self, id: ConnectionId) -> Option<&mut [u8]> {
        self.connections.get_mut(&id).filter(|connection| connection.reads()).map(|known| known.input.space())
    }

    /// Whether `space` would give some.
    pub(crate) fn reads(&self, id: ConnectionId) -> bool {
        self.connections.get(&id).is_some_and(Connection::reads)
    }

    /// `count` bytes have arrived in `space`.
    pub(crate) fn received(&mut self, id: ConnectionId, count: usize) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.input.filled(count);
        self.take_frames(id);
    }

    /// What is to be sent.
    pub(crate) fn unsent(&self, id: ConnectionId) -> &[u8] {
        self.connections.get(&id).map_or(&[], |connection| connection.unsent())
    }

    /// `count` bytes of it went out.
    pub(crate) fn sent(&mut self, id: ConnectionId, count: usize) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.sent(count, clock::monotonic());
        if connection.has_frames && connection.takes_frames() {
            self.unfinished.push_back(id);
        }
    }

    /// The peer is gone.
    pub(crate) fn ended(&mut self, id: ConnectionId) {
        self.close(id, CloseReason::Peer);
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.cut();
        }
    }

    /// Whether the executor may drop the connection; if so it is forgotten.
    pub(crate) fn is_over(&mut self, id: ConnectionId) -> bool {
        let over = self.connections.get(&id).is_none_or(Connection::is_over);
        if over {
            self.connections.remove(&id);
        }
        over
    }

    fn take_accepted(&mut self) {
        for _ in 0..TURN_MAX {
            let Some(Accepted { stream, hello, input }) = self.parts.accepted.pop() else { return };
            self.last_connection += 1;
            let id = ConnectionId(self.last_connection);
            self.socket.connections += 1;
            self.connections.insert(id, Connection::new(input));
            self.opened.push_back((id, stream));
            self.apply(Event::Hello(id, hello));
            self.take_frames(id);
        }
    }

    /// Takes the whole frames that have arrived, up to a bound.
    fn take_frames(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        // Out of the table, so that a frame can be read in place while the table changes.
        let mut input = std::mem::take(&mut connection.input);
        let mut taken = 0;
        let is_empty = loop {
            let open = self.connections.get(&id).is_some_and(Connection::takes_frames);
            if !open || taken == TURN_MAX {
                break false;
            }
            match input.client() {
                Ok(None) => break true,
                Ok(Some(message)) => self.apply(event(id, message)),
                Err(error) => {
                    self.refuse(id, error);
                    break true;
                }
            }
            taken += 1;
        };
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.input = input;
        connection.has_frames = !is_empty;
        connection.understood(taken > 0, clock::monotonic());
        // What waits for room to answer goes on when something was sent.
        if !is_empty && connection.takes_frames() {
            self.unfinished.push_back(id);
        }
    }

    fn refuse(&mut self, id: ConnectionId, error: FrameError) {
        self.socket.fault(error.fault);
        self.say(id, &ServerMessage::Refused(error.fault.refusal()));
        self.close(id, CloseReason::Refused);
    }

    fn take_answers(&mut self) {
        for _ in 0..TURN_MAX {
            let Some(answer) = self.parts.ledger.answer() else { return };
            let sealed_at = self.exporting.remove(&answer.id).expect("answers have a question");
            let Ask::Slices(slices) = answer.ask else { unreachable!("the lane carries slices") };
            for (request, outcome) in slices.iter().zip(&answer.outcomes) {
                self.exported(request, outcome, sealed_at);
            }
        }
    }

    fn exported(&mut self, request: &SliceRequest, outcome: &Outcome, sealed_at: Timestamp) {
        let (stream, number) = (request.slice.stream, request.slice.number);
        let why = match outcome {
            Outcome::SliceTaken { .. } => {
                self.parts.observer.exported(clock::wall().since(sealed_at));
                return self.apply(Event::SliceDurable { stream, number });
            }
            Outcome::Declined(declined) => ExportRefusal::of(declined.reason),
            Outcome::Unknown => ExportRefusal::Retry,
            Outcome::Decided { .. } | Outcome::Replayed { .. } => {
                unreachable!("a slice is taken or declined")
            }
        };
        if why != ExportRefusal::Retry {
            let slice = &request.slice;
            tracing::error!(number, stream = ?slice.stream, "a stream of slices halts: {outcome:?}");
        }
        self.apply(Event::SliceRefused { stream, number, why });
    }

    fn take_calls(&mut self) {
        let mut any = false;
        for _ in 0..TURN_MAX {
            let Some(UsageCall { id, ask }) = self.parts.calls.take() else { break };
            any = true;
            let reply = match ask {
                UsageAsk::Items(items) => {
                    let now = clock::wall();
                    let counted = items.iter().map(|item| self.parts.shard.count_item(now, item)).collect();
                    self.apply(Event::Tick);
                    UsageReply::Items(counted)
                }
                UsageAsk::Windows(query) => UsageReply::Windows(self.parts.shard.windows(&query)),
            };
            self.parts.calls.give(UsageAnswer { id, reply });
        }
        if any {
            self.parts.calls.ring();
        }
    }

    /// Stops step by step: no more is taken, what is sealed goes to the ledger, producers are told.
    fn drain(&mut self) {
        if !self.parts.stop.load(Ordering::Acquire) {
            return;
        }
        let now = clock::monotonic();
        let Some(since) = self.draining else {
            self.draining = Some(now);
            return self.apply(Event::Drain);
        };
        let is_late = now.since(since) > self.parts.drain_max;
        if !(self.parts.shard.is_drained() || is_late) {
            return;
        }
        let open = self.connections.iter().filter(|(_, known)| !known.is_closing());
        for id in open.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.socket.refuse(Refusal::Draining);
            self.say(id, &ServerMessage::Refused(Refusal::Draining));
            self.close(id, CloseReason::Stop);
        }
        self.is_finished = self.connections.is_empty() || is_late;
    }

    fn apply(&mut self, event: Event<'_>) {
        let now = clock::wall();
        self.parts.shard.apply(now, event, &mut self.effects);
        self.act();
        for _ in 0..TURN_MAX {
            if self.parts.shard.is_idle() {
                return;
            }
            self.parts.shard.apply(now, Event::Tick, &mut self.effects);
            self.act();
        }
    }

    fn act(&mut self) {
        let now = clock::monotonic();
        let Self { parts, effects, connections, stirred, exporting, socket, last_call, .. } = self;
        for effect in effects.drain() {
            match effect {
                Effect::Reply(id, message) => {
                    let Some(connection) = connections.get_mut(&id) else { continue };
                    if let ServerMessage::Refused(why) = message {
                        socket.refuse(why);
                    }
                    if !connection.say(&message, now) {
                        connection.cut();
                        socket.close(CloseReason::Unread);
                    }
                    stirred.push_back(id);
                }
                Effect::Close(id) => {
                    let Some(connection) = connections.get_mut(&id) else { continue };
                    if !connection.is_closing() {
                        connection.close();
                        socket.close(CloseReason::Refused);
                    }
                    stirred.push_back(id);
                }
                Effect::Export { request, sealed_at } => {
                    *last_call += 1;
                    let id = CallId(*last_call);
                    exporting.insert(id, sealed_at);
                    let asked = parts.ledger.ask(Call::new(id, Ask::Slices(vec![request])));
                    assert!(asked.is_ok(), "no more is offered than the lane has places");
                }
            }
        }
    }

    fn say(&mut self, id: ConnectionId, message: &ServerMessage) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if !connection.say(message, clock::monotonic()) {
            connection.cut();
        }
        self.stirred.push_back(id);
    }

    /// Closes a connection once what was said is sent, and tells the shard.
    fn close(&mut self, id: ConnectionId, why: CloseReason) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if !connection.is_closing() {
            connection.close();
            self.socket.close(why);
        }
        self.stirred.push_back(id);
        self.apply(Event::Closed(id));
    }

    fn look_at_deadlines(&mut self) {
        let now = clock::monotonic();
        if now.since(self.looked_at) < LOOK_EVERY {
            return;
        }
        self.looked_at = now;
        let (frame_max, unread_max) = (self.parts.frame_max, self.parts.unread_max);
        let late = |(id, known): (&ConnectionId, &Connection)| {
            let reason = known.has_deadline().then(|| known.late(now, frame_max, unread_max)).flatten();
            reason.map(|reason| (*id, reason))
        };
        let late: Vec<_> = self.connections.iter().filter_map(late).collect();
        for (id, why) in late {
            self.close(id, why);
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.cut();
            }
        }
    }

    fn publish(&self) {
        let shard = &self.parts.shard;
        self.parts.board.publish(ShardStatus {
            counters: *shard.counters(),
            socket: self.socket,
            connections: self.connections.len(),
            tenants: shard.tenant_count(),
            rows: shard.row_count(),
            backlog: shard.backlog(),
            is_degraded: shard.is_degraded(),
            is_draining: self.draining.is_some(),
        });
    }
}

fn event(id: ConnectionId, message: ClientMessage<'_>) -> Event<'_> {
    match message {
        ClientMessage::Hello(hello) => Event::Hello(id, hello),
        ClientMessage::Labels(label, labels) => Event::Labels(id, label, labels),
        ClientMessage::Batch(batch) => Event::Batch(id, batch),
    }
}
