//! Two disks and what lies on them: the files of a ledger, and of its mirror.

use journal::{
    Active, Directory, Expected, FrameNumber, IMAGE_BYTES, Input, Member, Membership, Mirrored, ReadFailure,
    Recovered, RecoveryError, Repair, SegmentFile, SegmentNumber, SegmentSource, Slot, Superblock, recover,
    recovery_buffer_bytes,
};
use model::Incarnation;

use crate::{
    disk::{BLOCK_BYTES, Disk, FileName},
    oracle::{SealedFrame, Violation},
    random::Random,
    store,
};

/// What happened to a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// It works.
    Well,
    /// It fails every write, and is not there at the next start.
    Dead,
}

/// The disks. A record lies on the device of its member, in a file that is written with nothing else:
/// it has a disk of its own here, under the name of the slot's file.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) disks: [Disk; 2],
    pub(super) records: [Disk; 2],
    pub(super) health: [Health; 2],
}

/// What a start read.
#[derive(Debug)]
pub(super) struct Reread {
    pub(super) recovered: Recovered,
    pub(super) frames: Vec<SealedFrame>,
    pub(super) repairs: Vec<Repair>,
    pub(super) superblock: Superblock,
    pub(super) slot: Slot,
}

struct Source<'a> {
    disk: &'a Disk,
    files: Vec<SegmentFile>,
}

impl SegmentSource for Source<'_> {
    fn segments(&self) -> &[SegmentFile] {
        &self.files
    }

    fn read(&mut self, segment: SegmentNumber, offset: u64, buffer: &mut [u8]) -> Result<(), ReadFailure> {
        let from = usize::try_from(offset).expect("a small segment");
        let bytes = self.disk.view(FileName::Segment(segment.0)).get(from..from + buffer.len());
        buffer.copy_from_slice(bytes.ok_or(ReadFailure::Short)?);
        Ok(())
    }
}

impl Pair {
    /// A ledger on the first disk alone.
    pub(super) fn new(geometry: journal::Geometry) -> Self {
        let mut pair =
            Self { disks: Default::default(), records: Default::default(), health: [Health::Well; 2] };
        store::create(&mut pair.disks[0], geometry);
        pair.records[0].create(FileName::Slot, 2 * IMAGE_BYTES);
        pair
    }

    /// Two disks as they are.
    pub(super) fn of(disks: [Disk; 2]) -> Self {
        Self { disks, records: Default::default(), health: [Health::Well; 2] }
    }

    /// A new disk in place of one that died.
    pub(super) fn replace(&mut self, member: Member) {
        self.disks[member.index()] = Disk::default();
        self.records[member.index()] = Disk::default();
        self.health[member.index()] = Health::Well;
    }

    /// The end of a process, or of the power, for both at once.
    pub(super) fn crash(&mut self, random: &mut Random) {
        let power = random.one_in(2);
        for disk in self.disks.iter_mut().chain(&mut self.records) {
            if power { disk.lose_power(random) } else { disk.kill(random) }
        }
    }

    /// What the plan is made from.
    pub(super) fn directory(&self, member: Member) -> Directory {
        let disk = &self.disks[member.index()];
        if self.health[member.index()] == Health::Dead {
            return Directory::Unreadable;
        }
        if disk.len(FileName::Superblock).is_none() || store::superblock(disk).is_err() {
            return Directory::Empty;
        }
        let record = &self.records[member.index()];
        let (first, second) = record.view(FileName::Slot).split_at(IMAGE_BYTES);
        let picked = Membership::pick(first, second, &store::key(), store::LEDGER);
        Directory::Ledger(picked.unwrap_or(Membership::alone(store::LEDGER, Incarnation(0))))
    }

    /// Reads the journal of the members that are believed.
    pub(super) fn read(&self, believed: Active) -> Result<Reread, Violation> {
        let disks: Vec<&Disk> = believed.members().map(|member| &self.disks[member.index()]).collect();
        let superblocks = disks.iter().filter_map(|disk| store::superblock(disk).ok());
        let superblock = superblocks.max_by_key(|superblock| superblock.epoch);
        let superblock = superblock.ok_or_else(|| Violation::Recovery("no superblock".into()))?;
        let slots = disks.iter().filter_map(|disk| store::slot(disk));
        let slot = slots.max_by_key(|slot| slot.sequence);
        let slot = slot.ok_or_else(|| Violation::Recovery("no slot".into()))?;
        let key = store::key();
        let input = Input {
            geometry: superblock.geometry,
            ledger: store::LEDGER,
            incarnation: superblock.incarnation,
            epoch: superblock.epoch,
            key: &key,
            slot: Some(&slot),
            checkpoint: None,
            checkpoint_frame_max: FrameNumber::ZERO,
        };
        let mut frames = Vec::new();
        let mut take = |frame: &journal::Frame<'_>| {
            frames.push(SealedFrame::of(frame));
            Ok(())
        };
        let mut buffer = vec![0; recovery_buffer_bytes(superblock.geometry)];
        let failed = |error: RecoveryError<String>| Violation::Recovery(format!("{error:?}"));
        let (recovered, repairs) = match disks[..] {
            [first, second] => {
                let expected =
                    Expected { geometry: superblock.geometry, ledger: store::LEDGER, key: key.clone() };
                let mut source = Mirrored::new(source(first), source(second), expected);
                let recovered = recover(&input, &mut source, &mut buffer, &mut take).map_err(failed)?;
                let repairs = source.repairs_before(recovered.next).collect();
                (recovered, repairs)
            }
            _ => {
                let recovered = recover(&input, &mut source(disks[0]), &mut buffer, &mut take);
                (recovered.map_err(failed)?, Vec::new())
            }
        };
        Ok(Reread { recovered, frames, repairs, superblock, slot })
    }

    /// Gives each copy what it lacks, durably.
    pub(super) fn repair(&mut self, repairs: &[Repair]) {
        for member in Member::BOTH {
            let other = self.disks[member.other().index()].clone();
            let disk = &mut self.disks[member.index()];
            for name in segments(&other) {
                if disk.len(name).is_none() {
                    disk.create(name, other.view(name).len());
                    disk.write_cached(name, 0, other.view(name));
                    disk.flush(name);
                }
            }
            for Repair { segment, from, to, .. } in repairs.iter().filter(|repair| repair.onto == member) {
                let name = FileName::Segment(segment.0);
                let (from, to) = (usize::try_from(*from), usize::try_from(*to));
                let (from, to) = (from.expect("a small segment"), to.expect("a small segment"));
                disk.write_cached(name, from, &other.view(name)[from..to]);
                disk.flush(name);
            }
        }
    }

    /// Makes `to` equal to the other, but for its record; durable if `flush` says so.
    pub(super) fn copy(&mut self, to: Member, flush: bool) {
        let source = self.disks[to.other().index()].clone();
        let target = &mut self.disks[to.index()];
        let stale: Vec<FileName> = target.names().filter(|name| source.len(*name).is_none()).collect();
        stale.into_iter().for_each(|name| target.remove(name));
        for name in source.names() {
            if target.len(name).is_none() {
                target.create(name, source.view(name).len());
            }
            target.write_cached(name, 0, source.view(name));
            if flush {
                target.flush(name);
            }
        }
    }

    /// Writes a record durably where it belongs.
    pub(super) fn write_record(&mut self, record: &Membership) {
        let disk = &mut self.records[record.holder.index()];
        if disk.len(FileName::Slot).is_none() {
            disk.create(FileName::Slot, 2 * IMAGE_BYTES);
        }
        let mut image = [0; IMAGE_BYTES];
        record.encode(&store::key(), &mut image);
        disk.write_cached(FileName::Slot, store::image_offset(record.copy()), &image);
        disk.flush(FileName::Slot);
    }

    /// One stride of a promised frame is other than it was, on one disk.
    pub(super) fn damage(&mut self, member: Member, frame: &SealedFrame, random: &mut Random) {
        let offset = usize::try_from(frame.position.offset).expect("a small segment");
        let offset = offset + random.index(frame.bytes / BLOCK_BYTES) * BLOCK_BYTES;
        let name = FileName::Segment(frame.position.segment.0);
        let disk = &mut self.disks[member.index()];
        if disk.len(name).is_some() {
            crate::damage::Damage::any(random).apply(disk, name, offset);
        }
    }
}

fn source(disk: &Disk) -> Source<'_> {
    let files = segments(disk).into_iter().filter_map(|name| match name {
        FileName::Segment(number) => {
            Some(SegmentFile { segment: SegmentNumber(number), bytes: disk.view(name).len() as u64 })
        }
        _ => None,
    });
    Source { disk, files: files.collect() }
}

fn segments(disk: &Disk) -> Vec<FileName> {
    disk.names().filter(|name| matches!(name, FileName::Segment(_))).collect()
}
