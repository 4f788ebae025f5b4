//! `Payer`: one connection's traffic, and what its answers left in hand.
//!
//! Holds: one request at a time; a request is in hand, open, or was never sent. What is open when
//! the connection breaks is sent again with the same key. Leaves to others: when to stop, the kill.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use client::{Client, ClientError, Reply};
use engine::monotonic;
use model::Nanos;
use serde_json::Value;
use tokio::{sync::watch, time::timeout};
use wire::usage::{Tally as Usage, Totals};

use super::{
    latency::Latencies,
    meter::Meter,
    plan::{ASSET, Kind, Wish, Write, payer_account, wish},
    violation::{DemoError, Violation, same},
};

/// How long one answer may take, and one request with all its repeats.
const ANSWER_MAX: Duration = Duration::from_secs(20);
const SETTLED_MAX: Nanos = Nanos::from_secs(60);
/// Between two sendings of a request that the node cannot take yet.
const PAUSE: Duration = Duration::from_millis(5);
/// Answers that are asked for again after a restart, by each payer.
const REPEATED: usize = 20;

/// An answer in hand: what a client would keep.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) write: Write,
    /// The entry that keeps it.
    pub(crate) seq: u64,
    pub(crate) status: u16,
    pub(crate) body: Box<[u8]>,
}

/// What a payer did besides its writes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Balances read, each one that the account had at the sequence told.
    pub(crate) reads: u64,
    /// Requests sent again; each answer was the first one, byte for byte.
    pub(crate) repeats: u64,
    /// Requests whose fate was open at the kill.
    pub(crate) settled: u64,
    /// Times that the node could not take a request yet.
    pub(crate) waits: u64,
}

/// One connection's traffic.
#[derive(Debug)]
pub(crate) struct Payer {
    index: u16,
    step: u64,
    nonce: u64,
    /// The balance by the account's sequence; the last one stands now.
    balances: Vec<i128>,
    seq_read: u64,
    meter: Option<Arc<Meter>>,
    /// What was counted of its writes.
    pub(crate) usage: Totals,
    open: Option<Write>,
    pub(crate) held: Vec<Held>,
    pub(crate) tally: Tally,
    pub(crate) writes: Latencies,
    pub(crate) reads: Latencies,
    /// How the connection broke, if it did.
    pub(crate) broken: Option<ClientError>,
}

impl Payer {
    pub(crate) fn new(index: u16) -> Self {
        Self {
            index,
            step: 0,
            nonce: 0,
            balances: vec![0],
            seq_read: 0,
            meter: None,
            usage: Totals::ZERO,
            open: None,
            held: Vec::new(),
            tally: Tally::default(),
            writes: Latencies::new(),
            reads: Latencies::new(),
            broken: None,
        }
    }

    pub(crate) fn index(&self) -> u16 {
        self.index
    }

    /// Counts its usage here from now on.
    pub(crate) fn meter(&mut self, meter: Arc<Meter>) {
        self.meter = Some(meter);
    }

    /// Works until it is told to stop or its connection breaks.
    pub(crate) async fn work(
        mut self,
        mut client: Client,
        stop: watch::Receiver<bool>,
        answered: Arc<AtomicU64>,
    ) -> Result<Self, DemoError> {
        self.broken = None;
        let worked = async {
            self.resume(&mut client).await?;
            while !*stop.borrow() {
                self.step(&mut client).await?;
                answered.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        };
        match worked.await {
            Err(DemoError::Client(error)) => self.broken = Some(error),
            Err(error) => return Err(error),
            Ok(()) => {}
        }
        Ok(self)
    }

    /// After a restart: the last answers read the same, and what was open is settled.
    async fn resume(&mut self, client: &mut Client) -> Result<(), DemoError> {
        for at in self.held.len().saturating_sub(REPEATED)..self.held.len() {
            self.repeat(client, at).await?;
        }
        if self.open.is_some() {
            self.send_open(client).await?;
            self.tally.settled += 1;
        }
        Ok(())
    }

    async fn step(&mut self, client: &mut Client) -> Result<(), DemoError> {
        let step = self.step;
        match wish(self.index, step) {
            Wish::Write(kind) => {
                self.open = Some(Write::new(kind, self.index, step, self.nonce, self.balance()));
                self.step += 1;
                return self.send_open(client).await;
            }
            Wish::Read => self.read(client).await?,
            Wish::Repeat => {
                // Some old answer or other, early and late ones alike.
                let drawn =
                    usize::try_from(step.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32).unwrap_or_default();
                self.repeat(client, drawn % self.held.len().max(1)).await?;
            }
        }
        self.step += 1;
        Ok(())
    }

    fn balance(&self) -> i128 {
        *self.balances.last().expect("an account begins with nothing")
    }

    async fn send_open(&mut self, client: &mut Client) -> Result<(), DemoError> {
        let write = self.open.expect("there is something to send");
        let began = monotonic();
        let reply = self.ask(client, &write).await?;
        self.writes.record(monotonic().since(began));
        let seq = write.judge(reply.status, &reply.body)?;
        let moved = i128::from(write.moved().unwrap_or(0));
        match write.kind {
            Kind::Issue => self.balances.push(write.balance + moved),
            Kind::Transfer => self.balances.push(write.balance - moved),
            Kind::Overdraw => {}
        }
        self.nonce = write.nonce_after();
        self.open = None;
        self.count(&write, &reply.body);
        self.held.push(Held { write, seq, status: reply.status, body: reply.body.as_ref().into() });
        Ok(())
    }

    /// Usage, beside the money: one request, and the bytes that went each way.
    fn count(&mut self, write: &Write, answer: &[u8]) {
        let bytes = |count: usize| u64::try_from(count).expect("a length fits in 64 bits");
        let (bytes_in, bytes_out) = (bytes(write.body().len()), bytes(answer.len()));
        let tally = Usage { requests: 1, bytes_in, bytes_out };
        if let Some(meter) = &self.meter {
            meter.count(self.index, tally);
            self.usage = self.usage.plus(tally).expect("a run's counts are small");
        }
    }

    /// Sends a request until it is answered for good: what is retryable by the node's own word is
    /// sent again with the same key.
    async fn ask(&mut self, client: &mut Client, write: &Write) -> Result<Reply, DemoError> {
        let (path, key, body) = (write.path(), write.key(), write.body());
        let began = monotonic();
        loop {
            let reply = within(&key, client.post(path, &key, body.clone().into())).await?;
            let retryable = reply.status >= 400 && reply.json()["retryable"] == Value::Bool(true);
            if !retryable {
                return Ok(reply);
            }
            if monotonic().since(began) > SETTLED_MAX {
                return Err(Violation::new(key, "an answer for good", reply.text()).into());
            }
            self.tally.waits += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn repeat(&mut self, client: &mut Client, at: usize) -> Result<(), DemoError> {
        let Some(Held { write, status, body, .. }) = self.held.get(at).cloned() else { return Ok(()) };
        let again = self.ask(client, &write).await?;
        let told = |status: u16, body: &[u8]| format!("{status} {}", String::from_utf8_lossy(body));
        same(
            format_args!("{} sent again", write.key()),
            &told(status, &body),
            &told(again.status, &again.body),
        )?;
        self.tally.repeats += 1;
        Ok(())
    }

    /// The balance may be of a moment ago, but it is one that the account had, and never an older
    /// one than was read before.
    async fn read(&mut self, client: &mut Client) -> Result<(), DemoError> {
        let account = payer_account(self.index);
        let path = format!("/v1/balance?account={account}&asset={ASSET}");
        let began = monotonic();
        let reply = within(&path, client.get(&path)).await?;
        self.reads.record(monotonic().since(began));
        let not_there_yet = reply.status == 404 && self.seq_read == 0;
        if not_there_yet {
            return Ok(());
        }
        let (balance, seq) = balance_told(&account, &reply)?;
        let at = usize::try_from(seq).ok().filter(|_| seq >= self.seq_read);
        let Some(expected) = at.and_then(|at| self.balances.get(at)) else {
            let known = format!("{} to {}", self.seq_read, self.balances.len() - 1);
            return Err(Violation::new(format_args!("account_seq of {account}"), known, seq).into());
        };
        same(format_args!("balance of {account} at sequence {seq}"), expected, &balance)?;
        self.seq_read = seq;
        self.tally.reads += 1;
        Ok(())
    }
}

/// Balance and sequence, as `/v1/balance` tells them.
pub(crate) fn balance_told(account: &str, reply: &Reply) -> Result<(i128, u64), Violation> {
    let answer = reply.json();
    let balance = answer["amount_minor"].as_str().and_then(|text| text.parse().ok());
    let told = balance.zip(answer["account_seq"].as_u64());
    told.ok_or_else(|| Violation::new(format_args!("balance of {account}"), "a balance", reply.text()))
}

/// An answer, a broken connection, or a violation if neither comes.
pub(crate) async fn within(
    what: &str,
    asked: impl Future<Output = Result<Reply, ClientError>>,
) -> Result<Reply, DemoError> {
    match timeout(ANSWER_MAX, asked).await {
        Ok(answered) => Ok(answered?),
        Err(_) => {
            let patience = format!("an answer within {} s", ANSWER_MAX.as_secs());
            Err(Violation::new(what, patience, "none").into())
        }
    }
}
