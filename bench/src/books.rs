//! `Books`: what the answers add up to, kept apart from the ledger that gave them.

use std::collections::BTreeMap;

/// Accounts of a run and what they must hold by the answers alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Books {
    balances: Vec<i128>,
}

/// One transfer between two of the run's accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// Whose it was.
    pub from: usize,
    /// Whose it is.
    pub to: usize,
    /// Minor units.
    pub amount: i128,
}

impl Books {
    /// Books of `accounts` accounts that hold `funds` each.
    #[must_use]
    pub fn new(accounts: usize, funds: i128) -> Self {
        Self { balances: vec![funds; accounts] }
    }

    /// A transfer was answered as done.
    ///
    /// # Panics
    /// If an account is not one of the run's.
    pub fn enter(&mut self, transfer: Transfer) {
        let Transfer { from, to, amount } = transfer;
        *self.balances.get_mut(from).expect("an account of the run") -= amount;
        *self.balances.get_mut(to).expect("an account of the run") += amount;
    }

    /// How many accounts there are.
    #[must_use]
    pub fn accounts(&self) -> usize {
        self.balances.len()
    }

    /// Accounts of which the ledger says another balance: theirs, and what the answers add up to.
    ///
    /// # Errors
    /// Whatever `balance` fails with.
    pub fn differences(
        &self,
        mut balance: impl FnMut(usize) -> anyhow::Result<i128>,
    ) -> anyhow::Result<BTreeMap<usize, (i128, i128)>> {
        let mut differences = BTreeMap::new();
        for (account, expected) in self.balances.iter().enumerate() {
            let found = balance(account)?;
            if found != *expected {
                differences.insert(account, (found, *expected));
            }
        }
        Ok(differences)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_that_lost_or_doubled_a_transfer_is_found() {
        let mut books = Books::new(3, 100);
        books.enter(Transfer { from: 0, to: 2, amount: 7 });
        books.enter(Transfer { from: 2, to: 1, amount: 3 });
        let of = |ledger: [i128; 3]| books.differences(|account| Ok(ledger[account])).unwrap();
        assert!(of([93, 103, 104]).is_empty());
        assert_eq!(of([93, 100, 107]).len(), 2, "one is lost");
        assert_eq!(of([86, 103, 111]).get(&0), Some(&(86, 93)), "one is done twice");
        assert!(books.differences(|_| anyhow::bail!("no answer")).is_err());
    }
}
