//! Fixed little-endian fields, one after the other. The caller sizes the array, so running past its
//! end is a bug and not an input.

/// Whether every byte is zero. Looks at 64 at a time, which the compiler makes wide.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    let (blocks, rest) = bytes.as_chunks::<64>();
    blocks.iter().all(|block| block.iter().fold(0, |seen, byte| seen | byte) == 0)
        && rest.iter().all(|byte| *byte == 0)
}

pub(crate) struct Writer<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl<'a> Writer<'a> {
    pub(crate) const fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) fn bytes(&mut self, field: &[u8]) {
        let end = self.at + field.len();
        self.bytes[self.at..end].copy_from_slice(field);
        self.at = end;
    }

    pub(crate) fn u16(&mut self, field: u16) {
        self.bytes(&field.to_le_bytes());
    }

    pub(crate) fn u32(&mut self, field: u32) {
        self.bytes(&field.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, field: u64) {
        self.bytes(&field.to_le_bytes());
    }

    /// Zeros up to `end`.
    pub(crate) fn zeros_to(&mut self, end: usize) {
        self.bytes[self.at..end].fill(0);
        self.at = end;
    }
}

pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) fn take<const N: usize>(&mut self) -> [u8; N] {
        let end = self.at + N;
        let field = self.bytes[self.at..end].try_into().expect("the slice has N bytes");
        self.at = end;
        field
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    pub(crate) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    /// Whether every byte up to `end` is zero; stands there afterwards.
    pub(crate) fn zeros_to(&mut self, end: usize) -> bool {
        let zero = is_zero(&self.bytes[self.at..end]);
        self.at = end;
        zero
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_anywhere_is_not_zero() {
        for length in [0, 1, 63, 64, 65, 300] {
            let mut bytes = [0; 300];
            assert!(is_zero(&bytes[..length]));
            for at in 0..length {
                bytes[at] = 1;
                assert!(!is_zero(&bytes[..length]), "{at} of {length}");
                bytes[at] = 0;
            }
        }
    }
}
