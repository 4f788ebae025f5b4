//! Counting allocates nothing: not for a record, not for a batch, not for an event.

use model::{ShardId, Timestamp};
use shard::{ConnectionId, Effects, Event, Params, Shard};
use wire::usage::{
    BatchHeader, ClientMessage, EventId, Hello, ItemOutcome, LabelId, LabelSet, Tally, Totals, UsageItem,
    UsageRecord,
};

const NOW: u64 = 1_760_631_060_000;
const LABELS: u32 = 256;

fn labels(number: u32) -> LabelSet {
    LabelSet::new(&format!("tenant-{}", number % 16), "GET", &format!("/{number}"), "s", "r")
        .expect("short labels")
}

/// A shard that a producer has greeted, with all its labels.
fn greeted(out: &mut Effects) -> Shard {
    let mut shard =
        Shard::new(Params::new("node", ShardId(0), 1, 60_000).expect("defaults")).expect("defaults");
    let now = Timestamp::from_millis(NOW);
    let hello = Hello { producer: [1; 16], epoch: 1, resume: 1, shard: ShardId(0) };
    shard.apply(now, Event::Hello(ConnectionId(1), hello), out);
    for number in 0..LABELS {
        shard.apply(now, Event::Labels(ConnectionId(1), LabelId(number), labels(number)), out);
        out.drain().for_each(drop);
    }
    shard
}

fn batch(seq: u64) -> Vec<u8> {
    let record = |number: u32| UsageRecord {
        label: LabelId(number * 7 % LABELS),
        tally: Tally { requests: 1, bytes_in: 100, bytes_out: 2_000 },
    };
    let records: Vec<_> = (0..1_000).map(record).collect();
    let header = BatchHeader {
        producer: [1; 16],
        epoch: 1,
        seq,
        window_start_millis: NOW + seq % 3 * 60_000,
        totals: Totals::ZERO,
    };
    let mut bytes = Vec::new();
    header.encode(&records, &mut bytes);
    bytes
}

#[test]
fn batches_and_events_allocate_nothing() {
    let mut out = Effects::new(64);
    let mut shard = greeted(&mut out);
    let now = Timestamp::from_millis(NOW);
    // Even the first batch: all memory was taken when the shard was made.
    let batches: Vec<_> = (1..=40).map(batch).collect();
    let items: Vec<_> = (0..1_000u32)
        .map(|number| UsageItem {
            event: EventId::new("tenant", "source", &number.to_string()),
            labels: labels(number % LABELS),
            at_millis: NOW,
            tally: Tally { requests: 1, bytes_in: 0, bytes_out: 0 },
        })
        .collect();
    let allocated = allocation_counter::measure(|| {
        for bytes in &batches {
            let Ok(Some((ClientMessage::Batch(batch), _))) = ClientMessage::parse(bytes) else {
                panic!("a batch was written")
            };
            shard.apply(now, Event::Batch(ConnectionId(1), batch), &mut out);
            assert_eq!(out.drain().count(), 1);
        }
        for item in &items {
            assert_eq!(shard.count_item(now, item), ItemOutcome::Ok);
        }
    });
    assert_eq!(shard.counters().records, 40_000);
    assert_eq!(allocated.count_total, 0, "{allocated:?}");
    // The counter counts: sealing makes bodies.
    let sealed = allocation_counter::measure(|| {
        shard.apply(Timestamp::from_millis(NOW + 200_000), Event::Tick, &mut out);
    });
    assert!(sealed.count_total > 0);
}
