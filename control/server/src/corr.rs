//! `CorrId`: what ties an answer, its request and their log lines together.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::http::HeaderValue;

/// Bytes of a correlation id at most.
const CORR_ID_BYTES_MAX: usize = 64;

/// A correlation id: 1 to 64 visible ASCII characters, taken from `X-Corr-ID` or made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorrId(HeaderValue);

impl CorrId {
    /// Takes a caller's id, `None` unless it is 1 to 64 visible ASCII characters.
    #[must_use]
    pub fn take(value: &HeaderValue) -> Option<Self> {
        let bytes = value.as_bytes();
        let fits = (1..=CORR_ID_BYTES_MAX).contains(&bytes.len());
        (fits && bytes.iter().all(u8::is_ascii_graphic)).then(|| Self(value.clone()))
    }

    /// The id as a header's value.
    #[must_use]
    pub fn header(&self) -> HeaderValue {
        self.0.clone()
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().expect("only visible ASCII was taken")
    }
}

impl fmt::Display for CorrId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Makes correlation ids: a seed of the process and a count, so that two processes do not meet.
#[derive(Clone, Debug)]
pub struct CorrMaker {
    seed: u64,
    count: Arc<AtomicU64>,
}

impl CorrMaker {
    /// A maker whose ids begin with `seed`, which should differ from process to process.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, count: Arc::new(AtomicU64::new(0)) }
    }

    /// The next id: 16 hex digits of the seed, a dash, the count in hex.
    #[must_use]
    pub fn make(&self) -> CorrId {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let text = format!("{:016x}-{count:x}", self.seed);
        CorrId(HeaderValue::from_maybe_shared(axum::body::Bytes::from(text)).expect("hex digits and a dash"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_ids_are_checked() {
        let long = "x".repeat(65);
        for (text, taken) in
            [("abc-1", true), ("~", true), (&long[..64], true), ("", false), ("a b", false), (&long, false)]
        {
            let value = HeaderValue::from_str(text).unwrap();
            assert_eq!(CorrId::take(&value).is_some(), taken, "{text:?}");
        }
        assert!(CorrId::take(&HeaderValue::from_bytes(b"\xc3\xa4").unwrap()).is_none());
    }

    #[test]
    fn made_ids_differ_and_can_be_taken() {
        let maker = CorrMaker::new(7);
        let (first, second) = (maker.make(), maker.clone().make());
        assert_ne!(first, second);
        assert_eq!(first.as_str(), "0000000000000007-0");
        assert_eq!(CorrId::take(&second.header()), Some(second));
    }
}
