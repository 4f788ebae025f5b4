//! `Settings`: how the meter is set up, by the host or by the environment.

use std::{
    env, fmt,
    num::{NonZeroU64, NonZeroUsize},
};

/// How the meter is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Length of the host's window in milliseconds (`ACC_WINDOW_MS`, 60000).
    pub window_ms: NonZeroU64,
    /// Label sets with a row of their own (`ACC_LABEL_LIMIT`, 2048).
    pub label_limit: NonZeroUsize,
}

/// A variable of the environment that does not say what it must.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    /// Which variable.
    pub variable: &'static str,
    /// What it says.
    pub value: String,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} must be a whole number above zero, but is {:?}", self.variable, self.value)
    }
}

impl std::error::Error for SettingsError {}

impl Default for Settings {
    fn default() -> Self {
        Self {
            window_ms: NonZeroU64::new(60_000).expect("a constant above zero"),
            label_limit: NonZeroUsize::new(2_048).expect("a constant above zero"),
        }
    }
}

impl Settings {
    /// The defaults, changed by what the environment says.
    ///
    /// # Errors
    /// Names the variable that does not say what it must.
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::from_lookup(|name| env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let mut settings = Self::default();
        if let Some(window_ms) = parse("ACC_WINDOW_MS", &lookup)? {
            settings.window_ms = window_ms;
        }
        if let Some(label_limit) = parse("ACC_LABEL_LIMIT", &lookup)? {
            settings.label_limit = label_limit;
        }
        Ok(settings)
    }
}

fn parse<T: std::str::FromStr>(
    variable: &'static str,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Option<T>, SettingsError> {
    let Some(value) = lookup(variable) else { return Ok(None) };
    value.trim().parse().map(Some).map_err(|_| SettingsError { variable, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_read_strictly() {
        let read = |name: &'static str, value: &'static str| {
            let settings = Settings::from_lookup(|asked| (asked == name).then(|| value.to_owned()));
            settings.map(|settings| (settings.window_ms.get(), settings.label_limit.get()))
        };
        assert_eq!(read("NONE", ""), Ok((60_000, 2_048)));
        assert_eq!(read("ACC_WINDOW_MS", "1000"), Ok((1_000, 2_048)));
        assert_eq!(read("ACC_LABEL_LIMIT", " 8 "), Ok((60_000, 8)));
        for bad in ["", "0", "-1", "1e3", "many"] {
            let error = read("ACC_LABEL_LIMIT", bad).unwrap_err();
            assert_eq!((error.variable, error.value.as_str()), ("ACC_LABEL_LIMIT", bad));
        }
    }
}
