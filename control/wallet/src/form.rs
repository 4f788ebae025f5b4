//! How typed values stand in JSON: amounts as decimal strings, hashes as lower-case hex, times
//! as RFC 3339. One module per type, for serde's `with`.

use core::fmt::Display;

use serde::Serializer;

/// Writes a number as a decimal string.
pub(crate) fn decimal<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Writes an optional number as a decimal string; `None` is skipped before it comes here.
pub(crate) fn optional_decimal<T: Display, S: Serializer>(
    value: &Option<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

/// A module that writes a type as a string and reads it back strictly.
macro_rules! as_string {
    ($module:ident, $type:ty, $write:expr, $read:expr, $expected:literal) => {
        pub(crate) mod $module {
            use alloc::borrow::Cow;

            use serde::{Deserialize, Deserializer, Serializer, de::Error};

            pub(crate) fn serialize<S: Serializer>(value: &$type, serializer: S) -> Result<S::Ok, S::Error> {
                let write: fn(&$type) -> alloc::string::String = $write;
                serializer.serialize_str(&write(value))
            }

            pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
                let read: fn(&str) -> Option<$type> = $read;
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                read(&text).ok_or_else(|| D::Error::custom($expected))
            }
        }
    };
}

as_string!(
    amount,
    model::Amount,
    |value| alloc::format!("{value}"),
    |text| model::Amount::parse(text).ok(),
    "expected an amount"
);
as_string!(
    asset,
    model::Asset,
    |value| alloc::format!("{value}"),
    |text| model::Asset::parse(text).ok(),
    "expected an asset"
);
as_string!(
    account,
    model::AccountName,
    |value| alloc::format!("{value}"),
    |text| model::AccountName::parse(text).ok(),
    "expected an account's name"
);
as_string!(
    tx_id,
    model::TxId,
    |value| alloc::format!("{value}"),
    |text| model::TxId::parse(text).ok(),
    "expected a transaction id"
);
as_string!(
    time,
    model::Timestamp,
    |value| value.rfc3339(),
    |text| model::Timestamp::parse(text),
    "expected an RFC 3339 time in UTC"
);
as_string!(
    balance,
    model::Balance,
    |value| alloc::format!("{value}"),
    |text| text.parse().ok().and_then(model::Balance::new).filter(|read| alloc::format!("{read}") == text),
    "expected a balance as a decimal string"
);
as_string!(
    units,
    u128,
    |value| alloc::format!("{value}"),
    |text| text.parse().ok().filter(|read: &u128| alloc::format!("{read}") == text),
    "expected a decimal string"
);
as_string!(
    hash,
    [u8; 32],
    |value| hex::encode(value),
    |text| super::bytes_of_hex(text)?.try_into().ok(),
    "expected 64 lower-case hex digits"
);
as_string!(
    blind,
    [u8; 16],
    |value| hex::encode(value),
    |text| super::bytes_of_hex(text)?.try_into().ok(),
    "expected 32 lower-case hex digits"
);
as_string!(
    bytes,
    alloc::vec::Vec<u8>,
    |value| hex::encode(value),
    |text| super::bytes_of_hex(text),
    "expected lower-case hex digits"
);

/// Bytes from lower-case hex; `None` for anything else.
pub(crate) fn bytes_of_hex(text: &str) -> Option<alloc::vec::Vec<u8>> {
    let lower = text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if lower { hex::decode(text).ok() } else { None }
}

/// An optional account's name; a field that is not there is `None`.
pub(crate) mod optional_account {
    use model::AccountName;
    use serde::{Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<AccountName>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        super::optional_decimal(value, serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<AccountName>, D::Error> {
        super::account::deserialize(deserializer).map(Some)
    }
}

/// A list of hashes, at most `limits::PATH_HASHES_MAX`.
pub(crate) mod hashes {
    use alloc::{borrow::Cow, vec::Vec};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::limits::PATH_HASHES_MAX;

    pub(crate) fn serialize<S: Serializer>(value: &[[u8; 32]], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(value.iter().map(hex::encode))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<[u8; 32]>, D::Error> {
        let texts = Vec::<Cow<'de, str>>::deserialize(deserializer)?;
        if texts.len() > PATH_HASHES_MAX {
            return Err(D::Error::custom("a path has at most 64 hashes"));
        }
        let read = |text: &Cow<'_, str>| super::bytes_of_hex(text)?.try_into().ok();
        let hashes: Option<Vec<_>> = texts.iter().map(read).collect();
        hashes.ok_or_else(|| D::Error::custom("expected hashes of 64 lower-case hex digits"))
    }
}
