//! Damage to one block: what a device does to bytes that it had promised to keep.

use crate::{
    disk::{BLOCK_BYTES, Disk, FileName},
    random::Random,
};

/// One kind of damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Damage {
    /// Half of it is not what it was.
    Torn,
    /// Only zeros.
    Zeroed,
    /// One bit is another.
    Flipped,
    /// What the file begins with: an old write, or one that went astray.
    Stale,
    /// What the block before holds: written twice.
    Duplicated,
    /// What belongs one block further on.
    Misdirected,
    /// The write never came: what a file holds before it is written.
    Missing,
}

impl Damage {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Torn,
        Self::Zeroed,
        Self::Flipped,
        Self::Stale,
        Self::Duplicated,
        Self::Misdirected,
        Self::Missing,
    ];

    /// Damages the block at `offset`, or what the file has of it.
    pub fn apply(self, disk: &mut Disk, name: FileName, offset: usize) {
        let block_at = |at: Option<usize>| {
            let found = at.and_then(|at| disk.view(name).get(at..at + BLOCK_BYTES));
            found.map_or_else(|| vec![0xa7; BLOCK_BYTES], <[u8]>::to_vec)
        };
        let elsewhere = match self {
            Self::Stale => block_at((offset > 0).then_some(0)),
            Self::Duplicated => block_at(offset.checked_sub(BLOCK_BYTES)),
            Self::Misdirected => block_at(Some(offset + BLOCK_BYTES)),
            Self::Torn | Self::Zeroed | Self::Flipped | Self::Missing => Vec::new(),
        };
        disk.damage(name, offset, |block| match self {
            Self::Torn => {
                let half = block.len() / 2;
                block[..half].fill(0xe5);
            }
            Self::Zeroed | Self::Missing => block.fill(0),
            Self::Flipped => block[7] ^= 0x20,
            Self::Stale | Self::Duplicated | Self::Misdirected => {
                let len = block.len();
                block.copy_from_slice(&elsewhere[..len]);
            }
        });
    }

    /// Any kind.
    pub fn any(random: &mut Random) -> Self {
        Self::ALL[random.index(Self::ALL.len())]
    }
}
