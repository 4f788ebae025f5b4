//! `Windows`: the few windows that gather at once, and which of them is sealed next.

use crate::{
    catalog::{Catalog, RowIndex},
    generations::Generations,
    params::Params,
    window::{Range, State, Window},
};

/// A place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WindowIndex(usize);

#[derive(Debug)]
pub(crate) struct Windows {
    windows: Vec<Window>,
    /// Generations by their number; grows by one at each opening.
    pub(crate) generations: Generations,
}

impl Windows {
    pub(crate) fn new(params: &Params, catalog: &Catalog) -> Self {
        let tenants = crate::catalog::place(params.tenants_max);
        let window = || Window::new(catalog.window_rows(), tenants, params.window_ranges_max());
        Self {
            windows: (0..params.windows_max).map(|_| window()).collect(),
            generations: Generations::new(params.backlog_max + params.windows_max),
        }
    }

    pub(crate) fn one(&self, index: WindowIndex) -> &Window {
        self.windows.get(index.0).expect("places are given out by this table")
    }

    pub(crate) fn one_mut(&mut self, index: WindowIndex) -> &mut Window {
        self.windows.get_mut(index.0).expect("places are given out by this table")
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Window> + '_ {
        self.windows.iter().filter(|window| window.state != State::Free)
    }

    /// The open window that begins at `start_millis`, opened if there is a free place. Opening
    /// the last but one sends the oldest to be sealed early, so that a place comes free; says
    /// whether it did.
    pub(crate) fn open(&mut self, start_millis: u64, seal_at_millis: u64) -> (Option<WindowIndex>, bool) {
        let is_it = |window: &Window| window.state == State::Open && window.start_millis == start_millis;
        if let Some(found) = self.windows.iter().position(is_it) {
            return (Some(WindowIndex(found)), false);
        }
        let Some(place) = self.windows.iter().position(|window| window.state == State::Free) else {
            return (None, false);
        };
        let index = WindowIndex(place);
        let generation = self.generations.open();
        let window = self.one_mut(index);
        window.state = State::Open;
        window.start_millis = start_millis;
        window.generation = generation;
        window.seal_at_millis = seal_at_millis;
        let free = self.windows.iter().filter(|window| window.state == State::Free).count();
        let others = self.windows.iter_mut().enumerate();
        let mut others = others.filter(|(at, window)| *at != place && window.state == State::Open);
        let early = (free <= 1)
            .then(|| others.by_ref().min_by_key(|(_, window)| (window.start_millis, window.generation)))
            .flatten();
        if let Some((_, oldest)) = early {
            oldest.state = State::Queued;
            return (Some(index), true);
        }
        (Some(index), false)
    }

    /// The window that is being sealed; if none is, the oldest one that is due begins to be.
    pub(crate) fn next_to_seal(&mut self, now_millis: u64) -> Option<WindowIndex> {
        if let Some(sealing) = self.windows.iter().position(|window| window.state == State::Sealing) {
            return Some(WindowIndex(sealing));
        }
        let due = self.windows.iter().enumerate().filter(|(_, window)| is_due(window, now_millis));
        let (place, _) = due.min_by_key(|(_, window)| (window.start_millis, window.generation))?;
        self.one_mut(WindowIndex(place)).begin_seal();
        Some(WindowIndex(place))
    }

    /// Whether `next_to_seal` would name one.
    pub(crate) fn has_due(&self, now_millis: u64) -> bool {
        self.windows.iter().any(|window| window.state == State::Sealing || is_due(window, now_millis))
    }

    /// When the next open window is due, milliseconds since 1970.
    pub(crate) fn due_millis(&self) -> Option<u64> {
        self.windows
            .iter()
            .filter_map(|window| match window.state {
                State::Free => None,
                State::Open => Some(window.seal_at_millis),
                State::Queued | State::Sealing => Some(0),
            })
            .min()
    }

    /// Closes every open window now.
    pub(crate) fn close_all(&mut self) {
        for window in self.windows.iter_mut().filter(|window| window.state == State::Open) {
            window.state = State::Queued;
        }
    }

    /// Whether nothing gathers.
    pub(crate) fn is_empty(&self) -> bool {
        self.windows.iter().all(|window| window.state == State::Free)
    }

    /// The first batch of the range's producer that counts for its tenant in a window that is
    /// not sealed yet, the one that is being sealed left out.
    pub(crate) fn first_unsealed(&self, range: &Range) -> Option<u64> {
        let waiting = |window: &&Window| matches!(window.state, State::Open | State::Queued);
        self.windows.iter().filter(waiting).filter_map(|window| window.first_batch(range)).min()
    }

    /// Whether any window counts in this row.
    pub(crate) fn is_counting(&self, row: RowIndex) -> bool {
        self.iter().any(|window| !window.sum(row).is_zero())
    }

    /// Asserts what holds of the table. Linear; for simulation.
    pub(crate) fn check(&self) {
        let sealing = self.windows.iter().filter(|window| window.state == State::Sealing).count();
        assert!(sealing <= 1, "one window is sealed at a time");
        for window in &self.windows {
            window.check();
        }
        let mut starts: Vec<_> = self
            .windows
            .iter()
            .filter(|window| window.state == State::Open)
            .map(|window| window.start_millis)
            .collect();
        starts.sort_unstable();
        assert!(starts.windows(2).all(|pair| pair[0] != pair[1]), "one open filling for each window");
    }
}

fn is_due(window: &Window, now_millis: u64) -> bool {
    match window.state {
        State::Open => window.seal_at_millis <= now_millis,
        State::Queued => true,
        State::Free | State::Sealing => false,
    }
}
