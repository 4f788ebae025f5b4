//! The `Authorization` header (RFC 6750, section 2.1).

use crate::{CapError, Malformed, limits::TOKEN_TEXT_MAX};

/// The token inside the value of an `Authorization` header; `None` stands for no header.
///
/// The scheme is taken in any letter case; one or more spaces follow it (RFC 9110, 11.6.2).
///
/// # Errors
/// `Missing` without a header, `Scheme` for another scheme or for anything but one token,
/// `Malformed` for a token longer than any that could parse.
pub fn bearer_token(header: Option<&[u8]>) -> Result<&str, CapError> {
    let header = header.ok_or(CapError::Missing)?;
    let text = core::str::from_utf8(header).map_err(|_| CapError::Scheme)?;
    let (scheme, token) = text.split_once(' ').ok_or(CapError::Scheme)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(CapError::Scheme);
    }
    let token = token.trim_start_matches(' ').trim_end_matches(' ');
    if token.is_empty() || token.bytes().any(|byte| !byte.is_ascii_graphic()) {
        return Err(CapError::Scheme);
    }
    if token.len() > TOKEN_TEXT_MAX {
        return Err(Malformed::TooLong.into());
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_taken_strictly() {
        let long = alloc::format!("Bearer {}", "A".repeat(TOKEN_TEXT_MAX + 1));
        for (header, expected) in [
            (None, Err(CapError::Missing)),
            (Some("Bearer abc"), Ok("abc")),
            (Some("bearer   abc "), Ok("abc")),
            (Some("BEARER abc"), Ok("abc")),
            (Some("Basic abc"), Err(CapError::Scheme)),
            (Some("Bearer"), Err(CapError::Scheme)),
            (Some("Bearer "), Err(CapError::Scheme)),
            (Some("Bearer a b"), Err(CapError::Scheme)),
            (Some("Bearer a\tb"), Err(CapError::Scheme)),
            (Some(""), Err(CapError::Scheme)),
            (Some(long.as_str()), Err(CapError::Malformed(Malformed::TooLong))),
        ] {
            assert_eq!(bearer_token(header.map(str::as_bytes)), expected, "{header:?}");
        }
        assert_eq!(bearer_token(Some(b"Bearer \xff")), Err(CapError::Scheme));
    }
}
