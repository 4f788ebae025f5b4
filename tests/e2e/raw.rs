//! `Peer`: a client that may say anything, byte by byte, and reads what comes back.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::process::PATIENCE;

/// One connection.
pub(super) struct Peer {
    pub(super) stream: TcpStream,
    /// What has arrived and was not taken as an answer yet.
    arrived: Vec<u8>,
}

/// One answer.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) status: u16,
    head: String,
    pub(super) body: Vec<u8>,
}

impl Heard {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The code of a problem, checked to be a whole one.
    pub(super) fn code(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        assert!(self.header("x-corr-id").is_some_and(|id| !id.is_empty()), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{self:?}");
        assert!(problem["title"].is_string() && problem["retryable"].is_boolean(), "{self:?}");
        let code = problem["code"].as_str().expect("a code").to_owned();
        assert_eq!(problem["type"], format!("urn:macronode:problem:{code}"));
        code
    }
}

impl Peer {
    pub(super) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the node listens");
        Self { stream, arrived: Vec::new() }
    }

    /// Sends as much as the other side takes: it may have refused and closed before the end.
    pub(super) async fn say(&mut self, bytes: &[u8]) {
        drop(timeout(PATIENCE, self.stream.write_all(bytes)).await.expect("taken or refused in time"));
    }

    /// The next answer; `None` if the connection ends before one begins.
    pub(super) async fn hear(&mut self) -> Option<Heard> {
        loop {
            if let Some(heard) = self.take() {
                return Some(heard);
            }
            let mut chunk = [0; 16 << 10];
            let read = timeout(PATIENCE, self.stream.read(&mut chunk)).await.expect("something in time");
            match read.unwrap_or(0) {
                0 => {
                    assert!(self.arrived.is_empty(), "cut off: {}", String::from_utf8_lossy(&self.arrived));
                    return None;
                }
                count => self.arrived.extend_from_slice(&chunk[..count]),
            }
        }
    }

    /// Says something and hears the answer to it.
    pub(super) async fn ask(&mut self, bytes: &[u8]) -> Option<Heard> {
        self.say(bytes).await;
        self.hear().await
    }

    /// A whole answer out of what has arrived; 1xx are passed over.
    fn take(&mut self) -> Option<Heard> {
        let end = self.arrived.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let head = String::from_utf8(self.arrived[..end].to_vec()).expect("a head is ASCII");
        let status: u16 = head.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status line");
        let heard = Heard { status, head, body: Vec::new() };
        let len = heard.header("content-length").map_or(0, |len| len.parse().expect("a length"));
        let body = self.arrived.get(end..end + len)?.to_vec();
        drop(self.arrived.drain(..end + len));
        if status == 100 { self.take() } else { Some(Heard { body, ..heard }) }
    }
}

/// A POST with these header lines and this body, its true length included.
pub(super) fn post(path: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut request = format!("POST {path} HTTP/1.1\r\nhost: x\r\n");
    for header in headers {
        request.push_str(&format!("{header}\r\n"));
    }
    request.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    [request.as_bytes(), body].concat()
}
