//! `Segments`: the journal's files, read past the page cache.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::Arc,
};

use disk::{Access, AlignedBuf, Direct, DirectFile, DiskError, directory};
use journal::{
    READ_BYTES, ReadFailure, SegmentFile, SegmentNumber, SegmentSource, segment_file_name, segment_number,
};

use super::read_ahead::{Piece, ReadAhead};

/// Files open at once: a journal may have more segments than a process has descriptors.
const OPEN_MAX: usize = 8;

/// The segments of a data directory, for reading.
#[derive(Debug)]
pub struct Segments {
    directory: PathBuf,
    direct: Direct,
    files: Vec<SegmentFile>,
    /// The ones used last, the newest at the back.
    open: VecDeque<(SegmentNumber, Arc<DirectFile>)>,
    bounce: AlignedBuf,
    failure: Option<DiskError>,
    ahead: Option<ReadAhead>,
}

impl Segments {
    /// Lists the segments in `directory`.
    ///
    /// # Errors
    /// If the directory cannot be listed.
    pub fn open(directory: &Path, direct: Direct) -> Result<Self, DiskError> {
        let entries = directory::list(directory)?;
        let mut files: Vec<SegmentFile> = entries
            .iter()
            .filter_map(|entry| {
                Some(SegmentFile { segment: segment_number(&entry.name)?, bytes: entry.len_bytes })
            })
            .collect();
        files.sort_unstable_by_key(|file| file.segment);
        let bounce = AlignedBuf::new(READ_BYTES);
        let (open, failure, ahead) = (VecDeque::new(), None, None);
        Ok(Self { directory: directory.into(), direct, files, open, bounce, failure, ahead })
    }

    /// From now on the piece after the one that was read is read meanwhile, on a thread: for whoever
    /// reads all of the journal in order.
    pub(crate) fn read_ahead(&mut self) {
        self.ahead = ReadAhead::begin();
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The segment's file, opened at its first use.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn file(&mut self, segment: SegmentNumber) -> Result<Arc<DirectFile>, DiskError> {
        if let Some((_, file)) = self.open.iter().find(|(open, _)| *open == segment) {
            return Ok(Arc::clone(file));
        }
        let path = self.directory.join(segment_file_name(segment));
        let file = Arc::new(DirectFile::open(&path, Access::ReadOnly, self.direct)?);
        if self.open.len() == OPEN_MAX {
            self.open.pop_front();
        }
        self.open.push_back((segment, Arc::clone(&file)));
        Ok(file)
    }

    /// Closes the segment's file: its name may lead to another one by now.
    pub(crate) fn forget(&mut self, segment: SegmentNumber) {
        self.open.retain(|(open, _)| *open != segment);
    }

    /// Reads `bytes` at `offset`, both whole pages.
    ///
    /// # Errors
    /// If the kernel refuses, or the file ends before.
    pub fn read_at(
        &mut self,
        segment: SegmentNumber,
        offset: u64,
        bytes: &mut [u8],
    ) -> Result<(), DiskError> {
        let file = self.file(segment)?;
        let mut at = offset;
        for piece in bytes.chunks_mut(READ_BYTES) {
            let read = file.read_at(at, &mut self.bounce, piece.len())?;
            if read < piece.len() {
                let path = file.path().to_path_buf();
                return Err(DiskError::ShortRead { path, offset: at, wanted: piece.len(), read });
            }
            piece.copy_from_slice(self.bounce.get(..read).expect("the piece is no longer than the buffer"));
            at += u64::try_from(read).expect("a length fits in 64 bits");
        }
        Ok(())
    }

    /// Begins to read what follows: in this segment, or at the beginning of the next.
    fn ask_ahead(&mut self, segment: SegmentNumber, offset: u64) {
        let bytes = |of| self.files.iter().find(|file| file.segment == of).map_or(0, |file| file.bytes);
        let (segment, offset) = if offset < bytes(segment) { (segment, offset) } else { (segment.next(), 0) };
        let rest = bytes(segment).saturating_sub(offset);
        let len = usize::try_from(rest).unwrap_or(READ_BYTES).min(READ_BYTES);
        let len = len - len % disk::ALIGNMENT_BYTES;
        // A segment that cannot be opened is told when it is read.
        if len > 0
            && let Ok(file) = self.file(segment)
            && let Some(ahead) = &mut self.ahead
        {
            ahead.ask(file, Piece { segment, offset, len });
        }
    }

    /// Why the last read failed, in full.
    pub(crate) fn take_failure(&mut self) -> Option<DiskError> {
        self.failure.take()
    }
}

impl SegmentSource for Segments {
    fn segments(&self) -> &[SegmentFile] {
        &self.files
    }

    fn read(&mut self, segment: SegmentNumber, offset: u64, buffer: &mut [u8]) -> Result<(), ReadFailure> {
        let taken = self.ahead.as_mut().is_some_and(|ahead| ahead.take(segment, offset, buffer));
        let read = if taken { Ok(()) } else { self.read_at(segment, offset, buffer) };
        if read.is_ok() && self.ahead.is_some() {
            self.ask_ahead(segment, offset + u64::try_from(buffer.len()).expect("a length fits in 64 bits"));
        }
        read.map_err(|error| {
            let failure = match error.errno() {
                Some(errno) => ReadFailure::Error(errno.raw_os_error()),
                None => ReadFailure::Short,
            };
            self.failure = Some(error);
            failure
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECE: u64 = 2 << 20;

    /// Two segments, the second with half a piece at its end; each page holds its number.
    fn journal(directory: &Path) {
        for (number, pages) in [(0, 1024), (1, 768)] {
            let bytes: Vec<u8> = (0..pages)
                .flat_map(|page: u64| (page + u64::from(number) * 5_000).to_le_bytes().repeat(512))
                .collect();
            std::fs::write(directory.join(segment_file_name(SegmentNumber(number))), bytes).unwrap();
        }
    }

    #[test]
    fn what_is_read_ahead_is_what_lies_there() {
        let home = tempfile::tempdir().unwrap();
        journal(home.path());
        let mut plain = Segments::open(home.path(), Direct::Preferred).unwrap();
        let mut ahead = Segments::open(home.path(), Direct::Preferred).unwrap();
        ahead.read_ahead();
        // In order, into the next segment, shorter than was guessed, back, and the same twice.
        let reads = [
            (0, 0, PIECE),
            (0, PIECE, PIECE),
            (1, 0, PIECE),
            (1, PIECE, PIECE / 2),
            (0, 4096, PIECE),
            (0, 4096 + PIECE, 4096),
            (1, 8192, 4096),
            (1, 8192, 4096),
            (1, 12_288, PIECE),
        ];
        for (segment, offset, len) in reads {
            let len = usize::try_from(len).unwrap();
            let (mut found, mut expected) = (vec![1; len], vec![2; len]);
            ahead.read(SegmentNumber(segment), offset, &mut found).unwrap();
            plain.read(SegmentNumber(segment), offset, &mut expected).unwrap();
            assert!(found == expected, "segment {segment} at {offset}");
        }
        let beyond = ahead.read(SegmentNumber(1), PIECE, &mut vec![0; READ_BYTES]);
        assert_eq!(beyond, Err(ReadFailure::Short));
        assert!(ahead.take_failure().is_some(), "the read that fails is the one that is told");
    }
}
