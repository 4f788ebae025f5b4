//! A JSON body taken strictly: what is not named, named twice, of another type or missing is an
//! error that says which field it was and what was expected.
//!
//! serde's derive would take an array for an object and would not name the field of a wrong
//! type, so an object is read field by field into `Loose` values, borrowed where JSON allows.
//! serde's errors carry text only: before each step the fault that would be told if the step
//! met a wrong type is left beside it, and taken away after.

use alloc::{
    borrow::Cow,
    string::{String, ToString},
};
use core::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

use crate::{Code, Problem, limits::SHOWN_NAME_CHARS_MAX};

/// Whose words a bad body is answered in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// The wallet's routes: `bad_request` for everything.
    Wallet,
    /// The ledger's routes: `unknown_kind` for a field that is not known.
    Ledger,
}

/// A field of a body: its name, and the entry of the batch that it stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPath {
    /// The index in `batch`; `None` for a field of the body itself.
    pub entry: Option<usize>,
    /// The name, cut to `limits::SHOWN_NAME_CHARS_MAX`.
    pub name: Cow<'static, str>,
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.entry, self.name.as_ref()) {
            (None, "") => f.write_str("the body"),
            (None, name) => f.write_str(name),
            (Some(entry), "") => write!(f, "batch[{entry}]"),
            (Some(entry), name) => write!(f, "batch[{entry}].{name}"),
        }
    }
}

/// Why a body is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Not JSON, or something after it.
    #[error("the body is not JSON: line {line}, column {column}")]
    Json {
        /// From 1.
        line: usize,
        /// From 1; 0 for the end of the line before.
        column: usize,
    },
    /// A field that this route does not have.
    #[error("{0}: no such field")]
    Unknown(FieldPath),
    /// A field that stands there twice.
    #[error("{0}: given twice")]
    Twice(FieldPath),
    /// A field that must be there.
    #[error("{0}: required")]
    Missing(FieldPath),
    /// A field whose value is not what it must be.
    #[error("{field}: expected {expected}")]
    Wrong {
        /// Which.
        field: FieldPath,
        /// What it must be.
        expected: &'static str,
    },
    /// More entries than a batch may have.
    #[error("batch: more than {limit} entries")]
    TooMany {
        /// The most that it may have.
        limit: usize,
    },
}

impl BodyError {
    /// The answer to this body.
    #[must_use]
    pub fn problem(&self, surface: Surface) -> Problem {
        let code = match (self, surface) {
            (Self::TooMany { .. }, _) => Code::TooLarge,
            (Self::Unknown(_), Surface::Ledger) => Code::UnknownKind,
            (
                Self::Unknown(_) | Self::Json { .. } | Self::Twice(_) | Self::Missing(_) | Self::Wrong { .. },
                _,
            ) => Code::BadRequest,
        };
        Problem::new(code).detail(self.to_string())
    }
}

/// A field that a route has, and what its value must be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) expected: &'static str,
}

/// A JSON value that a field can have. Fractions, negative numbers, arrays and objects cannot
/// be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Loose<'de> {
    Null,
    Truth(bool),
    Number(u64),
    Text(Cow<'de, str>),
}

/// The values of one object's fields, in the order of `known`; null counts as not given.
#[derive(Debug)]
pub(crate) struct Fields<'de, const N: usize> {
    known: &'static [Field; N],
    values: [Option<Loose<'de>>; N],
    entry: Option<usize>,
}

impl<'de, const N: usize> Fields<'de, N> {
    /// Reads a body that is one object with these fields and no others.
    pub(crate) fn parse(body: &'de [u8], known: &'static [Field; N]) -> Result<Self, BodyError> {
        let mut fault = None;
        let read = parse_with(body, ObjectSeed { known, entry: None, fault: &mut fault });
        read.map_err(|error| told(&error, fault))
    }

    /// The value of a field, if it is given.
    pub(crate) fn value(&self, name: &'static str) -> Option<&Loose<'de>> {
        self.values[self.index(name)].as_ref().filter(|value| **value != Loose::Null)
    }

    /// A text that `parse` takes, if it is given.
    pub(crate) fn optional<T>(
        &self,
        name: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, BodyError> {
        let parsed = match self.value(name) {
            None => return Ok(None),
            Some(Loose::Text(text)) => parse(text),
            Some(Loose::Null | Loose::Truth(_) | Loose::Number(_)) => None,
        };
        parsed.map(Some).ok_or_else(|| self.wrong(name))
    }

    /// A text that must be there and that `parse` takes.
    pub(crate) fn required<T>(
        &self,
        name: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, BodyError> {
        self.optional(name, parse)?.ok_or_else(|| BodyError::Missing(self.path(name)))
    }

    /// A whole number from 0 to 2^64 - 1, if it is given.
    pub(crate) fn number(&self, name: &'static str) -> Result<Option<u64>, BodyError> {
        match self.value(name) {
            None => Ok(None),
            Some(Loose::Number(number)) => Ok(Some(*number)),
            Some(Loose::Null | Loose::Truth(_) | Loose::Text(_)) => Err(self.wrong(name)),
        }
    }

    /// What is told of a field whose value is not what it must be.
    pub(crate) fn wrong(&self, name: &'static str) -> BodyError {
        BodyError::Wrong { field: self.path(name), expected: self.known[self.index(name)].expected }
    }

    fn index(&self, name: &'static str) -> usize {
        let index = self.known.iter().position(|field| field.name == name);
        index.expect("only fields that were parsed are asked for")
    }

    fn path(&self, name: &'static str) -> FieldPath {
        FieldPath { entry: self.entry, name: Cow::Borrowed(name) }
    }
}

/// Runs a seed over a whole body.
pub(crate) fn parse_with<'de, T: DeserializeSeed<'de>>(
    body: &'de [u8],
    seed: T,
) -> Result<T::Value, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = seed.deserialize(&mut deserializer)?;
    deserializer.end().map(|()| value)
}

/// What an error is told as: the fault that was left where JSON was well formed but not what it
/// must be, and the place in the text where it was no JSON.
pub(crate) fn told(error: &serde_json::Error, fault: Option<BodyError>) -> BodyError {
    let place = BodyError::Json { line: error.line(), column: error.column() };
    if error.is_data() { fault.unwrap_or(place) } else { place }
}

/// Leaves the fault and gives serde something to stop with.
pub(crate) fn fail<E: Error>(place: &mut Option<BodyError>, fault: BodyError) -> E {
    *place = Some(fault);
    E::custom("see the fault")
}

/// Reads one object.
pub(crate) struct ObjectSeed<'f, const N: usize> {
    pub(crate) known: &'static [Field; N],
    pub(crate) entry: Option<usize>,
    pub(crate) fault: &'f mut Option<BodyError>,
}

impl<'de, const N: usize> DeserializeSeed<'de> for ObjectSeed<'_, N> {
    type Value = Fields<'de, N>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let field = FieldPath { entry: self.entry, name: Cow::Borrowed("") };
        *self.fault = Some(BodyError::Wrong { field, expected: "an object" });
        deserializer.deserialize_map(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for ObjectSeed<'_, N> {
    type Value = Fields<'de, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Self { known, entry, fault } = self;
        *fault = None;
        let mut values = [const { None }; N];
        while let Some(Name(name)) = map.next_key::<Name<'de>>()? {
            let Some(index) = known.iter().position(|field| field.name == name) else {
                return Err(fail(fault, BodyError::Unknown(FieldPath { entry, name: shown(&name) })));
            };
            let Field { name, expected } = known[index];
            let field = FieldPath { entry, name: Cow::Borrowed(name) };
            if values[index].is_some() {
                return Err(fail(fault, BodyError::Twice(field)));
            }
            *fault = Some(BodyError::Wrong { field, expected });
            values[index] = Some(map.next_value::<Loose<'de>>()?);
            *fault = None;
        }
        Ok(Fields { known, values, entry })
    }
}

/// A field's name as a message shows it.
pub(crate) fn shown(name: &str) -> Cow<'static, str> {
    Cow::Owned(name.chars().take(SHOWN_NAME_CHARS_MAX).collect::<String>())
}

/// A field's name, borrowed where it has no escapes.
pub(crate) struct Name<'de>(pub(crate) Cow<'de, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Loose::deserialize(deserializer)? {
            Loose::Text(text) => Ok(Self(text)),
            Loose::Null | Loose::Truth(_) | Loose::Number(_) => {
                Err(D::Error::custom("expected a field's name"))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Loose<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LooseVisitor)
    }
}

/// serde refuses by itself what this visitor has no answer to.
struct LooseVisitor;

impl<'de> Visitor<'de> for LooseVisitor {
    type Value = Loose<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a whole number, true, false or null")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Loose::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Loose::Truth(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Loose::Number(value))
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Loose::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Loose::Text(Cow::Owned(String::from(value))))
    }
}

#[cfg(test)]
mod tests;
