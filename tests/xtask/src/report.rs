//! What a run has come to: stages with seconds, what could not run, the closing line.
//!
//! Holds: nothing that did not run is counted as passed.

use std::time::Duration;

use crate::stage::{Counts, Ended};

/// The stages of one run, as they end.
#[derive(Debug, Default)]
pub(crate) struct Report {
    ended: Vec<Ended>,
    not_run: Vec<String>,
    flaky: Vec<String>,
}

impl Report {
    /// Takes a stage that has ended.
    pub(crate) fn push(&mut self, mut ended: Ended) {
        self.not_run.append(&mut ended.not_run);
        self.flaky.append(&mut ended.flaky);
        self.ended.push(ended);
    }

    /// Names something that could not run here, and why.
    pub(crate) fn not_run(&mut self, what: impl Into<String>) {
        self.not_run.push(what.into());
    }

    /// Tests that ran; a stage that failed without a failed test counts as one failure.
    pub(crate) fn counts(&self) -> Counts {
        let mut total = Counts::default();
        for ended in &self.ended {
            total.add(ended.counts);
            if !ended.ok && ended.counts.failed == 0 {
                total.failed += 1;
            }
        }
        total
    }

    /// What tests printed as evidence, with the stage that they ran in.
    pub(crate) fn evidence(&self) -> impl Iterator<Item = &str> {
        self.ended.iter().flat_map(|ended| ended.evidence.iter().map(String::as_str))
    }

    /// Prints the table and the closing line; whether everything held within `limit`.
    pub(crate) fn close(&self, took: Duration, limit: Duration) -> bool {
        println!("\n{:<22} {:>8}  {:<6}  tests", "stage", "seconds", "");
        for ended in &self.ended {
            let verdict = if ended.ok { "ok" } else { "FAILED" };
            let tests = match ended.counts {
                Counts { passed: 0, failed: 0, skipped: 0 } => String::new(),
                Counts { passed, failed, skipped } => {
                    format!("{passed} passed, {failed} failed, {skipped} skipped")
                }
            };
            println!("{:<22} {:>8.1}  {verdict:<6}  {tests}", ended.name, ended.took.as_secs_f64());
        }
        println!("{:<22} {:>8.1}", "all", took.as_secs_f64());
        println!("could not run here: {}", self.not_run.len());
        for what in &self.not_run {
            println!("  {what}");
        }
        if !self.flaky.is_empty() {
            println!("held only when they ran again, each a defect to find: {}", self.flaky.len());
        }
        for test in &self.flaky {
            println!("  {test}");
        }
        let mut counts = self.counts();
        if took > limit {
            println!("over the limit of {} s", limit.as_secs());
            counts.failed += 1;
        }
        println!("{} passed, {} failed", counts.passed, counts.failed);
        counts.failed == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(ok: bool, passed: u64, failed: u64) -> Ended {
        let counts = Counts { passed, failed, skipped: 0 };
        let took = Duration::from_secs(1);
        Ended {
            name: "stage",
            ok,
            took,
            counts,
            evidence: Vec::new(),
            not_run: Vec::new(),
            flaky: Vec::new(),
        }
    }

    #[test]
    fn a_failed_stage_counts_even_without_a_failed_test() {
        let cases = [
            (vec![ended(true, 5, 0)], (5, 0)),
            (vec![ended(true, 5, 0), ended(false, 0, 0)], (5, 1)),
            (vec![ended(false, 4, 2), ended(true, 1, 0)], (5, 2)),
        ];
        for (stages, (passed, failed)) in cases {
            let report = Report { ended: stages, ..Report::default() };
            assert_eq!((report.counts().passed, report.counts().failed), (passed, failed));
            assert_eq!(report.close(Duration::from_secs(1), Duration::from_secs(9)), failed == 0);
        }
    }

    #[test]
    fn a_run_over_its_limit_fails() {
        let report = Report { ended: vec![ended(true, 5, 0)], ..Report::default() };
        assert!(!report.close(Duration::from_secs(10), Duration::from_secs(9)));
    }
}
