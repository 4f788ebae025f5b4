//! Slices are taken once, in the order of their stream.

use alloc::vec;

use model::{AccountId, Head, Kind, Reason, Seq, Slice, SliceRequest, Timestamp};

use super::world::{World, params};
use crate::{RECENT_SLICES, SliceDecision};

pub(crate) fn slice(stream: u8, number: u64, previous: [u8; 32]) -> SliceRequest {
    let body = vec![stream; 100 + usize::try_from(number).unwrap()];
    let head =
        Head { seq: Seq(0), at: Timestamp(0), kind: Kind::Usage, op: Kind::Usage, reason: None, idx: 0 };
    let slice = Slice {
        head,
        stream: [stream; 16],
        number,
        window_start_millis: 60_000 * number,
        window_millis: 60_000,
        rows: 3,
        digest: *blake3::hash(&body).as_bytes(),
        previous,
        requests: 5,
        bytes_in: 6,
        bytes_out: 7,
        blind: [0; 16],
        body_at: 0,
        body_len: 0,
    };
    SliceRequest { slice, body }
}

/// The first `count` slices of a stream.
pub(crate) fn chain(stream: u8, count: u64) -> vec::Vec<SliceRequest> {
    let mut previous = [0; 32];
    (1..=count)
        .map(|number| {
            let request = slice(stream, number, previous);
            previous = request.slice.digest;
            request
        })
        .collect()
}

#[test]
fn each_slice_comes_to_what_its_place_says() {
    let chain = chain(1, 20);
    let mut world = World::new(params());
    let declined = |world: &mut World, request: &SliceRequest| match world.send_slice(request) {
        SliceDecision::Declined(declined) => (declined.reason, declined.number),
        other => panic!("{other:?}"),
    };
    let first_with_previous = slice(1, 1, [1; 32]);
    assert_eq!(declined(&mut world, &first_with_previous), (Reason::IdemConflict, 1));
    assert_eq!(declined(&mut world, &slice(1, 0, [0; 32])), (Reason::NonceConflict, 1));
    for (at, request) in chain.iter().enumerate().take(12) {
        let seq = Seq(u64::try_from(at).unwrap() + 1);
        match world.send_slice(request) {
            SliceDecision::Take(slice) => assert_eq!((slice.head.seq, slice.number), (seq, seq.0)),
            other => panic!("{other:?}"),
        }
        assert_eq!(world.send_slice(request), SliceDecision::Duplicate { seq });
    }
    assert_eq!(declined(&mut world, &chain[13]), (Reason::NonceConflict, 13), "a gap");
    assert_eq!(declined(&mut world, &slice(1, 13, [9; 32])), (Reason::IdemConflict, 13), "another chain");
    let mut other_body = chain[11].clone();
    other_body.slice.digest[0] ^= 1;
    assert_eq!(declined(&mut world, &other_body), (Reason::IdemConflict, 13), "another slice 12");
    let oldest_remembered = 12 - RECENT_SLICES;
    assert!(matches!(world.send_slice(&chain[oldest_remembered]), SliceDecision::Duplicate { .. }));
    assert_eq!(declined(&mut world, &chain[oldest_remembered - 1]), (Reason::NonceConflict, 13), "forgotten");
    let mut wrong_digest = chain[12].clone();
    wrong_digest.body.push(0);
    assert_eq!(declined(&mut world, &wrong_digest), (Reason::PolicyDenied, 0));
    let mut too_large = chain[12].clone();
    too_large.slice.rows = 8193;
    assert_eq!(declined(&mut world, &too_large).0, Reason::TooLarge);
    let stream = world.ledger.stream(&[1; 16]).unwrap();
    assert_eq!((stream.number, stream.seq, stream.digest), (12, Seq(12), chain[11].slice.digest));
    for stream in 2..=4 {
        assert!(matches!(world.send_slice(&slice(stream, 1, [0; 32])), SliceDecision::Take(_)));
    }
    assert_eq!(declined(&mut world, &slice(5, 1, [0; 32])), (Reason::Quota, 4));
    assert_eq!(world.ledger.name(AccountId::NONE), None);
    world.ledger.check();
}
