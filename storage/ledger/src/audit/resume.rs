//! An audit that begins at a checkpoint: its tables are filled from the state that the checkpoint holds.
//!
//! What came before is then believed and not audited: for a ledger whose first entries only an archive
//! has.

use super::{Audit, books::Link, merkle::Stack};
use crate::{Ledger, Tree};

impl Audit {
    /// An audit that goes on after the last entry of this state.
    ///
    /// # Panics
    /// If `tree` does not stand where the ledger stands.
    #[must_use]
    pub fn resume(ledger: &Ledger, tree: &Tree) -> Self {
        assert!(tree.size() == ledger.last.0 && tree.hash() == ledger.hash());
        let mut audit = Self::new(tree.hash());
        for owner in ledger.accounts.owners() {
            audit.books.open(owner.name.id());
            if let Some(kept) = audit.books.owner_mut(owner.name.id()) {
                kept.nonce = owner.nonce;
            }
        }
        for row in ledger.accounts.rows() {
            let id = ledger.accounts.id_of(row);
            audit.books.set_account(id, row.asset, (row.balance.units(), row.held, row.seq));
        }
        for stream in ledger.streams.rows() {
            let link = Link { number: stream.number(), digest: stream.last().digest };
            audit.books.set_stream(stream.id, link);
        }
        for key in ledger.keys.iter() {
            audit.books.keep_key(key.digest, key.outcome.seq, key.outcome.at);
        }
        audit.stack = Stack::resume(tree);
        (audit.last, audit.at) = (ledger.last, ledger.at);
        audit.incarnation = ledger.lives().of(ledger.last);
        audit
    }
}
