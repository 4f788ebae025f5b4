//! `Target`: one decoder under mutants, and what holds of every one of them.

use std::{collections::BTreeMap, fmt::Debug};

use tests::random::{Random, from_environment};

use super::mutate::Mutator;

/// Mutants of one target.
const CASES: u64 = 2_000;
/// The seed of an ordinary run.
const SEED: u64 = 20_261_016;
/// Bytes of an input that a failure shows.
const SHOWN_BYTES: usize = 4096;

/// Makes the checksums of a mutant right again.
type Repair = dyn Fn(&mut [u8]);

/// A decoder under test.
pub(super) struct Target<'a> {
    /// Its name in evidence and failures.
    pub(super) name: &'static str,
    /// Mutants for each of `FUZZ_RUNS`: more where a refusal is rare.
    pub(super) times: u64,
    /// Valid encodings.
    pub(super) seeds: Vec<Vec<u8>>,
    /// Makes checksums right again, so that the layers inside are reached; left out once in 8.
    pub(super) repair: Option<&'a Repair>,
    /// What it may hold at once for `n` bytes of input: `fixed + factor * n` bytes.
    pub(super) fixed: u64,
    /// See `fixed`.
    pub(super) factor: u64,
    /// Refusals that must be met, by the first word of how they print.
    pub(super) refusals: &'a [&'a str],
}

/// What a run saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Mutants that decoded.
    pub(super) accepted: u64,
    /// Mutants that did not, by the first word of the refusal.
    pub(super) refused: BTreeMap<String, u64>,
    /// The most that one input made the decoder hold.
    pub(super) bytes_max: u64,
}

/// Tells the input of a panic.
struct Case<'a> {
    name: &'static str,
    seed: u64,
    index: u64,
    bytes: &'a [u8],
}

impl Drop for Case<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { name, seed, index, bytes } = self;
            let shown = bytes.get(..SHOWN_BYTES).unwrap_or(bytes);
            let hex: String = shown.iter().map(|byte| format!("{byte:02x}")).collect();
            let (len, text) = (bytes.len(), String::from_utf8_lossy(shown));
            eprintln!("fuzz {name}: FUZZ_SEED={seed} case={index} bytes={len}\n{hex}\n{text:?}");
        }
    }
}

impl Target<'_> {
    /// Decodes the seeds and then mutants. `decode` is measured; `check` gets what decoded and
    /// asserts that it is written back with the same meaning.
    pub(super) fn run<E: Debug>(
        &self,
        decode: impl Fn(&[u8]) -> Result<(), E>,
        check: impl Fn(&[u8]),
    ) -> Seen {
        let seed = from_environment("FUZZ_SEED", SEED);
        let runs = from_environment("FUZZ_RUNS", CASES);
        let cases = runs.saturating_mul(self.times);
        let mut seen = Seen::default();
        for bytes in &self.seeds {
            self.one(Case { name: self.name, seed, index: 0, bytes }, &mut seen, &decode, &check);
        }
        assert_eq!(seen.refused.len(), 0, "{}: a seed does not decode: {:?}", self.name, seen.refused);
        let own = self.name.bytes().fold(seed, |mixed, byte| mixed.wrapping_mul(31) ^ u64::from(byte));
        let mut mutator = Mutator::new(Random::new(own));
        seen.accepted = 0;
        for index in 1..=cases {
            let mut bytes = mutator.mutant(&self.seeds);
            if let Some(repair) = self.repair
                && !mutator.one_in(8)
            {
                repair(&mut bytes);
            }
            self.one(Case { name: self.name, seed, index, bytes: &bytes }, &mut seen, &decode, &check);
        }
        let Seen { accepted, refused, bytes_max } = &seen;
        println!("proof: fuzz {} cases={cases} accepted={accepted} refused={refused:?}", self.name);
        if runs < CASES {
            // Too few to have met everything.
            return seen;
        }
        let missed: Vec<_> = self.refusals.iter().filter(|word| !refused.contains_key(**word)).collect();
        assert!(missed.is_empty(), "{}: never refused with {missed:?}, only {refused:?}", self.name);
        assert!(*accepted > 0, "{}: no mutant decoded, so what decodes was not looked at", self.name);
        assert!(*bytes_max > 0 || self.fixed == 0, "{}: nothing was measured", self.name);
        seen
    }

    fn one<E: Debug>(
        &self,
        case: Case<'_>,
        seen: &mut Seen,
        decode: &impl Fn(&[u8]) -> Result<(), E>,
        check: &impl Fn(&[u8]),
    ) {
        let mut outcome = None;
        let held = allocation_counter::measure(|| outcome = Some(decode(case.bytes)));
        let bound = self.fixed + self.factor * case.bytes.len() as u64;
        assert!(held.bytes_max <= bound, "{}: held {} bytes, {bound} allowed", self.name, held.bytes_max);
        seen.bytes_max = seen.bytes_max.max(held.bytes_max);
        match outcome.expect("it was decoded") {
            Ok(()) => {
                seen.accepted += 1;
                check(case.bytes);
            }
            Err(error) => {
                let printed = format!("{error:?}");
                let word = printed.split(['(', ' ', '{']).find(|word| !word.is_empty()).unwrap_or(&printed);
                *seen.refused.entry(word.to_owned()).or_default() += 1;
            }
        }
    }
}
