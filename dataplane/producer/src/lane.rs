//! `Lane`: one shard's machine, its connection, and the thread that moves bytes between them.

use std::{
    io::{self, ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{Builder, JoinHandle},
    time::Duration,
};

use wire::usage::{FrameBuffer, ProducerMachine};

use crate::producer::lock;

/// How long to wait before another connection is tried, at most.
const RECONNECT_MAX: Duration = Duration::from_secs(2);
/// How long a peer may take to read what is sent, before it counts as gone.
const WRITE_MAX: Duration = Duration::from_secs(5);

/// What the host and the thread share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) machine: Mutex<ProducerMachine>,
    /// Something was heard, or the lane stops.
    changed: Condvar,
    stopping: AtomicBool,
}

#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Lane {
    pub(crate) fn start(path: &Path, flush_every: Duration, machine: ProducerMachine) -> io::Result<Self> {
        let machine = Mutex::new(machine);
        let shared = Arc::new(Shared { machine, changed: Condvar::new(), stopping: AtomicBool::new(false) });
        let runner = Runner { shared: Arc::clone(&shared), path: path.to_owned(), flush_every };
        let thread = Builder::new().name("usage-producer".to_owned()).spawn(move || runner.run())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Waits until what was recorded before is in the ledger.
    pub(crate) fn wait_durable(&self, timeout: Duration) -> bool {
        let machine = lock(&self.shared.machine);
        let mut target = None;
        let waits = |machine: &mut ProducerMachine| {
            machine.flush();
            let status = machine.status();
            // What finds no room to be kept is not in a batch yet.
            if target.is_none() && status.gathering == 0 {
                target = Some(status.made);
            }
            target.is_none_or(|target| status.durable < target)
        };
        let waited = self.shared.changed.wait_timeout_while(machine, timeout, waits);
        let (machine, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(machine);
        !waited.timed_out()
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing left to say: its machine is dropped with it.
            drop(thread.join());
        }
    }
}

struct Runner {
    shared: Arc<Shared>,
    path: PathBuf,
    flush_every: Duration,
}

impl Runner {
    fn run(&self) {
        let mut pause = self.flush_every;
        while !self.is_stopping() {
            let talked = UnixStream::connect(&self.path).and_then(|stream| self.talk(stream));
            lock(&self.shared.machine).disconnected();
            self.shared.changed.notify_all();
            // A conversation that came to something begins again at once; the rest backs off.
            let was_welcome = talked.unwrap_or(false);
            pause = if was_welcome { self.flush_every } else { (pause * 2).min(RECONNECT_MAX) };
            self.rest(pause);
        }
    }

    fn is_stopping(&self) -> bool {
        self.shared.stopping.load(Ordering::Acquire)
    }

    fn rest(&self, pause: Duration) {
        let machine = lock(&self.shared.machine);
        let waiting = |_: &mut ProducerMachine| !self.is_stopping();
        let waited = self.shared.changed.wait_timeout_while(machine, pause, waiting);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Talks until the connection ends; says whether the shard ever welcomed it.
    fn talk(&self, mut stream: UnixStream) -> io::Result<bool> {
        stream.set_read_timeout(Some(self.flush_every))?;
        stream.set_write_timeout(Some(WRITE_MAX))?;
        let mut received = FrameBuffer::new();
        let mut sending = Vec::new();
        let mut was_welcome = false;
        lock(&self.shared.machine).connected();
        while !self.is_stopping() {
            let more = {
                let mut machine = lock(&self.shared.machine);
                was_welcome |= machine.is_welcome();
                machine.flush();
                machine.output(&mut sending)
            };
            if stream.write_all(&sending).is_err() {
                break;
            }
            sending.clear();
            // Answers come even while there is more to send: both sides' buffers are finite.
            stream.set_nonblocking(more)?;
            let read = stream.read(received.space());
            stream.set_nonblocking(false)?;
            match read {
                Ok(0) => break,
                Ok(count) => received.filled(count),
                Err(error) if is_wait(&error) => continue,
                Err(_) => break,
            }
            if !self.hear(&mut received) {
                break;
            }
        }
        Ok(was_welcome)
    }

    /// Tells the machine what has arrived; `false` if the conversation is over.
    fn hear(&self, received: &mut FrameBuffer) -> bool {
        let mut machine = lock(&self.shared.machine);
        let goes_on = loop {
            match received.server() {
                Ok(Some(message)) if machine.hear(&message).is_err() => break false,
                Ok(Some(_)) => {}
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        drop(machine);
        self.shared.changed.notify_all();
        goes_on
    }
}

fn is_wait(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
