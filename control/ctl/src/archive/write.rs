//! Compressing a segment into its file, and the digests on the way.

use std::{
    fs::OpenOptions,
    io::{BufReader, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use disk::{Operation, directory};

use super::ArchiveError;

/// The level of zstd: its default, and quicker than most disks.
const LEVEL: i32 = 3;
/// Bytes read at once where a whole file is read.
const PIECE_BYTES: usize = 1 << 20;

/// How many bytes, and their BLAKE3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digest {
    pub(crate) bytes: u64,
    pub(crate) blake3: [u8; 32],
}

/// Passes bytes on and digests them.
struct Digesting<W> {
    inner: W,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl<W> Digesting<W> {
    fn new(inner: W) -> Self {
        Self { inner, hasher: blake3::Hasher::new(), bytes: 0 }
    }

    fn digest(&self) -> Digest {
        Digest { bytes: self.bytes, blake3: *self.hasher.finalize().as_bytes() }
    }
}

impl<W: Write> Write for Digesting<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

/// Writes what `feed` gives, compressed, into a new file at `path` (0600) and flushes it. Gives the
/// digests of what was fed and of the file.
///
/// # Errors
/// What `feed` says, or what the kernel refuses.
pub(crate) fn compress(
    path: &Path,
    feed: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<(), ArchiveError>) -> Result<(), ArchiveError>,
) -> Result<(Digest, Digest), ArchiveError> {
    let refused = |operation| move |error: std::io::Error| ArchiveError::of_io(operation, path, &error);
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    let file = Digesting::new(file.map_err(refused(Operation::Open))?);
    let encoder = zstd::Encoder::new(file, LEVEL).map_err(refused(Operation::Write))?;
    let mut raw = Digesting::new(encoder);
    feed(&mut |bytes| raw.write_all(bytes).map_err(refused(Operation::Write)))?;
    let fed = raw.digest();
    let file = raw.inner.finish().map_err(refused(Operation::Write))?;
    file.inner.sync_all().map_err(refused(Operation::Flush))?;
    Ok((fed, file.digest()))
}

/// The digest of a whole file.
///
/// # Errors
/// What the kernel refuses.
pub(crate) fn digest_of(path: &Path) -> Result<Digest, ArchiveError> {
    let refused = |operation| move |error: std::io::Error| ArchiveError::of_io(operation, path, &error);
    let mut file = BufReader::with_capacity(PIECE_BYTES, directory::open_file(path)?);
    let mut digesting = Digesting::new(std::io::sink());
    std::io::copy(&mut file.by_ref(), &mut digesting).map_err(refused(Operation::Read))?;
    Ok(digesting.digest())
}
