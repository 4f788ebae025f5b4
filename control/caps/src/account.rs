//! `AccountPattern`: which accounts a bearer may act for.

use alloc::string::String;

use model::AccountName;

/// One word of an `account` caveat: a name, everything under a name (`shop/*`, `users:*`), or
/// everything (`*`).
///
/// The star stands only after `/` or `:`, so that `shop*` cannot reach `shopper` by surprise.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AccountPattern(String);

impl AccountPattern {
    /// Every account.
    #[must_use]
    pub fn any() -> Self {
        Self(String::from("*"))
    }

    /// Exactly this account.
    #[must_use]
    pub fn only(name: &AccountName) -> Self {
        Self(String::from(name.as_str()))
    }

    /// Parses a word; `None` unless it is an account's name, a name followed by `/*` or `:*`,
    /// or `*`.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let name = word.strip_suffix("/*").or_else(|| word.strip_suffix(":*")).unwrap_or(word);
        let valid = word == "*" || AccountName::parse(name).is_ok();
        valid.then(|| Self(String::from(word)))
    }

    /// The word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it covers `name`.
    #[must_use]
    pub fn covers(&self, name: &AccountName) -> bool {
        match self.0.strip_suffix('*') {
            Some(prefix) => name.as_str().starts_with(prefix),
            None => self.0 == name.as_str(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_cover_names_and_what_lies_under_them() {
        for (word, name, expected) in [
            ("*", "acct_a", true),
            ("*", "@issuance", true),
            ("acct_a", "acct_a", true),
            ("acct_a", "acct_ab", false),
            ("shop/*", "shop/till", true),
            ("shop/*", "shop/till/1", true),
            ("shop/*", "shop", false),
            ("shop/*", "shopper/till", false),
            ("users:*", "users:001", true),
            ("users:*", "users/001", false),
        ] {
            let name = AccountName::parse(name).unwrap();
            assert_eq!(AccountPattern::parse(word).unwrap().covers(&name), expected, "{word} {name}");
        }
        for bad in ["", "/*", ":*", "shop*", "a/*/b", "**", "../*", "@me", "a b", "*/a"] {
            assert_eq!(AccountPattern::parse(bad), None, "{bad:?}");
        }
    }
}
