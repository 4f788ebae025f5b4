//! What a start does, in its order, with a crash between any two of its steps and any of its calls
//! failing.
//!
//! Holds: nothing is written before the verdict. Leaves to others: whether the verdict is right
//! (`Oracle`), what the steps are for (`docs/recovery.md`).

use journal::{Checkpoint, FrameNumber, ImageCopy, SegmentNumber, Superblock, Tail};
use model::Epoch;

use crate::{
    checkpoints::{Begin, choose, is_checkpoint_refused},
    disk::{BLOCK_BYTES, FileName},
    flaw::Flaw,
    node::Node,
    oracle::{Evidence, Judged, Violation},
    store::{self, EMPTY_ROOT, Reopened},
    world::World,
};

/// How one try to start ended.
enum Tried {
    /// A node runs.
    Running(Box<Node>),
    /// It crashed, or the device refused; the next try follows.
    Again,
    /// The journal is rotten, or its loss was told otherwise: no other life follows.
    Ended,
}

impl World<'_> {
    /// Tries to start until a node runs; `None` if the journal is rotten.
    pub(crate) fn start(&mut self) -> Result<Option<Node>, Violation> {
        loop {
            match self.try_start()? {
                Tried::Running(node) => return Ok(Some(*node)),
                Tried::Again => {}
                Tried::Ended => return Ok(None),
            }
        }
    }

    fn try_start(&mut self) -> Result<Tried, Violation> {
        if self.disk.is_locked() && self.flaw != Flaw::LockIgnored {
            self.report.waited += 1;
            self.disk.end_orphans(&mut self.random);
        }
        if self.random.one_in(30) {
            self.fail_a_read();
        }
        let read = self.read();
        self.disk.mend_reads();
        let (reopened, evidence) = match read {
            Err(Violation::Recovery(words)) if words.starts_with("Read") => {
                self.report.refused += 1;
                return Ok(Tried::Again);
            }
            read => read?,
        };
        match self.oracle.judge(&self.disk, &reopened, evidence) {
            Ok(Judged::Rot) => {
                self.report.rots += 1;
                return Ok(Tried::Ended);
            }
            Ok(Judged::Uncovered) => self.report.uncovered += 1,
            Ok(Judged::Whole) => self.check_whole(&reopened, evidence)?,
            Err(violation) => return Err(violation),
        }
        if self.is_damaged_before(evidence.base)? {
            self.report.unseen += 1;
            return Ok(Tried::Ended);
        }
        if !self.settle(&reopened)? {
            return Ok(Tried::Again);
        }
        self.boot(&reopened, evidence.base).map(|node| Tried::Running(Box::new(node)))
    }

    /// Some block of some segment cannot be read.
    fn fail_a_read(&mut self) {
        let segments: Vec<FileName> =
            self.disk.names().filter(|name| matches!(name, FileName::Segment(_))).collect();
        if segments.is_empty() {
            return;
        }
        let name = segments[self.random.index(segments.len())];
        let blocks = self.disk.view(name).len() / BLOCK_BYTES;
        if blocks > 0 {
            let block = self.random.index(blocks);
            self.disk.fail_reads(name, block * BLOCK_BYTES);
        }
    }

    /// Reads the journal, from the newest checkpoint that it bears out.
    fn read(&mut self) -> Result<(Reopened, Evidence), Violation> {
        let harmed = self.disk.is_harmed();
        let (starts, known) = choose(&self.disk, self.flaw);
        for begin in starts {
            match self.read_from(begin, known) {
                Err(violation) if is_checkpoint_refused(&violation) => {}
                Err(violation) => return Err(violation),
                Ok((reopened, base)) => return Ok((reopened, Evidence { base, known, harmed })),
            }
        }
        unreachable!("the beginning of the journal is always a start")
    }

    fn read_from(&mut self, begin: Begin, known: FrameNumber) -> Result<(Reopened, FrameNumber), Violation> {
        let saved = begin.as_ref().map(|(_, payload)| payload.as_slice());
        self.content.restore(saved).map_err(Violation::Content)?;
        let checkpoint: Option<&Checkpoint> = begin.as_ref().map(|(checkpoint, _)| checkpoint);
        let base = checkpoint.map_or(FrameNumber::ZERO, |checkpoint| checkpoint.frame);
        let (flaw, disk, content) = (self.flaw, &self.disk, &mut *self.content);
        let mut reopened =
            store::reopen_through(flaw, disk, checkpoint, known, |frame| content.replay(frame))?;
        if self.flaw == Flaw::BlindCut && matches!(reopened.recovered.tail, Tail::Rot(_)) {
            reopened.recovered.tail = Tail::Clean;
        }
        Ok((reopened, base))
    }

    /// Nothing was cut that was not in flight, and who begins with a checkpoint comes to the same
    /// state, byte for byte, as who begins with the first frame.
    fn check_whole(&self, reopened: &Reopened, evidence: Evidence) -> Result<(), Violation> {
        let harmed = self.disk.is_harmed();
        if let Tail::Torn(cut) = &reopened.recovered.tail
            && !harmed
            && !self.flaw.keeps_cut()
        {
            self.oracle.check_cut(&self.disk, cut)?;
        }
        if evidence.base == FrameNumber::ZERO {
            return Ok(());
        }
        let mut state = self.content.fork();
        state.restore(None).map_err(Violation::Content)?;
        let known = evidence.known;
        let whole = store::reopen_knowing(&self.disk, None, known, |frame| state.replay(frame))?;
        if harmed && (whole.frames.len() as u64) < evidence.base.0 {
            return Ok(());
        }
        self.oracle.compare(&whole.frames, true)?;
        let (one, other) = (&reopened.recovered, &whole.recovered);
        if (one.last, one.next, &one.tail) != (other.last, other.next, &other.tail) {
            return Err(Violation::Recovery(format!("from a checkpoint: {one:?}, else {other:?}")));
        }
        if state.save() != self.content.save() {
            return Err(Violation::Content("a checkpoint led to another state".to_owned()));
        }
        Ok(())
    }

    /// Whether a frame is damaged that lies before the checkpoint, where this start does not look.
    fn is_damaged_before(&self, base: FrameNumber) -> Result<bool, Violation> {
        if !self.disk.is_harmed() || base == FrameNumber::ZERO {
            return Ok(false);
        }
        let whole = store::reopen(&self.disk, None)?;
        Ok((whole.frames.len() as u64) < base.0)
    }

    /// Writes and flushes what was read, raises the epoch, zeroes the cut; `false` if it crashed on
    /// the way, or the device refused.
    fn settle(&mut self, reopened: &Reopened) -> Result<bool, Violation> {
        if self.flaw != Flaw::NotRewritten {
            store::write_again(&mut self.disk, &reopened.recovered);
        }
        if self.crash_now_and_then() || !self.flush_recovered(reopened) || !self.settle_images() {
            return Ok(false);
        }
        let superblock = next_superblock(reopened);
        for copy in store::superblock_order(&self.disk) {
            store::write_superblock(&mut self.disk, &superblock, copy, false);
            if self.crash_now_and_then() {
                return Ok(false);
            }
            let unflushed = self.flaw == Flaw::SuperblockUnflushed && copy == ImageCopy::First;
            if !unflushed && !self.flush(FileName::Superblock) {
                return Ok(false);
            }
        }
        if let Tail::Torn(cut) = &reopened.recovered.tail
            && !self.flaw.keeps_cut()
        {
            store::zero_cut(&mut self.disk, &reopened.recovered.tail);
            for range in &cut.ranges {
                if self.crash_now_and_then() || !self.flush(FileName::Segment(range.segment.0)) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn flush_recovered(&mut self, reopened: &Reopened) -> bool {
        let Some((SegmentNumber(first), SegmentNumber(last))) = reopened.recovered.flush else { return true };
        let first = if self.flaw == Flaw::SegmentForgotten && first < last { first + 1 } else { first };
        for number in first..=last {
            if self.flaw != Flaw::NoFlush && !self.flush(FileName::Segment(number)) {
                return false;
            }
            if self.crash_now_and_then() {
                return false;
            }
        }
        self.disk.sync_names();
        true
    }

    /// The copies of superblock and slot that count are written again and flushed before any other is
    /// written: what an earlier start left may lie in the cache alone, and then one power loss would
    /// tear both.
    fn settle_images(&mut self) -> bool {
        for name in [FileName::Superblock, FileName::Slot] {
            if self.flaw != Flaw::ImagesUnflushed {
                if self.flaw != Flaw::NotRewritten {
                    store::write_image_again(&mut self.disk, name);
                }
                if self.crash_now_and_then() || !self.flush(name) {
                    return false;
                }
            }
        }
        !self.crash_now_and_then()
    }

    /// Flushes a file; `false` if that failed, and the start with it.
    fn flush(&mut self, name: FileName) -> bool {
        if self.disk.is_locked() && self.random.one_in(4) {
            self.disk.end_orphan(&mut self.random);
        }
        if self.random.one_in(30) {
            self.disk.fail_flush(name, &mut self.random);
            if self.flaw != Flaw::FlushRetried {
                self.report.refused += 1;
                return false;
            }
        }
        self.disk.flush(name);
        true
    }

    fn boot(&mut self, reopened: &Reopened, base: FrameNumber) -> Result<Node, Violation> {
        self.report.checkpointed += u64::from(base > FrameNumber::ZERO);
        self.oracle.expose(base, &reopened.frames);
        self.content.settle(reopened.recovered.last.seq).map_err(Violation::Content)?;
        self.report.cuts += u64::from(matches!(reopened.recovered.tail, Tail::Torn(_)));
        let resume = reopened.recovered.resume_after_flush(EMPTY_ROOT).expect("not rotten");
        let slot = reopened.slot.expect("a lost slot is rot");
        let in_flight_max = 1 + self.random.index(model::limits::FRAMES_IN_FLIGHT_MAX);
        let superblock = next_superblock(reopened);
        let (disk, oracle) = (&mut self.disk, &mut self.oracle);
        Node::start(&superblock, resume, slot, in_flight_max, self.flaw, disk, oracle)
    }
}

fn next_superblock(reopened: &Reopened) -> Superblock {
    let epoch: Epoch = reopened.recovered.next_epoch;
    Superblock { epoch, ..reopened.superblock.clone() }
}
