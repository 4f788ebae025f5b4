//! `ron-bench SCENARIO [--json FILE|-]`.
#![forbid(unsafe_code)]

use std::path::PathBuf;

use bench::commit::{self, Plan};
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
    #[arg(long, default_value_t = 40)]
    batches: u32,
    /// The core for the committing thread; the last one by default.
    #[arg(long)]
    core: Option<usize>,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().scenario {
        Scenario::Commit(arguments) => {
            let last = core_affinity::get_core_ids().and_then(|cores| cores.last().map(|core| core.id));
            let plan = Plan {
                directory: arguments.directory,
                blocks: arguments.blocks,
                commits: arguments.commits,
                batches: arguments.batches,
                core: arguments.core.or(last),
            };
            commit::run(&plan, None)?.publish(arguments.json.as_deref())
        }
    }
}
