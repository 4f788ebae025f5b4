//! `Http`: the listeners of all roles of this process, from the first bind to the end of the drain.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use engine::{LedgerRole, UsageRole};
use server::{
    AccountingTelemetry, Admin, Authority, Chaos, CorrMaker, Front, HttpParams, HttpTelemetry, LedgerPort,
    LedgerTelemetry, MoneyParts, ProcessTelemetry, Registry, Role, Service, Site, Storage, UsageParts,
    UsageTelemetry, Version, WalletTelemetry, admin_router, ledger_router, serve, usage_router,
    wallet_router,
};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use wire::admin::Target;

use crate::{
    admin_desk::{AdminDesk, DeskRole, Identity},
    admin_socket::AdminSocket,
    banner,
    cli::Build,
    clock::HostClock,
    endpoints::Endpoints,
    keys::random,
    ledger_port::LocalLedger,
    params::Params,
    readiness::{LedgerReadiness, WalletReadiness},
    start_error::StartError,
    usage::AccountingState,
    usage_port::LocalUsage,
};

/// The series of each role.
#[derive(Debug, Default)]
pub(crate) struct Registries {
    pub(crate) ledger: Registry,
    pub(crate) wallet: Registry,
    pub(crate) accounting: Registry,
}

/// The roles that run on the data plane, and what they feed.
#[derive(Debug)]
pub(crate) struct Roles<'a> {
    pub(crate) ledger: &'a LedgerRole,
    pub(crate) telemetry: LedgerTelemetry,
    pub(crate) storage: Storage,
    pub(crate) usage: &'a UsageRole,
    pub(crate) accounting: AccountingTelemetry,
}

/// What serves HTTP.
#[derive(Debug)]
pub(crate) struct Http {
    endpoints: Endpoints,
    admin_socket: Option<PathBuf>,
    stop: watch::Sender<bool>,
    serving: JoinSet<()>,
}

impl Http {
    /// Binds every listener and serves; the addresses in use go to `run/endpoints.json`.
    ///
    /// # Errors
    /// If an address is taken.
    pub(crate) async fn start(
        build: &Build,
        params: &Params,
        roles: Roles<'_>,
        keyring: caps::Keyring,
        registries: &Registries,
        log_key: &str,
    ) -> Result<Self, StartError> {
        let Registries { ledger: ledger_registry, wallet: wallet_registry, accounting: usage_registry } =
            registries;
        let Roles { ledger, telemetry, storage, usage, accounting } = roles;
        let port: Arc<dyn LedgerPort> = Arc::new(LocalLedger::start(ledger)?);
        let http = http_params(params);
        let authority = Arc::new(Authority::new(keyring));
        let parts = || MoneyParts {
            ledger: Arc::clone(&port),
            authority: Arc::clone(&authority),
            clock: Arc::new(HostClock),
            params: http,
        };
        let ledger_role: Arc<dyn Role> = Arc::new(LedgerReadiness {
            ledger: Arc::clone(&port),
            telemetry,
            is_ram: params.ledger.storage.ram_bytes.is_some(),
        });
        let wallet_role: Arc<dyn Role> = Arc::new(WalletReadiness(Arc::clone(&port)));
        let usage_telemetry = UsageTelemetry::register(usage_registry, usage.report.memlock_bytes)?;
        let accounting_role: Arc<dyn Role> =
            Arc::new(AccountingState::new(usage, Arc::clone(&port), accounting, usage_telemetry));
        let usage_parts = UsageParts {
            usage: Arc::new(LocalUsage::start(usage)?),
            authority: Arc::clone(&authority),
            clock: Arc::new(HostClock),
            params: http,
        };
        let wallet_telemetry = WalletTelemetry::register(wallet_registry)?;
        let ledger_front = front(Service::Ledger, ledger_registry, None, params)?;
        let usage_front = front(Service::Accounting, usage_registry, None, params)?;
        let wallet_front = front(Service::Wallet, wallet_registry, Some(wallet_telemetry), params)?;
        let desk_roles = vec![
            DeskRole::new(Target::Ledger, &ledger_role, &ledger_front),
            DeskRole::new(Target::Wallet, &wallet_role, &wallet_front),
            DeskRole::new(Target::Accounting, &accounting_role, &usage_front),
        ];
        let admin = |role, registry: &Registry, name, storage| -> Result<_, StartError> {
            let process = ProcessTelemetry::register(registry)?;
            let version = Version { storage, ..version(build, name) };
            Ok(admin_router(Arc::new(Admin { role, registry: registry.clone(), process, version })))
        };
        let ledger_admin = admin(ledger_role, ledger_registry, Service::Ledger.name(), Some(storage))?;
        let usage_admin = admin(accounting_role, usage_registry, Service::Accounting.name(), None)?;
        let usage_routes = usage_admin.merge(usage_router(usage_parts));
        let wallet_admin = admin(wallet_role, wallet_registry, Service::Wallet.name(), None)?;

        let (stop, stopping) = watch::channel(false);
        let mut serving = JoinSet::new();
        let mut open = async |key, address, router, front: &Arc<Front>| {
            let site = Arc::new(Site::new(router, Arc::clone(front)));
            listen(&mut serving, (key, address), site, http, stopping.clone()).await
        };
        let endpoints = Endpoints {
            ledger: open("ledger.http", params.ledger.http, ledger_router(parts()), &ledger_front).await?,
            ledger_admin: open("ledger.admin", params.ledger.admin, ledger_admin, &ledger_front).await?,
            wallet: open("wallet.http", params.wallet.http, wallet_router(parts()), &wallet_front).await?,
            wallet_admin: open("wallet.admin", params.wallet.admin, wallet_admin, &wallet_front).await?,
            accounting_admin: open("accounting.admin", params.accounting.admin, usage_routes, &usage_front)
                .await?,
            accounting_socket: usage.report.socket.clone(),
        };
        let identity = Identity::new(build, params, ledger.report.store.epoch, log_key);
        let (board, scrub) = (Arc::clone(&ledger.board), ledger.scrub.clone());
        let desk = AdminDesk::new(identity, endpoints.clone(), port, board, scrub, desk_roles);
        let admin_socket = AdminSocket::open(params, desk, &mut serving, stopping);
        endpoints.write(&params.data_dir.join("run"), admin_socket.as_deref())?;
        Ok(Self { endpoints, admin_socket, stop, serving })
    }

    /// Says what listens where.
    pub(crate) fn announce(&self, data_dir: &Path, is_ram: bool, vkey: &str) {
        banner::announce(&self.endpoints, self.admin_socket.as_deref(), data_dir, is_ram, vkey);
    }

    /// Takes no new connections and waits until what was taken is answered, or cut at the drain's
    /// deadline.
    pub(crate) async fn drain(mut self) {
        self.stop.send_replace(true);
        while self.serving.join_next().await.is_some() {}
    }
}

async fn listen(
    serving: &mut JoinSet<()>,
    (key, address): (&'static str, SocketAddr),
    site: Arc<Site>,
    http: HttpParams,
    stopping: watch::Receiver<bool>,
) -> Result<SocketAddr, StartError> {
    let refused = |error| StartError::Listen { key, address, error };
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
    params: &Params,
) -> Result<Arc<Front>, StartError> {
    let telemetry = HttpTelemetry::register(registry, service)?;
    let seed = u64::from_le_bytes(*random()?.first_chunk().expect("32 bytes hold 8"));
    let target = match service {
        Service::Ledger => Target::Ledger,
        Service::Wallet => Target::Wallet,
        Service::Accounting => Target::Accounting,
    };
    let chaos = Chaos::register(registry, target, Arc::new(HostClock))?;
    let inflight_max = params.wallet.inflight;
    let front = Front::new(Arc::new(HostClock), CorrMaker::new(seed), telemetry, wallet, inflight_max);
    Ok(Arc::new(if params.chaos { front.with_chaos(Arc::new(chaos)) } else { front }))
}

fn http_params(params: &Params) -> HttpParams {
    HttpParams {
        inflight_max: params.wallet.inflight,
        body_bytes_max: params.wallet.body_bytes_max,
        read_timeout: params.wallet.read_timeout,
        write_timeout: params.wallet.write_timeout,
        idle_timeout: params.wallet.idle_timeout,
        answer_timeout: params.wallet.write_timeout,
        drain_timeout: params.drain_timeout,
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
        storage: None,
    }
}
