//! The audit at the end: every answer in hand against the last checkpoint and the books.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use client::Client;
use engine::monotonic;
use ledger::{HashKind, TreeHead};
use model::Nanos;

use super::{
    books::{Books, Standing, is_receipt},
    check::{self, Heads},
    child::Child,
    payer::{Held, balance_told, within},
    plan::ASSET,
    progress::Bar,
    proofs::{Proofs, prove},
    violation::{DemoError, Violation},
    witness::Witness,
};

/// How long the published root may stay behind the last answer.
const PUBLISHED_MAX: Nanos = Nanos::from_secs(30);
const PAUSE: Duration = Duration::from_millis(10);

/// What was found, all of it good.
#[derive(Debug)]
pub(crate) struct Findings {
    pub(crate) books: Books,
    /// Entries that hold usage.
    pub(crate) slices: u64,
    /// The last checkpoint.
    pub(crate) head: TreeHead,
    /// Receipts whose path leads to the last checkpoint's root itself.
    pub(crate) direct: usize,
    /// Receipts proven under an earlier one, which is proven to be a prefix of the last.
    pub(crate) by_prefix: usize,
    /// Checkpoints that were seen and are prefixes of the last.
    pub(crate) checkpoints: usize,
}

/// Checks everything.
pub(crate) async fn audit(
    child: &Child,
    held: Vec<Held>,
    mut witness: Witness,
    windows: u64,
    connections: u16,
) -> Result<Findings, DemoError> {
    let books = Books::of(&held)?;
    let newest = held.iter().map(|held| held.seq).max().unwrap_or(0);
    witness.add(published(child, newest).await?)?;

    let mut receipts: Vec<Held> = held.into_iter().filter(is_receipt).collect();
    receipts.sort_unstable_by_key(|held| held.seq);
    let count = receipts.len();
    let bar = Bar::begin("every receipt, offline", u64::try_from(count).expect("a count"));
    let Proofs { proven, heads } = prove(child, Arc::new(receipts), connections, &bar).await?;
    bar.end();
    for head in heads {
        witness.add(head)?;
    }
    let head = witness.last().expect("one was published").clone();
    let hash = proven.first().map_or(HashKind::Sha256, |proven| proven.hash);
    let mut ledger = Client::connect(child.endpoints.ledger, None).await?;
    witness.prove(&mut ledger, hash).await?;
    witness.compare(&mut ledger).await?;
    let direct = proven.iter().filter(|proven| proven.size == head.size).count();
    let told = balances(child, &books).await?;
    check::accounts(&books, proven.into_iter().flat_map(|proven| proven.changes), &told)?;
    let slices = check::entries(&books, head.size, windows)?;
    Ok(Findings { books, slices, head, direct, by_prefix: count - direct, checkpoints: witness.len() })
}

/// The first published checkpoint that has the entry `newest` and all that came after it till now.
async fn published(child: &Child, newest: u64) -> Result<TreeHead, DemoError> {
    let mut client = Client::connect(child.endpoints.ledger, None).await?;
    let path = format!("/roots?since={newest}&limit=1000");
    let roots = within(&path, client.get(&path)).await?;
    let newest = roots.json()["next"].as_u64().unwrap_or(newest);
    let mut heads = Heads::new(child.log_key.clone());
    let began = monotonic();
    loop {
        let reply = within("/checkpoint", client.get("/checkpoint")).await?;
        let head = heads.open(&reply.text())?;
        if head.size >= newest {
            return Ok(head);
        }
        if monotonic().since(began) > PUBLISHED_MAX {
            let expected = format!("{newest} within {} s", PUBLISHED_MAX.as_millis() / 1_000);
            return Err(Violation::new("the size of the published tree", expected, head.size).into());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The balance of every account in the books, as the node tells it.
async fn balances(child: &Child, books: &Books) -> Result<BTreeMap<String, Standing>, DemoError> {
    let mut client = Client::connect(child.endpoints.wallet, Some(&child.token)).await?;
    let mut told = BTreeMap::new();
    for (account, _) in books.told() {
        let path = format!("/v1/balance?account={account}&asset={ASSET}");
        let reply = within(&path, client.get(&path)).await?;
        let (balance, changes) = balance_told(account, &reply)?;
        told.insert(account.clone(), Standing { balance, changes });
    }
    Ok(told)
}
