//! `Segments`: the journal's files for reading, past the page cache where the file system can.

use std::path::{Path, PathBuf};

use disk::{ALIGNMENT_BYTES, Access, AlignedBuf, Direct, DirectFile, DiskError, directory};
use journal::{
    READ_BYTES, ReadFailure, SegmentFile, SegmentNumber, SegmentSource, segment_file_name, segment_number,
};

const PAGE: u64 = ALIGNMENT_BYTES as u64;

/// The segments of a ledger.
#[derive(Debug)]
pub(super) struct Segments {
    directory: PathBuf,
    files: Vec<SegmentFile>,
    open: Option<(SegmentNumber, DirectFile)>,
    bounce: AlignedBuf,
    /// Bytes read so far.
    pub(super) read_bytes: u64,
    /// The last refusal of the kernel, which `ReadFailure` has no room for.
    pub(super) refused: Option<DiskError>,
    /// Whether every file was read past the page cache.
    pub(super) is_direct: bool,
}

impl Segments {
    /// Lists the segments in `directory`; none if it is not there.
    pub(super) fn open(directory: &Path) -> Result<Self, DiskError> {
        let entries = match directory::list(directory) {
            Ok(entries) => entries,
            Err(error) if error.is_not_found() => Vec::new(),
            Err(error) => return Err(error),
        };
        let file = |entry: directory::Entry| {
            Some(SegmentFile { segment: segment_number(&entry.name)?, bytes: entry.len_bytes })
        };
        let mut files: Vec<SegmentFile> = entries.into_iter().filter_map(file).collect();
        files.sort_unstable_by_key(|file| file.segment);
        Ok(Self {
            directory: directory.into(),
            files,
            open: None,
            bounce: AlignedBuf::new(READ_BYTES + 2 * ALIGNMENT_BYTES),
            read_bytes: 0,
            refused: None,
            is_direct: true,
        })
    }

    fn file(&mut self, segment: SegmentNumber) -> Result<&DirectFile, DiskError> {
        if self.open.as_ref().is_none_or(|(number, _)| *number != segment) {
            let path = self.directory.join(segment_file_name(segment));
            let file = DirectFile::open(&path, Access::ReadOnly, Direct::Preferred)?;
            self.is_direct &= file.is_direct();
            self.open = Some((segment, file));
        }
        Ok(&self.open.as_ref().expect("opened above").1)
    }

    /// Flushes what lies in a segment's file, whoever wrote it.
    pub(crate) fn datasync(&mut self, segment: SegmentNumber) -> Result<(), DiskError> {
        self.file(segment)?.datasync()
    }

    /// Fills `piece`, at most `READ_BYTES`, from `offset`, neither of which need be whole pages; says
    /// how many of its bytes the file has.
    fn fill(&mut self, segment: SegmentNumber, offset: u64, piece: &mut [u8]) -> Result<usize, DiskError> {
        let mut bounce = std::mem::replace(&mut self.bounce, AlignedBuf::new(ALIGNMENT_BYTES));
        let skip = usize::try_from(offset % PAGE).expect("less than a page");
        let len = (skip + piece.len()).next_multiple_of(ALIGNMENT_BYTES);
        let read = self.file(segment).and_then(|file| file.read_at(offset - offset % PAGE, &mut bounce, len));
        let got = read.map(|read| {
            let got = read.saturating_sub(skip).min(piece.len());
            piece[..got].copy_from_slice(&bounce[skip..skip + got]);
            got
        });
        self.bounce = bounce;
        got
    }
}

impl SegmentSource for Segments {
    fn segments(&self) -> &[SegmentFile] {
        &self.files
    }

    fn read(&mut self, segment: SegmentNumber, offset: u64, buffer: &mut [u8]) -> Result<(), ReadFailure> {
        let mut at = offset;
        for piece in buffer.chunks_mut(READ_BYTES) {
            match self.fill(segment, at, piece) {
                Ok(got) if got == piece.len() => {}
                Ok(_) => return Err(ReadFailure::Short),
                Err(error) => {
                    let errno = error.errno().map(disk::Errno::raw_os_error);
                    self.refused = Some(error);
                    return Err(errno.map_or(ReadFailure::Short, ReadFailure::Error));
                }
            }
            at += piece.len() as u64;
            self.read_bytes += piece.len() as u64;
        }
        Ok(())
    }
}
