//! Slices: taking each sealed slice of usage once, in the order of its stream.

use model::{
    Declined, Head, Kind, Reason, Seq, Slice, SliceRequest, Timestamp,
    limits::{SLICE_BODY_BYTES_MAX, SLICE_ROWS_MAX},
};

use crate::{
    Effect, Error, Ledger, SliceDecision,
    apply::{impossible, require},
    streams::Link,
};

impl Ledger {
    /// Decides a slice at ledger time `at`; if it is taken it gets the number `next`. Changes
    /// nothing: apply the slice to go on.
    ///
    /// Refusals: `too_large` for a body or row count over its limit; `nonce_conflict` (a gap) for
    /// a number that is not the next one and not remembered; `idem_conflict` (a conflict) for a
    /// remembered number with another digest, or a `previous` that is not the last digest;
    /// `policy_denied` for a digest that is not the body's; `quota` for one stream too many. The
    /// number is the slice expected, or the limit.
    ///
    /// # Panics
    /// If `next` is not the next number or `at` lies before the last entry.
    #[must_use]
    pub fn decide_slice(&self, request: &SliceRequest, at: Timestamp, next: Seq) -> SliceDecision {
        assert!(next == self.last().next() && at >= self.at());
        let slice = &request.slice;
        match self.place_slice(request) {
            Ok(None) => {}
            Ok(Some(seq)) => return SliceDecision::Duplicate { seq },
            Err(refusal) => return SliceDecision::Declined(refusal),
        }
        let head = Head { seq: next, at, kind: Kind::Usage, op: Kind::Usage, reason: None, idx: 0 };
        let [blind, _] = self.blinds.of(next);
        SliceDecision::Take(Slice { head, blind, body_at: 0, body_len: 0, ..*slice })
    }

    /// `Some(seq)` for a slice that is there already, `None` for one to be taken.
    fn place_slice(&self, request: &SliceRequest) -> Result<Option<Seq>, Declined> {
        let slice = &request.slice;
        let refuse = |reason, number: u64| Err(Declined { reason, number: u128::from(number) });
        let rows_fit = usize::try_from(slice.rows).is_ok_and(|rows| rows <= SLICE_ROWS_MAX);
        if !rows_fit || request.body.len() > SLICE_BODY_BYTES_MAX {
            let limit = u64::try_from(SLICE_BODY_BYTES_MAX).expect("a limit fits in 64 bits");
            return refuse(Reason::TooLarge, limit);
        }
        let stream = self.streams.find(&slice.stream);
        let (expected, previous) =
            stream.map_or((1, [0; 32]), |stream| (stream.number() + 1, stream.last().digest));
        if let Some(known) = stream.and_then(|stream| stream.link(slice.number)) {
            if known.digest == slice.digest {
                return Ok(Some(known.seq));
            }
            return refuse(Reason::IdemConflict, expected);
        }
        if slice.number != expected {
            return refuse(Reason::NonceConflict, expected);
        }
        if slice.previous != previous {
            return refuse(Reason::IdemConflict, expected);
        }
        if stream.is_none() && self.streams.is_full() {
            return refuse(Reason::Quota, u64::from(self.params().streams_max));
        }
        if *blake3::hash(&request.body).as_bytes() != slice.digest {
            return refuse(Reason::PolicyDenied, 0);
        }
        Ok(None)
    }

    /// Applies a slice that was just decided.
    ///
    /// # Panics
    /// If it does not follow from the state: a defect, or the wrong order.
    pub fn apply_slice(&mut self, slice: &Slice) {
        if let Err(error) = self.apply_link(slice) {
            panic!("a decided slice is possible: {error}");
        }
    }

    pub(crate) fn apply_recorded_slice(&mut self, slice: &Slice, body: &[u8]) -> Result<(), Error> {
        if *blake3::hash(body).as_bytes() != slice.digest {
            return Err(impossible(slice.head.seq, Effect::Digest));
        }
        self.apply_link(slice)
    }

    fn apply_link(&mut self, slice: &Slice) -> Result<(), Error> {
        let Head { seq, at, .. } = slice.head;
        self.check_order(seq, at)?;
        let (number, previous) = match self.streams.find(&slice.stream) {
            Some(stream) => (stream.number() + 1, stream.last().digest),
            None => {
                require(seq, !self.streams.is_full(), Effect::Full)?;
                (1, [0; 32])
            }
        };
        require(seq, slice.number == number && slice.previous == previous, Effect::Stream)?;
        self.streams.push(slice.stream, Link { digest: slice.digest, seq });
        self.advance(seq, at);
        Ok(())
    }
}
