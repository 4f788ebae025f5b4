//! Life after life on two disks.

use journal::{Active, Geometry, Member, Membership, Other, Plan, Refused, Superblock, Tail, plan};

use super::{
    MirrorFlaw,
    node::Node,
    pair::{Health, Pair, Reread},
};
use crate::{
    disk::{BLOCK_BYTES, FileName},
    oracle::{Oracle, Violation},
    random::Random,
    store,
};

/// What happened in one world, or in many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MirrorReport {
    /// Crashes, of the process or of the power.
    pub crashes: u64,
    /// Starts that ended with a running node.
    pub starts: u64,
    /// Frames promised.
    pub promised: u64,
    /// Disks that died under load and were given up.
    pub lost: u64,
    /// Members that were brought up again.
    pub copied: u64,
    /// Starts from one disk, the other being gone.
    pub alone: u64,
    /// Starts that were refused because a disk was not there.
    pub refused: u64,
    /// Runs of bytes that one disk lacked and was given.
    pub repairs: u64,
}

impl MirrorReport {
    /// Adds what happened elsewhere.
    pub const fn add(&mut self, other: &Self) {
        self.crashes += other.crashes;
        self.starts += other.starts;
        self.promised += other.promised;
        self.lost += other.lost;
        self.copied += other.copied;
        self.alone += other.alone;
        self.refused += other.refused;
        self.repairs += other.repairs;
    }
}

/// Runs the world of this seed through `lives` lives.
///
/// # Errors
/// The first promise that was not kept.
pub fn run(seed: u64, lives: u32, flaw: MirrorFlaw) -> Result<MirrorReport, Violation> {
    let mut random = Random::new(seed);
    let strides = random.below(4..24);
    let stride = u32::try_from(BLOCK_BYTES).expect("a small block");
    let geometry = Geometry::new(stride, strides * BLOCK_BYTES as u64).expect("within bounds");
    let mut world = World {
        random,
        pair: Pair::new(geometry),
        oracle: Oracle::default(),
        flaw,
        rests_on: None,
        report: MirrorReport::default(),
    };
    for _ in 0..lives {
        world.life()?;
    }
    world.report.promised = world.oracle.promised().0;
    Ok(world.report)
}

struct World {
    random: Random,
    pair: Pair,
    oracle: Oracle,
    flaw: MirrorFlaw,
    /// Who had the last frame that was promised: with them there, a start must not be refused.
    rests_on: Option<Active>,
    report: MirrorReport,
}

impl World {
    fn life(&mut self) -> Result<(), Violation> {
        let mut node = self.start()?;
        self.report.starts += 1;
        let was_pair = node.active() == Active::Both;
        if was_pair {
            self.rests_on = Some(Active::Both);
        }
        for _ in 0..self.random.below(1..80) {
            if was_pair && self.random.one_in(60) && self.pair.health == [Health::Well; 2] {
                self.pair.health[self.random.index(2)] = Health::Dead;
            }
            node.step(&mut self.random, &mut self.pair, &mut self.oracle)?;
            if node.is_poisoned() {
                return Err(Violation::Recovery("poisoned, though one disk is well".into()));
            }
        }
        self.report.lost += u64::from(was_pair && node.active() != Active::Both);
        self.rests_on = node.rests_on.or(self.rests_on);
        self.crash();
        let is_well = self.pair.health == [Health::Well; 2];
        if node.active() == Active::Both && is_well && self.random.one_in(3) {
            self.damage();
        }
        Ok(())
    }

    /// Starts until a start succeeds, with a crash between any two of its steps.
    fn start(&mut self) -> Result<Node, Violation> {
        loop {
            let [first, second] = Member::BOTH.map(|member| self.pair.directory(member));
            let plan = match plan(first, second, false) {
                Ok(plan) => plan,
                Err(Refused::Needs(missing)) => {
                    self.refused(missing)?;
                    continue;
                }
                Err(refused) => return Err(Violation::Recovery(format!("{refused:?}"))),
            };
            let (believed, record, behind) = match plan {
                Plan::Create => return Err(Violation::Recovery("the ledger is gone".into())),
                Plan::Both(record) => (Active::Both, record, None),
                Plan::One { survivor, membership, other, .. } => {
                    let behind = (other == Other::Copy).then(|| survivor.other());
                    (Active::Only(survivor), membership, behind)
                }
            };
            let reread = self.pair.read(believed)?;
            if let Tail::Rot(rot) = reread.recovered.tail {
                return Err(Violation::FalseRot(rot));
            }
            self.oracle.compare(&reread.frames, true)?;
            if let Some(node) = self.settle(believed, record, behind, &reread)? {
                self.report.alone += u64::from(node.active() != Active::Both);
                return Ok(node);
            }
            self.report.crashes += 1;
        }
    }

    /// A start was refused because a disk is not there: right, unless the other alone has answered.
    fn refused(&mut self, missing: Member) -> Result<(), Violation> {
        if self.rests_on == Some(Active::Only(missing.other())) {
            return Err(Violation::Recovery(format!(
                "refused, though the {} has answered alone",
                missing.other()
            )));
        }
        self.report.refused += 1;
        // It was a cable.
        self.pair.health[missing.index()] = Health::Well;
        Ok(())
    }

    /// What a start does once it knows what it believes; `None` if it crashed on the way.
    fn settle(
        &mut self,
        believed: Active,
        record: Membership,
        behind: Option<Member>,
        reread: &Reread,
    ) -> Result<Option<Node>, Violation> {
        let superblock = Superblock { epoch: reread.recovered.next_epoch, ..reread.superblock.clone() };
        for member in believed.members() {
            let disk = &mut self.pair.disks[member.index()];
            let names: Vec<FileName> = disk.names().collect();
            names.into_iter().for_each(|name| disk.flush(name));
            let record_disk = &mut self.pair.records[member.index()];
            if record_disk.len(FileName::Slot).is_some() { record_disk.flush(FileName::Slot); }
        }
        for member in believed.members() {
            for copy in store::superblock_order(&self.pair.disks[member.index()]) {
                let disk = &mut self.pair.disks[member.index()];
                store::write_superblock(disk, &superblock, copy, false);
                if self.crash_now_and_then() {
                    return Ok(None);
                }
                self.pair.disks[member.index()].flush(FileName::Superblock);
            }
        }
        if believed == Active::Both && self.flaw != MirrorFlaw::NoRepair {
            self.pair.repair(&reread.repairs);
            self.report.repairs += reread.repairs.len() as u64;
        }
        for member in believed.members() {
            let disk = &mut self.pair.disks[member.index()];
            store::zero_cut(disk, &reread.recovered.tail);
            if self.crash_now_and_then() {
                return Ok(None);
            }
            store::flush_segments(&mut self.pair.disks[member.index()]);
        }
        let Some(membership) = self.bring_up(record, behind) else { return Ok(None) };
        self.oracle.expose(&reread.frames);
        let in_flight_max = 1 + self.random.index(model::limits::FRAMES_IN_FLIGHT_MAX);
        let (pair, oracle) = (&mut self.pair, &mut self.oracle);
        Node::start(&superblock, reread, membership, in_flight_max, self.flaw, pair, oracle).map(Some)
    }

    /// Copies to the member that is behind, and writes down who counts; `None` if it crashed.
    fn bring_up(&mut self, record: Membership, behind: Option<Member>) -> Option<Membership> {
        let Some(member) = behind else { return Some(record) };
        self.pair.write_record(&record.in_the_making(member));
        if self.crash_now_and_then() {
            return None;
        }
        self.pair.copy(member, self.flaw != MirrorFlaw::NoFlush);
        if self.crash_now_and_then() {
            return None;
        }
        let pair = record.next(member.other(), Active::Both);
        self.pair.write_record(&pair);
        if self.crash_now_and_then() {
            return None;
        }
        self.pair.write_record(&Membership { holder: member, ..pair });
        self.report.copied += 1;
        Some(pair)
    }

    /// The end of a life; what died may be replaced by a new disk, stay away, or come back as it was.
    fn crash(&mut self) {
        self.report.crashes += 1;
        self.pair.crash(&mut self.random);
        for member in Member::BOTH {
            let is_alone = self.rests_on == Some(Active::Only(member.other()));
            if self.pair.health[member.index()] == Health::Dead && is_alone {
                match self.random.below(0..3) {
                    0 => self.pair.replace(member),
                    1 => self.pair.health[member.index()] = Health::Well,
                    _ => {}
                }
            }
        }
    }

    fn crash_now_and_then(&mut self) -> bool {
        let crashes = self.random.one_in(12);
        if crashes {
            self.pair.crash(&mut self.random);
        }
        crashes
    }

    /// One disk of the two, in what was promised; near the end, where damage and tearing are hardest to
    /// tell apart, as often as not.
    fn damage(&mut self) {
        let promised = self.oracle.promised().0;
        if promised == 0 {
            return;
        }
        let first = if self.random.one_in(2) { promised.saturating_sub(3).max(1) } else { 1 };
        let frame = self.oracle.promised_frame(journal::FrameNumber(self.random.below(first..promised + 1)));
        let member = Member::BOTH[self.random.index(2)];
        self.pair.damage(member, &frame, &mut self.random);
    }
}
