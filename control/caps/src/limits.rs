//! The bounds of a token, and the relations between them.

use model::limits::TEXT_BYTES_MAX;

/// Bytes of a token in its binary form.
pub const TOKEN_BYTES_MAX: usize = 4096;
/// Characters of a token as text (base64url without padding).
pub const TOKEN_TEXT_MAX: usize = TOKEN_BYTES_MAX.div_ceil(3) * 4;
/// Caveats of one token.
pub const CAVEATS_MAX: usize = 32;
/// Patterns in one `action` or `account` caveat.
pub const PATTERNS_MAX: usize = 32;
/// Bytes of a subject.
pub const SUBJECT_BYTES_MAX: usize = TEXT_BYTES_MAX;
/// Bytes of a key's id.
pub const KEY_ID_BYTES_MAX: usize = 32;
/// Keys that a keyring holds at once, the active one included.
pub const KEYS_MAX: usize = 16;

const _: () = assert!(TOKEN_TEXT_MAX < 8 * 1024, "a token fits the header limit of common HTTP servers");
const _: () = assert!(
    PATTERNS_MAX * (TEXT_BYTES_MAX + 1) < TOKEN_BYTES_MAX,
    "the longest account caveat fits in a token"
);
