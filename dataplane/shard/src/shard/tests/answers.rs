//! Answers one by one: what each event gives in each state.

use model::{ShardId, Text};
use wire::usage::{
    BatchHeader, ClientMessage, EventId, ItemOutcome, ItemRefusal, Rejection, SliceBody, Tally, Totals,
    UsageItem, UsageQuery, UsageRecord,
};

use super::{super::*, params};

/// 2025-10-16T16:11:00Z, the start of a window.
const START: u64 = 1_760_631_060_000;

struct Bench {
    shard: Shard,
    out: Effects,
    now: u64,
    exports: Vec<SliceRequest>,
}

impl Bench {
    fn new(params: Params) -> Self {
        let shard = Shard::new(params).unwrap();
        Self { shard, out: Effects::new(16), now: START, exports: Vec::new() }
    }

    /// Applies an event and all that follows; returns replies, and `None` for each close.
    fn apply(&mut self, event: Event<'_>) -> Vec<(u64, Option<ServerMessage>)> {
        let mut replies = Vec::new();
        let mut next = Some(event);
        while let Some(event) = next.take() {
            self.shard.apply(Timestamp::from_millis(self.now), event, &mut self.out);
            for effect in self.out.drain() {
                match effect {
                    Effect::Reply(connection, message) => replies.push((connection.0, Some(message))),
                    Effect::Close(connection) => replies.push((connection.0, None)),
                    Effect::Export { request, .. } => self.exports.push(request),
                }
            }
            if !self.shard.is_idle() {
                next = Some(Event::Tick);
            }
        }
        self.shard.check();
        replies
    }

    fn hello(&mut self, connection: u64, hello: Hello) -> Vec<(u64, Option<ServerMessage>)> {
        self.apply(Event::Hello(ConnectionId(connection), hello))
    }

    fn label(&mut self, connection: u64, label: u32, tenant: &str, route: &str) -> Option<LabelRefusal> {
        let labels = LabelSet::new(tenant, "GET", route, "s", "r").unwrap();
        let replies = self.apply(Event::Labels(ConnectionId(connection), LabelId(label), labels));
        replies.into_iter().find_map(|(_, message)| match message {
            Some(ServerMessage::LabelRefused { why, .. }) => Some(why),
            _ => None,
        })
    }

    fn batch(&mut self, connection: u64, seq: u64, at: u64, labels: &[u32]) -> Vec<Option<ServerMessage>> {
        let tally = Tally { requests: 1, bytes_in: 2, bytes_out: 3 };
        let records: Vec<_> =
            labels.iter().map(|label| UsageRecord { label: LabelId(*label), tally }).collect();
        let header =
            BatchHeader { producer: [1; 16], epoch: 1, seq, window_start_millis: at, totals: Totals::ZERO };
        let mut bytes = Vec::new();
        header.encode(&records, &mut bytes);
        let Ok(Some((ClientMessage::Batch(batch), _))) = ClientMessage::parse(&bytes) else {
            panic!("a batch was written")
        };
        let replies = self.apply(Event::Batch(ConnectionId(connection), batch));
        replies.into_iter().map(|(_, message)| message).collect()
    }

    fn durable(&mut self) -> Vec<Option<ServerMessage>> {
        let mut replies = Vec::new();
        for request in std::mem::take(&mut self.exports) {
            let (stream, number) = (request.slice.stream, request.slice.number);
            replies.extend(self.apply(Event::SliceDurable { stream, number }));
        }
        replies.into_iter().map(|(_, message)| message).collect()
    }

    fn item(&mut self, id: &str, tenant: &str, at_millis: u64) -> ItemOutcome {
        let item = UsageItem {
            event: EventId::new(tenant, "source", id),
            labels: LabelSet::new(tenant, "GET", id, "s", "r").unwrap(),
            at_millis,
            tally: Tally { requests: 1, bytes_in: 0, bytes_out: 0 },
        };
        self.shard.count_item(Timestamp::from_millis(self.now), &item)
    }

    fn query(&self, tenant: &str) -> Vec<(u64, bool, u128)> {
        let tenant = Text::new(tenant).unwrap();
        let query = UsageQuery { tenant, from_millis: 0, to_millis: u64::MAX };
        let sum = |rows: &[wire::usage::UsageRow]| rows.iter().map(|row| row.totals.requests).sum();
        let windows = self.shard.windows(&query);
        windows.iter().map(|window| (window.start_millis, window.is_final, sum(&window.rows))).collect()
    }
}

fn hello() -> Hello {
    Hello { producer: [1; 16], epoch: 1, resume: 1, shard: ShardId(0) }
}

/// A producer that has said hello as connection 1 and defined label 0 of tenant `acme`.
fn greeted() -> Bench {
    let mut bench = Bench::new(params());
    let welcome =
        ServerMessage::Welcome { shard: ShardId(0), shards: 1, window_millis: 1_000, next: 1, limit: 8 };
    assert_eq!(bench.hello(1, hello()), [(1, Some(welcome))]);
    assert_eq!(bench.label(1, 0, "acme", "/"), None);
    bench
}

fn received(seq: u64) -> Option<ServerMessage> {
    Some(ServerMessage::Received { seq, limit: seq + 8, records_refused: 0 })
}

fn rejected(seq: u64, why: Rejection) -> Option<ServerMessage> {
    Some(ServerMessage::Rejected { seq, why })
}

#[test]
fn a_batch_is_received_and_then_durable() {
    let mut bench = greeted();
    assert_eq!(bench.batch(1, 1, START, &[0, 0]), [received(1)]);
    assert_eq!(bench.query("acme"), [(START, false, 2)]);
    bench.now = START + 1_000;
    assert_eq!(bench.apply(Event::Tick), [], "the grace is not over");
    bench.now = bench.shard.due().unwrap().as_millis();
    assert_eq!(bench.apply(Event::Tick), []);
    assert_eq!((bench.exports.len(), bench.shard.backlog()), (1, 1));
    assert_eq!(bench.query("acme"), [(START, false, 2)]);
    let body = SliceBody::decode(&bench.exports[0].body).unwrap();
    let ranges: Vec<_> = body.ranges().map(|range| (range.from, range.to, range.through)).collect();
    assert_eq!(ranges, [(1, 1, 1)]);
    assert_eq!(bench.durable(), [Some(ServerMessage::Durable { through: 1 })]);
    assert_eq!((bench.shard.backlog(), bench.query("acme")), (0, vec![(START, true, 2)]));
    assert_eq!(bench.shard.due(), None);
    assert_eq!(bench.batch(1, 2, START, &[0]), [received(2)], "late: a correction");
    assert_eq!(bench.query("acme"), [(START, false, 3)]);
    bench.now += 1_000;
    bench.apply(Event::Tick);
    assert_eq!(bench.exports[0].slice.number, 2);
    assert_eq!(bench.exports[0].slice.window_start_millis, START);
    bench.durable();
    assert_eq!(bench.query("acme"), [(START, true, 3)]);
    bench.now += 10_000;
    bench.apply(Event::Tick);
    assert_eq!(bench.query("acme"), [], "older windows are forgotten");
}

#[test]
fn batches_that_are_not_counted_say_why() {
    let mut bench = greeted();
    let far = START + params().ahead_millis_max + 1_000;
    assert_eq!(bench.batch(1, 1, START, &[0]), [received(1)]);
    assert_eq!(bench.batch(1, 1, START, &[0]), [rejected(1, Rejection::Duplicate)]);
    assert_eq!(bench.batch(1, 1, START, &[0, 0]), [rejected(1, Rejection::Conflict)]);
    assert_eq!(bench.batch(1, 3, START, &[0]), [rejected(3, Rejection::Gap { expected: 2 })]);
    assert_eq!(bench.batch(1, 2, START, &[9]), [rejected(2, Rejection::UnknownLabel)]);
    assert_eq!(bench.batch(1, 2, far, &[0]), [rejected(2, Rejection::Skewed), received(2)]);
    assert_eq!(bench.batch(1, 3, 0, &[0]), [rejected(3, Rejection::Late), received(3)]);
    assert_eq!(bench.batch(1, 4, u64::MAX, &[0]), [rejected(4, Rejection::Skewed), received(4)]);
    assert_eq!(bench.shard.counters().rejected, [1, 1, 1, 1, 2, 0, 1]);
    assert_eq!(bench.query("acme"), [(START, false, 1)]);
}

#[test]
fn numbers_without_a_next_one_are_refused() {
    let mut bench = Bench::new(params());
    let refused = vec![(1, Some(ServerMessage::Refused(Refusal::Order))), (1, None)];
    assert_eq!(bench.hello(1, Hello { resume: u64::MAX, ..hello() }), refused);

    // After a restart, what the ledger holds is not judged by the clock; a start that is none is.
    let mut before = greeted();
    before.batch(1, 1, START, &[0]);
    before.now += 2_000;
    before.apply(Event::Tick);
    let SliceRequest { slice, body } = before.exports.remove(0);
    bench.shard.restore(Timestamp::from_millis(bench.now), &slice, &body).unwrap();
    bench.hello(2, hello());
    assert_eq!(bench.label(2, 0, "acme", "/"), None);
    let done = Some(ServerMessage::Durable { through: 1 });
    assert_eq!(bench.batch(2, 1, u64::MAX, &[0]), [rejected(1, Rejection::Skewed), received(1), done]);
}

#[test]
fn connections_that_misbehave_are_closed() {
    let closed = |connection, why| vec![(connection, Some(ServerMessage::Refused(why))), (connection, None)];
    let mut bench = greeted();
    for (connection, hello, why) in [
        (2, Hello { shard: ShardId(1), ..hello() }, Refusal::WrongShard { shards: 1 }),
        (1, hello(), Refusal::Order),
    ] {
        assert_eq!(bench.hello(connection, hello), closed(connection, why));
    }
    // The same producer again: the older connection goes.
    bench.hello(3, Hello { epoch: 2, ..hello() });
    let replies = bench.hello(4, Hello { epoch: 2, ..hello() });
    assert_eq!(replies[..2], closed(3, Refusal::Superseded));
    assert_eq!(bench.hello(5, hello()), closed(5, Refusal::StaleEpoch { current: 2 }));
    // A batch of epoch 1 on the connection of epoch 2, and one before any hello.
    let order = [Some(ServerMessage::Refused(Refusal::Order)), None];
    bench.label(4, 0, "acme", "/");
    assert_eq!(bench.batch(4, 1, START, &[0]), order);
    assert_eq!(bench.batch(9, 1, START, &[0]), order);
    for connection in 10..18u8 {
        bench.hello(connection.into(), Hello { producer: [connection; 16], ..hello() });
    }
    let replies = bench.hello(20, Hello { producer: [99; 16], ..hello() });
    assert_eq!(replies, closed(20, Refusal::Busy));
    bench.apply(Event::Drain);
    assert_eq!(bench.hello(21, hello()), closed(21, Refusal::Draining));
    assert!(bench.shard.is_drained());
}

#[test]
fn labels_beyond_the_limits_are_counted_or_refused_but_never_lost_silently() {
    let mut bench = Bench::new(Params { tenants_max: 2, tenant_rows_max: 2, ..params() });
    bench.hello(1, hello());
    for (label, tenant, route, refusal) in [
        (0, "a", "/0", None),
        (1, "a", "/1", None),
        (2, "a", "/2", None),
        (3, "b", "/", None),
        (4, "c", "/", Some(LabelRefusal::TenantLimit)),
        (0, "a", "/0", None),
        (1, "b", "/", Some(LabelRefusal::Taken)),
    ] {
        assert_eq!(bench.label(1, label, tenant, route), refusal, "label {label}");
    }
    let replies = bench.batch(1, 1, START, &[0, 1, 2, 3, 4]);
    assert_eq!(replies, [Some(ServerMessage::Received { seq: 1, limit: 9, records_refused: 2 })]);
    assert_eq!((bench.query("a"), bench.query("b")), (vec![(START, false, 2)], vec![(START, false, 1)]));
    let tenant = Text::new("a").unwrap();
    let query = UsageQuery { tenant, from_millis: 0, to_millis: u64::MAX };
    let windows = bench.shard.windows(&query);
    assert_eq!(
        windows[0].rows.iter().map(|row| row.labels.route.as_str()).collect::<Vec<_>>(),
        ["/0", "_overflow"]
    );
}

#[test]
fn a_producer_that_jumps_between_windows_is_not_held_up() {
    let mut bench = greeted();
    let count = u64::try_from(wire::usage::SLICE_RANGES_MAX).unwrap() * 2 + 100;
    for seq in 1..=count {
        let replies = bench.batch(1, seq, START + seq % 2 * 1_000, &[0]);
        assert!(replies.contains(&received(seq)), "batch {seq}: {replies:?}");
    }
    assert_eq!(bench.shard.counters().sealed_early, 2, "the ranges of a slice are bounded");
    assert!(!bench.exports.is_empty());
    for _ in 0..6 {
        bench.now += 3_000;
        bench.apply(Event::Tick);
        let replies = bench.durable();
        if bench.shard.backlog() == 0 {
            assert_eq!(replies, [Some(ServerMessage::Durable { through: count })]);
            break;
        }
        assert!(!replies.contains(&Some(ServerMessage::Durable { through: count })));
    }
    assert_eq!(bench.shard.counters().slices_durable, 4);
}

#[test]
fn rows_come_free_when_nobody_uses_them() {
    let mut bench = Bench::new(Params { rows_max: 8, ..params() });
    for turn in 0..40u64 {
        let connection = turn + 1;
        let seq = connection;
        bench.hello(connection, Hello { resume: seq, ..hello() });
        bench.label(connection, 0, "acme", &format!("/{turn}"));
        assert_eq!(bench.batch(connection, seq, bench.now, &[0]).len(), 1);
        bench.apply(Event::Closed(ConnectionId(connection)));
        bench.now += 3_000;
        bench.apply(Event::Tick);
        bench.durable();
    }
    let counters = bench.shard.counters();
    assert_eq!((counters.records, counters.labels_overflowed, counters.slices_durable), (40, 0, 40));
    assert!(counters.labels_evicted >= 32 && bench.shard.row_count() <= 8, "{counters:?}");
}

#[test]
fn events_are_counted_once() {
    let mut bench = Bench::new(Params { tenant_rows_max: 2, tenants_max: 2, ..params() });
    let old = START - params().late_millis_max - 2_000;
    for (id, tenant, at, outcome) in [
        ("1", "a", START, ItemOutcome::Ok),
        ("1", "a", START, ItemOutcome::Duplicate),
        ("1", "b", START, ItemOutcome::Ok),
        ("2", "a", START - 5_000, ItemOutcome::Late),
        ("3", "a", START + 60_000, ItemOutcome::Skewed),
        ("4", "a", old, ItemOutcome::Rejected(ItemRefusal::TooOld)),
        ("5", "a", START, ItemOutcome::Overflowed),
        ("6", "c", START, ItemOutcome::Rejected(ItemRefusal::TenantLimit)),
    ] {
        assert_eq!(bench.item(id, tenant, at), outcome, "event {id} of {tenant}");
    }
    assert_eq!(bench.shard.counters().items, [2, 1, 1, 1, 1, 2]);
    bench.now += 10_000;
    bench.apply(Event::Tick);
    assert_eq!(bench.exports.iter().map(|request| request.slice.requests).sum::<u128>(), 2);
    bench.durable();
    assert_eq!(bench.exports.iter().map(|request| request.slice.requests).sum::<u128>(), 2);
    bench.durable();
    bench.now += 10_000;
    bench.apply(Event::Tick);
    assert_eq!((bench.query("a").len(), bench.shard.backlog()), (0, 0));
    bench.apply(Event::Drain);
    assert_eq!(bench.item("7", "a", bench.now), ItemOutcome::Rejected(ItemRefusal::Draining));
}

#[test]
fn a_full_backlog_throttles_writers_and_comes_back() {
    let mut bench = Bench::new(Params { backlog_max: 1, ..params() });
    bench.hello(1, hello());
    bench.label(1, 0, "a", "/");
    bench.label(1, 1, "b", "/");
    assert_eq!(bench.batch(1, 1, START, &[0, 1]), [received(1)]);
    bench.now += 2_000;
    bench.apply(Event::Tick);
    assert!(bench.shard.is_degraded() && bench.shard.is_idle());
    assert_eq!((bench.exports.len(), bench.shard.backlog()), (1, 1), "tenant b waits in its window");
    let throttled = bench.batch(1, 2, bench.now, &[0]);
    assert_eq!(throttled, [rejected(2, Rejection::Busy), Some(ServerMessage::Credit { limit: 1 })]);
    assert_eq!(bench.item("1", "a", bench.now), ItemOutcome::Rejected(ItemRefusal::Busy));
    let stream = bench.exports[0].slice.stream;
    bench.exports.clear();
    bench.apply(Event::SliceRefused { stream, number: 1, why: ExportRefusal::Retry });
    assert!(bench.exports.is_empty(), "not at once");
    let due = bench.shard.due().unwrap().as_millis();
    assert_eq!(due, bench.now + 10, "a producer waits to try again");
    bench.now += params().retry_millis_min * 2;
    let credit = Some(ServerMessage::Credit { limit: 9 });
    assert_eq!(bench.apply(Event::Tick), [(1, credit)]);
    assert_eq!(bench.durable(), []);
    assert_eq!(bench.durable(), [Some(ServerMessage::Durable { through: 1 })]);
    assert_eq!(bench.batch(1, 2, bench.now, &[0]), [received(2)]);
    assert!(!bench.shard.is_degraded());
}

#[test]
fn a_stream_that_the_ledger_contradicts_halts_alone() {
    let mut bench = greeted();
    bench.label(1, 1, "other", "/");
    bench.batch(1, 1, START, &[0, 1]);
    bench.now += 2_000;
    bench.apply(Event::Tick);
    let mine = bench.exports.iter().position(|request| request.slice.stream == bench.exports[0].slice.stream);
    let halted = bench.exports.remove(mine.unwrap());
    let (stream, number) = (halted.slice.stream, halted.slice.number);
    bench.apply(Event::SliceRefused { stream, number, why: ExportRefusal::Conflict });
    assert_eq!(bench.durable(), [], "half of the batch is not in the ledger");
    bench.batch(1, 2, bench.now, &[0, 1]);
    bench.now += 3_000;
    bench.apply(Event::Tick);
    assert_eq!(bench.exports.len(), 1, "the other stream goes on");
    assert_eq!(bench.shard.counters().streams_halted, 1);
    assert_eq!(bench.shard.backlog(), 3);
}
