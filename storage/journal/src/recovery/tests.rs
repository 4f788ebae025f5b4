//! Small journals, written by the real committer, damaged in every way of `docs/recovery.md`.

use alloc::{collections::BTreeMap, vec, vec::Vec};

use model::{Instant, Timestamp};

use super::*;
use crate::{
    Batch, CHECKPOINT_HEADER_BYTES, Committer, Effect, Effects, Event, Identity, ImageError, Member,
    Membership, Start,
};

pub(super) const LEDGER: LedgerId = LedgerId([1; 16]);
pub(super) const STRIDE: usize = 512;
pub(super) const SEGMENT: usize = 4096;

pub(super) fn geometry() -> Geometry {
    Geometry::new(512, SEGMENT as u64).unwrap()
}

pub(super) fn key() -> FrameKey {
    FrameKey::new(&[3; 32])
}

/// Segments in memory and the slot, as they lie on a disk.
#[derive(Clone)]
pub(super) struct Journal {
    pub(super) segments: BTreeMap<u32, Vec<u8>>,
    pub(super) slot: Slot,
    pub(super) epoch: Epoch,
    pub(super) incarnation: Incarnation,
    resume: Resume,
    pub(super) placed: Vec<(FrameNumber, Position, usize)>,
}

pub(super) struct Source<'a> {
    files: Vec<SegmentFile>,
    segments: &'a BTreeMap<u32, Vec<u8>>,
    bytes_read: usize,
}

impl SegmentSource for Source<'_> {
    fn segments(&self) -> &[SegmentFile] {
        &self.files
    }

    fn read(&mut self, segment: SegmentNumber, offset: u64, buffer: &mut [u8]) -> Result<(), ReadFailure> {
        let bytes = &self.segments[&segment.0];
        let offset = usize::try_from(offset).unwrap();
        assert!(offset.is_multiple_of(STRIDE) && buffer.len().is_multiple_of(STRIDE));
        let bytes = bytes.get(offset..offset + buffer.len()).ok_or(ReadFailure::Short)?;
        if bytes.starts_with(b"unreadable") {
            return Err(ReadFailure::Error(5));
        }
        buffer.copy_from_slice(bytes);
        self.bytes_read += buffer.len();
        Ok(())
    }
}

impl Journal {
    pub(super) fn new() -> Self {
        Self {
            segments: BTreeMap::new(),
            slot: Slot::genesis(LEDGER, Incarnation(0), [0; 32]),
            epoch: Epoch(1),
            incarnation: Incarnation(0),
            resume: Resume::genesis([0; 32]),
            placed: Vec::new(),
        }
    }

    /// Frames with the given payload lengths, three entries each; zero is an empty frame. Each is
    /// durable before the next begins. The slot is written where the committer wants it at time
    /// zero: when a segment is announced.
    pub(super) fn write(&mut self, payloads: &[usize]) {
        let start = Start {
            identity: Identity { ledger: LEDGER, incarnation: Incarnation(0), epoch: self.epoch },
            geometry: geometry(),
            key: key(),
            resume: self.resume,
            slot: self.slot,
            membership: Membership::alone(LEDGER, Incarnation(0)),
            in_flight_max: 4,
        };
        let mut committer = Committer::new(start, Instant(0));
        self.act(&mut committer, Event::Tick, &[]);
        for payload_bytes in payloads {
            let mut buffer = vec![0xab; HEADER_BYTES + payload_bytes + STRIDE];
            let first_seq = committer.next_seq();
            let count = if *payload_bytes == 0 { 0 } else { 3 };
            let mut out = Effects::new();
            let batch = Batch {
                buffer: &mut buffer,
                payload_bytes: *payload_bytes,
                first_seq,
                count,
                at: Timestamp(5),
                tree_size: first_seq.0 + u64::from(count) - 1,
                root: [u8::try_from(committer.next_frame().0).unwrap(); 32],
            };
            committer.apply(Instant(0), Event::Begin(batch), &mut out);
            let effects: Vec<Effect> = out.drain().collect();
            self.handle(&mut committer, effects, &buffer);
        }
    }

    fn act(&mut self, committer: &mut Committer, event: Event<'_>, buffer: &[u8]) {
        let mut out = Effects::new();
        committer.apply(Instant(0), event, &mut out);
        let effects: Vec<Effect> = out.drain().collect();
        self.handle(committer, effects, buffer);
    }

    fn handle(&mut self, committer: &mut Committer, effects: Vec<Effect>, buffer: &[u8]) {
        for effect in effects {
            match effect {
                Effect::Persist { frame, position, bytes } => {
                    let at = usize::try_from(position.offset).unwrap();
                    let segment = self.segments.get_mut(&position.segment.0).expect("prepared");
                    segment[at..at + bytes].copy_from_slice(&buffer[..bytes]);
                    self.placed.push((frame, position, bytes));
                    self.act(
                        committer,
                        Event::Persisted { member: Member::First, frame, result: Ok(()) },
                        buffer,
                    );
                }
                Effect::PrepareSegment(segment) => {
                    self.segments.entry(segment.0).or_insert_with(|| vec![0; SEGMENT]);
                    self.act(committer, Event::Prepared { segment, bytes: SEGMENT as u64 }, buffer);
                }
                Effect::WriteSlot { slot, .. } => {
                    self.slot = slot;
                    let sequence = slot.sequence;
                    self.act(
                        committer,
                        Event::SlotWritten { member: Member::First, sequence, result: Ok(()) },
                        buffer,
                    );
                }
                Effect::Release { .. } | Effect::Published { .. } | Effect::WantIdleFrame => {}
                Effect::WriteMembership { .. }
                | Effect::Declined(_)
                | Effect::Poisoned(_)
                | Effect::Stopped { .. } => {
                    panic!("{effect:?}");
                }
            }
        }
    }

    pub(super) fn recover(&self) -> Result<Recovered, RecoveryError<()>> {
        self.recover_with(Some(&self.slot), None, FrameNumber::ZERO).map(|(recovered, _, _)| recovered)
    }

    pub(super) fn source(&self) -> Source<'_> {
        let files = self.segments.iter().map(|(number, bytes)| SegmentFile {
            segment: SegmentNumber(*number),
            bytes: bytes.len() as u64,
        });
        Source { files: files.collect(), segments: &self.segments, bytes_read: 0 }
    }

    /// What was recovered, the frames that were replayed, and the bytes that were read.
    fn recover_with(
        &self,
        slot: Option<&Slot>,
        checkpoint: Option<&Checkpoint>,
        checkpoint_frame_max: FrameNumber,
    ) -> Result<(Recovered, Vec<u64>, usize), RecoveryError<()>> {
        let mut source = self.source();
        let key = key();
        let input = Input {
            geometry: geometry(),
            ledger: LEDGER,
            incarnation: self.incarnation,
            epoch: self.epoch,
            key: &key,
            slot,
            checkpoint,
            checkpoint_frame_max,
        };
        let mut buffer = vec![0; recovery_buffer_bytes(geometry())];
        let mut replayed = Vec::new();
        let recovered = recover(&input, &mut source, &mut buffer, |frame| {
            assert!(frame.payload.iter().all(|byte| *byte == 0xab));
            replayed.push(frame.header.frame.0);
            Ok(())
        })?;
        Ok((recovered, replayed, source.bytes_read))
    }

    /// The bytes of the frame with this number.
    pub(super) fn frame(&mut self, number: u64) -> &mut [u8] {
        let placed = |(frame, _, _): &&(FrameNumber, Position, usize)| frame.0 == number;
        let (_, position, bytes) = *self.placed.iter().rev().find(placed).unwrap();
        let at = usize::try_from(position.offset).unwrap();
        &mut self.segments.get_mut(&position.segment.0).unwrap()[at..at + bytes]
    }

    /// A start after a crash: what recovery says is done, the epoch grows.
    pub(super) fn restart(&mut self) -> Recovered {
        let recovered = self.recover().unwrap();
        if let Tail::Torn(cut) = &recovered.tail {
            for range in &cut.ranges {
                let (from, to) = (usize::try_from(range.from).unwrap(), usize::try_from(range.to).unwrap());
                self.segments.get_mut(&range.segment.0).unwrap()[from..to].fill(0);
            }
        }
        self.resume = recovered.resume_after_flush([0; 32]).expect("no rot");
        self.epoch = recovered.next_epoch;
        recovered
    }
}

fn rot(recovered: &Recovered) -> (u64, Witness) {
    match &recovered.tail {
        Tail::Rot(rot) => (rot.expected.0, rot.witness),
        Tail::Clean | Tail::Torn(_) => panic!("{recovered:?}"),
    }
}

fn cut(recovered: &Recovered) -> &Cut {
    match &recovered.tail {
        Tail::Torn(cut) => cut,
        Tail::Clean | Tail::Rot(_) => panic!("{recovered:?}"),
    }
}

#[test]
fn an_empty_ledger_begins_at_the_beginning() {
    let recovered = Journal::new().recover().unwrap();
    assert_eq!(recovered.tail, Tail::Clean);
    assert_eq!(recovered.flush, None);
    assert_eq!(recovered.resume_after_flush([9; 32]), Some(Resume::genesis([9; 32])));
    assert_eq!(recovered.next_epoch, Epoch(2));
}

#[test]
fn a_whole_journal_is_replayed_across_segments() {
    let mut journal = Journal::new();
    // 512, 3072, then 1024 that does not fit, 512, an empty one, 4096.
    journal.write(&[100, 2600, 600, 200, 0, 3840, 10]);
    let (recovered, replayed, _) =
        journal.recover_with(Some(&journal.slot), None, FrameNumber::ZERO).unwrap();
    assert_eq!(replayed, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(recovered.tail, Tail::Clean);
    assert_eq!((recovered.last.seq, recovered.frames), (Seq(18), 7));
    assert_eq!(recovered.next, Position { segment: SegmentNumber(3), offset: 512 });
    assert_eq!(recovered.flush, Some((SegmentNumber(0), SegmentNumber(3))));
    assert!(!recovered.last.quiet);
}

#[test]
fn the_last_frame_torn_and_claimed_by_nobody_is_cut() {
    let mut journal = Journal::new();
    journal.write(&[100, 600, 700]);
    for damage in 0..4 {
        let mut journal = journal.clone();
        let frame = journal.frame(3);
        match damage {
            0 => frame[STRIDE..].fill(0),
            1 => frame[..STRIDE].fill(0),
            2 => frame[9] ^= 1,
            _ => frame[HEADER_BYTES + 3] ^= 1,
        }
        let recovered = journal.recover().unwrap();
        assert_eq!(recovered.last.frame, FrameNumber(2));
        let cut = cut(&recovered);
        assert_eq!(cut.ranges.len(), 1);
        assert_eq!(cut.bytes, if damage < 2 { 512 } else { 1024 }, "damage {damage}");
        assert_eq!(cut.headers, u32::from(damage == 0 || damage == 3));
        assert_eq!(recovered.resume_after_flush([0; 32]).unwrap().cut_bytes, cut.bytes);
    }
}

#[test]
fn the_last_frame_gone_without_a_trace_is_a_clean_end() {
    let mut journal = Journal::new();
    journal.write(&[100, 600, 700]);
    journal.frame(3).fill(0);
    let recovered = journal.recover().unwrap();
    assert_eq!((recovered.last.frame, &recovered.tail), (FrameNumber(2), &Tail::Clean));
}

#[test]
fn a_frame_that_a_later_frame_knows_to_be_durable_is_rot() {
    let mut journal = Journal::new();
    journal.write(&[100, 2600, 600, 200, 0]);
    // A slot that was written before any frame, so that only later frames know of these.
    journal.slot = Slot { segment: journal.slot.segment, ..Journal::new().slot };
    for number in 1..=4 {
        for zeroed in [false, true] {
            let mut journal = journal.clone();
            let frame = journal.frame(number);
            if zeroed {
                frame.fill(0)
            } else {
                frame[HEADER_BYTES - 1] ^= 0x10
            }
            let recovered = journal.recover().unwrap();
            let (expected, witness) = rot(&recovered);
            assert_eq!(expected, number);
            assert!(matches!(witness, Witness::LaterFrame(_)), "{witness:?}");
            assert_eq!(recovered.resume_after_flush([0; 32]), None);
        }
    }
}

#[test]
fn a_header_is_a_witness_even_if_its_payload_is_torn() {
    let mut journal = Journal::new();
    journal.write(&[100, 600, 700]);
    journal.frame(2)[20] ^= 1;
    journal.frame(3)[STRIDE..].fill(0);
    let (expected, witness) = rot(&journal.recover().unwrap());
    assert_eq!((expected, witness), (2, Witness::LaterFrame(journal.placed[2].1)));
}

#[test]
fn slot_and_checkpoint_know_of_frames_that_no_later_frame_claims() {
    let mut journal = Journal::new();
    journal.write(&[100, 600]);
    let slot = Slot { frame: FrameNumber(2), ..journal.slot };
    journal.frame(2).fill(0);
    let tail = |slot: Option<&Slot>, known| {
        let (recovered, _, _) = journal.recover_with(slot, None, FrameNumber(known)).unwrap();
        rot(&recovered)
    };
    assert_eq!(tail(Some(&slot), 0), (2, Witness::Slot));
    assert_eq!(tail(Some(&journal.slot), 2), (2, Witness::Checkpoint));
    assert_eq!(tail(None, 0), (2, Witness::SlotLost));
}

#[test]
fn a_slot_that_contradicts_the_journal_is_rot() {
    let mut journal = Journal::new();
    journal.write(&[100, 600]);
    let known = journal.recover().unwrap().last;
    let slot = Slot {
        frame: known.frame,
        hash: known.hash,
        durable: known.seq,
        tree_size: known.tree_size,
        root: known.root,
        ..journal.slot
    };
    let tail = |slot: Slot| journal.recover_with(Some(&slot), None, FrameNumber::ZERO).unwrap().0.tail;
    assert_eq!(tail(slot), Tail::Clean);
    for other in [Slot { hash: FrameHash([9; 32]), ..slot }, Slot { root: [9; 32], ..slot }] {
        assert!(matches!(tail(other), Tail::Rot(Rot { witness: Witness::SlotContradicts, .. })), "{other:?}");
    }
}

#[test]
fn an_announced_segment_that_is_gone_is_rot() {
    let mut journal = Journal::new();
    journal.write(&[2600, 2600, 2600]);
    assert_eq!(journal.slot.segment, SegmentNumber(3));
    for gone in 0..=3 {
        let mut journal = journal.clone();
        journal.segments.remove(&gone);
        journal.slot = Slot { segment: journal.slot.segment, ..Journal::new().slot };
        let (_, witness) = rot(&journal.recover().unwrap());
        assert_eq!(witness, Witness::SegmentLost(SegmentNumber(gone)));
    }
}

#[test]
fn what_was_cut_never_comes_back() {
    let mut journal = Journal::new();
    journal.write(&[100, 700, 100]);
    // Frames 2 and 3 were in flight together: 2 is torn and 3 whole, and 3 does not know of 2.
    let mut both = journal.clone();
    both.placed.pop();
    let mut third = journal.frame(3).to_vec();
    third[80..88].copy_from_slice(&1_u64.to_le_bytes());
    third[88..96].copy_from_slice(&3_u64.to_le_bytes());
    let hash = key().header_hash(&third[..224]);
    third[224..256].copy_from_slice(&hash);
    journal.frame(3).copy_from_slice(&third);
    journal.frame(2)[STRIDE..].fill(0);

    let before = journal.clone();
    let recovered = journal.restart();
    assert_eq!((recovered.last.frame, cut(&recovered).headers), (FrameNumber(1), 2));
    // The same place, so that the old frame 3 would follow exactly: with and without the zeroing.
    for zeroed in [true, false] {
        let mut journal = journal.clone();
        if !zeroed {
            journal.segments = before.segments.clone();
        }
        journal.write(&[600]);
        let recovered = journal.restart();
        assert_eq!((recovered.last.frame, recovered.last.epoch), (FrameNumber(2), Epoch(2)));
        assert_eq!(recovered.next_epoch, Epoch(3));
        if zeroed {
            assert_eq!(recovered.tail, Tail::Clean);
        } else {
            assert_eq!(cut(&recovered).headers, 1, "the old frame 3 is seen for what it is");
        }
        journal.write(&[100]);
        assert_eq!(journal.recover().unwrap().last.seq, Seq(9));
    }
}

#[test]
fn a_frame_in_the_wrong_place_or_of_another_ledger_is_not_taken() {
    let mut journal = Journal::new();
    journal.write(&[100, 100]);
    let (first, second) = (journal.frame(1).to_vec(), journal.frame(2).to_vec());
    journal.frame(2).copy_from_slice(&first);
    let recovered = journal.recover().unwrap();
    assert_eq!(cut(&recovered).bad, BadFrame::Misplaced(Position::default()));

    let mut other = second;
    other[16] ^= 1;
    let hash = key().header_hash(&other[..224]);
    other[224..256].copy_from_slice(&hash);
    journal.frame(2).copy_from_slice(&other);
    assert_eq!(cut(&journal.recover().unwrap()).bad, BadFrame::OtherLedger);
}

#[test]
fn a_checkpoint_counts_only_if_its_frame_is_there() {
    let mut journal = Journal::new();
    journal.write(&[100, 600, 200, 300]);
    let (_, position, _) = journal.placed[1];
    let bytes = journal.frame(2).to_vec();
    let frame = crate::open(&bytes, &key(), geometry()).unwrap();
    let checkpoint = Checkpoint {
        ledger: LEDGER,
        incarnation: Incarnation(0),
        frame: FrameNumber(2),
        hash: frame.hash,
        position,
        through: Seq(6),
        tree_size: 6,
        root: frame.header.root,
    };
    let run =
        |checkpoint: &Checkpoint| journal.recover_with(Some(&journal.slot), Some(checkpoint), FrameNumber(2));
    let (recovered, replayed, _) = run(&checkpoint).unwrap();
    assert_eq!((replayed, recovered.last.seq), (vec![3, 4], Seq(12)));
    for wrong in [
        Checkpoint { hash: FrameHash([9; 32]), ..checkpoint },
        Checkpoint { frame: FrameNumber(3), ..checkpoint },
        Checkpoint { through: Seq(7), ..checkpoint },
        Checkpoint { position: Position { offset: position.offset + 512, ..position }, ..checkpoint },
        Checkpoint { position: Position { segment: SegmentNumber(7), offset: 0 }, ..checkpoint },
    ] {
        assert_eq!(run(&wrong), Err(RecoveryError::Checkpoint), "{wrong:?}");
    }
    // The container carries it whole.
    let mut file = [0; CHECKPOINT_HEADER_BYTES];
    checkpoint.encode_header(&key(), b"", &mut file);
    assert_eq!(Checkpoint::decode_header(&file, &key(), LEDGER), Ok::<_, ImageError>(checkpoint));
}

#[test]
fn after_a_clean_stop_the_rest_is_not_read() {
    let mut journal = Journal::new();
    journal.write(&[100]);
    let last = journal.recover().unwrap().last;
    let slot = Slot {
        clean: true,
        epoch: Epoch(1),
        frame: FrameNumber(1),
        hash: last.hash,
        durable: last.seq,
        tree_size: last.tree_size,
        root: last.root,
        ..journal.slot
    };
    let read = |slot: Slot| journal.recover_with(Some(&slot), None, FrameNumber::ZERO).unwrap().2;
    let (clean, later) = (read(slot), read(Slot { epoch: Epoch(0), ..slot }));
    assert!(clean < later, "{clean} bytes after a clean stop, {later} otherwise");
}

#[test]
fn what_cannot_be_read_or_is_too_new_stops_recovery() {
    let mut journal = Journal::new();
    journal.write(&[100, 100]);
    journal.segments.get_mut(&1).unwrap()[..10].copy_from_slice(b"unreadable");
    let error = journal.recover().unwrap_err();
    assert!(
        matches!(
            error,
            RecoveryError::Read { segment: SegmentNumber(1), failure: ReadFailure::Error(5), .. }
        ),
        "{error:?}"
    );
    let mut journal = Journal::new();
    journal.write(&[100, 100]);
    let frame = journal.frame(2);
    frame[8] = 1;
    let hash = key().header_hash(&frame[..224]);
    frame[224..256].copy_from_slice(&hash);
    let position = Position { segment: SegmentNumber(0), offset: 512 };
    assert_eq!(journal.recover(), Err(RecoveryError::Format { position, format: 1 }));
}

/// Seals a frame of `incarnation` behind the last one, as whoever begins it does.
fn begin(journal: &mut Journal, incarnation: u32) -> Slot {
    let last = journal.recover().unwrap();
    let (resume, epoch) = (last.resume_after_flush([0; 32]).unwrap(), journal.epoch);
    let header = FrameHeader {
        ledger: LEDGER,
        incarnation: Incarnation(incarnation),
        epoch,
        frame: resume.frame.next(),
        position: resume.next,
        first_seq: resume.seq.next(),
        count: 1,
        at: Timestamp(5),
        previous: resume.hash,
        durable_frame: resume.frame,
        durable: resume.seq,
        tree_size: resume.seq.0 + 1,
        root: [9; 32],
        cut_bytes: 0,
        payload_bytes: 100,
    };
    let mut buffer = vec![0xab; STRIDE];
    let sealed = crate::seal(&header, &key(), geometry(), &mut buffer);
    let at = usize::try_from(resume.next.offset).unwrap();
    journal.segments.get_mut(&resume.next.segment.0).unwrap()[at..at + STRIDE].copy_from_slice(&buffer);
    journal.placed.push((header.frame, header.position, STRIDE));
    Slot {
        incarnation: Incarnation(incarnation),
        frame: header.frame,
        hash: sealed.hash,
        durable: header.last_seq(),
        ..journal.slot
    }
}

#[test]
fn a_life_that_the_superblock_does_not_know_never_began() {
    let mut journal = Journal::new();
    journal.write(&[100, 600]);
    begin(&mut journal, 2);
    let recovered = journal.recover().unwrap();
    assert_eq!(recovered.last.frame, FrameNumber(2));
    assert_eq!(cut(&recovered).bad, BadFrame::Unborn(Incarnation(2)));
}

#[test]
fn a_life_that_the_superblock_knows_is_not_lost_without_a_word() {
    let mut journal = Journal::new();
    journal.write(&[100, 600]);
    let fresh = begin(&mut journal, 2);
    journal.incarnation = Incarnation(2);
    let whole = journal.recover().unwrap();
    assert_eq!((whole.last.frame, whole.last.incarnation), (FrameNumber(3), Incarnation(2)));
    assert_eq!(whole.tail, Tail::Clean);
    journal.frame(3).fill(0);
    assert_eq!(rot(&journal.recover().unwrap()), (3, Witness::Superblock(Incarnation(2))));
    journal.slot = fresh;
    assert_eq!(rot(&journal.recover().unwrap()), (3, Witness::Superblock(Incarnation(2))));
}

#[test]
fn a_slot_of_a_life_before_is_no_evidence_of_what_was_dropped() {
    let mut journal = Journal::new();
    journal.write(&[100, 600]);
    let fresh = begin(&mut journal, 2);
    journal.incarnation = Incarnation(2);
    // What the first life had and the second dropped: frames up to 9, in a segment that is gone.
    let dropped = Slot { frame: FrameNumber(9), segment: SegmentNumber(7), ..journal.slot };
    let tail = |slot: &Slot| journal.recover_with(Some(slot), None, FrameNumber::ZERO).unwrap().0;
    assert_eq!(tail(&dropped).tail, Tail::Clean);
    assert_eq!(tail(&dropped).last.frame, FrameNumber(3));
    // One of this life, or of a later one, counts.
    for incarnation in [2, 3] {
        let slot = Slot { frame: FrameNumber(9), incarnation: Incarnation(incarnation), ..fresh };
        assert_eq!(rot(&tail(&slot)), (4, Witness::Slot));
    }
    // And of what was kept, the one before still speaks.
    let kept = journal.recover().unwrap();
    let other = Slot { frame: FrameNumber(2), hash: FrameHash([7; 32]), ..journal.slot };
    assert_eq!(kept.last.frame, FrameNumber(3));
    assert_eq!(rot(&tail(&other)), (4, Witness::SlotContradicts));
}
