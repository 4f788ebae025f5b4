//! The two-copy files: superblock and frontier slot.
//!
//! Holds: one copy is durable before the other is touched. Leaves to others: what the copies say.

use std::path::Path;

use disk::{Access, AlignedBuf, Direct, DirectFile, DiskError, PlainFile, directory};
use journal::{IMAGE_BYTES, IMAGE_FILE_BYTES, ImageCopy};

/// The bytes of both copies; missing ones read as zeros.
pub(super) fn read_both(path: &Path) -> Result<[[u8; IMAGE_BYTES]; 2], DiskError> {
    let file = PlainFile::open(path, Access::ReadOnly)?;
    let len = file.len_bytes()?;
    let mut copies = [[0; IMAGE_BYTES]; 2];
    for (copy, bytes) in ImageCopy::BOTH.into_iter().zip(&mut copies) {
        let whole = u64::try_from(IMAGE_BYTES).is_ok_and(|image| copy.offset() + image <= len);
        if whole {
            file.read_at(copy.offset(), bytes)?;
        }
    }
    Ok(copies)
}

/// Makes the file with room for both copies, if it is not there, and opens it for direct writes.
pub(super) fn open_or_create(path: &Path, direct: Direct) -> Result<DirectFile, DiskError> {
    if path.exists() {
        return DirectFile::open(path, Access::ReadWrite, direct);
    }
    let file = DirectFile::open(path, Access::CreateNew, direct)?;
    file.write_zeros(0, IMAGE_FILE_BYTES)?;
    if let Some(parent) = path.parent() {
        directory::sync_directory(parent)?;
    }
    Ok(file)
}

/// Writes both copies in this order, one durable before the other begins.
pub(super) fn write_both(
    file: &DirectFile,
    order: [ImageCopy; 2],
    image: &[u8; IMAGE_BYTES],
) -> Result<(), DiskError> {
    order.into_iter().try_for_each(|copy| write_one(file, copy, image))
}

/// Writes one copy durably.
pub(super) fn write_one(
    file: &DirectFile,
    copy: ImageCopy,
    image: &[u8; IMAGE_BYTES],
) -> Result<(), DiskError> {
    let mut buffer = AlignedBuf::new(IMAGE_BYTES);
    buffer.copy_from_slice(image);
    file.write_at_durable(copy.offset(), &buffer, IMAGE_BYTES)
}
