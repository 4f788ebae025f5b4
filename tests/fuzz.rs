//! Seeded mutation of everything that is decoded: valid encodings, damaged, and what must hold.
//!
//! Holds: no input panics, none allocates more than a stated bound for its size, and what decodes
//! is written back with the same meaning. Every target names refusals that its mutants must meet,
//! so that a decoder which stops looking, or a mutator which stops reaching it, fails.
//! Reads `FUZZ_SEED` and `FUZZ_RUNS` (inputs per target).
#![expect(clippy::unwrap_used, reason = "what a target is made of is valid, or the target is no test")]

mod archive;
mod canary;
mod capabilities;
mod derived;
mod harness;
mod history;
mod http;
mod journal;
mod ledger;
mod mutate;
mod settings;
mod snapshot;
mod texts;
mod usage;
mod wallet;
