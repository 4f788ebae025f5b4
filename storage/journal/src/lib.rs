//! The journal: bytes that must survive.
#![forbid(unsafe_code)]
