//! The real binary, started as an operator starts it, and what an operator may do to it.
//!
//! Needs `macronode` beside the test binary, as `cargo xtask test` builds it.

mod kills;
mod process;
mod settings;
mod stops;
