//! `ServerError`: why a listener or its telemetry could not be made.

/// Why a role's HTTP could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A metric's name is taken in the registry, or malformed.
    #[error("a metric could not be registered: {0}")]
    Metrics(#[from] prometheus::Error),
}
