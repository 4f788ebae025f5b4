//! Real sockets: clients that dribble, that do not read, that are too many; and the drain.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::{Instant, timeout},
};

use super::bed::{Bed, series};
use crate::{Drained, HttpParams, serve};

/// A deadline for everything that must happen.
const SOON: Duration = Duration::from_secs(20);

struct Served {
    bed: Bed,
    at: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<Drained>,
}

async fn served(params: HttpParams) -> Served {
    let bed = Bed::with(params);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(serve(listener, Arc::clone(&bed.ledger), params, stopped));
    Served { bed, at, stop, task }
}

fn short() -> HttpParams {
    let short = Duration::from_millis(300);
    HttpParams {
        read_timeout: short,
        write_timeout: short,
        idle_timeout: Duration::from_millis(600),
        drain_timeout: short,
        ..HttpParams::default()
    }
}

const GET: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";

/// Asks once and reads up to the end of the answer's body, which is known.
async fn healthy(stream: &mut TcpStream) -> String {
    stream.write_all(GET).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(br#"{"ok":true,"version":"0.1.0"}"#) {
        let mut chunk = [0; 1024];
        let count = timeout(SOON, stream.read(&mut chunk)).await.unwrap().unwrap();
        assert!(count > 0, "the connection ended: {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&chunk[..count]);
    }
    String::from_utf8(answer).unwrap()
}

/// Reads until the other side closes.
async fn to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut chunk = [0; 1024];
    loop {
        match timeout(SOON, stream.read(&mut chunk)).await.expect("the connection is closed in time") {
            Ok(0) | Err(_) => return String::from_utf8(answer).unwrap(),
            Ok(count) => answer.extend_from_slice(&chunk[..count]),
        }
    }
}

#[tokio::test]
async fn a_connection_is_kept_and_closed_when_idle() {
    let served = served(short()).await;
    let mut stream = TcpStream::connect(served.at).await.unwrap();
    for _ in 0..3 {
        assert!(healthy(&mut stream).await.starts_with("HTTP/1.1 200 OK\r\n"));
    }
    let begun = Instant::now();
    assert_eq!(to_end(&mut stream).await, "");
    assert!(begun.elapsed() >= Duration::from_millis(500), "not before the idle timeout");
}

#[tokio::test]
async fn dribbling_clients_are_dropped_and_hold_nobody_up() {
    let served = served(short()).await;
    let dribble = |text: &'static [u8]| async move {
        let mut stream = TcpStream::connect(served.at).await.unwrap();
        let (mut read, mut write) = stream.split();
        let begun = Instant::now();
        let send = async {
            for byte in text.iter().cycle() {
                if write.write_all(&[*byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let mut chunk = [0; 4096];
        let ended = async { while !matches!(read.read(&mut chunk).await, Ok(0) | Err(_)) {} };
        tokio::select! { () = send => (), () = ended => () }
        begun.elapsed()
    };
    let mut dribblers = tokio::task::JoinSet::new();
    for _ in 0..50 {
        dribblers
            .spawn(dribble(b"GET /roots?aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
    }
    let mut others = TcpStream::connect(served.at).await.unwrap();
    let mut answered = 0;
    while !dribblers.is_empty() {
        let begun = Instant::now();
        healthy(&mut others).await;
        assert!(begun.elapsed() < Duration::from_secs(2), "an honest client does not wait for them");
        answered += 1;
        while let Some(ended) = dribblers.try_join_next() {
            assert!(ended.unwrap() < Duration::from_secs(10), "dropped by the deadline");
        }
    }
    assert!(answered > 1);
    let broken = series(&served.bed.ledger, "connections_broken_total").await.unwrap();
    assert!(broken >= 50.0, "{broken}");
}

#[tokio::test]
async fn a_body_that_dribbles_is_answered_408() {
    let served = served(short()).await;
    let mut stream = TcpStream::connect(served.at).await.unwrap();
    let head =
        "POST /ingest HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains(r#""code":"timeout""#), "{answer}");
    assert!(!answer.contains("unknown"), "nothing was begun, so nothing is open: {answer}");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped_with_bounded_memory() {
    let served = served(short()).await;
    let mut stream = TcpStream::connect(served.at).await.unwrap();
    // Asks for far more than the socket's buffers hold and never reads.
    let ask = b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n".repeat(64);
    let begun = Instant::now();
    let mut sent = 0_usize;
    while timeout(SOON, stream.write_all(&ask)).await.expect("dropped before long").is_ok() {
        sent += ask.len();
        assert!(begun.elapsed() < SOON, "still taking requests after {sent} bytes");
    }
    let broken = async {
        while series(&served.bed.ledger, "connections_broken_total").await.unwrap() < 1.0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, broken).await.unwrap();
}

#[tokio::test]
async fn heads_that_are_too_long_are_refused() {
    let served = served(short()).await;
    let mut stream = TcpStream::connect(served.at).await.unwrap();
    let long = format!("GET /roots HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "x".repeat(1 << 20));
    // The other side may close before all of it is sent.
    drop(stream.write_all(long.as_bytes()).await);
    let answer = to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 431 ") && answer.contains(r#""code":"head_too_large""#), "{answer}");
    assert_eq!(series(&served.bed.ledger, r#"rejected_total{reason="head_too_large"}"#).await, Some(1.0));
    let mut stream = TcpStream::connect(served.at).await.unwrap();
    stream.write_all(b"\x00\x01\x02garbage\r\n\r\n").await.unwrap();
    assert!(to_end(&mut stream).await.starts_with("HTTP/1.1 400 "));
}

#[tokio::test]
async fn connections_over_the_limit_are_turned_away() {
    let served = served(HttpParams { connections_max: 1, ..short() }).await;
    let mut first = TcpStream::connect(served.at).await.unwrap();
    healthy(&mut first).await;
    let mut second = TcpStream::connect(served.at).await.unwrap();
    let answer = to_end(&mut second).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("x-corr-id: "), "{answer}");
    // Also who has asked already hears it: the request that nobody reads does not reset the socket.
    for _ in 0..20 {
        let mut hasty = TcpStream::connect(served.at).await.unwrap();
        drop(hasty.write_all(&GET.repeat(100)).await);
        assert!(to_end(&mut hasty).await.starts_with("HTTP/1.1 503 "));
    }
    healthy(&mut first).await;
    drop(first);
    // Its place is free as soon as its end is seen.
    let begun = Instant::now();
    loop {
        let mut third = TcpStream::connect(served.at).await.unwrap();
        third.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        if to_end(&mut third).await.starts_with("HTTP/1.1 200 ") {
            break;
        }
        assert!(begun.elapsed() < SOON, "the place was never freed");
    }
}

#[tokio::test]
async fn a_stop_finishes_what_is_in_work_and_cuts_what_is_not_done_in_time() {
    let served = served(HttpParams { drain_timeout: Duration::from_secs(5), ..short() }).await;
    let mut idle = TcpStream::connect(served.at).await.unwrap();
    healthy(&mut idle).await;
    let mut working = TcpStream::connect(served.at).await.unwrap();
    let head =
        "POST /ingest HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{";
    working.write_all(head.as_bytes()).await.unwrap();
    let inflight = async {
        while series(&served.bed.ledger, "inflight").await != Some(1.0) {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, inflight).await.expect("the request is in work");
    served.stop.send(true).unwrap();
    assert_eq!(to_end(&mut idle).await, "", "an idle connection is closed at once");
    working.write_all(b"}").await.unwrap();
    let answer = to_end(&mut working).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "it was answered: {answer}");
    assert_eq!(timeout(SOON, served.task).await.unwrap().unwrap(), Drained { cut: 0 });
    assert!(TcpStream::connect(served.at).await.is_err(), "the listener is closed");
}

#[tokio::test]
async fn a_drain_ends_at_its_deadline() {
    let params = HttpParams { read_timeout: SOON, drain_timeout: Duration::from_millis(100), ..short() };
    let served = served(params).await;
    let mut stuck = TcpStream::connect(served.at).await.unwrap();
    let head =
        "POST /ingest HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{";
    stuck.write_all(head.as_bytes()).await.unwrap();
    let inflight = async {
        while series(&served.bed.ledger, "inflight").await != Some(1.0) {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, inflight).await.unwrap();
    served.stop.send(true).unwrap();
    assert_eq!(timeout(SOON, served.task).await.unwrap().unwrap(), Drained { cut: 1 });
    assert_eq!(series(&served.bed.ledger, "tasks_leaked_total").await, Some(1.0));
    assert_eq!(series(&served.bed.ledger, "inflight").await, Some(0.0), "its place is given back");
}
