//! A JSON body taken strictly: what is not named, named twice, of another type or missing is an
//! error that says which field it was and what was expected.
//!
//! serde's derive would take an array for an object and would not name the field of a wrong
//! type, so an object is read field by field into `Loose` values, borrowed where JSON allows.

use alloc::{
    borrow::Cow,
    string::{String, ToString},
};
use core::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

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

/// A JSON value of which only texts, numbers and truth values are kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Loose<'de> {
    Null,
    Truth(bool),
    Number(u64),
    Text(Cow<'de, str>),
    /// A fraction, a negative number, an array or an object.
    Other,
}

/// The values of one object's fields, in the order of `names`; null counts as not given.
#[derive(Debug)]
pub(crate) struct Fields<'de, const N: usize> {
    names: &'static [&'static str; N],
    values: [Option<Loose<'de>>; N],
    entry: Option<usize>,
}

impl<'de, const N: usize> Fields<'de, N> {
    /// Reads a body that is one object with these fields and no others.
    pub(crate) fn parse(body: &'de [u8], names: &'static [&'static str; N]) -> Result<Self, BodyError> {
        let mut fault = None;
        parse_with(body, ObjectSeed { names, entry: None, fault: &mut fault })
            .map_err(|error| fault.unwrap_or(error))
    }

    /// The value of a field, if it is given.
    pub(crate) fn value(&self, name: &'static str) -> Option<&Loose<'de>> {
        let index = self.names.iter().position(|known| *known == name);
        let index = index.expect("only names that were parsed are asked for");
        self.values[index].as_ref().filter(|value| **value != Loose::Null)
    }

    /// The text of a field, if it is given.
    pub(crate) fn text(&self, name: &'static str, expected: &'static str) -> Result<Option<&str>, BodyError> {
        match self.value(name) {
            None => Ok(None),
            Some(Loose::Text(text)) => Ok(Some(text)),
            Some(Loose::Null | Loose::Truth(_) | Loose::Number(_) | Loose::Other) => {
                Err(self.wrong(name, expected))
            }
        }
    }

    /// A text that `parse` takes, if it is given.
    pub(crate) fn parsed<T>(
        &self,
        name: &'static str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, BodyError> {
        let text = self.text(name, expected)?;
        text.map(|text| parse(text).ok_or_else(|| self.wrong(name, expected))).transpose()
    }

    /// A text that must be there and that `parse` takes.
    pub(crate) fn required<T>(
        &self,
        name: &'static str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, BodyError> {
        self.parsed(name, expected, parse)?.ok_or_else(|| self.missing(name))
    }

    /// A whole number from 0 to 2^64 - 1, if it is given.
    pub(crate) fn number(&self, name: &'static str) -> Result<Option<u64>, BodyError> {
        match self.value(name) {
            None => Ok(None),
            Some(Loose::Number(number)) => Ok(Some(*number)),
            Some(Loose::Null | Loose::Truth(_) | Loose::Text(_) | Loose::Other) => {
                Err(self.wrong(name, "a whole number from 0 to 2^64 - 1"))
            }
        }
    }

    pub(crate) fn wrong(&self, name: &'static str, expected: &'static str) -> BodyError {
        BodyError::Wrong { field: self.path(name), expected }
    }

    pub(crate) fn missing(&self, name: &'static str) -> BodyError {
        BodyError::Missing(self.path(name))
    }

    fn path(&self, name: &'static str) -> FieldPath {
        FieldPath { entry: self.entry, name: Cow::Borrowed(name) }
    }
}

/// Runs a seed over a whole body.
pub(crate) fn parse_with<'de, T: DeserializeSeed<'de>>(
    body: &'de [u8],
    seed: T,
) -> Result<T::Value, BodyError> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = seed.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    value.map_err(|error| BodyError::Json { line: error.line(), column: error.column() })
}

/// Reads one object. What is wrong with its fields is left in `fault`, since serde's errors
/// carry text only.
pub(crate) struct ObjectSeed<'f, const N: usize> {
    pub(crate) names: &'static [&'static str; N],
    pub(crate) entry: Option<usize>,
    pub(crate) fault: &'f mut Option<BodyError>,
}

impl<'de, const N: usize> DeserializeSeed<'de> for ObjectSeed<'_, N> {
    type Value = Fields<'de, N>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(Object(self))
    }
}

struct Object<'f, const N: usize>(ObjectSeed<'f, N>);

impl<const N: usize> Object<'_, N> {
    fn fail<E: Error>(self, fault: BodyError) -> E {
        fail(self.0.fault, fault)
    }

    fn refuse<E: Error>(self) -> E {
        let field = FieldPath { entry: self.0.entry, name: Cow::Borrowed("") };
        self.fail(BodyError::Wrong { field, expected: "an object" })
    }
}

/// Leaves the fault and gives serde something to stop with.
pub(crate) fn fail<E: Error>(place: &mut Option<BodyError>, fault: BodyError) -> E {
    *place = Some(fault);
    E::custom("see the fault")
}

/// A visitor's answers to everything that is neither an object nor an array.
macro_rules! refuse_all_but {
    ($($visit:ident: $type:ty),*) => {
        $(fn $visit<E: Error>(self, _: $type) -> Result<Self::Value, E> {
            Err(self.refuse())
        })*
        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Err(self.refuse())
        }
    };
}
pub(crate) use refuse_all_but;

impl<'de, const N: usize> Visitor<'de> for Object<'_, N> {
    type Value = Fields<'de, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    refuse_all_but!(visit_bool: bool, visit_u64: u64, visit_i64: i64, visit_f64: f64, visit_str: &str);

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(self.refuse())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let ObjectSeed { names, entry, .. } = self.0;
        let mut values = [const { None }; N];
        while let Some(name) = map.next_key::<Name<'de>>()? {
            let Some(index) = names.iter().position(|known| *known == name.0) else {
                return Err(self.fail(BodyError::Unknown(FieldPath { entry, name: shown(&name.0) })));
            };
            let place = &mut values[index];
            if place.is_some() {
                return Err(self.fail(BodyError::Twice(FieldPath { entry, name: shown(&name.0) })));
            }
            *place = Some(map.next_value::<Loose<'de>>()?);
        }
        Ok(Fields { names, values, entry })
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
            Loose::Null | Loose::Truth(_) | Loose::Number(_) | Loose::Other => {
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

struct LooseVisitor;

impl<'de> Visitor<'de> for LooseVisitor {
    type Value = Loose<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
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

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Loose::Other)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Loose::Other)
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Loose::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Loose::Text(Cow::Owned(String::from(value))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        while array.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Loose::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Loose::Other)
    }
}

#[cfg(test)]
mod tests;
