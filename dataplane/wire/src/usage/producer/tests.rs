//! A producer keeps what is not durable, sends it again, and says what it could not.

use super::*;

const NOW: u64 = 1_760_631_060_500;

fn machine() -> ProducerMachine {
    let params = ProducerParams::new([7; 16], 3, ShardId(0));
    ProducerMachine::new(ProducerParams { gathering_max: 4, unacked_bytes_max: 400, ..params })
}

fn tally(requests: u64) -> Tally {
    Tally { requests, bytes_in: u64::MAX, bytes_out: 0 }
}

fn labels(route: u32) -> LabelSet {
    LabelSet::new("t", "GET", &format!("/{route}"), "s", "r").unwrap()
}

fn welcome(next: u64, limit: u64) -> ServerMessage {
    ServerMessage::Welcome { shard: ShardId(0), shards: 1, window_millis: 1_000, next, limit }
}

/// What the producer says now: `hello resume`, `label n`, or `batch seq` with its records.
fn said(machine: &mut ProducerMachine) -> Vec<(&'static str, u64, usize)> {
    let mut bytes = Vec::new();
    while machine.output(&mut bytes) {}
    let mut rest = bytes.as_slice();
    let mut said = Vec::new();
    while let Some((message, used)) = ClientMessage::parse(rest).unwrap() {
        said.push(match message {
            ClientMessage::Hello(hello) => ("hello", hello.resume, 0),
            ClientMessage::Labels(label, _) => ("label", label.0.into(), 0),
            ClientMessage::Batch(batch) => ("batch", batch.header.seq, batch.records().len()),
        });
        rest = &rest[used..];
    }
    assert!(rest.is_empty());
    said
}

#[test]
fn batches_are_kept_until_durable_and_sent_again() {
    let mut machine = machine();
    let label = machine.label(&labels(0)).unwrap();
    assert_eq!(machine.label(&labels(0)), Some(label));
    for window in 0..3 {
        machine.record(label, NOW + window * 1_000, tally(1));
        machine.record(label, NOW + window * 1_000, tally(1));
    }
    machine.flush();
    assert_eq!(said(&mut machine), [], "no connection");
    machine.connected();
    assert_eq!(said(&mut machine), [("hello", 1, 0)]);
    machine.hear(&welcome(1, 2)).unwrap();
    // Twice 2^64-1 bytes do not fit in one record.
    assert_eq!(said(&mut machine), [("label", 0, 0), ("batch", 1, 2), ("batch", 2, 2)]);
    machine.hear(&ServerMessage::Received { seq: 2, limit: 9, records_refused: 0 }).unwrap();
    assert_eq!(said(&mut machine), [("batch", 3, 2)]);
    machine.hear(&ServerMessage::Durable { through: 1 }).unwrap();
    machine.disconnected();
    machine.connected();
    assert_eq!(said(&mut machine), [("hello", 2, 0)]);
    machine.hear(&welcome(2, 9)).unwrap();
    assert_eq!(said(&mut machine), [("label", 0, 0), ("batch", 2, 2), ("batch", 3, 2)]);
    machine.hear(&ServerMessage::Durable { through: 3 }).unwrap();
    let status = machine.status();
    assert_eq!((status.unacked, status.durable, status.made), (0, 3, 3));
    assert_eq!(machine.unacked_bytes, 0);
}

#[test]
fn refusals_move_the_cursor_and_losses_are_counted() {
    let mut machine = machine();
    let label = machine.label(&labels(0)).unwrap();
    machine.connected();
    said(&mut machine);
    machine.hear(&welcome(1, 9)).unwrap();
    for window in 0..3 {
        machine.record(label, NOW + window * 1_000, tally(5));
        machine.flush();
    }
    assert_eq!(said(&mut machine).len(), 4);
    let reject = |machine: &mut ProducerMachine, seq, why| {
        machine.hear(&ServerMessage::Rejected { seq, why }).unwrap();
        said(machine)
    };
    assert_eq!(reject(&mut machine, 1, Rejection::Duplicate), []);
    assert_eq!(reject(&mut machine, 3, Rejection::Gap { expected: 3 }), [("batch", 3, 1)]);
    machine.hear(&ServerMessage::Credit { limit: 1 }).unwrap();
    assert_eq!(reject(&mut machine, 2, Rejection::Busy), [], "no credit");
    machine.hear(&ServerMessage::Credit { limit: 9 }).unwrap();
    assert_eq!(said(&mut machine), [("batch", 2, 1), ("batch", 3, 1)]);
    let again = reject(&mut machine, 2, Rejection::UnknownLabel);
    assert_eq!(again, [("label", 0, 0), ("batch", 2, 1), ("batch", 3, 1)]);
    assert_eq!(reject(&mut machine, 2, Rejection::Skewed), []);
    assert_eq!(reject(&mut machine, 2, Rejection::Skewed), [], "lost once");
    assert_eq!((machine.status().lost.requests, machine.status().batches_lost), (5, 1));
    machine.disconnected();
    machine.connected();
    said(&mut machine);
    machine.hear(&welcome(1, 9)).unwrap();
    let again = said(&mut machine);
    assert_eq!(again[1..], [("batch", 1, 1), ("batch", 2, 0), ("batch", 3, 1)]);
    for (message, why) in [
        (ServerMessage::Refused(Refusal::Draining), Refusal::Draining),
        (ServerMessage::Durable { through: 4 }, Refusal::Order),
        (welcome(5, 9), Refusal::Order),
    ] {
        assert_eq!(machine.hear(&message), Err(why));
    }
}

#[test]
fn what_finds_no_room_is_dropped_by_number() {
    let mut machine = machine();
    for route in 0..6 {
        let label = machine.label(&labels(route)).unwrap();
        machine.record(label, NOW, tally(1));
    }
    let status = machine.status();
    assert_eq!((status.gathering, status.dropped.requests, status.recorded.requests), (4, 2, 6));
    for window in 0..50 {
        machine.flush();
        machine.record(LabelId(0), NOW + window * 1_000, tally(1));
    }
    let status = machine.status();
    assert!(machine.unacked_bytes < 600 && status.gathering == 4, "{status:?}");
    let kept: u128 = machine.unacked.iter().map(|unacked| unacked.totals.requests).sum();
    let gathering: u128 = machine.gathering.values().map(|totals| totals.requests).sum();
    assert_eq!(kept + gathering + status.dropped.requests, status.recorded.requests);
}

#[test]
fn labels_without_a_number_go_to_their_tenants_overflow() {
    let mut machine = machine();
    for route in 0..CONNECTION_LABELS_MAX / 8 * 7 {
        assert_eq!(machine.label(&labels(route)), Some(LabelId(route)));
    }
    let overflow = machine.label(&labels(u32::MAX)).unwrap();
    assert_eq!(machine.labels[usize::try_from(overflow.0).unwrap()].route.as_str(), "_overflow");
    assert_eq!(machine.label(&labels(u32::MAX - 1)), Some(overflow));
    let tenant = |number: u32| LabelSet::new(&format!("t{number}"), "", "", "", "").unwrap();
    for number in 0..CONNECTION_LABELS_MAX / 8 - 1 {
        assert!(machine.label(&tenant(number)).is_some());
    }
    assert_eq!(machine.label(&tenant(u32::MAX)), None);
}
