//! `HttpParams`: the bounds of one HTTP listener.

use std::time::Duration;

/// Bounds of one listener. The defaults are the documented ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpParams {
    /// Requests in work at once; one more is answered 503 `overloaded`.
    pub inflight_max: usize,
    /// Connections open at once; one more is answered 503 and closed.
    pub connections_max: usize,
    /// Bytes of one request body; one more is answered 413.
    pub body_bytes_max: usize,
    /// From the first byte of a head to its end, and from the head to the end of the body.
    pub read_timeout: Duration,
    /// From the first moment that the client does not take what is written until it took all.
    pub write_timeout: Duration,
    /// From one answer to the first byte of the next request.
    pub idle_timeout: Duration,
    /// How long a write waits for its durable answer before it is told that its fate is open.
    pub answer_timeout: Duration,
    /// How long requests in work may go on after the stop was asked for.
    pub drain_timeout: Duration,
}

impl Default for HttpParams {
    fn default() -> Self {
        Self {
            inflight_max: 1024,
            connections_max: 4096,
            body_bytes_max: model::limits::BODY_BYTES_MAX,
            read_timeout: Duration::from_secs(3),
            write_timeout: Duration::from_secs(3),
            idle_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(3),
            drain_timeout: Duration::from_secs(5),
        }
    }
}
