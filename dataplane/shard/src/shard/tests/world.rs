//! A seeded world around one shard: producers that lose connections and send again, a ledger
//! that refuses, delays and takes, crashes that forget everything but the ledger.

use std::collections::BTreeMap;

use model::{Slice, SliceRequest, Timestamp};
use wire::usage::{
    BatchHeader, ClientMessage, Hello, LabelId, LabelSet, Rejection, ServerMessage, SliceBody, Tally, Totals,
    UsageRecord,
};

use crate::{ConnectionId, Effect, Effects, Event, ExportRefusal, Params, Shard};

/// Window start, tenant, method, route, service, region.
pub(super) type Key = (u64, String, [String; 4]);
pub(super) type Books = BTreeMap<Key, Totals>;

/// Marsaglia's xorshift64*, enough to shuffle a test.
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % bound
    }

    pub(super) fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[usize::try_from(self.below(u64::try_from(from.len()).unwrap())).unwrap()]
    }
}

#[derive(Debug)]
struct Sent {
    seq: u64,
    window: u64,
    records: Vec<UsageRecord>,
    /// Rejected for good, as late or skewed.
    is_lost: bool,
}

#[derive(Debug)]
pub(super) struct Producer {
    id: [u8; 16],
    epoch: u64,
    connection: Option<ConnectionId>,
    is_welcome: bool,
    /// Every batch ever made.
    batches: Vec<Sent>,
    /// Batches that are no longer held.
    durable: usize,
    /// The next to be sent on this connection.
    cursor: usize,
    limit: u64,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) shard: Shard,
    pub(super) ledger: Vec<(Slice, Vec<u8>)>,
    pub(super) producers: Vec<Producer>,
    pub(super) dice: Dice,
    pub(super) now_millis: u64,
    pub(super) crashes: u32,
    pub(super) duplicates: u32,
    params: Params,
    labels: Vec<LabelSet>,
    /// Slices that are on their way to the ledger.
    offered: Vec<SliceRequest>,
    out: Effects,
    connections: u64,
}

impl World {
    pub(super) fn new(seed: u64, params: Params) -> Self {
        let mut labels = Vec::new();
        for tenant in 0..4 {
            for route in 0..3 {
                let set = LabelSet::new(&format!("tenant-{tenant}"), "GET", &format!("/r/{route}"), "s", "");
                labels.push(set.unwrap());
            }
        }
        let producer = |number: u8| Producer {
            id: [number; 16],
            epoch: 1,
            connection: None,
            is_welcome: false,
            batches: Vec::new(),
            durable: 0,
            cursor: 0,
            limit: 0,
        };
        Self {
            shard: Shard::new(params).unwrap(),
            ledger: Vec::new(),
            producers: (1..=3).map(producer).collect(),
            dice: Dice::new(seed),
            now_millis: 1_760_631_060_000,
            crashes: 0,
            duplicates: 0,
            params,
            labels,
            offered: Vec::new(),
            out: Effects::new(16),
            connections: 0,
        }
    }

    fn apply(&mut self, event: Event<'_>) {
        let now = Timestamp::from_millis(self.now_millis);
        self.shard.apply(now, event, &mut self.out);
        self.act();
        while !self.shard.is_idle() {
            self.shard.apply(now, Event::Tick, &mut self.out);
            self.act();
        }
        self.shard.check();
    }

    fn act(&mut self) {
        let effects: Vec<_> = self.out.drain().collect();
        for effect in effects {
            match effect {
                Effect::Export { request, .. } => self.offered.push(request),
                Effect::Close(connection) => {
                    for producer in &mut self.producers {
                        if producer.connection == Some(connection) {
                            producer.connection = None;
                        }
                    }
                }
                Effect::Reply(connection, message) => self.hear(connection, message),
            }
        }
    }

    fn hear(&mut self, connection: ConnectionId, message: ServerMessage) {
        // Through the wire's own form, as in life.
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        let (message, _) = ServerMessage::parse(&bytes).unwrap().unwrap();
        let mut known = self.producers.iter_mut();
        let Some(producer) = known.find(|producer| producer.connection == Some(connection)) else { return };
        let place = |seq: u64| usize::try_from(seq).unwrap();
        match message {
            ServerMessage::Welcome { next, limit, .. } => {
                producer.is_welcome = true;
                producer.cursor = place(next - 1).min(producer.batches.len());
                producer.limit = limit;
            }
            ServerMessage::Received { limit, records_refused, .. } => {
                assert_eq!(records_refused, 0);
                producer.limit = limit;
            }
            ServerMessage::Credit { limit } => producer.limit = limit,
            ServerMessage::Durable { through } => {
                producer.durable = producer.durable.max(place(through));
                self.check_durable();
            }
            ServerMessage::Rejected { seq, why } => match why {
                Rejection::Duplicate => self.duplicates += 1,
                // Its number is used up; sent again, it is an empty batch.
                Rejection::Late | Rejection::Skewed => {
                    producer.batches[place(seq) - 1].is_lost = true;
                    producer.batches[place(seq) - 1].records.clear();
                }
                Rejection::Conflict if producer.batches[place(seq) - 1].is_lost => {}
                Rejection::Gap { expected } => producer.cursor = place(expected) - 1,
                Rejection::Busy => producer.cursor = place(seq) - 1,
                Rejection::Conflict | Rejection::UnknownLabel => panic!("{why:?} for batch {seq}"),
            },
            ServerMessage::LabelRefused { .. } | ServerMessage::Refused(_) => panic!("{message:?}"),
        }
    }

    /// What producers may forget is in the ledger.
    fn check_durable(&self) {
        let ledger = self.ledger_books();
        let mut owed = Books::new();
        for producer in &self.producers {
            self.add_batches(&producer.batches[..producer.durable], &mut owed);
        }
        for (key, totals) in owed {
            let held = ledger.get(&key).copied().unwrap_or_default();
            assert!(held.requests >= totals.requests, "{key:?}: told durable, but the ledger lacks it");
        }
    }

    pub(super) fn connect(&mut self, place: usize) {
        self.connections += 1;
        let id = ConnectionId(self.connections);
        let producer = &mut self.producers[place];
        producer.connection = Some(id);
        producer.is_welcome = false;
        let resume = u64::try_from(producer.durable).unwrap() + 1;
        let hello = Hello { producer: producer.id, epoch: producer.epoch, resume, shard: self.params.shard };
        self.apply(Event::Hello(id, hello));
        for (number, labels) in self.labels.clone().iter().enumerate() {
            self.apply(Event::Labels(id, LabelId(u32::try_from(number).unwrap()), *labels));
        }
    }

    /// Makes a batch for a window near now, sometimes late, sometimes early.
    pub(super) fn make(&mut self, place: usize) {
        let window = u64::from(self.params.window_millis);
        let start = self.params.window_start(self.now_millis);
        let start = match self.dice.below(20) {
            0 => start - window * self.dice.below(6),
            1..4 => start - window,
            4 => start + window,
            5 if self.dice.one_in(5) => start + 2 * self.params.ahead_millis_max,
            _ => start,
        };
        let mut records = Vec::new();
        for _ in 0..self.dice.below(5) {
            let label = LabelId(u32::try_from(self.dice.below(12)).unwrap());
            let tally = Tally { requests: 1 + self.dice.below(9), bytes_in: u64::MAX, bytes_out: 7 };
            records.push(UsageRecord { label, tally });
        }
        let producer = &mut self.producers[place];
        let seq = u64::try_from(producer.batches.len()).unwrap() + 1;
        producer.batches.push(Sent { seq, window: start, records, is_lost: false });
    }

    /// Sends the next batch, or an old one again.
    pub(super) fn send(&mut self, place: usize, again: bool) {
        let producer = &mut self.producers[place];
        let Some(connection) = producer.connection else { return };
        let at = if again {
            self.dice.below(1 + u64::try_from(producer.cursor).unwrap())
        } else {
            u64::try_from(producer.cursor).unwrap()
        };
        let Some(sent) = producer.batches.get(usize::try_from(at).unwrap()) else { return };
        if sent.seq > producer.limit || !producer.is_welcome {
            return;
        }
        if !again {
            producer.cursor += 1;
        }
        let header = BatchHeader {
            producer: producer.id,
            epoch: producer.epoch,
            seq: sent.seq,
            window_start_millis: sent.window + self.dice.below(10),
            totals: Totals::ZERO,
        };
        // The same batch must have the same bytes each time.
        let header = BatchHeader { window_start_millis: sent.window, ..header };
        let mut bytes = Vec::new();
        header.encode(&sent.records, &mut bytes);
        let (message, _) = ClientMessage::parse(&bytes).unwrap().unwrap();
        let ClientMessage::Batch(batch) = message else { panic!("a batch was written") };
        self.apply(Event::Batch(connection, batch));
    }

    /// The ledger looks at one of the slices that are on their way.
    pub(super) fn ledger_step(&mut self, faulty: bool) {
        if self.offered.is_empty() {
            return;
        }
        let count = u64::try_from(self.offered.len()).unwrap();
        let request = self.offered.swap_remove(usize::try_from(self.dice.below(count)).unwrap());
        let (stream, number) = (request.slice.stream, request.slice.number);
        if faulty && self.dice.one_in(4) {
            // Half of the time it was taken and the answer was lost.
            if self.dice.one_in(2) {
                self.take(request);
            }
            return self.apply(Event::SliceRefused { stream, number, why: ExportRefusal::Retry });
        }
        self.take(request);
        self.apply(Event::SliceDurable { stream, number });
    }

    /// The ledger's rule: once, in order, chained.
    fn take(&mut self, request: SliceRequest) {
        let of_stream = |known: &&(Slice, Vec<u8>)| known.0.stream == request.slice.stream;
        let known: Vec<_> = self.ledger.iter().filter(of_stream).map(|(slice, _)| *slice).collect();
        if let Some(before) = known.iter().find(|slice| slice.number == request.slice.number) {
            assert_eq!(before.digest, request.slice.digest, "a slice offered again is the same slice");
            return;
        }
        let (number, digest) = known.last().map_or((0, [0; 32]), |slice| (slice.number, slice.digest));
        assert_eq!((request.slice.number, request.slice.previous), (number + 1, digest), "in order, chained");
        assert_eq!(*blake3::hash(&request.body).as_bytes(), request.slice.digest);
        self.ledger.push((request.slice, request.body));
    }

    /// Everything but the ledger and the producers is gone.
    pub(super) fn crash(&mut self) {
        self.crashes += 1;
        // Some of what was on its way arrives after all. One of a stream at most, so any order.
        for request in std::mem::take(&mut self.offered) {
            if self.dice.one_in(2) {
                self.take(request);
            }
        }
        self.shard = Shard::new(self.params).unwrap();
        let now = Timestamp::from_millis(self.now_millis);
        for (slice, body) in &self.ledger {
            self.shard.restore(now, slice, body).unwrap();
        }
        for producer in &mut self.producers {
            producer.connection = None;
            producer.cursor = producer.durable;
        }
    }

    /// A producer's process starts again: what it still held is sent under the new epoch.
    pub(super) fn tick(&mut self) {
        self.apply(Event::Tick);
    }

    pub(super) fn drop_connection(&mut self, place: usize) {
        if let Some(connection) = self.producers[place].connection.take() {
            self.apply(Event::Closed(connection));
        }
    }

    /// One random step.
    pub(super) fn step(&mut self, with_crashes: bool) {
        let place = *self.dice.pick(&[0, 1, 2]);
        if self.producers[place].connection.is_none() {
            return self.connect(place);
        }
        match self.dice.below(40) {
            0 if with_crashes => self.crash(),
            1 | 2 => self.drop_connection(place),
            3..6 => self.send(place, true),
            6..14 => self.ledger_step(true),
            14..20 => {
                self.now_millis += self.dice.below(u64::from(self.params.window_millis) / 2);
                self.tick();
            }
            20 => self.now_millis -= self.dice.below(u64::from(self.params.window_millis)),
            // The clock is set.
            21 if self.dice.one_in(10) => self.now_millis += 5_000,
            22 if self.dice.one_in(10) => self.now_millis -= 5_000,
            21..29 => self.make(place),
            _ => self.send(place, false),
        }
    }

    /// Lets everything arrive: producers send what they hold, windows close, the ledger takes.
    pub(super) fn settle(&mut self) {
        for round in 0..10_000 {
            assert!(round < 9_999, "the backlog must come back to zero: {:?}", self.shard);
            for place in 0..self.producers.len() {
                if self.producers[place].connection.is_none() {
                    self.connect(place);
                }
                self.send(place, false);
            }
            self.ledger_step(false);
            self.now_millis += 50;
            self.tick();
            let held = |producer: &Producer| producer.durable < producer.batches.len();
            if !self.producers.iter().any(held) && self.offered.is_empty() && self.shard.backlog() == 0 {
                return;
            }
        }
    }

    fn add_batches(&self, batches: &[Sent], books: &mut Books) {
        for batch in batches.iter().filter(|batch| !batch.is_lost) {
            for record in &batch.records {
                let labels = self.labels[usize::try_from(record.label.0).unwrap()];
                let fields = labels.fields().map(|field| field.as_str().to_owned());
                let key = (batch.window, labels.tenant.as_str().to_owned(), fields);
                let sum = books.entry(key).or_default();
                *sum = sum.plus(record.tally).unwrap();
            }
        }
    }

    /// What the producers have sent, as they know it.
    pub(super) fn producer_books(&self) -> Books {
        let mut books = Books::new();
        for producer in &self.producers {
            self.add_batches(&producer.batches, &mut books);
        }
        books
    }

    /// What the ledger holds.
    pub(super) fn ledger_books(&self) -> Books {
        let mut books = Books::new();
        for (slice, body) in &self.ledger {
            let view = SliceBody::decode(body).unwrap();
            let mut totals = Totals::ZERO;
            for row in view.rows() {
                let tenant = view.header.tenant.as_str().to_owned();
                let key = (slice.window_start_millis, tenant, row.labels.map(str::to_owned));
                let sum = books.entry(key).or_default();
                *sum = sum.join(row.totals).unwrap();
                totals = totals.join(row.totals).unwrap();
            }
            assert_eq!((totals.requests, totals.bytes_in), (slice.requests, slice.bytes_in));
        }
        books
    }
}
