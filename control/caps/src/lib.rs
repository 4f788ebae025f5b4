//! Capabilities: macaroons v2, their typed caveats, and the keys that sign them.
//!
//! Holds: a token says what its bearer may do and nothing widens it; a caveat that this build
//! does not know refuses. Leaves to others: reading key files and drawing random bytes (`node`),
//! HTTP statuses (`server`), cumulative budgets (`ledger`).
//! Pure: no file, socket, clock, thread or random source can be reached from here.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod account;
mod action;
mod bearer;
mod capability;
mod caveat;
mod codec;
mod error;
mod keyring;
pub mod limits;
mod macaroon;
mod sign;

pub use account::AccountPattern;
pub use action::{Action, ActionPattern};
pub use bearer::bearer_token;
pub use capability::{Capability, verify};
pub use caveat::{Caveat, CaveatError};
pub use error::{CapError, Class, Malformed};
pub use keyring::{KeyId, KeyIdError, Keyring, KeyringError, RootKey};
pub use macaroon::{Grant, Macaroon};
