//! `Source`: one asker's bounded way to a loop and back.
//!
//! Holds: whoever is admitted has a place for the answer, so the loop never waits to answer.
//! Leaves to others: what is asked (`wire`), in which order sources are served (`intake`).

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use crate::bell::Bell;
use crossbeam_queue::ArrayQueue;

/// The asker's end.
#[derive(Debug)]
pub struct Source<Q, A> {
    shared: Arc<Shared<Q, A>>,
    bell: Arc<Bell>,
}

/// The loop's end.
#[derive(Debug)]
pub struct Inlet<Q, A> {
    shared: Arc<Shared<Q, A>>,
}

#[derive(Debug)]
struct Shared<Q, A> {
    asked: ArrayQueue<Q>,
    answered: ArrayQueue<A>,
    open: AtomicUsize,
    capacity: usize,
    answer_bell: Bell,
    /// Rung instead of it.
    asker_bell: OnceLock<Arc<Bell>>,
}

/// Both ends of a source.
pub type Ends<Q, A> = (Source<Q, A>, Inlet<Q, A>);

/// Makes both ends of a source that has at most `capacity` questions open. `bell` wakes the loop.
///
/// # Errors
/// If the kernel gives no eventfd.
pub fn source<Q, A>(capacity: usize, bell: Arc<Bell>) -> Result<Ends<Q, A>, disk::DiskError> {
    assert!(capacity > 0);
    let shared = Arc::new(Shared {
        asked: ArrayQueue::new(capacity),
        answered: ArrayQueue::new(capacity),
        open: AtomicUsize::new(0),
        capacity,
        answer_bell: Bell::new()?,
        asker_bell: OnceLock::new(),
    });
    Ok((Source { shared: Arc::clone(&shared), bell }, Inlet { shared }))
}

impl<Q, A> Clone for Source<Q, A> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), bell: Arc::clone(&self.bell) }
    }
}

impl<Q, A> Source<Q, A> {
    /// Asks, and wakes the loop.
    ///
    /// # Errors
    /// Gives the question back if `capacity` questions are open.
    pub fn ask(&self, question: Q) -> Result<(), Q> {
        let capacity = self.shared.capacity;
        let one_more = |open| if open < capacity { Some(open + 1) } else { None };
        let admitted = self.shared.open.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        if admitted.is_err() {
            return Err(question);
        }
        if self.shared.asked.push(question).is_err() {
            unreachable!("the queue holds as many questions as are admitted");
        }
        self.bell.ring();
        Ok(())
    }

    /// Takes an answer, if there is one. The place it took is free again.
    #[must_use]
    pub fn answer(&self) -> Option<A> {
        let answer = self.shared.answered.pop()?;
        let before = self.shared.open.fetch_sub(1, Ordering::AcqRel);
        assert!(before > 0, "an answer without a question");
        Some(answer)
    }

    /// Whether an answer waits.
    #[must_use]
    pub fn has_answer(&self) -> bool {
        !self.shared.answered.is_empty()
    }

    /// Rung when there are answers.
    #[must_use]
    pub fn answer_bell(&self) -> &Bell {
        &self.shared.answer_bell
    }

    /// Lets answers ring `bell` from now on, for an asker that waits for other things as well. Said
    /// once, before the first question.
    ///
    /// # Panics
    /// If it was said before.
    pub fn answers_to(&self, bell: Arc<Bell>) {
        assert!(self.shared.asker_bell.set(bell).is_ok(), "a source has one asker");
    }

    /// Questions that have no answer taken yet.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.shared.open.load(Ordering::Relaxed)
    }

    /// Questions that may be open at once.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.shared.capacity
    }
}

impl<Q, A> Inlet<Q, A> {
    /// Takes the next question, if there is one.
    #[must_use]
    pub fn take(&self) -> Option<Q> {
        self.shared.asked.pop()
    }

    /// Whether a question waits.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.shared.asked.is_empty()
    }

    /// Gives an answer. It has a place: the one that its question was admitted with.
    ///
    /// # Panics
    /// If more answers are given than questions were taken.
    pub fn give(&self, answer: A) {
        assert!(self.shared.answered.push(answer).is_ok(), "an answer without a reserved place");
    }

    /// Wakes the asker once for all answers given since.
    pub fn ring(&self) {
        self.shared.asker_bell.get().map_or(&self.shared.answer_bell, |bell| bell).ring();
    }

    /// Questions that have no answer taken yet, and how many may be.
    #[must_use]
    pub fn fill(&self) -> (usize, usize) {
        (self.shared.open.load(Ordering::Relaxed), self.shared.capacity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admission_reserves_the_place_of_the_answer() {
        let bell = Arc::new(Bell::new().unwrap());
        let (source, inlet) = source::<u32, u32>(2, bell).unwrap();
        assert_eq!(source.ask(1), Ok(()));
        assert_eq!(source.ask(2), Ok(()));
        assert_eq!(source.ask(3), Err(3));
        let taken = inlet.take().unwrap();
        assert_eq!(source.ask(3), Err(3), "the place is held until the answer is taken");
        inlet.give(taken * 10);
        assert_eq!(source.answer(), Some(10));
        assert_eq!(source.ask(3), Ok(()));
        assert_eq!(source.depth(), 2);
    }
}
