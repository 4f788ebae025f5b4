//! The signature chain: HMAC-SHA256 over identifier and caveats, as macaroons define it
//! (Birgisson and others, "Macaroons", NDSS 2014; key derivation as in libmacaroons).

use core::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The key that a root key is derived with, padded with zeros by HMAC itself.
const GENERATOR: &[u8] = b"macaroons-key-generator";

/// 32 secret bytes: a derived key, or the signature that stands at the chain's end. Wiped when
/// dropped, never printed, compared in constant time.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Secret([u8; 32]);

impl Secret {
    /// The chain's key for a root key of any length.
    pub(crate) fn derived(root_key: &[u8]) -> Self {
        Self(hmac(GENERATOR, &[root_key]))
    }

    /// A signature read from a token.
    pub(crate) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, to write them into a token.
    pub(crate) const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The signature after the identifier or a first party's caveat.
    pub(crate) fn signed(&self, message: &[u8]) -> Self {
        Self(hmac(&self.0, &[message]))
    }

    /// The signature after a third party's caveat.
    pub(crate) fn signed_third_party(&self, verifier: &[u8], identifier: &[u8]) -> Self {
        let verifier = hmac(&self.0, &[verifier]);
        let identifier = hmac(&self.0, &[identifier]);
        Self(hmac(&self.0, &[&verifier, &identifier]))
    }

    /// Whether both are the same, in constant time.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}
