//! What recovery found and nothing proves durable is written again before it is flushed.
//!
//! Holds: after a write or a flush that failed, the kernel may show bytes that it never wrote and that
//! no later flush writes; so a flush alone is not believed. Leaves to others: the flush.

use disk::{Access, AlignedBuf, DirectFile, DiskError};
use journal::{FrameKey, IMAGE_BYTES, READ_BYTES, Recovered, SegmentNumber, Slot, Superblock};

use super::{StoreParams, images, open::Places};

/// Writes again, as they were read, the frames that the slot does not know and the copies of
/// superblock and slot that count: those of 100 ms at most, and an empty frame.
pub(super) fn write_again(
    params: &StoreParams,
    places: &Places,
    superblock: &Superblock,
    slot: Option<&Slot>,
    recovered: &Recovered,
) -> Result<(), DiskError> {
    let mut image = [0; IMAGE_BYTES];
    let path = places.root.join(journal::SUPERBLOCK_FILE);
    let [first, second] = images::read_both(&path)?;
    let [_, counts] = Superblock::write_order(&first, &second);
    superblock.encode(&mut image);
    images::write_one(&images::open_or_create(&path, params.direct)?, counts, &image)?;
    if let Some(slot) = slot {
        slot.encode(&FrameKey::new(&superblock.frame_key), &mut image);
        let path = places.root.join(journal::SLOT_FILE);
        images::write_one(&images::open_or_create(&path, params.direct)?, slot.copy(), &image)?;
    }
    let Some(unproven) = recovered.unproven else { return Ok(()) };
    for segment in unproven.segment.0..=recovered.next.segment.0 {
        let path = places.segments().join(journal::segment_file_name(SegmentNumber(segment)));
        let file = DirectFile::open(&path, Access::ReadWrite, params.direct)?;
        let from = if segment == unproven.segment.0 { unproven.offset } else { 0 };
        let to = if segment == recovered.next.segment.0 { recovered.next.offset } else { file.len_bytes()? };
        write_range_again(&file, from, to)?;
    }
    Ok(())
}

fn write_range_again(file: &DirectFile, from: u64, to: u64) -> Result<(), DiskError> {
    let mut buffer = AlignedBuf::new(READ_BYTES);
    let mut at = from;
    while at < to {
        let len = usize::try_from(to - at).map_or(READ_BYTES, |left| left.min(READ_BYTES));
        let read = file.read_at(at, &mut buffer, len)?;
        if read < len {
            return Err(DiskError::ShortRead { path: file.path().into(), offset: at, wanted: len, read });
        }
        file.write_at_durable(at, &buffer, len)?;
        at += u64::try_from(len).expect("a length fits in 64 bits");
    }
    Ok(())
}
