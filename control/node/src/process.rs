//! The process: start the ledger, serve HTTP, wait for a signal, drain, stop.

use std::{process::ExitCode, time::Duration};

use engine::{Birth, Direct, LedgerParams, LedgerRole, StoreParams, Wanted, cores, plan, wall};
use model::LedgerId;
use server::{LedgerTelemetry, Registry};

use crate::{
    cli::Build,
    descriptors,
    http::Http,
    keys::{KeyError, Keys, own_dir, private_dir, random},
    logging,
    observer::TelemetryObserver,
    params::Params,
    signals::Signals,
    start_error::StartError,
    terminal, token,
};

/// Runs the node until SIGTERM or SIGINT.
pub(crate) fn run(build: &Build, params: &Params) -> ExitCode {
    match start(build, params) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(74),
        Err(error) => {
            terminal::complain(&format!("{}: {error}\n", build.service));
            ExitCode::from(error.exit_code())
        }
    }
}

fn start(build: &Build, params: &Params) -> Result<bool, StartError> {
    logging::begin(logging::parse(&params.log).expect("checked with the settings"));
    descriptors::raise();
    own_dir(&params.data_dir)?;
    private_dir(&params.data_dir.join("ledger"))?;
    let keys = Keys::open(&params.data_dir.join("keys"))?;
    let keyring = token::keyring(&keys)?;
    let seed = keys.secret("checkpoint.key")?;
    let signer = ledger::NoteSigner::new(&params.ledger.origin, &seed)?;
    let vkey = signer.verifier().to_string();
    token::tell_log_key(&keys, &vkey)?;
    drop(keys);
    let registries = (Registry::new(), Registry::new());
    let telemetry = LedgerTelemetry::register(&registries.0)?;
    let observer = Box::new(TelemetryObserver(telemetry.clone()));
    let role = LedgerRole::start(&ledger_params(params), &birth()?, signer, observer)?;
    let (store, io) = (&role.report.store, role.report.backend.kind);
    tracing::info!(
        report = ?role.report,
        "ledger opened io={io:?} created={} replayed_frames={}",
        store.created,
        store.frames
    );
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(control_threads()).enable_all().build()?;
    let served: Result<(), StartError> = runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let http = Http::start(build, params, &role, keyring, telemetry, &registries, &vkey).await?;
        http.announce(&params.data_dir, &vkey);
        let signal = signals.first().await;
        tracing::info!("{signal}: no new requests, what was taken is finished");
        http.drain().await;
        Ok(())
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    let clean = role.stop();
    tracing::info!("stopped clean={clean}");
    served.map(|()| clean)
}

/// Threads of the control plane: the committer's core is left out, and a few do for any host.
fn control_threads() -> usize {
    cores().len().saturating_sub(1).clamp(1, 4)
}

fn birth() -> Result<Birth, KeyError> {
    let id = random()?;
    Ok(Birth {
        ledger: LedgerId(*id.first_chunk().expect("32 bytes hold 16")),
        frame_key: *random()?,
        ledger_secret: *random()?,
        created: wall(),
    })
}

fn ledger_params(params: &Params) -> LedgerParams {
    let ledger = &params.ledger;
    let placement = plan(&cores(), Wanted { shards: params.accounting.shards, committer: ledger.core });
    LedgerParams {
        store: StoreParams {
            directory: params.data_dir.join("ledger"),
            hash: ledger.hash,
            segment_bytes: ledger.segment_bytes,
            accounts_max: ledger.accounts_max,
            keys_max: ledger.keys_max,
            direct: Direct::Preferred,
        },
        io: ledger.io,
        frames_in_flight: ledger.frames_in_flight,
        core: placement.committer,
        spin: ledger.spin,
        batch_max_entries: ledger.batch_max_entries,
        ingress: ledger.ingress,
        slice_lanes: 0,
        max_forward_jump: ledger.max_forward_jump,
    }
}
