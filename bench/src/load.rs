//! `Load`: transfers over many connections from one thread, open or closed.
//!
//! Holds: in an open loop a request is due at its time whether or not a connection is free, and its
//! latency counts from then; every request has its own key; what was answered as done is in the
//! books, and what has no definite answer is asked again until it has one. Leaves to others: the
//! plan (`wallet`), the node.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::books::{Books, Transfer};
use crate::clock::Clock;
use crate::http::{Ask, Connection};
use crate::pace::{Latencies, Pace};

/// The longest wait for an answer before the thread looks at its clock again.
const LOOK_EVERY_NANOS: u64 = 100_000_000;
/// How often a request without a definite answer is sent again.
const TRIES_MAX: u32 = 20;

/// Connections, books, and the keys that are used up.
#[derive(Debug)]
pub struct Load {
    address: SocketAddr,
    token: String,
    connections: Vec<Connection>,
    books: Books,
    next: u64,
    request: Vec<u8>,
}

/// What a block of load came to.
#[derive(Debug, Clone)]
pub struct Answered {
    /// From the time that each was due (open) or sent (closed) to its answer; accepted ones only.
    pub latencies: Latencies,
    /// Accepted inside the block.
    pub accepted_per_second: f64,
    /// Answered 429 or 503: not done.
    pub turned_away: u64,
}

/// A request on its way.
#[derive(Debug, Clone, Copy)]
struct Sent {
    due_nanos: u64,
    number: u64,
    transfer: Transfer,
}

/// One block as it goes.
struct Block {
    pace: Pace,
    clock: Clock,
    until_nanos: u64,
    sent: Vec<Option<Sent>>,
    index: u64,
    latencies: Latencies,
    accepted: u64,
    turned_away: u64,
    open_fate: Vec<Sent>,
}

impl Load {
    /// Opens `connections` connections to the wallet at `address`.
    ///
    /// # Errors
    /// If nobody listens there.
    pub fn open(
        address: SocketAddr,
        token: &str,
        connections: usize,
        books: Books,
        first: u64,
    ) -> anyhow::Result<Self> {
        let connections =
            (0..connections).map(|_| Connection::open(address)).collect::<Result<Vec<_>, _>>()?;
        connections.iter().try_for_each(Connection::stop_waiting)?;
        let request = Vec::with_capacity(1024);
        Ok(Self { address, token: token.to_owned(), connections, books, next: first, request })
    }

    /// Closes the connections; the books and the first number that is free.
    #[must_use]
    pub fn close(self) -> (Books, u64) {
        (self.books, self.next)
    }

    /// One block of `nanos`.
    ///
    /// # Errors
    /// If a connection breaks, or a transfer is refused: accounts have the funds, so it may not be.
    pub fn run(&mut self, pace: Pace, nanos: u64) -> anyhow::Result<Answered> {
        let mut block = Block {
            pace,
            clock: Clock::start(),
            until_nanos: nanos,
            sent: vec![None; self.connections.len()],
            index: 0,
            latencies: Latencies::new(),
            accepted: 0,
            turned_away: 0,
            open_fate: Vec::new(),
        };
        loop {
            let next_due = self.send_due(&mut block)?;
            if next_due.is_none() && block.sent.iter().all(Option::is_none) {
                break;
            }
            self.receive(&mut block, next_due)?;
        }
        for sent in std::mem::take(&mut block.open_fate) {
            self.settle(sent)?;
        }
        let seconds = std::time::Duration::from_nanos(nanos).as_secs_f64();
        Ok(Answered {
            latencies: block.latencies,
            accepted_per_second: f64::from(u32::try_from(block.accepted)?) / seconds,
            turned_away: block.turned_away,
        })
    }

    /// Sends what is due on free connections. When the next one is due, if a free connection waits
    /// for it; `None` when nothing more is to be sent now.
    fn send_due(&mut self, block: &mut Block) -> anyhow::Result<Option<u64>> {
        for connection in 0..self.connections.len() {
            if block.sent.get(connection).is_some_and(Option::is_some) {
                continue;
            }
            let now = block.clock.nanos();
            let due = block.pace.due_nanos(block.index).unwrap_or(now);
            if due >= block.until_nanos || now >= block.until_nanos {
                return Ok(None);
            }
            if due > now {
                return Ok(Some(due));
            }
            let sent = self.send(connection, due)?;
            *block.sent.get_mut(connection).expect("one place for each connection") = Some(sent);
            block.index += 1;
        }
        // Every connection is taken: the next is sent when one is free, however late.
        Ok(None)
    }

    fn send(&mut self, connection: usize, due_nanos: u64) -> anyhow::Result<Sent> {
        let number = self.next;
        self.next += 1;
        let sent = Sent { due_nanos, number, transfer: transfer(number, self.books.accounts()) };
        self.write(sent);
        self.connections.get_mut(connection).expect("counted").send(&self.request)?;
        Ok(sent)
    }

    fn write(&mut self, sent: Sent) {
        let Transfer { from, to, amount } = sent.transfer;
        let body = format!(
            "{{\"from\":\"{}\",\"to\":\"{}\",\"asset\":\"ron\",\"amount_minor\":\"{amount}\"}}",
            account_name(from),
            account_name(to)
        );
        let key = format!("bench-{}", sent.number);
        self.request.clear();
        Ask { method: "POST", path: "/v1/transfer", token: &self.token, key: &key, body: &body }
            .write(&mut self.request);
    }

    /// Waits for answers, at most until `next_due`, and takes those that are there.
    fn receive(&mut self, block: &mut Block, next_due: Option<u64>) -> anyhow::Result<()> {
        let now = block.clock.nanos();
        let wait = next_due.map_or(LOOK_EVERY_NANOS, |due| due.saturating_sub(now).min(LOOK_EVERY_NANOS));
        let timeout = Timespec { tv_sec: 0, tv_nsec: wait.try_into().expect("below a second") };
        let fds = self.connections.iter().map(Connection::fd).collect::<Vec<_>>();
        let mut waiting: Vec<PollFd<'_>> = fds.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        poll(&mut waiting, Some(&timeout)).context("waiting for answers")?;
        let ready: Vec<usize> = waiting
            .iter()
            .enumerate()
            .filter(|(_, fd)| !fd.revents().is_empty())
            .map(|(index, _)| index)
            .collect();
        for index in ready {
            let connection = self.connections.get_mut(index).expect("one descriptor for each connection");
            let Some(reply) = connection.receive()? else { continue };
            let place = block.sent.get_mut(index).expect("one place for each connection");
            let sent = place.take().context("an answer without a request")?;
            let now = block.clock.nanos();
            match reply.status {
                200 => {
                    block.latencies.record(sent.due_nanos, now);
                    block.accepted += u64::from(now <= block.until_nanos);
                    self.books.enter(sent.transfer);
                }
                429 => block.turned_away += 1,
                // Turned away at the door, or taken and not known: asked again later, with the same key.
                503 | 408 => {
                    block.turned_away += 1;
                    block.open_fate.push(sent);
                }
                status => {
                    let text = String::from_utf8_lossy(reply.body);
                    anyhow::bail!("transfer {} was refused: {status} {text}", sent.number)
                }
            }
        }
        Ok(())
    }

    /// Sends a request again, with its key, until its fate is known.
    fn settle(&mut self, sent: Sent) -> anyhow::Result<()> {
        self.write(sent);
        for _ in 0..TRIES_MAX {
            let mut connection = Connection::open(self.address)?;
            connection.send(&self.request)?;
            let status = loop {
                if let Some(reply) = connection.receive()? {
                    break reply.status;
                }
            };
            if status == 200 {
                self.books.enter(sent.transfer);
                return Ok(());
            }
            ensure!(
                matches!(status, 408 | 409 | 429 | 503),
                "transfer {} was refused: {status}",
                sent.number
            );
            crate::node_process::rest(std::time::Duration::from_millis(50));
        }
        anyhow::bail!("the fate of transfer {} is open after {TRIES_MAX} tries", sent.number)
    }
}

/// The name of an account of the run.
#[must_use]
pub fn account_name(account: usize) -> String {
    format!("bench_{account}")
}

/// Two accounts and an amount without locality, the same for the same number.
fn transfer(number: u64, accounts: usize) -> Transfer {
    let mut state = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut below = |bound: usize| {
        // xorshift64* (G. Marsaglia, "Xorshift RNGs", 2003; S. Vigna, 2016).
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        let bound = u64::try_from(bound).expect("a bound fits in 64 bits");
        usize::try_from((state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % bound).expect("below a usize")
    };
    let from = below(accounts);
    let to = (from + 1 + below(accounts - 1)) % accounts;
    Transfer { from, to, amount: i128::try_from(1 + below(99)).expect("a small number") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfers_are_between_two_accounts_of_the_run() {
        let mut seen = std::collections::BTreeSet::new();
        for number in 0..10_000 {
            let Transfer { from, to, amount } = transfer(number, 100);
            assert!(from < 100 && to < 100 && from != to && (1..100).contains(&amount), "{number}");
            seen.insert((from, to));
        }
        assert!(seen.len() > 5_000, "they are spread: {}", seen.len());
    }
}
