//! An archive: a directory that holds the sealed segments of one incarnation of a ledger, from the
//! first on, each compressed in a file of its own, and an index over them that the log's key has signed.
//!
//! Holds: a file that the index names is never written again; the index is replaced in one step, after
//! the file that it names is durable. The layout is in `docs/format-archive.md`. Leaves to others:
//! which segments are sealed (`ship`), when one may go (`release`).

mod check;
mod directory;
mod error;
mod facts;
mod source;
mod write;

pub use check::ArchiveReport;
pub(crate) use check::{chain_input, check, check_file};
pub(crate) use directory::{Archive, Writer, file_name, fingerprint};
pub use error::ArchiveError;
pub(crate) use facts::SegmentFacts;
pub(crate) use source::ArchivedSegments;
pub(crate) use write::{Digest, compress, digest_of};
