//! `Text`: up to 64 bytes of printable ASCII, kept in place.

use core::fmt;

use crate::limits::TEXT_BYTES_MAX;

/// Up to 64 bytes of visible ASCII (0x20 to 0x7e), stored in place, unused bytes zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text {
    bytes: [u8; TEXT_BYTES_MAX],
    len: u8,
}

impl Text {
    /// The empty text.
    pub const EMPTY: Self = Self { bytes: [0; TEXT_BYTES_MAX], len: 0 };

    /// Takes `text` if it is printable ASCII of at most 64 bytes.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let source = text.as_bytes();
        if !source.iter().all(|byte| (0x20..=0x7e).contains(byte)) {
            return None;
        }
        let len = u8::try_from(source.len()).ok()?;
        let mut bytes = [0; TEXT_BYTES_MAX];
        bytes.get_mut(..source.len())?.copy_from_slice(source);
        Some(Self { bytes, len })
    }

    /// Reads a text back from its padded bytes and length.
    #[must_use]
    pub fn from_padded(bytes: &[u8; TEXT_BYTES_MAX], len: u8) -> Option<Self> {
        let (used, rest) = bytes.split_at_checked(usize::from(len))?;
        if rest.iter().any(|byte| *byte != 0) {
            return None;
        }
        Self::new(core::str::from_utf8(used).ok()?)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let used = self.bytes.get(..usize::from(self.len)).expect("len was checked in new");
        core::str::from_utf8(used).expect("only ASCII was taken in new")
    }

    /// The 64 bytes as stored, unused ones zero.
    #[must_use]
    pub const fn padded(&self) -> &[u8; TEXT_BYTES_MAX] {
        &self.bytes
    }

    /// Bytes in use, 0 to 64.
    #[must_use]
    pub const fn len(&self) -> u8 {
        self.len
    }

    /// Whether nothing is in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_printable_ascii_up_to_64_bytes() {
        let long = [b'x'; 65];
        let long = core::str::from_utf8(&long).unwrap();
        assert_eq!(Text::new("order-17").unwrap().as_str(), "order-17");
        assert!(Text::new(&long[..64]).is_some());
        assert_eq!(Text::new(long), None);
        assert_eq!(Text::new("a\nb"), None);
        assert_eq!(Text::new("é"), None);
    }

    #[test]
    fn padded_bytes_read_back_and_dirty_padding_does_not() {
        let text = Text::new("abc").unwrap();
        assert_eq!(Text::from_padded(text.padded(), 3), Some(text));
        assert_eq!(Text::from_padded(text.padded(), 2), None);
        assert_eq!(Text::from_padded(text.padded(), 65), None);
    }
}
