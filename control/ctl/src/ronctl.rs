//! The command line of `ronctl`.

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand, ValueEnum};
use wire::admin::{ChaosStatus, Fault, Inject, NodeStatus, Outcome, Target, Verb};

use crate::{
    admin_client::{ask, find},
    exit,
    snapshot::{CreateParams, create},
};

const CODES: &str = "Exit codes: 0 ready, or done; 1 the node refuses; 2 usage; 3 not ready; 4 nobody answers; \
76 an answer of another version; 77 permission denied.";

/// Milliseconds of latency if nobody says how many.
const LATENCY_MILLIS: u64 = 100;

/// Asks a running node over its admin socket.
#[derive(Debug, Parser)]
#[command(name = "ronctl", version, after_help = CODES)]
struct Arguments {
    /// The node's admin socket.
    #[arg(long, global = true)]
    socket: Option<PathBuf>,
    /// The node's data directory, in which it has noted its socket.
    #[arg(long, global = true, conflicts_with = "socket")]
    data_dir: Option<PathBuf>,
    /// Answers in JSON, one object on standard output.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// How the node is; exit code 3 if it is not ready.
    Status,
    /// Injects faults into a node that runs with `chaos.enabled = true`.
    Chaos {
        #[command(subcommand)]
        action: ChaosAction,
    },
    /// Of the node's ledger.
    #[command(subcommand)]
    Ledger(LedgerAction),
}

#[derive(Debug, Subcommand)]
enum LedgerAction {
    /// The whole ledger as one signed archive: `ron-ledgerctl snapshot create` of the node that answers.
    Snapshot {
        /// The file to make; one that is there is not written over.
        #[arg(long)]
        out: PathBuf,
        /// Reads at most as many MiB a second.
        #[arg(long)]
        mib_per_s: Option<u32>,
    },
}

#[derive(Debug, Subcommand)]
enum ChaosAction {
    /// Begins a fault; it ends by itself.
    Inject {
        /// Whose requests.
        #[arg(long)]
        target: RoleName,
        /// What happens to them.
        #[arg(long)]
        fault: FaultName,
        /// Milliseconds that each request waits; with `latency` only, and then 100 if left out.
        #[arg(long)]
        millis: Option<u64>,
        /// Seconds until it ends.
        #[arg(long, default_value_t = 60)]
        for_secs: u64,
    },
    /// Ends faults.
    Clear {
        /// Whose; left out, everybody's.
        #[arg(long)]
        target: Option<RoleName>,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RoleName {
    #[value(alias = "ron-ledger")]
    Ledger,
    #[value(alias = "svc-wallet")]
    Wallet,
    #[value(alias = "ron-accounting")]
    Accounting,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FaultName {
    /// Requests wait before they are looked at.
    Latency,
    /// Requests are done, and their connection is closed in place of the answer.
    Disconnect,
}

impl RoleName {
    const fn target(self) -> Target {
        match self {
            Self::Ledger => Target::Ledger,
            Self::Wallet => Target::Wallet,
            Self::Accounting => Target::Accounting,
        }
    }
}

impl Command {
    fn verb(&self) -> Verb {
        match self {
            // Where a snapshot is to be made of is in the node's state.
            Self::Status | Self::Ledger(_) => Verb::Status {},
            Self::Chaos { action: ChaosAction::Inject { target, fault, millis, for_secs } } => {
                let fault = match fault {
                    FaultName::Latency => Fault::Latency,
                    FaultName::Disconnect => Fault::Disconnect,
                };
                let usual = if fault == Fault::Latency { LATENCY_MILLIS } else { 0 };
                let (target, millis, for_secs) = (target.target(), millis.unwrap_or(usual), *for_secs);
                Verb::ChaosInject(Inject { target, fault, millis, for_secs })
            }
            Self::Chaos { action: ChaosAction::Clear { target } } => {
                Verb::ChaosClear { target: target.map(RoleName::target) }
            }
        }
    }
}

/// Runs `ronctl` and gives its exit code.
#[must_use]
#[expect(clippy::print_stderr, reason = "this is the command line")]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let socket = find(arguments.socket.as_deref(), arguments.data_dir.as_deref(), runtime.as_deref());
    let outcome = match ask(&socket, arguments.command.verb()) {
        Ok(outcome) => outcome,
        Err(error) => {
            eprintln!("ronctl: {error}");
            return ExitCode::from(error.exit_code());
        }
    };
    if let (Command::Ledger(action), Outcome::Status(status)) = (&arguments.command, &outcome) {
        return snapshot_of(status, action, arguments.json);
    }
    let (text, code) = told(&outcome);
    let json = || serde_json::to_string_pretty(&outcome).expect("an answer is texts and numbers") + "\n";
    match (&outcome, arguments.json) {
        (_, true) => say(&json()),
        (Outcome::Error(_), false) => eprint!("ronctl: {text}"),
        (Outcome::Status(_) | Outcome::Chaos(_), false) => say(&text),
    }
    ExitCode::from(code)
}

#[expect(clippy::print_stderr, reason = "this is the command line")]
fn snapshot_of(status: &NodeStatus, action: &LedgerAction, json: bool) -> ExitCode {
    let LedgerAction::Snapshot { out, mib_per_s } = action;
    let (data_dir, out, mib_per_s) = (PathBuf::from(&status.data_dir), out.clone(), *mib_per_s);
    match create(&CreateParams { data_dir, keys: None, out, mib_per_s }) {
        Ok(created) if json => {
            say(&(serde_json::to_string_pretty(&created).expect("texts and numbers") + "\n"));
            ExitCode::from(exit::OK)
        }
        Ok(created) => {
            say(&created.text());
            ExitCode::from(exit::OK)
        }
        Err(error) => {
            eprintln!("ronctl: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// A reader that has gone is no reason for another code.
fn say(text: &str) {
    drop(std::io::stdout().lock().write_all(text.as_bytes()));
}

/// An answer for people, and the exit code that says the same.
fn told(outcome: &Outcome) -> (String, u8) {
    match outcome {
        Outcome::Status(status) => {
            (status_text(status), if status.ready { exit::OK } else { exit::NOT_READY })
        }
        Outcome::Chaos(chaos) => (chaos_text(chaos) + "\n", exit::OK),
        Outcome::Error(refusal) => (refusal.message.clone() + "\n", exit::FOUND),
    }
}

fn status_text(status: &NodeStatus) -> String {
    let word = |ready: bool, degraded: bool| match (ready, degraded) {
        (true, false) => "ready",
        (true, true) => "ready, degraded",
        (false, _) => "NOT READY",
    };
    let NodeStatus { service, version, git, pid, uptime_secs, ledger, .. } = status;
    let mut lines = vec![format!(
        "{service} {version} ({git}), process {pid}, up {uptime_secs} s: {}",
        word(status.ready, status.degraded)
    )];
    for role in &status.roles {
        let why = if role.reason.is_empty() { String::new() } else { format!(" ({})", role.reason) };
        let state = word(role.ready, role.degraded);
        lines.push(format!(
            "  {:<15} http://{} admin http://{}: {state}{why}",
            role.name, role.http, role.admin
        ));
    }
    lines.push(format!("  data            {}", status.data_dir));
    lines.push(format!(
        "  ledger          {}, incarnation {}, epoch {}",
        ledger.id, ledger.incarnation, ledger.epoch
    ));
    lines.push(format!("  durable         entry {}", ledger.durable_seq));
    lines.push(format!("  root            {} of {} entries at {}", ledger.root, ledger.size, ledger.at));
    let mode =
        if ledger.safe_mode { "SAFE MODE: a write failed; no writes until a restart" } else { "none waits" };
    let mode = match (ledger.safe_mode, ledger.intake_depth) {
        (false, 1..) => format!("{} of {} calls wait", ledger.intake_depth, ledger.intake_capacity),
        _ => mode.to_owned(),
    };
    lines
        .push(format!("  writes          {mode}; oldest frame in flight {} ms", ledger.committer_lag_millis));
    lines.push(format!("  log key         {}", status.log_key));
    lines.push(format!("  {}", chaos_text(&status.chaos)));
    lines.join("\n") + "\n"
}

fn chaos_text(chaos: &ChaosStatus) -> String {
    if !chaos.enabled {
        return "chaos           not enabled".into();
    }
    let faults = chaos.faults.iter().map(|fault| {
        let millis =
            if fault.fault == Fault::Latency { format!(" {} ms", fault.millis) } else { String::new() };
        let (word, target) = (fault.fault.word(), fault.target.word());
        format!("{word}{millis} at {target}, {} s left, met by {} requests", fault.left_secs, fault.met)
    });
    let faults: Vec<String> = faults.collect();
    let faults = if faults.is_empty() { "no faults".into() } else { faults.join("; ") };
    format!("chaos           ENABLED: {faults}")
}

#[cfg(test)]
mod tests {
    use wire::admin::{FaultStatus, LedgerStatus, RoleStatus};

    use super::*;

    fn status(ready: bool) -> NodeStatus {
        let role = |name: &str, reason: &str| RoleStatus {
            name: name.into(),
            ready,
            degraded: !ready,
            reason: reason.into(),
            http: "127.0.0.1:1".into(),
            admin: "127.0.0.1:2".into(),
        };
        NodeStatus {
            service: "macronode".into(),
            version: "0.1.0".into(),
            git: "abc".into(),
            pid: 9,
            uptime_secs: 4,
            data_dir: "/d".into(),
            log_key: "log+1+k".into(),
            ready,
            degraded: !ready,
            roles: vec![role("svc-wallet", if ready { "" } else { "ledger: safe_mode" })],
            ledger: LedgerStatus {
                id: "07".into(),
                incarnation: 1,
                epoch: 3,
                durable_seq: 12,
                size: 12,
                root: "ab".into(),
                at: "2025-10-16T16:11:02.000Z".into(),
                safe_mode: !ready,
                intake_depth: 0,
                intake_capacity: 64,
                committer_lag_millis: 0,
            },
            chaos: ChaosStatus::default(),
        }
    }

    #[test]
    fn what_is_said_and_the_exit_code_agree() {
        let (text, code) = told(&Outcome::Status(Box::new(status(true))));
        assert!(code == 0 && text.starts_with("macronode 0.1.0 (abc), process 9, up 4 s: ready\n"), "{text}");
        for line in ["epoch 3", "entry 12", "ab of 12 entries", "log+1+k", "not enabled", "none waits"] {
            assert!(text.contains(line), "{line}: {text}");
        }
        let mut sick = status(false);
        let (fault, target) = (Fault::Latency, Target::Wallet);
        sick.chaos = ChaosStatus {
            enabled: true,
            faults: vec![FaultStatus { target, fault, millis: 5, left_secs: 2, met: 7 }],
        };
        let (text, code) = told(&Outcome::Status(Box::new(sick)));
        assert_eq!(code, 3);
        for line in
            ["NOT READY (ledger: safe_mode)", "SAFE MODE", "latency 5 ms at wallet, 2 s left, met by 7"]
        {
            assert!(text.contains(line), "{line}: {text}");
        }
    }

    #[test]
    fn the_names_of_the_runbooks_are_taken() {
        let line = "ronctl chaos inject --target svc-wallet --fault=latency";
        let arguments = Arguments::try_parse_from(line.split(' ')).unwrap();
        let inject = Inject { target: Target::Wallet, fault: Fault::Latency, millis: 100, for_secs: 60 };
        assert_eq!(arguments.command.verb(), Verb::ChaosInject(inject));
    }
}
