//! `SeenEvents`: the ids of the last events that were counted.

use hashbrown::HashTable;
use wire::usage::EventId;

use crate::catalog::place;

/// A set of the last `capacity` ids; the oldest goes when another one comes. Takes no memory
/// after it is made.
#[derive(Debug)]
pub(crate) struct SeenEvents {
    ring: Vec<EventId>,
    next: usize,
    capacity: usize,
    /// Places in the ring.
    table: HashTable<u32>,
    secret: u64,
}

impl SeenEvents {
    pub(crate) fn new(capacity: usize, secret: u64) -> Self {
        // Twice the room: the table then cleans up after removals in place and never grows.
        let table = HashTable::with_capacity(capacity * 2);
        Self { ring: Vec::with_capacity(capacity), next: 0, capacity, table, secret }
    }

    pub(crate) fn contains(&self, event: &EventId) -> bool {
        self.table.find(hash(event, self.secret), |at| self.ring.get(place(*at)) == Some(event)).is_some()
    }

    /// Adds an id that is not in the set.
    pub(crate) fn insert(&mut self, event: EventId) {
        debug_assert!(!self.contains(&event), "asked before");
        let at = u32::try_from(self.next).expect("the capacity is bounded");
        if let Some(oldest) = self.ring.get(self.next).copied() {
            let found = self.table.find_entry(hash(&oldest, self.secret), |known| *known == at);
            found.expect("what is in the ring is in the table").remove();
            *self.ring.get_mut(self.next).expect("found just now") = event;
        } else {
            self.ring.push(event);
        }
        let (ring, secret) = (&self.ring, self.secret);
        let rehash = |at: &u32| hash(ring.get(place(*at)).expect("places in the ring"), secret);
        self.table.insert_unique(hash(&event, secret), at, rehash);
        self.next = (self.next + 1) % self.capacity;
    }
}

/// The ids are digests already; the secret keeps a sender from choosing where they fall.
fn hash(event: &EventId, secret: u64) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = event.0;
    let mixed = (u64::from_le_bytes([a, b, c, d, e, f, g, h]) ^ secret).wrapping_mul(secret | 1);
    mixed ^ mixed >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ids_are_known_and_older_ones_are_not() {
        let id = |number: u64| EventId::new("t", "s", &number.to_string());
        let mut seen = SeenEvents::new(100, 7);
        for number in 0..10_000 {
            assert!(!seen.contains(&id(number)));
            seen.insert(id(number));
            assert!(seen.contains(&id(number)) && seen.contains(&id(number.saturating_sub(99))));
            assert!(number < 100 || !seen.contains(&id(number - 100)));
        }
        assert_eq!(seen.table.len(), 100);
    }
}
