//! The acceptor: greets producers on a plain thread and hands each to the shard that it names.
//!
//! Holds: a shard never sees a connection that has not said a hello of this protocol, from a peer
//! that may connect; greetings in hand are few and have a deadline. Leaves to others: everything
//! after the hello (`ShardLoop`).

use std::{
    io::{self, Read, Write},
    os::{
        fd::AsFd,
        unix::net::{UnixListener, UnixStream},
    },
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use crossbeam_queue::ArrayQueue;
use model::{Instant, Nanos};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use wire::usage::{ClientMessage, FrameBuffer, Hello, Refusal, ServerMessage};

use super::{board::SocketCounters, connection::CloseReason};
use crate::{bell::Bell, clock};

/// Connections that have not said hello yet, at once; more wait in the kernel.
const GREETINGS_MAX: usize = 64;
/// How often deadlines are looked at while someone is being greeted, and how long to wait when the
/// process has no descriptor left.
const LOOK_EVERY: Nanos = Nanos::from_millis(250);

/// A producer that has said hello.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) stream: UnixStream,
    pub(crate) hello: Hello,
    /// What arrived after the hello.
    pub(crate) input: FrameBuffer,
}

/// The way to one shard.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) accepted: Arc<ArrayQueue<Accepted>>,
    pub(crate) bell: Arc<Bell>,
}

/// What the acceptor did, for metrics.
#[derive(Debug, Default)]
pub struct AcceptorBoard(Mutex<SocketCounters>);

impl AcceptorBoard {
    /// What was refused before a shard saw it.
    #[must_use]
    pub fn counters(&self) -> SocketCounters {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, count: impl FnOnce(&mut SocketCounters)) {
        count(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Everything the thread owns.
pub(crate) struct Acceptor {
    pub(crate) listener: UnixListener,
    pub(crate) doors: Vec<Door>,
    pub(crate) hello_max: Nanos,
    pub(crate) bell: Arc<Bell>,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) board: Arc<AcceptorBoard>,
}

/// A connection whose hello has not arrived.
struct Greeting {
    stream: UnixStream,
    input: FrameBuffer,
    since: Instant,
}

/// What became of a greeting.
enum Progress {
    Waits,
    Gone,
    Refused(Refusal),
    Hello(Hello),
}

impl Acceptor {
    /// Runs until it is told to stop. Whoever is being greeted then is turned away.
    pub(crate) fn run(self) {
        let mut greetings: Vec<Greeting> = Vec::with_capacity(GREETINGS_MAX);
        while !self.stop.load(Ordering::Acquire) {
            let ready = self.wait(&greetings);
            let now = clock::monotonic();
            let mut kept = Vec::with_capacity(GREETINGS_MAX);
            for (greeting, ready) in greetings.drain(..).zip(ready.iter().skip(1)) {
                kept.extend(self.greet(greeting, *ready, now));
            }
            greetings = kept;
            if ready.first() == Some(&true) {
                self.accept(&mut greetings, now);
            }
        }
        for greeting in greetings {
            self.refuse(&greeting.stream, Refusal::Draining);
        }
    }

    /// Waits for the listener, a greeting, the bell or a deadline; says of the listener and of each
    /// greeting whether there is something to read.
    fn wait(&self, greetings: &[Greeting]) -> Vec<bool> {
        let bell = self.bell.fd();
        let listening = if greetings.len() < GREETINGS_MAX { PollFlags::IN } else { PollFlags::empty() };
        let mut fds = vec![PollFd::new(&self.listener, listening)];
        fds.extend(greetings.iter().map(|greeting| PollFd::new(&greeting.stream, PollFlags::IN)));
        fds.push(PollFd::new(&bell, PollFlags::IN));
        let timeout = Timespec { tv_sec: 0, tv_nsec: i64::try_from(LOOK_EVERY.0).expect("below a second") };
        let timeout = (!greetings.is_empty()).then_some(timeout);
        self.bell.prepare();
        if !self.stop.load(Ordering::Acquire) {
            // A signal only means that nothing is found ready.
            let _ = poll(&mut fds, timeout.as_ref());
        }
        self.bell.awake();
        fds.pop();
        fds.iter().map(|fd| !fd.revents().is_empty()).collect()
    }

    fn accept(&self, greetings: &mut Vec<Greeting>, now: Instant) {
        while greetings.len() < GREETINGS_MAX {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    if stream.set_nonblocking(true).is_err() {
                        continue;
                    }
                    if may_connect(&stream) {
                        greetings.push(Greeting { stream, input: FrameBuffer::new(), since: now });
                    } else {
                        self.refuse(&stream, Refusal::Denied);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    tracing::warn!("the accounting socket takes no connection now: {error}");
                    return self.bell.wait(LOOK_EVERY, || self.stop.load(Ordering::Acquire));
                }
            }
        }
    }

    /// Reads on; gives the greeting back if its hello has not arrived.
    fn greet(&self, mut greeting: Greeting, ready: bool, now: Instant) -> Option<Greeting> {
        let progress = if ready { self.progress(&mut greeting) } else { Progress::Waits };
        match progress {
            Progress::Waits if now.since(greeting.since) > self.hello_max => {
                self.board.count(|counters| counters.close(CloseReason::Dribble));
                None
            }
            Progress::Waits => Some(greeting),
            Progress::Gone => {
                self.board.count(|counters| counters.close(CloseReason::Peer));
                None
            }
            Progress::Refused(why) => {
                self.refuse(&greeting.stream, why);
                None
            }
            Progress::Hello(hello) => {
                self.hand_over(Accepted { stream: greeting.stream, hello, input: greeting.input });
                None
            }
        }
    }

    fn progress(&self, greeting: &mut Greeting) -> Progress {
        match greeting.stream.read(greeting.input.space()) {
            Ok(0) => return Progress::Gone,
            Ok(count) => greeting.input.filled(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Progress::Waits,
            Err(_) => return Progress::Gone,
        }
        match greeting.input.client() {
            Ok(None) => Progress::Waits,
            Ok(Some(ClientMessage::Hello(hello))) => Progress::Hello(hello),
            Ok(Some(ClientMessage::Labels(..) | ClientMessage::Batch(_))) => {
                Progress::Refused(Refusal::Order)
            }
            Err(error) => {
                self.board.count(|counters| counters.fault(error.fault));
                Progress::Refused(error.fault.refusal())
            }
        }
    }

    fn hand_over(&self, accepted: Accepted) {
        let shards = u16::try_from(self.doors.len()).expect("the config bounds the shards");
        let Some(door) = self.doors.get(usize::from(accepted.hello.shard.0)) else {
            return self.refuse(&accepted.stream, Refusal::WrongShard { shards });
        };
        match door.accepted.push(accepted) {
            Ok(()) => door.bell.ring(),
            Err(accepted) => self.refuse(&accepted.stream, Refusal::Busy),
        }
    }

    /// Says why; the connection ends when the caller drops it.
    fn refuse(&self, mut stream: &UnixStream, why: Refusal) {
        self.board.count(|counters| {
            counters.refuse(why);
            counters.close(CloseReason::Refused);
        });
        let mut frame = Vec::new();
        ServerMessage::Refused(why).encode(&mut frame);
        // A peer that is gone, or reads nothing, learns it by the end of the connection.
        drop(stream.write(&frame));
    }
}

/// The same user as this process, or root.
fn may_connect(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid();
    let peer = rustix::net::sockopt::socket_peercred(stream.as_fd());
    peer.is_ok_and(|peer| peer.uid == own || peer.uid.is_root())
}
