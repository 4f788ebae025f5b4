//! `ClientMessage`: what a producer says to a shard.

use model::ShardId;

use super::{
    BATCH_RECORDS_MAX, CONNECTION_LABELS_MAX, FrameError, FrameFault, LabelId, LabelSet, PROTOCOL_VERSION,
    Tally, Totals,
    frame::{self, FRAME_HEADER_BYTES},
    reader::{Reader, put_text, put_totals},
};

const KIND_HELLO: u8 = 1;
const KIND_LABELS: u8 = 2;
const KIND_BATCH: u8 = 3;
const MAGIC: [u8; 4] = *b"RONu";

/// Bytes of one record: label and three numbers.
pub(crate) const RECORD_BYTES: usize = 28;
/// Bytes of a batch frame before its records.
pub(crate) const BATCH_HEADER_BYTES: usize = FRAME_HEADER_BYTES + 16 + 8 + 8 + 8 + 48 + 4;

/// The first message on a connection: who the producer is and where it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The producer's identity, drawn at random by the producer.
    pub producer: [u8; 16],
    /// Which start of the producer; grows each time, from 1. A batch of an older epoch is refused.
    pub epoch: u64,
    /// The first batch that the producer still holds, or will send next. From 1.
    pub resume: u64,
    /// The shard that it wants; tenants of other shards are refused.
    pub shard: ShardId,
}

/// What a batch says before its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// The same as in the hello.
    pub producer: [u8; 16],
    /// The same as in the hello.
    pub epoch: u64,
    /// The batch's number for this shard, from 1, no gaps inside an epoch.
    pub seq: u64,
    /// Milliseconds since 1970; the window that holds this moment is the batch's window.
    pub window_start_millis: u64,
    /// The producer's running totals for this shard and epoch, this batch included.
    pub totals: Totals,
}

/// One count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageRecord {
    /// A label set that was defined on this connection.
    pub label: LabelId,
    /// What is counted.
    pub tally: Tally,
}

impl UsageRecord {
    fn from_bytes(bytes: &[u8; RECORD_BYTES]) -> Self {
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(bytes.get(at..at + 8).expect("inside a record"));
            u64::from_le_bytes(word)
        };
        let [a, b, c, d, ..] = *bytes;
        Self {
            label: LabelId(u32::from_le_bytes([a, b, c, d])),
            tally: Tally { requests: word(4), bytes_in: word(12), bytes_out: word(20) },
        }
    }
}

/// A batch as it lies in the receive buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchView<'a> {
    /// What it says before its records.
    pub header: BatchHeader,
    payload: &'a [u8],
    records: &'a [[u8; RECORD_BYTES]],
}

impl<'a> BatchView<'a> {
    /// Its records, in order.
    pub fn records(&self) -> impl ExactSizeIterator<Item = UsageRecord> + Clone + use<'a> {
        self.records.iter().map(UsageRecord::from_bytes)
    }

    /// The first 128 bits of BLAKE3 over the payload: two batches with one number and different
    /// digests are a conflict.
    #[must_use]
    pub fn digest(&self) -> [u8; 16] {
        let mut first = [0; 16];
        first.copy_from_slice(blake3::hash(self.payload).as_bytes().split_at(16).0);
        first
    }
}

/// A message of a producer, read in place.
#[expect(clippy::large_enum_variant, reason = "a box would allocate for each label that is defined")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientMessage<'a> {
    /// Opens the conversation.
    Hello(Hello),
    /// Gives a label set its number on this connection. Said again with the same labels it has
    /// no effect; with others it is refused.
    Labels(LabelId, LabelSet),
    /// Usage.
    Batch(BatchView<'a>),
}

impl<'a> ClientMessage<'a> {
    /// Reads the first message of `bytes` and says how many bytes it took; `None` if more must
    /// arrive.
    ///
    /// # Errors
    /// Says what is wrong with the frame, and where.
    pub fn parse(bytes: &'a [u8]) -> Result<Option<(Self, usize)>, FrameError> {
        let Some(frame) = frame::split(bytes)? else { return Ok(None) };
        Self::decode(frame.kind, frame.payload).map(|message| Some((message, frame.bytes)))
    }

    pub(crate) fn decode(kind: u8, payload: &'a [u8]) -> Result<Self, FrameError> {
        let mut reader = Reader::new(payload, FRAME_HEADER_BYTES);
        match kind {
            KIND_HELLO => read_hello(reader).map(Self::Hello),
            KIND_LABELS => {
                let before = reader;
                let label = reader.u32()?;
                if label >= CONNECTION_LABELS_MAX {
                    return Err(before.fault(FrameFault::LabelId));
                }
                let before = reader;
                let labels = LabelSet {
                    tenant: reader.owned_text()?,
                    method: reader.owned_text()?,
                    route: reader.owned_text()?,
                    service: reader.owned_text()?,
                    region: reader.owned_text()?,
                };
                if labels.tenant.is_empty() {
                    return Err(before.fault(FrameFault::NoTenant));
                }
                reader.finish()?;
                Ok(Self::Labels(LabelId(label), labels))
            }
            KIND_BATCH => read_batch(reader, payload).map(Self::Batch),
            _ => Err(FrameError { at: FRAME_HEADER_BYTES - 1, fault: FrameFault::UnknownKind }),
        }
    }
}

fn read_hello(mut reader: Reader<'_>) -> Result<Hello, FrameError> {
    let before = reader;
    if reader.array::<4>()? != MAGIC {
        return Err(before.fault(FrameFault::Magic));
    }
    // Magic and version come first in every version, so that a newer hello is told apart from
    // garbage.
    let before = reader;
    if reader.u16()? != PROTOCOL_VERSION {
        return Err(before.fault(FrameFault::Version));
    }
    let shard = ShardId(reader.u16()?);
    let producer = reader.array()?;
    let before = reader;
    let (epoch, resume) = (reader.u64()?, reader.u64()?);
    if epoch == 0 || resume == 0 {
        return Err(before.fault(FrameFault::Zero));
    }
    reader.finish()?;
    Ok(Hello { producer, epoch, resume, shard })
}

fn read_batch<'a>(mut reader: Reader<'a>, payload: &'a [u8]) -> Result<BatchView<'a>, FrameError> {
    let producer = reader.array()?;
    let before = reader;
    let (epoch, seq) = (reader.u64()?, reader.u64()?);
    if epoch == 0 || seq == 0 {
        return Err(before.fault(FrameFault::Zero));
    }
    let window_start_millis = reader.u64()?;
    let totals = reader.totals()?;
    let before = reader;
    let count = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
    if count > BATCH_RECORDS_MAX {
        return Err(before.fault(FrameFault::RecordCount));
    }
    let (records, rest) = reader.take(count * RECORD_BYTES)?.as_chunks();
    assert!(rest.is_empty() && records.len() == count, "a whole number of records was taken");
    reader.finish()?;
    let header = BatchHeader { producer, epoch, seq, window_start_millis, totals };
    Ok(BatchView { header, payload, records })
}

impl Hello {
    /// Appends this message as a frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = frame::begin(out, KIND_HELLO);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&PROTOCOL_VERSION.to_le_bytes());
        out.extend_from_slice(&self.shard.0.to_le_bytes());
        out.extend_from_slice(&self.producer);
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(&self.resume.to_le_bytes());
        frame::end(out, start);
    }
}

impl LabelSet {
    /// Appends the message that gives this label set the number `label`.
    ///
    /// # Panics
    /// If `label` is not below `CONNECTION_LABELS_MAX`.
    pub fn encode(&self, label: LabelId, out: &mut Vec<u8>) {
        assert!(label.0 < CONNECTION_LABELS_MAX, "label ids are bounded");
        let start = frame::begin(out, KIND_LABELS);
        out.extend_from_slice(&label.0.to_le_bytes());
        for text in [self.tenant, self.method, self.route, self.service, self.region] {
            put_text(out, &text);
        }
        frame::end(out, start);
    }
}

impl BatchHeader {
    /// Appends a batch with these records.
    ///
    /// # Panics
    /// With more than `BATCH_RECORDS_MAX` records.
    pub fn encode(&self, records: &[UsageRecord], out: &mut Vec<u8>) {
        assert!(records.len() <= BATCH_RECORDS_MAX, "batches are bounded");
        let start = frame::begin(out, KIND_BATCH);
        out.extend_from_slice(&self.producer);
        for word in [self.epoch, self.seq, self.window_start_millis] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        put_totals(out, &self.totals);
        let count = u32::try_from(records.len()).expect("bounded above");
        out.extend_from_slice(&count.to_le_bytes());
        for record in records {
            out.extend_from_slice(&record.label.0.to_le_bytes());
            for word in [record.tally.requests, record.tally.bytes_in, record.tally.bytes_out] {
                out.extend_from_slice(&word.to_le_bytes());
            }
        }
        frame::end(out, start);
    }
}
