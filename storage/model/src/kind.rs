//! `Kind`: what an entry does. The numbers are on disk and are never reused.

use core::fmt;

/// What an entry does. The discriminants are part of the disk format (`docs/format.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// Moves an amount from the debit account to the credit account.
    Transfer = 1,
    /// Moves an amount from `@issuance` to an account.
    Mint = 2,
    /// Moves an amount from an account back to `@issuance`.
    Burn = 3,
    /// Moves an amount from `@external` to an account.
    Credit = 4,
    /// Moves an amount from an account to `@external`.
    Debit = 5,
    /// Reserves an amount until it is captured, released or expires.
    Hold = 6,
    /// Takes the whole or a part of a hold.
    Capture = 7,
    /// Gives a hold back.
    Release = 8,
    /// Undoes the whole or a part of an earlier entry.
    Reverse = 9,
    /// Opens an account: binds a name to its id.
    Open = 10,
    /// Changes an account's flags.
    Flag = 11,
    /// A sealed slice of usage; moves no money.
    Usage = 12,
    /// States usage that is known to be lost.
    UsageLoss = 13,
    /// A refusal that is frozen with its idempotency key; moves no money.
    Refused = 14,
    /// Advances the age below which idempotency keys are refused.
    Horizon = 15,
    /// Begins an incarnation: names the history that was left, and why; moves no money.
    Incarnation = 16,
}

impl Kind {
    /// Every kind, in the order of its number.
    pub const ALL: [Self; 16] = [
        Self::Transfer,
        Self::Mint,
        Self::Burn,
        Self::Credit,
        Self::Debit,
        Self::Hold,
        Self::Capture,
        Self::Release,
        Self::Reverse,
        Self::Open,
        Self::Flag,
        Self::Usage,
        Self::UsageLoss,
        Self::Refused,
        Self::Horizon,
        Self::Incarnation,
    ];

    /// The kind with this number on disk, or `None` for a number that was never given out.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// The number on disk.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The word used in JSON, logs and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Transfer => "transfer",
            Self::Mint => "mint",
            Self::Burn => "burn",
            Self::Credit => "credit",
            Self::Debit => "debit",
            Self::Hold => "hold",
            Self::Capture => "capture",
            Self::Release => "release",
            Self::Reverse => "reverse",
            Self::Open => "open",
            Self::Flag => "flag",
            Self::Usage => "usage",
            Self::UsageLoss => "usage_loss",
            Self::Refused => "refused",
            Self::Horizon => "horizon",
            Self::Incarnation => "incarnation",
        }
    }

    /// The kind that this word names, in any letter case.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word().eq_ignore_ascii_case(word))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words_read_back() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_number(kind.number()), Some(kind));
            assert_eq!(Kind::from_word(kind.word()), Some(kind));
        }
        assert_eq!(Kind::from_number(0), None);
        assert_eq!(Kind::from_number(17), None);
        assert_eq!(Kind::from_word("TRANSFER"), Some(Kind::Transfer));
        assert_eq!(Kind::from_word("transfers"), None);
    }
}
