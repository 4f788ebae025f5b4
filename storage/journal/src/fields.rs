//! Fixed little-endian fields, one after the other. The caller sizes the array, so running past its
//! end is a bug and not an input.

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
        let zero = self.bytes[self.at..end].iter().all(|byte| *byte == 0);
        self.at = end;
        zero
    }
}
