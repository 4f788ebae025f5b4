//! Restoring: the ledger's slices are fed to the shards before the first connection.
//!
//! Each stream's last slice is always among them, so that its chain goes on, and all slices young
//! enough for a batch of theirs to be sent again.

use model::{Nanos, Seq, Timestamp};
use shard::{Params, RestoreError, Shard};
use wire::{CallId, Found, ReadAnswer, ReadAsk, ReadCall, SlicePage};

use super::role::UsageError;
use crate::{clock, source::Source};

/// Clocks differ.
const MARGIN: Nanos = Nanos::from_secs(3_600);
/// How long the reader may take for a page.
const PAGE_MAX: Nanos = Nanos::from_secs(30);

/// Feeds what the ledger holds to the shards; says how many slices that were.
pub(super) fn restore(shards: &mut [Shard], reads: &Source<ReadCall, ReadAnswer>) -> Result<u64, UsageError> {
    let now = clock::wall();
    let reach = shards.iter().map(|shard| reach(shard.params())).max().unwrap_or(MARGIN);
    let since = Timestamp(now.0.saturating_sub(reach.0));
    let (mut after, mut restored) = (Seq::ZERO, 0);
    loop {
        let page = page(reads, ReadAsk::Slices { after, since })?;
        for (slice, body) in &page.slices {
            let seq = slice.head.seq;
            for shard in &mut *shards {
                match shard.restore(now, slice, body) {
                    Ok(()) => restored += 1,
                    // Another shard's, or one of another count of shards.
                    Err(RestoreError::Foreign) => {}
                    Err(error) => return Err(UsageError::Restore { seq, error }),
                }
            }
        }
        match page.next {
            Some(next) => after = next,
            None => return Ok(restored),
        }
    }
}

/// How long ago a slice may be in the ledger of which a batch can still be sent again: that ends
/// `late_millis_max` after the window's end, and a stop seals a window before it has begun.
fn reach(params: &Params) -> Nanos {
    let window = u64::from(params.window_millis);
    let millis = params.late_millis_max + params.ahead_millis_max + window;
    Nanos(Nanos::from_millis(millis).0.saturating_add(MARGIN.0))
}

/// A page. Asked twice: a reader that finds its index damaged refuses once and then reads the journal.
fn page(reads: &Source<ReadCall, ReadAnswer>, ask: ReadAsk) -> Result<SlicePage, UsageError> {
    ask_page(reads, ask.clone()).or_else(|_| ask_page(reads, ask))
}

fn ask_page(reads: &Source<ReadCall, ReadAnswer>, ask: ReadAsk) -> Result<SlicePage, UsageError> {
    reads.ask(ReadCall { id: CallId(0), ask }).map_err(|_| UsageError::Silent)?;
    let begun = clock::monotonic();
    loop {
        match reads.answer().map(|answer| answer.found) {
            Some(Found::Slices(page)) => return Ok(page),
            Some(_) => return Err(UsageError::Reader),
            None if clock::monotonic().since(begun) > PAGE_MAX => return Err(UsageError::Silent),
            None => reads.answer_bell().wait(Nanos::from_millis(100), || reads.has_answer()),
        }
    }
}

#[cfg(test)]
mod tests {
    use model::ShardId;

    use super::*;

    #[test]
    fn the_longest_window_that_was_sealed_before_it_began_is_reached() {
        let hour = 3_600_000;
        let params = Params::new("node", ShardId(0), 1, hour).unwrap();
        let sealed = Timestamp::from_millis(1_000_000 * u64::from(hour));
        let ends = sealed.as_millis() + params.ahead_millis_max + u64::from(hour);
        let last = Timestamp::from_millis(ends + params.late_millis_max);
        assert!(last.0 - reach(&params).0 < sealed.0);
    }
}
