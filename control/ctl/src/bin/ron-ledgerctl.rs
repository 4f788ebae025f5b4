//! `ron-ledgerctl`: audits a ledger from its files. Everything it does is in `ctl`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    ctl::ledgerctl_main()
}
