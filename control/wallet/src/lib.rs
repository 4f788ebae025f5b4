//! Wallet intents.
#![forbid(unsafe_code)]
