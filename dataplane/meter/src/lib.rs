//! Usage counters that can be embedded anywhere.
#![forbid(unsafe_code)]
