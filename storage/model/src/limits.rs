//! Every bound of the system, and the relations between them.

/// Bytes of a name or a reference.
pub const TEXT_BYTES_MAX: usize = 64;
/// Bytes of an idempotency key.
pub const IDEM_KEY_BYTES_MAX: usize = 64;
/// Entries of one group over the ledger's socket or in process.
pub const GROUP_ENTRIES_MAX: usize = 8_190;
/// Entries of one `POST /ingest`.
pub const INGEST_ENTRIES_MAX: usize = 2_000;
/// Bytes of one HTTP request body.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// Entries of one frame: a group of the largest size with an `open` entry for each side.
pub const FRAME_ENTRIES_MAX: usize = 3 * GROUP_ENTRIES_MAX;
/// Bytes of one frame on disk, header and padding included.
pub const FRAME_BYTES_MAX: usize = 8 << 20;
/// Budget meters in one capability chain.
pub const BUDGETS_MAX: usize = 4;
/// Bytes of the body of one sealed slice.
pub const SLICE_BODY_BYTES_MAX: usize = 2 << 20;
/// Rows of one sealed slice.
pub const SLICE_ROWS_MAX: usize = 8_192;
/// Slices of one frame.
pub const FRAME_SLICES_MAX: usize = 64;
/// Frames in flight at once.
pub const FRAMES_IN_FLIGHT_MAX: usize = 8;
/// How far ahead of ledger time an idempotency key's own time may be, in milliseconds.
pub const KEY_AHEAD_MILLIS_MAX: u64 = 5 * 60 * 1000;

/// Incarnations of one ledger after the first.
pub const INCARNATIONS_MAX: usize = 1_024;

/// Bytes of a posting, a slice or a beginning on disk.
pub const RECORD_BYTES: usize = 216;
/// Bytes of an extension record on disk.
pub const EXT_BYTES: usize = 160;
/// Bytes before the records of a frame's payload.
pub const BATCH_PREAMBLE_BYTES: usize = 32;

const _: () = assert!(INGEST_ENTRIES_MAX <= GROUP_ENTRIES_MAX);
const _: () = assert!(FRAME_ENTRIES_MAX <= u16::MAX as usize, "an entry's ext index is a u16");
const _: () = assert!(
    BATCH_PREAMBLE_BYTES + GROUP_ENTRIES_MAX * RECORD_BYTES + GROUP_ENTRIES_MAX * EXT_BYTES + 4096
        <= FRAME_BYTES_MAX,
    "a full group in which every entry carries a reference fits in one frame"
);
const _: () = assert!(
    BATCH_PREAMBLE_BYTES + RECORD_BYTES + SLICE_BODY_BYTES_MAX + 4096 <= FRAME_BYTES_MAX,
    "the largest slice fits in one frame"
);
