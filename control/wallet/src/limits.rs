//! The bounds of what a wallet sends, and the relations between them.

use model::limits::{
    BODY_BYTES_MAX, GROUP_ENTRIES_MAX, IDEM_KEY_BYTES_MAX, INGEST_ENTRIES_MAX, TEXT_BYTES_MAX,
};

/// Characters of a field's name that an error message repeats.
pub const SHOWN_NAME_CHARS_MAX: usize = 64;
/// Hashes of an inclusion path: one per level of a tree of 2^64 leaves.
pub const PATH_HASHES_MAX: usize = 64;
/// Bytes of a proof document.
pub const PROOF_BYTES_MAX: usize = 64 << 10;
/// Bytes that the shortest entry of `POST /ingest` takes as JSON.
const ENTRY_BYTES_MIN: usize = r#"{"kind":"burn","account":"a","asset":"a","amount":"1"},"#.len();

const _: () = assert!(IDEM_KEY_BYTES_MAX <= TEXT_BYTES_MAX, "a key is kept as a text");
const _: () = assert!(INGEST_ENTRIES_MAX <= GROUP_ENTRIES_MAX);
const _: () = assert!(INGEST_ENTRIES_MAX <= u16::MAX as usize, "an entry's index is a u16");
const _: () = assert!(INGEST_ENTRIES_MAX * ENTRY_BYTES_MIN < BODY_BYTES_MAX, "a full batch fits in a body");
const _: () = assert!(PATH_HASHES_MAX * 2 * 80 < PROOF_BYTES_MAX, "the longest path fits, in both forms");
