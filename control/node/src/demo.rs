//! `macronode demo`: a node under mixed traffic, killed in the middle, and every answer checked.
//!
//! Holds: the node is a process of this same binary on a directory of its own, talked to over HTTP
//! like any other; nothing that it says about itself is taken for true. Leaves to others: what a
//! proof is (`ledger`), what a receipt is (`wallet`).

mod audit;
mod books;
mod check;
mod child;
mod latency;
mod meter;
mod payer;
mod plan;
mod progress;
mod proofs;
mod report;
mod reporter;
mod traffic;
mod usage;
mod violation;
mod witness;

use std::{process::ExitCode, sync::Arc, time::Duration};

use clap::Args;
use engine::monotonic;
use model::Nanos;

pub(crate) use self::child::Passed;
use self::{
    audit::{Findings, audit},
    child::{Child, Home},
    latency::Latencies,
    meter::Meter,
    payer::Payer,
    plan::Kind,
    progress::Bar,
    report::Report,
    traffic::Crew,
    usage::Counted,
    violation::DemoError,
};
use crate::signals::Signals;

/// How the demo is run.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Options {
    /// Seconds of traffic; the kill comes in the middle.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(2..=60))]
    seconds: u16,
    /// Connections at once, each with an account of its own.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=256))]
    connections: u16,
    /// Leaves the node's directory in place and says where it is.
    #[arg(long)]
    keep: bool,
    /// Prints one JSON object instead of the table.
    #[arg(long)]
    json: bool,
}

/// Runs the demo: 0 if everything held, 1 if the node broke a promise.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is the command line")]
pub(crate) fn run(options: Options, passed: &Passed) -> ExitCode {
    match demo(options, passed) {
        Ok(report) if options.json => println!("{}", report.to_json()),
        Ok(report) => print!("{report}"),
        Err(error) => {
            eprintln!("macronode demo: {error}");
            return ExitCode::from(error.exit_code());
        }
    }
    ExitCode::SUCCESS
}

fn demo(options: Options, passed: &Passed) -> Result<Report, DemoError> {
    let directory = tempfile::Builder::new().prefix("macronode-demo-").tempdir();
    let mut directory = directory.map_err(DemoError::io("a temporary directory"))?;
    directory.disable_cleanup(options.keep);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(DemoError::io("a runtime"))?;
    let home = Home::new(directory.path());
    let kept = options.keep.then(|| directory.path().display().to_string());
    let done = runtime.block_on(async {
        tokio::select! {
            done = drive(options, passed, &home) => done,
            stopped = stopped() => Err(stopped),
        }
    });
    match (done, kept) {
        (Ok(report), directory) => Ok(Report { directory, ..report }),
        (Err(error), Some(directory)) => Err(DemoError::Kept { directory, error: Box::new(error) }),
        (Err(error), None) => Err(error),
    }
}

async fn stopped() -> DemoError {
    match Signals::listen() {
        Ok(mut signals) => {
            signals.first().await;
            DemoError::Interrupted
        }
        Err(error) => DemoError::io("signals")(error),
    }
}

/// What the traffic left behind.
struct Traffic {
    child: Child,
    crew: Crew,
    meter: Arc<Meter>,
    restart: Nanos,
}

async fn drive(options: Options, passed: &Passed, home: &Home) -> Result<Report, DemoError> {
    let Traffic { child, mut crew, meter, restart } = traffic(options, passed, home).await?;
    let held = crew.payers.iter_mut().flat_map(|payer| std::mem::take(&mut payer.held)).collect::<Vec<_>>();
    let kinds = [Kind::Transfer, Kind::Issue, Kind::Overdraw];
    let of_kind = |kind| count(held.iter().filter(|held| held.write.kind == kind));
    let [transfers, issues, refusals] = kinds.map(of_kind);

    let bar = Bar::begin("usage into the ledger", 1);
    let counted = Counted::of(&crew.payers, &crew.reporter);
    meter.settle(counted.sum(|tenant| tenant != reporter::TENANT)).await?;
    let windows = counted.check(&child).await?;
    bar.more(1);
    bar.end();

    let began = monotonic();
    let findings = audit(&child, held, crew.witness, windows, options.connections).await?;
    let checked = monotonic().since(began);
    let Findings { books, slices, head, direct, by_prefix, checkpoints } = findings;
    let payers = &crew.payers;
    let sum = |of: fn(&Payer) -> u64| payers.iter().map(of).sum::<u64>();
    let writes = transfers + issues + refusals;
    let reads = sum(|payer| payer.tally.reads);
    let repeats = sum(|payer| payer.tally.repeats);
    Ok(Report {
        connections: options.connections,
        traffic_s: seconds(crew.worked),
        transfers,
        issues,
        refusals,
        balance_reads: reads,
        repeats,
        settled: sum(|payer| payer.tally.settled),
        waits: sum(|payer| payer.tally.waits),
        writes_per_s: rate(writes, crew.worked),
        answers_per_s: rate(writes + reads + repeats, crew.worked),
        write_us: merged(payers, |payer| &payer.writes).quantiles(),
        read_us: merged(payers, |payer| &payer.reads).quantiles(),
        restart_ms: restart.as_millis(),
        entries: head.size,
        usage_entries: slices,
        root: hex::encode(head.root),
        log_key: child.log_key.to_string(),
        checkpoints,
        receipts: direct + by_prefix,
        receipts_direct: direct,
        receipts_by_prefix: by_prefix,
        accounts: books.accounts.len(),
        issued: books.issued().to_string(),
        usage_requests: counted.sum(|_| true).requests.to_string(),
        usage_tenants: counted.tenants(),
        usage_windows: windows,
        events: crew.reporter.events(),
        batches_resent: crew.reporter.resent,
        check_s: seconds(checked),
        violations: 0,
        directory: None,
    })
}

/// The traffic, with the kill in the middle of it.
async fn traffic(options: Options, passed: &Passed, home: &Home) -> Result<Traffic, DemoError> {
    let span = Duration::from_secs(u64::from(options.seconds)) / 2;
    let mut crew = Crew::new(options.connections);
    let child = Child::start(home, passed).await?;
    let meter = Meter::start(&child, passed.shards)?;
    crew.payers.iter_mut().for_each(|payer| payer.meter(Arc::clone(&meter)));
    let bar = Bar::begin("traffic, SIGKILL in the middle", u64::from(options.seconds) * 1_000);
    crew.work_until_kill(child, span, &bar).await?;
    let killed = monotonic();
    let mut child = Child::start(home, passed).await?;
    let restart = monotonic().since(killed);
    crew.work(&mut child, span, &bar).await?;
    bar.end();
    Ok(Traffic { child, crew, meter, restart })
}

fn merged(payers: &[Payer], of: fn(&Payer) -> &Latencies) -> Latencies {
    let mut all = Latencies::new();
    payers.iter().for_each(|payer| all.add(of(payer)));
    all
}

fn count(of: impl Iterator) -> u64 {
    u64::try_from(of.count()).expect("a count")
}

fn seconds(span: Nanos) -> f64 {
    Duration::from_nanos(span.0).as_secs_f64()
}

fn rate(events: u64, span: Nanos) -> f64 {
    // Counts of a minute are far below 2^32, where a float is exact.
    f64::from(u32::try_from(events).unwrap_or(u32::MAX)) / seconds(span).max(1e-9)
}
