//! `Generations`: each filling of a window, from its opening until all its slices are in the
//! ledger. A batch is durable when its generation is.

use std::collections::VecDeque;

#[derive(Clone, Copy, Debug)]
struct Generation {
    is_sealed: bool,
    /// Slices that are sealed and not yet in the ledger.
    waiting: u32,
}

impl Generation {
    const fn is_durable(self) -> bool {
        self.is_sealed && self.waiting == 0
    }
}

#[derive(Debug)]
pub(crate) struct Generations {
    /// The number of the first entry. Number zero stands for "counted nowhere".
    first: u64,
    generations: VecDeque<Generation>,
}

impl Generations {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { first: 1, generations: VecDeque::with_capacity(capacity) }
    }

    /// A window begins to fill.
    pub(crate) fn open(&mut self) -> u64 {
        self.generations.push_back(Generation { is_sealed: false, waiting: 0 });
        self.first + u64::try_from(self.generations.len()).expect("a count fits in 64 bits") - 1
    }

    /// One slice of it was sealed.
    pub(crate) fn add_slice(&mut self, number: u64) {
        let generation = self.one_mut(number);
        assert!(!generation.is_sealed, "slices come before the seal");
        generation.waiting += 1;
    }

    /// All its slices were sealed. Says whether it is durable by that.
    pub(crate) fn seal(&mut self, number: u64) -> bool {
        let generation = self.one_mut(number);
        generation.is_sealed = true;
        self.settle(number)
    }

    /// One of its slices is in the ledger. Says whether it is durable by that.
    pub(crate) fn slice_durable(&mut self, number: u64) -> bool {
        let generation = self.one_mut(number);
        generation.waiting = generation.waiting.checked_sub(1).expect("only sealed slices become durable");
        self.settle(number)
    }

    /// Whether everything that was counted in it is in the ledger.
    pub(crate) fn is_durable(&self, number: u64) -> bool {
        let Some(place) = number.checked_sub(self.first) else { return true };
        let place = usize::try_from(place).expect("generations in hand are few");
        self.generations.get(place).expect("numbers are given out by `open`").is_durable()
    }

    /// Whether everything that was counted in this one and all before it is in the ledger.
    pub(crate) const fn all_durable(&self, number: u64) -> bool {
        number < self.first
    }

    fn one_mut(&mut self, number: u64) -> &mut Generation {
        let place = number.checked_sub(self.first).expect("a durable generation is left alone");
        let place = usize::try_from(place).expect("generations in hand are few");
        self.generations.get_mut(place).expect("numbers are given out by `open`")
    }

    fn settle(&mut self, number: u64) -> bool {
        let durable = self.is_durable(number);
        while self.generations.front().is_some_and(|generation| generation.is_durable()) {
            self.generations.pop_front();
            self.first += 1;
        }
        durable
    }
}
