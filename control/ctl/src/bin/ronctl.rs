//! `ronctl`: asks a running node. Everything it does is in `ctl`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    ctl::ronctl_main()
}
