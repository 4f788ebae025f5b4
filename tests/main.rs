//! The guarantees, in one binary.
#![forbid(unsafe_code)]

mod sim;
mod tidy;
