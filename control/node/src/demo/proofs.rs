//! Fetches a proof for every receipt over several connections, and checks each as it comes.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use client::Client;
use ledger::TreeHead;
use tokio::task::JoinSet;
use wallet::Receipt;

use super::{
    check::{self, Heads, Proven},
    child::Child,
    payer::{Held, within},
    progress::Bar,
    violation::{DemoError, Violation},
};

/// What was proven.
#[derive(Debug, Default)]
pub(crate) struct Proofs {
    pub(crate) proven: Vec<Proven>,
    /// The checkpoints that they were proven under.
    pub(crate) heads: Vec<TreeHead>,
}

/// Proves every receipt; `receipts` are sorted by their numbers, so that those of one frame are
/// asked for together.
pub(crate) async fn prove(
    child: &Child,
    receipts: Arc<Vec<Held>>,
    connections: u16,
    bar: &Bar,
) -> Result<Proofs, DemoError> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let client = Client::connect(child.endpoints.wallet, Some(&child.token)).await?;
        let heads = Heads::new(child.log_key.clone());
        tasks.spawn(prove_some(client, heads, Arc::clone(&receipts), Arc::clone(&next), bar.clone()));
    }
    let mut proofs = Proofs::default();
    while let Some(done) = tasks.join_next().await {
        let Proofs { proven, heads } = done.expect("a task that proves does not panic")?;
        proofs.proven.extend(proven);
        proofs.heads.extend(heads);
    }
    Ok(proofs)
}

async fn prove_some(
    mut client: Client,
    mut heads: Heads,
    receipts: Arc<Vec<Held>>,
    next: Arc<AtomicUsize>,
    bar: Bar,
) -> Result<Proofs, DemoError> {
    let mut proven = Vec::new();
    while let Some(held) = receipts.get(next.fetch_add(1, Ordering::Relaxed)) {
        let receipt: Receipt = serde_json::from_slice(&held.body)
            .map_err(|error| Violation::new(held.write.key(), "a receipt", error))?;
        let path = format!("/v1/tx/{}/proof", receipt.txid);
        let reply = within(&path, client.get(&path)).await?;
        if reply.status != 200 {
            let found = format!("{} {}", reply.status, reply.text());
            return Err(Violation::new(format_args!("entry {}", held.seq), "its proof", found).into());
        }
        proven.push(check::receipt(held, &reply.body, &mut heads)?);
        bar.more(1);
    }
    Ok(Proofs { proven, heads: heads.into_heads().collect() })
}
