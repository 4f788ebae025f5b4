//! The guarantees, in one binary.
#![forbid(unsafe_code)]

mod crash;
mod e2e;
mod fuzz;
mod golden;
mod kernel;
mod sim;
mod tidy;
