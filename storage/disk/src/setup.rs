//! Sets a ring up with the best flags that this kernel has.
//!
//! All flags are tried at once; while the kernel says `EINVAL`, the newest is dropped and the drop
//! told. What no flag can be dropped for is an error with its cause named.

use std::io;

use io_uring::IoUring;
use rustix::io::Errno;

use crate::error::{DiskError, Operation, errno_of};
use crate::memlock;

/// What a caller asks of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingOptions {
    /// Operations in flight at once, the doorbell's included; 2 to 4096.
    pub depth: u16,
    /// Keep a table of the attached files in the kernel, which saves a reference count for each
    /// operation and keeps locks alive until the last one has ended.
    pub register_files: bool,
}

impl Default for RingOptions {
    fn default() -> Self {
        Self { depth: 32, register_files: true }
    }
}

/// A flag of `io_uring_setup(2)`, oldest first; the release that brought it is in brackets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SetupFlag {
    /// Take a smaller ring rather than fail (5.6).
    Clamp,
    /// Go on submitting after an operation that is refused at once (5.18).
    SubmitAll,
    /// Run completions when this thread enters the kernel, not by interrupting it (5.19).
    CoopTaskrun,
    /// Tell in shared memory that completions wait to be run (5.19).
    TaskrunFlag,
    /// Only one thread submits (6.0).
    SingleIssuer,
    /// Run completions only when this thread waits for them (6.1).
    DeferTaskrun,
    /// Leave out the submission ring's indirection (6.6).
    NoSqarray,
}

impl SetupFlag {
    /// Every flag, oldest first. `DeferTaskrun` needs `SingleIssuer`, and `TaskrunFlag` needs
    /// `CoopTaskrun`: dropping from the end keeps what is left consistent.
    pub const ALL: [SetupFlag; 7] = [
        SetupFlag::Clamp,
        SetupFlag::SubmitAll,
        SetupFlag::CoopTaskrun,
        SetupFlag::TaskrunFlag,
        SetupFlag::SingleIssuer,
        SetupFlag::DeferTaskrun,
        SetupFlag::NoSqarray,
    ];

    fn add(self, builder: &mut io_uring::Builder) {
        match self {
            SetupFlag::Clamp => builder.setup_clamp(),
            SetupFlag::SubmitAll => builder.setup_submit_all(),
            SetupFlag::CoopTaskrun => builder.setup_coop_taskrun(),
            SetupFlag::TaskrunFlag => builder.setup_taskrun_flag(),
            SetupFlag::SingleIssuer => builder.setup_single_issuer(),
            SetupFlag::DeferTaskrun => builder.setup_defer_taskrun(),
            SetupFlag::NoSqarray => builder.setup_no_sqarray(),
        };
    }
}

/// What a ring was set up with, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingReport {
    /// The flags in force, oldest first.
    pub flags: Vec<SetupFlag>,
    /// The flags that this kernel refused, newest first.
    pub dropped: Vec<SetupFlag>,
    /// Operations in flight at once.
    pub depth: u16,
    /// Entries of the submission queue.
    pub submission_entries: u32,
    /// Entries of the completion queue, never fewer than the depth.
    pub completion_entries: u32,
    /// Whether the kernel keeps the table of files.
    pub files_registered: bool,
}

/// Sets a ring up.
pub(crate) fn set_up(options: &RingOptions) -> Result<(IoUring, RingReport), DiskError> {
    assert!((2..=4096).contains(&options.depth), "a ring holds a write and the doorbell at least");
    let mut flags = SetupFlag::ALL.to_vec();
    let mut dropped = Vec::new();
    loop {
        let mut builder = IoUring::builder();
        flags.iter().for_each(|flag| flag.add(&mut builder));
        match builder.build(u32::from(options.depth)) {
            Ok(ring) => {
                let report = checked(&ring, flags, dropped, options)?;
                return Ok((ring, report));
            }
            Err(error) if errno_of(&error) == Errno::INVAL && !flags.is_empty() => {
                dropped.extend(flags.pop());
            }
            Err(error) => return Err(refusal(&error)),
        }
    }
}

/// Refuses a ring that lacks what the rest of the crate relies on.
fn checked(
    ring: &IoUring,
    flags: Vec<SetupFlag>,
    dropped: Vec<SetupFlag>,
    options: &RingOptions,
) -> Result<RingReport, DiskError> {
    let params = ring.params();
    if !params.is_feature_nodrop() {
        return Err(DiskError::KernelTooOld { missing: "completions that are never dropped (Linux 5.5)" });
    }
    if !params.is_feature_ext_arg() {
        return Err(DiskError::KernelTooOld { missing: "a wait with a timeout (Linux 5.11)" });
    }
    if params.sq_entries() < u32::from(options.depth) || params.cq_entries() < u32::from(options.depth) {
        return Err(DiskError::KernelTooOld { missing: "a ring of the depth asked for" });
    }
    Ok(RingReport {
        flags,
        dropped,
        depth: options.depth,
        submission_entries: params.sq_entries(),
        completion_entries: params.cq_entries(),
        files_registered: false,
    })
}

/// Why there is no ring.
fn refusal(error: &io::Error) -> DiskError {
    match errno_of(error) {
        Errno::NOSYS => DiskError::KernelTooOld { missing: "io_uring (Linux 5.1)" },
        Errno::NOMEM => DiskError::UringMemory { soft_bytes: memlock::soft_limit_bytes() },
        errno @ (Errno::PERM | Errno::ACCESS) => match disabled_level() {
            Some(level) if level > 0 => DiskError::UringDisabled { level },
            Some(_) | None => DiskError::UringDenied { errno },
        },
        errno => DiskError::Kernel { operation: Operation::Setup, errno },
    }
}

/// The sysctl that switches `io_uring` off (Linux 6.6), where it can be read.
fn disabled_level() -> Option<u32> {
    std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_names_its_cause() {
        let denied = DiskError::UringDenied { errno: Errno::PERM };
        let level = disabled_level().filter(|level| *level > 0);
        let cases = [
            (Errno::PERM, level.map_or(denied, |level| DiskError::UringDisabled { level })),
            (Errno::NOSYS, DiskError::KernelTooOld { missing: "io_uring (Linux 5.1)" }),
            (Errno::NOMEM, DiskError::UringMemory { soft_bytes: memlock::soft_limit_bytes() }),
            (Errno::MFILE, DiskError::Kernel { operation: Operation::Setup, errno: Errno::MFILE }),
        ];
        for (errno, expected) in cases {
            assert_eq!(refusal(&io::Error::from_raw_os_error(errno.raw_os_error())), expected);
        }
    }
}
