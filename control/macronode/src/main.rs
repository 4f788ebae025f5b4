//! `macronode`: all roles of a node in one process. Everything it does is in `node`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    node::main(&node::Build {
        service: "macronode",
        version: env!("CARGO_PKG_VERSION"),
        git: env!("BUILD_GIT"),
        rustc: env!("BUILD_RUSTC"),
        profile: env!("BUILD_PROFILE"),
    })
}
