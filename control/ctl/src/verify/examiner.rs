//! `Examiner`: takes the frames one after the other and compares each with everything that is known.
//!
//! Holds: nothing is compared with the server's state; the audit recomputes from the records alone.
//! Leaves to others: which frames there are (`journal::recover`), the rules (`ledger::Audit`).

use std::collections::BTreeMap;

use journal::{Checkpoint, Frame, FrameNumber, Position, Slot};
use ledger::{Audit, HashKind};
use model::{BatchView, Incarnation, LedgerId, RecordRef, Seq};

use super::{Finding, files::CheckpointFile, finding::compared};

/// Findings that are kept; more are only counted.
const FINDINGS_KEPT: usize = 1_000;

/// What the frames have shown so far.
#[derive(Debug)]
pub(crate) struct Examiner {
    pub(crate) audit: Audit,
    pub(crate) findings: Vec<Finding>,
    pub(crate) findings_count: u64,
    pub(crate) kinds: BTreeMap<&'static str, u64>,
    pub(crate) frames: u64,
    pub(crate) frames_empty: u64,
    pub(crate) frame_bytes: u64,
    pub(crate) epochs: u64,
    pub(crate) cut_bytes: u64,
    /// The last frame, as a checkpoint would name it: where reading can go on.
    pub(crate) last: Option<Checkpoint>,
    pub(crate) slot_seen: bool,
    pub(crate) checkpoints_seen: u64,
    epoch: u32,
    slot: Option<Slot>,
    checkpoints: Vec<CheckpointFile>,
    ledger: LedgerId,
}

impl Examiner {
    pub(crate) fn new(
        hash: HashKind,
        ledger: LedgerId,
        slot: Option<Slot>,
        checkpoints: Vec<CheckpointFile>,
    ) -> Self {
        Self {
            audit: Audit::new(hash),
            findings: Vec::new(),
            findings_count: 0,
            kinds: BTreeMap::new(),
            frames: 0,
            frames_empty: 0,
            frame_bytes: 0,
            epochs: 0,
            cut_bytes: 0,
            last: None,
            slot_seen: slot.is_some_and(|slot| slot.frame == FrameNumber::ZERO),
            checkpoints_seen: 0,
            epoch: 0,
            slot,
            checkpoints,
            ledger,
        }
    }

    /// Goes on after a checkpoint, whose state the audit holds.
    pub(crate) fn resume(&mut self, checkpoint: Checkpoint, audit: Audit) {
        self.slot_seen |= self.slot.is_some_and(|slot| slot.frame == checkpoint.frame);
        self.checkpoints_seen += 1;
        self.audit = audit;
        self.last = Some(checkpoint);
    }

    /// Keeps a finding, or counts it if there are many.
    pub(crate) fn found(&mut self, finding: Finding) {
        self.findings_count += 1;
        if self.findings.len() < FINDINGS_KEPT {
            self.findings.push(finding);
        }
    }

    /// Compares one whole and chained frame with all that is known.
    pub(crate) fn take(&mut self, frame: &Frame<'_>) {
        let header = &frame.header;
        let at = header.position;
        if frame.padding.iter().any(|byte| *byte != 0) {
            let what = "the bytes between the payload and the frame's end are not zero";
            self.found(Finding::of_frame(at, header.frame, what));
        }
        self.take_records(frame);
        let (size, root) = self.audit.end_frame();
        if let Err(wrong) = self.audit.head(header.tree_size, &header.root) {
            let what = format!("the root in the frame's header: {}", wrong.fault);
            let claimed = format!("{} at {}", hex::encode(header.root), header.tree_size);
            let recomputed = format!("{} at {size}", hex::encode(root));
            self.found(Finding::of_frame(at, header.frame, what).expected(recomputed, claimed));
        }
        self.frames += 1;
        self.frames_empty += u64::from(header.count == 0);
        self.frame_bytes += frame.frame_bytes as u64;
        self.epochs += u64::from(header.epoch.0 != self.epoch);
        self.epoch = header.epoch.0;
        self.cut_bytes += header.cut_bytes;
        self.compare_slot(frame, size, &root);
        self.compare_checkpoints(frame, size, &root);
        self.last = Some(as_checkpoint(self.ledger, frame, header.incarnation, header.last_seq()));
    }

    fn take_records(&mut self, frame: &Frame<'_>) {
        let header = &frame.header;
        if header.count == 0 && frame.payload.is_empty() {
            return;
        }
        let (at, number) = (header.position, header.frame);
        let batch = match BatchView::parse(frame.payload) {
            Ok(batch) => batch,
            Err(error) => return self.found(Finding::of_frame(at, number, error.to_string())),
        };
        if usize::try_from(header.count) != Ok(batch.count()) {
            let what = "the header and the payload count differently";
            self.found(Finding::of_frame(at, number, what).expected(header.count, batch.count()));
        }
        for (index, record) in batch.iter().enumerate() {
            match record {
                Ok(record) => self.take_record(at, number, &record),
                Err(error) => {
                    let seq = header.first_seq.plus(index as u64);
                    self.found(Finding::of_frame(at, number, error.to_string()).at_seq(seq));
                }
            }
        }
    }

    fn take_record(&mut self, at: Position, number: FrameNumber, record: &RecordRef<'_>) {
        let head = record.head();
        *self.kinds.entry(head.kind.word()).or_default() += 1;
        if let Err(wrong) = self.audit.feed(record) {
            let finding = Finding::of_frame(at, number, wrong.fault.to_string()).at_seq(head.seq);
            let finding = match compared(&wrong.fault, record) {
                Some((expected, found)) => finding.expected(expected, found),
                None => finding,
            };
            self.found(finding);
        }
    }

    /// The slot names a frame, its hash, the last entry and a tree: all of it must be what is here.
    fn compare_slot(&mut self, frame: &Frame<'_>, size: u64, root: &[u8; 32]) {
        let header = &frame.header;
        let Some(slot) = self.slot.filter(|slot| slot.incarnation == header.incarnation) else { return };
        if slot.frame == header.frame {
            self.slot_seen = true;
            let claims = (hex::encode(slot.hash.0), slot.durable);
            let stands = (hex::encode(frame.hash.0), header.last_seq());
            if claims != stands {
                let finding =
                    Finding::of_frame(header.position, header.frame, "the frontier slot names another frame");
                let shown = |(hash, seq): (String, Seq)| format!("hash {hash} through entry {seq}");
                self.found(finding.expected(shown(claims), shown(stands)));
            }
        }
        if slot.tree_size == size && header.count > 0 && slot.root != *root {
            let finding =
                Finding::of_frame(header.position, header.frame, "the frontier slot names another root");
            self.found(finding.expected(hex::encode(root), hex::encode(slot.root)));
        }
    }

    fn compare_checkpoints(&mut self, frame: &Frame<'_>, size: u64, root: &[u8; 32]) {
        let header = &frame.header;
        let here: Vec<CheckpointFile> =
            self.checkpoints.iter().filter(|file| file.header.frame == header.frame).cloned().collect();
        for CheckpointFile { name, header: claims, whole } in here {
            self.checkpoints_seen += 1;
            let stands = as_checkpoint(self.ledger, frame, header.incarnation, header.last_seq());
            let what = |of: &str| format!("checkpoint {name} has another {of} than the journal");
            let finding = |of: &str| Finding::of_frame(header.position, header.frame, what(of));
            if (claims.hash, claims.position) != (stands.hash, stands.position) {
                let shown = |of: &Checkpoint| format!("{} at {}", hex::encode(of.hash.0), of.position);
                self.found(finding("last frame").expected(shown(&stands), shown(&claims)));
            }
            if (claims.tree_size, claims.root) != (size, *root) || claims.through != stands.through {
                let shown = |size: u64, root: &[u8; 32]| format!("{} at {size}", hex::encode(root));
                let finding =
                    finding("root").expected(shown(size, root), shown(claims.tree_size, &claims.root));
                self.found(finding);
            }
            if let Err(error) = whole {
                let what = format!("checkpoint {name}: {error}");
                self.found(Finding::of_frame(header.position, header.frame, what));
            }
        }
    }
}

/// The frame, named as a checkpoint names the last one that it contains.
fn as_checkpoint(ledger: LedgerId, frame: &Frame<'_>, incarnation: Incarnation, through: Seq) -> Checkpoint {
    let header = &frame.header;
    Checkpoint {
        ledger,
        incarnation,
        frame: header.frame,
        hash: frame.hash,
        position: header.position,
        through,
        tree_size: header.tree_size,
        root: header.root,
    }
}
