//! A world: one disk, life after life of a node on it, a crash between any two steps, faults of the
//! device under each, and in half of the worlds damage to what was durable.

use journal::{FrameNumber, Geometry, IMAGE_BYTES, Position, SegmentNumber};

use crate::{
    content::{Content, Opaque},
    damage::Damage,
    disk::{BLOCK_BYTES, Disk, FileName},
    flaw::Flaw,
    oracle::{Oracle, Violation},
    random::Random,
    store,
};

/// What happened in one world, or in many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Crashes, of the process or of the power.
    pub crashes: u64,
    /// Starts that ended with a running node.
    pub starts: u64,
    /// Of these, starts from a checkpoint.
    pub checkpointed: u64,
    /// Starts that ended because the device refused a read, a write or a flush.
    pub refused: u64,
    /// Starts that began while writes of the process before were still on their way, and waited.
    pub waited: u64,
    /// Clean stops.
    pub stops: u64,
    /// Lives that ended in a failed or short write.
    pub poisoned: u64,
    /// Lives on a disk that was full for a while.
    pub full: u64,
    /// Frames promised.
    pub promised: u64,
    /// Torn tails that were cut.
    pub cuts: u64,
    /// Damage that was called rot.
    pub rots: u64,
    /// Damage to frames that no evidence covered yet: cut, as the docs say it may be.
    pub uncovered: u64,
    /// Damage before the checkpoint that a start began with: not seen by it, as the docs say.
    pub unseen: u64,
}

impl Report {
    /// Adds what happened elsewhere.
    pub const fn add(&mut self, other: &Self) {
        self.crashes += other.crashes;
        self.starts += other.starts;
        self.checkpointed += other.checkpointed;
        self.refused += other.refused;
        self.waited += other.waited;
        self.stops += other.stops;
        self.poisoned += other.poisoned;
        self.full += other.full;
        self.promised += other.promised;
        self.cuts += other.cuts;
        self.rots += other.rots;
        self.uncovered += other.uncovered;
        self.unseen += other.unseen;
    }
}

/// Runs the world of this seed through `lives` lives.
///
/// # Errors
/// The first promise that was not kept.
pub fn run(seed: u64, lives: u32, flaw: Flaw) -> Result<Report, Violation> {
    run_with(seed, lives, flaw, &mut Opaque::default())
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

pub(crate) struct World<'a> {
    pub(crate) content: &'a mut dyn Content,
    pub(crate) random: Random,
    pub(crate) disk: Disk,
    pub(crate) oracle: Oracle,
    pub(crate) flaw: Flaw,
    pub(crate) report: Report,
    /// Whether the device damages what it has told as durable.
    harms: bool,
}

impl<'a> World<'a> {
    fn new(seed: u64, flaw: Flaw, content: &'a mut dyn Content) -> Self {
        let mut random = Random::new(seed);
        let strides = random.below(4..24);
        // A stride may have several physical blocks, and then tears within.
        let blocks = if random.one_in(4) { 4 } else { 1 };
        let stride = u32::try_from(blocks * BLOCK_BYTES).expect("a small stride");
        let geometry = Geometry::new(stride, strides * u64::from(stride)).expect("within bounds");
        let mut disk = Disk::default();
        store::create(&mut disk, geometry);
        let harms = random.one_in(2);
        let (oracle, report) = (Oracle::default(), Report::default());
        Self { content, random, disk, oracle, flaw, report, harms }
    }

    /// Starts, runs, and ends one life; `false` if no other can follow.
    fn life(&mut self) -> Result<bool, Violation> {
        let Some(mut node) = self.start()? else { return Ok(false) };
        self.report.starts += 1;
        if self.harms {
            node.expect_harm();
        }
        let full = self.random.one_in(6);
        if full {
            self.report.full += 1;
            self.disk.set_room(Some(self.random.index(30)));
        }
        for _ in 0..self.random.below(1..90) {
            node.step(&mut self.random, self.content, &mut self.disk, &mut self.oracle)?;
            if self.random.one_in(40) {
                self.disk.set_room(None);
            }
            // Only where a flaw let this life begin before they had ended.
            if self.disk.is_locked() && self.random.one_in(8) {
                self.disk.end_orphan(&mut self.random);
            }
        }
        self.disk.set_room(None);
        self.report.poisoned += u64::from(node.is_poisoned());
        if self.random.one_in(6) && !node.is_poisoned() {
            let clean = node.stop(&mut self.disk, &mut self.oracle)?;
            self.report.stops += 1;
            assert!(clean, "nothing failed");
        }
        self.crash();
        if self.harms && self.random.one_in(3) {
            self.damage();
        }
        Ok(true)
    }

    /// The process is killed, or the power is lost, or one soon after the other.
    fn crash(&mut self) {
        self.report.crashes += 1;
        self.disk.kill();
        if self.random.one_in(2) {
            for _ in 0..self.random.below(0..4) {
                self.disk.end_orphan(&mut self.random);
            }
            self.disk.lose_power(&mut self.random);
        }
    }

    pub(crate) fn crash_now_and_then(&mut self) -> bool {
        let crashes = self.random.one_in(12);
        if crashes {
            self.crash();
        }
        crashes
    }

    /// Damages a block of what was durable: mostly of a promised frame.
    fn damage(&mut self) {
        let kind = Damage::any(&mut self.random);
        let (name, offset) = match self.random.below(0..10) {
            0 => (FileName::Slot, self.random.index(2 * IMAGE_BYTES / BLOCK_BYTES) * BLOCK_BYTES),
            // One of its two copies: without either there is no ledger, which other tests show.
            1 => (FileName::Superblock, self.random.index(IMAGE_BYTES / BLOCK_BYTES) * BLOCK_BYTES),
            2 => {
                let mut checkpoints =
                    self.disk.names().filter(|name| matches!(name, FileName::Checkpoint(_)));
                let Some(name) = checkpoints.next_back() else { return };
                let blocks = self.disk.view(name).len().div_ceil(BLOCK_BYTES);
                (name, self.random.index(blocks) * BLOCK_BYTES)
            }
            _ => {
                let Some(place) = self.block_of_a_promised_frame() else { return };
                place
            }
        };
        if name == FileName::Superblock && store::superblock_order(&self.disk)[1].offset() == 0 {
            // The copy that counts; the other may be torn by the same crash.
            return;
        }
        kind.apply(&mut self.disk, name, offset);
    }

    fn block_of_a_promised_frame(&mut self) -> Option<(FileName, usize)> {
        let promised = self.oracle.promised().0;
        if promised == 0 {
            return None;
        }
        // The end of the journal is where damage and tearing are hardest to tell apart.
        let first = if self.random.one_in(2) { promised.saturating_sub(3).max(1) } else { 1 };
        let damaged = FrameNumber(self.random.below(first..promised + 1));
        let frame = self.oracle.promised_frame(damaged);
        let Position { segment: SegmentNumber(segment), offset } = frame.position;
        let block = self.random.index(frame.bytes / BLOCK_BYTES);
        let offset = usize::try_from(offset).expect("a small segment") + block * BLOCK_BYTES;
        Some((FileName::Segment(segment), offset))
    }
}
