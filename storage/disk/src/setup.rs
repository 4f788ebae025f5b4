//! Sets a ring up with the best flags that this kernel has.
//!
//! All flags are tried at once; while the kernel says `EINVAL`, the newest is dropped and the drop
//! told. What no flag can be dropped for is an error with its cause named.

use io_uring::IoUring;
use rustix::io::Errno;

use crate::commit::CommitMethod;
use crate::error::{DiskError, errno_of};
use crate::refusal::Facts;

/// What a caller asks of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingOptions {
    /// Operations in flight at once, the doorbell's included; 2 to 4096.
    pub depth: u16,
    /// Keep a table of the attached files in the kernel, which saves a reference count for each
    /// operation and keeps locks alive until the last one has ended.
    pub register_files: bool,
    /// How a write is made durable.
    pub commit: CommitMethod,
}

impl RingOptions {
    /// Entries that the operations need at once.
    fn entries(&self) -> u32 {
        match self.commit {
            CommitMethod::Dsync | CommitMethod::Fdatasync => u32::from(self.depth),
            CommitMethod::FdatasyncLinked => 2 * u32::from(self.depth),
        }
    }
}

impl Default for RingOptions {
    fn default() -> Self {
        Self { depth: 32, register_files: true, commit: CommitMethod::default() }
    }
}

/// What became of registering buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BuffersReport {
    /// Nobody asked, or there is no ring.
    #[default]
    None,
    /// The kernel has pinned the front of each.
    Registered {
        /// How many.
        buffers: usize,
        /// Bytes of each.
        bytes_each: usize,
    },
    /// The kernel refuses, for want of locked memory mostly; nothing is lost but a little time.
    Refused(Errno),
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
        match builder.build(options.entries()) {
            Ok(ring) => {
                let report = checked(&ring, flags, dropped, options)?;
                return Ok((ring, report));
            }
            Err(error) if errno_of(&error) == Errno::INVAL && !flags.is_empty() => {
                dropped.extend(flags.pop());
            }
            Err(error) => return Err(Facts::of_this_thread().cause(errno_of(&error))),
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
    if params.sq_entries() < options.entries() || params.cq_entries() < options.entries() {
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
