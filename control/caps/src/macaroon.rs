//! `Macaroon`: a token as its bearer holds it. Anyone may narrow it; only a keyring makes one.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

use model::Text;

use crate::{
    ActionPattern, CapError, Caveat, KeyId, Keyring, Malformed,
    codec::{self, Fields, Section},
    limits::{CAVEATS_MAX, TOKEN_BYTES_MAX},
    sign::Secret,
};

/// What an issuer gives: the two caveats that every token begins with, and further ones.
///
/// Both are always there, because a token without them would be widened by whoever adds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The stable principal: 1 to 64 visible characters.
    pub subject: Text,
    /// What it may do.
    pub actions: Vec<ActionPattern>,
    /// Further restrictions.
    pub caveats: Vec<Caveat>,
}

/// A token: identifier, caveats, and the signature that the next caveat would be signed with.
///
/// The signature is the secret that makes its holder the bearer: it is never printed.
#[derive(Clone)]
pub struct Macaroon {
    header: Section,
    caveats: Vec<Section>,
    signature: Secret,
}

impl Macaroon {
    /// Makes a token with the keyring's active key. `serial` comes from a good random source: it
    /// tells tokens apart in logs and in revocation.
    ///
    /// # Errors
    /// `BadCaveat` for a subject or actions that would not parse, `Malformed` past a limit.
    pub fn mint(keyring: &Keyring, serial: [u8; 16], grant: &Grant) -> Result<Self, CapError> {
        let identifier = identifier(keyring.active(), serial);
        let mut token = Self::root(keyring.active_secret(), None, identifier.as_bytes());
        for caveat in [Caveat::Subject(grant.subject), Caveat::Actions(grant.actions.clone())] {
            token.narrow(&caveat)?;
        }
        for caveat in &grant.caveats {
            token.narrow(caveat)?;
        }
        Ok(token)
    }

    /// This token, narrowed by one more caveat. Needs no key.
    ///
    /// # Errors
    /// `BadCaveat` for a caveat that would not parse, `Malformed` past a limit.
    pub fn attenuate(mut self, caveat: &Caveat) -> Result<Self, CapError> {
        self.narrow(caveat)?;
        Ok(self)
    }

    /// Reads a token's text: base64url without padding.
    ///
    /// # Errors
    /// Says where it departs from macaroons v2. Proves nothing: see `verify`.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        codec::decode_text(text).map(Self::from_fields)
    }

    /// Reads a token's bytes.
    ///
    /// # Errors
    /// As `parse`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        codec::decode(bytes).map(Self::from_fields)
    }

    /// The token's text: base64url without padding. Whoever reads it is its bearer.
    #[must_use]
    pub fn to_text(&self) -> String {
        codec::encode_text(&self.fields())
    }

    /// The token's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(&self.fields())
    }

    /// The caveats as text, in order; bytes that are no UTF-8 are shown as replacement characters.
    pub fn caveats(&self) -> impl Iterator<Item = String> {
        self.caveats.iter().map(|caveat| String::from_utf8_lossy(&caveat.identifier).into_owned())
    }

    /// A token with nothing but its identifier.
    pub(crate) fn root(key: &Secret, location: Option<&[u8]>, identifier: &[u8]) -> Self {
        let header = Section {
            location: location.map(<[u8]>::to_vec),
            identifier: identifier.to_vec(),
            verifier: None,
        };
        let signature = key.signed(&header.identifier);
        Self { header, caveats: Vec::new(), signature }
    }

    /// Adds a caveat as it stands, typed or not.
    pub(crate) fn push(&mut self, caveat: Section) -> Result<(), Malformed> {
        if self.caveats.len() >= CAVEATS_MAX {
            return Err(Malformed::TooManyCaveats);
        }
        let signature = signed(&self.signature, &caveat);
        self.caveats.push(caveat);
        if self.to_bytes().len() > TOKEN_BYTES_MAX {
            self.caveats.pop();
            return Err(Malformed::TooLong);
        }
        self.signature = signature;
        Ok(())
    }

    /// Whether the chain from `key` over this token's caveats ends in its signature.
    pub(crate) fn is_signed_by(&self, key: &Secret) -> bool {
        let start = key.signed(&self.header.identifier);
        let end = self.caveats.iter().fold(start, |signature, caveat| signed(&signature, caveat));
        end.matches(&self.signature)
    }

    /// The key's id and the serial inside the identifier.
    pub(crate) fn key_and_serial(&self) -> Result<(&str, [u8; 16]), Malformed> {
        let text = core::str::from_utf8(&self.header.identifier).map_err(|_| Malformed::Identifier)?;
        let rest = text.strip_prefix("1.").ok_or(Malformed::Identifier)?;
        let (key, serial) = rest.split_once('.').ok_or(Malformed::Identifier)?;
        Ok((key, parse_serial(serial).ok_or(Malformed::Identifier)?))
    }

    /// The caveats with their third-party mark, in order.
    pub(crate) fn sections(&self) -> &[Section] {
        &self.caveats
    }

    fn narrow(&mut self, caveat: &Caveat) -> Result<(), CapError> {
        let text = caveat.to_string();
        if Caveat::parse(&text).map(|read| read.to_string()).as_ref() != Ok(&text) {
            return Err(CapError::BadCaveat);
        }
        self.push(Section { location: None, identifier: text.into_bytes(), verifier: None })?;
        Ok(())
    }

    fn fields(&self) -> Fields {
        Fields {
            header: self.header.clone(),
            caveats: self.caveats.clone(),
            signature: *self.signature.bytes(),
        }
    }

    fn from_fields(fields: Fields) -> Self {
        let Fields { header, caveats, signature } = fields;
        Self { header, caveats, signature: Secret::from_bytes(signature) }
    }
}

impl fmt::Debug for Macaroon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let identifier = String::from_utf8_lossy(&self.header.identifier);
        f.debug_struct("Macaroon").field("identifier", &identifier).finish_non_exhaustive()
    }
}

fn signed(signature: &Secret, caveat: &Section) -> Secret {
    match &caveat.verifier {
        Some(verifier) => signature.signed_third_party(verifier, &caveat.identifier),
        None => signature.signed(&caveat.identifier),
    }
}

/// `1.<key id>.<serial, 32 lower-case hex digits>`: the form's version, the key, the token.
fn identifier(key: KeyId, serial: [u8; 16]) -> String {
    format!("1.{key}.{:032x}", u128::from_be_bytes(serial))
}

fn parse_serial(digits: &str) -> Option<[u8; 16]> {
    let lower = digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if digits.len() != 32 || !lower {
        return None;
    }
    u128::from_str_radix(digits, 16).ok().map(u128::to_be_bytes)
}
