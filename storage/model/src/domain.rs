//! `Domain`: the contexts of BLAKE3's key derivation mode, hashed ahead.
//!
//! The derivation of a context is a constant, so no digest pays for it; a test derives each anew.

use blake3::hazmat::HasherExt;

/// One use of BLAKE3 that must not be confused with another.
pub(crate) struct Domain {
    #[cfg(test)]
    context: &'static str,
    key: [u8; 32],
}

impl Domain {
    /// Ids of accounts, over their names.
    pub(crate) const ACCOUNT_ID: Self = Self {
        #[cfg(test)]
        context: "macronode 2026 account id",
        key: [
            0xad, 0xee, 0xd5, 0x88, 0xe2, 0xde, 0x04, 0xcd, 0x5f, 0xe5, 0x36, 0xde, 0x89, 0x0a, 0x78, 0xdc,
            0xfe, 0xb3, 0xef, 0xbb, 0x6c, 0x25, 0xb0, 0xcc, 0xea, 0xc3, 0x7a, 0xba, 0x77, 0x34, 0x6c, 0x2c,
        ],
    };

    /// Idempotency keys with their subject and index.
    pub(crate) const IDEMPOTENCY_KEY: Self = Self {
        #[cfg(test)]
        context: "macronode 2026 idempotency key",
        key: [
            0xb5, 0x99, 0x44, 0x5a, 0x60, 0xd1, 0xd2, 0xa8, 0x1c, 0xe9, 0x80, 0x0e, 0x43, 0xe3, 0x17, 0x4a,
            0x72, 0x2f, 0x26, 0xcf, 0xdb, 0x3a, 0xc5, 0x60, 0x5b, 0xef, 0x95, 0xc5, 0x02, 0x14, 0x6a, 0xd7,
        ],
    };

    /// Fingerprints of requests.
    pub(crate) const REQUEST_FINGERPRINT: Self = Self {
        #[cfg(test)]
        context: "macronode 2026 request fingerprint",
        key: [
            0xba, 0x21, 0x5c, 0xf5, 0x57, 0x57, 0x57, 0x1b, 0xde, 0xda, 0xd4, 0x8e, 0x3d, 0x43, 0x40, 0x04,
            0x5e, 0x21, 0x71, 0xe3, 0xc8, 0xd9, 0xea, 0x99, 0xfc, 0xcf, 0x1b, 0x5f, 0x67, 0x28, 0x88, 0x73,
        ],
    };

    /// A hasher of this domain.
    pub(crate) fn hasher(&self) -> blake3::Hasher {
        blake3::Hasher::new_from_context_key(&self.key)
    }

    /// The first 16 bytes of the digest of `material`.
    pub(crate) fn short_digest(&self, material: &[u8]) -> [u8; 16] {
        shortened(&self.hasher().update(material).finalize())
    }
}

/// The first 16 bytes of a digest.
pub(crate) fn shortened(digest: &blake3::Hash) -> [u8; 16] {
    let (halves, _) = digest.as_bytes().as_chunks::<16>();
    halves[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_that_of_its_context() {
        for domain in [Domain::ACCOUNT_ID, Domain::IDEMPOTENCY_KEY, Domain::REQUEST_FINGERPRINT] {
            assert_eq!(blake3::hazmat::hash_derive_key_context(domain.context), domain.key);
            let whole = blake3::derive_key(domain.context, b"material");
            assert_eq!(domain.short_digest(b"material"), whole[..16]);
        }
    }
}
