//! The process: start the ledger, serve HTTP, wait for a signal, drain, stop.

use std::{process::ExitCode, time::Duration};

use engine::{
    Birth, LedgerParams, LedgerRole, Placement, StoreParams, UsageError, UsageRole, Wanted, cores, plan, wall,
};
use model::LedgerId;
use server::{AccountingTelemetry, LedgerTelemetry};

use crate::{
    cli::Build,
    descriptors,
    http::{Http, Registries, Roles},
    keys::{KeyError, Keys, own_dir, private_dir, random},
    logging,
    observer::TelemetryObserver,
    params::Params,
    place,
    signals::Signals,
    start_error::StartError,
    storage, terminal, token,
    usage::{ExportObserver, usage_params},
};

/// Runs the node until SIGTERM or SIGINT.
pub(crate) fn run(build: &Build, params: &Params, new_ledger: bool) -> ExitCode {
    match start(build, params, new_ledger) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(74),
        Err(error) => {
            terminal::complain(&format!("{}: {error}\n", build.service));
            ExitCode::from(error.exit_code())
        }
    }
}

fn start(build: &Build, params: &Params, new_ledger: bool) -> Result<bool, StartError> {
    logging::begin(logging::parse(&params.log).expect("checked with the settings"));
    descriptors::raise(params.accounting.shards)?;
    // Before the first ring: before Linux 5.12 its memory counts against this limit.
    if let Err(error) = disk::raise_memlock() {
        tracing::warn!("the limit on locked memory could not be raised: {error}");
    }
    let ram = storage::in_memory(&params.ledger.storage)?;
    let params = &match &ram {
        Some(ram) => Params { data_dir: ram.path().into(), ..params.clone() },
        None => params.clone(),
    };
    place::check(&params.data_dir, new_ledger)?;
    own_dir(&params.data_dir)?;
    private_dir(&params.data_dir.join("ledger"))?;
    let keys = Keys::open(&params.data_dir.join("keys"))?;
    let keyring = token::keyring(&keys)?;
    let seed = keys.secret("checkpoint.key")?;
    let signer = ledger::NoteSigner::new(&params.ledger.origin, &seed)?;
    let vkey = signer.verifier().to_string();
    let registries = Registries::default();
    let telemetry = LedgerTelemetry::register(&registries.ledger)?;
    let observer = Box::new(TelemetryObserver(telemetry.clone()));
    let placement =
        plan(&cores(), Wanted { shards: params.accounting.shards, committer: params.ledger.core });
    let role = LedgerRole::start(&ledger_params(params, &placement), &birth()?, signer, observer)?;
    // Once there is a ledger: `place` takes this key for the sign of one.
    token::tell_log_key(&keys, &vkey)?;
    drop(keys);
    let storage = storage::opened(&role.report, &params.ledger.storage);
    telemetry.storage(&storage);
    let accounting = AccountingTelemetry::register(&registries.accounting)?;
    let usage = start_usage(params, placement, &role, &accounting)?;
    let roles = Roles { ledger: &role, telemetry, storage, usage: &usage, accounting };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(control_threads()).enable_all().build()?;
    let served: Result<(), StartError> = runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let http = Http::start(build, params, roles, keyring, &registries, &vkey).await?;
        http.announce(&params.data_dir, ram.is_some(), &vkey);
        let signal = signals.first().await;
        tracing::info!("{signal}: no new requests, what was taken is finished");
        http.drain().await;
        Ok(())
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    // What was counted goes into the ledger before that stops.
    let drained = usage.stop();
    if !drained {
        tracing::warn!("some usage is not in the ledger; producers that kept it send it again");
    }
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

fn start_usage(
    params: &Params,
    placement: Placement,
    ledger: &LedgerRole,
    telemetry: &AccountingTelemetry,
) -> Result<UsageRole, StartError> {
    let secret = u64::from_le_bytes(*random()?.first_chunk().expect("32 bytes hold 8"));
    let usage = usage_params(params, placement.shards, secret).map_err(UsageError::from)?;
    let observer = || Box::new(ExportObserver(telemetry.clone())) as Box<dyn engine::UsageObserver>;
    let role = UsageRole::start(&usage, &ledger.slices, &ledger.reads, observer)?;
    let executor = if role.report.is_ring { "glommio" } else { "epoll" };
    tracing::info!(
        report = ?role.report,
        "accounting opened executor={executor} restored_slices={}",
        role.report.restored
    );
    Ok(role)
}

fn ledger_params(params: &Params, placement: &Placement) -> LedgerParams {
    let ledger = &params.ledger;
    LedgerParams {
        store: StoreParams {
            directory: params.data_dir.join("ledger"),
            hash: ledger.hash,
            segment_bytes: ledger.segment_bytes,
            accounts_max: ledger.accounts_max,
            keys_max: ledger.keys_max,
            direct: ledger.storage.direct,
            mirror: ledger.mirror.clone(),
        },
        io: ledger.storage.io,
        commit: ledger.storage.commit,
        frames_in_flight: ledger.frames_in_flight,
        core: placement.committer,
        spin: ledger.spin,
        batch_max_entries: ledger.batch_max_entries,
        ingress: ledger.ingress,
        slice_lanes: usize::from(params.accounting.shards),
        max_forward_jump: ledger.max_forward_jump,
    }
}
