//! The process: start the ledger, serve HTTP, wait for a signal, drain, stop.

use std::{net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use engine::{Birth, Direct, LedgerParams, LedgerRole, OpenError, StoreParams, Wanted, cores, plan, wall};
use model::LedgerId;
use server::{
    Admin, Authority, CorrMaker, Front, HttpParams, HttpTelemetry, LedgerPort, LedgerTelemetry, MoneyParts,
    ProcessTelemetry, Registry, Role, Service, Site, Version, WalletTelemetry, admin_router, ledger_router,
    serve, wallet_router,
};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use crate::{
    cli::Build,
    clock::HostClock,
    endpoints::Endpoints,
    keys::{KeyError, Keys, random},
    ledger_port::LocalLedger,
    logging,
    observer::TelemetryObserver,
    params::Params,
    readiness::{LedgerReadiness, WalletReadiness},
    token,
};

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("{0}")]
    Keys(#[from] KeyError),
    #[error("{0}")]
    Ledger(#[from] OpenError),
    #[error("{0}")]
    Log(#[from] logging::FilterError),
    #[error("{0}")]
    Http(#[from] server::ServerError),
    #[error("{0}")]
    Name(#[from] ledger::NoteError),
    #[error("{address}: cannot listen: {error}; stop what listens there, or choose another port")]
    Listen { address: SocketAddr, error: std::io::Error },
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl StartError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Keys(_) => 77,
            Self::Ledger(error) => error.exit_code(),
            Self::Log(_) | Self::Name(_) => 2,
            Self::Http(_) => 70,
            Self::Listen { .. } => 75,
            Self::Io(_) => 91,
        }
    }
}

/// Runs the node until SIGTERM or SIGINT.
#[expect(clippy::print_stderr, reason = "the last word of a process that does not start")]
pub(crate) fn run(build: &Build, log: &str, params: &Params) -> ExitCode {
    match start(build, log, params) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(74),
        Err(error) => {
            eprintln!("{}: {error}", build.service);
            ExitCode::from(error.exit_code())
        }
    }
}

fn start(build: &Build, log: &str, params: &Params) -> Result<bool, StartError> {
    logging::begin(log)?;
    let keys = Keys::open(&params.data_dir.join("keys"))?;
    let keyring = token::keyring(&keys)?;
    let seed = keys.secret("checkpoint.key")?;
    let signer = ledger::NoteSigner::new(&params.ledger.origin, &seed)?;
    let vkey = signer.verifier().to_string();
    let registries = (Registry::new(), Registry::new());
    let telemetry = LedgerTelemetry::register(&registries.0)?;
    let observer = Box::new(TelemetryObserver(telemetry.clone()));
    let role = LedgerRole::start(&ledger_params(params), &birth()?, signer, observer)?;
    tracing::info!(report = ?role.report, "ledger opened");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let served = runtime.block_on(async {
        let node = Node::start(build, params, &role, keyring, telemetry, &registries).await?;
        node.announce(params, &vkey);
        node.until_stopped().await
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    let clean = role.stop();
    tracing::info!("stopped clean={clean}");
    served.map(|()| clean)
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

/// What serves HTTP.
struct Node {
    endpoints: Endpoints,
    stop: watch::Sender<bool>,
    serving: JoinSet<()>,
}

impl Node {
    async fn start(
        build: &Build,
        params: &Params,
        role: &LedgerRole,
        keyring: caps::Keyring,
        telemetry: LedgerTelemetry,
        (ledger_registry, wallet_registry): &(Registry, Registry),
    ) -> Result<Self, StartError> {
        let port: Arc<dyn LedgerPort> = Arc::new(LocalLedger::start(role)?);
        let http = http_params(params);
        let authority = Arc::new(Authority::new(keyring));
        let parts = || MoneyParts {
            ledger: Arc::clone(&port),
            authority: Arc::clone(&authority),
            clock: Arc::new(HostClock),
            params: http,
        };
        let ledger_role: Arc<dyn Role> = Arc::new(LedgerReadiness { ledger: Arc::clone(&port), telemetry });
        let wallet_role: Arc<dyn Role> = Arc::new(WalletReadiness(Arc::clone(&port)));
        let wallet_telemetry = WalletTelemetry::register(wallet_registry)?;
        let ledger_front = front(Service::Ledger, ledger_registry, None, http)?;
        let wallet_front = front(Service::Wallet, wallet_registry, Some(wallet_telemetry), http)?;
        let admin = |role, registry: &Registry, name| -> Result<_, StartError> {
            let process = ProcessTelemetry::register(registry)?;
            let version = version(build, name);
            Ok(admin_router(Arc::new(Admin { role, registry: registry.clone(), process, version })))
        };
        let ledger_admin = admin(ledger_role, ledger_registry, Service::Ledger.name())?;
        let wallet_admin = admin(wallet_role, wallet_registry, Service::Wallet.name())?;

        let (stop, stopping) = watch::channel(false);
        let mut serving = JoinSet::new();
        let mut open = async |address, router, front: &Arc<Front>| {
            let site = Arc::new(Site::new(router, Arc::clone(front)));
            listen(&mut serving, address, site, http, stopping.clone()).await
        };
        let endpoints = Endpoints {
            ledger: open(params.ledger.http, ledger_router(parts()), &ledger_front).await?,
            ledger_admin: open(params.ledger.admin, ledger_admin, &ledger_front).await?,
            wallet: open(params.wallet.http, wallet_router(parts()), &wallet_front).await?,
            wallet_admin: open(params.wallet.admin, wallet_admin, &wallet_front).await?,
        };
        endpoints.write(&params.data_dir.join("run"))?;
        Ok(Self { endpoints, stop, serving })
    }

    /// Says what listens where, where the token is, and one `curl` for each job.
    #[expect(clippy::print_stdout, reason = "this is what the person at the terminal reads")]
    fn announce(&self, params: &Params, vkey: &str) {
        let Endpoints { ledger, ledger_admin, wallet, wallet_admin } = self.endpoints;
        let token = params.data_dir.join("keys").join(token::TOKEN);
        let token = token.display();
        println!("macronode is ready (disk format 0: it may still break)");
        println!("  ledger   http://{ledger}   admin http://{ledger_admin}");
        println!("  wallet   http://{wallet}   admin http://{wallet_admin}");
        println!("  token    {token}");
        println!("  log key  {vkey}");
        println!("Not in this version: usage (the accounting role), holds, feed. Try:");
        println!(
            "  curl -H \"Authorization: Bearer $(cat {token})\" -H 'Content-Type: application/json' \
             -H 'Idempotency-Key: first-issue' \
             -d '{{\"to\":\"alice\",\"asset\":\"ron\",\"amount_minor\":\"1000\"}}' http://{wallet}/v1/issue"
        );
        println!("  curl http://{ledger}/checkpoint");
        tracing::info!("ready=1");
    }

    async fn until_stopped(mut self) -> Result<(), StartError> {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: no new requests, what was taken is finished");
        self.stop.send_replace(true);
        while self.serving.join_next().await.is_some() {}
        Ok(())
    }
}

async fn listen(
    serving: &mut JoinSet<()>,
    address: SocketAddr,
    site: Arc<Site>,
    http: HttpParams,
    stopping: watch::Receiver<bool>,
) -> Result<SocketAddr, StartError> {
    let refused = |error| StartError::Listen { address, error };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    serving.spawn(async move {
        let drained = serve(listener, site, http, stopping).await;
        if drained.cut > 0 {
            tracing::warn!(cut = drained.cut, "connections were cut at the drain's deadline");
        }
    });
    Ok(bound)
}

fn front(
    service: Service,
    registry: &Registry,
    wallet: Option<WalletTelemetry>,
    http: HttpParams,
) -> Result<Arc<Front>, StartError> {
    let telemetry = HttpTelemetry::register(registry, service)?;
    let seed = u64::from_le_bytes(*random()?.first_chunk().expect("32 bytes hold 8"));
    Ok(Arc::new(Front::new(Arc::new(HostClock), CorrMaker::new(seed), telemetry, wallet, http.inflight_max)))
}

fn http_params(params: &Params) -> HttpParams {
    HttpParams {
        inflight_max: params.wallet.inflight,
        body_bytes_max: params.wallet.body_bytes_max,
        read_timeout: params.wallet.read_timeout,
        write_timeout: params.wallet.write_timeout,
        idle_timeout: params.wallet.idle_timeout,
        answer_timeout: params.wallet.write_timeout,
        ..HttpParams::default()
    }
}

fn version(build: &Build, service: &'static str) -> Version {
    Version {
        service,
        version: build.version,
        git: build.git,
        rustc: build.rustc,
        features: vec![build.profile],
        openapi: "none",
        pq: false,
    }
}
