//! Settings: one table of keys, four layers over each other, every problem named by its key.
//!
//! Holds: the order of strength is flag, environment, file, default; nothing is repaired silently,
//! and a value that is wrong is refused even where a stronger layer hides it. Leaves to others:
//! relations between keys and what is derived from them (`params`).
//!
//! To add a key, write one row in `keys.rs` and read it in `params.rs`. Its name in files, in the
//! environment and behind `--set`, its checks, `config print`, `docs/CONFIG.md` and
//! `deploy/config/macronode.toml` come from the row. A test fails until the two files are written
//! anew, and says how; another fails for a key that nothing reads.

mod file;
mod key;
mod keys;
mod page;
mod problem;
mod settings;

pub use problem::{Origin, Problem, Problems};
pub use settings::Settings;

pub(crate) use page::{page, template};

/// Every key that holds a whole number, with both ends of its range.
#[cfg(test)]
pub(crate) fn ranges() -> Vec<(&'static str, i64, i64)> {
    let range = |key: &'static key::Key| match key.kind {
        key::Kind::Integer(low, high) => Some((key.name, low, high)),
        key::Kind::Text | key::Kind::Path | key::Kind::Address | key::Kind::Word(_) | key::Kind::Boolean => {
            None
        }
    };
    keys::all().filter_map(range).collect()
}
