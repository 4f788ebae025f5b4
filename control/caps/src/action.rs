//! `Action` and `ActionPattern`: what a bearer may do, and the words that say so.

use alloc::string::String;
use core::fmt;

use model::Kind;

/// Something that a route asks a capability for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// `wallet:transfer`: move money out of an allowed account.
    WalletTransfer,
    /// `wallet:issue`: bring money into an allowed account.
    WalletIssue,
    /// `wallet:burn`: take money out of an allowed account for good.
    WalletBurn,
    /// `wallet:read`: balances, sequences, receipts and proofs of an allowed account.
    WalletRead,
    /// `ledger:ingest`: send entries to the ledger; what each one needs is in `of_entry`.
    LedgerIngest,
    /// `ledger:mint`: entries from `@issuance`.
    LedgerMint,
    /// `ledger:burn`: entries to `@issuance`.
    LedgerBurn,
    /// `ledger:credit`: entries from `@external`.
    LedgerCredit,
    /// `ledger:debit`: entries to `@external`.
    LedgerDebit,
    /// `ledger:read`: roots, proofs, an allowed account's state.
    LedgerRead,
    /// `ledger:audit`: the entries themselves, whole.
    LedgerAudit,
    /// `ledger:slices`: sealed slices of usage.
    LedgerSlices,
    /// `write:usage`: usage records.
    UsageWrite,
    /// `read:usage`: usage totals.
    UsageRead,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 14] = [
        Self::WalletTransfer,
        Self::WalletIssue,
        Self::WalletBurn,
        Self::WalletRead,
        Self::LedgerIngest,
        Self::LedgerMint,
        Self::LedgerBurn,
        Self::LedgerCredit,
        Self::LedgerDebit,
        Self::LedgerRead,
        Self::LedgerAudit,
        Self::LedgerSlices,
        Self::UsageWrite,
        Self::UsageRead,
    ];

    /// The word of this action in a caveat.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::WalletTransfer => "wallet:transfer",
            Self::WalletIssue => "wallet:issue",
            Self::WalletBurn => "wallet:burn",
            Self::WalletRead => "wallet:read",
            Self::LedgerIngest => "ledger:ingest",
            Self::LedgerMint => "ledger:mint",
            Self::LedgerBurn => "ledger:burn",
            Self::LedgerCredit => "ledger:credit",
            Self::LedgerDebit => "ledger:debit",
            Self::LedgerRead => "ledger:read",
            Self::LedgerAudit => "ledger:audit",
            Self::LedgerSlices => "ledger:slices",
            Self::UsageWrite => "write:usage",
            Self::UsageRead => "read:usage",
        }
    }

    /// What one entry of `POST /ingest` needs beside `ledger:ingest`; `None` where that is all.
    #[must_use]
    pub const fn of_entry(kind: Kind) -> Option<Self> {
        match kind {
            Kind::Mint => Some(Self::LedgerMint),
            Kind::Burn => Some(Self::LedgerBurn),
            Kind::Credit => Some(Self::LedgerCredit),
            Kind::Debit => Some(Self::LedgerDebit),
            Kind::Usage | Kind::UsageLoss => Some(Self::LedgerSlices),
            Kind::Transfer
            | Kind::Hold
            | Kind::Capture
            | Kind::Release
            | Kind::Reverse
            | Kind::Open
            | Kind::Flag
            | Kind::Refused
            | Kind::Horizon
            | Kind::Incarnation => None,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One word of an `action` caveat: `area:verb`, `area:*` or `*`.
///
/// A word that parses but names no action of this build allows nothing here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ActionPattern(String);

impl ActionPattern {
    /// Everything.
    #[must_use]
    pub fn any() -> Self {
        Self(String::from("*"))
    }

    /// Exactly this action.
    #[must_use]
    pub fn only(action: Action) -> Self {
        Self(String::from(action.word()))
    }

    /// Parses a word; `None` unless it is `*`, or `area:verb` or `area:*` of `[a-z_]`.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let plain = |part: &str| {
            (1..=24).contains(&part.len())
                && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        };
        let valid = word == "*"
            || word.split_once(':').is_some_and(|(area, verb)| plain(area) && (verb == "*" || plain(verb)));
        valid.then(|| Self(String::from(word)))
    }

    /// The word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it covers `action`.
    #[must_use]
    pub fn covers(&self, action: Action) -> bool {
        match self.0.strip_suffix('*') {
            Some(prefix) => action.word().starts_with(prefix),
            None => self.0 == action.word(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_is_a_word_of_its_own() {
        for (index, action) in Action::ALL.into_iter().enumerate() {
            let pattern = ActionPattern::parse(action.word()).unwrap();
            for (other_index, other) in Action::ALL.into_iter().enumerate() {
                assert_eq!(pattern.covers(other), index == other_index, "{action} {other}");
            }
        }
    }

    #[test]
    fn stars_cover_areas() {
        for (word, action, expected) in [
            ("*", Action::UsageWrite, true),
            ("wallet:*", Action::WalletBurn, true),
            ("wallet:*", Action::LedgerBurn, false),
            ("wall:*", Action::WalletBurn, false),
            ("wallet:fly", Action::WalletBurn, false),
        ] {
            assert_eq!(ActionPattern::parse(word).unwrap().covers(action), expected, "{word} {action}");
        }
        for bad in ["", ":", "wallet", "wallet:", ":burn", "*:*", "wallet:b*", "Wallet:burn", "a:b:c", " *"] {
            assert_eq!(ActionPattern::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn entries_that_touch_the_ledgers_own_accounts_need_more() {
        for kind in Kind::ALL {
            let own = [Kind::Mint, Kind::Burn, Kind::Credit, Kind::Debit, Kind::Usage, Kind::UsageLoss];
            assert_eq!(Action::of_entry(kind).is_some(), own.contains(&kind), "{kind}");
        }
    }
}
