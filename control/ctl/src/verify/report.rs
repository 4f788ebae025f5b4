//! `Report`: what was checked, what was not, and what was found. As text and as JSON.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Beyond, DerivedReport, Finding, Holder};

/// What a verification says.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whether nothing was found.
    pub clean: bool,
    /// The directory that was read.
    pub directory: String,
    /// Whose journal.
    pub ledger: LedgerFacts,
    /// The process that holds the ledger, if one does.
    pub holder: Option<Holder>,
    /// What was read and compared.
    pub checked: Checked,
    /// What was compared of the files that the journal implies.
    pub derived: DerivedReport,
    /// What lies after the last frame.
    pub tail: TailReport,
    /// What lies behind damage; `None` where there is none.
    pub beyond: Option<Beyond>,
    /// What a clean verdict does not vouch for.
    pub not_checked: Vec<String>,
    /// What is worth knowing and no damage to what counts.
    pub remarks: Vec<String>,
    /// How many things are wrong.
    pub findings_count: u64,
    /// The first thousand of them.
    pub findings: Vec<Finding>,
}

/// Whose journal.
#[derive(Clone, Debug, Serialize)]
pub struct LedgerFacts {
    /// Its identity, in hex.
    pub id: String,
    /// Which life of it.
    pub incarnation: u32,
    /// Which start of it, at the time of reading.
    pub epoch: u32,
    /// The format of its files.
    pub format: u16,
    /// The hash of its tree.
    pub hash: &'static str,
}

/// What was read and compared.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    /// Segment files.
    pub segments: u64,
    /// Bytes that were read from them.
    pub bytes_read: u64,
    /// Whether they were read past the page cache.
    pub direct_io: bool,
    /// Frames: hash, key, place and chain.
    pub frames: u64,
    /// Bytes of those frames.
    pub frame_bytes: u64,
    /// Frames without entries.
    pub frames_empty: u64,
    /// Starts of the ledger that wrote frames.
    pub epochs: u64,
    /// Bytes of torn tails that earlier starts have cut.
    pub cut_bytes: u64,
    /// Entries, each through the audit.
    pub entries: u64,
    /// The same by kind.
    pub entries_by_kind: BTreeMap<&'static str, u64>,
    /// Accounts by asset, each with its balance and sequence recomputed.
    pub accounts: u64,
    /// Names, each with its id recomputed.
    pub names: u64,
    /// Idempotency keys, each with one outcome.
    pub keys: u64,
    /// Recorded refusals, each justified by the accounts as they stood.
    pub refusals: u64,
    /// Slices, each hashed and chained.
    pub slices: u64,
    /// Bytes of their bodies.
    pub slice_bytes: u64,
    /// Streams of slices.
    pub streams: u64,
    /// Roots in frame headers, each recomputed.
    pub roots: u64,
    /// Checkpoint files: digest, last frame and root.
    pub checkpoints: u64,
    /// Whether the frontier slot's frame, hash, entry and root are those of the journal.
    pub slot: bool,
    /// What moved, by asset.
    pub assets: BTreeMap<String, AssetFacts>,
    /// The last frame.
    pub last_frame: u64,
    /// The last entry.
    pub last_seq: u64,
    /// The root over all entries, recomputed, in hex.
    pub root: String,
}

/// What moved of one asset, in minor units.
#[derive(Clone, Debug, Serialize)]
pub struct AssetFacts {
    /// Accepted entries.
    pub entries: u64,
    /// Moved between accounts, issued, burned, and across the border included.
    pub moved: String,
    /// Minted.
    pub minted: String,
    /// Burned.
    pub burned: String,
}

/// What lies after the last frame (`docs/recovery.md`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum TailReport {
    /// Nothing was ever written there.
    Clean,
    /// What was written there was never answered for; the next start cuts it. No damage.
    Torn {
        /// Bytes from the first to the last stride that is not zero.
        bytes: u64,
        /// Where it begins.
        at: String,
        /// Why it is no frame.
        why: String,
    },
    /// A node is writing there: everything that was durable when reading began was read.
    Moving,
    /// Something that was durable cannot be read.
    Rot,
}

impl Report {
    /// The report for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut lines = vec![format!("ledger {} in {}", self.ledger.id, self.directory)];
        lines.push(format!(
            "incarnation {}, epoch {}, format {}, {}",
            self.ledger.incarnation, self.ledger.epoch, self.ledger.format, self.ledger.hash
        ));
        if let Some(Holder { pid }) = &self.holder {
            lines.push(format!(
                "held by process {pid}: a node runs here, or its last writes are on their way"
            ));
        }
        lines.push(String::new());
        self.checked.lines(&mut lines);
        let DerivedReport { tile_hashes, frame_rows, runs, history_rows, differences } = &self.derived;
        lines.push(format!(
            "  derived       {tile_hashes} hashes of tiles, {frame_rows} rows of the frame index, {history_rows} rows of {runs} runs of the history"
        ));
        lines.push(format!("  tail          {}", self.tail.words()));
        if let Some(beyond) = &self.beyond {
            lines.push(format!(
                "  behind it     {} frames whole ({} entries, not audited), {} damaged, {} missing",
                beyond.frames_whole, beyond.entries, beyond.frames_damaged, beyond.frames_missing
            ));
        }
        lines.extend(["".into(), "not checked".into()]);
        lines.extend(self.not_checked.iter().map(|what| format!("  {what}")));
        for remark in &self.remarks {
            lines.push(format!("remark: {remark}"));
        }
        lines.push(String::new());
        lines.extend(self.findings.iter().map(|finding| format!("finding: {finding}")));
        let kept = self.findings.len() as u64;
        if self.findings_count > kept {
            lines.push(format!("and {} findings more", self.findings_count - kept));
        }
        lines.extend(differences.iter().map(|difference| format!("derived finding: {difference}")));
        lines.push(match self.findings_count + differences.len() as u64 {
            0 => "clean: nothing was found".into(),
            1 => "NOT CLEAN: 1 finding".into(),
            count => format!("NOT CLEAN: {count} findings"),
        });
        lines.join("\n") + "\n"
    }
}

impl Checked {
    fn lines(&self, lines: &mut Vec<String>) {
        let io = if self.direct_io { "past the page cache" } else { "through the page cache" };
        lines.push("checked".into());
        lines.push(format!("  read          {} bytes of {} segments, {io}", self.bytes_read, self.segments));
        lines.push(format!(
            "  frames        {} ({} bytes, {} empty, {} starts): hash, key, place, chain",
            self.frames, self.frame_bytes, self.frames_empty, self.epochs
        ));
        let kinds: Vec<String> =
            self.entries_by_kind.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        lines.push(format!("  entries       {} ({}): order, time, shape", self.entries, kinds.join(", ")));
        lines.push(format!(
            "  accounts      {} of {} names: balance, sequence, nonce; each asset adds up to zero",
            self.accounts, self.names
        ));
        lines.push(format!(
            "  keys          {}: one outcome each, {} of them refusals",
            self.keys, self.refusals
        ));
        lines.push(format!(
            "  slices        {} in {} streams ({} bytes): digest, chain",
            self.slices, self.streams, self.slice_bytes
        ));
        for (asset, facts) in &self.assets {
            lines.push(format!(
                "  asset         {asset}: {} entries, moved {}, minted {}, burned {}",
                facts.entries, facts.moved, facts.minted, facts.burned
            ));
        }
        lines.push(format!("  roots         {} of frame headers, recomputed", self.roots));
        lines.push(format!("  checkpoints   {}: digest, last frame, root", self.checkpoints));
        let slot = if self.slot { "agrees with the journal" } else { "was not met in the journal" };
        lines.push(format!("  frontier slot {slot}"));
        lines.push(format!(
            "  through       frame {}, entry {}, root {}",
            self.last_frame, self.last_seq, self.root
        ));
    }
}

impl TailReport {
    fn words(&self) -> String {
        match self {
            Self::Clean => "clean: nothing was ever written after the last frame".into(),
            Self::Torn { bytes, at, why } => format!(
                "torn: {bytes} bytes at {at} ({why}); never answered for, no damage; the next start cuts them"
            ),
            Self::Moving => {
                "moving: a node writes here; all that was durable when reading began was read".into()
            }
            Self::Rot => "rot: something that was durable cannot be read".into(),
        }
    }
}
