//! A real socket and a real shard behind it: what was recorded is in the ledger once, whatever
//! happens to the connection or to the shard.

use std::{
    collections::BTreeMap,
    io::{ErrorKind, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread::{JoinHandle, spawn},
};

use model::{SliceRequest, Timestamp};
use shard::{ConnectionId, Effect, Effects, Event, Params, Shard};
use wire::usage::{ClientMessage, FrameBuffer, SliceBody};

use super::*;

type Ledger = Vec<SliceRequest>;

/// A shard behind a socket, with a ledger that takes everything at once. Stops when its sender is
/// dropped and returns the ledger.
struct Server {
    stop: Sender<()>,
    thread: JoinHandle<Ledger>,
}

impl Server {
    fn start(path: &Path, ledger: Ledger) -> Self {
        drop(std::fs::remove_file(path));
        let listener = UnixListener::bind(path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let (stop, stopped) = channel();
        Self { stop, thread: spawn(move || serve(&listener, &stopped, ledger)) }
    }

    fn stop(self) -> Ledger {
        drop(self.stop);
        self.thread.join().unwrap()
    }
}

fn serve(listener: &UnixListener, stopped: &Receiver<()>, mut ledger: Ledger) -> Ledger {
    let now = || Timestamp::from_millis(now_millis());
    let mut shard = Shard::new(Params::new("node", ShardId(0), 1, 100).unwrap()).unwrap();
    for request in &ledger {
        shard.restore(now(), &request.slice, &request.body).unwrap();
    }
    let mut out = Effects::new(64);
    let mut connections: BTreeMap<u64, (UnixStream, FrameBuffer)> = BTreeMap::new();
    let mut accepted = 0;
    loop {
        match stopped.recv_timeout(Duration::from_millis(1)) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return ledger,
        }
        if let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(true).unwrap();
            accepted += 1;
            connections.insert(accepted, (stream, FrameBuffer::new()));
        }
        let ids: Vec<_> = connections.keys().copied().collect();
        for id in ids {
            read(id, &mut connections, &mut shard, &mut out, &mut ledger);
        }
        shard.apply(now(), Event::Tick, &mut out);
        act(&mut connections, &mut shard, &mut out, &mut ledger);
    }
}

type Connections = BTreeMap<u64, (UnixStream, FrameBuffer)>;

fn read(id: u64, connections: &mut Connections, shard: &mut Shard, out: &mut Effects, ledger: &mut Ledger) {
    let now = Timestamp::from_millis(now_millis());
    let (stream, buffer) = connections.get_mut(&id).unwrap();
    match stream.read(buffer.space()) {
        Ok(0) => {
            connections.remove(&id);
            return shard.apply(now, Event::Closed(ConnectionId(id)), out);
        }
        Ok(count) => buffer.filled(count),
        Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
    }
    let Some((stream, mut buffer)) = connections.remove(&id) else { return };
    connections.insert(id, (stream, FrameBuffer::new()));
    while let Some(message) = buffer.client().unwrap() {
        let connection = ConnectionId(id);
        let event = match message {
            ClientMessage::Hello(hello) => Event::Hello(connection, hello),
            ClientMessage::Labels(label, labels) => Event::Labels(connection, label, labels),
            ClientMessage::Batch(batch) => Event::Batch(connection, batch),
        };
        shard.apply(now, event, out);
        act(connections, shard, out, ledger);
    }
    if let Some(connection) = connections.get_mut(&id) {
        connection.1 = buffer;
    }
}

fn act(connections: &mut Connections, shard: &mut Shard, out: &mut Effects, ledger: &mut Ledger) {
    let now = Timestamp::from_millis(now_millis());
    loop {
        let effects: Vec<_> = out.drain().collect();
        if effects.is_empty() && shard.is_idle() {
            return;
        }
        for effect in effects {
            match effect {
                Effect::Reply(connection, message) => {
                    let mut bytes = Vec::new();
                    message.encode(&mut bytes);
                    if let Some((stream, _)) = connections.get_mut(&connection.0) {
                        drop(stream.write_all(&bytes));
                    }
                }
                Effect::Close(connection) => drop(connections.remove(&connection.0)),
                Effect::Export { request, .. } => {
                    let (stream, number) = (request.slice.stream, request.slice.number);
                    ledger.push(request);
                    shard.apply(now, Event::SliceDurable { stream, number }, out);
                }
            }
        }
        shard.apply(now, Event::Tick, out);
    }
}

fn requests_in(ledger: &Ledger) -> BTreeMap<String, u128> {
    let mut sums = BTreeMap::new();
    for request in ledger {
        let body = SliceBody::decode(&request.body).unwrap();
        for row in body.rows() {
            *sums.entry(format!("{} {}", body.header.tenant, row.labels[1])).or_default() +=
                row.totals.requests;
        }
    }
    sums
}

#[test]
fn what_was_recorded_is_in_the_ledger_once() {
    const PATIENCE: Duration = Duration::from_secs(30);
    let folder = std::env::temp_dir().join(format!("usage-producer-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("accounting.sock");
    let options = Options { flush_every: Duration::from_millis(2), ..Options::new(path.clone(), [5; 16]) };
    // There is no socket yet, and still nothing waits.
    let producer = Producer::start(&options).unwrap();
    let labels: Vec<_> = (0..6)
        .map(|number| {
            let tenant = format!("t{}", number % 2);
            producer.label(&LabelSet::new(&tenant, "GET", &format!("/{number}"), "s", "r").unwrap())
        })
        .collect();
    let record = |turns: u64| {
        for (turn, label) in (0..turns).zip(labels.iter().cycle()) {
            producer.record(*label, Tally { requests: 1, bytes_in: turn, bytes_out: 1 });
        }
    };
    record(60);
    let mut server = Server::start(&path, Ledger::new());
    assert!(producer.wait_durable(PATIENCE), "{:?}", producer.status());
    for _ in 0..5 {
        // The shard dies with batches received and not yet sealed; only its ledger is left.
        record(60);
        let made = producer.status().lanes[0].made;
        let ledger = server.stop();
        record(60);
        server = Server::start(&path, ledger);
        assert!(producer.wait_durable(PATIENCE), "{:?}", producer.status());
        assert!(producer.status().lanes[0].made > made);
    }
    let status = producer.close(PATIENCE);
    assert!(status.is_durable() && status.lanes[0].dropped.is_zero() && status.lanes[0].lost.is_zero());
    let ledger = server.stop();
    let sums = requests_in(&ledger);
    assert_eq!(sums.len(), 6);
    assert!(sums.values().all(|sum| *sum == 110), "{sums:?}");
    assert_eq!(status.lanes[0].recorded.requests, 660);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn options_are_checked() {
    let good = Options::new(PathBuf::from("nowhere"), [1; 16]);
    for (options, name) in [
        (Options { shards: 0, ..good.clone() }, "shards"),
        (Options { epoch: 0, ..good.clone() }, "epoch"),
        (Options { flush_every: Duration::ZERO, ..good.clone() }, "flush_every"),
    ] {
        let error = Producer::start(&options).unwrap_err();
        assert!(matches!(error, StartError::Option(found) if found == name), "{error}");
    }
    let producer = Producer::start(&good).unwrap();
    let label = producer.label(&LabelSet::new("t", "", "", "", "").unwrap());
    producer.record(label, Tally { requests: 1, bytes_in: 0, bytes_out: 0 });
    assert!(!producer.wait_durable(Duration::from_millis(20)), "nobody listens");
    assert_eq!(producer.status().connected, 0);
}
