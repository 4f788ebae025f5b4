//! What the superblock and the slot share: a file with two copies, of which the newest whole one
//! counts.

/// Bytes of one copy: written in one piece.
pub const IMAGE_BYTES: usize = 4096;
/// Bytes between the beginnings of the two copies, so that no physical block holds both.
pub const COPY_SPACING_BYTES: u64 = 65_536;
/// Bytes of the whole file.
pub const IMAGE_FILE_BYTES: u64 = 2 * COPY_SPACING_BYTES;

const _: () = assert!(COPY_SPACING_BYTES >= crate::STRIDE_BYTES_MAX as u64);
const _: () = assert!(IMAGE_BYTES as u64 <= COPY_SPACING_BYTES);

/// Which of the two copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageCopy {
    /// The one at the file's beginning.
    First,
    /// The one at `COPY_SPACING_BYTES`.
    Second,
}

impl ImageCopy {
    /// Both, in the order of the file.
    pub const BOTH: [Self; 2] = [Self::First, Self::Second];

    /// Where the copy begins in its file, in bytes.
    #[must_use]
    pub const fn offset(self) -> u64 {
        match self {
            Self::First => 0,
            Self::Second => COPY_SPACING_BYTES,
        }
    }
}

/// Why bytes are not a superblock, a slot or a checkpoint of this ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// Fewer bytes than there must be.
    #[error("the file is too short")]
    Truncated,
    /// The file begins as no file of ours does.
    #[error("the file is not ours: it begins with other bytes")]
    Foreign,
    /// Made by a later build.
    #[error("format {found} is newer than this build's {known}")]
    Newer {
        /// What the file says.
        found: u16,
        /// What this build reads.
        known: u16,
    },
    /// Made by an earlier build, in a format that is no longer read.
    #[error("format {found} is older than this build reads ({known})")]
    Older {
        /// What the file says.
        found: u16,
        /// What this build reads.
        known: u16,
    },
    /// The hash does not match: torn, damaged, or written with another key.
    #[error("the bytes are damaged")]
    Damaged,
    /// Both copies are damaged.
    #[error("both copies are damaged")]
    BothDamaged,
    /// It belongs to another ledger.
    #[error("it belongs to another ledger")]
    OtherLedger,
    /// Both copies say that they were written with another key.
    #[error("it was written with another frame key than the superblock holds")]
    OtherKey,
    /// A field is outside its range.
    #[error("a field is outside its range: {0}")]
    Field(&'static str),
}

/// The error that says most about two copies that cannot be read: a format or a foreign file is
/// worth more than "damaged".
pub(crate) const fn worse_of(first: ImageError, second: ImageError) -> ImageError {
    match (first, second) {
        (ImageError::Damaged | ImageError::Truncated, ImageError::Damaged | ImageError::Truncated) => {
            ImageError::BothDamaged
        }
        (ImageError::Damaged | ImageError::Truncated, other) | (other, _) => other,
    }
}

/// Checks magic, hash and format of `bytes`, in that order; the hash is the last 32 bytes.
pub(crate) fn check(
    bytes: &[u8],
    magic: [u8; 8],
    hash: impl Fn(&[u8]) -> [u8; 32],
    known: u16,
) -> Result<(), ImageError> {
    let (body, tag) = bytes.split_last_chunk::<32>().ok_or(ImageError::Truncated)?;
    let (head, _) = body.split_first_chunk::<8>().ok_or(ImageError::Truncated)?;
    if *head != magic {
        // A copy that was never written, or was zeroed by damage, is not a stranger's file.
        let empty = head.iter().all(|byte| *byte == 0);
        return Err(if empty { ImageError::Damaged } else { ImageError::Foreign });
    }
    if hash(body) != *tag {
        return Err(ImageError::Damaged);
    }
    let found = body.get(8..10).map_or(0, |format| u16::from_le_bytes([format[0], format[1]]));
    match found.cmp(&known) {
        core::cmp::Ordering::Greater => Err(ImageError::Newer { found, known }),
        core::cmp::Ordering::Less => Err(ImageError::Older { found, known }),
        core::cmp::Ordering::Equal => Ok(()),
    }
}
