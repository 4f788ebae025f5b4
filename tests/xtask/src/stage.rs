//! One stage of a run: a command whose output passes through while its test counts are read.
//!
//! Holds: a stage ends by itself or is killed at its deadline. Leaves to others: which stages, and
//! what to make of them.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;

/// Tests that ran, read from the closing lines of `cargo nextest` or `cargo test`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Ran and held.
    pub(crate) passed: u64,
    /// Ran and did not hold, or were ended at their deadline.
    pub(crate) failed: u64,
    /// Were there and did not run.
    pub(crate) skipped: u64,
}

impl Counts {
    /// Reads a line such as `Summary [0.1s] 9 tests run: 8 passed, 1 failed, 2 skipped` or
    /// `test result: ok. 8 passed; 1 failed; 0 ignored; ..`; other lines count nothing.
    pub(crate) fn of_line(line: &str) -> Self {
        let mut counts = Self::default();
        // nextest indents its summary, and also what the tests themselves have printed.
        let nextest = line.trim_start().starts_with("Summary [");
        if !nextest && !line.starts_with("test result:") {
            return counts;
        }
        let words: Vec<&str> =
            line.split([' ', ',', ';', '.', ':', '(']).filter(|word| !word.is_empty()).collect();
        for pair in words.windows(2) {
            let [number, word] = pair else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match *word {
                "passed" => counts.passed += number,
                "failed" | "timed" | "exec" => counts.failed += number,
                "skipped" | "ignored" => counts.skipped += number,
                _ => {}
            }
        }
        counts
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// How a stage ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// As in the table.
    pub(crate) name: &'static str,
    /// The command ended with 0 in time.
    pub(crate) ok: bool,
    /// Wall clock.
    pub(crate) took: Duration,
    /// Tests, if the stage runs any.
    pub(crate) counts: Counts,
    /// Lines that tests printed as evidence, without the leading `proof: `.
    pub(crate) evidence: Vec<String>,
    /// Lines `not run: NAME: REASON` of tests that this host has no means for.
    pub(crate) not_run: Vec<String>,
    /// Tests that held only when they ran again.
    pub(crate) flaky: Vec<String>,
}

impl Ended {
    fn new(name: &'static str) -> Self {
        let (evidence, not_run, flaky) = (Vec::new(), Vec::new(), Vec::new());
        Self { name, ok: false, took: Duration::ZERO, counts: Counts::default(), evidence, not_run, flaky }
    }

    /// Reads one line of the stage's output.
    fn take(&mut self, line: &str) {
        self.counts.add(Counts::of_line(line));
        if let Some((_, evidence)) = line.split_once("proof: ") {
            self.evidence.push(evidence.trim().to_owned());
        }
        if let Some((_, what)) = line.split_once("not run: ") {
            self.not_run.push(what.trim().to_owned());
        }
        // nextest tells them behind its summary: `FLAKY 2/2 [   1.0s] (9/9) BINARY NAME`.
        let flaky = line.trim_start().strip_prefix("FLAKY ").and_then(|line| line.split_once(") "));
        self.flaky.extend(flaky.map(|(_, test)| test.to_owned()));
    }
}

/// Runs `command` to its end or to `deadline`.
pub(crate) fn run(name: &'static str, mut command: Command, deadline: Instant) -> anyhow::Result<Ended> {
    println!("\n== {name}: {}", shown(&command));
    let started = now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{name}: cannot start {}", shown(&command)))?;
    let mut ended = Ended::new(name);
    let in_time = follow(&mut child, &mut ended, deadline);
    if !in_time {
        eprintln!("{name}: over the time that the whole run may take; killed");
        child.kill().context("kill a stage that is over its time")?;
    }
    let status = child.wait().context("wait for a stage")?;
    ended.ok = in_time && status.success();
    ended.took = now().duration_since(started);
    Ok(ended)
}

/// The one place of this tool that reads the clock.
#[expect(clippy::disallowed_methods, reason = "a tool times its stages; no machine is driven from here")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Passes the child's output on until both pipes end; `false` at the deadline.
fn follow(child: &mut Child, ended: &mut Ended, deadline: Instant) -> bool {
    let (sender, lines) = mpsc::channel();
    let out = child.stdout.take().expect("stdout is piped");
    let err = child.stderr.take().expect("stderr is piped");
    spawn_reader(out, std::io::stdout(), sender.clone());
    spawn_reader(err, std::io::stderr(), sender);
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(now())) {
            Ok(line) => {
                ended.take(&line);
            }
            Err(RecvTimeoutError::Disconnected) => return true,
            Err(RecvTimeoutError::Timeout) => return false,
        }
    }
}

fn spawn_reader(
    from: impl Read + Send + 'static,
    mut to: impl Write + Send + 'static,
    lines: Sender<String>,
) {
    thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n') {
            let Ok(line) = line else { return };
            let line = String::from_utf8_lossy(&line).into_owned();
            if writeln!(to, "{line}").is_err() || lines.send(line).is_err() {
                return;
            }
        }
    });
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let mut words = vec![program.to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_from_closing_lines_only() {
        let counts = |passed, failed, skipped| Counts { passed, failed, skipped };
        let cases = [
            ("Summary [   0.512s] 9 tests run: 9 passed, 0 skipped", counts(9, 0, 0)),
            (
                "Summary [   0.5s] 9 tests run: 6 passed (1 slow), 2 failed, 1 timed out, 4 skipped",
                counts(6, 3, 4),
            ),
            ("Summary [   0.5s] 3/9 tests run: 2 passed, 1 failed, 0 skipped", counts(2, 1, 0)),
            ("test result: ok. 8 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out", counts(8, 1, 2)),
            ("     Summary [   0.5s] 2 tests run: 2 passed, 0 skipped", counts(2, 0, 0)),
            ("    test result: ok. 8 passed; 1 failed; 2 ignored", counts(0, 0, 0)),
            ("3 passed by here", counts(0, 0, 0)),
            ("test tidy::edges ... ok", counts(0, 0, 0)),
        ];
        for (line, expected) in cases {
            assert_eq!(Counts::of_line(line), expected, "{line}");
        }
    }

    #[test]
    fn a_stage_that_fails_is_not_ok_and_one_that_hangs_is_ended() {
        let soon = now() + Duration::from_secs(60);
        assert!(run("true", Command::new("true"), soon).unwrap().ok);
        assert!(!run("false", Command::new("false"), soon).unwrap().ok);
        let mut endless = Command::new("tail");
        endless.args(["-f", "/dev/null"]);
        let hung = run("hung", endless, now()).unwrap();
        assert!(!hung.ok);
    }

    #[test]
    fn evidence_and_what_did_not_run_are_kept() {
        let mut ended = Ended::new("tests");
        for line in [
            "test sim::runs ... proof: sim runs=3",
            "    not run: kernel::xfs: not root",
            "test a ... ok",
            "   FLAKY 2/2 [   1.2s] (7/9) tests::all e2e::full",
        ] {
            ended.take(line);
        }
        assert_eq!(ended.evidence, ["sim runs=3"]);
        assert_eq!(ended.not_run, ["kernel::xfs: not root"]);
        assert_eq!(ended.flaky, ["tests::all e2e::full"]);
    }

    #[test]
    fn the_output_of_a_stage_is_read() {
        let mut echo = Command::new("echo");
        echo.arg("proof: a line that an outer run does not count");
        let ended = run("echo", echo, now() + Duration::from_secs(60)).unwrap();
        assert_eq!(ended.evidence, ["a line that an outer run does not count"]);
    }
}
