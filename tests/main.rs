//! The guarantees, in one binary.
#![forbid(unsafe_code)]

mod kernel;
mod sim;
mod tidy;
