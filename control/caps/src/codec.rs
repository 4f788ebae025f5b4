//! The binary form of macaroons v2 and its text, strict in both directions.
//!
//! A field is its type, its length (both varints) and its bytes. A token is the byte 2, then
//! `[location] identifier end`, then for each caveat `[location] identifier [verifier] end`,
//! then `end`, then the signature. Numbers stand in their shortest form, nothing follows the
//! signature: what parses is written back byte for byte.

use alloc::{string::String, vec::Vec};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    Malformed,
    limits::{CAVEATS_MAX, TOKEN_BYTES_MAX, TOKEN_TEXT_MAX},
};

const VERSION: u8 = 2;
const END: u8 = 0;
const LOCATION: u8 = 1;
const IDENTIFIER: u8 = 2;
const VERIFIER: u8 = 4;
const SIGNATURE: u8 = 6;

/// A location, an identifier, and a third party's verifier: the header of a token (without a
/// verifier) or one caveat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    /// A hint where it comes from; never signed, never used here.
    pub(crate) location: Option<Vec<u8>>,
    /// The token's identifier, or the caveat's predicate.
    pub(crate) identifier: Vec<u8>,
    /// Only with a third party's caveat.
    pub(crate) verifier: Option<Vec<u8>>,
}

/// A token's fields, as they stand in its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fields {
    pub(crate) header: Section,
    pub(crate) caveats: Vec<Section>,
    pub(crate) signature: [u8; 32],
}

/// Reads a token's text.
pub(crate) fn decode_text(text: &str) -> Result<Fields, Malformed> {
    if text.len() > TOKEN_TEXT_MAX {
        return Err(Malformed::TooLong);
    }
    decode(&URL_SAFE_NO_PAD.decode(text).map_err(|_| Malformed::Base64)?)
}

/// Reads a token's bytes.
pub(crate) fn decode(bytes: &[u8]) -> Result<Fields, Malformed> {
    if bytes.len() > TOKEN_BYTES_MAX {
        return Err(Malformed::TooLong);
    }
    let rest = match bytes.split_first() {
        Some((&VERSION, rest)) => rest,
        Some(_) | None => return Err(Malformed::Version),
    };
    let mut reader = Reader { rest };
    let header = reader.section()?;
    if header.verifier.is_some() {
        return Err(Malformed::Field);
    }
    let mut caveats = Vec::new();
    while !reader.takes(END) {
        if caveats.len() == CAVEATS_MAX {
            return Err(Malformed::TooManyCaveats);
        }
        caveats.push(reader.section()?);
    }
    let signature = reader.optional(SIGNATURE)?.ok_or(Malformed::Field)?;
    let signature = signature.try_into().map_err(|_| Malformed::Signature)?;
    if reader.rest.is_empty() { Ok(Fields { header, caveats, signature }) } else { Err(Malformed::Trailing) }
}

/// Writes a token's text.
pub(crate) fn encode_text(fields: &Fields) -> String {
    URL_SAFE_NO_PAD.encode(encode(fields))
}

/// Writes a token's bytes.
pub(crate) fn encode(fields: &Fields) -> Vec<u8> {
    let mut bytes = alloc::vec![VERSION];
    put_section(&mut bytes, &fields.header);
    for caveat in &fields.caveats {
        put_section(&mut bytes, caveat);
    }
    bytes.push(END);
    put_field(&mut bytes, SIGNATURE, &fields.signature);
    bytes
}

fn put_section(bytes: &mut Vec<u8>, section: &Section) {
    if let Some(location) = &section.location {
        put_field(bytes, LOCATION, location);
    }
    put_field(bytes, IDENTIFIER, &section.identifier);
    if let Some(verifier) = &section.verifier {
        put_field(bytes, VERIFIER, verifier);
    }
    bytes.push(END);
}

fn put_field(bytes: &mut Vec<u8>, kind: u8, value: &[u8]) {
    bytes.push(kind);
    let mut len = value.len();
    while len >= 0x80 {
        bytes.push(u8::try_from(len & 0x7f).expect("seven bits fit") | 0x80);
        len >>= 7;
    }
    bytes.push(u8::try_from(len).expect("seven bits fit"));
    bytes.extend_from_slice(value);
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn section(&mut self) -> Result<Section, Malformed> {
        let location = self.optional(LOCATION)?.map(<[u8]>::to_vec);
        let identifier = self.optional(IDENTIFIER)?.ok_or(Malformed::Field)?.to_vec();
        let verifier = self.optional(VERIFIER)?.map(<[u8]>::to_vec);
        if self.takes(END) { Ok(Section { location, identifier, verifier }) } else { Err(Malformed::Field) }
    }

    /// Takes the next byte if it is `kind`. Every type that is given out fits in one byte.
    fn takes(&mut self, kind: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == kind => {
                self.rest = rest;
                true
            }
            Some(_) | None => false,
        }
    }

    /// The bytes of the next field if it is of this type.
    fn optional(&mut self, kind: u8) -> Result<Option<&'a [u8]>, Malformed> {
        if !self.takes(kind) {
            return Ok(None);
        }
        let len = self.length()?;
        let (value, rest) = self.rest.split_at_checked(len).ok_or(Malformed::Field)?;
        self.rest = rest;
        Ok(Some(value))
    }

    /// A length in its shortest form: two bytes at most, since a token has at most 4,096.
    fn length(&mut self) -> Result<usize, Malformed> {
        let (first, rest) = self.rest.split_first().ok_or(Malformed::Field)?;
        self.rest = rest;
        if *first < 0x80 {
            return Ok(usize::from(*first));
        }
        let (second, rest) = self.rest.split_first().ok_or(Malformed::Field)?;
        self.rest = rest;
        if *second == 0 || *second >= 0x80 {
            return Err(Malformed::Field);
        }
        Ok(usize::from(*first & 0x7f) | usize::from(*second) << 7)
    }
}

const _: () = assert!(TOKEN_BYTES_MAX < 1 << 14, "every length fits in two varint bytes");
