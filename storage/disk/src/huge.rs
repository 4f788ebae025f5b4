//! Huge pages for memory that is about to be touched whole.
//!
//! Holds: a hint and no more; a kernel without them, or with `never`, leaves the memory as it is.
//! Leaves to others: which memory that is, and that all of it will be used.

use rustix::mm::{Advice, madvise};

use crate::ALIGNMENT_BYTES;

/// Asks the kernel for huge pages (`madvise(2)`, `MADV_HUGEPAGE`) in the whole pages of `memory`, which
/// is best not touched yet. A page of 2 MiB is faulted in once, one of 4 KiB 512 times.
#[expect(unsafe_code, reason = "the kernel is given an address")]
pub fn advise_huge_pages(memory: &mut [u64]) {
    let bytes = size_of_val(memory);
    let start = memory.as_mut_ptr().cast::<u8>();
    let to_page = start.align_offset(ALIGNMENT_BYTES);
    let Some(whole) = bytes.checked_sub(to_page).map(|rest| rest / ALIGNMENT_BYTES * ALIGNMENT_BYTES) else {
        return;
    };
    let first = start.wrapping_add(to_page);
    // SAFETY: the range lies in `memory`, which this function borrows exclusively, and this advice
    // changes neither what is in it nor what may be done with it (madvise(2)).
    let advised = unsafe { madvise(first.cast(), whole, Advice::LinuxHugepage) };
    // EINVAL where the kernel has none: a start is slower, nothing else.
    let _ = advised;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_leaves_every_value_as_it_is() {
        for length in [0, 1, 511, 512, 1_023, 1 << 20] {
            let mut memory: Vec<u64> = (0..length).collect();
            advise_huge_pages(&mut memory);
            assert!(memory.iter().copied().eq(0..length));
        }
    }
}
