//! `serve`: accepts connections on one listener and hands their requests to a `Site`.
//!
//! Holds: at most `connections_max` connections, each with bounded buffers and deadlines; a peer
//! that closed its sending side gets its answers; what was answered is not lost to bytes that
//! nobody read; a stop lets requests in work finish within `drain_timeout` and then cuts what is
//! left. Leaves to others: what a request means (`Site`), when to stop (`node`).

use std::sync::Arc;

use axum::body::Body;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    HttpParams, Site,
    chaos::Disconnected,
    pace::{Pace, PacedStream},
    unread::UnreadStream,
};

use wallet::Code;

/// Bytes that one connection buffers of a request's head and body at most.
const CONNECTION_BUFFER_BYTES: usize = 32 << 10;
/// Connections over the limit that are waited for at once, so that they hear their answer.
const FAREWELLS_MAX: usize = 64;
/// How long one of them is waited for.
const FAREWELL_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(2);
/// Bytes that one of them may still send.
const FAREWELL_BYTES_MAX: usize = 64 << 10;
/// How long accepting rests when the process is out of descriptors.
const ACCEPT_REST: std::time::Duration = std::time::Duration::from_millis(50);

const _: () = assert!(CONNECTION_BUFFER_BYTES >= 8 << 10, "hyper's smallest buffer");

/// What a stop cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were still open at the drain deadline and were cut.
    pub cut: usize,
}

/// Serves `site` on `listener` until `stop` turns true (or its sender is gone), then drains.
/// Needs a tokio runtime with I/O and time.
pub async fn serve(
    listener: TcpListener,
    site: Arc<Site>,
    params: HttpParams,
    mut stop: watch::Receiver<bool>,
) -> Drained {
    let (mut connections, mut farewells) = (JoinSet::new(), JoinSet::new());
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            Some(_) = connections.join_next() => continue,
            Some(_) = farewells.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) if connections.len() >= params.connections_max => {
                if turn_away(&stream, &site) && farewells.len() < FAREWELLS_MAX {
                    farewells.spawn(timeout(FAREWELL_TIMEOUT, hear_out(stream)));
                }
            }
            Ok((stream, _)) => {
                connections.spawn(converse(stream, Arc::clone(&site), params, stop.clone()));
            }
            Err(error) => {
                // Out of descriptors or a connection that died in the backlog: both pass.
                tracing::warn!(service = site.service().name(), %error, "accepting a connection failed");
                sleep(ACCEPT_REST).await;
            }
        }
    }
    drop(listener);
    let drain = async { while connections.join_next().await.is_some() {} };
    if timeout(params.drain_timeout, drain).await.is_err() {
        let cut = connections.len();
        site.count_leaked_tasks(cut);
        connections.shutdown().await;
        return Drained { cut };
    }
    Drained::default()
}

/// Waits until the stop is asked for, or nobody is left who could ask.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

/// One connection, from its first request to its end.
async fn converse(stream: TcpStream, site: Arc<Site>, params: HttpParams, mut stop: watch::Receiver<bool>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection died before its first request");
        return;
    }
    let _connected = site.connected();
    let pace = Arc::new(Pace::default());
    let stream = PacedStream::new(stream, Arc::clone(&pace), &params);
    let io = TokioIo::new(UnreadStream::new(stream, Arc::clone(&pace), Arc::clone(&site)));
    let handler = service_fn(|request: hyper::Request<Incoming>| {
        let serving = pace.serve();
        let site = &site;
        async move {
            let response = site.respond(request.map(Body::new)).await;
            drop(serving);
            // An error here closes the connection without a byte of an answer.
            let dropped = response.extensions().get::<Disconnected>().copied();
            dropped.map_or(Ok(response), Err)
        }
    });
    let connection = http1::Builder::new()
        .max_buf_size(CONNECTION_BUFFER_BYTES)
        .half_close(true)
        .serve_connection(io, handler);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = stopped(&mut stop) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            pace.stop();
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // What was no request has been answered.
        if !error.is_parse() {
            site.count_broken_connection();
        }
        tracing::debug!(service = site.service().name(), %error, "a connection ended early");
    }
}

/// Answers 503 without reading, as far as the socket takes it at once; whether it took anything.
fn turn_away(stream: &TcpStream, site: &Site) -> bool {
    let written = stream.try_write(&site.refuse_unread(Code::Overloaded));
    if let Err(error) = &written {
        tracing::debug!(%error, "a connection over the limit was closed without an answer");
    }
    written.is_ok()
}

/// Drops what a peer that was answered still sends, until it closes: a socket that is closed over
/// unread bytes is reset, and the answer may be lost with it.
async fn hear_out(mut stream: TcpStream) {
    let (mut dropped, mut scratch) = (0, [0; 4096]);
    if stream.shutdown().await.is_err() {
        return;
    }
    while dropped < FAREWELL_BYTES_MAX {
        match stream.read(&mut scratch).await {
            Ok(0) | Err(_) => return,
            Ok(count) => dropped += count,
        }
    }
}
