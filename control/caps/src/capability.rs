//! `Capability`: what a verified token allows. Every caveat narrows it, none widens it.

use alloc::vec::Vec;

use model::{AccountName, Text, Timestamp};

use crate::{
    AccountPattern, Action, ActionPattern, CapError, Caveat, CaveatError, KeyId, Keyring, Macaroon,
    Malformed, codec::Section,
};

/// What a verified token allows: the intersection of its caveats.
#[derive(Clone, Debug)]
pub struct Capability {
    subject: Text,
    key_id: KeyId,
    serial: [u8; 16],
    expires: Option<Timestamp>,
    /// One set per caveat; an action must be in each.
    actions: Vec<Vec<ActionPattern>>,
    /// One set per caveat; an account must be in each.
    accounts: Vec<Vec<AccountPattern>>,
}

/// Verifies a token's text at the wall-clock time `now`.
///
/// # Errors
/// `CapError` in this order: form, key, signature, root, caveats, expiry. What fails before
/// the signature is known to hold says nothing about the caveats.
pub fn verify(keyring: &Keyring, token_text: &str, now: Timestamp) -> Result<Capability, CapError> {
    let token = Macaroon::parse(token_text)?;
    let (key_id, serial) = token.key_and_serial()?;
    let (key_id, key) = keyring.secret(key_id).ok_or(CapError::UnknownKey)?;
    if !token.is_signed_by(key) {
        return Err(CapError::BadSignature);
    }
    let capability = Capability::of_caveats(key_id, serial, token.sections())?;
    match capability.expires {
        Some(expires) if now >= expires => Err(CapError::Expired),
        Some(_) | None => Ok(capability),
    }
}

impl Capability {
    /// The stable principal: it survives renewal and attenuation, and scopes idempotency keys.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.subject.as_str()
    }

    /// The key that signed the token.
    #[must_use]
    pub const fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// The token's serial, the same for all that was made from it by attenuation.
    #[must_use]
    pub const fn serial(&self) -> [u8; 16] {
        self.serial
    }

    /// The earliest time at which a caveat ends it; `None` if none does.
    #[must_use]
    pub const fn expires(&self) -> Option<Timestamp> {
        self.expires
    }

    /// Whether it allows `action`.
    #[must_use]
    pub fn allows(&self, action: Action) -> bool {
        self.actions.iter().all(|set| set.iter().any(|pattern| pattern.covers(action)))
    }

    /// Whether it allows acting for `account`.
    #[must_use]
    pub fn allows_account(&self, account: &AccountName) -> bool {
        self.accounts.iter().all(|set| set.iter().any(|pattern| pattern.covers(account)))
    }

    /// As `allows`, as a result.
    ///
    /// # Errors
    /// `CapError::Action`.
    pub fn require(&self, action: Action) -> Result<(), CapError> {
        if self.allows(action) { Ok(()) } else { Err(CapError::Action) }
    }

    /// As `allows_account`, as a result.
    ///
    /// # Errors
    /// `CapError::Account`.
    pub fn require_account(&self, account: &AccountName) -> Result<(), CapError> {
        if self.allows_account(account) { Ok(()) } else { Err(CapError::Account) }
    }

    fn of_caveats(key_id: KeyId, serial: [u8; 16], caveats: &[Section]) -> Result<Self, CapError> {
        let [subject, actions, rest @ ..] = caveats else {
            return Err(Malformed::Root.into());
        };
        let (Caveat::Subject(subject), Caveat::Actions(actions)) = (typed(subject)?, typed(actions)?) else {
            return Err(Malformed::Root.into());
        };
        let actions = alloc::vec![actions];
        let mut capability = Self { subject, key_id, serial, expires: None, actions, accounts: Vec::new() };
        for caveat in rest {
            capability.narrow(typed(caveat)?)?;
        }
        Ok(capability)
    }

    fn narrow(&mut self, caveat: Caveat) -> Result<(), CapError> {
        match caveat {
            Caveat::Subject(subject) if subject == self.subject => {}
            Caveat::Subject(_) => return Err(CapError::Subject),
            Caveat::Actions(set) => self.actions.push(set),
            Caveat::Accounts(set) => self.accounts.push(set),
            Caveat::Expires(at) => self.expires = Some(self.expires.map_or(at, |sooner| sooner.min(at))),
        }
        Ok(())
    }
}

fn typed(caveat: &Section) -> Result<Caveat, CapError> {
    if caveat.verifier.is_some() {
        return Err(CapError::ThirdParty);
    }
    let text = core::str::from_utf8(&caveat.identifier).map_err(|_| CapError::UnknownCaveat)?;
    Caveat::parse(text).map_err(|error| match error {
        CaveatError::Unknown => CapError::UnknownCaveat,
        CaveatError::Value(_) => CapError::BadCaveat,
    })
}

#[cfg(test)]
mod tests;
