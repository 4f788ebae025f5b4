//! `IdempotencyKey`: what a caller names a request by (the IETF draft "The Idempotency-Key HTTP
//! Header Field", which asks for an RFC 8941 string; a bare value is taken too).

use alloc::string::String;
use core::fmt;

use model::{IdemKey, Text, limits::IDEM_KEY_BYTES_MAX};

/// Why a value is not an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not 1 to 64 bytes.
    #[error("an idempotency key has 1 to 64 characters")]
    Length,
    /// A byte that is not visible ASCII.
    #[error("an idempotency key uses visible ASCII characters only")]
    Character,
    /// An opened or escaped quote that RFC 8941 does not allow, or one inside a bare key.
    #[error("an idempotency key is bare without quotes, or one quoted string")]
    Quotes,
}

/// A caller's key: 1 to 64 visible ASCII characters. Bare or quoted, the same inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(Text);

impl IdempotencyKey {
    /// Takes a key as it stands.
    ///
    /// # Errors
    /// `Length` or `Character`.
    pub fn new(key: &str) -> Result<Self, KeyError> {
        if key.is_empty() || key.len() > IDEM_KEY_BYTES_MAX {
            return Err(KeyError::Length);
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(KeyError::Character);
        }
        Text::new(key).map(Self).ok_or(KeyError::Character)
    }

    /// Takes the value of an `Idempotency-Key` header: bare, or an RFC 8941 string
    /// (section 3.3.3) without parameters, whose inner value is the key.
    ///
    /// # Errors
    /// `Quotes` for a string that RFC 8941 does not allow, otherwise as `new`.
    pub fn from_header(value: &[u8]) -> Result<Self, KeyError> {
        let value = core::str::from_utf8(value).map_err(|_| KeyError::Character)?;
        let value = value.trim_matches([' ', '\t']);
        match value.strip_prefix('"') {
            Some(quoted) => Self::new(&unquoted(quoted)?),
            None if value.contains('"') => Err(KeyError::Quotes),
            None => Self::new(value),
        }
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// What the ledger knows entry `idx` of this request by.
    #[must_use]
    pub fn of_entry(&self, subject: &str, idx: u16) -> IdemKey {
        IdemKey::new(subject, self.as_str(), idx)
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What stands before the closing quote, `\"` and `\\` undone.
fn unquoted(rest: &str) -> Result<String, KeyError> {
    let mut inner = String::new();
    let mut characters = rest.chars();
    loop {
        match characters.next() {
            Some('"') if characters.as_str().is_empty() => return Ok(inner),
            Some('\\') => match characters.next() {
                Some(escaped @ ('"' | '\\')) => inner.push(escaped),
                Some(_) | None => return Err(KeyError::Quotes),
            },
            Some('"') | None => return Err(KeyError::Quotes),
            Some(character) => inner.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_taken_bare_or_quoted() {
        let long = "k".repeat(65);
        let quoted = alloc::format!("\"{}\"", &long[..64]);
        for (value, expected) in [
            ("01JFA1KQ2Q9G2VE8W7", Ok("01JFA1KQ2Q9G2VE8W7")),
            ("\"01JFA1KQ2Q9G2VE8W7\"", Ok("01JFA1KQ2Q9G2VE8W7")),
            (" a ", Ok("a")),
            (r#""a\"b\\c""#, Ok(r#"a"b\c"#)),
            (&long[..64], Ok(&long[..64])),
            (quoted.as_str(), Ok(&long[..64])),
            ("", Err(KeyError::Length)),
            ("\"\"", Err(KeyError::Length)),
            (long.as_str(), Err(KeyError::Length)),
            ("a b", Err(KeyError::Character)),
            ("\"a b\"", Err(KeyError::Character)),
            ("é", Err(KeyError::Character)),
            ("\"a", Err(KeyError::Quotes)),
            ("a\"", Err(KeyError::Quotes)),
            ("\"a\";p=1", Err(KeyError::Quotes)),
            (r#""a\n""#, Err(KeyError::Quotes)),
            (r#""a\"#, Err(KeyError::Quotes)),
        ] {
            let key = IdempotencyKey::from_header(value.as_bytes());
            assert_eq!(key.as_ref().map(IdempotencyKey::as_str), expected.as_ref().copied(), "{value:?}");
        }
        assert_eq!(IdempotencyKey::from_header(b"\xff"), Err(KeyError::Character));
    }

    #[test]
    fn a_key_is_scoped_to_its_subject_and_entry() {
        let key = IdempotencyKey::new("k").unwrap();
        assert_eq!(key.of_entry("ann", 3), IdemKey::new("ann", "k", 3));
    }
}
