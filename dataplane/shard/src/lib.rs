//! One shard of accounting.
#![forbid(unsafe_code)]
