//! Tiles and frame index that prove wrong while the ledger runs, and those that are made in their
//! place.

use journal::SegmentNumber;
use model::Seq;

use super::{FollowError, Follower};
use crate::rebuilder::{Built, Rebuilder};

impl Follower {
    /// They are not used any more, and are derived anew.
    pub(super) fn give_up(&mut self, why: impl std::fmt::Display) {
        self.replay.derived.give_up(why);
        self.look_at_derived();
    }

    /// Has them derived anew where they are not there.
    pub(super) fn look_at_derived(&mut self) {
        if self.replay.derived.is_there() {
            return;
        }
        self.board.set_derived_lost(true);
        if self.first_retained > SegmentNumber(0) {
            // The journal begins in the archive: they come back after a `recall`.
            return;
        }
        let Some(last) = self.replay.last else { return };
        let through = Seq(self.replay.tree.size());
        match &self.rebuilder {
            Some(rebuilder) => rebuilder.stands_at(last.frame, through),
            None => {
                match Rebuilder::start(self.recipe.clone(), last, through, std::sync::Arc::clone(&self.bell))
                {
                    Ok(rebuilder) => self.rebuilder = Some(rebuilder),
                    // Tried again with the next frame.
                    Err(error) => tracing::error!("tiles and frame index are not derived anew: {error}"),
                }
            }
        }
    }

    /// Whether what was derived anew waits to be taken over.
    pub(super) fn has_rebuilt(&self) -> bool {
        self.rebuilder.as_ref().is_some_and(Rebuilder::is_built)
    }

    /// Takes over what was derived anew, if it is ready.
    pub(super) fn take_rebuilt(&mut self) {
        let Some(mut built) = self.rebuilder.as_ref().and_then(Rebuilder::take_built) else { return };
        self.rebuilder = None;
        match self.bring_forward(&mut built) {
            Ok(()) if built.derived.is_there() => {
                built.derived.flush();
                self.replay.derived = built.derived;
                self.board.set_derived_lost(false);
                tracing::info!("tiles and frame index are there again");
            }
            Ok(()) => self.look_at_derived(),
            Err(error) => {
                tracing::warn!("tiles and frame index are derived once more: {error}");
                self.look_at_derived();
            }
        }
    }

    /// Adds the frames that were taken since it was built.
    fn bring_forward(&mut self, built: &mut Built) -> Result<(), FollowError> {
        let frame = |last: Option<crate::store::LastFrame>| last.map(|last| last.frame);
        while frame(built.last) < frame(self.replay.last) {
            let taken = self.with_next(built.last, |_, frame| {
                built.take(frame).map_err(|error| FollowError::Missing {
                    frame: frame.header.frame.0,
                    position: frame.header.position,
                    detail: error.to_string(),
                })
            });
            taken??;
        }
        Ok(())
    }
}
