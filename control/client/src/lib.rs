//! One keep-alive HTTP connection to a role, for tools, the demo, benches and tests.
//!
//! Holds: one request at a time per connection, a bounded answer. Leaves to others: what is asked,
//! retries, and deadlines.
#![forbid(unsafe_code)]

mod connection;

pub use connection::{Client, ClientError, Reply};
pub use hyper::Method;
