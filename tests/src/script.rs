//! A small journal, written the same way every time, and the moments between its steps.

use journal::{Geometry, HEADER_BYTES, Resume};
use model::{Epoch, Nanos};

use crate::{
    disk::{BLOCK_BYTES, Disk},
    flaw::Flaw,
    node::Node,
    oracle::{Oracle, Violation},
    random::Random,
    store::{self, EMPTY_ROOT},
};

/// One step.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// A batch of so many entries in so many bytes.
    Batch(u32, usize),
    /// The write with this index comes back.
    Complete(usize),
    /// The oldest segment asked for is ready.
    Prepare,
    /// So many milliseconds pass.
    Tick(u64),
}

/// Strides of the script's segments.
const SEGMENT_STRIDES: u64 = 6;
/// Frames in flight at once.
const IN_FLIGHT_MAX: usize = 3;

/// Three segments, frames of one to four strides, completions out of order, a frame that does not
/// fit, an empty frame, and slots in between. Ends with frames that no slot knows of.
pub const SCRIPT: &[Step] = &[
    Step::Prepare,
    Step::Batch(2, 100),
    Step::Batch(1, 700),
    Step::Batch(3, 200),
    Step::Complete(1),
    Step::Complete(1),
    Step::Complete(0),
    Step::Prepare,
    Step::Complete(0),
    Step::Batch(4, 1200),
    Step::Batch(1, 50),
    Step::Complete(1),
    Step::Complete(0),
    Step::Tick(100),
    Step::Batch(2, 800),
    Step::Complete(0),
    Step::Complete(0),
    Step::Prepare,
    Step::Complete(0),
    Step::Batch(1, 10),
    Step::Batch(1, 500),
    Step::Batch(1, 1500),
    Step::Complete(2),
    Step::Complete(0),
    Step::Complete(0),
    Step::Prepare,
    Step::Complete(0),
    Step::Tick(500),
    Step::Complete(0),
    Step::Tick(500),
    Step::Batch(0, 0),
    Step::Complete(0),
    Step::Tick(100),
    Step::Complete(0),
    Step::Batch(5, 600),
    Step::Batch(1, 30),
    Step::Tick(100),
    Step::Complete(1),
    Step::Complete(0),
    Step::Complete(0),
    Step::Prepare,
    Step::Complete(0),
    Step::Batch(2, 400),
    Step::Complete(0),
    Step::Batch(1, 600),
    Step::Complete(0),
];

/// Steps of a drawn script.
const DRAWN_STEPS: usize = 60;

/// A script drawn from `seed`: anything in any order, mostly small frames.
#[must_use]
pub fn drawn(seed: u64) -> Vec<Step> {
    let mut random = Random::new(seed);
    let mut step = || match random.below(0..12) {
        0..5 => {
            let strides = if random.one_in(6) { 4 } else { 2 };
            let payload = random.index(strides * BLOCK_BYTES - HEADER_BYTES);
            Step::Batch(u32::try_from(random.below(0..4)).expect("a few"), payload)
        }
        5..9 => Step::Complete(random.index(4)),
        9 => Step::Tick(random.below(0..400)),
        _ => Step::Prepare,
    };
    (0..DRAWN_STEPS).map(|_| step()).collect()
}

/// Where the script stands.
#[derive(Debug)]
pub struct Play {
    /// The disk.
    pub disk: Disk,
    /// The promises.
    pub oracle: Oracle,
    node: Node,
}

impl Play {
    /// Before the first step.
    ///
    /// # Errors
    /// `Violation` if the start breaks a promise.
    pub fn new(flaw: Flaw) -> Result<Self, Violation> {
        Self::with_stride(flaw, BLOCK_BYTES)
    }

    /// As `new`, with strides of so many bytes.
    ///
    /// # Errors
    /// As `new`.
    pub fn with_stride(flaw: Flaw, stride: usize) -> Result<Self, Violation> {
        let bytes = u32::try_from(stride).expect("a small stride");
        let geometry = Geometry::new(bytes, SEGMENT_STRIDES * u64::from(bytes)).expect("within bounds");
        let (mut disk, mut oracle) = (Disk::default(), Oracle::default());
        store::create(&mut disk, geometry);
        let superblock = journal::Superblock { epoch: Epoch(1), ..store::superblock(&disk)? };
        for copy in store::superblock_order(&disk) {
            store::write_superblock(&mut disk, &superblock, copy, true);
        }
        let slot = store::slot(&disk).expect("it was just made");
        let resume = Resume::genesis(EMPTY_ROOT);
        let node = Node::start(&superblock, resume, slot, IN_FLIGHT_MAX, flaw, &mut disk, &mut oracle)?;
        Ok(Self { disk, oracle, node })
    }

    /// Takes one step; `seed` is what its payload is drawn from.
    ///
    /// # Errors
    /// `Violation` if it breaks a promise.
    pub fn step(&mut self, step: Step, seed: u64) -> Result<(), Violation> {
        let Self { disk, oracle, node } = self;
        match step {
            Step::Batch(count, payload) => node.batch(count, payload, seed, disk, oracle),
            Step::Complete(index) => node.complete_at(index, disk, oracle),
            Step::Prepare => node.finish_preparing(disk, oracle),
            Step::Tick(millis) => node.tick(Nanos::from_millis(millis), disk, oracle),
        }
    }
}
