//! `PacedStream`: a socket whose peer must keep pace.
//!
//! Holds: a connection ends when its peer is silent longer than `idle_timeout` between requests,
//! takes longer than `read_timeout` from the first byte of a head to its end, or leaves an answer
//! untaken for longer than `write_timeout`. A peer that dribbles bytes gains no time by it.
//! Leaves to others: the body's deadline (`body`), the bound on connections (`listener`).

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

use crate::HttpParams;

/// What the request handler tells the socket: that a head is complete, that an answer is made.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    heads: AtomicU64,
    serving: AtomicBool,
    stopping: AtomicBool,
}

impl Pace {
    /// A whole head was read and its request is now served, until the guard falls.
    pub(crate) fn serve(self: &Arc<Self>) -> Serving {
        self.heads.fetch_add(1, Ordering::Relaxed);
        self.serving.store(true, Ordering::Release);
        Serving(Arc::clone(self))
    }

    /// The listener stops: nothing is waited for that is not an answer.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Whether the listener stops.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

/// A request that is being served: the socket's read deadlines rest meanwhile.
#[derive(Debug)]
pub(crate) struct Serving(Arc<Pace>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.serving.store(false, Ordering::Release);
    }
}

/// Which read deadline is armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// None: a request is served, or nothing was awaited yet.
    Rest,
    /// The first byte of a head is awaited.
    Idle,
    /// A head has begun.
    Head,
}

/// A socket with deadlines for its peer.
#[derive(Debug)]
pub(crate) struct PacedStream<S> {
    stream: S,
    pace: Arc<Pace>,
    heads_seen: u64,
    reading: Reading,
    read_deadline: Pin<Box<Sleep>>,
    writing: bool,
    write_deadline: Pin<Box<Sleep>>,
    read_timeout: Duration,
    write_timeout: Duration,
    idle_timeout: Duration,
}

impl<S> PacedStream<S> {
    /// Puts `stream` under the deadlines of `params`. Needs a runtime with time.
    pub(crate) fn new(stream: S, pace: Arc<Pace>, params: &HttpParams) -> Self {
        Self {
            stream,
            pace,
            heads_seen: 0,
            reading: Reading::Rest,
            read_deadline: Box::pin(sleep(params.idle_timeout)),
            writing: false,
            write_deadline: Box::pin(sleep(params.write_timeout)),
            read_timeout: params.read_timeout,
            write_timeout: params.write_timeout,
            idle_timeout: params.idle_timeout,
        }
    }

    /// Drops the deadline of a head that has become a request since.
    fn observe_heads(&mut self) {
        let heads = self.pace.heads.load(Ordering::Relaxed);
        if heads != self.heads_seen {
            self.heads_seen = heads;
            self.reading = Reading::Rest;
        }
    }

    fn arm_read(&mut self, reading: Reading, timeout: Duration) {
        self.reading = reading;
        self.read_deadline.as_mut().reset(Instant::now() + timeout);
    }

    /// Nothing to read now: arms the deadline that fits, and says whether it has passed.
    fn read_is_late(&mut self, context: &mut Context<'_>) -> bool {
        self.observe_heads();
        if self.pace.serving.load(Ordering::Acquire) {
            self.reading = Reading::Rest;
            return false;
        }
        if self.reading == Reading::Rest {
            self.arm_read(Reading::Idle, self.idle_timeout);
        }
        self.read_deadline.as_mut().poll(context).is_ready()
    }

    /// Bytes were read: outside of a request they are the begin of a head or go on with one.
    fn note_read(&mut self) {
        self.observe_heads();
        if !self.pace.serving.load(Ordering::Acquire) && self.reading != Reading::Head {
            self.arm_read(Reading::Head, self.read_timeout);
        }
    }

    /// An answer was written: the wait for the next request begins here, because a reader that
    /// was told to wait while the request was served does not look again by itself.
    fn await_next(&mut self, context: &mut Context<'_>) {
        self.observe_heads();
        if self.reading == Reading::Rest && !self.pace.serving.load(Ordering::Acquire) {
            self.arm_read(Reading::Idle, self.idle_timeout);
            // Only registers the wake: `poll_read` says what a deadline that passed means.
            let _: Poll<()> = self.read_deadline.as_mut().poll(context);
        }
    }

    /// Turns a write that cannot go on into an error once its deadline has passed.
    fn paced_write<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_pending() {
            if !self.writing {
                self.writing = true;
                self.write_deadline.as_mut().reset(Instant::now() + self.write_timeout);
            }
            ready!(self.write_deadline.as_mut().poll(context));
            return Poll::Ready(Err(late("the peer does not take its answer")));
        }
        written
    }
}

fn late(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

impl<S: AsyncRead + Unpin> AsyncRead for PacedStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        match Pin::new(&mut this.stream).poll_read(context, buffer) {
            Poll::Ready(outcome) => {
                if buffer.filled().len() > before {
                    this.note_read();
                }
                Poll::Ready(outcome)
            }
            Poll::Pending if this.read_is_late(context) => {
                Poll::Ready(Err(late("the peer does not send its request")))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PacedStream<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.paced_write(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        this.paced_write(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(context);
        if flushed.is_ready() {
            this.writing = false;
            this.await_next(context);
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    fn params() -> HttpParams {
        HttpParams {
            read_timeout: Duration::from_secs(3),
            write_timeout: Duration::from_secs(2),
            idle_timeout: Duration::from_secs(10),
            ..HttpParams::default()
        }
    }

    /// Reads until an error or the end, in virtual time; says what ended it and after how long.
    async fn read_to_end(stream: &mut PacedStream<tokio::io::DuplexStream>) -> (ErrorKind, u64) {
        let begun = Instant::now();
        let mut buffer = [0; 16];
        loop {
            match stream.read(&mut buffer).await {
                Ok(0) => return (ErrorKind::UnexpectedEof, begun.elapsed().as_secs()),
                Ok(_) => {}
                Err(error) => return (error.kind(), begun.elapsed().as_secs()),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_peer_ends_after_the_idle_timeout() {
        let (near, _far) = duplex(64);
        let mut stream = PacedStream::new(near, Arc::default(), &params());
        assert_eq!(read_to_end(&mut stream).await, (ErrorKind::TimedOut, 10));
    }

    #[tokio::test(start_paused = true)]
    async fn dribbling_gains_no_time() {
        let (near, mut far) = duplex(64);
        let mut stream = PacedStream::new(near, Arc::default(), &params());
        let dribble = async move {
            while far.write_all(b"x").await.is_ok() {
                sleep(Duration::from_millis(500)).await;
            }
        };
        let (ended, ()) = tokio::join!(
            async {
                let ended = read_to_end(&mut stream).await;
                drop(stream);
                ended
            },
            dribble
        );
        assert_eq!(ended, (ErrorKind::TimedOut, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_in_work_rests_the_deadline_and_its_answer_arms_it_again() {
        let (near, mut far) = duplex(64);
        let pace = Arc::new(Pace::default());
        let mut stream = PacedStream::new(near, Arc::clone(&pace), &params());
        far.write_all(b"head").await.unwrap();
        let mut buffer = [0; 16];
        assert_eq!(stream.read(&mut buffer).await.unwrap(), 4);
        let serving = pace.serve();
        let waited = tokio::time::timeout(Duration::from_secs(60), stream.read(&mut buffer)).await;
        assert!(waited.is_err(), "no deadline while the request is served");
        drop(serving);
        assert_eq!(read_to_end(&mut stream).await, (ErrorKind::TimedOut, 10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_read_ends_after_the_write_timeout() {
        let (near, mut far) = duplex(8);
        let mut stream = PacedStream::new(near, Arc::default(), &params());
        let begun = Instant::now();
        let take_slowly = async {
            let mut one = [0; 1];
            while far.read_exact(&mut one).await.is_ok() {
                sleep(Duration::from_millis(700)).await;
            }
        };
        let write = async {
            let error = stream.write_all(&[7; 64]).await.unwrap_err();
            assert_eq!((error.kind(), begun.elapsed().as_secs()), (ErrorKind::TimedOut, 2));
            drop(stream);
        };
        tokio::join!(write, take_slowly);
    }
}
