//! `Mutator`: damages a valid encoding in the ways that find what a decoder forgot.

use tests::random::Random;

/// Bytes of a mutant at most: mutations may repeat and insert.
const MUTANT_BYTES_MAX: usize = 64 << 10;
/// Changes of one mutant at most.
const CHANGES_MAX: u64 = 4;
/// Half of the changes are made so far from the front at most: there lie the fields.
const FRONT_BYTES: usize = 256;

/// Integers at the edges of what fields hold.
const EDGES: [u64; 16] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    u64::MAX,
];

/// Texts at the edges of what numbers, names and JSON hold.
const WORDS: [&str; 24] = [
    "-1",
    "0",
    "00",
    "1e9",
    "1.5",
    "+1",
    "18446744073709551616",
    "79228162514264337593543950335",
    "79228162514264337593543950336",
    "340282366920938463463374607431768211456",
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "\\u0000",
    "\\ud800",
    "\u{0}",
    "é",
    "..",
    "/",
    "%",
    "%ff",
    "[[[[[[[[",
];

/// Makes mutants of seeds; a function of its random numbers.
#[derive(Debug)]
pub(super) struct Mutator {
    random: Random,
}

impl Mutator {
    pub(super) const fn new(random: Random) -> Self {
        Self { random }
    }

    /// One of `seeds`, changed at one to four places.
    pub(super) fn mutant(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seeds[self.random.index(seeds.len())].clone();
        // Half of the mutants keep their length, so that fields behind lengths are reached.
        let in_place = self.random.one_in(2);
        for _ in 0..self.random.below(1..CHANGES_MAX + 1) {
            if in_place {
                self.change_in_place(&mut bytes);
            } else {
                self.change(&mut bytes, seeds);
            }
        }
        bytes.truncate(MUTANT_BYTES_MAX);
        bytes
    }

    /// True once in `times`.
    pub(super) const fn one_in(&mut self, times: u64) -> bool {
        self.random.one_in(times)
    }

    /// An index below `count`, which is not zero.
    fn place(&mut self, count: usize) -> usize {
        let count = if self.random.one_in(2) { count.min(FRONT_BYTES) } else { count };
        self.random.index(count)
    }

    fn change_in_place(&mut self, bytes: &mut [u8]) {
        match self.random.below(0..4) {
            0 => self.flip(bytes),
            1 => self.set(bytes),
            _ => self.edge(bytes),
        }
    }

    fn change(&mut self, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        match self.random.below(0..10) {
            0 => self.flip(bytes),
            1 => self.set(bytes),
            2 => bytes.truncate(self.random.index(bytes.len() + 1)),
            3 => self.remove(bytes),
            4 => self.repeat(bytes),
            5 => self.splice(bytes, seeds),
            6 | 7 => self.edge(bytes),
            8 => self.word(bytes),
            _ => self.insert(bytes),
        }
    }

    fn flip(&mut self, bytes: &mut [u8]) {
        if !bytes.is_empty() {
            let at = self.place(bytes.len());
            bytes[at] ^= 1 << self.random.below(0..8);
        }
    }

    fn set(&mut self, bytes: &mut [u8]) {
        if !bytes.is_empty() {
            let at = self.place(bytes.len());
            bytes[at] = self.random.bits().to_le_bytes()[0];
        }
    }

    /// A range of at most 64 bytes.
    fn range(&mut self, len: usize) -> std::ops::Range<usize> {
        let start = self.place(len + 1);
        let most = (len - start).min(64);
        start..start + self.random.index(most + 1)
    }

    fn remove(&mut self, bytes: &mut Vec<u8>) {
        let range = self.range(bytes.len());
        drop(bytes.drain(range));
    }

    fn repeat(&mut self, bytes: &mut Vec<u8>) {
        let range = self.range(bytes.len());
        let piece = bytes[range.clone()].to_vec();
        let most = if self.random.one_in(8) { 200 } else { 3 };
        let times = 1 + self.random.index(most);
        let many = piece.repeat(times);
        drop(bytes.splice(range.end..range.end, many));
    }

    /// The front of this and the rear of another seed.
    fn splice(&mut self, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let other = &seeds[self.random.index(seeds.len())];
        bytes.truncate(self.random.index(bytes.len() + 1));
        bytes.extend_from_slice(&other[self.random.index(other.len() + 1)..]);
    }

    /// An integer of one to eight bytes, at an edge or near what stood there.
    fn edge(&mut self, bytes: &mut [u8]) {
        let width = 1 << self.random.below(0..4);
        if bytes.len() < width {
            return;
        }
        let mut at = self.place(bytes.len() - width + 1);
        if !self.random.one_in(4) {
            at -= at % width;
        }
        let place = &mut bytes[at..at + width];
        let mut stood = [0; 8];
        stood[..width].copy_from_slice(place);
        let value = match self.random.below(0..3) {
            0 => u64::from_le_bytes(stood).wrapping_add(1),
            1 => u64::from_le_bytes(stood).wrapping_sub(1),
            _ => EDGES[self.random.index(EDGES.len())],
        };
        place.copy_from_slice(&value.to_le_bytes()[..width]);
        if self.random.one_in(4) {
            place.reverse();
        }
    }

    /// A word in place of a range, often of one that reads as a number or a text.
    fn word(&mut self, bytes: &mut Vec<u8>) {
        let word = WORDS[self.random.index(WORDS.len())];
        let mut range = self.range(bytes.len());
        let alike = |byte: &u8| byte.is_ascii_alphanumeric();
        if let Some(first) = bytes[range.start..].iter().position(alike) {
            let start = range.start + first;
            let len = bytes[start..].iter().take_while(|byte| alike(byte)).count();
            range = start..start + len;
        }
        drop(bytes.splice(range, word.bytes()));
    }

    fn insert(&mut self, bytes: &mut Vec<u8>) {
        let at = self.place(bytes.len() + 1);
        let most = if self.random.one_in(8) { 5000 } else { 8 };
        let many = 1 + self.random.index(most);
        let fill = [0, 0xff, b' ', b'[', b'0', b'a'];
        let byte = fill[self.random.index(fill.len())];
        drop(bytes.splice(at..at, std::iter::repeat_n(byte, many)));
    }
}

#[test]
fn mutants_are_a_function_of_the_seed_and_differ() {
    let seeds = [b"one of the seeds".to_vec(), (0..=255).collect()];
    let of = |seed| {
        let mut mutator = Mutator::new(Random::new(seed));
        (0..500).map(|_| mutator.mutant(&seeds)).collect::<Vec<_>>()
    };
    let first = of(1);
    assert_eq!(first, of(1));
    assert_ne!(first, of(2));
    let changed = first.iter().filter(|mutant| !seeds.contains(mutant)).count();
    assert!(changed > 400, "{changed} of 500 are changed");
}
