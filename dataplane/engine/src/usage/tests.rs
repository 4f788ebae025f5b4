//! The real role on both executors: a real socket, a real ledger on a temporary directory.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    sync::Arc,
    time::Duration,
};

use crossbeam_queue::ArrayQueue;

use disk::{Direct, Io};
use model::{LedgerId, Nanos, Seq, ShardId, Slice, Timestamp};
use producer::{Options, Producer};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};
use shard::ConnectionId;
use wire::{
    CallId, Found, ReadAsk, ReadCall, SlicePage,
    usage::{
        BatchHeader, EventId, FrameBuffer, FrameFault, Hello, ItemOutcome, LabelId, LabelSet, Refusal,
        Rejection, ServerMessage, SliceBody, Tally, Totals, UsageAsk, UsageCall, UsageItem, UsageQuery,
        UsageRecord, UsageReply, shard_of,
    },
};

use super::{
    acceptor::Accepted,
    shard_loop::{Parts, ShardLoop},
    *,
};
use crate::{Bell, Birth, LedgerParams, LedgerRole, NoObserver, StoreParams, clock, source};

const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Silent;

impl UsageObserver for Silent {
    fn exported(&mut self, _took: Nanos) {}
}

/// Ledger and accounting on one directory.
struct Node {
    ledger: LedgerRole,
    usage: UsageRole,
}

impl Node {
    fn start(directory: &Path, params: &UsageParams) -> Self {
        let store = StoreParams {
            directory: directory.join("ledger"),
            hash: ledger::HashKind::Sha256,
            segment_bytes: 4 << 20,
            accounts_max: 10_000,
            keys_max: 10_000,
            direct: Direct::Preferred,
            mirror: None,
        };
        let ledger = LedgerParams {
            store,
            io: Io::Auto,
            commit: disk::CommitMethod::Dsync,
            frames_in_flight: 4,
            core: None,
            spin: false,
            batch_max_entries: 8_190,
            ingress: 64,
            slice_lanes: params.shards.len(),
            max_forward_jump: Nanos::from_secs(86_400),
        };
        let birth = Birth {
            ledger: LedgerId([7; 16]),
            frame_key: [8; 32],
            ledger_secret: [9; 32],
            created: Timestamp::from_millis(1),
        };
        let signer = ledger::NoteSigner::new("example.test/ledger", &[1; 32]).unwrap();
        let ledger = LedgerRole::start(&ledger, &birth, signer, Box::new(NoObserver)).unwrap();
        let usage = UsageRole::start(params, &ledger.slices, &ledger.reads, || Box::new(Silent)).unwrap();
        Self { ledger, usage }
    }

    /// Every slice in the ledger.
    fn slices(&self) -> Vec<(Slice, Vec<u8>)> {
        let (mut after, mut all) = (Seq::ZERO, Vec::new());
        loop {
            let page = self.page(after, Timestamp(0));
            all.extend(page.slices);
            match page.next {
                Some(next) => after = next,
                None => return all,
            }
        }
    }

    fn page(&self, after: Seq, since: Timestamp) -> SlicePage {
        let found = self.read(ReadAsk::Slices { after, since });
        let Found::Slices(page) = found else { panic!("{found:?}") };
        page
    }

    fn read(&self, ask: ReadAsk) -> Found {
        self.ledger.reads.ask(ReadCall { id: CallId(1), ask }).expect("there is room");
        wait("an answer of the reader", || self.ledger.reads.answer()).found
    }

    fn requests(&self) -> u128 {
        self.slices().iter().map(|(slice, _)| slice.requests).sum()
    }

    fn ask(&self, shard: usize, ask: UsageAsk) -> UsageReply {
        let calls = &self.usage.calls[shard];
        calls.ask(UsageCall { id: CallId(1), ask }).expect("there is room");
        wait("an answer of the shard", || calls.answer()).reply
    }

    fn socket(&self) -> SocketCounters {
        let counters = self.usage.acceptor_board.counters();
        self.usage.boards.iter().fold(counters, |sum, board| sum.plus(&board.status().socket))
    }

    fn stop(self) {
        assert!(self.usage.stop(), "everything that was counted is in the ledger");
        assert!(self.ledger.stop());
    }
}

fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = clock::monotonic();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(clock::monotonic().since(begun) < Nanos::from_secs(60), "{what}: not within 60 s");
        std::thread::yield_now();
    }
}

fn params(directory: &Path, executor: Executor, shards: u16) -> UsageParams {
    let shard = |number| {
        let defaults = shard::Params::new("test", ShardId(number), shards, 100).unwrap();
        shard::Params { windows_retained: 10_000, ..defaults }
    };
    let socket = directory.join("run").join("accounting.sock");
    UsageParams { executor, ..UsageParams::new((0..shards).map(shard).collect(), socket) }
}

fn labels(tenant: &str, route: &str) -> LabelSet {
    LabelSet::new(tenant, "GET", route, "s", "r").unwrap()
}

/// A producer that does what a test wants.
struct Raw {
    stream: UnixStream,
    input: FrameBuffer,
}

impl Raw {
    fn connect(params: &UsageParams) -> Self {
        let stream = UnixStream::connect(&params.socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream, input: FrameBuffer::new() }
    }

    /// A connection that is welcome.
    fn welcome(params: &UsageParams, producer: u8) -> Self {
        let mut raw = Self::connect(params);
        raw.hello(producer, 1, ShardId(0));
        let answer = raw.hear();
        assert!(matches!(answer, Some(ServerMessage::Welcome { .. })), "{answer:?}");
        raw
    }

    fn hello(&mut self, producer: u8, epoch: u64, shard: ShardId) {
        let mut bytes = Vec::new();
        Hello { producer: [producer; 16], epoch, resume: 1, shard }.encode(&mut bytes);
        self.send(&bytes);
    }

    fn label(&mut self, number: u32, labels: &LabelSet) {
        let mut bytes = Vec::new();
        labels.encode(LabelId(number), &mut bytes);
        self.send(&bytes);
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next message; `None` at the end of the connection.
    fn hear(&mut self) -> Option<ServerMessage> {
        loop {
            if let Some(message) = self.input.server().unwrap() {
                return Some(message);
            }
            match self.stream.read(self.input.space()) {
                Ok(0) => return None,
                Ok(count) => self.input.filled(count),
                // The end, with something unread on the other side.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => panic!("nothing heard: {error}"),
            }
        }
    }

    fn hear_until(&mut self, wanted: impl Fn(&ServerMessage) -> bool) -> ServerMessage {
        loop {
            let message = self.hear().expect("the connection goes on");
            if wanted(&message) {
                return message;
            }
        }
    }

    fn refusal(&mut self) -> Refusal {
        let answer = self.hear();
        let Some(ServerMessage::Refused(why)) = answer else { panic!("{answer:?}") };
        assert_eq!(self.hear(), None, "a refused connection is closed");
        why
    }
}

fn batch(producer: u8, seq: u64, requests: &[u64]) -> Vec<u8> {
    batch_at(clock::wall().as_millis(), producer, seq, requests)
}

fn batch_at(window_start_millis: u64, producer: u8, seq: u64, requests: &[u64]) -> Vec<u8> {
    let record = |requests: &u64| UsageRecord {
        label: LabelId(0),
        tally: Tally { requests: *requests, bytes_in: 10, bytes_out: 0 },
    };
    let records: Vec<_> = requests.iter().map(record).collect();
    let header =
        BatchHeader { producer: [producer; 16], epoch: 1, seq, window_start_millis, totals: Totals::ZERO };
    let mut bytes = Vec::new();
    header.encode(&records, &mut bytes);
    bytes
}

fn rejection(raw: &mut Raw) -> (u64, Rejection) {
    let is_it = |message: &ServerMessage| matches!(message, ServerMessage::Rejected { .. });
    let ServerMessage::Rejected { seq, why } = raw.hear_until(is_it) else { unreachable!() };
    (seq, why)
}

fn executors() -> [Executor; 2] {
    [Executor::Ring, Executor::Epoll]
}

#[test]
fn what_a_producer_records_is_durable_and_adds_up() {
    for executor in executors() {
        let scratch = tempfile::tempdir().unwrap();
        let params = params(scratch.path(), executor, 2);
        let node = Node::start(scratch.path(), &params);
        assert_eq!(node.usage.report.is_ring, executor == Executor::Ring);
        let options = Options {
            shards: 2,
            flush_every: Duration::from_millis(5),
            ..Options::new(params.socket.clone(), [3; 16])
        };
        let producer = Producer::start(&options).unwrap();
        let tally = Tally { requests: 1, bytes_in: 2, bytes_out: 3 };
        for number in 0..5_000 {
            let label = producer.label(&labels(&format!("tenant-{}", number % 7), "/"));
            producer.record(label, tally);
        }
        assert!(producer.wait_durable(PATIENCE), "{executor:?}: {:?}", producer.status());
        let slices = node.slices();
        let sum = |of: fn(&Slice) -> u128| slices.iter().map(|(slice, _)| of(slice)).sum::<u128>();
        assert_eq!(sum(|slice| slice.requests), 5_000);
        assert_eq!((sum(|slice| slice.bytes_in), sum(|slice| slice.bytes_out)), (10_000, 15_000));
        for (slice, body) in &slices {
            let view = SliceBody::decode(body).unwrap();
            assert_eq!(view.totals.requests, slice.requests);
        }
        wait("the backlog", || {
            node.usage.boards.iter().all(|board| board.status().backlog == 0).then_some(())
        });
        drop(producer);
        node.stop();
        assert!(!params.socket.exists(), "a clean stop takes its socket away");
    }
}

#[test]
fn a_restart_knows_what_is_in_the_ledger() {
    for executor in executors() {
        let scratch = tempfile::tempdir().unwrap();
        let params = params(scratch.path(), executor, 1);
        let node = Node::start(scratch.path(), &params);
        let mut raw = Raw::welcome(&params, 1);
        raw.label(0, &labels("tenant", "/"));
        let first = batch(1, 1, &[5, 6]);
        raw.send(&first);
        raw.hear_until(|message| *message == ServerMessage::Durable { through: 1 });
        raw.send(&first);
        assert_eq!(rejection(&mut raw), (1, Rejection::Duplicate));
        raw.send(&batch(1, 1, &[7]));
        assert_eq!(rejection(&mut raw), (1, Rejection::Conflict));
        raw.send(&batch(1, 3, &[7]));
        assert_eq!(rejection(&mut raw), (3, Rejection::Gap { expected: 2 }));
        node.stop();
        // What the loop says before it ends is that it ends.
        raw.hear_until(|message| *message == ServerMessage::Refused(Refusal::Draining));

        let node = Node::start(scratch.path(), &params);
        assert!(node.usage.report.restored > 0);
        let mut raw = Raw::welcome(&params, 1);
        raw.label(0, &labels("tenant", "/"));
        raw.send(&first);
        assert_eq!(rejection(&mut raw), (1, Rejection::Duplicate));
        raw.send(&batch(1, 2, &[100]));
        raw.hear_until(|message| *message == ServerMessage::Durable { through: 2 });
        assert_eq!(node.requests(), 111, "the stream's chain went on");
        let query = UsageQuery { tenant: labels("tenant", "/").tenant, from_millis: 0, to_millis: u64::MAX };
        let UsageReply::Windows(windows) = node.ask(0, UsageAsk::Windows(query)) else { panic!() };
        assert!(windows.iter().all(|window| window.is_final) && !windows.is_empty());
        node.stop();
    }
}

/// Denies the calling thread, and those that it starts, a ring from now on.
fn deny_rings() -> Result<(), String> {
    /// `io_uring_setup(2)`, the same number on every architecture.
    const IO_URING_SETUP: i64 = 425;
    let permission = SeccompAction::Errno(1);
    let rules = std::collections::BTreeMap::from([(IO_URING_SETUP, Vec::new())]);
    let arch = std::env::consts::ARCH.try_into().map_err(|error| format!("{error}"))?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, permission, arch)
        .and_then(TryInto::<BpfProgram>::try_into)
        .map_err(|error| error.to_string())?;
    apply_filter(&filter).map_err(|error| error.to_string())
}

#[test]
fn without_a_ring_the_loops_run_on_epoll() {
    let thread = std::thread::spawn(|| {
        if let Err(reason) = deny_rings() {
            return eprintln!("not run: engine::without_a_ring: {reason}");
        }
        let scratch = tempfile::tempdir().unwrap();
        let params = params(scratch.path(), Executor::Auto, 1);
        let node = Node::start(scratch.path(), &params);
        assert!(!node.usage.report.is_ring);
        let insists = UsageParams { executor: Executor::Ring, ..params.clone() };
        let refused =
            UsageRole::start(&insists, &node.ledger.slices, &node.ledger.reads, || Box::new(Silent));
        assert!(matches!(refused, Err(UsageError::Ring(_))), "{refused:?}");
        let mut raw = Raw::welcome(&params, 1);
        raw.label(0, &labels("tenant", "/"));
        raw.send(&batch(1, 1, &[1]));
        raw.hear_until(|message| *message == ServerMessage::Durable { through: 1 });
        node.stop();
    });
    thread.join().unwrap();
}

#[test]
fn a_stop_seals_what_was_counted() {
    for executor in executors() {
        let scratch = tempfile::tempdir().unwrap();
        let mut params = params(scratch.path(), executor, 1);
        params.shards[0].window_millis = 60_000;
        let node = Node::start(scratch.path(), &params);
        let mut raw = Raw::welcome(&params, 1);
        raw.label(0, &labels("tenant", "/"));
        raw.send(&batch(1, 1, &[1, 2]));
        raw.hear_until(|message| matches!(message, ServerMessage::Received { seq: 1, .. }));
        let Node { ledger, usage } = node;
        assert!(usage.stop(), "{executor:?}");
        raw.hear_until(|message| *message == ServerMessage::Durable { through: 1 });
        raw.hear_until(|message| *message == ServerMessage::Refused(Refusal::Draining));
        assert_eq!(raw.hear(), None);
        assert!(ledger.stop());
    }
}

#[test]
fn a_stop_does_not_wait_for_a_ledger_that_is_gone() {
    for executor in executors() {
        let scratch = tempfile::tempdir().unwrap();
        let mut params = params(scratch.path(), executor, 1);
        params.shards[0].window_millis = 60_000;
        params.drain_max = Nanos::from_millis(300);
        let Node { ledger, usage } = Node::start(scratch.path(), &params);
        let mut raw = Raw::welcome(&params, 1);
        raw.label(0, &labels("tenant", "/"));
        raw.send(&batch(1, 1, &[1]));
        raw.hear_until(|message| matches!(message, ServerMessage::Received { seq: 1, .. }));
        assert!(ledger.stop());
        assert!(!usage.stop(), "{executor:?}: nobody has taken the slice, and that is told");
        raw.hear_until(|message| *message == ServerMessage::Refused(Refusal::Draining));
    }
}

#[test]
fn a_page_of_slices_holds_the_last_of_each_stream_however_old() {
    let scratch = tempfile::tempdir().unwrap();
    let params = params(scratch.path(), Executor::Epoll, 1);
    let node = Node::start(scratch.path(), &params);
    let mut raw = Raw::welcome(&params, 1);
    for seq in 1..=3 {
        raw.label(0, &labels("old", "/"));
        raw.send(&batch(1, seq, &[seq]));
        raw.hear_until(|message| *message == ServerMessage::Durable { through: seq });
    }
    let all = node.slices();
    assert_eq!(all.len(), 3);
    let page = node.page(Seq::ZERO, Timestamp(u64::MAX));
    assert_eq!(page.slices, all[2..], "only the last of the stream");
    let page = node.page(Seq::ZERO, all[1].0.head.at);
    assert_eq!(page.slices, all[1..]);
    assert_eq!(node.page(all[1].0.head.seq, Timestamp(0)).slices, all[2..]);
    assert_eq!(node.page(all[2].0.head.seq, Timestamp(u64::MAX)), SlicePage::default());
    // An index that proves damaged is given up, and until it is derived anew the journal itself is read. It is whole on
    // the disk after a stop.
    node.stop();
    let node = Node::start(scratch.path(), &params);
    let frames = scratch.path().join("ledger").join("derived").join("frames");
    let mut rows = std::fs::read(&frames).unwrap();
    rows[..72].fill(0xff);
    std::fs::write(&frames, rows).unwrap();
    let found = node.read(ReadAsk::Slices { after: Seq::ZERO, since: Timestamp(0) });
    assert_eq!(found, Found::Behind);
    assert_eq!(node.slices(), all);
    assert_eq!(node.page(Seq::ZERO, Timestamp(u64::MAX)).slices, all[2..]);
    assert_eq!(node.page(all[0].0.head.seq, Timestamp(0)).slices, all[1..]);
    node.stop();
    // The chain goes on from the last one.
    let node = Node::start(scratch.path(), &params);
    let item = UsageItem {
        event: EventId::new("old", "test", "1"),
        labels: labels("old", "/"),
        at_millis: clock::wall().as_millis(),
        tally: Tally { requests: 9, bytes_in: 0, bytes_out: 0 },
    };
    let UsageReply::Items(outcomes) = node.ask(0, UsageAsk::Items(vec![item, item])) else { panic!() };
    // Late if this thread was held up for a window's length; it is counted all the same.
    assert!(matches!(outcomes[0], ItemOutcome::Ok | ItemOutcome::Late), "{outcomes:?}");
    assert_eq!(outcomes[1..], [ItemOutcome::Duplicate]);
    wait("the fourth slice", || (node.requests() == 15).then_some(()));
    node.stop();
}

#[test]
fn bad_input_is_told_counted_and_costs_nothing_else() {
    for executor in executors() {
        let scratch = tempfile::tempdir().unwrap();
        let params = params(scratch.path(), executor, 1);
        let node = Node::start(scratch.path(), &params);
        let mut good = Raw::welcome(&params, 1);
        good.label(0, &labels("tenant", "/"));

        let mut hello = Vec::new();
        Hello { producer: [2; 16], epoch: 1, resume: 1, shard: ShardId(0) }.encode(&mut hello);
        let mut version = hello.clone();
        version[9] = 9;
        let mut magic = hello.clone();
        magic[5] = b'X';
        let cases: [(&[u8], Refusal); 6] = [
            (&version, Refusal::Version { spoken: 1 }),
            (&magic, Refusal::Malformed),
            (b"GET / HTTP/1.1\r\n\r\n", Refusal::TooLarge),
            (&[1, 0, 0, 0, 99], Refusal::Malformed),
            (&[0, 0, 0, 0], Refusal::Malformed),
            (&batch(1, 1, &[1]), Refusal::Order),
        ];
        for (bytes, why) in cases {
            let mut raw = Raw::connect(&params);
            raw.send(bytes);
            assert_eq!(raw.refusal(), why, "{executor:?} {bytes:?}");
            // The same after a hello.
            let mut raw = Raw::welcome(&params, 3);
            raw.send(bytes);
            assert_eq!(raw.refusal(), why, "{executor:?} after the hello, {bytes:?}");
        }
        let mut raw = Raw::connect(&params);
        raw.hello(4, 1, ShardId(7));
        assert_eq!(raw.refusal(), Refusal::WrongShard { shards: 1 });
        // Half a frame, and gone.
        let mut raw = Raw::welcome(&params, 5);
        raw.send(&[200, 0, 0, 0, 3, 1, 2]);
        drop(raw);

        good.send(&batch(1, 1, &[1]));
        good.hear_until(|message| *message == ServerMessage::Durable { through: 1 });
        let counted = wait("the counts", || {
            let socket = node.socket();
            let peers = socket.closed[CloseReason::Peer.index()];
            (peers == 1 && node.usage.boards[0].status().connections == 1).then_some(socket)
        });
        let fault = |fault| {
            let index = FrameFault::ALL.iter().position(|known| *known == fault).unwrap();
            counted.faults[index]
        };
        let faults = [FrameFault::Version, FrameFault::Magic, FrameFault::TooLarge, FrameFault::UnknownKind];
        assert_eq!(faults.map(fault), [2; 4]);
        assert_eq!(counted.closed[CloseReason::Refused.index()], 13);
        node.stop();
    }
}

#[test]
fn who_does_not_read_or_dribbles_is_closed() {
    for executor in executors() {
        let scratch = tempfile::tempdir().unwrap();
        let mut params = params(scratch.path(), executor, 1);
        params.frame_max = Nanos::from_millis(500);
        params.hello_max = Nanos::from_millis(1_500);
        params.unread_max = Nanos::from_millis(500);
        let node = Node::start(scratch.path(), &params);
        let closed = |why: CloseReason| node.socket().closed[why.index()];

        let mut silent = Raw::connect(&params);
        assert_eq!(silent.hear(), None, "no hello");
        let mut dribbles = Raw::welcome(&params, 1);
        dribbles.send(&[200, 0, 0, 0, 3]);
        assert_eq!(dribbles.hear(), None, "a frame that does not end");
        assert_eq!(closed(CloseReason::Dribble), 2);

        // Answers to many wrong batches fill both sides' buffers and then the shard's own.
        let mut deaf = Raw::welcome(&params, 2);
        deaf.stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let wrong = batch(2, 9, &[]);
        let flood: Vec<u8> = wrong.iter().copied().cycle().take(wrong.len() * 1_000).collect();
        let ended = (0..10_000).any(|_| deaf.stream.write_all(&flood).is_err());
        assert!(ended, "it cannot send for ever without reading");
        wait("the close", || (closed(CloseReason::Unread) == 1).then_some(()));

        let mut good = Raw::welcome(&params, 3);
        good.label(0, &labels("tenant", "/"));
        good.send(&batch(3, 1, &[4]));
        good.hear_until(|message| *message == ServerMessage::Durable { through: 1 });
        node.stop();
    }
}

#[test]
fn tenants_of_other_shards_are_refused_and_each_shard_serves_its_own() {
    let scratch = tempfile::tempdir().unwrap();
    let params = params(scratch.path(), Executor::Auto, 3);
    let node = Node::start(scratch.path(), &params);
    for shard in 0..3 {
        let tenant = |mine: bool| {
            let names = (0..).map(|number| format!("t{number}"));
            names.into_iter().find(|name| (shard_of(name, 3) == ShardId(shard)) == mine).unwrap()
        };
        let mut raw = Raw::connect(&params);
        raw.hello(1, 1, ShardId(shard));
        let welcome = raw.hear();
        assert!(
            matches!(welcome, Some(ServerMessage::Welcome { shard: told, shards: 3, .. }) if told.0 == shard)
        );
        raw.label(1, &labels(&tenant(false), "/"));
        raw.hear_until(|message| matches!(message, ServerMessage::LabelRefused { .. }));
        raw.label(0, &labels(&tenant(true), "/"));
        raw.send(&batch(1, 1, &[1]));
        raw.hear_until(|message| *message == ServerMessage::Durable { through: 1 });
    }
    assert_eq!(node.requests(), 3);
    node.stop();
}

/// Puts bytes where an executor would.
fn feed(shard: &mut ShardLoop, id: ConnectionId, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let space = shard.space(id).expect("it reads");
        let count = space.len().min(bytes.len());
        space[..count].copy_from_slice(&bytes[..count]);
        shard.received(id, count);
        bytes = &bytes[count..];
    }
    let unsent = shard.unsent(id).len();
    shard.sent(id, unsent);
    shard.turn();
    while shard.take_stirred().is_some() {}
}

#[test]
fn the_loop_allocates_nothing_for_records_and_batches() {
    let bell = Arc::new(Bell::over_socket().unwrap());
    let (_calls, inlet) = source(4, Arc::clone(&bell)).unwrap();
    let (ledger, _lane) = source(64, Arc::clone(&bell)).unwrap();
    let accepted = Arc::new(ArrayQueue::new(1));
    // No window ends while the test runs.
    let shard =
        shard::Params { grace_millis: 3_600_000, ..params(Path::new("/"), Executor::Auto, 1).shards[0] };
    let most = Nanos::from_secs(3_600);
    let mut shard = ShardLoop::new(Parts {
        shard: shard::Shard::new(shard).unwrap(),
        accepted: Arc::clone(&accepted),
        calls: inlet,
        ledger,
        bell,
        stop: Arc::default(),
        board: Arc::default(),
        observer: Box::new(Silent),
        frame_max: most,
        unread_max: most,
        drain_max: most,
    });
    let (stream, _peer) = UnixStream::pair().unwrap();
    let hello = Hello { producer: [1; 16], epoch: 1, resume: 1, shard: ShardId(0) };
    accepted.push(Accepted { stream, hello, input: FrameBuffer::new() }).unwrap();
    shard.turn();
    let (id, _stream) = shard.take_opened().unwrap();
    let mut label = Vec::new();
    labels("tenant", "/").encode(LabelId(0), &mut label);
    feed(&mut shard, id, &label);
    let now = clock::wall().as_millis();
    let batches: Vec<_> = (1..=41).map(|seq| batch_at(now, 1, seq, &[1; 1_000])).collect();
    // The first batch makes the receive buffer as large as a batch.
    feed(&mut shard, id, &batches[0]);
    let allocated = allocation_counter::measure(|| {
        batches[1..].iter().for_each(|batch| feed(&mut shard, id, batch));
    });
    assert_eq!(allocated.count_total, 0, "{allocated:?} for 40,000 records");
    // The counter counts: a call has an answer.
    let counted = allocation_counter::measure(|| drop(labels("x", "y").tenant.as_str().to_owned()));
    assert!(counted.count_total > 0);
}
