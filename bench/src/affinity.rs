//! `Pinned`: the calling thread on one core for a while.
//!
//! Threads inherit their maker's cores, so a thread is pinned only while it measures and gets its
//! cores back before it starts anything else.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The calling thread is on one core until this falls.
#[derive(Debug)]
pub struct Pinned {
    before: Option<CpuSet>,
}

impl Pinned {
    /// Pins the calling thread. Without a core, or where the kernel refuses, it stays where it is.
    #[must_use]
    pub fn to(core: Option<usize>) -> Self {
        let before = core.and_then(|core| {
            let before = sched_getaffinity(None).ok()?;
            let mut one = CpuSet::new();
            one.set(core);
            sched_setaffinity(None, &one).ok().map(|()| before)
        });
        Self { before }
    }

    /// Whether it is pinned.
    #[must_use]
    pub const fn is_pinned(&self) -> bool {
        self.before.is_some()
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // The kernel gave these cores before; refused, the thread only stays where it is.
            let _ = sched_setaffinity(None, before);
        }
    }
}

/// The cores that this process may run on.
#[must_use]
pub fn cores() -> Vec<usize> {
    let allowed = sched_getaffinity(None).unwrap_or_default();
    (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_gets_its_cores_back() {
        let before = cores();
        let pinned = Pinned::to(before.last().copied());
        assert!(pinned.is_pinned());
        assert_eq!(cores(), before[before.len() - 1..]);
        drop(pinned);
        assert_eq!(cores(), before);
        assert!(!Pinned::to(None).is_pinned());
    }
}
