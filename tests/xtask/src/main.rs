//! The one test command, `cargo xtask test`, and the longer proof, `cargo xtask prove`.
//!
//! Owns: the order of the stages, the set-up of a fresh machine, the table of seconds at the end.
//! Holds: every stage runs even after another failed; what could not run is named and counted; the
//! last line says how many tests passed and failed. Leaves to others: what is tested.
#![forbid(unsafe_code)]

mod machine;
mod prove;
mod report;
mod stage;
mod suite;

use std::{
    env,
    process::{Command, ExitCode},
};

const USAGE: &str = "\
cargo xtask test     everything that must hold before a change lands
cargo xtask prove    what takes longer; writes docs/proof.md (PROVE_SCALE=N: N per cent of the usual counts)";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let outcome = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["test"] => suite::run(),
        ["prove"] => prove::run(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The cargo that started us, or the one in `PATH`, with its words.
fn cargo(words: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(words);
    command
}
