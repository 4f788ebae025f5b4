//! Beginning an incarnation: the journal goes on under a new number, in a frame of its own.
//!
//! Holds: the frame is durable before the superblock names the incarnation, and the superblock before
//! the slot. Until the first copy of the superblock is whole the frame is one that no start takes, and
//! the old life goes on; from then on the superblock itself vouches for the frame. So a crash leaves
//! the one life or the other. Leaves to others: what of the parent is kept (the journal as it lies).

use std::path::Path;

use disk::{Access, AlignedBuf, Direct, DirectFile, DiskError, directory};
use journal::{
    Frame, FrameHeader, FrameKey, Geometry, HEADER_BYTES, IMAGE_BYTES, ImageCopy, Input, Position,
    RecoveryError, Resume, Sealed, Slot, Superblock, Tail, recover, recovery_buffer_bytes, seal,
    segment_file_name,
};
use ledger::{HashKind, Tree};
use model::{
    BatchView, BatchWriter, Beginning, Cause, Head, Incarnation, Kind, Parent, RecordRef, Text, Timestamp,
    limits::INCARNATIONS_MAX,
};

use super::{
    OpenError, StoreParams, images,
    members::Members,
    open::{self, Places, Store},
    replay::ReplayError,
};

/// Why an incarnation is begun, and what only randomness and a clock can give.
#[derive(Clone, Debug)]
pub struct NewLife {
    /// Why.
    pub cause: Cause,
    /// Why, in an operator's words.
    pub reason: Text,
    /// The parent's newest tree that is known, size and root; `None` if it is the one that is kept.
    pub parent: Option<(u64, [u8; 32])>,
    /// The number is above this one: that of a life that was dropped is not given out again.
    pub above: Incarnation,
    /// Eight random bytes.
    pub life: [u8; 8],
    /// Now.
    pub wall: Timestamp,
}

/// What began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// The first entry of the incarnation.
    pub beginning: Beginning,
    /// Leaves of the tree with it.
    pub size: u64,
    /// The root of that tree.
    pub root: [u8; 32],
}

/// Where the parent ends.
struct Kept<'a> {
    superblock: &'a Superblock,
    key: &'a FrameKey,
    slot: &'a Slot,
    resume: &'a Resume,
    tree: Tree,
    at: Timestamp,
}

/// All that is written, in the order in which it is.
struct Plan {
    begun: Begun,
    superblock: Superblock,
    slot: Slot,
    resume: Resume,
    header: FrameHeader,
    sealed: Sealed,
    frame: AlignedBuf,
    steps: Vec<Step>,
}

/// One step; each is durable before the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Zeros where the frame will lie, in a file that may have to be made.
    Zeros,
    /// The name of that file.
    Names,
    /// The frame.
    Frame,
    /// One copy of the superblock.
    Superblock(ImageCopy),
    /// The slot, over the older of its copies.
    Slot,
}

/// Begins an incarnation in a data directory that no process has: takes the lock, reads the journal
/// from its first frame, recovers it as a start does, and writes.
///
/// # Errors
/// `OpenError` as at a start. What was there is then as it was, or recovered as a start recovers it.
pub fn begin_incarnation(directory: &Path, direct: Direct, new: &NewLife) -> Result<Begun, OpenError> {
    let places = Places { root: directory.into() };
    let lock = open::acquire(&places.root.join(journal::LOCK_FILE))?;
    let superblock = open::existing_superblock(&places)?;
    let hash = match superblock.hash {
        journal::HashKind::Sha256 => HashKind::Sha256,
        journal::HashKind::Blake3 => HashKind::Blake3,
    };
    let params = StoreParams {
        directory: directory.into(),
        hash,
        segment_bytes: superblock.geometry.segment_bytes(),
        // No state is made: the rules have nothing to say here.
        accounts_max: 1,
        keys_max: 1,
        direct,
        mirror: None,
        force_single: false,
    };
    let key = FrameKey::new(&superblock.frame_key);
    let members = Members::alone(&places, &superblock);
    let slot = open::slot(&members, &superblock, &key)?;
    let mut trail = Trail { tree: Tree::new(hash), at: Timestamp::default(), lives: 0 };
    let recovered = walk(&params, &members, &superblock, &key, slot.as_ref(), &mut trail)?;
    let Some(resume) = recovered.resume_after_flush(hash.empty()) else {
        let Tail::Rot(rot) = recovered.tail else { unreachable!("only rot has nowhere to go on") };
        return Err(OpenError::Rot(rot));
    };
    if trail.lives >= INCARNATIONS_MAX {
        return Err(too_many());
    }
    open::flush(&params, &places, &recovered)?;
    let superblock = Superblock { epoch: recovered.next_epoch, ..superblock };
    open::write_superblock(&params, &places, &superblock)?;
    open::cut_tail(&params, &members, &superblock, &key, &recovered)?;
    let slot = slot.expect("a lost slot is rot");
    let (tree, at) = (trail.tree, trail.at);
    let kept = Kept { superblock: &superblock, key: &key, slot: &slot, resume: &resume, tree, at };
    let plan = plan(&kept, new, copies(&places)?)?;
    plan.steps.iter().try_for_each(|step| act(&places, direct, &key, &plan, *step))?;
    drop(lock);
    Ok(plan.begun)
}

impl Store {
    /// Begins an incarnation in this open store, before anything else is written: the committer made
    /// from it goes on in the new life.
    ///
    /// # Errors
    /// `OpenError` if it cannot be written; the store is then of no more use.
    pub fn begin_incarnation(&mut self, params: &StoreParams, new: &NewLife) -> Result<Begun, OpenError> {
        let places = self.copies.first().cloned().expect("a ledger has a directory");
        let replay = self.replay.as_mut().expect("a store is opened with its state");
        if replay.ledger.lives().iter().len() >= INCARNATIONS_MAX {
            return Err(too_many());
        }
        let kept = Kept {
            superblock: &self.superblock,
            key: &self.key,
            slot: &self.slot,
            resume: &self.resume,
            tree: self.rules.1.clone(),
            at: replay.ledger.at(),
        };
        let plan = plan(&kept, new, copies(&places)?)?;
        plan.steps.iter().try_for_each(|step| act(&places, params.direct, &self.key, &plan, *step))?;
        let payload = plan.payload();
        let (hash, frame_bytes) = (plan.sealed.hash, plan.sealed.frame_bytes);
        let refused = |error: ReplayError| OpenError::Replay {
            position: plan.header.position.to_string(),
            detail: error.to_string(),
        };
        replay.take_frame(&plan.header, hash, payload, frame_bytes, &[]).map_err(refused)?;
        replay.flush();
        let record = RecordRef::Beginning(plan.begun.beginning);
        self.rules.0.apply_record(&record).map_err(|error| refused(error.into()))?;
        self.rules.1.push(ledger::record_leaf_hash(params.hash, &record));
        (self.superblock, self.slot, self.resume) = (plan.superblock, plan.slot, plan.resume);
        Ok(plan.begun)
    }
}

fn too_many() -> OpenError {
    OpenError::Setting {
        key: "incarnations",
        value: INCARNATIONS_MAX,
        message: "this ledger has had as many as are kept; go on with the one that it has",
    }
}

/// What the entries lead to.
struct Trail {
    tree: Tree,
    at: Timestamp,
    lives: usize,
}

impl Trail {
    fn take(&mut self, frame: &Frame<'_>) -> Result<(), ReplayError> {
        let header = &frame.header;
        if header.count > 0 {
            let batch = BatchView::parse(frame.payload)?;
            for record in batch.iter() {
                let record = record?;
                self.tree.push(ledger::record_leaf_hash(self.tree.hash(), &record));
                self.lives += usize::from(matches!(record, RecordRef::Beginning(_)));
            }
        }
        self.at = header.at;
        if self.tree.size() == header.tree_size && self.tree.root() == header.root {
            return Ok(());
        }
        Err(ReplayError::Root { size: header.tree_size })
    }
}

fn walk(
    params: &StoreParams,
    members: &Members,
    superblock: &Superblock,
    key: &FrameKey,
    slot: Option<&Slot>,
    trail: &mut Trail,
) -> Result<journal::Recovered, OpenError> {
    let places = &members.home;
    let mut segments = members.copies(superblock, key, params.direct)?;
    segments.read_ahead();
    let input = Input {
        geometry: superblock.geometry,
        ledger: superblock.ledger,
        incarnation: superblock.incarnation,
        epoch: superblock.epoch,
        key,
        slot,
        checkpoint: None,
        checkpoint_frame_max: open::known_frame(&open::checkpoints(places, superblock, key)?, superblock),
    };
    let bytes = recovery_buffer_bytes(superblock.geometry).next_multiple_of(disk::ALIGNMENT_BYTES);
    let mut buffer = AlignedBuf::new(bytes);
    recover(&input, &mut segments, &mut buffer, |frame| trail.take(frame))
        .map_err(|error: RecoveryError<ReplayError>| open::refused(params, error, &mut segments))
}

/// In which order the copies of the superblock are written.
fn copies(places: &Places) -> Result<[ImageCopy; 2], DiskError> {
    let [first, second] = images::read_both(&places.root.join(journal::SUPERBLOCK_FILE))?;
    Ok(Superblock::write_order(&first, &second))
}

fn plan(kept: &Kept<'_>, new: &NewLife, order: [ImageCopy; 2]) -> Result<Plan, OpenError> {
    let Kept { superblock, key, slot, resume, .. } = *kept;
    let incarnation = superblock.incarnation.max(new.above).next().ok_or_else(too_many)?;
    let (seq, at, kind) = (resume.seq.next(), kept.at.max(new.wall), Kind::Incarnation);
    let (size, root) = new.parent.unwrap_or((resume.seq.0, kept.tree.root()));
    assert!(size >= resume.seq.0, "what is kept of the parent is known of it");
    let beginning = Beginning {
        head: Head { seq, at, kind, op: kind, reason: None, idx: 0 },
        incarnation,
        life: new.life,
        parent: Parent { incarnation: superblock.incarnation, size, root },
        cause: new.cause,
        reason: new.reason,
    };
    let mut tree = kept.tree.clone();
    tree.push(ledger::record_leaf_hash(tree.hash(), &RecordRef::Beginning(beginning)));
    let begun = Begun { beginning, size: tree.size(), root: tree.root() };

    let mut batch = BatchWriter::with_capacity(4_096);
    batch.push_beginning(&beginning);
    let payload_bytes = batch.payload_len();
    let geometry = superblock.geometry;
    let frame_bytes = geometry.frame_bytes(payload_bytes).expect("one record fits in a frame");
    let mut frame = AlignedBuf::new(frame_bytes.next_multiple_of(disk::ALIGNMENT_BYTES));
    batch.finish(frame.get_mut(HEADER_BYTES..).expect("a frame has a header"));
    let position = place(resume.next, frame_bytes, geometry);
    let header = FrameHeader {
        ledger: superblock.ledger,
        incarnation,
        epoch: superblock.epoch,
        frame: resume.frame.next(),
        position,
        first_seq: seq,
        count: 1,
        at,
        previous: resume.hash,
        durable_frame: resume.frame,
        durable: resume.seq,
        tree_size: begun.size,
        root: begun.root,
        cut_bytes: resume.cut_bytes,
        payload_bytes: u32::try_from(payload_bytes).expect("one record"),
    };
    let sealed = seal(&header, key, geometry, &mut frame);
    let slot = Slot {
        ledger: superblock.ledger,
        incarnation,
        epoch: superblock.epoch,
        sequence: slot.sequence + 1,
        segment: position.segment,
        frame: header.frame,
        hash: sealed.hash,
        durable: seq,
        tree_size: begun.size,
        root: begun.root,
        // More may follow at once.
        clean: false,
    };
    let resume = Resume {
        next: Position { offset: position.offset + frame_bytes as u64, ..position },
        frame: header.frame,
        hash: sealed.hash,
        seq,
        tree_size: begun.size,
        root: begun.root,
        quiet: false,
        cut_bytes: 0,
    };
    let superblock = Superblock { incarnation, ..superblock.clone() };
    let [first, second] = order.map(Step::Superblock);
    let steps = vec![Step::Zeros, Step::Names, Step::Frame, first, second, Step::Slot];
    Ok(Plan { begun, superblock, slot, resume, header, sealed, frame, steps })
}

/// Where a frame goes that is to be the next: here, or to the beginning of the next segment.
fn place(next: Position, frame_bytes: usize, geometry: Geometry) -> Position {
    if next.offset + frame_bytes as u64 <= geometry.segment_bytes() {
        return next;
    }
    Position { segment: next.segment.next(), offset: 0 }
}

impl Plan {
    fn payload(&self) -> &[u8] {
        let bytes = usize::try_from(self.header.payload_bytes).expect("a 64-bit host");
        self.frame.get(HEADER_BYTES..HEADER_BYTES + bytes).expect("the frame holds its payload")
    }
}

/// Takes one step and makes it durable.
fn act(places: &Places, direct: Direct, key: &FrameKey, plan: &Plan, step: Step) -> Result<(), DiskError> {
    let Position { segment, offset } = plan.header.position;
    let path = places.segments().join(segment_file_name(segment));
    let mut image = [0; IMAGE_BYTES];
    match step {
        Step::Zeros => {
            let access = if path.exists() { Access::ReadWrite } else { Access::CreateNew };
            DirectFile::open(&path, access, direct)?
                .write_zeros(offset, offset + plan.sealed.frame_bytes as u64)
        }
        Step::Names => directory::sync_directory(&places.segments()),
        Step::Frame => DirectFile::open(&path, Access::ReadWrite, direct)?.write_at_durable(
            offset,
            &plan.frame,
            plan.sealed.frame_bytes,
        ),
        Step::Superblock(copy) => {
            plan.superblock.encode(&mut image);
            let file = images::open_or_create(&places.root.join(journal::SUPERBLOCK_FILE), direct)?;
            images::write_one(&file, copy, &image)
        }
        Step::Slot => {
            plan.slot.encode(key, &mut image);
            let file = images::open_or_create(&places.root.join(journal::SLOT_FILE), direct)?;
            images::write_one(&file, plan.slot.copy(), &image)
        }
    }
}

#[cfg(test)]
mod tests;
