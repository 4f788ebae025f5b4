//! Query strings and path parts: small, strict, percent-decoded (RFC 3986).

use std::borrow::Cow;

use axum::extract::{Path, rejection::PathRejection};
use model::{AccountName, Asset, Seq, Timestamp};
use wire::At;

use wallet::Code;

use crate::Refusal;

/// The asset that is meant where none is named.
pub(crate) const ASSET_DEFAULT: &str = "ron";

/// The pairs of a query string, each name at most once and known.
#[derive(Debug)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Parses `query`, whose names must be among `known`.
    ///
    /// # Errors
    /// `bad_request` for an unknown or repeated name, or a part that does not decode.
    pub(crate) fn parse(query: Option<&str>, known: &[&str]) -> Result<Self, Refusal> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name)?, decode(&value.replace('+', " "))?);
            if !known.contains(&name.as_str()) {
                return Err(bad(format!("unknown parameter {name:?}; known are {}", known.join(", "))));
            }
            if pairs.iter().any(|(taken, _)| *taken == name) {
                return Err(bad(format!("the parameter {name} is given twice")));
            }
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    /// The value of `name`, if it is given.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of `name`, which must be given.
    pub(crate) fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.text(name).ok_or_else(|| bad(format!("the parameter {name} is required")))
    }

    /// The value of `name` as a whole number, if it is given.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let parse = |text: &str| text.parse().map_err(|_| bad(format!("{name} is not a whole number")));
        self.text(name).map(parse).transpose()
    }

    /// The value of `name` as a moment of the past, if it is given: an entry's number, or a time.
    pub(crate) fn moment(&self, name: &str) -> Result<Option<At>, Refusal> {
        let Some(text) = self.text(name) else { return Ok(None) };
        if let Some(time) = Timestamp::parse(text) {
            return Ok(Some(At::Time(time)));
        }
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let seq = text.parse().ok().filter(|_| plain);
        let wrong = || bad(format!("{name} is an entry's number, or an RFC 3339 time in UTC"));
        Ok(Some(At::Seq(Seq(seq.ok_or_else(wrong)?))))
    }

    /// The asset that is meant.
    pub(crate) fn asset(&self) -> Result<Asset, Refusal> {
        let name = self.text("asset").unwrap_or(ASSET_DEFAULT);
        Asset::parse(name).map_err(|error| bad(error.to_string()))
    }
}

/// An account's name out of a path or a query, already decoded.
pub(crate) fn account(name: &str) -> Result<AccountName, Refusal> {
    AccountName::parse(name).map_err(|error| bad(error.to_string()))
}

/// The part of a path that a route captures, as axum hands it over.
pub(crate) type Part = Result<Path<String>, PathRejection>;

/// The captured part of a path, decoded.
pub(crate) fn part(captured: Part) -> Result<String, Refusal> {
    captured.map(|Path(text)| text).map_err(|_| bad("a percent-encoded text is not UTF-8"))
}

/// Undoes percent-encoding.
fn decode(text: &str) -> Result<String, Refusal> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first != b'%' {
            bytes.push(*first);
            rest = after;
            continue;
        }
        let digits = after.split_at_checked(2).and_then(|(digits, after)| {
            rest = after;
            digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
            u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
        });
        bytes.push(digits.ok_or_else(|| bad("a percent sign is not followed by two hex digits"))?);
    }
    String::from_utf8(bytes).map_err(|_| bad("a percent-encoded text is not UTF-8"))
}

fn bad(detail: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal::new(Code::BadRequest, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_strict() {
        let query = Query::parse(Some("account=users%3A1%2Fmain&limit=5"), &["account", "limit"]).unwrap();
        assert_eq!(query.required("account").unwrap(), "users:1/main");
        assert_eq!(query.number("limit").unwrap(), Some(5));
        assert_eq!(query.asset().unwrap(), Asset::parse("ron").unwrap());
        for bad in ["x=1", "limit=1&limit=2", "limit=%zz", "limit=%f", "limit=%+f", "limit=%ff"] {
            let parsed = Query::parse(Some(bad), &["limit"]).map(|_| ());
            assert_eq!(parsed.unwrap_err().code(), Code::BadRequest, "{bad}");
        }
        for (text, expected) in [
            ("at=7", At::Seq(Seq(7))),
            ("at=1970-01-01T00:00:01Z", At::Time(Timestamp::from_millis(1_000))),
            ("at=1970-01-01T00%3A00%3A01.5Z", At::Time(Timestamp::from_millis(1_500))),
        ] {
            let query = Query::parse(Some(text), &["at"]).unwrap();
            assert_eq!(query.moment("at").unwrap(), Some(expected), "{text}");
        }
        for bad in ["at=", "at=-1", "at=%2B1", "at=1970-01-01", "at=18446744073709551616"] {
            let query = Query::parse(Some(bad), &["at"]).unwrap();
            assert_eq!(query.moment("at").unwrap_err().code(), Code::BadRequest, "{bad}");
        }
        for bad in ["limit=-1", "limit=1.5", "limit=", "limit=+1", "limit=99999999999999999999"] {
            let query = Query::parse(Some(bad), &["limit"]).unwrap();
            assert_eq!(query.number("limit").unwrap_err().code(), Code::BadRequest, "{bad}");
        }
    }
}
