//! Frames: a length, a kind, a payload; what can be wrong with them; and the buffer that
//! gathers them from a socket.

use super::{ClientMessage, FRAME_BYTES_MAX, Refusal, ServerMessage};

/// Bytes before the payload: length (of what follows it) and kind.
pub(crate) const FRAME_HEADER_BYTES: usize = 5;
const LENGTH_BYTES: usize = 4;
/// Bytes that a buffer starts with.
const BUFFER_BYTES_MIN: usize = 4 << 10;

/// What is wrong with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameFault {
    /// It is longer than `FRAME_BYTES_MAX`.
    #[error("the frame is too large")]
    TooLarge,
    /// A field runs past the frame's end.
    #[error("the frame is truncated")]
    Truncated,
    /// Bytes are left after the last field.
    #[error("the frame has trailing bytes")]
    Trailing,
    /// The kind is not known.
    #[error("the frame's kind is unknown")]
    UnknownKind,
    /// A hello does not begin with the protocol's magic.
    #[error("the hello's magic is wrong")]
    Magic,
    /// A hello of a version that this build does not speak.
    #[error("the protocol's version is not spoken here")]
    Version,
    /// A text is longer than 64 bytes.
    #[error("a text is too long")]
    TextTooLong,
    /// A text has a byte that is not printable ASCII.
    #[error("a text is not printable")]
    TextNotPrintable,
    /// A label set without a tenant.
    #[error("the tenant is empty")]
    NoTenant,
    /// A label id at or above `CONNECTION_LABELS_MAX`.
    #[error("the label id is too large")]
    LabelId,
    /// A batch with more records than `BATCH_RECORDS_MAX`, or another number than it says.
    #[error("the record count is wrong")]
    RecordCount,
    /// A sequence or epoch of zero.
    #[error("sequences and epochs begin at one")]
    Zero,
    /// A number that stands for nothing.
    #[error("a code is unknown")]
    UnknownCode,
}

impl FrameFault {
    /// Every fault.
    pub const ALL: [Self; 13] = [
        Self::TooLarge,
        Self::Truncated,
        Self::Trailing,
        Self::UnknownKind,
        Self::Magic,
        Self::Version,
        Self::TextTooLong,
        Self::TextNotPrintable,
        Self::NoTenant,
        Self::LabelId,
        Self::RecordCount,
        Self::Zero,
        Self::UnknownCode,
    ];

    /// The word under which it is counted.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::Truncated => "truncated",
            Self::Trailing => "trailing",
            Self::UnknownKind => "unknown_kind",
            Self::Magic => "magic",
            Self::Version => "version",
            Self::TextTooLong => "text_too_long",
            Self::TextNotPrintable => "text_not_printable",
            Self::NoTenant => "no_tenant",
            Self::LabelId => "label_id",
            Self::RecordCount => "record_count",
            Self::Zero => "zero",
            Self::UnknownCode => "unknown_code",
        }
    }

    /// What the peer is told before its connection is closed.
    #[must_use]
    pub const fn refusal(self) -> Refusal {
        match self {
            Self::TooLarge => Refusal::TooLarge,
            Self::Version => Refusal::Version { spoken: super::PROTOCOL_VERSION },
            Self::Truncated
            | Self::Trailing
            | Self::UnknownKind
            | Self::Magic
            | Self::TextTooLong
            | Self::TextNotPrintable
            | Self::NoTenant
            | Self::LabelId
            | Self::RecordCount
            | Self::Zero
            | Self::UnknownCode => Refusal::Malformed,
        }
    }
}

/// A frame that cannot be read, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault} (byte {at} of the frame)")]
pub struct FrameError {
    /// Bytes into the frame.
    pub at: usize,
    /// What is wrong.
    pub fault: FrameFault,
}

/// A whole frame, not yet understood.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawFrame<'a> {
    pub(crate) kind: u8,
    pub(crate) payload: &'a [u8],
    /// Its bytes in all.
    pub(crate) bytes: usize,
}

/// The first whole frame of `bytes`; `None` if more must arrive.
pub(crate) fn split(bytes: &[u8]) -> Result<Option<RawFrame<'_>>, FrameError> {
    let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length > FRAME_BYTES_MAX - LENGTH_BYTES {
        return Err(FrameError { at: 0, fault: FrameFault::TooLarge });
    }
    let Some((frame, _)) = rest.split_at_checked(length) else { return Ok(None) };
    let (kind, payload) =
        frame.split_first().ok_or(FrameError { at: LENGTH_BYTES, fault: FrameFault::Truncated })?;
    Ok(Some(RawFrame { kind: *kind, payload, bytes: LENGTH_BYTES + length }))
}

/// Begins a frame and returns where it begins, for `end`.
pub(crate) fn begin(out: &mut Vec<u8>, kind: u8) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    out.push(kind);
    start
}

/// Ends the frame that began at `start`: writes its length.
pub(crate) fn end(out: &mut [u8], start: usize) {
    let length = out.len() - start - LENGTH_BYTES;
    assert!(length <= FRAME_BYTES_MAX - LENGTH_BYTES, "frames are built within their bound");
    let length = u32::try_from(length).expect("bounded above");
    let place = out.get_mut(start..start + LENGTH_BYTES).expect("begin wrote it");
    place.copy_from_slice(&length.to_le_bytes());
}

/// Gathers bytes from a socket and gives whole frames. Its memory is at most twice what has
/// arrived of the frame in hand, and never above two frames of the largest size.
#[derive(Debug, Default)]
pub struct FrameBuffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl FrameBuffer {
    /// An empty buffer; memory comes with the first bytes.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), start: 0, end: 0 }
    }

    /// Where the next bytes go; never empty as long as whole frames are taken out before it is
    /// asked again.
    pub fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.end == self.bytes.len() {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            if self.end == self.bytes.len() && self.end < FRAME_BYTES_MAX {
                let size = (self.bytes.len() * 2).clamp(BUFFER_BYTES_MIN, FRAME_BYTES_MAX);
                self.bytes.resize(size, 0);
            }
        }
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// `count` bytes have arrived in `space`.
    ///
    /// # Panics
    /// If that is more than there was space for.
    pub fn filled(&mut self, count: usize) {
        assert!(count <= self.bytes.len() - self.end, "more bytes than there was space for");
        self.end += count;
    }

    /// Bytes that have arrived and are not yet taken.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.end - self.start
    }

    /// The next whole message of a producer; `None` if more bytes must arrive.
    ///
    /// # Errors
    /// Says what is wrong with the frame; the connection is of no use after that.
    pub fn client(&mut self) -> Result<Option<ClientMessage<'_>>, FrameError> {
        let waiting = self.bytes.get(self.start..self.end).expect("the bounds are kept");
        let Some(frame) = split(waiting)? else { return Ok(None) };
        self.start += frame.bytes;
        ClientMessage::decode(frame.kind, frame.payload).map(Some)
    }

    /// The next whole message of a shard; `None` if more bytes must arrive.
    ///
    /// # Errors
    /// Says what is wrong with the frame; the connection is of no use after that.
    pub fn server(&mut self) -> Result<Option<ServerMessage>, FrameError> {
        let waiting = self.bytes.get(self.start..self.end).expect("the bounds are kept");
        let Some(frame) = split(waiting)? else { return Ok(None) };
        self.start += frame.bytes;
        ServerMessage::decode(frame.kind, frame.payload).map(Some)
    }
}

#[cfg(test)]
mod tests;
