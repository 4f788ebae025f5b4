//! `Authority`: who is asking and what they may do, from the `Authorization` header.
//!
//! Holds: a token is verified in full once and then remembered by its digest, never by its text;
//! its expiry is looked at on every use; what is remembered is bounded. Leaves to others: what a
//! caveat means (`caps`), which action a route needs.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::http::{HeaderMap, header};
use caps::{Action, CapError, Capability, Keyring, bearer_token, verify};
use model::{AccountName, Timestamp};

use crate::Refusal;

/// Capabilities in each of the two generations that are remembered.
const GENERATION_MAX: usize = 512;

/// Verifies capabilities, and remembers those that it verified.
#[derive(Debug)]
pub struct Authority {
    keyring: Keyring,
    remembered: Mutex<Remembered>,
}

/// Two generations: what is used moves to the young one; when that is full it becomes the old one
/// and what was old is forgotten. So the least recently used go first, at no cost per use.
#[derive(Debug, Default)]
struct Remembered {
    young: HashMap<[u8; 32], Arc<Capability>>,
    old: HashMap<[u8; 32], Arc<Capability>>,
}

impl Remembered {
    fn find(&mut self, digest: &[u8; 32]) -> Option<Arc<Capability>> {
        if let Some(found) = self.young.get(digest) {
            return Some(Arc::clone(found));
        }
        let found = self.old.remove(digest)?;
        self.keep(*digest, &found);
        Some(found)
    }

    fn keep(&mut self, digest: [u8; 32], capability: &Arc<Capability>) {
        if self.young.len() >= GENERATION_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(digest, Arc::clone(capability));
        assert!(self.young.len() <= GENERATION_MAX && self.old.len() <= GENERATION_MAX);
    }
}

impl Authority {
    /// Verifies with the keys of `keyring`.
    #[must_use]
    pub fn new(keyring: Keyring) -> Self {
        Self { keyring, remembered: Mutex::default() }
    }

    /// The capability that the request carries, verified and not expired at `now`.
    ///
    /// # Errors
    /// `unauthorized` if there is none, or one that proves nothing; `forbidden` if it carries a
    /// caveat that cannot be honoured here.
    pub fn bearer(&self, headers: &HeaderMap, now: Timestamp) -> Result<Arc<Capability>, Refusal> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let header = values.next().map(axum::http::HeaderValue::as_bytes);
        if values.next().is_some() {
            // Whoever stands between could have looked at the other one.
            return Err(Refusal::of_capability(CapError::Scheme));
        }
        let token = bearer_token(header).map_err(Refusal::of_capability)?;
        let digest = *blake3::hash(token.as_bytes()).as_bytes();
        let found = self.remembered.lock().expect("no holder of the lock panics").find(&digest);
        if let Some(capability) = found {
            let expired = capability.expires().is_some_and(|expires| now >= expires);
            return if expired { Err(Refusal::of_capability(CapError::Expired)) } else { Ok(capability) };
        }
        let capability = Arc::new(verify(&self.keyring, token, now).map_err(Refusal::of_capability)?);
        self.remembered.lock().expect("no holder of the lock panics").keep(digest, &capability);
        Ok(capability)
    }
}

/// Asks `capability` for `action` on `account`.
///
/// # Errors
/// `forbidden` if it does not allow both.
pub(crate) fn require(capability: &Capability, action: Action, account: &AccountName) -> Result<(), Refusal> {
    capability.require(action).map_err(Refusal::of_capability)?;
    capability.require_account(account).map_err(Refusal::of_capability)
}
