//! What the person at the terminal sees meanwhile: one bar, or plain lines where there is no
//! terminal. No colours, so `NO_COLOR` has nothing to take away.

use std::borrow::Cow;

use indicatif::{ProgressBar, ProgressStyle};

/// One stage's bar, on standard error. Without a terminal it draws nothing.
#[derive(Clone, Debug)]
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// A bar of `length` steps for a stage, which is also told in a line where there is no bar.
    #[expect(clippy::print_stderr, reason = "what the person at the terminal reads")]
    pub(crate) fn begin(stage: impl Into<Cow<'static, str>>, length: u64) -> Self {
        let bar = ProgressBar::new(length);
        let style = ProgressStyle::with_template("{prefix:32} [{bar:30}] {percent:>3}% {msg}");
        let style = style.expect("a constant that parses").progress_chars("=> ");
        bar.set_style(style);
        let stage = stage.into();
        if bar.is_hidden() {
            eprintln!("demo: {stage}");
        }
        bar.set_prefix(stage);
        Self(bar)
    }

    pub(crate) fn more(&self, steps: u64) {
        self.0.inc(steps);
    }

    pub(crate) fn at(&self, step: u64, message: String) {
        self.0.set_position(step);
        self.0.set_message(message);
    }

    /// Takes the bar away: what counts is in the table.
    pub(crate) fn end(self) {
        self.0.finish_and_clear();
    }
}
