//! The command line of `ron-ledgerctl`.

use std::{
    io::{IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use serde::Serialize;

use crate::{check_receipt, exit, verify};

/// Bytes of a proof document at most; more is not read.
const DOCUMENT_BYTES_MAX: u64 = 1 << 20;
/// Frames between two words about progress.
const PROGRESS_EVERY: u64 = 1_024;

/// Audits a ledger from its files, and receipts from their own bytes. Writes nothing, takes no lock.
#[derive(Debug, Parser)]
#[command(name = "ron-ledgerctl", version, after_help = CODES)]
struct Arguments {
    /// Answers in JSON, one object on standard output.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

const CODES: &str = "Exit codes: 0 clean; 1 something does not hold; 2 usage; 65 not a proof document; \
66 no ledger or no file here; 77 permission denied; 80 the superblock cannot be believed; \
81 segments without a superblock; 84 a frame format of another build; 91 the kernel refuses; 93 the device does not give up the bytes.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Re-reads a whole journal and recomputes everything that it claims.
    Verify {
        /// The node's data directory, or the directory that holds `superblock`.
        #[arg(long)]
        data_dir: PathBuf,
    },
    /// Checks the answer to `GET /v1/tx/{txid}/proof` offline.
    VerifyReceipt {
        /// The answer, as it came.
        file: PathBuf,
        /// The log's verifier key, as the node prints it (`log key`) and keeps it in `keys/log.vkey`.
        #[arg(long)]
        key: String,
    },
}

/// Runs `ron-ledgerctl` and gives its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let code = match &arguments.command {
        Command::Verify { data_dir } => run_verify(data_dir, arguments.json),
        Command::VerifyReceipt { file, key } => run_receipt(file, key, arguments.json),
    };
    ExitCode::from(code)
}

fn run_verify(data_dir: &std::path::Path, json: bool) -> u8 {
    let terminal = std::io::stderr().is_terminal();
    let mut progress = |frames: u64, bytes: u64| {
        if terminal && frames.is_multiple_of(PROGRESS_EVERY) {
            progress_line(&format!("{frames} frames, {} MiB", bytes >> 20));
        }
    };
    let outcome = verify(data_dir, &mut progress);
    if terminal {
        progress_line("");
    }
    match outcome {
        Ok(report) => {
            let text = if json { as_json(&report) } else { report.text() };
            let code = if report.clean { exit::OK } else { exit::FOUND };
            say(&text, code)
        }
        Err(error) => fail(&error, error.exit_code(), json),
    }
}

fn run_receipt(file: &std::path::Path, key: &str, json: bool) -> u8 {
    let bytes = match disk::directory::read_file(file, DOCUMENT_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() => return fail(&error, exit::NOTHING, json),
        Err(error) => {
            let denied = matches!(error.errno(), Some(disk::Errno::ACCESS | disk::Errno::PERM));
            return fail(&error, if denied { exit::PERMISSION } else { exit::UNREADABLE }, json);
        }
    };
    match check_receipt(&bytes, key) {
        Ok(proven) => say(&if json { as_json(&proven) } else { proven.text() }, exit::OK),
        Err(fault) => fail(&fault, fault.exit_code(), json),
    }
}

#[derive(Serialize)]
struct Failure {
    error: String,
    exit_code: u8,
}

fn as_json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("reports are structs of texts and numbers") + "\n"
}

/// The answer on standard output; a reader that has gone is no reason for another code.
fn say(text: &str, code: u8) -> u8 {
    drop(std::io::stdout().lock().write_all(text.as_bytes()));
    code
}

#[expect(clippy::print_stderr, reason = "this is the command line")]
fn fail(error: &dyn std::error::Error, code: u8, json: bool) -> u8 {
    if json {
        return say(&as_json(&Failure { error: error.to_string(), exit_code: code }), code);
    }
    eprintln!("ron-ledgerctl: {error}");
    code
}

/// Writes over the line of the terminal.
#[expect(clippy::print_stderr, reason = "this is the command line")]
fn progress_line(text: &str) {
    eprint!("\r\x1b[K{text}");
}
