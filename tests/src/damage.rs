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
    /// What lay there before, or somewhere else: the write went astray.
    Stale,
}

impl Damage {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Torn, Self::Zeroed, Self::Flipped, Self::Stale];

    /// Damages the stride at `offset`. The first bytes of a stride always belong to its frame, so
    /// that every kind changes bytes that count.
    pub fn apply(self, disk: &mut Disk, name: FileName, offset: usize) {
        let elsewhere = match self {
            Self::Stale => disk.view(name)[..BLOCK_BYTES].to_vec(),
            Self::Torn | Self::Zeroed | Self::Flipped => Vec::new(),
        };
        disk.damage(name, offset, |stride| match self {
            Self::Torn => stride[..BLOCK_BYTES / 2].fill(0xe5),
            Self::Zeroed => stride.fill(0),
            Self::Flipped => stride[7] ^= 0x20,
            Self::Stale if offset > 0 => stride.copy_from_slice(&elsewhere),
            Self::Stale => stride.fill(0xa7),
        });
    }

    /// Any kind.
    pub fn any(random: &mut Random) -> Self {
        Self::ALL[random.index(Self::ALL.len())]
    }
}
