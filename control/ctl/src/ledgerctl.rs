//! The command line of `ron-ledgerctl`.

use std::{
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use model::Text;
use serde::Serialize;

use crate::{
    archive, check_receipt, exit,
    ship::Shipping,
    snapshot::{self, CreateParams, Created, Point, RestoreParams, Restored, SnapshotError, VerifyParams},
    verify,
};

/// Bytes of a proof document at most; more is not read.
const DOCUMENT_BYTES_MAX: u64 = 1 << 20;
/// Frames between two words about progress.
const PROGRESS_EVERY: u64 = 1_024;
/// How long `ship --follow` waits before it looks again.
const FOLLOW_EVERY: rustix::time::Timespec = rustix::time::Timespec { tv_sec: 1, tv_nsec: 0 };

/// Audits a ledger from its files, receipts from their own bytes; ships sealed segments; makes, audits and
/// restores snapshots.
#[derive(Debug, Parser)]
#[command(name = "ron-ledgerctl", version, after_help = CODES)]
struct Arguments {
    /// Answers in JSON, one object on standard output.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

const CODES: &str = "Exit codes: 0 clean; 1 something does not hold; 2 usage; 65 not a proof document, not an archive, no whole snapshot; \
66 no ledger or no file here; 73 something is there under the name; 77 permission denied; 80 the superblock cannot be believed; \
81 segments without a superblock; 84 a frame format of another build; 87 no space; 91 the kernel refuses; 93 the device does not give up the bytes; \
94 not the log's key; 99 the archive is another's or does not reach.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Re-reads a whole journal and recomputes everything that it claims.
    Verify {
        /// The node's data directory, or the directory that holds `superblock`.
        #[arg(long)]
        data_dir: PathBuf,
    },
    /// Copies the segments that the journal has left to an archive, beside a running node. Run again, it
    /// goes on where it ended.
    Ship(ShipArguments),
    /// Checks the answer to `GET /v1/tx/{txid}/proof` offline.
    VerifyReceipt {
        /// The answer, as it came.
        file: PathBuf,
        /// The log's verifier key, as the node prints it (`log key`) and keeps it in `keys/log.vkey`.
        #[arg(long)]
        key: String,
    },
    /// The whole ledger as one signed archive.
    #[command(subcommand)]
    Snapshot(SnapshotCommand),
}

#[derive(Clone, Debug, Subcommand)]
enum SnapshotCommand {
    /// Makes one, beside a running node or of a stopped one.
    Create {
        /// The file to make, such as `snap.tar.zst`; one that is there is not written over.
        #[arg(long)]
        out: PathBuf,
        /// The node's data directory, or the directory that holds `superblock`.
        #[arg(long, default_value = "macronode-data")]
        data_dir: PathBuf,
        /// The node's keys; left out, `keys` beside the ledger.
        #[arg(long)]
        keys: Option<PathBuf>,
        /// Reads at most as many MiB a second.
        #[arg(long)]
        mib_per_s: Option<u32>,
    },
    /// Checks signature and hashes, then audits every entry in it.
    Verify {
        /// The archive.
        file: PathBuf,
        /// The log's verifier key; left out, the one in the archive is believed, and shown.
        #[arg(long)]
        key: Option<String>,
        /// Where it is unpacked for the audit, if not in the system's temporary directory.
        #[arg(long)]
        scratch: Option<PathBuf>,
    },
    /// Restores one into an absent or empty directory, in a new life of the ledger.
    Restore {
        /// The archive.
        file: PathBuf,
        /// The node's data directory to be.
        #[arg(long)]
        to_dir: PathBuf,
        /// Ends at the last frame at or before this entry, or this time (RFC 3339).
        #[arg(long, value_parser = Point::parse)]
        to: Option<Point>,
        /// The log's verifier key; left out, the one in the archive is believed, and shown.
        #[arg(long)]
        key: Option<String>,
        /// Goes on in the life that it had: only if the old data directory is never started again and had
        /// no entry after these.
        #[arg(long)]
        same_life: bool,
        /// Why, at most 64 plain characters, for the first entry of the new life.
        #[arg(long, value_parser = reason)]
        reason: Option<Text>,
    },
}

fn reason(text: &str) -> Result<Text, String> {
    Text::new(text).ok_or_else(|| "at most 64 visible ASCII characters".into())
}

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
struct ShipArguments {
    /// The archive: a directory, made if it is not there.
    #[arg(long, required = true)]
    to: Option<PathBuf>,
    /// The node's data directory, or the directory that holds `superblock`.
    #[arg(long, required = true)]
    data_dir: Option<PathBuf>,
    /// The node's keys; left out, `keys` beside the ledger.
    #[arg(long)]
    keys: Option<PathBuf>,
    /// Goes on shipping until it is stopped.
    #[arg(long)]
    follow: bool,
    #[command(subcommand)]
    command: Option<ShipCommand>,
}

#[derive(Debug, Subcommand)]
enum ShipCommand {
    /// Checks an archive against its index, and audits every entry in it.
    Verify {
        /// The archive.
        dir: PathBuf,
        /// The log's verifier key, as the node prints it; left out, the one in the archive is believed.
        #[arg(long)]
        key: Option<String>,
    },
}

/// Runs `ron-ledgerctl` and gives its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let code = match &arguments.command {
        Command::Verify { data_dir } => run_verify(data_dir, arguments.json),
        Command::Ship(asked) => run_ship(asked, arguments.json),
        Command::VerifyReceipt { file, key } => run_receipt(file, key, arguments.json),
        Command::Snapshot(command) => run_snapshot(command, arguments.json),
    };
    ExitCode::from(code)
}

/// Tells a terminal how far the work is.
fn with_progress<T>(work: impl FnOnce(&mut dyn FnMut(u64, u64)) -> T) -> T {
    let terminal = std::io::stderr().is_terminal();
    let mut progress = |frames: u64, bytes: u64| {
        if terminal && frames.is_multiple_of(PROGRESS_EVERY) {
            progress_line(&format!("{frames} frames, {} MiB", bytes >> 20));
        }
    };
    let outcome = work(&mut progress);
    if terminal {
        progress_line("");
    }
    outcome
}

fn run_verify(data_dir: &Path, json: bool) -> u8 {
    match with_progress(|progress| verify(data_dir, progress)) {
        Ok(report) => {
            let text = if json { as_json(&report) } else { report.text() };
            let code = if report.clean { exit::OK } else { exit::FOUND };
            say(&text, code)
        }
        Err(error) => fail(&error, error.exit_code(), json),
    }
}

fn run_ship(asked: &ShipArguments, json: bool) -> u8 {
    match (&asked.command, &asked.data_dir, &asked.to) {
        (Some(ShipCommand::Verify { dir, key }), ..) => run_archive_check(dir, key.as_deref(), json),
        (None, Some(data_dir), Some(to)) => ship_to(data_dir, to, asked, json),
        (None, ..) => unreachable!("clap asks for both"),
    }
}

fn ship_to(data_dir: &Path, to: &Path, asked: &ShipArguments, json: bool) -> u8 {
    let mut shipping = match Shipping::open(data_dir, asked.keys.as_deref(), to) {
        Ok(shipping) => shipping,
        Err(error) => return fail(&error, error.exit_code(), json),
    };
    loop {
        let mut told = |segment| {
            if asked.follow {
                say(&format!("shipped segment {segment}\n"), exit::OK);
            }
        };
        match shipping.run(&mut told) {
            Ok(_) if asked.follow => {
                // Woken early by a signal it looks early.
                let _ = rustix::thread::nanosleep(&FOLLOW_EVERY);
            }
            Ok(report) => return say(&if json { as_json(report) } else { report.text() }, exit::OK),
            Err(error) => return fail(&error, error.exit_code(), json),
        }
    }
}

fn run_archive_check(dir: &Path, key: Option<&str>, json: bool) -> u8 {
    let key = match key.map(ledger::NoteVerifier::parse).transpose() {
        Ok(key) => key,
        Err(error) => return fail(&error, exit::USAGE, json),
    };
    let outcome = with_progress(|progress| archive::check(dir, key.as_ref(), progress));
    match outcome {
        Ok(report) => {
            let text = if json { as_json(&report) } else { report.text() };
            say(&text, if report.clean { exit::OK } else { exit::FOUND })
        }
        Err(error) => fail(&error, error.exit_code(), json),
    }
}

fn run_snapshot(command: &SnapshotCommand, json: bool) -> u8 {
    match command.clone() {
        SnapshotCommand::Create { out, data_dir, keys, mib_per_s } => {
            told(snapshot::create(&CreateParams { data_dir, keys, out, mib_per_s }), json, Created::text)
        }
        SnapshotCommand::Verify { file, key, scratch } => {
            let params = VerifyParams { file, key, scratch };
            match with_progress(|progress| snapshot::verify_snapshot(&params, progress)) {
                Ok(report) => {
                    let code = if report.audit.clean { exit::OK } else { exit::FOUND };
                    say(&if json { as_json(&report) } else { report.text() }, code)
                }
                Err(error) => fail(&error, error.exit_code(), json),
            }
        }
        SnapshotCommand::Restore { file, to_dir, to, key, same_life, reason } => {
            let params = RestoreParams { file, key, to_dir, to, same_life, reason };
            told(with_progress(|progress| snapshot::restore(&params, progress)), json, Restored::text)
        }
    }
}

fn told<T: Serialize>(outcome: Result<T, SnapshotError>, json: bool, text: fn(&T) -> String) -> u8 {
    match outcome {
        Ok(done) => say(&if json { as_json(&done) } else { text(&done) }, exit::OK),
        Err(error) => fail(&error, error.exit_code(), json),
    }
}

fn run_receipt(file: &Path, key: &str, json: bool) -> u8 {
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
