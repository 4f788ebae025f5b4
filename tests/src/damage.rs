//! Damage to one stride: what a device does to bytes that it had promised to keep.

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
    /// What the stride before holds: written twice.
    Duplicated,
    /// What belongs one stride further on.
    Misdirected,
}

impl Damage {
    /// All kinds.
    pub const ALL: [Self; 6] =
        [Self::Torn, Self::Zeroed, Self::Flipped, Self::Stale, Self::Duplicated, Self::Misdirected];

    /// Damages the stride at `offset`. The first bytes of a stride always belong to its frame, so
    /// that every kind changes bytes that count.
    pub fn apply(self, disk: &mut Disk, name: FileName, offset: usize) {
        let stride_at = |at: Option<usize>| {
            let found = at.and_then(|at| disk.view(name).get(at..at + BLOCK_BYTES));
            found.map_or_else(|| vec![0xa7; BLOCK_BYTES], <[u8]>::to_vec)
        };
        let elsewhere = match self {
            Self::Stale => stride_at((offset > 0).then_some(0)),
            Self::Duplicated => stride_at(offset.checked_sub(BLOCK_BYTES)),
            Self::Misdirected => stride_at(Some(offset + BLOCK_BYTES)),
            Self::Torn | Self::Zeroed | Self::Flipped => Vec::new(),
        };
        disk.damage(name, offset, |stride| match self {
            Self::Torn => stride[..BLOCK_BYTES / 2].fill(0xe5),
            Self::Zeroed => stride.fill(0),
            Self::Flipped => stride[7] ^= 0x20,
            Self::Stale | Self::Duplicated | Self::Misdirected => stride.copy_from_slice(&elsewhere),
        });
    }

    /// Any kind.
    pub fn any(random: &mut Random) -> Self {
        Self::ALL[random.index(Self::ALL.len())]
    }
}
