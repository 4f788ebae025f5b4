//! Log lines: JSON, one object a line, to standard error.
//!
//! Holds: what operators grep for (`ready=1`, `committer=online`, `corr_id=`) stands as text in the
//! message; secrets and tokens are never logged. Leaves to others: what is logged.

use tracing_subscriber::{EnvFilter, fmt};

/// Why logging cannot begin.
#[derive(Debug, thiserror::Error)]
#[error("log = {filter}: {error} (expected the syntax of RUST_LOG, such as `info` or `info,engine=debug`)")]
pub(crate) struct FilterError {
    filter: String,
    error: String,
}

/// Begins logging with a filter in the syntax of `RUST_LOG`.
///
/// # Errors
/// If the filter does not parse.
pub(crate) fn begin(filter: &str) -> Result<(), FilterError> {
    let parsed = EnvFilter::try_new(filter)
        .map_err(|error| FilterError { filter: filter.into(), error: error.to_string() })?;
    let subscriber = fmt::Subscriber::builder()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_env_filter(parsed)
        .with_writer(std::io::stderr)
        .finish();
    // A second call (two nodes in one test process) keeps the first subscriber.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}
