//! `CapError`: why a token does not allow what was asked.

/// Which answer a refusal belongs to (RFC 9110, 15.5.2 and 15.5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The caller is not known: no token, or one that proves nothing.
    Unauthenticated,
    /// The caller is known and may not do this.
    Forbidden,
}

/// Where a token departs from macaroons v2 or from the form that this system gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Malformed {
    /// Longer than `limits::TOKEN_BYTES_MAX`.
    #[error("the token is longer than the limit")]
    TooLong,
    /// Not base64url without padding (RFC 4648, section 5).
    #[error("the token is not base64url without padding")]
    Base64,
    /// Not the version byte 2.
    #[error("the token is not a macaroon of version 2")]
    Version,
    /// A field is missing, misplaced, cut short, or its number is not in its shortest form.
    #[error("the token's fields are not in the form of macaroons v2")]
    Field,
    /// The signature is not 32 bytes.
    #[error("the token's signature has not 32 bytes")]
    Signature,
    /// Bytes after the signature.
    #[error("bytes follow the token's signature")]
    Trailing,
    /// More caveats than `limits::CAVEATS_MAX`.
    #[error("the token has more caveats than the limit")]
    TooManyCaveats,
    /// The identifier does not name a key and a serial.
    #[error("the token's identifier names no key and serial")]
    Identifier,
    /// The first two caveats are not the issuer's `subject` and `action`.
    #[error("the token does not begin with a subject and its actions")]
    Root,
}

/// Why a token does not allow what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum CapError {
    /// No `Authorization` header.
    #[error("a capability is required: Authorization: Bearer <token>")]
    Missing,
    /// An `Authorization` header that is not one bearer token.
    #[error("the Authorization header is not one bearer token")]
    Scheme,
    /// Not a token.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Signed with a key that the keyring does not hold.
    #[error("the capability's key is not known")]
    UnknownKey,
    /// The signature does not fit the key and the caveats.
    #[error("the capability's signature does not verify")]
    BadSignature,
    /// Its time is over.
    #[error("the capability has expired")]
    Expired,
    /// A caveat names a predicate that this build does not know.
    #[error("the capability carries a caveat that is not known here")]
    UnknownCaveat,
    /// A caveat names a known predicate with a value that does not parse.
    #[error("the capability carries a caveat that does not parse")]
    BadCaveat,
    /// A third party's caveat; discharges are not taken in this version.
    #[error("the capability carries a third party's caveat")]
    ThirdParty,
    /// Two different subjects.
    #[error("the capability's caveats name different subjects")]
    Subject,
    /// The action is outside its scope.
    #[error("the capability does not allow this action")]
    Action,
    /// The account is outside its scope.
    #[error("the capability does not allow this account")]
    Account,
}

impl CapError {
    /// Which answer it belongs to.
    #[must_use]
    pub const fn class(self) -> Class {
        match self {
            Self::Missing
            | Self::Scheme
            | Self::Malformed(_)
            | Self::UnknownKey
            | Self::BadSignature
            | Self::Expired => Class::Unauthenticated,
            Self::UnknownCaveat
            | Self::BadCaveat
            | Self::ThirdParty
            | Self::Subject
            | Self::Action
            | Self::Account => Class::Forbidden,
        }
    }

    /// The finer word used in metrics and logs; never reused for another meaning.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Scheme => "scheme",
            Self::Malformed(_) => "malformed",
            Self::UnknownKey => "unknown_key",
            Self::BadSignature => "bad_signature",
            Self::Expired => "expired",
            Self::UnknownCaveat => "unknown_caveat",
            Self::BadCaveat => "bad_caveat",
            Self::ThirdParty => "third_party",
            Self::Subject => "subject",
            Self::Action => "action",
            Self::Account => "account",
        }
    }
}
