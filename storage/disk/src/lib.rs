//! The one place that touches the kernel for storage, and the only crate with `unsafe` code.
//!
//! It knows bytes, files and completions; what the bytes mean is the journal's business.
//!
//! - [`AlignedBuf`], [`BufferPool`]: memory that `O_DIRECT` accepts, made at start.
//! - [`DirectFile`]: a file that is read and written past the page cache.
//! - [`PlainFile`], [`directory`]: derived data, checkpoints, keys.
//! - [`Ring`]: one `io_uring` for one thread. [`Pwrite`]: the same surface on `pwritev2`.
//!   [`Backend`] picks between them and says why.
//! - [`CommitMethod`]: how a write is made durable; which, no caller needs to know.
//! - [`Doorbell`]: wakes the thread that waits on a backend.
//! - [`adopt`]: gives a socket to a library that takes raw descriptors only.
//! - [`RamDisk`]: a file system in memory that ends with its process.
//! - [`DirectoryLock`]: one writer for each data directory.
//!
//! **Invariant:** a buffer moves into a backend with its operation and comes back with the
//! completion; nobody can touch it in between. **Invariant:** a backend that is dropped first waits
//! for what is in flight. **Invariant:** no operation allocates after start.
//!
//! It does not retry, does not log and does not decide: a failed or short write is a value.

mod adopt;
mod backend;
mod buffer;
mod commit;
mod completion;
mod direct;
pub mod directory;
mod doorbell;
mod error;
mod files;
mod flight;
mod huge;
mod lock;
mod memlock;
mod plain;
mod pool;
mod pwrite;
mod ram;
mod refusal;
mod ring;
mod setup;

pub use adopt::adopt;
pub use backend::{Backend, BackendKind, BackendReport, Io};
pub use buffer::{ALIGNMENT_BYTES, AlignedBuf};
pub use commit::CommitMethod;
pub use completion::{Completion, Token};
pub use direct::{Access, Direct, DirectFile};
pub use doorbell::Doorbell;
pub use error::{DiskError, Operation};
pub use files::{FILES_MAX, FileId};
pub use huge::advise_huge_pages;
pub use lock::DirectoryLock;
pub use memlock::{Memlock, raise_memlock};
pub use plain::PlainFile;
pub use pool::BufferPool;
pub use pwrite::Pwrite;
pub use ram::RamDisk;
pub use ring::Ring;
pub use rustix::io::Errno;
pub use setup::{BuffersReport, RingOptions, RingReport, SetupFlag};
