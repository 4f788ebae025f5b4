//! The guarantees, in one binary.
#![forbid(unsafe_code)]

mod crash;
mod kernel;
mod sim;
mod tidy;
