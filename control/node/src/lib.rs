//! Roles composed into a process.
#![forbid(unsafe_code)]
