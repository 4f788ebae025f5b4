//! `Settings`: every key with its value and where the value comes from.
//!
//! Holds: every value has passed the checks of its key.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{
    file,
    key::{Key, Value},
    keys,
    problem::{Origin, Problem, Problems},
};

/// Every key with its value and origin.
#[derive(Clone, Debug)]
pub struct Settings {
    values: BTreeMap<&'static str, (Value, Origin)>,
}

impl Settings {
    /// Lays file, environment and flags (`key=value`) over the development defaults.
    ///
    /// # Errors
    /// Everything that is wrong, each with its place.
    pub fn load(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        flags: &[String],
    ) -> Result<Self, Problems> {
        let mut layers = Layers { settings: Self::defaults(), problems: Vec::new() };
        if let Some(path) = file {
            layers.lay_file(path);
        }
        let mut variables: Vec<_> = environment.collect();
        variables.sort();
        layers.lay_other_names(&variables);
        for (variable, written) in variables {
            if let Some(name) = Key::named_by_variable(&variable) {
                layers.lay_written(&name, &written, Origin::Environment(variable));
            }
        }
        for flag in flags {
            layers.lay_flag(flag);
        }
        layers.done()
    }

    fn defaults() -> Self {
        let values = keys::all().map(|key| (key.name, (key.default.clone(), Origin::Default)));
        Self { values: values.collect() }
    }

    /// Every key with its value and origin, one line each, in the order of the file.
    #[must_use]
    pub fn print(&self) -> String {
        let mut lines = String::new();
        for key in keys::all() {
            let (value, origin) = self.entry(key.name);
            writeln!(lines, "{} = {value}  # {origin}", key.name).expect("a string takes it");
        }
        lines
    }

    /// A text or word.
    pub(crate) fn text(&self, name: &str) -> &str {
        match &self.entry(name).0 {
            Value::Text(text) => text,
            Value::Integer(_) | Value::Boolean(_) => panic!("{name} is no text"),
        }
    }

    /// A whole number, whose range fits the type.
    pub(crate) fn number<T: TryFrom<i64>>(&self, name: &str) -> T {
        let Value::Integer(number) = self.entry(name).0 else { panic!("{name} is no number") };
        T::try_from(number).unwrap_or_else(|_| panic!("the range of {name} fits its type"))
    }

    /// Yes or no.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        let Value::Boolean(yes) = self.entry(name).0 else { panic!("{name} is no yes or no") };
        yes
    }

    /// An address.
    pub(crate) fn address(&self, name: &str) -> SocketAddr {
        self.text(name).parse().expect("an address is checked when it is laid")
    }

    /// A path.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.text(name).into()
    }

    /// Where the value of a key comes from.
    pub(crate) fn origin(&self, name: &str) -> &Origin {
        &self.entry(name).1
    }

    /// Something that is wrong with the value of a key.
    pub(crate) fn problem(&self, name: &str, message: impl Into<String>) -> Problem {
        let (value, origin) = self.entry(name);
        Problem { what: format!("{name} = {value}"), origin: origin.clone(), message: message.into() }
    }

    fn entry(&self, name: &str) -> &(Value, Origin) {
        self.values.get(name).unwrap_or_else(|| panic!("{name} has a row in keys.rs"))
    }
}

/// The layers while they are laid.
struct Layers {
    settings: Settings,
    problems: Vec<Problem>,
}

impl Layers {
    fn lay_file(&mut self, path: &Path) {
        let lines = match file::read(path) {
            Ok(lines) => lines,
            Err(problem) => return self.problems.push(problem),
        };
        for line in lines {
            let shown = format!("{} = {}", line.name, line.shown);
            match keys::find(&line.name) {
                Ok(key) => {
                    let checked = match line.value {
                        Some(value) => key.check(value),
                        None => Err(format!("expected {}", key.kind)),
                    };
                    self.lay(key, shown, checked, line.origin);
                }
                Err(message) => self.problems.push(Problem { what: line.name, origin: line.origin, message }),
            }
        }
        let unsaid = self.problems.iter().all(|problem| !problem.what.starts_with("profile"));
        if unsaid && *self.settings.origin("profile") == Origin::Default {
            let origin = Origin::File { path: path.display().to_string(), line: 1 };
            let message = "a config file must name its profile: add `profile = \"macronode\"`".into();
            self.problems.push(Problem { what: "profile".into(), origin, message });
        }
    }

    /// What programs of the field call our keys, the weakest first. Empty is as good as not set.
    fn lay_other_names(&mut self, variables: &[(String, String)]) {
        let mut named: Vec<_> = variables
            .iter()
            .filter(|(_, written)| !written.is_empty())
            .filter_map(|(variable, written)| {
                let (key, weakness) = keys::by_other_name(variable)?;
                Some((weakness, key, variable, written))
            })
            .collect();
        named.sort_by_key(|(weakness, ..)| std::cmp::Reverse(*weakness));
        for (_, key, variable, written) in named {
            self.lay_written(key.name, written, Origin::Environment(variable.clone()));
        }
    }

    fn lay_flag(&mut self, flag: &str) {
        match flag.split_once('=') {
            Some((name, written)) => self.lay_written(name, written, Origin::Flag),
            None => self.problems.push(Problem {
                what: flag.into(),
                origin: Origin::Flag,
                message: "expected KEY=VALUE".into(),
            }),
        }
    }

    fn lay_written(&mut self, name: &str, written: &str, origin: Origin) {
        match keys::find(name) {
            Ok(key) => self.lay(key, format!("{name} = {written}"), key.parse(written), origin),
            Err(message) => self.problems.push(Problem { what: name.into(), origin, message }),
        }
    }

    fn lay(&mut self, key: &Key, shown: String, checked: Result<Value, String>, origin: Origin) {
        match checked {
            Ok(value) => drop(self.settings.values.insert(key.name, (value, origin))),
            Err(message) => self.problems.push(Problem { what: shown, origin, message }),
        }
    }

    fn done(self) -> Result<Settings, Problems> {
        if self.problems.is_empty() { Ok(self.settings) } else { Err(Problems(self.problems)) }
    }
}

#[cfg(test)]
mod tests;
