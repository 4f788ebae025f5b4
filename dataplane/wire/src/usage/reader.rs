//! `Reader`: takes fields off the front of a byte slice and remembers where it stands.

use model::Text;

use super::{FrameError, FrameFault, Totals};

/// A position in bytes that came from outside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the front of `bytes`, which lie `at` bytes into their frame.
    pub(crate) const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { rest: bytes, at }
    }

    /// An error at this place.
    pub(crate) const fn fault(&self, fault: FrameFault) -> FrameError {
        FrameError { at: self.at, fault }
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], FrameError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(self.fault(FrameFault::Truncated))?;
        self.rest = rest;
        self.at += count;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, FrameError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, FrameError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, FrameError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, FrameError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn u128(&mut self) -> Result<u128, FrameError> {
        self.array().map(u128::from_le_bytes)
    }

    pub(crate) fn totals(&mut self) -> Result<Totals, FrameError> {
        Ok(Totals { requests: self.u128()?, bytes_in: self.u128()?, bytes_out: self.u128()? })
    }

    /// A length byte and that many bytes of printable ASCII, at most 64.
    pub(crate) fn text(&mut self) -> Result<&'a str, FrameError> {
        let before = *self;
        let len = usize::from(self.u8()?);
        if len > model::limits::TEXT_BYTES_MAX {
            return Err(before.fault(FrameFault::TextTooLong));
        }
        let bytes = self.take(len)?;
        if !bytes.iter().all(|byte| (0x20..=0x7e).contains(byte)) {
            return Err(before.fault(FrameFault::TextNotPrintable));
        }
        Ok(core::str::from_utf8(bytes).expect("printable ASCII was checked"))
    }

    /// The same, kept in place.
    pub(crate) fn owned_text(&mut self) -> Result<Text, FrameError> {
        self.text().map(|text| Text::new(text).expect("length and characters were checked"))
    }

    /// Nothing may be left.
    pub(crate) const fn finish(self) -> Result<(), FrameError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.fault(FrameFault::Trailing)) }
    }
}

/// Appends a text with its length byte.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &Text) {
    out.push(text.len());
    out.extend_from_slice(text.as_str().as_bytes());
}

/// Appends three sums.
pub(crate) fn put_totals(out: &mut Vec<u8>, totals: &Totals) {
    for sum in [totals.requests, totals.bytes_in, totals.bytes_out] {
        out.extend_from_slice(&sum.to_le_bytes());
    }
}
