//! `ProducerMachine`: a producer's half of the conversation, without a socket.
//!
//! Counts gather by window and label; `flush` makes batches of them; a batch is kept until the
//! shard calls it durable, and is sent again on every new connection until then.
//! Holds: memory is bounded; what finds no room is counted as dropped, what the shard rejects
//! for good as lost, so nothing disappears without a number.
//! Leaves to others: sockets, time and threads (`producer`).

use std::collections::{BTreeMap, VecDeque};

use model::ShardId;

use super::{
    BATCH_RECORDS_MAX, BatchHeader, CONNECTION_LABELS_MAX, ClientMessage, Hello, LabelId, LabelSet, Refusal,
    Rejection, ServerMessage, Tally, Totals, UsageRecord,
};

/// Bytes that one call of `output` appends before it stops.
const OUTPUT_BYTES: usize = 64 << 10;

/// How a producer is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerParams {
    /// Its identity: drawn at random, or kept with an epoch that grows at each start.
    pub producer: [u8; 16],
    /// Which start of it, from 1.
    pub epoch: u64,
    /// The shard that it speaks to.
    pub shard: ShardId,
    /// Bytes of batches that are kept until they are durable; above it counts gather.
    pub unacked_bytes_max: usize,
    /// Counts, each of one label in one window, that gather at once; above it they are dropped.
    pub gathering_max: usize,
}

impl ProducerParams {
    /// A producer with the usual bounds: 16 MiB of batches, 65,536 counts.
    #[must_use]
    pub const fn new(producer: [u8; 16], epoch: u64, shard: ShardId) -> Self {
        Self { producer, epoch, shard, unacked_bytes_max: 16 << 20, gathering_max: 65_536 }
    }
}

/// How a producer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ProducerStatus {
    /// The last batch that was made.
    pub made: u64,
    /// Every batch up to here is in the ledger.
    pub durable: u64,
    /// Batches that are kept.
    pub unacked: usize,
    /// Counts that are not in a batch yet.
    pub gathering: usize,
    /// What was recorded, dropped and lost included.
    pub recorded: Totals,
    /// What found no room.
    pub dropped: Totals,
    /// What the shard rejected for good.
    pub lost: Totals,
    /// Batches that were rejected for good.
    pub batches_lost: u64,
    /// Records that the shard did not count on this connection because their label was refused.
    pub records_refused: u64,
    /// Label sets that the shard refused.
    pub labels_refused: u64,
    /// How many shards the node has, once it has said so.
    pub shards: Option<u16>,
}

#[derive(Debug)]
struct Unacked {
    seq: u64,
    bytes: Vec<u8>,
    totals: Totals,
}

/// What has been said on the connection in hand.
#[derive(Debug, Default)]
struct Conversation {
    hello_said: bool,
    is_welcome: bool,
    labels_said: usize,
    /// The next batch to send.
    cursor: u64,
    /// The highest batch that may be sent.
    limit: u64,
}

/// A producer for one shard.
#[derive(Debug)]
pub struct ProducerMachine {
    params: ProducerParams,
    labels: Vec<LabelSet>,
    by_labels: BTreeMap<LabelSet, LabelId>,
    window_millis: u64,
    gathering: BTreeMap<(u64, LabelId), Totals>,
    unacked: VecDeque<Unacked>,
    unacked_bytes: usize,
    totals: Totals,
    conversation: Option<Conversation>,
    status: ProducerStatus,
}

impl ProducerMachine {
    /// A producer that has sent nothing.
    ///
    /// # Panics
    /// If the epoch is zero.
    #[must_use]
    pub fn new(params: ProducerParams) -> Self {
        assert!(params.epoch > 0, "epochs begin at one");
        Self {
            params,
            labels: Vec::new(),
            by_labels: BTreeMap::new(),
            window_millis: 1_000,
            gathering: BTreeMap::new(),
            unacked: VecDeque::new(),
            unacked_bytes: 0,
            totals: Totals::ZERO,
            conversation: None,
            status: ProducerStatus::default(),
        }
    }

    /// The number of a label set. When there are no more numbers, the one of its tenant's
    /// overflow row, and `None` when there is not even that: then its usage can only be dropped.
    pub fn label(&mut self, labels: &LabelSet) -> Option<LabelId> {
        let overflow = LabelSet::overflow(labels.tenant);
        let known = self.by_labels.get(labels).copied();
        // The last eighth of the numbers is for overflow rows.
        let used = u32::try_from(self.labels.len()).expect("bounded by CONNECTION_LABELS_MAX");
        let room = if *labels == overflow { CONNECTION_LABELS_MAX } else { CONNECTION_LABELS_MAX / 8 * 7 };
        match known {
            Some(label) => Some(label),
            None if used < room => {
                self.labels.push(*labels);
                self.by_labels.insert(*labels, LabelId(used));
                Some(LabelId(used))
            }
            None if *labels == overflow => None,
            None => self.label(&overflow),
        }
    }

    /// Counts usage that happened at `at_millis` since 1970.
    pub fn record(&mut self, label: LabelId, at_millis: u64, tally: Tally) {
        let window = at_millis - at_millis % self.window_millis;
        self.status.recorded = sum(self.status.recorded, tally.into());
        let is_full = self.gathering.len() >= self.params.gathering_max;
        match self.gathering.get_mut(&(window, label)) {
            Some(totals) => *totals = sum(*totals, tally.into()),
            None if is_full => self.drop_usage(tally.into()),
            None => {
                self.gathering.insert((window, label), tally.into());
            }
        }
    }

    /// Counts usage that has no label: it is dropped, and said to be.
    pub fn drop_usage(&mut self, totals: Totals) {
        self.status.dropped = sum(self.status.dropped, totals);
    }

    /// Makes batches of what has gathered, one or more for each window, as far as there is room
    /// to keep them.
    pub fn flush(&mut self) {
        while let Some(((window, _), _)) = self.gathering.first_key_value() {
            if self.unacked_bytes >= self.params.unacked_bytes_max {
                return;
            }
            let window = *window;
            let mut records = Vec::new();
            let mut totals = Totals::ZERO;
            while records.len() < BATCH_RECORDS_MAX {
                let Some(entry) = self.gathering.first_entry() else { break };
                if entry.key().0 != window {
                    break;
                }
                let (label, (tally, rest)) = (entry.key().1, split(*entry.get()));
                totals = sum(totals, tally.into());
                records.push(UsageRecord { label, tally });
                // What is above 64 bits goes into another record.
                if rest.is_zero() {
                    entry.remove();
                } else {
                    *entry.into_mut() = rest;
                }
            }
            self.make_batch(window, &records, totals);
        }
    }

    fn make_batch(&mut self, window_start_millis: u64, records: &[UsageRecord], totals: Totals) {
        self.status.made += 1;
        self.totals = sum(self.totals, totals);
        let seq = self.status.made;
        let header = BatchHeader {
            producer: self.params.producer,
            epoch: self.params.epoch,
            seq,
            window_start_millis,
            totals: self.totals,
        };
        let mut bytes = Vec::new();
        header.encode(records, &mut bytes);
        self.unacked_bytes += bytes.len();
        self.unacked.push_back(Unacked { seq, bytes, totals });
    }

    /// A connection is up: begins the conversation anew.
    pub fn connected(&mut self) {
        self.conversation = Some(Conversation::default());
        self.status.records_refused = 0;
    }

    /// The connection is gone.
    pub fn disconnected(&mut self) {
        self.conversation = None;
    }

    /// Whether the shard has answered the hello.
    #[must_use]
    pub fn is_welcome(&self) -> bool {
        self.conversation.as_ref().is_some_and(|conversation| conversation.is_welcome)
    }

    /// Appends what is to be sent now, some 64 KiB at a time; `true` if there is more.
    pub fn output(&mut self, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        let resume = self.resume();
        let Some(conversation) = &mut self.conversation else { return false };
        if !conversation.hello_said {
            let ProducerParams { producer, epoch, shard, .. } = self.params;
            Hello { producer, epoch, resume, shard }.encode(out);
            conversation.hello_said = true;
        }
        if !conversation.is_welcome {
            return false;
        }
        while out.len() - start < OUTPUT_BYTES {
            if let Some(labels) = self.labels.get(conversation.labels_said) {
                let label = u32::try_from(conversation.labels_said).expect("labels are bounded");
                labels.encode(LabelId(label), out);
                conversation.labels_said += 1;
                continue;
            }
            let Some(place) = conversation.cursor.checked_sub(resume) else { return false };
            let place = usize::try_from(place).expect("an index");
            let Some(unacked) = self.unacked.get(place) else { return false };
            if unacked.seq > conversation.limit {
                return false;
            }
            assert!(unacked.seq == conversation.cursor, "batches are kept without gaps");
            out.extend_from_slice(&unacked.bytes);
            conversation.cursor += 1;
        }
        true
    }

    /// The shard has said something.
    ///
    /// # Errors
    /// The shard closes the connection, and why. `Refusal::Order` also when the shard says what it
    /// never should.
    pub fn hear(&mut self, message: &ServerMessage) -> Result<(), Refusal> {
        let resume = self.resume();
        let Some(conversation) = &mut self.conversation else { return Ok(()) };
        match *message {
            ServerMessage::Welcome { shard, shards, window_millis, next, limit } => {
                if shard != self.params.shard || next < resume || next > self.status.made + 1 {
                    return Err(Refusal::Order);
                }
                conversation.is_welcome = true;
                (conversation.cursor, conversation.limit) = (next, limit);
                self.status.shards = Some(shards);
                self.window_millis = u64::from(window_millis.max(1));
            }
            ServerMessage::Received { limit, records_refused, .. } => {
                conversation.limit = limit;
                self.status.records_refused = records_refused;
            }
            ServerMessage::Credit { limit } => conversation.limit = limit,
            ServerMessage::Durable { through } => {
                if through > self.status.made {
                    return Err(Refusal::Order);
                }
                self.forget(through);
            }
            ServerMessage::Rejected { seq, why } => self.rejected(seq, why),
            ServerMessage::LabelRefused { .. } => self.status.labels_refused += 1,
            ServerMessage::Refused(why) => return Err(why),
        }
        Ok(())
    }

    fn rejected(&mut self, seq: u64, why: Rejection) {
        let Some(conversation) = &mut self.conversation else { return };
        match why {
            Rejection::Duplicate => {}
            Rejection::Conflict | Rejection::Late | Rejection::Skewed => self.lose(seq),
            // Batches are taken in order, so what follows the refused one is refused as a gap;
            // the lowest one that is named is where to go on.
            Rejection::Gap { expected } => conversation.cursor = conversation.cursor.min(expected),
            Rejection::Busy => conversation.cursor = conversation.cursor.min(seq),
            Rejection::UnknownLabel => {
                conversation.labels_said = 0;
                conversation.cursor = conversation.cursor.min(seq);
            }
        }
    }

    /// The batch will never be counted. Its number stays in use: sent again to a shard that has
    /// forgotten it, it is an empty batch.
    fn lose(&mut self, seq: u64) {
        let found = seq.checked_sub(self.resume()).and_then(|place| usize::try_from(place).ok());
        let Some(unacked) = found.and_then(|place| self.unacked.get_mut(place)) else { return };
        let Ok(Some((ClientMessage::Batch(batch), _))) = ClientMessage::parse(&unacked.bytes) else {
            unreachable!("what was written reads back")
        };
        let header = batch.header;
        if batch.records().len() == 0 {
            return;
        }
        self.status.lost = sum(self.status.lost, unacked.totals);
        self.status.batches_lost += 1;
        self.unacked_bytes -= unacked.bytes.len();
        unacked.totals = Totals::ZERO;
        unacked.bytes = Vec::new();
        header.encode(&[], &mut unacked.bytes);
        self.unacked_bytes += unacked.bytes.len();
    }

    fn forget(&mut self, through: u64) {
        while self.unacked.front().is_some_and(|unacked| unacked.seq <= through) {
            let unacked = self.unacked.pop_front().expect("looked at just now");
            self.unacked_bytes -= unacked.bytes.len();
        }
        self.status.durable = self.status.durable.max(through);
        if let Some(conversation) = &mut self.conversation {
            conversation.cursor = conversation.cursor.max(through + 1);
        }
    }

    /// The first batch that is still kept, or the next one.
    fn resume(&self) -> u64 {
        self.unacked.front().map_or(self.status.made + 1, |unacked| unacked.seq)
    }

    /// How the producer stands.
    #[must_use]
    pub fn status(&self) -> ProducerStatus {
        ProducerStatus { unacked: self.unacked.len(), gathering: self.gathering.len(), ..self.status }
    }
}

fn sum(left: Totals, right: Totals) -> Totals {
    left.join(right).expect("128 bits hold 2^64 tallies")
}

/// As much of `totals` as one record holds, and the rest.
fn split(totals: Totals) -> (Tally, Totals) {
    let part = |sum: u128| u64::try_from(sum).unwrap_or(u64::MAX);
    let tally = Tally {
        requests: part(totals.requests),
        bytes_in: part(totals.bytes_in),
        bytes_out: part(totals.bytes_out),
    };
    let rest = Totals {
        requests: totals.requests - u128::from(tally.requests),
        bytes_in: totals.bytes_in - u128::from(tally.bytes_in),
        bytes_out: totals.bytes_out - u128::from(tally.bytes_out),
    };
    (tally, rest)
}

#[cfg(test)]
mod tests;
