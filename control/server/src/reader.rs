//! `Reader`: typed questions to the ledger's durable view.

use std::{sync::Arc, time::Duration};

use model::{AccountName, Asset, Seq, TxId};
use wire::{AccountState, Checkpoint, EntryProof, Found, InclusionProof, ReadAsk, Root, StoredEntry};

use wallet::Code;

use crate::{LedgerPort, Refusal};

/// Asks the durable view; each answer is of its question's kind.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    port: Arc<dyn LedgerPort>,
    patience: Duration,
}

/// Takes the one variant of `Found` that answers the question.
macro_rules! found {
    ($self:ident, $ask:expr, $variant:path) => {
        match $self.port.read($ask, $self.patience).await.map_err(Refusal::of_read)? {
            $variant(found) => Ok(found),
            Found::Refused(reason) => Err(Refusal::of_reason(reason)),
            other => Err(Refusal::defect(format!("the reader answered another question: {other:?}"))),
        }
    };
}

impl Reader {
    pub(crate) fn new(port: Arc<dyn LedgerPort>, patience: Duration) -> Self {
        Self { port, patience }
    }

    pub(crate) async fn account(
        &self,
        account: AccountName,
        asset: Asset,
    ) -> Result<Option<AccountState>, Refusal> {
        found!(self, ReadAsk::Account(account, asset), Found::Account)
    }

    pub(crate) async fn entry(&self, seq: Seq) -> Result<Option<Box<StoredEntry>>, Refusal> {
        found!(self, ReadAsk::Entry(seq), Found::Entry)
    }

    pub(crate) async fn entry_proof(&self, seq: Seq) -> Result<Option<Box<EntryProof>>, Refusal> {
        found!(self, ReadAsk::EntryProof(seq), Found::EntryProof)
    }

    pub(crate) async fn roots(&self, since: Seq, limit: usize) -> Result<Vec<Root>, Refusal> {
        found!(self, ReadAsk::Roots { since, limit }, Found::Roots)
    }

    pub(crate) async fn checkpoint(&self) -> Result<Checkpoint, Refusal> {
        found!(self, ReadAsk::Checkpoint, Found::Checkpoint)
    }

    pub(crate) async fn inclusion(
        &self,
        seq: Seq,
        size: Option<u64>,
    ) -> Result<Option<InclusionProof>, Refusal> {
        found!(self, ReadAsk::Inclusion { seq, size }, Found::Inclusion)
    }

    pub(crate) async fn consistency(&self, from: u64, to: u64) -> Result<Option<Vec<[u8; 32]>>, Refusal> {
        found!(self, ReadAsk::Consistency { from, to }, Found::Consistency)
    }

    /// The entry with this public id; `not_found` for an id of another ledger or another life.
    pub(crate) async fn transaction(&self, id: TxId) -> Result<Box<StoredEntry>, Refusal> {
        let unknown = || Refusal::new(Code::NotFound, "there is no such transaction");
        let entry = self.entry(id.seq).await?.ok_or_else(unknown)?;
        let same = entry.posting.tx_id(self.port.status().lives.of(id.seq), &entry.leaf) == id;
        if same { Ok(entry) } else { Err(unknown()) }
    }
}
