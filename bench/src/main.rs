//! `ron-bench SCENARIO [--json FILE|-]`.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::time::Duration;

use bench::affinity::cores;
use bench::commit::{self, Plan};
use bench::ledger_under_test::SIDES;
use bench::node_process::{binary, built};
use bench::{snapshot, start, storage, wallet};
use clap::{Args, Parser, Subcommand};

/// Measures the system beside the machine and its peers, in one run.
#[derive(Debug, Parser)]
#[command(name = "ron-bench", version)]
struct Arguments {
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Debug, Subcommand)]
enum Scenario {
    /// Durable commits beside a bare ring that does the same writes.
    Commit(CommitArguments),
    /// The journal beside `fio` and a bare ring, its replay, and its bytes.
    Storage(StorageArguments),
    /// Lone transfers while snapshots of the ledger are made beside them.
    Snapshot(SnapshotArguments),
    /// Durable transfers over HTTP against a node in its own process.
    Wallet(WalletArguments),
    /// From the start of a node's process to ready, in three ways.
    Start(StartArguments),
}

#[derive(Debug, Args)]
struct CommitArguments {
    /// Where the result goes as one JSON object; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// A directory on the device under test.
    #[arg(long, value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// Pairs of alternating blocks for each comparison.
    #[arg(long, default_value_t = 20)]
    blocks: usize,
    /// Lone commits in a block.
    #[arg(long, default_value_t = 500)]
    commits: u32,
    /// Full batches in a block.
    #[arg(long, default_value_t = 12)]
    batches: u32,
    /// The core for the committing thread; the last one by default.
    #[arg(long)]
    core: Option<usize>,
}

#[derive(Debug, Args)]
struct StorageArguments {
    /// Where the result goes as one JSON object; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// A directory on the device under test.
    #[arg(long, value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// Pairs of alternating blocks for each comparison.
    #[arg(long, default_value_t = 20)]
    blocks: usize,
    /// Lone frames in a block.
    #[arg(long, default_value_t = 500)]
    commits: u32,
    /// Frames of 256 KiB in a block.
    #[arg(long, default_value_t = 256)]
    frames: u32,
    /// Transfers of the journal that is replayed, in full batches.
    #[arg(long, default_value_t = 1_000_000)]
    transfers: u32,
    /// Accounts that they are between.
    #[arg(long, default_value_t = 10_000)]
    accounts: usize,
    /// Starts that replay it, with tiles and without.
    #[arg(long, default_value_t = 5)]
    starts: usize,
    /// The core for the committing thread; the last one by default.
    #[arg(long)]
    core: Option<usize>,
}

#[derive(Debug, Args)]
struct SnapshotArguments {
    /// Where the result goes as one JSON object; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// A directory on the device under test.
    #[arg(long, value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// `ron-ledgerctl`; the one beside this by default.
    #[arg(long, value_name = "PATH")]
    tool: Option<PathBuf>,
    /// Pairs of alternating blocks.
    #[arg(long, default_value_t = 20)]
    blocks: usize,
    /// Lone transfers in a block.
    #[arg(long, default_value_t = 2_000)]
    commits: u32,
    /// Transfers of the journal before the first block, in full batches.
    #[arg(long, default_value_t = 500_000)]
    transfers: u32,
    /// The core for the committing thread; the last one by default.
    #[arg(long)]
    core: Option<usize>,
}

#[derive(Debug, Args)]
struct WalletArguments {
    #[command(flatten)]
    node: NodeArguments,
    /// Keep-alive connections.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Accounts that money moves between.
    #[arg(long, default_value_t = 10_000)]
    accounts: usize,
    /// Rounds of each kind of load.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Milliseconds of a round.
    #[arg(long, default_value_t = 3_000)]
    round_ms: u64,
    /// Milliseconds that the idle node is watched.
    #[arg(long, default_value_t = 10_000)]
    idle_ms: u64,
}

#[derive(Debug, Args)]
struct StartArguments {
    #[command(flatten)]
    node: NodeArguments,
    /// Starts of each kind.
    #[arg(long, default_value_t = 9)]
    starts: usize,
    /// Entries behind the last checkpoint at the kill, at most.
    #[arg(long, default_value_t = 99_000)]
    entries: u32,
}

#[derive(Debug, Args)]
struct NodeArguments {
    /// Where the result goes as one JSON object; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// A directory on the device under test.
    #[arg(long, value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// The node's binary; the one beside this by default.
    #[arg(long, value_name = "PATH")]
    node: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().scenario {
        Scenario::Commit(arguments) => {
            let plan = Plan {
                directory: arguments.directory,
                blocks: arguments.blocks,
                commits: arguments.commits,
                batches: arguments.batches,
                core: arguments.core.or(cores().last().copied()),
            };
            commit::run(&plan, &SIDES)?.publish(arguments.json.as_deref())
        }
        Scenario::Storage(arguments) => {
            let plan = storage::Plan {
                directory: arguments.directory,
                blocks: arguments.blocks,
                commits: arguments.commits,
                frames: arguments.frames,
                transfers: arguments.transfers,
                accounts: arguments.accounts,
                starts: arguments.starts,
                core: arguments.core.or(cores().last().copied()),
            };
            storage::run(&plan)?.publish(arguments.json.as_deref())
        }
        Scenario::Snapshot(arguments) => {
            let plan = snapshot::Plan {
                directory: arguments.directory,
                tool: built(arguments.tool, "ron-ledgerctl", "ctl", "--tool")?,
                blocks: arguments.blocks,
                commits: arguments.commits,
                transfers: arguments.transfers,
                core: arguments.core.or(cores().last().copied()),
            };
            snapshot::run(&plan)?.publish(arguments.json.as_deref())
        }
        Scenario::Wallet(arguments) => {
            let plan = wallet::Plan {
                directory: arguments.node.directory,
                node: binary(arguments.node.node)?,
                connections: arguments.connections,
                accounts: arguments.accounts,
                rounds: arguments.rounds,
                round: Duration::from_millis(arguments.round_ms),
                idle: Duration::from_millis(arguments.idle_ms),
            };
            wallet::run(&plan)?.publish(arguments.node.json.as_deref())
        }
        Scenario::Start(arguments) => {
            let plan = start::Plan {
                directory: arguments.node.directory,
                node: binary(arguments.node.node)?,
                starts: arguments.starts,
                entries: arguments.entries,
            };
            start::run(&plan)?.publish(arguments.node.json.as_deref())
        }
    }
}
