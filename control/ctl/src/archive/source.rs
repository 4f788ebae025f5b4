//! `ArchivedSegments`: an archive's segments as the journal reads them, decompressed as they are read.
//!
//! Holds: memory is one window of the decoder (8 MiB at most), whatever a file says of itself. Leaves
//! to others: whether the bytes are those that were shipped (`check`).

use std::{
    fmt,
    fs::File,
    io::{BufReader, Read},
    path::PathBuf,
};

use disk::directory;
use journal::{ReadFailure, SegmentFile, SegmentNumber, SegmentSource, ShippedSegment};

use super::file_name;

/// The decoder's window at most, as a power of two: more than the encoder's.
const WINDOW_LOG_MAX: u32 = 23;

struct Open {
    segment: SegmentNumber,
    decoder: zstd::Decoder<'static, BufReader<File>>,
    /// Bytes that it gave so far.
    at: u64,
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment {} at {}", self.segment, self.at)
    }
}

/// The segments of an archive.
#[derive(Debug)]
pub(crate) struct ArchivedSegments {
    directory: PathBuf,
    files: Vec<SegmentFile>,
    open: Option<Open>,
}

impl ArchivedSegments {
    /// The segments of these rows, whose files lie in `directory`.
    pub(crate) fn new<'a>(directory: PathBuf, rows: impl Iterator<Item = &'a ShippedSegment>) -> Self {
        let files = rows.map(|row| SegmentFile { segment: row.segment, bytes: row.bytes }).collect();
        Self { directory, files, open: None }
    }

    /// Everything in the file, in pieces; it may have at most `limit` bytes.
    ///
    /// # Errors
    /// If the file does not decompress, or holds more.
    pub(crate) fn all(
        &mut self,
        segment: SegmentNumber,
        limit: u64,
        mut take: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> std::io::Result<u64> {
        let mut decoder = self.decoder(segment)?;
        let mut piece = vec![0; 1 << 18];
        let mut total = 0;
        loop {
            let read = decoder.read(&mut piece)?;
            total += read as u64;
            if read == 0 {
                return Ok(total);
            }
            if total > limit {
                return Err(std::io::Error::other("it holds more bytes than the index says"));
            }
            take(&piece[..read])?;
        }
    }

    fn decoder(&self, segment: SegmentNumber) -> std::io::Result<zstd::Decoder<'static, BufReader<File>>> {
        let file = directory::open_file(&self.directory.join(file_name(segment))).map_err(|error| {
            error.errno().map_or_else(|| std::io::Error::other(error.to_string()), std::io::Error::from)
        })?;
        let mut decoder = zstd::Decoder::new(file)?;
        decoder.window_log_max(WINDOW_LOG_MAX)?;
        Ok(decoder)
    }

    fn fill(&mut self, segment: SegmentNumber, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        let stands = self.open.as_ref().is_some_and(|open| open.segment == segment && open.at <= offset);
        if !stands {
            self.open = Some(Open { segment, decoder: self.decoder(segment)?, at: 0 });
        }
        let open = self.open.as_mut().expect("opened above");
        let skip = offset - open.at;
        std::io::copy(&mut open.decoder.by_ref().take(skip), &mut std::io::sink())?;
        open.decoder.read_exact(buffer)?;
        open.at = offset + buffer.len() as u64;
        Ok(())
    }
}

impl SegmentSource for ArchivedSegments {
    fn segments(&self) -> &[SegmentFile] {
        &self.files
    }

    fn read(&mut self, segment: SegmentNumber, offset: u64, buffer: &mut [u8]) -> Result<(), ReadFailure> {
        self.fill(segment, offset, buffer).map_err(|error| {
            self.open = None;
            error.raw_os_error().map_or(ReadFailure::Short, ReadFailure::Error)
        })
    }
}
