//! `Key`: one setting: its name, what it may hold, its default, and one line about it.

use std::{borrow::Cow, fmt, net::SocketAddr};

/// Names in the environment begin with this; `__` stands for the dot.
const ENVIRONMENT_PREFIX: &str = "MACRONODE_";

/// One setting.
#[derive(Debug)]
pub(crate) struct Key {
    /// The dotted name, such as `ledger.http`.
    pub(crate) name: &'static str,
    /// What it may hold.
    pub(crate) kind: Kind,
    /// What it holds if nobody says otherwise; a development value.
    pub(crate) default: Value,
    /// One sentence or two, in Markdown.
    pub(crate) doc: &'static str,
    /// Other names in the environment, the strongest first; all weaker than its own.
    pub(crate) also: &'static [&'static str],
}

/// What a key may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// A path that is not empty.
    Path,
    /// An address and a port.
    Address,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A whole number, both bounds included.
    Integer(i64, i64),
    /// Yes or no.
    Boolean,
}

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// A text, path, address or word.
    Text(Cow<'static, str>),
    /// A whole number.
    Integer(i64),
    /// Yes or no.
    Boolean(bool),
}

/// A free text.
pub(crate) const fn text(name: &'static str, default: &'static str, doc: &'static str) -> Key {
    Key { name, kind: Kind::Text, default: Value::Text(Cow::Borrowed(default)), doc, also: &[] }
}

/// A path.
pub(crate) const fn path(name: &'static str, default: &'static str, doc: &'static str) -> Key {
    Key { name, kind: Kind::Path, default: Value::Text(Cow::Borrowed(default)), doc, also: &[] }
}

/// An address to listen on.
pub(crate) const fn address(name: &'static str, default: &'static str, doc: &'static str) -> Key {
    Key { name, kind: Kind::Address, default: Value::Text(Cow::Borrowed(default)), doc, also: &[] }
}

/// One of a few words, the first of which is the default.
pub(crate) const fn word(name: &'static str, words: &'static [&'static str], doc: &'static str) -> Key {
    Key { name, kind: Kind::Word(words), default: Value::Text(Cow::Borrowed(words[0])), doc, also: &[] }
}

/// A whole number from `low` to `high`.
pub(crate) const fn integer(
    name: &'static str,
    (low, high): (i64, i64),
    default: i64,
    doc: &'static str,
) -> Key {
    assert!(low <= default && default <= high, "the default is within the range");
    Key { name, kind: Kind::Integer(low, high), default: Value::Integer(default), doc, also: &[] }
}

/// Yes or no.
pub(crate) const fn boolean(name: &'static str, default: bool, doc: &'static str) -> Key {
    Key { name, kind: Kind::Boolean, default: Value::Boolean(default), doc, also: &[] }
}

impl Key {
    /// The same, taken from these variables too, the strongest first.
    pub(crate) const fn also(mut self, also: &'static [&'static str]) -> Self {
        self.also = also;
        self
    }

    /// The section and the name in it.
    pub(crate) fn parts(&self) -> (&'static str, &'static str) {
        self.name.split_once('.').unwrap_or(("", self.name))
    }

    /// Its name in the environment, such as `MACRONODE_LEDGER__HTTP`.
    pub(crate) fn variable(&self) -> String {
        format!("{ENVIRONMENT_PREFIX}{}", self.name.replace('.', "__").to_uppercase())
    }

    /// The key that a variable of the environment names, if it names one of ours at all.
    pub(crate) fn named_by_variable(variable: &str) -> Option<String> {
        Some(variable.strip_prefix(ENVIRONMENT_PREFIX)?.to_lowercase().replace("__", "."))
    }

    /// Reads a value as it is written in the environment or on the command line.
    ///
    /// # Errors
    /// What was expected instead.
    pub(crate) fn parse(&self, written: &str) -> Result<Value, String> {
        let value = match self.kind {
            Kind::Integer(..) => written.parse().ok().map(Value::Integer),
            Kind::Boolean => written.parse().ok().map(Value::Boolean),
            Kind::Text | Kind::Path | Kind::Address | Kind::Word(_) => {
                Some(Value::Text(Cow::Owned(written.into())))
            }
        };
        self.check(value.ok_or_else(|| self.expected())?)
    }

    /// Gives the value back if the key may hold it.
    ///
    /// # Errors
    /// What was expected instead.
    pub(crate) fn check(&self, value: Value) -> Result<Value, String> {
        let fits = match (&value, self.kind) {
            (Value::Text(_), Kind::Text) | (Value::Boolean(_), Kind::Boolean) => true,
            (Value::Text(text), Kind::Path) => !text.is_empty(),
            (Value::Text(text), Kind::Address) => text.parse::<SocketAddr>().is_ok(),
            (Value::Text(text), Kind::Word(words)) => words.contains(&text.as_ref()),
            (Value::Integer(number), Kind::Integer(low, high)) => (low..=high).contains(number),
            (Value::Text(_) | Value::Integer(_) | Value::Boolean(_), _) => false,
        };
        if fits { Ok(value) } else { Err(self.expected()) }
    }

    fn expected(&self) -> String {
        format!("expected {}", self.kind)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("a text"),
            Self::Path => f.write_str("a path"),
            Self::Address => f.write_str("an address such as `127.0.0.1:8080` (port 0: any free one)"),
            Self::Word(words) => write!(f, "`{}`", words.join("` or `")),
            Self::Integer(low, high) => write!(f, "a whole number from {low} to {high}"),
            Self::Boolean => f.write_str("`true` or `false`"),
        }
    }
}

/// As it stands in a file.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{}", toml::Value::String(text.as_ref().into())),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Boolean(yes) => write!(f, "{yes}"),
        }
    }
}
