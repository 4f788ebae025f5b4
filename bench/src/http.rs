//! `Connection`: one keep-alive HTTP/1.1 connection, as little as a load generator can do.
//!
//! The generator shares the host with what it measures, so it parses a head and a length and no
//! more. Leaves to others: TLS, chunked answers (the node sends neither), what is asked.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use anyhow::{Context, bail, ensure};

/// Bytes of an answer at most.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// Bytes that the buffer begins with.
const BUFFER_BYTES: usize = 8 << 10;
/// Headers of an answer at most.
const HEADERS_MAX: usize = 32;
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request, written out.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// `GET`, `POST`.
    pub method: &'a str,
    /// With the query.
    pub path: &'a str,
    /// The capability.
    pub token: &'a str,
    /// The idempotency key; empty for none.
    pub key: &'a str,
    /// JSON; empty for none.
    pub body: &'a str,
}

impl Ask<'_> {
    /// Writes it at the end of `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        let Self { method, path, token, key, body } = self;
        let mut put = |text: std::fmt::Arguments<'_>| out.write_fmt(text).expect("a vector takes all");
        put(format_args!("{method} {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n"));
        if !key.is_empty() {
            put(format_args!("idempotency-key: {key}\r\n"));
        }
        if !body.is_empty() {
            put(format_args!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()));
        }
        put(format_args!("\r\n{body}"));
    }
}

/// An answer, read whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: &'a [u8],
}

impl Reply<'_> {
    /// The body as JSON.
    ///
    /// # Errors
    /// If the status is not 200 or the body is no JSON.
    pub fn json(&self) -> anyhow::Result<serde_json::Value> {
        ensure!(self.status == 200, "{}: {}", self.status, String::from_utf8_lossy(self.body));
        serde_json::from_slice(self.body).context("an answer that is JSON")
    }
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    filled: usize,
    taken: usize,
}

impl Connection {
    /// Connects. Reading waits.
    ///
    /// # Errors
    /// If nobody listens there.
    pub fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, received: vec![0; BUFFER_BYTES], filled: 0, taken: 0 })
    }

    /// From here on reading does not wait.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn stop_waiting(&self) -> anyhow::Result<()> {
        Ok(self.stream.set_nonblocking(true)?)
    }

    /// Sends a request that was written out.
    ///
    /// # Errors
    /// If the connection broke, or its buffer is full though nothing is open on it.
    pub fn send(&mut self, request: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(request).context("sending a request")
    }

    /// Reads once; the answer, if it is whole now.
    ///
    /// # Errors
    /// If the connection broke or what came is no answer.
    pub fn receive(&mut self) -> anyhow::Result<Option<Reply<'_>>> {
        self.received.copy_within(self.taken..self.filled, 0);
        self.filled -= std::mem::take(&mut self.taken);
        if self.filled == self.received.len() {
            ensure!(self.filled < ANSWER_BYTES_MAX, "an answer over {ANSWER_BYTES_MAX} bytes");
            self.received.resize(2 * self.filled, 0);
        }
        match self.stream.read(self.received.get_mut(self.filled..).expect("filled is inside")) {
            Ok(0) => bail!("the connection was closed before its answer"),
            Ok(read) => self.filled += read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Ok(None);
            }
            Err(error) => return Err(error).context("receiving an answer"),
        }
        let Some((status, head, length)) = parse_head(self.received.get(..self.filled).expect("inside"))?
        else {
            return Ok(None);
        };
        if self.filled < head + length {
            return Ok(None);
        }
        self.taken = head + length;
        Ok(Some(Reply { status, body: self.received.get(head..head + length).expect("counted above") }))
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// If the connection broke, or there is no answer in a minute.
    pub fn ask(&mut self, ask: Ask<'_>) -> anyhow::Result<Reply<'_>> {
        let mut request = Vec::new();
        ask.write(&mut request);
        self.send(&request)?;
        loop {
            let whole = self.receive().with_context(|| ask.path.to_owned())?.is_some();
            if whole {
                let (status, head, length) =
                    parse_head(self.received.get(..self.taken).expect("inside"))?.expect("parsed before");
                let body = self.received.get(head..head + length).expect("counted before");
                return Ok(Reply { status, body });
            }
        }
    }

    /// The descriptor, to wait on.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Status, bytes of the head and bytes of the body, if the head is whole.
fn parse_head(bytes: &[u8]) -> anyhow::Result<Option<(u16, usize, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(bytes).context("an answer's head")? else {
        return Ok(None);
    };
    let status = response.code.context("an answer has a status")?;
    let length = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = length.context("an answer says its length")?.value;
    let length = std::str::from_utf8(length)?.parse().context("an answer's length")?;
    Ok(Some((status, head, length)))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn answers_are_put_together_from_pieces() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut near = Connection::open(listener.local_addr().unwrap()).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        let ask = Ask { method: "POST", path: "/x", token: "t", key: "k", body: "{}" };
        let mut request = Vec::new();
        ask.write(&mut request);
        near.send(&request).unwrap();
        let mut seen = vec![0; request.len()];
        far.read_exact(&mut seen).unwrap();
        assert!(String::from_utf8(seen).unwrap().ends_with("content-length: 2\r\n\r\n{}"));
        for piece in ["HTTP/1.1 200 OK\r\nContent-", "Length: 3\r\n\r\n{}"] {
            far.write_all(piece.as_bytes()).unwrap();
            assert_eq!(near.receive().unwrap(), None);
        }
        far.write_all(b"\n").unwrap();
        assert_eq!(near.receive().unwrap(), Some(Reply { status: 200, body: b"{}\n" }));
        far.write_all(b"HTTP/1.1 429 Busy\r\ncontent-length: 0\r\n\r\n").unwrap();
        assert_eq!(near.receive().unwrap(), Some(Reply { status: 429, body: b"" }));
        drop(far);
        assert!(near.receive().is_err());
    }
}
