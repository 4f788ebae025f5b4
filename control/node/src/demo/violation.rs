//! `Violation`: a promise that the node did not keep, and what stopped the demo otherwise.

use std::{fmt, path::PathBuf};

use client::ClientError;

/// A promise that was broken: of what, what was expected, what was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{of}: expected {expected}, found {found}")]
pub(crate) struct Violation {
    of: String,
    expected: String,
    found: String,
}

impl Violation {
    pub(crate) fn new(of: impl fmt::Display, expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self { of: of.to_string(), expected: expected.to_string(), found: found.to_string() }
    }
}

/// A violation unless both are the same.
pub(crate) fn same<T: PartialEq + fmt::Debug>(
    of: impl fmt::Display,
    expected: &T,
    found: &T,
) -> Result<(), Violation> {
    if expected == found {
        return Ok(());
    }
    Err(Violation::new(of, format_args!("{expected:?}"), format_args!("{found:?}")))
}

/// Why the demo did not come to a good end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// The node broke a promise.
    #[error("violation: {0}")]
    Violation(#[from] Violation),
    /// A connection broke although nobody had killed the node.
    #[error("the node is gone although nobody killed it: {0}")]
    Client(#[from] ClientError),
    /// The node did not start, or ended by itself.
    #[error("the node ended by itself ({status}); its last words: {words}")]
    Ended { status: std::process::ExitStatus, words: String },
    /// The node does not come up.
    #[error("the node is not ready within {seconds} s; its log is {}", log.display())]
    NotReady { seconds: u64, log: PathBuf },
    /// A file or a process.
    #[error("{what}: {error}")]
    Io { what: String, error: std::io::Error },
    /// No producer of usage.
    #[error("the producer of usage does not start: {0}")]
    Producer(String),
    /// SIGINT or SIGTERM.
    #[error("stopped before its end; the node is gone")]
    Interrupted,
    /// Any other, where the directory was to be kept.
    #[error("{error}; the node's directory is {directory}")]
    Kept { directory: String, error: Box<Self> },
}

impl DemoError {
    pub(crate) fn io(what: impl fmt::Display) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.to_string();
        move |error| Self::Io { what, error }
    }

    /// 1 for a violation; a node that did not start passes on its own code.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Violation(_) => 1,
            Self::Client(_) | Self::NotReady { .. } | Self::Producer(_) => 70,
            Self::Ended { status, .. } => {
                status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(70)
            }
            Self::Io { .. } => 91,
            Self::Interrupted => 130,
            Self::Kept { error, .. } => error.exit_code(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_promise_is_told_and_is_no_success() {
        let violation = same("the balance of a", &1, &2).unwrap_err();
        let error = DemoError::from(violation);
        assert_eq!(error.to_string(), "violation: the balance of a: expected 1, found 2");
        assert_eq!(error.exit_code(), 1);
        assert_eq!(same("the balance of a", &1, &1), Ok(()));
    }
}
