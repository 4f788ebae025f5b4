//! `Books`: what the demo knows by itself, from the answers in hand alone.

use std::collections::BTreeMap;

use super::{payer::Held, plan::Kind, violation::Violation};

/// The ledger's own account that issued money comes from.
const ISSUANCE: &str = "@issuance";

/// Where an account stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) balance: i128,
    /// Entries that changed it.
    pub(crate) changes: u64,
}

/// The books.
#[derive(Clone, Debug, Default)]
pub(crate) struct Books {
    /// By name, the ledger's own account too.
    pub(crate) accounts: BTreeMap<String, Standing>,
    /// Entries that moved money.
    pub(crate) accepted: u64,
    /// Entries that keep a refusal.
    pub(crate) refused: u64,
}

impl Books {
    /// The books of these answers. A number that two answers have is a violation.
    pub(crate) fn of(all: &[Held]) -> Result<Self, Violation> {
        let mut books = Self::default();
        let mut seqs: Vec<u64> = all.iter().map(|held| held.seq).collect();
        seqs.sort_unstable();
        let twice = seqs.iter().zip(seqs.iter().skip(1)).find(|(one, next)| one == next);
        if let Some((twice, _)) = twice {
            return Err(Violation::new("numbers of entries", "one each", format_args!("{twice} twice")));
        }
        for Held { write, .. } in all {
            let Some(amount) = write.moved().map(i128::from) else {
                books.refused += 1;
                continue;
            };
            books.accepted += 1;
            books.change(write.from().unwrap_or_else(|| ISSUANCE.to_owned()), -amount);
            books.change(write.to(), amount);
        }
        Ok(books)
    }

    fn change(&mut self, account: String, by: i128) {
        let standing = self.accounts.entry(account).or_default();
        standing.balance += by;
        standing.changes += 1;
    }

    /// The accounts that whoever may read them can ask for.
    pub(crate) fn told(&self) -> impl Iterator<Item = (&String, &Standing)> {
        self.accounts.iter().filter(|(name, _)| *name != ISSUANCE)
    }

    /// Entries that opened an account: each one that was ever named, the ledger's own too.
    pub(crate) fn opened(&self) -> u64 {
        u64::try_from(self.accounts.len()).expect("a count")
    }

    /// What was issued.
    pub(crate) fn issued(&self) -> i128 {
        -self.accounts.get(ISSUANCE).copied().unwrap_or_default().balance
    }
}

/// Whether an answer is a receipt, which can be proven; a refusal is kept with its key only.
pub(crate) fn is_receipt(held: &Held) -> bool {
    held.write.kind != Kind::Overdraw
}
