//! The end of the process: one exit code for each cause that has no answer inside it.

use std::fmt;

/// Why the process must end. The codes are documented in `docs/errors.md` and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FatalReason {
    /// A thread of the data plane met a defect.
    Bug,
    /// It was stopped while a failed write had poisoned the ledger.
    Poisoned,
}

impl FatalReason {
    /// The exit code of the process.
    #[must_use]
    pub const fn code(self) -> i32 {
        match self {
            Self::Bug => 70,
            Self::Poisoned => 74,
        }
    }
}

impl fmt::Display for FatalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bug => "a defect on a data-plane thread",
            Self::Poisoned => "stopped while poisoned by a failed write",
        })
    }
}

/// Ends the process at once with the reason's exit code.
#[expect(clippy::exit, reason = "the one place where the data plane ends the process")]
pub fn fatal(reason: FatalReason, detail: &str) -> ! {
    tracing::error!(code = reason.code(), "fatal: {reason}: {detail}");
    std::process::exit(reason.code())
}

/// Runs the body of a data-plane thread; a panic in it ends the process, because its state can no
/// longer be trusted.
pub fn guard<T>(thread: &str, body: impl FnOnce() -> T) -> T {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)) {
        Ok(value) => value,
        Err(_) => fatal(FatalReason::Bug, thread),
    }
}
