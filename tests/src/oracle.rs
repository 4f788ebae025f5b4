//! Every promise that was made, and whether what came back keeps them.

use std::{collections::HashMap, fmt};

use journal::{Frame, FrameHash, FrameNumber, Position, Rot};

/// A frame as it was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedFrame {
    /// Its number.
    pub frame: FrameNumber,
    /// Its hash.
    pub hash: FrameHash,
    /// Where it was to lie.
    pub position: Position,
    /// Bytes on disk.
    pub bytes: usize,
    /// The last frame that it says was durable.
    pub claims: FrameNumber,
    /// Its last entry.
    pub last_seq: u64,
    /// Leaves of the tree it names.
    pub tree_size: u64,
    /// The root of that tree.
    pub root: [u8; 32],
    /// A digest of its payload.
    pub digest: [u8; 32],
}

impl SealedFrame {
    /// What there is to remember of a frame.
    #[must_use]
    pub fn of(frame: &Frame<'_>) -> Self {
        Self {
            frame: frame.header.frame,
            hash: frame.hash,
            position: frame.header.position,
            bytes: frame.frame_bytes,
            claims: frame.header.durable_frame,
            last_seq: frame.header.last_seq().0,
            tree_size: frame.header.tree_size,
            root: frame.header.root,
            digest: digest(frame.payload),
        }
    }
}

/// A digest of a payload, independent of the journal's.
#[must_use]
pub fn digest(payload: &[u8]) -> [u8; 32] {
    *blake3::hash(payload).as_bytes()
}

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A frame that was answered for, or shown to a reader, is gone, and nothing says so.
    Lost(FrameNumber),
    /// Another frame lies in the place of one that was answered for.
    Changed(FrameNumber),
    /// A frame came back that nobody sealed.
    Invented(FrameNumber),
    /// The journal was called rotten though nothing was damaged.
    FalseRot(Rot),
    /// The wrong frame was named as the damaged one.
    WrongFrame {
        /// The damaged one.
        damaged: FrameNumber,
        /// The verdict.
        rot: Rot,
    },
    /// Recovery ended otherwise than it must.
    Recovery(String),
    /// What was replayed is not what was written, by the content's own books.
    Content(String),
    /// The marks of the committer are not where the promises are.
    Frontier(String),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Violation {}

/// The memory of one world.
#[derive(Clone, Debug, Default)]
pub struct Oracle {
    sealed: HashMap<FrameHash, SealedFrame>,
    /// The frames that were answered for or shown, in order: number one first.
    promised: Vec<FrameHash>,
}

impl Oracle {
    /// A frame was sealed.
    pub fn seal(&mut self, frame: SealedFrame) {
        let before = self.sealed.insert(frame.hash, frame);
        assert!(before.is_none(), "no two frames have one hash");
    }

    /// The frame's answers leave.
    ///
    /// # Errors
    /// `Frontier` if it is not the next to be answered for.
    pub fn promise(&mut self, hash: FrameHash) -> Result<(), Violation> {
        let number = self.sealed(hash).frame.0;
        if number != self.promised.len() as u64 + 1 {
            let promised = self.promised.len();
            return Err(Violation::Frontier(format!("frame {number} released after {promised}")));
        }
        self.promised.push(hash);
        Ok(())
    }

    /// How many frames were promised.
    #[must_use]
    pub fn promised(&self) -> FrameNumber {
        FrameNumber(self.promised.len() as u64)
    }

    /// The promised frame with this number.
    #[must_use]
    pub fn promised_frame(&self, number: FrameNumber) -> SealedFrame {
        let index = usize::try_from(number.0 - 1).expect("a small journal");
        self.sealed(self.promised[index])
    }

    /// Compares what came back with what was promised; `whole` says that nothing may be missing.
    ///
    /// # Errors
    /// `Lost`, `Changed`, `Invented`.
    pub fn compare(&self, recovered: &[SealedFrame], whole: bool) -> Result<(), Violation> {
        for (index, frame) in recovered.iter().enumerate() {
            let number = FrameNumber(index as u64 + 1);
            if self.sealed.get(&frame.hash) != Some(frame) || frame.frame != number {
                return Err(Violation::Invented(number));
            }
            if self.promised.get(index).is_some_and(|hash| *hash != frame.hash) {
                return Err(Violation::Changed(number));
            }
        }
        if whole && recovered.len() < self.promised.len() {
            return Err(Violation::Lost(FrameNumber(recovered.len() as u64 + 1)));
        }
        Ok(())
    }

    /// What was recovered is shown to readers from now on.
    pub fn expose(&mut self, recovered: &[SealedFrame]) {
        self.promised = recovered.iter().map(|frame| frame.hash).collect();
    }

    fn sealed(&self, hash: FrameHash) -> SealedFrame {
        *self.sealed.get(&hash).expect("what is promised was sealed")
    }
}
