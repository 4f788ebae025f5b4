//! `Blinds`: the unguessable part of each side's commitment, a keyed function of the `Seq`, so
//! that the machine stays deterministic and nobody without the key can guess.

use model::Seq;

/// One side's blind.
pub(crate) type Blind = [u8; 16];

#[derive(Clone)]
pub(crate) struct Blinds {
    key: [u8; 32],
}

impl Blinds {
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        Self { key: blake3::derive_key("macronode 2026 ledger blinds", secret) }
    }

    /// The blinds of the debit and the credit side of entry `seq`.
    pub(crate) fn of(&self, seq: Seq) -> [Blind; 2] {
        let hash = blake3::keyed_hash(&self.key, &seq.0.to_le_bytes());
        let (halves, _) = hash.as_bytes().as_chunks::<16>();
        [halves[0], halves[1]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blinds_differ_by_side_seq_and_secret() {
        let blinds = Blinds::new(&[1; 32]);
        let [debit, credit] = blinds.of(Seq(1));
        assert_ne!(debit, credit);
        assert_ne!(blinds.of(Seq(2)), [debit, credit]);
        assert_ne!(Blinds::new(&[2; 32]).of(Seq(1)), [debit, credit]);
        assert_eq!(Blinds::new(&[1; 32]).of(Seq(1)), [debit, credit]);
    }
}
