//! A config file as a flat list of dotted keys, each with its line.

use std::path::Path;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    key::Value,
    problem::{Origin, Problem},
};

/// One key of a file.
#[derive(Debug)]
pub(crate) struct Line {
    /// The dotted key.
    pub(crate) name: String,
    /// Its value as the file has it; `None` for a kind of value that no key has.
    pub(crate) value: Option<Value>,
    /// The value as it is shown.
    pub(crate) shown: String,
    /// Where it stands.
    pub(crate) origin: Origin,
}

/// Reads the file.
///
/// # Errors
/// If it cannot be read or is no TOML.
pub(crate) fn read(path: &Path) -> Result<Vec<Line>, Problem> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| Problem {
        what: "config file".into(),
        origin: Origin::File { path: shown.clone(), line: 1 },
        message: format!("cannot be read: {error}"),
    })?;
    let place = |at: usize| Origin::File {
        path: shown.clone(),
        line: 1 + text.get(..at).unwrap_or_default().matches('\n').count(),
    };
    let table = DeTable::parse(&text).map_err(|error| Problem {
        what: "config file".into(),
        origin: place(error.span().map_or(0, |span| span.start)),
        message: error.message().into(),
    })?;
    let mut lines = Vec::new();
    flatten(table.get_ref(), "", &place, &mut lines);
    Ok(lines)
}

fn flatten(table: &DeTable<'_>, above: &str, place: &impl Fn(usize) -> Origin, lines: &mut Vec<Line>) {
    for (key, value) in table {
        let name =
            if above.is_empty() { key.get_ref().to_string() } else { format!("{above}.{}", key.get_ref()) };
        if let Some(table) = value.get_ref().as_table() {
            flatten(table, &name, place, lines);
        } else {
            let origin = place(key.span().start);
            lines.push(Line { name, value: plain(value), shown: show(value), origin });
        }
    }
}

fn plain(value: &Spanned<DeValue<'_>>) -> Option<Value> {
    match value.get_ref() {
        DeValue::String(text) => Some(Value::Text(text.clone().into_owned().into())),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(Value::Integer)
        }
        DeValue::Boolean(yes) => Some(Value::Boolean(*yes)),
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

fn show(value: &Spanned<DeValue<'_>>) -> String {
    plain(value).map_or_else(|| format!("({})", value.get_ref().type_str()), |value| value.to_string())
}
