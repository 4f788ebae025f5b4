//! The exit codes of both tools, as `docs/errors.md` lists them.

/// Clean, done, or ready.
pub(crate) const OK: u8 = 0;
/// What was checked does not hold: damage, a contradiction, a receipt that proves nothing; of
/// `ronctl`: the node refused.
pub(crate) const FOUND: u8 = 1;
/// The command line is wrong.
pub(crate) const USAGE: u8 = 2;
/// A role of the node is not ready.
pub(crate) const NOT_READY: u8 = 3;
/// Nobody answers at the socket.
pub(crate) const NOBODY: u8 = 4;
/// The file is not a proof document or no whole snapshot, the directory no archive.
pub(crate) const FORMAT: u8 = 65;
/// There is nothing to read: no ledger, no file.
pub(crate) const NOTHING: u8 = 66;
/// Something is there already under the name, and nothing is written over.
pub(crate) const EXISTS: u8 = 73;
/// Somebody else is at it.
pub(crate) const LOCKED: u8 = 75;
/// The node's answer is not of this version.
pub(crate) const ANSWER: u8 = 76;
/// The kernel does not let this user in.
pub(crate) const PERMISSION: u8 = 77;
/// The superblock is foreign, of another format, or damaged.
pub(crate) const SUPERBLOCK: u8 = 80;
/// There are segments and no superblock.
pub(crate) const SUPERBLOCK_MISSING: u8 = 81;
/// A frame of a format that this build does not read.
pub(crate) const FRAME_FORMAT: u8 = 84;
/// The device does not give up the bytes of the journal.
pub(crate) const DEVICE: u8 = 93;
/// Any other refusal of the kernel, and a journal that changed under its reader.
pub(crate) const UNREADABLE: u8 = 91;
/// No space is left.
pub(crate) const NO_SPACE: u8 = 87;
/// The file system is read-only.
pub(crate) const READ_ONLY: u8 = 88;
/// The log's key is not there, or not the one that signs this ledger's roots.
pub(crate) const KEYS: u8 = 94;
/// The archive is another's, or does not reach; segments are missing that only an archive has.
pub(crate) const ARCHIVE: u8 = 99;
