//! `LedgerRole`: the ledger's threads and the ways to them.
//!
//! Holds: the ring is made on the thread that uses it; stopping drains what was taken, makes it
//! durable, writes the slot and a checkpoint, and joins every thread.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::JoinHandle,
};

use disk::{Backend, BackendReport, BufferPool, BuffersReport, CommitMethod, Io, RingOptions};
use journal::{Active, Committer, HEADER_BYTES, Identity, Start};
use model::{Nanos, Seq, limits::FRAME_BYTES_MAX};
use wire::{Answer, Call, ReadAnswer, ReadCall};

use crate::{
    bell::Bell,
    checkpointer::{Checkpointer, Recipe},
    clock,
    commit_files::CommitFiles,
    commit_loop::{CommitLoop, CommitObserver, Run},
    feed::{FEED, FeedLine},
    follower::{Follower, Following},
    history::History,
    intake::{Intake, LaneKind},
    ledger_time::LedgerTime,
    pipeline::Pipeline,
    placement,
    preparer::Preparer,
    source::{Source, source},
    status_board::StatusBoard,
    store::{Birth, MemberFiles, OpenError, OpenReport, Segments, Store, StoreParams},
};

/// Questions to the reader open at once.
const READS: usize = 4_096;
/// Calls with slices open at once, for each shard.
const SLICE_CALLS: usize = 64;

/// What the ledger runs with.
#[derive(Clone, Debug)]
pub struct LedgerParams {
    /// Its data directory.
    pub store: StoreParams,
    /// What carries the writes of the journal.
    pub io: Io,
    /// How a frame is made durable.
    pub commit: CommitMethod,
    /// Frames on their way at once, 1 to `limits::FRAMES_IN_FLIGHT_MAX`.
    pub frames_in_flight: usize,
    /// The committer's core; `None` floats.
    pub core: Option<usize>,
    /// Whether the committer polls instead of sleeping.
    pub spin: bool,
    /// Entries after which a batch takes no further call.
    pub batch_max_entries: usize,
    /// Calls about money open at once.
    pub ingress: usize,
    /// Lanes for slices: one for each shard.
    pub slice_lanes: usize,
    /// How far the wall clock may be ahead of the last entry.
    pub max_forward_jump: Nanos,
}

/// The ledger's threads and the ways to them.
#[derive(Debug)]
pub struct LedgerRole {
    /// Calls about money.
    pub money: Source<Call, Answer>,
    /// Calls with slices, one lane for each shard.
    pub slices: Vec<Source<Call, Answer>>,
    /// Questions to the reader.
    pub reads: Source<ReadCall, ReadAnswer>,
    /// How the ledger is.
    pub board: Arc<StatusBoard>,
    /// What happened at start.
    pub report: LedgerReport,
    stop: Arc<AtomicBool>,
    committer_bell: Arc<Bell>,
    committer: Option<JoinHandle<bool>>,
    follower: Option<JoinHandle<()>>,
}

/// What happened at start, for the log.
#[derive(Clone, Debug)]
pub struct LedgerReport {
    /// The store.
    pub store: OpenReport,
    /// What carries the writes.
    pub backend: BackendReport,
    /// What became of registering its buffers.
    pub buffers: BuffersReport,
    /// Whether the committer is pinned.
    pub pinned: bool,
}

/// What the committer's thread is made from.
struct Parts {
    params: LedgerParams,
    store: Store,
    intake: Intake,
    bell: Arc<Bell>,
    feed: Arc<FeedLine>,
    board: Arc<StatusBoard>,
    observer: Box<dyn CommitObserver>,
    stop: Arc<AtomicBool>,
    time: LedgerTime,
}

impl LedgerRole {
    /// Opens the data directory and starts the threads. Returns when the committer is online.
    ///
    /// # Errors
    /// `OpenError`, with what to do.
    pub fn start(
        params: &LedgerParams,
        birth: &Birth,
        signer: ledger::NoteSigner,
        observer: Box<dyn CommitObserver>,
    ) -> Result<Self, OpenError> {
        let mut store = crate::store::open(&params.store, birth, &log_key(&signer))?;
        let now = clock::monotonic();
        let last = store.replay.as_ref().and_then(|replay| replay.last).map(|last| last.at);
        let time = LedgerTime::begin(last, clock::wall(), now, params.max_forward_jump)?;
        let bell = Arc::new(Bell::new()?);
        let reader_bell = Arc::new(Bell::new()?);
        let feed = FeedLine::new(Arc::clone(&reader_bell));
        let board = Arc::new(StatusBoard::new(store.superblock.ledger, store.superblock.incarnation));
        board.set_durable(store.resume.seq.0);
        board.set_repaired(store.report.repaired.bytes);
        if params.store.mirror.is_some() && store.membership.active != Active::Both {
            board.set_mirror_lost();
        }

        let mut intake = Intake::default();
        let (money, inlet) = source(params.ingress, Arc::clone(&bell))?;
        intake.add(inlet, LaneKind::Money);
        let mut slices = Vec::with_capacity(params.slice_lanes);
        for _ in 0..params.slice_lanes {
            let (lane, inlet) = source(SLICE_CALLS, Arc::clone(&bell))?;
            intake.add(inlet, LaneKind::Slices);
            slices.push(lane);
        }
        let (reads, read_inlet) = source(READS, Arc::clone(&reader_bell))?;

        let store_report = store.report.clone();
        let follower = follower(params, &mut store, signer, read_inlet, &reader_bell, &feed, &board)?;
        let stop = Arc::new(AtomicBool::new(false));
        let parts = Parts {
            params: params.clone(),
            store,
            intake,
            bell: Arc::clone(&bell),
            feed,
            board: Arc::clone(&board),
            observer,
            stop: Arc::clone(&stop),
            time,
        };
        let (committer, Online { backend, buffers, pinned }) = spawn_committer(parts)?;
        let follower = spawn("reader", move || follower.run());
        let report = LedgerReport { store: store_report, backend, buffers, pinned };
        Ok(Self {
            money,
            slices,
            reads,
            board,
            report,
            stop,
            committer_bell: bell,
            committer: Some(committer),
            follower: Some(follower),
        })
    }

    /// Takes no more calls, makes what was taken durable, writes slot and checkpoint, joins the
    /// threads. True if everything that was taken is durable; false after a failed write.
    #[must_use]
    pub fn stop(mut self) -> bool {
        self.shut()
    }

    fn shut(&mut self) -> bool {
        self.board.set_stopping();
        self.stop.store(true, Ordering::Release);
        self.committer_bell.ring();
        let clean = self.committer.take().is_none_or(|thread| thread.join().unwrap_or(false));
        if let Some(thread) = self.follower.take() {
            // A panic on it has ended the process already.
            drop(thread.join());
        }
        clean
    }
}

impl Drop for LedgerRole {
    fn drop(&mut self) {
        self.shut();
    }
}

fn follower(
    params: &LedgerParams,
    store: &mut Store,
    signer: ledger::NoteSigner,
    reads: crate::source::Inlet<ReadCall, ReadAnswer>,
    bell: &Arc<Bell>,
    feed: &Arc<FeedLine>,
    board: &Arc<StatusBoard>,
) -> Result<Follower, OpenError> {
    let places = store.home.clone();
    let mut copies = store.copies.iter().map(|copy| Segments::open(&copy.segments(), params.store.direct));
    let segments = copies.next().expect("a ledger has a directory")?;
    let twin = copies.next().transpose()?;
    drop(copies);
    let mut replay = store.replay.take().expect("a store is opened with its state");
    let recipe = Recipe {
        params: params.store.clone(),
        places: places.clone(),
        copies: store.copies.clone(),
        superblock: store.superblock.clone(),
        key: store.key.clone(),
    };
    // Where the last checkpoint is far behind, because a kill came first, one is due at once.
    let (entries, frame) = (store.report.checkpoint_entries, store.report.checkpoint);
    let checkpointer = Checkpointer::start(recipe.clone(), entries, frame)?;
    // What was replayed comes from the journal, beside the reader: a start is not slower by it.
    let history = History::start(recipe.clone(), Seq(replay.tree.size()))?;
    replay.rows = Some(Vec::new());
    Ok(Follower {
        replay,
        superblock: store.superblock.clone(),
        hash: params.store.hash,
        key: store.key.clone(),
        places,
        segments,
        twin,
        feed: Arc::clone(feed),
        reads,
        bell: Arc::clone(bell),
        board: Arc::clone(board),
        signer,
        checkpointer: Some(checkpointer),
        history,
        recipe,
        rebuilder: None,
        state: Following::new(&store.slot),
    })
}

/// Tells the name and key that roots are signed with from any other.
fn log_key(signer: &ledger::NoteSigner) -> [u8; 32] {
    ledger::HashKind::Sha256.leaf(signer.verifier().to_string().as_bytes())
}

/// What the committer says when it is online.
struct Online {
    backend: BackendReport,
    buffers: BuffersReport,
    pinned: bool,
}

fn spawn_committer(parts: Parts) -> Result<(JoinHandle<bool>, Online), OpenError> {
    let (told, started) = mpsc::sync_channel::<Result<Online, OpenError>>(1);
    let thread = spawn("committer", move || {
        let pinned = parts.params.core.is_some_and(placement::pin);
        match commit_loop(parts) {
            Ok((mut commit_loop, backend, buffers)) => {
                commit_loop.go_online();
                // The starter waits for exactly this.
                drop(told.send(Ok(Online { backend, buffers, pinned })));
                commit_loop.run()
            }
            Err(error) => {
                drop(told.send(Err(error)));
                false
            }
        }
    });
    match started.recv() {
        Ok(Ok(online)) => Ok((thread, online)),
        Ok(Err(error)) => Err(error),
        Err(_) => crate::fatal::fatal(crate::fatal::FatalReason::Bug, "the committer did not start"),
    }
}

/// Builds the loop on the thread that will run it.
fn commit_loop(parts: Parts) -> Result<(CommitLoop, BackendReport, BuffersReport), OpenError> {
    let Parts { params, store, intake, bell, feed, board, observer, stop, time } = parts;
    let options = RingOptions { commit: params.commit, ..RingOptions::default() };
    let (mut backend, report) = Backend::open(params.io, &options, Arc::clone(bell.doorbell()))?;
    for lock in &store.locks {
        backend.hold_lock(Arc::clone(lock))?;
    }
    let geometry = store.superblock.geometry;
    let frame_bytes = geometry.frame_bytes_max().min(FRAME_BYTES_MAX);
    let buffers = u16::try_from(params.frames_in_flight + FEED + 2).expect("a few buffers");
    let mut pool = BufferPool::new(buffers, frame_bytes);
    let registered = backend.register_buffers(&mut pool);
    let start = Start {
        identity: Identity {
            ledger: store.superblock.ledger,
            incarnation: store.superblock.incarnation,
            epoch: store.superblock.epoch,
        },
        geometry,
        key: store.key.clone(),
        resume: store.resume,
        slot: store.slot,
        membership: store.membership,
        in_flight_max: params.frames_in_flight,
    };
    let committer = Committer::new(start, clock::monotonic());
    let (rules, tree) = store.rules;
    let pipeline = Pipeline::new(
        rules,
        tree,
        params.store.hash,
        committer,
        frame_bytes - HEADER_BYTES,
        params.batch_max_entries,
    );
    let preparer = Preparer::start(
        MemberFiles::segments_of(&store.members),
        geometry.segment_bytes(),
        store.resume.next,
        params.store.direct,
        Arc::clone(&bell),
    )?;
    let in_flight = u16::try_from(params.frames_in_flight).expect("a few frames");
    let is_pair = store.membership.active == Active::Both;
    let twins = is_pair.then(|| BufferPool::new(in_flight, frame_bytes));
    let files = CommitFiles::attach(store.members, &mut backend)?;
    let lanes = intake.lanes().count();
    let mut intake = intake;
    intake.set_largest(pipeline.largest());
    let commit_loop = CommitLoop {
        pipeline,
        intake,
        backend,
        bell,
        pool,
        twins,
        files,
        preparer,
        key: store.key,
        time,
        feed,
        board,
        observer,
        stop,
        spin: params.spin,
        run: Run::new(lanes),
    };
    Ok((commit_loop, report, registered))
}

fn spawn<T: Send + 'static>(name: &'static str, body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(move || crate::fatal::guard(name, body))
        .expect("the process may start a thread")
}

#[cfg(test)]
mod mirror_tests;
#[cfg(test)]
mod tests;
