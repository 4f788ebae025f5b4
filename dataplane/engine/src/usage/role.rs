//! `UsageRole`: the accounting role's threads and the ways to them.
//!
//! Holds: nothing is accepted before every shard has taken up what the ledger holds; a stop seals
//! what was counted, waits for the ledger within a bound, and joins every thread.

use std::{
    fmt, io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::JoinHandle,
};

use crossbeam_queue::ArrayQueue;
use disk::{Backend, DiskError, Io, RingOptions};
use model::{Nanos, Seq};
use shard::{ParamsError, RestoreError, Shard};
use wire::{
    Answer, Call, ReadAnswer, ReadCall,
    usage::{UsageAnswer, UsageCall},
};

use super::{
    acceptor::{Acceptor, AcceptorBoard, Door},
    board::ShardBoard,
    epoll_executor,
    params::{Executor, UsageParams},
    restore,
    ring_executor::Ring,
    shard_loop::{Parts, ShardLoop},
    socket::{self, SocketError},
};
use crate::{
    bell::Bell,
    fatal::{FatalReason, fatal, guard},
    placement,
    source::{Source, source},
};

/// Greeted connections that wait for their shard.
const ACCEPTED: usize = 64;
/// What glommio needs of locked memory: its own floor.
const MEMLOCK_MIN_BYTES: u64 = 512 << 10;

/// Why the accounting role does not start.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// A shard's parameters do not fit together.
    #[error("accounting: {0}")]
    Params(#[from] ParamsError),
    /// There is no socket for producers.
    #[error("{0}")]
    Socket(#[from] SocketError),
    /// A slice of the ledger cannot be taken up.
    #[error("accounting cannot take up the slice in entry {seq}: {error}")]
    Restore {
        /// The entry.
        seq: Seq,
        /// Why.
        error: RestoreError,
    },
    /// The ledger's reader cannot read its slices.
    #[error(
        "the journal does not give up the slices that accounting begins with; `ron-ledgerctl verify` says \
         which segment is lost or damaged"
    )]
    Reader,
    /// The ledger's reader does not answer.
    #[error("the ledger's reader does not answer in time; try again")]
    Silent,
    /// `accounting.executor = "glommio"` and there is no ring.
    #[error("`accounting.executor` asks for a ring and there is none: {0}; set `auto` or `epoll`")]
    Ring(io::Error),
    /// The system gives no descriptor.
    #[error("{0}")]
    Disk(#[from] DiskError),
    /// The system gives no thread or no descriptor.
    #[error("the accounting role does not start: {0}")]
    Io(#[from] io::Error),
}

impl UsageError {
    /// The exit code of a process that does not start for this; see `docs/errors.md`.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Params(_) | Self::Socket(SocketError::TooLong { .. } | SocketError::NotASocket { .. }) => 2,
            Self::Socket(SocketError::Taken { .. }) | Self::Silent => 75,
            Self::Socket(SocketError::Shared { .. }) => 77,
            Self::Restore { .. } => 83,
            Self::Reader => 93,
            Self::Ring(_) => 89,
            Self::Socket(SocketError::Io { .. }) | Self::Disk(_) | Self::Io(_) => 91,
        }
    }
}

/// Told what a shard does. Its calls are a few atomic additions.
pub trait UsageObserver: Send + fmt::Debug {
    /// A slice is in the ledger, so long after it was sealed.
    fn exported(&mut self, took: Nanos);
}

/// What happened at start, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageReport {
    /// Where producers connect.
    pub socket: PathBuf,
    /// Whether the shards' loops run on a ring.
    pub is_ring: bool,
    /// Slices that were taken up from the ledger.
    pub restored: u64,
    /// Shards that are pinned to a core.
    pub pinned: usize,
    /// Memory that may be locked, in bytes; `None` is unlimited.
    pub memlock_bytes: Option<u64>,
}

/// The accounting role's threads and the ways to them.
#[derive(Debug)]
pub struct UsageRole {
    /// Calls of the control plane, one way for each shard.
    pub calls: Vec<Source<UsageCall, UsageAnswer>>,
    /// How each shard is.
    pub boards: Vec<Arc<ShardBoard>>,
    /// What was refused before a shard saw it.
    pub acceptor_board: Arc<AcceptorBoard>,
    /// What happened at start.
    pub report: UsageReport,
    stop: Arc<AtomicBool>,
    accepting: Arc<Bell>,
    bells: Vec<Arc<Bell>>,
    acceptor: Option<JoinHandle<()>>,
    shards: Vec<JoinHandle<bool>>,
}

impl UsageRole {
    /// Takes up what the ledger holds and starts the threads. `slices` are the ledger's lanes, one
    /// for each shard; `reads` the way to its reader, which nobody else may use yet.
    ///
    /// # Errors
    /// `UsageError`, with what to do.
    pub fn start(
        params: &UsageParams,
        slices: &[Source<Call, Answer>],
        reads: &Source<ReadCall, ReadAnswer>,
        observer: impl Fn() -> Box<dyn UsageObserver>,
    ) -> Result<Self, UsageError> {
        assert!(!params.shards.is_empty() && slices.len() == params.shards.len(), "a lane for each shard");
        let memlock = disk::raise_memlock()?;
        let is_ring = picks_ring(params.executor, memlock.soft_bytes)?;
        let made = params.shards.iter().map(|shard| Shard::new(*shard));
        let mut shards = made.collect::<Result<Vec<_>, _>>()?;
        let restored = restore::restore(&mut shards, reads)?;
        let listener = socket::listen(&params.socket)?;

        let stop = Arc::new(AtomicBool::new(false));
        let accepting = Arc::new(Bell::new()?);
        let report = UsageReport {
            socket: params.socket.clone(),
            is_ring,
            restored,
            pinned: 0,
            memlock_bytes: memlock.soft_bytes,
        };
        let mut role = Self {
            calls: Vec::new(),
            boards: Vec::new(),
            acceptor_board: Arc::default(),
            report,
            stop,
            accepting,
            bells: Vec::new(),
            acceptor: None,
            shards: Vec::new(),
        };
        let mut doors = Vec::with_capacity(shards.len());
        for (index, (shard, lane)) in shards.into_iter().zip(slices).enumerate() {
            let core = params.cores.get(index).copied().flatten();
            doors.push(role.start_shard(params, shard, lane.clone(), core, observer())?);
        }
        let acceptor = Acceptor {
            listener,
            doors,
            hello_max: params.hello_max,
            bell: Arc::clone(&role.accepting),
            stop: Arc::clone(&role.stop),
            board: Arc::clone(&role.acceptor_board),
        };
        role.acceptor = Some(spawn("usage-acceptor", move || acceptor.run())?);
        Ok(role)
    }

    fn start_shard(
        &mut self,
        params: &UsageParams,
        shard: Shard,
        ledger: Source<Call, Answer>,
        core: Option<usize>,
        observer: Box<dyn UsageObserver>,
    ) -> Result<Door, UsageError> {
        let bell = Arc::new(Bell::over_socket()?);
        let (calls, inlet) = source(params.calls, Arc::clone(&bell))?;
        ledger.answers_to(Arc::clone(&bell));
        let accepted = Arc::new(ArrayQueue::new(ACCEPTED));
        let board = Arc::new(ShardBoard::default());
        let parts = Parts {
            shard,
            accepted: Arc::clone(&accepted),
            calls: inlet,
            ledger,
            bell: Arc::clone(&bell),
            stop: Arc::clone(&self.stop),
            board: Arc::clone(&board),
            observer,
            frame_max: params.frame_max,
            unread_max: params.unread_max,
            drain_max: params.drain_max,
        };
        let executor = if self.report.is_ring { params.executor } else { Executor::Epoll };
        let (told, started) = mpsc::sync_channel::<io::Result<Begun>>(1);
        self.shards.push(spawn("shard", move || run(parts, executor, core, &told))?);
        self.bells.push(Arc::clone(&bell));
        self.calls.push(calls);
        self.boards.push(board);
        let begun = started.recv().map_err(io::Error::other)?.map_err(UsageError::Ring)?;
        self.report.pinned += usize::from(begun.pinned);
        // What the shards run on is told for all of them, by the weakest.
        self.report.is_ring &= begun.is_ring;
        Ok(Door { accepted, bell })
    }

    /// Takes no more, seals what was counted, waits within a bound until the ledger has it, and
    /// joins the threads. True if everything that was counted is in the ledger.
    #[must_use]
    pub fn stop(mut self) -> bool {
        self.shut()
    }

    fn shut(&mut self) -> bool {
        // While somebody listens there nobody else takes the name: after the acceptor has ended it
        // may be another process's. Gone already if someone has tidied up.
        drop(std::fs::remove_file(&self.report.socket));
        self.stop.store(true, Ordering::Release);
        self.accepting.ring();
        if let Some(acceptor) = self.acceptor.take() {
            // A panic on it has ended the process already; on any of them.
            drop(acceptor.join());
        }
        self.bells.iter().for_each(|bell| bell.ring());
        let mut drained = true;
        for shard in self.shards.drain(..) {
            drained &= shard.join().unwrap_or(false);
        }
        drained
    }
}

impl Drop for UsageRole {
    fn drop(&mut self) {
        if !self.shards.is_empty() {
            self.shut();
        }
    }
}

/// Whether the loops run on a ring.
fn picks_ring(executor: Executor, memlock_bytes: Option<u64>) -> Result<bool, UsageError> {
    if executor == Executor::Epoll {
        return Ok(false);
    }
    // glommio ends the process where a ring is refused, so ask for one first.
    let doorbell = Arc::new(disk::Doorbell::new()?);
    let probed = Backend::open(Io::Uring, &RingOptions { depth: 2, ..RingOptions::default() }, doorbell);
    let refused = match probed {
        Err(error) => Some(io::Error::other(error)),
        Ok(_) if memlock_bytes.is_some_and(|bytes| bytes < MEMLOCK_MIN_BYTES) => {
            Some(io::Error::other("RLIMIT_MEMLOCK is under 512 KiB"))
        }
        Ok(_) => None,
    };
    match refused {
        None => Ok(true),
        Some(error) if executor == Executor::Ring => Err(UsageError::Ring(error)),
        Some(error) => {
            tracing::warn!("accounting runs on epoll, because there is no ring for it: {error}");
            Ok(false)
        }
    }
}

/// What a shard's thread says when it begins.
struct Begun {
    pinned: bool,
    is_ring: bool,
}

/// The body of a shard's thread; says whether everything that was counted is in the ledger.
fn run(
    parts: Parts,
    executor: Executor,
    core: Option<usize>,
    told: &mpsc::SyncSender<io::Result<Begun>>,
) -> bool {
    let pinned = core.is_some_and(placement::pin);
    let shard = ShardLoop::new(parts);
    let ring = match executor {
        Executor::Epoll => None,
        Executor::Auto => make_ring()
            .inspect_err(|error| {
                tracing::warn!("a shard runs on epoll, because glommio gets no ring: {error}")
            })
            .ok(),
        Executor::Ring => match make_ring() {
            Ok(ring) => Some(ring),
            Err(error) => {
                drop(told.send(Err(error)));
                return false;
            }
        },
    };
    // The starter waits for exactly this.
    drop(told.send(Ok(Begun { pinned, is_ring: ring.is_some() })));
    let ended = match ring {
        Some(ring) => ring.run(shard),
        None => epoll_executor::run(shard),
    };
    match ended {
        Ok(drained) => drained,
        Err(error) => fatal(FatalReason::Bug, &format!("a shard cannot wait: {error}")),
    }
}

/// glommio's executor. It panics where the kernel refuses some of what it asks for; nothing of ours
/// is inside it then.
fn make_ring() -> io::Result<Ring> {
    std::panic::catch_unwind(Ring::new)
        .unwrap_or_else(|_| Err(io::Error::other("it ended with the panic that is told above")))
}

fn spawn<T: Send + 'static>(
    name: &'static str,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    std::thread::Builder::new().name(name.into()).spawn(move || guard(name, body))
}
