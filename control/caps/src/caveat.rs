//! `Caveat`: one typed restriction, and the text that carries it.
//!
//! The text is `name = value`, one space on each side of the first `=`:
//!
//! | text | meaning |
//! |---|---|
//! | `subject = users/ann` | the stable principal, the issuer's first caveat |
//! | `action = wallet:read,wallet:transfer` | any of these words, `area:*`, `*` |
//! | `account = acct_a,shop/*` | any of these names, all under a name, `*` |
//! | `expires = 2026-10-16T16:11:02Z` | not at or after this time (RFC 3339, UTC) |

use alloc::{string::String, vec::Vec};
use core::fmt;

use model::{Text, Timestamp};

use crate::{AccountPattern, ActionPattern, limits::PATTERNS_MAX};

/// Why a text is not a caveat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaveatError {
    /// No `name = value`, or a name that this build does not know.
    #[error("the caveat is not known")]
    Unknown,
    /// A known name with a value that does not parse.
    #[error("the value of a `{0}` caveat does not parse")]
    Value(&'static str),
}

/// One typed restriction of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caveat {
    /// Whom the token was given to: 1 to 64 printable characters without spaces.
    Subject(Text),
    /// Only these actions: 1 to `limits::PATTERNS_MAX`.
    Actions(Vec<ActionPattern>),
    /// Only these accounts: 1 to `limits::PATTERNS_MAX`.
    Accounts(Vec<AccountPattern>),
    /// Only before this time; written in whole milliseconds, rounded down.
    Expires(Timestamp),
}

impl Caveat {
    /// A subject.
    ///
    /// # Errors
    /// `Value` unless it is 1 to 64 visible ASCII characters.
    pub fn subject(subject: &str) -> Result<Self, CaveatError> {
        let visible = !subject.is_empty() && subject.bytes().all(|byte| byte.is_ascii_graphic());
        let text = visible.then(|| Text::new(subject)).flatten();
        text.map(Self::Subject).ok_or(CaveatError::Value("subject"))
    }

    /// Actions, from comma-separated words.
    ///
    /// # Errors
    /// `Value` for a word that is no action pattern, for none, and for more than the limit.
    pub fn actions(words: &str) -> Result<Self, CaveatError> {
        patterns(words, ActionPattern::parse).map(Self::Actions).ok_or(CaveatError::Value("action"))
    }

    /// Accounts, from comma-separated words.
    ///
    /// # Errors
    /// `Value` for a word that is no account pattern, for none, and for more than the limit.
    pub fn accounts(words: &str) -> Result<Self, CaveatError> {
        patterns(words, AccountPattern::parse).map(Self::Accounts).ok_or(CaveatError::Value("account"))
    }

    /// Parses a caveat's text.
    ///
    /// # Errors
    /// `Unknown` for a predicate that this build does not know, `Value` for a bad value.
    pub fn parse(text: &str) -> Result<Self, CaveatError> {
        let (name, value) = text.split_once(" = ").ok_or(CaveatError::Unknown)?;
        match name {
            "subject" => Self::subject(value),
            "action" => Self::actions(value),
            "account" => Self::accounts(value),
            "expires" => Timestamp::parse(value).map(Self::Expires).ok_or(CaveatError::Value("expires")),
            _ => Err(CaveatError::Unknown),
        }
    }
}

impl fmt::Display for Caveat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subject(subject) => write!(f, "subject = {subject}"),
            Self::Actions(words) => write!(f, "action = {}", joined(words, ActionPattern::as_str)),
            Self::Accounts(words) => write!(f, "account = {}", joined(words, AccountPattern::as_str)),
            Self::Expires(at) => write!(f, "expires = {}", at.rfc3339()),
        }
    }
}

fn patterns<T>(words: &str, parse: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    if words.bytes().filter(|byte| *byte == b',').count() >= PATTERNS_MAX {
        return None;
    }
    words.split(',').map(parse).collect()
}

fn joined<T>(words: &[T], word: impl Fn(&T) -> &str) -> String {
    let mut text = String::new();
    for (index, pattern) in words.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(word(pattern));
    }
    text
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn caveats_read_back() {
        for text in [
            "subject = users/ann",
            "action = *",
            "action = wallet:read,wallet:transfer,ledger:*",
            "account = acct_a,shop/*",
            "expires = 2026-10-16T16:11:02.000Z",
        ] {
            assert_eq!(Caveat::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(
            Caveat::parse("expires = 2026-10-16T16:11:02Z"),
            Caveat::parse("expires = 2026-10-16T16:11:02.000Z")
        );
    }

    #[test]
    fn what_is_not_a_caveat_says_why() {
        use CaveatError::{Unknown, Value};
        let many = alloc::format!("account = {}a", "a,".repeat(PATTERNS_MAX));
        for (text, expected) in [
            ("", Unknown),
            ("subject=ann", Unknown),
            ("Subject = ann", Unknown),
            (" subject = ann", Unknown),
            ("max_amount = 5", Unknown),
            ("subject = ", Value("subject")),
            ("subject = a b", Value("subject")),
            ("action = ", Value("action")),
            ("action = wallet:read, wallet:burn", Value("action")),
            ("action = wallet:read,", Value("action")),
            ("account = a,,b", Value("account")),
            (many.as_str(), Value("account")),
            ("expires = 1760631062", Value("expires")),
            ("expires = tomorrow", Value("expires")),
        ] {
            assert_eq!(Caveat::parse(text), Err(expected), "{text:?}");
        }
    }
}
