//! A world: one disk, life after life of a node on it, a crash between any two steps, and now and
//! then damage to what was durable.

use journal::{Checkpoint, FrameNumber, Geometry, Position, SegmentNumber, Superblock, Tail};
use model::Epoch;

use crate::{
    content::{Content, Opaque},
    damage::Damage,
    disk::{BLOCK_BYTES, Disk, FileName},
    node::{Flaw, Node},
    oracle::{Oracle, Violation},
    random::Random,
    store::{self, EMPTY_ROOT, Reopened},
};

/// What happened in one world, or in many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Crashes, of the process or of the power.
    pub crashes: u64,
    /// Starts that ended with a running node.
    pub starts: u64,
    /// Clean stops.
    pub stops: u64,
    /// Lives that ended in a failed write.
    pub poisoned: u64,
    /// Frames promised.
    pub promised: u64,
    /// Torn tails that were cut.
    pub cuts: u64,
    /// Damage that was called rot.
    pub rots: u64,
    /// Damage to frames that no evidence covered yet: cut, as the docs say it may be.
    pub uncovered: u64,
}

impl Report {
    /// Adds what happened elsewhere.
    pub const fn add(&mut self, other: &Self) {
        self.crashes += other.crashes;
        self.starts += other.starts;
        self.stops += other.stops;
        self.poisoned += other.poisoned;
        self.promised += other.promised;
        self.cuts += other.cuts;
        self.rots += other.rots;
        self.uncovered += other.uncovered;
    }
}

/// Runs the world of this seed through `lives` lives.
///
/// # Errors
/// The first promise that was not kept.
pub fn run(seed: u64, lives: u32, flaw: Flaw) -> Result<Report, Violation> {
    run_with(seed, lives, flaw, &mut Opaque)
}

/// As `run`, with frames that hold `content`.
///
/// # Errors
/// The first promise that was not kept.
pub fn run_with(seed: u64, lives: u32, flaw: Flaw, content: &mut dyn Content) -> Result<Report, Violation> {
    let mut world = World::new(seed, flaw, content);
    for _ in 0..lives {
        if !world.life()? {
            break;
        }
    }
    world.report.promised = world.oracle.promised().0;
    Ok(world.report)
}

struct World<'a> {
    content: &'a mut dyn Content,
    random: Random,
    disk: Disk,
    oracle: Oracle,
    flaw: Flaw,
    /// The promised frame that was damaged since the last start.
    damaged: Option<FrameNumber>,
    report: Report,
}

impl<'a> World<'a> {
    fn new(seed: u64, flaw: Flaw, content: &'a mut dyn Content) -> Self {
        let mut random = Random::new(seed);
        let strides = random.below(4..24);
        let stride = u32::try_from(BLOCK_BYTES).expect("a small block");
        let geometry = Geometry::new(stride, strides * BLOCK_BYTES as u64).expect("within bounds");
        let mut disk = Disk::default();
        store::create(&mut disk, geometry);
        Self {
            content,
            random,
            disk,
            oracle: Oracle::default(),
            flaw,
            damaged: None,
            report: Report::default(),
        }
    }

    /// Starts, runs, and ends one life; `false` if no other can follow.
    fn life(&mut self) -> Result<bool, Violation> {
        let Some(mut node) = self.start()? else { return Ok(false) };
        self.report.starts += 1;
        for _ in 0..self.random.below(1..60) {
            node.step(&mut self.random, self.content, &mut self.disk, &mut self.oracle)?;
        }
        self.report.poisoned += u64::from(node.is_poisoned());
        if self.random.one_in(6) && !node.is_poisoned() {
            let clean = node.stop(&mut self.disk, &mut self.oracle)?;
            self.report.stops += 1;
            assert!(clean, "nothing failed");
        }
        self.crash();
        if self.random.one_in(4) {
            self.damage();
        }
        Ok(true)
    }

    /// Reads the journal, checks it against the promises, and does what a start does, with a crash
    /// between any two of its steps. `None` if the journal is rotten.
    fn start(&mut self) -> Result<Option<Node>, Violation> {
        loop {
            let reopened = store::reopen(&self.disk, None)?;
            self.check_checkpoint(&reopened)?;
            let blind = self.flaw == Flaw::BlindCut;
            if let Tail::Rot(rot) = reopened.recovered.tail
                && !blind
            {
                return match self.damaged {
                    None => Err(Violation::FalseRot(rot)),
                    Some(damaged) if rot.expected != damaged => Err(Violation::WrongFrame { damaged, rot }),
                    Some(_) => {
                        self.report.rots += 1;
                        self.oracle.compare(&reopened.frames, false)?;
                        Ok(None)
                    }
                };
            }
            if self.settle(&reopened)? {
                return self.boot(&reopened).map(Some);
            }
            self.report.crashes += 1;
        }
    }

    /// Flush, check, new epoch, zero the cut; `false` if it crashed on the way.
    fn settle(&mut self, reopened: &Reopened) -> Result<bool, Violation> {
        if self.flaw != Flaw::NoFlush {
            store::flush_segments(&mut self.disk);
        }
        // The copy that an earlier life wrote may still be in the cache alone: without these two a
        // second copy would be written while the first is not durable, and one power loss tears both.
        self.disk.flush(FileName::Superblock);
        self.disk.flush(FileName::Slot);
        if self.crash_now_and_then() {
            return Ok(false);
        }
        let superblock = next_superblock(reopened);
        for copy in store::superblock_order(&self.disk) {
            store::write_superblock(&mut self.disk, &superblock, copy, false);
            if self.crash_now_and_then() {
                return Ok(false);
            }
            self.disk.flush(FileName::Superblock);
        }
        store::zero_cut(&mut self.disk, &reopened.recovered.tail);
        if self.crash_now_and_then() {
            return Ok(false);
        }
        if self.flaw != Flaw::NoFlush {
            store::flush_segments(&mut self.disk);
        }
        Ok(true)
    }

    fn boot(&mut self, reopened: &Reopened) -> Result<Node, Violation> {
        let covered = reopened.slot.map_or(FrameNumber::ZERO, |slot| slot.frame);
        // A promised frame that no evidence covered may be cut together with what followed it, if it
        // was damaged. Nothing else may be missing.
        let uncovered = self.damaged.take().filter(|damaged| *damaged > covered);
        let lost = (reopened.frames.len() as u64) < self.oracle.promised().0;
        if lost && uncovered.is_some_and(|damaged| damaged.0 == reopened.frames.len() as u64 + 1) {
            self.report.uncovered += 1;
            self.check_uncovered(reopened)?;
            self.oracle.compare(&reopened.frames, false)?;
        } else {
            self.oracle.compare(&reopened.frames, true)?;
        }
        self.oracle.expose(&reopened.frames);
        self.content.restart();
        store::reopen_with(&self.disk, None, |frame| self.content.replay(frame))?;
        self.content.settle(reopened.recovered.last.seq).map_err(Violation::Content)?;
        self.report.cuts += u64::from(matches!(reopened.recovered.tail, Tail::Torn(_)));
        let mut recovered = reopened.recovered.clone();
        if self.flaw == Flaw::BlindCut {
            recovered.tail = Tail::Clean;
        }
        let resume = recovered.resume_after_flush(EMPTY_ROOT).expect("not rotten");
        let slot = reopened.slot.expect("a lost slot is rot");
        let in_flight_max = 1 + self.random.index(model::limits::FRAMES_IN_FLIGHT_MAX);
        let superblock = next_superblock(reopened);
        let (disk, oracle) = (&mut self.disk, &mut self.oracle);
        Node::start(&superblock, resume, slot, in_flight_max, self.flaw, disk, oracle)
    }

    /// No promised frame after the damaged one may know that it was durable: then it was rot.
    fn check_uncovered(&self, reopened: &Reopened) -> Result<(), Violation> {
        let damaged = FrameNumber(reopened.frames.len() as u64 + 1);
        let mut later = damaged.next();
        while later <= self.oracle.promised() {
            if self.oracle.promised_frame(later).claims >= damaged {
                return Err(Violation::Lost(damaged));
            }
            later = later.next();
        }
        Ok(())
    }

    /// Recovery from a checkpoint ends where recovery from the beginning does.
    fn check_checkpoint(&mut self, reopened: &Reopened) -> Result<(), Violation> {
        let frames = &reopened.frames;
        if self.damaged.is_some() || frames.is_empty() || self.oracle.promised() == FrameNumber::ZERO {
            return Ok(());
        }
        let promised = usize::try_from(self.oracle.promised().0).expect("a small journal");
        let Some(frame) = frames.get(self.random.index(promised)) else { return Ok(()) };
        let checkpoint = Checkpoint {
            ledger: store::LEDGER,
            incarnation: reopened.superblock.incarnation,
            frame: frame.frame,
            hash: frame.hash,
            position: frame.position,
            through: model::Seq(frame.last_seq),
            tree_size: frame.tree_size,
            root: frame.root,
        };
        let again = store::reopen(&self.disk, Some(&checkpoint))?;
        let (one, other) = (&reopened.recovered, &again.recovered);
        let rest = &frames[usize::try_from(frame.frame.0).expect("a small journal")..];
        if (one.last, one.next, &one.tail) != (other.last, other.next, &other.tail) || rest != again.frames {
            return Err(Violation::Recovery(format!("from a checkpoint: {other:?}, else {one:?}")));
        }
        Ok(())
    }

    fn crash(&mut self) {
        self.report.crashes += 1;
        if self.random.one_in(2) {
            self.disk.kill(&mut self.random);
        }
        if self.random.one_in(2) {
            self.disk.lose_power(&mut self.random);
        } else {
            self.disk.kill(&mut self.random);
        }
    }

    fn crash_now_and_then(&mut self) -> bool {
        let crashes = self.random.one_in(12);
        if crashes {
            self.crash();
        }
        crashes
    }

    /// Damages a stride of a promised frame.
    fn damage(&mut self) {
        let promised = self.oracle.promised().0;
        if promised == 0 {
            return;
        }
        // The end of the journal is where damage and tearing are hardest to tell apart.
        let first = if self.random.one_in(2) { promised.saturating_sub(3).max(1) } else { 1 };
        let damaged = FrameNumber(self.random.below(first..promised + 1));
        let frame = self.oracle.promised_frame(damaged);
        let Position { segment: SegmentNumber(segment), offset } = frame.position;
        let stride = self.random.index(frame.bytes / BLOCK_BYTES);
        let offset = usize::try_from(offset).expect("a small segment") + stride * BLOCK_BYTES;
        Damage::any(&mut self.random).apply(&mut self.disk, FileName::Segment(segment), offset);
        self.damaged = Some(damaged);
    }
}

fn next_superblock(reopened: &Reopened) -> Superblock {
    let epoch: Epoch = reopened.recovered.next_epoch;
    Superblock { epoch, ..reopened.superblock.clone() }
}
