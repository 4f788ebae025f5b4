//! Log lines: JSON, one object a line, to standard error.
//!
//! Holds: what operators grep for (`ready=1`, `committer=online`, `corr_id=`) stands as text in the
//! message; secrets and tokens are never logged. Leaves to others: what is logged.

use tracing_subscriber::{EnvFilter, fmt};

/// Parses a filter in the syntax of `RUST_LOG`.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse(filter: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(filter)
        .map_err(|error| format!("{error}; expected the syntax of RUST_LOG, such as `info,engine=debug`"))
}

/// Begins logging.
pub(crate) fn begin(filter: EnvFilter) {
    let subscriber = fmt::Subscriber::builder()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // What it would print about a log that nobody reads, nobody reads, and the attempt panics.
        .log_internal_errors(false)
        .finish();
    // A second call (two nodes in one test process) keeps the first subscriber.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
