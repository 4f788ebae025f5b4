//! What goes to the terminal: words for a person, on standard output and standard error.
//!
//! Holds: nobody has to read it. A closed pipe ends neither a command nor a node.

use std::io::{self, Write};

/// Writes to standard output.
pub(crate) fn say(words: &str) {
    tell(io::stdout().lock(), words);
}

/// Writes to standard error.
pub(crate) fn complain(words: &str) {
    tell(io::stderr().lock(), words);
}

fn tell(mut to: impl Write, words: &str) {
    // If nobody listens there is nobody to tell that either.
    drop(to.write_all(words.as_bytes()).and_then(|()| to.flush()));
}
