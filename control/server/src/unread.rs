//! `UnreadStream`: what becomes of bytes that nobody reads.
//!
//! hyper answers a head that it cannot parse by itself, with a status and nothing else, as the last
//! thing on the connection. Holds: that answer never leaves; a problem with a correlation id,
//! counted by its reason, leaves instead. A socket that is closed over unread bytes is reset, and
//! its last answer may be lost with it: here what still arrives is dropped until the peer closes
//! (up to a bound). Leaves to others: which bytes are a request (hyper), for how long (`pace`).

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use wallet::Code;

use crate::{Site, pace::Pace, status};

/// Bytes of `HTTP/1.1`.
const VERSION_BYTES: usize = 8;
/// Bytes of hyper's bare answers at most: status line, length, connection, date.
const BARE_BYTES_MAX: usize = 192;

/// Bytes that are dropped after the last answer at most.
const DROPPED_BYTES_MAX: usize = 16 << 20;
/// Bytes that are dropped before other tasks get their turn.
const DROPPED_AT_ONCE: usize = 64 << 10;

/// A socket whose last words are ours and are heard.
#[derive(Debug)]
pub(crate) struct UnreadStream<S> {
    stream: S,
    pace: Arc<Pace>,
    site: Arc<Site>,
    dropped: usize,
    /// What is said instead, and how much of it has left.
    instead: Vec<u8>,
    left: usize,
}

impl<S> UnreadStream<S> {
    pub(crate) const fn new(stream: S, pace: Arc<Pace>, site: Arc<Site>) -> Self {
        Self { stream, pace, site, dropped: 0, instead: Vec::new(), left: 0 }
    }
}

/// Where hyper's bare answer begins in what is written, and the code that says the same. It is the
/// last thing written, so that nothing is looked at unless a head ends there.
fn bare(bytes: &[u8]) -> Option<(usize, Code)> {
    if !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let from = bytes.len().saturating_sub(BARE_BYTES_MAX);
    let tail = bytes.get(from..)?;
    status::BARE.into_iter().find_map(|(begins, code)| {
        let found = tail.windows(begins.len()).rposition(|window| window == begins)?;
        let at = (from + found).checked_sub(VERSION_BYTES)?;
        let head = bytes.get(at..)?;
        let has = |field: &[u8]| head.windows(field.len()).any(|window| window == field);
        // Every refusal of ours has a media type and a body.
        let own = head.starts_with(b"HTTP/1.") && has(b"\r\ncontent-length: 0\r\n");
        (own && !has(b"\r\ncontent-type: ")).then_some((at, code))
    })
}

impl<S: AsyncWrite + Unpin> UnreadStream<S> {
    /// Writes what is said instead, to its end.
    fn poll_instead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.instead.get(self.left..).filter(|rest| !rest.is_empty()) {
            let count = ready!(Pin::new(&mut self.stream).poll_write(context, rest))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.left += count;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> UnreadStream<S> {
    /// Closes the sending side, then drops what arrives until the peer closes, has sent too much,
    /// or is late.
    fn poll_last(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        let mut scratch = [0; 4096];
        let turn = self.dropped + DROPPED_AT_ONCE;
        while self.dropped < DROPPED_BYTES_MAX && !self.pace.is_stopping() {
            let mut buffer = ReadBuf::new(&mut scratch);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
            if buffer.filled().is_empty() {
                break;
            }
            self.dropped += buffer.filled().len();
            if self.dropped >= turn {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for UnreadStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for UnreadStream<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match bare(bytes) {
            None => Pin::new(&mut this.stream).poll_write(context, bytes),
            Some((0, code)) => {
                this.instead = this.site.refuse_unread(code);
                this.left = 0;
                Poll::Ready(Ok(bytes.len()))
            }
            // The rest of the answer before it goes first.
            Some((at, _)) => {
                let before = bytes.get(..at).unwrap_or(bytes);
                Pin::new(&mut this.stream).poll_write(context, before)
            }
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if slices.iter().any(|slice| bare(slice).is_some()) {
            let first = slices.iter().find(|slice| !slice.is_empty());
            return self.poll_write(context, first.map_or(&[], |first| &**first));
        }
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_instead(context))?;
        ready!(Pin::new(&mut this.stream).poll_flush(context))?;
        // hyper ends the connection after that without a shutdown.
        if this.instead.is_empty() { Poll::Ready(Ok(())) } else { this.poll_last(context) }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_instead(context))?;
        this.poll_last(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hypers_own_answers_are_found() {
        let date = "date: Mon, 30 Nov 2026 14:40:00 GMT\r\n\r\n";
        let own =
            |status: &str| format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n{date}");
        for (text, expected) in [
            (own("400 Bad Request"), Some((0, Code::BadRequest))),
            (own("414 URI Too Long"), Some((0, Code::UriTooLong))),
            (own("431 Request Header Fields Too Large"), Some((0, Code::HeadTooLarge))),
            (format!("{{\"ok\":true}}{}", own("400 Bad Request")), Some((11, Code::BadRequest))),
            (own("400 Bad Request").replace("/1.1", "/1.0"), Some((0, Code::BadRequest))),
            (own("200 OK"), None),
            (own("400 Bad Request").replace(": 0", ": 10"), None),
            (own("400 Bad Request").replace("connection: close", "content-type: x/y"), None),
            (format!("{}x", own("400 Bad Request")), None),
            ("\r\n\r\n".to_owned(), None),
            (" 400 Bad Request\r\ncontent-length: 0\r\n\r\n".to_owned(), None),
        ] {
            assert_eq!(bare(text.as_bytes()), expected, "{text:?}");
        }
    }
}
