//! What a scenario found: one object for machines, one table for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use serde::Serialize;

use crate::blocks::Spread;
use crate::fingerprint::Fingerprint;

/// What a ratio should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
}

impl Goal {
    /// Whether `value` reaches the goal.
    #[must_use]
    pub fn is_met(self, value: f64) -> bool {
        match self {
            Goal::AtMost(most) => value <= most,
            Goal::AtLeast(least) => value >= least,
        }
    }
}

/// The findings of one scenario, as written to `--json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The scenario's name.
    pub scenario: String,
    /// When it began (RFC 3339, UTC).
    pub started: String,
    /// On what it ran.
    pub env: Fingerprint,
    /// Figures with their units in their names; comparable inside this run only.
    pub values: BTreeMap<String, f64>,
    /// Figures beside a peer's of the same run; comparable between runs.
    pub ratios: BTreeMap<String, f64>,
    /// The figures and ratios that miss their goals.
    pub short_of: Vec<String>,
    /// The quartiles around each ratio's pairs of blocks.
    pub spreads: BTreeMap<String, [f64; 2]>,
}

impl Report {
    /// An empty report that begins now.
    #[must_use]
    pub fn begin(scenario: &str, data: &Path) -> Self {
        Self {
            scenario: scenario.to_owned(),
            started: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            env: Fingerprint::take(data),
            values: BTreeMap::new(),
            ratios: BTreeMap::new(),
            short_of: Vec::new(),
            spreads: BTreeMap::new(),
        }
    }

    /// Puts a figure in. Nothing to tell is left out.
    ///
    /// # Panics
    /// If the figure is not finite.
    pub fn value(&mut self, name: &str, value: impl Into<Option<f64>>) {
        if let Some(value) = value.into() {
            assert!(value.is_finite(), "{name} is a number");
            self.values.insert(name.to_owned(), value);
        }
    }

    /// Puts a figure in that has a goal of its own, and its name among the missed ones if it misses.
    ///
    /// # Panics
    /// If the figure is not finite.
    pub fn goal(&mut self, name: &str, value: f64, goal: Goal) {
        self.value(name, value);
        if !goal.is_met(value) {
            self.short_of.push(name.to_owned());
        }
    }

    /// Puts a ratio in, and its name among the missed ones if it misses its goal.
    ///
    /// # Panics
    /// If the ratio is not finite.
    pub fn ratio(&mut self, name: &str, ratio: Option<Spread>, goal: Option<Goal>) {
        let Some(ratio) = ratio else { return };
        assert!(ratio.median.is_finite(), "{name} is a number");
        self.ratios.insert(name.to_owned(), ratio.median);
        self.spreads.insert(name.to_owned(), [ratio.low, ratio.high]);
        if goal.is_some_and(|goal| !goal.is_met(ratio.median)) {
            self.short_of.push(name.to_owned());
        }
    }

    /// The table for people.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = String::new();
        let env = &self.env;
        let mut line = |text: std::fmt::Arguments<'_>| {
            table.write_fmt(text).expect("a string takes all");
            table.push('\n');
        };
        line(format_args!("{} at {} ({}, commit {})", self.scenario, self.started, env.profile, env.commit));
        line(format_args!(
            "{} x{}, Linux {}, {} on {}",
            env.cpu, env.cores, env.kernel, env.filesystem, env.device
        ));
        for (name, value) in &self.values {
            let verdict = if self.short_of.contains(name) { "  short of its goal" } else { "" };
            line(format_args!("  {name:<26}{value:>14.2}{verdict}"));
        }
        for (name, ratio) in &self.ratios {
            let [low, high] = self.spreads.get(name).copied().unwrap_or([*ratio; 2]);
            let verdict = if self.short_of.contains(name) { "  short of its goal" } else { "" };
            line(format_args!("  {name:<26}{ratio:>14.2}  [{low:.2} .. {high:.2}]{verdict}"));
        }
        for peer in &env.missing_peers {
            line(format_args!("  not compared with {peer}: not on this host"));
        }
        table
    }

    /// Writes the object to `json` (`-` is standard output) and prints the table; to standard error
    /// when standard output carries the object.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn publish(&self, json: Option<&Path>) -> anyhow::Result<()> {
        let object = serde_json::to_string_pretty(self)?;
        match json {
            Some(path) if path == Path::new("-") => {
                writeln!(std::io::stdout(), "{object}")?;
                write!(std::io::stderr(), "{}", self.table())?;
            }
            Some(path) => {
                std::fs::write(path, object + "\n")?;
                write!(std::io::stdout(), "{}", self.table())?;
            }
            None => write!(std::io::stdout(), "{}", self.table())?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_its_fields_and_names_what_falls_short() {
        let mut report = Report::begin("commit", Path::new("."));
        report.value("device_p50_us", 50.0);
        report.value("absent", None);
        report.goal("idle_cpu_percent", 0.5, Goal::AtMost(1.0));
        report.goal("transfers_per_s", 9_999.0, Goal::AtLeast(10_000.0));
        let near = Spread { low: 1.1, median: 1.25, high: 1.3 };
        report.ratio("lone_p50_vs_ring", Some(near), Some(Goal::AtMost(1.5)));
        report.ratio("depth4_vs_ring", Some(near), Some(Goal::AtLeast(2.0)));
        report.ratio("no_peer", None, Some(Goal::AtMost(1.0)));
        let object: serde_json::Value = serde_json::to_value(&report).unwrap();
        assert_eq!(object["values"]["device_p50_us"], 50.0);
        assert!(object["values"].get("absent").is_none());
        assert_eq!(object["ratios"]["lone_p50_vs_ring"], 1.25);
        assert_eq!(object["short_of"], serde_json::json!(["transfers_per_s", "depth4_vs_ring"]));
        assert_eq!(object["env"]["missing_peers"], serde_json::json!([]));
        assert!(object["started"].as_str().unwrap().ends_with('Z'));
        let table = report.table();
        assert!(table.contains("1.25  [1.10 .. 1.30]  short of its goal"), "{table}");
    }
}
