//! `snapshot create`: the archive of a ledger, beside a running node or of a stopped one.
//!
//! Holds: no lock is taken and nothing in the data directory is written; what says how far the journal
//! came is read first, the journal after it; only frames that something vouches for, or that were
//! flushed here, are taken; the file bears its name only when it is whole and durable.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use disk::directory;
use journal::{
    FrameHash, FrameNumber, IMAGE_BYTES, IMAGE_FILE_BYTES, ImageCopy, Input, Position, READ_BYTES,
    ReadFailure, RecoveryError, SegmentFile, SegmentNumber, SegmentSource, Slot, Tail, recover,
    recovery_buffer_bytes,
};
use ledger::{NoteSigner, NoteVerifier};
use model::{Seq, Timestamp};
use rustix::fs::{FlockOperation, RenameFlags};
use serde::Serialize;

use super::{
    SnapshotError,
    archive::{self, MANIFEST, NOTE},
    manifest::{Manifest, ManifestFile},
    pace::Pace,
};
use crate::verify::{VerifyError, files::Files, holder_of, segments::Segments};

/// Zstandard's level: zeros vanish at any, and a higher one costs processor time beside a node.
const LEVEL: i32 = 3;
/// Compressed bytes between two flushes of the file that is written: more would reach the disk in one
/// rush, in the way of commits.
const FLUSH_EVERY: u64 = 8 << 20;
/// How often a journal that moves while it is read is read again.
const TRIES: usize = 3;

/// What a snapshot is made with.
#[derive(Clone, Debug)]
pub struct CreateParams {
    /// The node's data directory, or the directory that holds `superblock`.
    pub data_dir: PathBuf,
    /// Where `checkpoint.key` and `log.vkey` are; `None`: `keys` in or beside the data directory.
    pub keys: Option<PathBuf>,
    /// The file to be made.
    pub out: PathBuf,
    /// How fast the journal may be read.
    pub mib_per_s: Option<u32>,
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Created {
    /// The file.
    pub file: String,
    /// Its bytes.
    pub bytes: u64,
    /// Bytes of the files in it.
    pub unpacked: u64,
    /// The ledger.
    pub ledger: String,
    /// Which life of it.
    pub incarnation: u32,
    /// The last frame in it.
    pub frame: u64,
    /// The last entry in it.
    pub entries: u64,
    /// The root of the tree over them.
    pub root: String,
    /// Ledger time of the last frame.
    pub at: String,
    /// Who signed it.
    pub signed_by: String,
}

impl Created {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "{}: {} entries through frame {} ({}), incarnation {}\n  root       {}\n  size       {} bytes, {} unpacked\n  signed by  {}\n",
            self.file,
            self.entries,
            self.frame,
            self.at,
            self.incarnation,
            self.root,
            self.bytes,
            self.unpacked,
            self.signed_by,
        )
    }
}

/// Makes a snapshot.
///
/// # Errors
/// `SnapshotError`; there is then no file under the name.
pub fn create(params: &CreateParams) -> Result<Created, SnapshotError> {
    // A node beside it comes first. A kernel that refuses costs nothing but that.
    let _ = rustix::process::nice(10);
    if params.out.exists() {
        return Err(SnapshotError::Exists { path: params.out.clone() });
    }
    let files = Files::read(&params.data_dir)?;
    let signer = signer(params, &files.root)?;
    let mut pace = Pace::begin(params.mib_per_s);
    let mark = boundary(&files, &mut pace)?;
    let draft = Draft::open(&params.out)?;
    let written = draft.write(&files, &mark, &signer, &mut pace)?;
    let bytes = draft.publish(&params.out)?;
    Ok(Created {
        file: params.out.display().to_string(),
        bytes,
        unpacked: written.files.iter().map(|file| file.bytes).sum(),
        ledger: hex::encode(written.ledger.0),
        incarnation: written.incarnation.0,
        frame: written.frame.0,
        entries: written.through.0,
        root: hex::encode(written.root),
        at: written.at.rfc3339(),
        signed_by: signer.verifier().to_string(),
    })
}

/// The log's key under the name that the log has now.
fn signer(params: &CreateParams, root: &Path) -> Result<NoteSigner, SnapshotError> {
    let beside = || root.parent().unwrap_or(Path::new(".")).join("keys");
    let keys = params.keys.clone().unwrap_or_else(beside);
    let read = |name: &str| {
        let path = keys.join(name);
        let wrong = |what: String| SnapshotError::Keys { path: path.clone(), what };
        let bytes = directory::read_file(&path, 4_096).map_err(|error| match error.errno() {
            Some(disk::Errno::ACCESS | disk::Errno::PERM) => SnapshotError::Disk(error),
            _ => wrong(error.to_string()),
        })?;
        let text = String::from_utf8(bytes).map_err(|_| wrong("it is no text".into()))?;
        Ok::<_, SnapshotError>((path, text.trim_ascii_end().to_owned()))
    };
    let (path, vkey) = read("log.vkey")?;
    let log = NoteVerifier::parse(&vkey)
        .map_err(|error| SnapshotError::Keys { path: path.clone(), what: error.to_string() })?;
    let (key_path, digits) = read("checkpoint.key")?;
    let mut seed = [0; 32];
    hex::decode_to_slice(&digits, &mut seed)
        .map_err(|_| SnapshotError::Keys { path: key_path, what: "a key is 64 hex digits".into() })?;
    let signer = NoteSigner::new(log.name(), &seed).expect("the name was parsed");
    if signer.verifier() == log {
        return Ok(signer);
    }
    Err(SnapshotError::Keys { path, what: "it is not that of checkpoint.key beside it".into() })
}

/// A frame up to which everything is durable.
#[derive(Clone, Copy, Debug)]
struct Mark {
    frame: FrameNumber,
    hash: FrameHash,
    next: Position,
    through: Seq,
    root: [u8; 32],
    at: Timestamp,
}

/// Reads the journal from its first frame to the last that is known to be durable.
fn boundary(files: &Files, pace: &mut Pace) -> Result<Mark, SnapshotError> {
    let lock = files.root.join(journal::LOCK_FILE);
    let segments = files.root.join(journal::SEGMENT_DIR);
    for left in (0..TRIES).rev() {
        let held = holder_of(&lock).is_some();
        let mut source = Paced { segments: Segments::open(&segments)?, pace };
        if source.segments().first().is_some_and(|first| first.segment.0 > 0) {
            return Err(SnapshotError::Incomplete { path: segments });
        }
        let slot = files.slot.as_ref();
        let known = slot.map_or(FrameNumber::ZERO, |slot| slot.frame);
        let mut trail = Trail { known, marks: Vec::new() };
        let input = Input {
            geometry: files.superblock.geometry,
            ledger: files.superblock.ledger,
            incarnation: files.superblock.incarnation,
            epoch: files.superblock.epoch,
            key: &files.key,
            slot,
            checkpoint: None,
            checkpoint_frame_max: FrameNumber::ZERO,
        };
        let mut buffer = vec![0; recovery_buffer_bytes(files.superblock.geometry)];
        let recovered = recover(&input, &mut source, &mut buffer, |frame| {
            trail.take(frame);
            Ok::<(), std::convert::Infallible>(())
        });
        let recovered = match recovered {
            Ok(recovered) => recovered,
            Err(RecoveryError::Replay { error, .. }) => match error {},
            Err(error) => return Err(refused(&error, source.segments.refused.take())),
        };
        if let Tail::Rot(rot) = recovered.tail {
            // Beside a running node a frame may have been on its way when it was read.
            if left > 0 && held {
                continue;
            }
            return Err(SnapshotError::Damaged { at: rot.at.to_string() });
        }
        if !held && holder_of(&lock).is_none() {
            // Nobody writes: what can be read is durable once it is flushed, and all of it is taken.
            for file in source.segments().to_vec() {
                source.segments.datasync(file.segment)?;
            }
            trail.known = recovered.last.frame;
        }
        let mark = trail.newest().ok_or_else(|| SnapshotError::Content {
            path: files.root.clone(),
            what: "the ledger has no entry yet".into(),
        })?;
        return Ok(mark);
    }
    unreachable!("the last try returns")
}

fn refused(
    error: &RecoveryError<std::convert::Infallible>,
    refused: Option<disk::DiskError>,
) -> SnapshotError {
    match (error, refused) {
        (_, Some(refused)) => VerifyError::from(refused).into(),
        (RecoveryError::Format { position, format }, None) => {
            VerifyError::Format { position: position.to_string(), format: *format }.into()
        }
        (other, None) => SnapshotError::Damaged { at: other.to_string() },
    }
}

/// The frames that nobody has vouched for yet, and the newest that somebody has.
struct Trail {
    known: FrameNumber,
    marks: Vec<Mark>,
}

impl Trail {
    fn take(&mut self, frame: &journal::Frame<'_>) {
        let header = &frame.header;
        self.known = self.known.max(header.durable_frame);
        self.marks.push(Mark {
            frame: header.frame,
            hash: frame.hash,
            next: Position { offset: header.position.offset + frame.frame_bytes as u64, ..header.position },
            through: header.last_seq(),
            root: header.root,
            at: header.at,
        });
        // At most as many as were in flight are not vouched for; of the others the newest is kept.
        let vouched = self.marks.iter().take_while(|mark| mark.frame <= self.known).count();
        self.marks.drain(..vouched.saturating_sub(1));
    }

    fn newest(&self) -> Option<Mark> {
        self.marks.iter().rev().find(|mark| mark.frame <= self.known).copied()
    }
}

/// Segments that are read no faster than the pace allows.
struct Paced<'a> {
    segments: Segments,
    pace: &'a mut Pace,
}

impl SegmentSource for Paced<'_> {
    fn segments(&self) -> &[SegmentFile] {
        self.segments.segments()
    }

    fn read(&mut self, segment: SegmentNumber, offset: u64, buffer: &mut [u8]) -> Result<(), ReadFailure> {
        self.pace.take(buffer.len() as u64);
        self.segments.read(segment, offset, buffer)
    }
}

/// The file under the name that it has while it is written, and a second one for what the first is to
/// be followed by: the manifest comes first and is known last.
struct Draft {
    file: File,
    path: PathBuf,
    body: PathBuf,
}

impl Draft {
    fn open(out: &Path) -> Result<Self, SnapshotError> {
        let name = out.file_name().ok_or_else(|| SnapshotError::Usage("--out names no file".into()))?;
        let beside = |ending: &str| {
            let mut hidden = std::ffi::OsString::from(".");
            hidden.push(name);
            hidden.push(ending);
            out.with_file_name(hidden)
        };
        let (path, body) = (beside(".new"), beside(".body.new"));
        let file = private(&path)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(_) => return Err(SnapshotError::Busy { path }),
        }
        // What a kill left of an earlier one.
        file.set_len(0).map_err(SnapshotError::file(&path))?;
        Ok(Self { file, path, body })
    }

    fn write(
        &self,
        files: &Files,
        mark: &Mark,
        signer: &NoteSigner,
        pace: &mut Pace,
    ) -> Result<Manifest, SnapshotError> {
        let taken = engine::wall();
        let mut body = private(&self.body)?;
        body.set_len(0).map_err(SnapshotError::file(&self.body))?;
        let packed = pack(files, mark, taken, pace, &mut body).inspect_err(|_| self.discard())?;
        let manifest = Manifest {
            ledger: files.superblock.ledger,
            hash: files.superblock.hash,
            incarnation: files.superblock.incarnation,
            geometry: files.superblock.geometry,
            frame: mark.frame,
            frame_hash: mark.hash,
            through: mark.through,
            root: mark.root,
            at: mark.at,
            taken,
            files: packed,
        };
        let note = manifest.sign(signer);
        self.assemble(&manifest, &note, body, taken).map_err(SnapshotError::file(&self.path)).inspect_err(
            |_| {
                self.discard();
            },
        )?;
        Ok(manifest)
    }

    fn assemble(&self, manifest: &Manifest, note: &str, mut body: File, taken: Timestamp) -> io::Result<()> {
        let mut front = zstd::stream::write::Encoder::new(&self.file, LEVEL)?;
        for (name, text) in [(MANIFEST, manifest.text().as_str()), (NOTE, note)] {
            archive::append(&mut front, name, text.len() as u64, seconds(taken), &mut text.as_bytes())?;
        }
        front.finish()?;
        body.rewind()?;
        let mut out = Flushed::new(&self.file);
        io::copy(&mut body, &mut out)?;
        self.file.sync_all()
    }

    /// Gives the file its name, if nothing has it by now.
    fn publish(&self, out: &Path) -> Result<u64, SnapshotError> {
        let bytes = self.file.metadata().map_err(SnapshotError::file(&self.path))?.len();
        let here = rustix::fs::CWD;
        let named = rustix::fs::renameat_with(here, &self.path, here, out, RenameFlags::NOREPLACE);
        let named = match named {
            // A file system without the flag: a link never replaces either.
            Err(disk::Errno::INVAL | disk::Errno::NOSYS) => {
                rustix::fs::link(&self.path, out).inspect(|()| drop(std::fs::remove_file(&self.path)))
            }
            other => other,
        };
        if let Err(errno) = named {
            self.discard();
            return Err(match errno {
                disk::Errno::EXIST => SnapshotError::Exists { path: out.into() },
                other => SnapshotError::File { path: out.into(), error: other.into() },
            });
        }
        drop(std::fs::remove_file(&self.body));
        let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty());
        directory::sync_directory(parent.unwrap_or(Path::new(".")))?;
        Ok(bytes)
    }

    /// What cannot be removed is hidden, never read, and written over by the next one of this name.
    fn discard(&self) {
        drop(std::fs::remove_file(&self.path));
        drop(std::fs::remove_file(&self.body));
    }
}

fn private(path: &Path) -> Result<File, SnapshotError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map_err(SnapshotError::file(path))
}

const fn seconds(at: Timestamp) -> u64 {
    at.as_millis() / 1_000
}

/// Writes the files into the archive's second part and says what they are.
fn pack(
    files: &Files,
    mark: &Mark,
    taken: Timestamp,
    pace: &mut Pace,
    body: &mut File,
) -> Result<Vec<ManifestFile>, SnapshotError> {
    let mut packed = Packed { out: encoder(body)?, files: Vec::new(), taken: seconds(taken) };
    let mut image = [0; IMAGE_BYTES];
    files.superblock.encode(&mut image);
    packed.add(journal::SUPERBLOCK_FILE, &both(&image))?;
    slot(files, mark).encode(&files.key, &mut image);
    packed.add(journal::SLOT_FILE, &both(&image))?;
    let usable = files.checkpoints.iter().find(|file| file.whole.is_ok() && file.header.frame <= mark.frame);
    if let Some(checkpoint) = usable {
        let name = format!("{}/{}", journal::CHECKPOINT_DIR, checkpoint.name);
        match directory::read_file(&files.root.join(&name), 64 << 30) {
            Ok(bytes) => packed.add(&name, &bytes)?,
            // A running node has made a newer one: the journal implies what it held.
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    let mut segments = Segments::open(&files.root.join(journal::SEGMENT_DIR))?;
    for file in segments.segments().to_vec() {
        let end = match file.segment.cmp(&mark.next.segment) {
            std::cmp::Ordering::Less => file.bytes,
            std::cmp::Ordering::Equal => mark.next.offset,
            std::cmp::Ordering::Greater => 0,
        };
        if end > 0 {
            let name = format!("{}/{}", journal::SEGMENT_DIR, journal::segment_file_name(file.segment));
            let reader = SegmentReader { segments: &mut segments, segment: file.segment, at: 0, end, pace };
            packed.stream(&name, end, reader)?;
        }
    }
    let mut out = packed.out;
    let written = archive::end(&mut out).and_then(|()| out.finish()?.into_inner().map_err(io::Error::from));
    written.map_err(SnapshotError::file(Path::new("the archive")))?;
    Ok(packed.files)
}

/// The slot of a ledger that ends at the mark.
fn slot(files: &Files, mark: &Mark) -> Slot {
    let sequence = files.slot.map_or(0, |slot| slot.sequence) + 1;
    Slot {
        ledger: files.superblock.ledger,
        incarnation: files.superblock.incarnation,
        epoch: files.superblock.epoch,
        sequence,
        segment: mark.next.segment,
        frame: mark.frame,
        hash: mark.hash,
        durable: mark.through,
        tree_size: mark.through.0,
        root: mark.root,
        clean: false,
    }
}

/// A file with the same image in both places.
pub(super) fn both(image: &[u8; IMAGE_BYTES]) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(IMAGE_FILE_BYTES).expect("a 64-bit host")];
    for copy in ImageCopy::BOTH {
        let at = usize::try_from(copy.offset()).expect("a 64-bit host");
        bytes[at..at + IMAGE_BYTES].copy_from_slice(image);
    }
    bytes
}

type Body<'a> = zstd::stream::write::Encoder<'static, BufWriter<Flushed<'a>>>;

fn encoder(body: &File) -> Result<Body<'_>, SnapshotError> {
    let out = BufWriter::with_capacity(1 << 20, Flushed::new(body));
    zstd::stream::write::Encoder::new(out, LEVEL).map_err(SnapshotError::file(Path::new("the archive")))
}

struct Packed<'a> {
    out: Body<'a>,
    files: Vec<ManifestFile>,
    taken: u64,
}

impl Packed<'_> {
    fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), SnapshotError> {
        self.stream(name, bytes.len() as u64, bytes)
    }

    fn stream(&mut self, name: &str, bytes: u64, content: impl Read) -> Result<(), SnapshotError> {
        let mut hashed = Hashed { content, hasher: blake3::Hasher::new() };
        archive::append(&mut self.out, name, bytes, self.taken, &mut hashed)
            .map_err(SnapshotError::file(Path::new(name)))?;
        let digest = *hashed.hasher.finalize().as_bytes();
        self.files.push(ManifestFile { name: name.into(), bytes, digest });
        Ok(())
    }
}

struct Hashed<R> {
    content: R,
    hasher: blake3::Hasher,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}

/// A segment's bytes, past the page cache.
struct SegmentReader<'a> {
    segments: &'a mut Segments,
    segment: SegmentNumber,
    at: u64,
    end: u64,
    pace: &'a mut Pace,
}

impl Read for SegmentReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(READ_BYTES);
        let len = buffer.len().min(READ_BYTES).min(left);
        if len == 0 {
            return Ok(0);
        }
        let failed = |failure: ReadFailure| match failure {
            ReadFailure::Error(errno) => io::Error::from_raw_os_error(errno),
            ReadFailure::Short => io::ErrorKind::UnexpectedEof.into(),
        };
        self.pace.take(len as u64);
        self.segments.read(self.segment, self.at, &mut buffer[..len]).map_err(failed)?;
        self.at += len as u64;
        Ok(len)
    }
}

/// A file that is flushed every few MiB.
struct Flushed<'a> {
    file: &'a File,
    unflushed: u64,
}

impl<'a> Flushed<'a> {
    const fn new(file: &'a File) -> Self {
        Self { file, unflushed: 0 }
    }
}

impl Write for Flushed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = (&mut &*self.file).write(bytes)?;
        self.unflushed += written as u64;
        if self.unflushed >= FLUSH_EVERY {
            self.unflushed = 0;
            self.file.sync_data()?;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
