//! Every disk image that a power loss may leave: for each write in flight, which of its blocks
//! landed.

use crate::disk::{Disk, Write};

/// Writes of up to this many blocks are torn in every way there is.
const EVERY_SUBSET_BLOCKS_MAX: usize = 4;

/// Every image of `disk`, one after the other: all combinations of the fates of its writes.
pub fn images(disk: &Disk) -> impl Iterator<Item = Disk> + '_ {
    let writes = disk.in_flight();
    let fates: Vec<Vec<u32>> = writes.iter().map(|write| fates(write.blocks())).collect();
    let total: usize = fates.iter().map(Vec::len).product();
    (0..total).map(move |number| {
        let mut image = disk.clone();
        let mut rest = number;
        for (write, fates) in writes.iter().zip(&fates) {
            land(&mut image, write, fates[rest % fates.len()]);
            rest /= fates.len();
        }
        image.drop_in_flight();
        image
    })
}

fn land(image: &mut Disk, write: &Write, landed: u32) {
    for block in (0..write.blocks()).filter(|block| landed >> block & 1 == 1) {
        image.land_block(write, block);
    }
}

/// The sets of blocks that may have landed, a bit for each: all of them for a short write; for a
/// long one none, all, each beginning, each block alone and each block missing.
fn fates(blocks: usize) -> Vec<u32> {
    assert!((1..32).contains(&blocks), "a small journal");
    let all = (1_u32 << blocks) - 1;
    if blocks <= EVERY_SUBSET_BLOCKS_MAX {
        return (0..=all).collect();
    }
    let mut fates = vec![0, all];
    for block in 0..blocks {
        fates.extend([(1 << block) - 1, 1 << block, all & !(1 << block)]);
    }
    fates.sort_unstable();
    fates.dedup();
    fates
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::disk::{BLOCK_BYTES, FileName};

    #[test]
    fn two_writes_of_two_and_three_blocks_leave_thirty_two_images() {
        let name = FileName::Segment(0);
        let mut disk = Disk::default();
        disk.create(name, 5 * BLOCK_BYTES);
        disk.submit(name, 0, vec![1; 2 * BLOCK_BYTES]);
        disk.submit(name, 2 * BLOCK_BYTES, vec![2; 3 * BLOCK_BYTES]);
        let distinct: BTreeSet<Vec<u8>> = images(&disk).map(|image| image.view(name).to_vec()).collect();
        assert_eq!((distinct.len(), images(&disk).count()), (32, 32));
    }

    #[test]
    fn a_long_write_is_torn_at_each_block_and_misses_each_block() {
        let fates = fates(8);
        for wanted in [0, 0xff, 0x0f, 0x10, 0xef] {
            assert!(fates.contains(&wanted), "{wanted:#x}");
        }
        // None, all, 8 alone, 8 missing, and the beginnings of 2 to 6 blocks, which are none of these.
        assert_eq!(fates.len(), 1 + 1 + 8 + 8 + 5);
    }
}
