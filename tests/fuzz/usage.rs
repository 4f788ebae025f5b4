//! What the accounting socket and the ledger take from others: frames and bodies of slices.

use model::{ShardId, Text};
use wire::usage::{
    BatchHeader, ClientMessage, FrameBuffer, Hello, LabelId, LabelRefusal, LabelSet, ProducerRange, Refusal,
    Rejection, ServerMessage, SliceBody, SliceBodyWriter, SliceHeader, Tally, Totals, UsageRecord,
};

use super::harness::Target;

fn text(text: &str) -> Text {
    Text::new(text).unwrap()
}

fn client_frames() -> Vec<Vec<u8>> {
    let mut seeds = vec![Vec::new(); 4];
    Hello { producer: [7; 16], epoch: 3, resume: 9, shard: ShardId(0) }.encode(&mut seeds[0]);
    let labels = LabelSet::new("acme", "GET", "/v1/o/:id", "svc-gateway", "eu").unwrap();
    labels.encode(LabelId(5), &mut seeds[1]);
    let header = BatchHeader {
        producer: [7; 16],
        epoch: 3,
        seq: 9,
        window_start_millis: 1_760_631_060_000,
        totals: Totals { requests: 1, bytes_in: 2, bytes_out: 3 },
    };
    let tally = Tally { requests: 1, bytes_in: 2, bytes_out: 3 };
    header.encode(&[UsageRecord { label: LabelId(5), tally }; 3], &mut seeds[2]);
    seeds[3] = seeds[..3].concat();
    seeds
}

/// Feeds bytes as a socket would, piece by piece, and takes out what is whole.
fn feed(bytes: &[u8], mut take: impl FnMut(&mut FrameBuffer) -> Result<bool, String>) -> Result<(), String> {
    let mut buffer = FrameBuffer::new();
    for piece in bytes.chunks(100) {
        let mut rest = piece;
        while !rest.is_empty() {
            let space = buffer.space();
            assert!(!space.is_empty(), "there is always room once whole frames are taken out");
            let count = space.len().min(rest.len());
            space[..count].copy_from_slice(&rest[..count]);
            buffer.filled(count);
            rest = &rest[count..];
            while take(&mut buffer)? {}
        }
    }
    if buffer.waiting() == 0 { Ok(()) } else { Err("Unfinished".into()) }
}

#[test]
fn frames_of_producers() {
    let target = Target {
        name: "usage_client",
        times: 10,
        seeds: client_frames(),
        repair: None,
        fixed: 16 << 10,
        factor: 8,
        refusals: &[
            "\"TooLarge\"",
            "\"Truncated\"",
            "\"Trailing\"",
            "\"UnknownKind\"",
            "\"Magic\"",
            "\"Version\"",
            "\"TextTooLong\"",
            "\"TextNotPrintable\"",
            "\"LabelId\"",
            "\"Zero\"",
            "\"Unfinished\"",
        ],
    };
    target.run(
        |bytes| {
            feed(bytes, |buffer| {
                let message = buffer.client().map_err(|error| format!("{:?}", error.fault))?;
                if let Some(ClientMessage::Batch(batch)) = message {
                    assert!(batch.records().len() <= wire::usage::BATCH_RECORDS_MAX);
                }
                Ok(message.is_some())
            })
        },
        |bytes| {
            let mut rest = bytes;
            let mut again = Vec::new();
            while let Some((message, taken)) = ClientMessage::parse(rest).unwrap() {
                match message {
                    ClientMessage::Hello(hello) => hello.encode(&mut again),
                    ClientMessage::Labels(label, labels) => labels.encode(label, &mut again),
                    ClientMessage::Batch(batch) => {
                        let records: Vec<_> = batch.records().collect();
                        batch.header.encode(&records, &mut again);
                    }
                }
                rest = &rest[taken..];
            }
            assert_eq!(again, bytes);
        },
    );
}

#[test]
fn frames_of_shards() {
    let messages = [
        ServerMessage::Welcome { shard: ShardId(0), shards: 2, window_millis: 1000, next: 4, limit: 9 },
        ServerMessage::Received { seq: 5, limit: 9, records_refused: 1 },
        ServerMessage::Durable { through: 5 },
        ServerMessage::Credit { limit: 12 },
        ServerMessage::Rejected { seq: 6, why: Rejection::Gap { expected: 5 } },
        ServerMessage::LabelRefused { label: LabelId(4), why: LabelRefusal::TenantLimit },
        ServerMessage::Refused(Refusal::StaleEpoch { current: 8 }),
    ];
    let encode = |message: &ServerMessage| {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        bytes
    };
    let target = Target {
        name: "usage_server",
        times: 10,
        seeds: messages.iter().map(encode).collect(),
        repair: None,
        fixed: 16 << 10,
        factor: 8,
        refusals: &["\"TooLarge\"", "\"Truncated\"", "\"Trailing\"", "\"UnknownKind\"", "\"UnknownCode\""],
    };
    target.run(
        |bytes| {
            feed(bytes, |buffer| Ok(buffer.server().map_err(|error| format!("{:?}", error.fault))?.is_some()))
        },
        |bytes| {
            let mut buffer = FrameBuffer::new();
            let mut again = Vec::new();
            for byte in bytes {
                buffer.space()[0] = *byte;
                buffer.filled(1);
                while let Some(message) = buffer.server().unwrap() {
                    message.encode(&mut again);
                }
            }
            assert_eq!(again, bytes);
        },
    );
}

#[test]
fn bodies_of_slices() {
    let header = SliceHeader {
        tenant: text("t-123"),
        stream: text("node.shard-0-of-1"),
        number: 4,
        window_start_millis: 1_760_631_060_000,
        window_millis: 60_000,
        previous: [9; 32],
    };
    let range = |from, to| ProducerRange { producer: [1; 16], epoch: 1, from, to, through: to };
    let mut writer = SliceBodyWriter::new(&header, &[range(1, 5), range(7, 7)]);
    for route in ["/a", "/b"] {
        let totals = Totals { requests: 1 << 100, bytes_in: 2, bytes_out: 3 };
        writer.row(&[text("GET"), text(route), text("svc"), text("eu")], &totals);
    }
    let target = Target {
        name: "slice_body",
        times: 1,
        seeds: vec![writer.finish().0, SliceBodyWriter::new(&header, &[]).finish().0],
        repair: None,
        fixed: 0,
        factor: 0,
        refusals: &["Field", "Version", "TooLarge", "Identity", "Order", "Range"],
    };
    target.run(
        |bytes| SliceBody::decode(bytes).map(drop),
        |bytes| {
            let body = SliceBody::decode(bytes).unwrap();
            let mut writer = SliceBodyWriter::new(&body.header, &body.ranges().collect::<Vec<_>>());
            for row in body.rows() {
                writer.row(&row.labels.map(text), &row.totals);
            }
            let (again, _, totals) = writer.finish();
            assert_eq!((again.as_slice(), totals), (bytes, body.totals), "a body is canonical");
        },
    );
}
