//! Opening a data directory: lock, superblock, checkpoint, replay, verdict, flush, new epoch.
//!
//! Holds: nothing is changed before the verdict; on rot nothing is changed at all; every segment
//! that holds a recovered frame is flushed, and the flush checked, before the store is given out.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use disk::{Access, AlignedBuf, Direct, DirectFile, DirectoryLock, DiskError, directory};
use journal::{
    Checkpoint, Cut, Frame, FrameKey, FrameNumber, Geometry, IMAGE_BYTES, ImageCopy, ImageError, Input,
    Member, Membership, READ_BYTES, Recovered, RecoveryError, Repair, Resume, STRIDE_BYTES_DEFAULT,
    SegmentNumber, SegmentSource, Slot, Superblock, Tail, checkpoint_file_name, checkpoint_frame, recover,
    recovery_buffer_bytes,
};
use ledger::{Effect, HashKind, Ledger, Table, Tree};
use model::{Epoch, Incarnation, LedgerId, Nanos, Timestamp};

use crate::{bell::Bell, clock};

use super::{
    OpenError, Segments, again,
    copies::Copies,
    images,
    members::{MemberFiles, Members},
    replay::{Replay, ReplayError, Wanted, rules},
    resync::{self, Copied},
    twin::Twin,
};

/// How long a held lock is tried again.
const LOCK_PATIENCE: Nanos = Nanos::from_secs(3);
/// Copies of the state: the committer's and the reader's.
const COPIES: usize = 2;
/// Bytes of a checkpoint file at most.
const CHECKPOINT_BYTES_MAX: u64 = 64 << 30;

/// What a store is opened with.
#[derive(Clone, Debug)]
pub struct StoreParams {
    /// The ledger's directory; made if it is not there.
    pub directory: PathBuf,
    /// Hash of the tree, if the ledger is made now; else it must be the same.
    pub hash: HashKind,
    /// Bytes of a segment, if the ledger is made now.
    pub segment_bytes: u64,
    /// Accounts at most.
    pub accounts_max: usize,
    /// Idempotency keys at most.
    pub keys_max: usize,
    /// What to do where the file system does no direct I/O.
    pub direct: Direct,
    /// The directory of the second copy, on another device.
    pub mirror: Option<PathBuf>,
}

/// What only randomness and a clock can give: used if the ledger is made now.
#[derive(Clone)]
pub struct Birth {
    /// Identity of the ledger.
    pub ledger: LedgerId,
    /// What frames are keyed with.
    pub frame_key: [u8; 32],
    /// What blinds are derived from.
    pub ledger_secret: [u8; 32],
    /// Now.
    pub created: Timestamp,
}

impl std::fmt::Debug for Birth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Birth").field("ledger", &self.ledger).finish_non_exhaustive()
    }
}

/// An open data directory, recovered and flushed, with a new epoch.
#[derive(Debug)]
pub struct Store {
    /// The locks, held as long as anything may write.
    pub locks: Vec<Arc<DirectoryLock>>,
    /// The superblock with this start's epoch.
    pub superblock: Superblock,
    /// The journal's key.
    pub key: FrameKey,
    /// The newest frontier slot.
    pub slot: Slot,
    /// Who has to have a frame.
    pub membership: Membership,
    /// What the committer writes of each of them.
    pub members: Vec<MemberFiles>,
    /// Where checkpoints and derived files lie.
    pub(crate) home: Places,
    /// Where the journal is read, the first at first.
    pub(crate) copies: Vec<Places>,
    /// Where the journal goes on.
    pub resume: Resume,
    /// State, tree and derived files up to the last frame, for the reader.
    pub replay: Option<Replay>,
    /// The same state and tree, for the committer.
    pub rules: (Ledger, Tree),
    /// What happened.
    pub report: OpenReport,
}

/// What happened while a store was opened, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenReport {
    /// Which start this is.
    pub epoch: Epoch,
    /// Whether the ledger was made now.
    pub created: bool,
    /// The frame of the checkpoint that replay began at, zero for none.
    pub checkpoint: FrameNumber,
    /// Entries in that checkpoint.
    pub checkpoint_entries: u64,
    /// Frames replayed.
    pub frames: u64,
    /// Bytes replayed.
    pub bytes: u64,
    /// The torn tail that was cut.
    pub cut: Option<Cut>,
    /// Whether the page cache is passed by.
    pub is_direct: bool,
    /// What one of two copies lacked and has now.
    pub repaired: Copied,
    /// Bytes that were written to bring a member up again.
    pub copied: u64,
}

/// Where things lie in a ledger's directory.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    pub(crate) root: PathBuf,
}

impl Places {
    pub(crate) fn segments(&self) -> PathBuf {
        self.root.join(journal::SEGMENT_DIR)
    }

    pub(crate) fn checkpoints(&self) -> PathBuf {
        self.root.join(journal::CHECKPOINT_DIR)
    }

    pub(crate) fn derived(&self) -> PathBuf {
        self.root.join("derived")
    }

    pub(crate) fn history(&self) -> PathBuf {
        self.root.join("history")
    }
}

/// Opens the data directory, making the ledger if there is none.
///
/// # Errors
/// `OpenError`, each with what to do and an exit code.
pub(crate) fn open(params: &StoreParams, birth: &Birth, log_key: &[u8; 32]) -> Result<Store, OpenError> {
    let mut members = Members::find(params)?;
    for directory in [members.home.segments(), members.home.checkpoints()] {
        directory::create_private_dir(&directory)?;
    }
    let (superblock, created) = superblock(params, &members, birth, log_key)?;
    check_settings(params, &superblock)?;
    check_memory(&rules(params, &superblock), COPIES)?;
    let key = FrameKey::new(&superblock.frame_key);
    let slot = slot(&members, &superblock, &key)?;
    if superblock.log_key != [0; 32] && superblock.log_key != *log_key {
        return Err(OpenError::LogKey);
    }

    let mut replayed = replay(params, &members, &superblock, &key, slot.as_ref())?;
    let empty_root = params.hash.empty();
    let Some(resume) = replayed.recovered.resume_after_flush(empty_root) else {
        let Tail::Rot(rot) = replayed.recovered.tail else { unreachable!("only rot has nowhere to go on") };
        return Err(OpenError::Rot(rot));
    };
    // The order that the simulator proves: what was read is made durable, then the new epoch, and
    // only then is anything cut. A flush alone is not believed: after a write or a flush that failed,
    // the kernel may show bytes that it never wrote and never will.
    let repaired = repair(params, &members, &superblock, &key, &replayed)?;
    for (_, places) in &members.believed {
        images::open_or_create(&places.root.join(journal::SUPERBLOCK_FILE), params.direct)?;
        again::write_again(params, places, &superblock, slot.as_ref(), &replayed.recovered)?;
        flush(params, places, &replayed.recovered)?;
    }
    let superblock = Superblock { epoch: replayed.recovered.next_epoch, log_key: *log_key, ..superblock };
    for (_, places) in &members.believed {
        write_superblock(params, places, &superblock)?;
    }
    let cut = cut_tail(params, &members, &superblock, &key, &replayed.recovered)?;
    tidy_up(&members.home);
    replayed.state.flush();
    let slot = slot.expect("a lost slot is rot");
    let (membership, copied) = members.settle(params, &superblock, &key, &slot)?;
    let files =
        |(member, places): &(Member, Places)| MemberFiles::open(*member, places, membership.active, params);
    let files: Vec<MemberFiles> = members.believed.iter().map(files).collect::<Result<_, _>>()?;
    let report = OpenReport {
        epoch: superblock.epoch,
        created,
        checkpoint: replayed.checkpoint.0,
        checkpoint_entries: replayed.checkpoint.1,
        frames: replayed.recovered.frames,
        bytes: replayed.recovered.bytes,
        cut,
        is_direct: files.iter().all(|files| files.slot.is_direct()),
        repaired,
        copied,
    };
    let rules = (replayed.twin, replayed.state.tree.clone());
    Ok(Store {
        superblock,
        key,
        slot,
        membership,
        members: files,
        home: members.home.clone(),
        copies: members.believed.iter().map(|(_, places)| places.clone()).collect(),
        locks: members.locks,
        resume,
        replay: Some(replayed.state),
        rules,
        report,
    })
}

/// Takes the lock. A ring gives its files back a moment after its process has ended, so a held lock
/// is tried again for a bounded time.
pub(super) fn acquire(path: &Path) -> Result<DirectoryLock, DiskError> {
    let holder = format!("process {}", std::process::id());
    let begun = clock::monotonic();
    let pause = Bell::new()?;
    loop {
        match DirectoryLock::acquire(path, &holder) {
            Err(DiskError::Locked { .. }) if clock::monotonic().since(begun) < LOCK_PATIENCE => {
                pause.wait(Nanos::from_millis(5), || false);
            }
            taken => return taken,
        }
    }
}

/// What a start that succeeds clears away. None of it is needed, so a refusal is only told.
fn tidy_up(places: &Places) {
    for directory in [places.checkpoints(), places.root.join(journal::CUT_DIR)] {
        match directory::sweep(&directory) {
            Ok(0) => {}
            Ok(swept) => tracing::info!(swept, "removed what a kill had left half written"),
            Err(error) if error.is_not_found() => {}
            Err(error) => tracing::warn!("what a kill left half written stays: {error}"),
        }
    }
}

fn check_settings(params: &StoreParams, superblock: &Superblock) -> Result<(), OpenError> {
    check_hash(params.hash, superblock.hash)?;
    let segment_bytes = superblock.geometry.segment_bytes();
    if segment_bytes != params.segment_bytes {
        tracing::warn!(
            "ledger.segment_mib = {} is not used: the ledger was made with {} (it cannot be changed)",
            params.segment_bytes >> 20,
            segment_bytes >> 20
        );
    }
    Ok(())
}

/// Sees whether the tables of this many copies of the state can be reserved; they are made with
/// calls that end the process where there is no memory.
pub(crate) fn check_memory(rules: &ledger::Params, copies: usize) -> Result<(), OpenError> {
    let mut held: Vec<Vec<u8>> = Vec::new();
    for (table, bytes) in std::iter::repeat_n(rules.reservations(), copies).flatten() {
        let mut probe = Vec::new();
        if probe.try_reserve_exact(bytes).is_err() {
            return Err(too_large(table, rules));
        }
        // Without this the compiler may leave the reservation out.
        held.push(std::hint::black_box(probe));
    }
    Ok(())
}

fn too_large(table: Table, rules: &ledger::Params) -> OpenError {
    let (key, rows) = match table {
        Table::Keys => ("ledger.keys_max", rules.keys_max),
        Table::Accounts | Table::Streams => ("ledger.accounts_max", rules.accounts_max),
    };
    let message = "this host, or its limit on memory, has not as much; set it lower";
    OpenError::Setting { key, value: usize::try_from(rows).unwrap_or(usize::MAX), message }
}

fn check_hash(wanted: HashKind, found: journal::HashKind) -> Result<(), OpenError> {
    match (wanted, found) {
        (HashKind::Sha256, journal::HashKind::Sha256) | (HashKind::Blake3, journal::HashKind::Blake3) => {
            Ok(())
        }
        (HashKind::Blake3, journal::HashKind::Sha256) => Err(OpenError::Hash { found: "sha256" }),
        (HashKind::Sha256, journal::HashKind::Blake3) => Err(OpenError::Hash { found: "blake3" }),
    }
}

fn superblock(
    params: &StoreParams,
    members: &Members,
    birth: &Birth,
    log_key: &[u8; 32],
) -> Result<(Superblock, bool), OpenError> {
    if let Some(superblock) = &members.superblock {
        return Ok((superblock.clone(), false));
    }
    // None at all, or a first start that was killed before it was written: nothing else is there.
    let places = &members.home;
    if !Segments::open(&places.segments(), params.direct)?.is_empty() {
        return Err(OpenError::SuperblockMissing { path: places.root.clone() });
    }
    let geometry = Geometry::new(STRIDE_BYTES_DEFAULT, params.segment_bytes)
        .expect("the config gives whole MiB, 1 to 4096");
    let superblock = Superblock {
        ledger: birth.ledger,
        incarnation: Incarnation(1),
        epoch: Epoch(0),
        hash: match params.hash {
            HashKind::Sha256 => journal::HashKind::Sha256,
            HashKind::Blake3 => journal::HashKind::Blake3,
        },
        created: birth.created,
        geometry,
        frame_key: birth.frame_key,
        ledger_secret: birth.ledger_secret,
        log_key: *log_key,
    };
    // The slot first: a superblock without a slot would be evidence lost.
    let key = FrameKey::new(&superblock.frame_key);
    let genesis = Slot::genesis(superblock.ledger, superblock.incarnation, params.hash.empty());
    let mut image = [0; IMAGE_BYTES];
    genesis.encode(&key, &mut image);
    let slot_file = images::open_or_create(&places.root.join(journal::SLOT_FILE), params.direct)?;
    images::write_both(&slot_file, ImageCopy::BOTH, &image)?;
    write_superblock(params, places, &superblock)?;
    Ok((superblock, true))
}

pub(super) fn write_superblock(
    params: &StoreParams,
    places: &Places,
    superblock: &Superblock,
) -> Result<(), DiskError> {
    let path = places.root.join(journal::SUPERBLOCK_FILE);
    let file = images::open_or_create(&path, params.direct)?;
    let [first, second] = images::read_both(&path)?;
    let mut image = [0; IMAGE_BYTES];
    superblock.encode(&mut image);
    images::write_both(&file, Superblock::write_order(&first, &second), &image)
}

/// The newest slot that is whole in any believed directory; `None` if all copies are damaged.
fn slot(members: &Members, superblock: &Superblock, key: &FrameKey) -> Result<Option<Slot>, OpenError> {
    let mut newest: Option<Slot> = None;
    for (_, places) in &members.believed {
        let path = places.root.join(journal::SLOT_FILE);
        if !path.exists() {
            continue;
        }
        let [first, second] = images::read_both(&path)?;
        match Slot::pick(&first, &second, key, superblock.ledger) {
            Ok(slot) if newest.is_some_and(|newest| newest.sequence >= slot.sequence) => {}
            Ok(slot) => newest = Some(slot),
            Err(ImageError::OtherKey | ImageError::OtherLedger) => {
                return Err(OpenError::FrameKey { path: places.root.join(journal::SUPERBLOCK_FILE) });
            }
            Err(error) => tracing::error!(path = %path.display(), "frontier slot unreadable: {error}"),
        }
    }
    Ok(newest)
}

struct Replayed {
    recovered: Recovered,
    repairs: Vec<Repair>,
    state: Replay,
    twin: Ledger,
    /// Its frame and its entries, zeros for none.
    checkpoint: (FrameNumber, u64),
}

/// Replays from the newest checkpoint that the journal and the derived files bear out, else from
/// the beginning.
fn replay(
    params: &StoreParams,
    members: &Members,
    superblock: &Superblock,
    key: &FrameKey,
    slot: Option<&Slot>,
) -> Result<Replayed, OpenError> {
    let places = &members.home;
    let mut segments = members.copies(superblock, key, params.direct)?;
    segments.read_ahead();
    let mut buffer =
        AlignedBuf::new(recovery_buffer_bytes(superblock.geometry).next_multiple_of(disk::ALIGNMENT_BYTES));
    let named = checkpoints(places, superblock, key)?;
    let frame_max = named.first().map_or(FrameNumber::ZERO, |(checkpoint, _)| checkpoint.frame);
    let starts = named.into_iter().map(Some).chain([None]);
    for start in starts {
        let Some(mut state) = Replay::begin(params, places, superblock, start.as_ref(), key, Wanted::All)?
        else {
            continue;
        };
        let checkpoint = start.as_ref().map(|(checkpoint, _)| checkpoint);
        let input = Input {
            geometry: superblock.geometry,
            ledger: superblock.ledger,
            incarnation: superblock.incarnation,
            epoch: superblock.epoch,
            key,
            slot,
            checkpoint,
            checkpoint_frame_max: frame_max,
        };
        let twin = Twin::begin(&state.ledger, state.expected());
        state.ledger.expect(state.expected(), disk::advise_huge_pages);
        let mut take = |frame: &Frame<'_>| {
            if frame.header.count > 0 {
                twin.take(frame.payload);
            }
            state.take(frame)
        };
        match recover(&input, &mut segments, &mut buffer, &mut take) {
            Ok(recovered) => {
                let twin = twin.finish(&state.ledger);
                state.end_hints();
                let checkpoint = checkpoint.map_or((FrameNumber::ZERO, 0), |c| (c.frame, c.tree_size));
                let repairs = segments.repairs_before(recovered.next);
                return Ok(Replayed { recovered, repairs, state, twin, checkpoint });
            }
            Err(RecoveryError::Checkpoint) => {
                tracing::warn!("a checkpoint's last frame is not in the journal; trying an older one");
            }
            Err(error) => return Err(refused(params, error, &mut segments)),
        }
    }
    unreachable!("the beginning of the journal is always a start")
}

fn refused(params: &StoreParams, error: RecoveryError<ReplayError>, segments: &mut Copies) -> OpenError {
    match error {
        RecoveryError::Replay {
            error: ReplayError::Rules(ledger::Error::Impossible { effect: Effect::Full, .. }),
            ..
        } => OpenError::Setting {
            key: "ledger.accounts_max",
            value: params.accounts_max,
            message: "the ledger holds more accounts, or more keys than ledger.keys_max; set them as high as before",
        },
        RecoveryError::Replay { position, error } => {
            OpenError::Replay { position: position.to_string(), detail: error.to_string() }
        }
        RecoveryError::Format { position, format } => {
            OpenError::Format { position: position.to_string(), format }
        }
        RecoveryError::Read { segment, offset, failure } => {
            let position = format!("{segment}:{offset}");
            let error = segments.take_failure();
            match error
                .unwrap_or_else(|| panic!("a read of segment {segment} that failed is kept: {failure:?}"))
            {
                error if error.is_shortage() => OpenError::Shortage(error),
                error if error.is_denied() => OpenError::Permission(error),
                error => OpenError::Unreadable { position, error },
            }
        }
        RecoveryError::Checkpoint | RecoveryError::Buffer => unreachable!("met by the caller: {error}"),
    }
}

/// The checkpoints whose headers are whole, newest first.
pub(crate) fn checkpoints(
    places: &Places,
    superblock: &Superblock,
    key: &FrameKey,
) -> Result<Vec<(Checkpoint, PathBuf)>, DiskError> {
    let mut named: Vec<(Checkpoint, PathBuf)> = Vec::new();
    for entry in directory::list(&places.checkpoints())? {
        let path = places.checkpoints().join(&entry.name);
        if checkpoint_frame(&entry.name).is_none() {
            continue;
        }
        let Some(bytes) = read_checkpoint(&path)? else { continue };
        match Checkpoint::decode_header(&bytes, key, superblock.ledger) {
            Ok(checkpoint) => named.push((checkpoint, path)),
            Err(error) => tracing::warn!(path = %path.display(), "checkpoint is left out: {error}"),
        }
    }
    named.sort_unstable_by_key(|(checkpoint, _)| std::cmp::Reverse(checkpoint.frame));
    Ok(named)
}

/// The bytes of a checkpoint; `None` if they cannot be had: then another one counts, or none.
fn read_checkpoint(path: &Path) -> Result<Option<Vec<u8>>, DiskError> {
    match directory::read_file(path, CHECKPOINT_BYTES_MAX) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.is_shortage() => Err(error),
        Err(error) => {
            tracing::warn!("checkpoint is left out: {error}");
            Ok(None)
        }
    }
}

/// Writes a checkpoint of `ledger` durably and removes all but the newest two.
///
/// # Errors
/// If it cannot be written; the older ones are then still there.
pub(crate) fn write_checkpoint(
    places: &Places,
    key: &FrameKey,
    checkpoint: &Checkpoint,
    payload: &[u8],
) -> Result<(), DiskError> {
    let mut bytes = vec![0; journal::CHECKPOINT_HEADER_BYTES];
    bytes.extend_from_slice(payload);
    let header = bytes.first_chunk_mut().expect("the header's bytes are at the front");
    checkpoint.encode_header(key, payload, header);
    directory::replace_file(&places.checkpoints().join(checkpoint_file_name(checkpoint.frame)), &bytes)?;
    let mut names: Vec<String> = directory::list(&places.checkpoints())?
        .into_iter()
        .map(|entry| entry.name)
        .filter(|name| checkpoint_frame(name).is_some())
        .collect();
    names.sort_unstable();
    names.iter().rev().skip(2).try_for_each(|name| directory::remove_file(&places.checkpoints().join(name)))
}

/// Gives each of two members what it lacks and the other has, durably.
fn repair(
    params: &StoreParams,
    members: &Members,
    superblock: &Superblock,
    key: &FrameKey,
    replayed: &Replayed,
) -> Result<Copied, OpenError> {
    let [(_, first), (_, second)] = members.believed.as_slice() else { return Ok(Copied::default()) };
    let copies = members.copies(superblock, key, params.direct)?;
    let (end, repairs) = (replayed.recovered.next, &replayed.repairs);
    Ok(resync::repair([first, second], copies, repairs, end, params.direct)?)
}

/// Copies the torn tail aside and zeroes it, in every believed directory.
fn cut_tail(
    params: &StoreParams,
    members: &Members,
    superblock: &Superblock,
    key: &FrameKey,
    recovered: &Recovered,
) -> Result<Option<Cut>, OpenError> {
    let Tail::Torn(cut) = &recovered.tail else { return Ok(None) };
    let aside = members.home.root.join(journal::CUT_DIR);
    directory::create_private_dir(&aside)?;
    let mut segments = members.copies(superblock, key, params.direct)?;
    for range in &cut.ranges {
        let len = usize::try_from(range.to - range.from).expect("a range lies within a segment");
        let mut bytes = vec![0; len];
        for (index, piece) in bytes.chunks_mut(READ_BYTES).enumerate() {
            let offset = range.from + u64::try_from(index * READ_BYTES).expect("within a segment");
            segments.read(range.segment, offset, piece).map_err(|failure| {
                let position = format!("{}:{offset}", range.segment);
                let error = segments.take_failure();
                let error = error.unwrap_or_else(|| panic!("a read that failed is kept: {failure:?}"));
                OpenError::Unreadable { position, error }
            })?;
        }
        let from = journal::Position { segment: range.segment, offset: range.from };
        let name = journal::cut_file_name(superblock.epoch, from);
        directory::replace_file(&aside.join(name), &bytes)?;
    }
    for (_, places) in &members.believed {
        for range in &cut.ranges {
            let path = places.segments().join(journal::segment_file_name(range.segment));
            if path.exists() {
                let file = DirectFile::open(&path, Access::ReadWrite, params.direct)?;
                file.write_zeros(range.from, range.to)?;
            }
        }
    }
    Ok(Some(cut.clone()))
}

/// Flushes superblock, slot and every segment that holds a recovered frame: what can be read after
/// a kill may lie in the device's cache alone.
fn flush(params: &StoreParams, places: &Places, recovered: &Recovered) -> Result<(), DiskError> {
    for name in [journal::SUPERBLOCK_FILE, journal::SLOT_FILE] {
        images::open_or_create(&places.root.join(name), params.direct)?.datasync()?;
    }
    let Some((SegmentNumber(first), SegmentNumber(last))) = recovered.flush else { return Ok(()) };
    for segment in first..=last {
        let path = places.segments().join(journal::segment_file_name(SegmentNumber(segment)));
        // One of two copies may lack it: then it is written from the other, durably.
        if path.exists() {
            DirectFile::open(&path, Access::ReadWrite, params.direct)?.datasync()?;
        }
    }
    directory::create_private_dir(&places.segments())?;
    directory::sync_directory(&places.segments())
}

/// Reads the payload of a checkpoint file and gives it to `decode`.
pub(crate) fn load_checkpoint(
    path: &Path,
    superblock: &Superblock,
    key: &FrameKey,
    decode: impl FnOnce(&[u8]) -> Option<(Ledger, Tree)>,
) -> Result<Option<(Ledger, Tree)>, DiskError> {
    let Some(bytes) = read_checkpoint(path)? else { return Ok(None) };
    match Checkpoint::decode(&bytes, key, superblock.ledger) {
        Ok((_, payload)) => Ok(decode(payload)),
        Err(error) => {
            tracing::warn!(path = %path.display(), "checkpoint is left out: {error}");
            Ok(None)
        }
    }
}

/// Whether a directory holds a ledger.
#[must_use]
pub fn is_ledger(directory: &Path) -> bool {
    fs::metadata(directory.join(journal::SUPERBLOCK_FILE)).is_ok()
}
