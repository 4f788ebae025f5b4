//! How much memory this process may lock, which bounds rings and registered buffers.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::{DiskError, Operation};

/// The limit on locked memory (`RLIMIT_MEMLOCK`), in bytes; `None` is unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memlock {
    /// The soft limit before.
    pub soft_before_bytes: Option<u64>,
    /// The soft limit now.
    pub soft_bytes: Option<u64>,
    /// The hard limit, which only a privileged process can raise.
    pub hard_bytes: Option<u64>,
}

/// Raises the soft limit on locked memory to the hard limit and tells both.
///
/// Needs no privilege. Changes the whole process: call it once, at start.
///
/// # Errors
/// If the kernel refuses, which it does only under a security module.
pub fn raise_memlock() -> Result<Memlock, DiskError> {
    let before = getrlimit(Resource::Memlock);
    let memlock =
        Memlock { soft_before_bytes: before.current, soft_bytes: before.maximum, hard_bytes: before.maximum };
    if before.current != before.maximum {
        let raised = Rlimit { current: before.maximum, maximum: before.maximum };
        setrlimit(Resource::Memlock, raised)
            .map_err(|errno| DiskError::Kernel { operation: Operation::Limit, errno })?;
    }
    Ok(memlock)
}

/// The soft limit now, for error messages.
pub(crate) fn soft_limit_bytes() -> Option<u64> {
    getrlimit(Resource::Memlock).current
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let first = raise_memlock().expect("raising to the hard limit needs no privilege");
        assert_eq!(first.soft_bytes, first.hard_bytes);
        let again = raise_memlock().expect("nothing is left to raise");
        assert_eq!(again.soft_before_bytes, first.hard_bytes);
        assert_eq!(soft_limit_bytes(), first.hard_bytes);
    }
}
