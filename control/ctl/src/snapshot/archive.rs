//! The archive: a tar file, compressed with Zstandard, that holds exactly what its manifest names.
//!
//! Holds: nothing is unpacked before the manifest's signature is checked; every entry is an ordinary
//! file with the name and size that the manifest says comes next, and nothing follows the last; so
//! neither links, names that lead elsewhere nor sizes that do not end are met. Zstandard's window is
//! bounded. Leaves to others: where the bytes go.

use std::{
    fs::File,
    io::{self, BufReader, Read, Write},
    path::{Path, PathBuf},
};

use ledger::NoteVerifier;
use tar::{EntryType, Header};
use zstd::stream::read::Decoder;

use super::{
    SnapshotError,
    manifest::{MANIFEST_BYTES_MAX, Manifest, ManifestFile, NOTE_BYTES_MAX},
};

/// The first entry: the manifest's text.
pub(super) const MANIFEST: &str = "manifest";
/// The second: the signed note over it.
pub(super) const NOTE: &str = "manifest.note";
/// Zstandard's window at most: 128 MiB, its own default.
const WINDOW_LOG_MAX: u32 = 27;
const BLOCK: usize = 512;
/// Zeros after the last entry at most: tools pad to ten or twenty KiB.
const TRAILER_BYTES_MAX: u64 = 1 << 20;

/// Writes one ordinary file: header, bytes, zeros up to a block.
pub(super) fn append(
    out: &mut impl Write,
    name: &str,
    bytes: u64,
    mtime: u64,
    content: &mut impl Read,
) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_path(name)?;
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_mtime(mtime);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    out.write_all(header.as_bytes())?;
    if io::copy(&mut content.take(bytes), out)? != bytes {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the file became shorter while it was read",
        ));
    }
    let over = usize::try_from(bytes % 512).expect("less than a block");
    if over > 0 {
        out.write_all(&[0; BLOCK][over..])?;
    }
    Ok(())
}

/// Ends the archive.
pub(super) fn end(out: &mut impl Write) -> io::Result<()> {
    out.write_all(&[0; 2 * BLOCK])
}

/// An archive whose signature holds.
pub(super) struct Opened {
    pub(super) manifest: Manifest,
    pub(super) key: NoteVerifier,
    path: PathBuf,
    tar: tar::Archive<Decoder<'static, BufReader<File>>>,
}

impl Opened {
    /// Opens the file and checks the note over its manifest, with `trusted` or the key in the note.
    pub(super) fn open(path: &Path, trusted: Option<&NoteVerifier>) -> Result<Self, SnapshotError> {
        let wrong = |what: String| SnapshotError::Archive { path: path.into(), what };
        let file = File::open(path).map_err(SnapshotError::file(path))?;
        let mut decoder = Decoder::new(file).map_err(|error| wrong(error.to_string()))?;
        decoder.window_log_max(WINDOW_LOG_MAX).map_err(|error| wrong(error.to_string()))?;
        let mut tar = tar::Archive::new(decoder);
        let (text, note) = front(&mut tar).map_err(&wrong)?;
        let manifest = Manifest::parse(&text).map_err(|error| wrong(error.to_string()))?;
        let key = manifest
            .check(&note, trusted)
            .map_err(|error| SnapshotError::Signature { path: path.into(), error })?;
        // The entries of one archive come from one iterator, which the front has used up: begin anew.
        drop(tar);
        let file = File::open(path).map_err(SnapshotError::file(path))?;
        let mut decoder = Decoder::new(file).map_err(|error| wrong(error.to_string()))?;
        decoder.window_log_max(WINDOW_LOG_MAX).map_err(|error| wrong(error.to_string()))?;
        Ok(Self { manifest, key, path: path.into(), tar: tar::Archive::new(decoder) })
    }

    /// Gives each file's bytes to what `open` makes for it, checks its hash, and hands it to `close`.
    pub(super) fn unpack<W: Write>(
        self,
        mut open: impl FnMut(&ManifestFile) -> Result<W, SnapshotError>,
        mut close: impl FnMut(&ManifestFile, W) -> Result<(), SnapshotError>,
    ) -> Result<(Manifest, NoteVerifier), SnapshotError> {
        let Self { manifest, key, path, mut tar } = self;
        let wrong = |what: String| SnapshotError::Archive { path: path.clone(), what };
        let mut entries = tar.entries().map_err(|error| wrong(error.to_string()))?.raw(true);
        let front = [(MANIFEST, manifest.text().len() as u64), (NOTE, NOTE_BYTES_MAX)];
        for (name, most) in front {
            let mut entry = next(&mut entries, name, None, most).map_err(&wrong)?;
            io::copy(&mut entry, &mut io::sink()).map_err(|error| wrong(error.to_string()))?;
        }
        for file in &manifest.files {
            let mut entry = next(&mut entries, &file.name, Some(file.bytes), file.bytes).map_err(&wrong)?;
            let mut out = open(file)?;
            let mut hasher = blake3::Hasher::new();
            copy(&mut entry, &mut out, &mut hasher).map_err(|error| match error {
                Copying::Read(error) => wrong(format!("{}: {error}", file.name)),
                Copying::Write(error) => SnapshotError::File { path: PathBuf::from(&file.name), error },
            })?;
            if hasher.finalize() != blake3::Hash::from_bytes(file.digest) {
                return Err(wrong(format!("{} is not what was signed", file.name)));
            }
            close(file, out)?;
        }
        if let Some(more) = entries.next() {
            let what =
                more.map_or_else(|error| error.to_string(), |_| "there is more than was signed".into());
            return Err(wrong(what));
        }
        only_zeros(tar.into_inner()).map_err(wrong)?;
        Ok((manifest, key))
    }
}

/// The manifest's text and note.
fn front<R: Read>(tar: &mut tar::Archive<R>) -> Result<(String, String), String> {
    let mut entries = tar.entries().map_err(|error| error.to_string())?.raw(true);
    let mut text = |name, most| {
        let entry = next(&mut entries, name, None, most)?;
        let mut text = String::new();
        entry.take(most).read_to_string(&mut text).map_err(|error| format!("{name}: {error}"))?;
        Ok::<_, String>(text)
    };
    Ok((text(MANIFEST, MANIFEST_BYTES_MAX)?, text(NOTE, NOTE_BYTES_MAX)?))
}

/// The next entry, which is an ordinary file of this name and size.
fn next<'a, R: Read + 'a>(
    entries: &mut tar::Entries<'a, R>,
    name: &str,
    bytes: Option<u64>,
    most: u64,
) -> Result<tar::Entry<'a, R>, String> {
    let entry =
        entries.next().ok_or_else(|| format!("{name} is missing"))?.map_err(|error| error.to_string())?;
    let found = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    if found != name {
        return Err(format!("{found:?} stands where {name} belongs"));
    }
    if entry.header().entry_type() != EntryType::Regular {
        return Err(format!("{name} is no ordinary file"));
    }
    let size = entry.size();
    if size > most || bytes.is_some_and(|bytes| bytes != size) {
        return Err(format!("{name} has {size} bytes, which are not those that it should have"));
    }
    Ok(entry)
}

enum Copying {
    Read(io::Error),
    Write(io::Error),
}

fn copy(from: &mut impl Read, to: &mut impl Write, hasher: &mut blake3::Hasher) -> Result<(), Copying> {
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => buffer.get(..read).expect("a read is no longer than its buffer"),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Copying::Read(error)),
        };
        hasher.update(read);
        to.write_all(read).map_err(Copying::Write)?;
    }
}

/// What follows the last entry is padding, and ends.
fn only_zeros(mut rest: impl Read) -> Result<(), String> {
    let mut buffer = [0; 4_096];
    let mut seen = 0;
    loop {
        let read = rest.read(&mut buffer).map_err(|error| error.to_string())?;
        if read == 0 {
            return Ok(());
        }
        seen += read as u64;
        if seen > TRAILER_BYTES_MAX || buffer.iter().take(read).any(|byte| *byte != 0) {
            return Err("something follows its end".into());
        }
    }
}
