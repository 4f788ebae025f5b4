//! `Amount` and `Balance`: money in minor units, checked, never a float.

use core::fmt;

/// Why a text is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not one or more decimal digits without sign, space, point or leading zero.
    #[error("an amount is a decimal string of minor units, digits only, without a leading zero")]
    Format,
    /// 2^96 or more.
    #[error("an amount is below 2^96")]
    TooLarge,
}

/// An amount of minor units: 0 to 2^96 - 1.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Amount(u128);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount of one entry, 2^96 - 1.
    pub const MAX: Self = Self((1 << 96) - 1);

    /// The amount of `units` minor units, or `None` from 2^96 up.
    #[must_use]
    pub const fn new(units: u128) -> Option<Self> {
        if units <= Self::MAX.0 { Some(Self(units)) } else { None }
    }

    /// Parses a decimal string: digits only, no sign, no leading zero.
    ///
    /// # Errors
    /// `Format` for anything but plain digits, `TooLarge` from 2^96 up.
    pub fn parse(text: &str) -> Result<Self, AmountError> {
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !plain || (text.len() > 1 && text.starts_with('0')) {
            return Err(AmountError::Format);
        }
        let units: u128 = text.parse().map_err(|_| AmountError::TooLarge)?;
        Self::new(units).ok_or(AmountError::TooLarge)
    }

    /// The minor units.
    #[must_use]
    pub const fn units(self) -> u128 {
        self.0
    }

    /// Whether it is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// An account's balance, credits less debits, in minor units. Below zero only for the
/// ledger's own accounts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Balance(i128);

impl Balance {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest magnitude of a balance, 2^112 - 1: an asset's outstanding supply stays below it.
    pub const LIMIT: i128 = (1 << 112) - 1;

    /// The balance of `units`, or `None` outside +-(2^112 - 1).
    #[must_use]
    pub const fn new(units: i128) -> Option<Self> {
        if units <= Self::LIMIT && units >= -Self::LIMIT { Some(Self(units)) } else { None }
    }

    /// The minor units.
    #[must_use]
    pub const fn units(self) -> i128 {
        self.0
    }

    /// This balance after a credit, or `None` past the limit.
    #[must_use]
    pub fn credited(self, amount: Amount) -> Option<Self> {
        Self::new(self.0.checked_add(i128::try_from(amount.units()).ok()?)?)
    }

    /// This balance after a debit, or `None` past the limit.
    #[must_use]
    pub fn debited(self, amount: Amount) -> Option<Self> {
        Self::new(self.0.checked_sub(i128::try_from(amount.units()).ok()?)?)
    }

    /// What may be spent while `held` is reserved: this balance less `held`.
    #[must_use]
    pub fn available(self, held: u128) -> i128 {
        let held = i128::try_from(held).unwrap_or(i128::MAX);
        self.0.saturating_sub(held)
    }
}

impl fmt::Debug for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_parsed_strictly() {
        use AmountError as E;
        for (text, expected) in [
            ("0", Ok(0)),
            ("12345", Ok(12345)),
            ("79228162514264337593543950335", Ok((1 << 96) - 1)),
            ("79228162514264337593543950336", Err(E::TooLarge)),
            ("999999999999999999999999999999999999999999", Err(E::TooLarge)),
            ("", Err(E::Format)),
            ("-1", Err(E::Format)),
            ("+1", Err(E::Format)),
            ("1.5", Err(E::Format)),
            ("1e3", Err(E::Format)),
            (" 1", Err(E::Format)),
            ("01", Err(E::Format)),
            ("١", Err(E::Format)),
        ] {
            assert_eq!(Amount::parse(text).map(Amount::units), expected, "{text:?}");
        }
    }

    #[test]
    fn balances_stop_at_their_limit() {
        let top = Balance::new(Balance::LIMIT).unwrap();
        assert_eq!(top.credited(Amount::new(1).unwrap()), None);
        assert_eq!(Balance::new(-Balance::LIMIT).unwrap().debited(Amount::new(1).unwrap()), None);
        assert_eq!(Balance::ZERO.debited(Amount::MAX).unwrap().units(), 1 - (1 << 96));
        assert_eq!(Balance::new(10).unwrap().available(4), 6);
    }
}
