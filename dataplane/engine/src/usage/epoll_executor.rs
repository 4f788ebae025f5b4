//! Runs a shard's loop on a plain thread with `epoll(7)`, where the kernel gives no ring.
//!
//! Holds: one read and one write of a connection at a time, so that none holds the others up.
//! Decides nothing.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use model::Nanos;
use rustix::{
    buffer::spare_capacity,
    event::{
        Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
    },
};
use shard::ConnectionId;

use super::shard_loop::ShardLoop;

/// Events of one wait.
const EVENTS: usize = 256;
/// The bell's number; connections count from 1.
const BELL: u64 = 0;

struct Known {
    stream: UnixStream,
    interest: EventFlags,
}

struct Executor {
    epoll: OwnedFd,
    shard: ShardLoop,
    known: BTreeMap<ConnectionId, Known>,
}

/// Runs the loop until it has finished; says whether everything is in the ledger.
///
/// # Errors
/// If the process has no descriptor left.
pub(crate) fn run(shard: ShardLoop) -> io::Result<bool> {
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, shard.bell().fd(), EventData::new_u64(BELL), EventFlags::IN)?;
    let mut executor = Executor { epoll, shard, known: BTreeMap::new() };
    let mut events = Vec::with_capacity(EVENTS);
    while !executor.turn()? {
        let bell = std::sync::Arc::clone(executor.shard.bell());
        bell.prepare();
        let span = if executor.shard.has_work() { Nanos(0) } else { executor.shard.sleep() };
        let timeout = Timespec {
            tv_sec: i64::try_from(span.0 / 1_000_000_000).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(span.0 % 1_000_000_000).expect("below a second"),
        };
        events.clear();
        match epoll::wait(&executor.epoll, spare_capacity(&mut events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        bell.awake();
        for event in &events {
            executor.ready(event, &bell)?;
        }
    }
    Ok(executor.shard.is_drained())
}

impl Executor {
    /// One turn of the loop and what came of it; true if it was the last.
    fn turn(&mut self) -> io::Result<bool> {
        self.shard.turn();
        while let Some((id, stream)) = self.shard.take_opened() {
            let interest = EventFlags::IN;
            epoll::add(&self.epoll, stream.as_fd(), EventData::new_u64(id.0), interest)?;
            self.known.insert(id, Known { stream, interest });
        }
        while let Some(id) = self.shard.take_stirred() {
            self.write(id)?;
        }
        Ok(self.shard.is_finished())
    }

    fn ready(&mut self, event: &Event, bell: &crate::bell::Bell) -> io::Result<()> {
        let (number, flags) = (event.data.u64(), event.flags);
        if number == BELL {
            bell.drain();
            return Ok(());
        }
        let id = ConnectionId(number);
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            self.read(id, flags.intersects(EventFlags::HUP | EventFlags::ERR));
        }
        self.write(id)
    }

    fn read(&mut self, id: ConnectionId, is_gone: bool) {
        let Some(known) = self.known.get_mut(&id) else { return };
        let Some(space) = self.shard.space(id) else {
            // It takes no bytes now; but a peer that is gone would wake the loop for ever.
            if is_gone {
                self.shard.ended(id);
            }
            return;
        };
        match known.stream.read(space) {
            Ok(count) if count > 0 => self.shard.received(id, count),
            Err(error) if is_wait(&error) => {}
            Ok(_) | Err(_) => self.shard.ended(id),
        }
    }

    /// Sends what is to be sent, drops what is over, and waits for what is left.
    fn write(&mut self, id: ConnectionId) -> io::Result<()> {
        let Some(known) = self.known.get_mut(&id) else { return Ok(()) };
        let unsent = self.shard.unsent(id);
        if !unsent.is_empty() {
            match known.stream.write(unsent) {
                Ok(count) if count > 0 => self.shard.sent(id, count),
                Err(error) if is_wait(&error) => {}
                Ok(_) | Err(_) => self.shard.ended(id),
            }
        }
        if self.shard.is_over(id) {
            epoll::delete(&self.epoll, known.stream.as_fd())?;
            self.known.remove(&id);
            return Ok(());
        }
        let mut interest = EventFlags::empty();
        interest.set(EventFlags::IN, self.shard.reads(id));
        interest.set(EventFlags::OUT, !self.shard.unsent(id).is_empty());
        if interest != known.interest {
            known.interest = interest;
            epoll::modify(&self.epoll, known.stream.as_fd(), EventData::new_u64(id.0), interest)?;
        }
        Ok(())
    }
}

fn is_wait(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
