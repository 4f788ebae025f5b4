//! `LocalUsage`: the shards' port over the queues of this process.
//!
//! Holds: each event goes to its tenant's shard, and outcomes come back in the order of the events.

use std::{sync::Arc, time::Duration};

use engine::UsageRole;
use model::ShardId;
use server::{PortError, Promise, UsagePort};
use tokio::{sync::oneshot, time::timeout};
use wire::usage::{
    ItemOutcome, ItemRefusal, UsageAnswer, UsageAsk, UsageCall, UsageItem, UsageQuery, UsageReply,
    UsageWindow, shard_of,
};

use crate::asker::Asker;

/// The shards of this process, as HTTP sees them.
#[derive(Debug)]
pub(crate) struct LocalUsage {
    shards: Vec<Arc<Asker<UsageCall, UsageAnswer>>>,
}

/// Where an event's outcome goes.
type Place = usize;

impl LocalUsage {
    /// Starts the tasks that hand answers out; call it inside the runtime.
    ///
    /// # Errors
    /// If the runtime cannot watch the shards' bells.
    pub(crate) fn start(role: &UsageRole) -> std::io::Result<Self> {
        let start =
            |calls: &engine::Source<_, _>| Asker::start(calls.clone(), |answer: &UsageAnswer| answer.id);
        let shards = role.calls.iter().map(start).collect::<Result<_, _>>()?;
        Ok(Self { shards })
    }

    fn shard_of(&self, tenant: &str) -> ShardId {
        shard_of(tenant, u16::try_from(self.shards.len()).expect("the config bounds the shards"))
    }

    fn ask(&self, shard: ShardId, ask: UsageAsk) -> Result<oneshot::Receiver<UsageAnswer>, PortError> {
        let asker = self.shards.get(usize::from(shard.0)).expect("there are as many as `shard_of` knows");
        asker.ask(|id| UsageCall { id, ask }).map_err(|_| PortError::Busy)
    }

    async fn count_all(
        &self,
        items: Vec<UsageItem>,
        patience: Duration,
    ) -> Result<Vec<ItemOutcome>, PortError> {
        let mut outcomes = vec![ItemOutcome::Rejected(ItemRefusal::Busy); items.len()];
        let mut parts: Vec<(Vec<Place>, Vec<UsageItem>)> = vec![Default::default(); self.shards.len()];
        for (place, item) in items.into_iter().enumerate() {
            let shard = self.shard_of(item.labels.tenant.as_str());
            let (places, items) = parts.get_mut(usize::from(shard.0)).expect("one part for each shard");
            places.push(place);
            items.push(item);
        }
        let mut waiting = Vec::new();
        for ((places, items), shard) in
            parts.into_iter().zip(0_u16..).filter(|((places, _), _)| !places.is_empty())
        {
            match self.ask(ShardId(shard), UsageAsk::Items(items)) {
                Ok(receiver) => waiting.push((places, receiver)),
                // Its events stay `busy`; those of other shards are counted.
                Err(PortError::Busy) => {}
                Err(error) => return Err(error),
            }
        }
        for (places, receiver) in waiting {
            let UsageReply::Items(found) = settle(receiver, patience).await? else {
                unreachable!("a shard answers what it was asked")
            };
            assert_eq!(found.len(), places.len(), "one outcome per event");
            for (place, outcome) in places.into_iter().zip(found) {
                *outcomes.get_mut(place).expect("places of the items above") = outcome;
            }
        }
        Ok(outcomes)
    }
}

impl UsagePort for LocalUsage {
    fn count(
        &self,
        items: Vec<UsageItem>,
        patience: Duration,
    ) -> Promise<'_, Result<Vec<ItemOutcome>, PortError>> {
        Box::pin(self.count_all(items, patience))
    }

    fn windows(
        &self,
        query: UsageQuery,
        patience: Duration,
    ) -> Promise<'_, Result<Vec<UsageWindow>, PortError>> {
        Box::pin(async move {
            let receiver = self.ask(self.shard_of(query.tenant.as_str()), UsageAsk::Windows(query))?;
            match settle(receiver, patience).await? {
                UsageReply::Windows(windows) => Ok(windows),
                UsageReply::Items(_) => unreachable!("a shard answers what it was asked"),
            }
        })
    }
}

async fn settle(
    receiver: oneshot::Receiver<UsageAnswer>,
    patience: Duration,
) -> Result<UsageReply, PortError> {
    match timeout(patience, receiver).await {
        Ok(Ok(answer)) => Ok(answer.reply),
        Ok(Err(_)) => Err(PortError::Gone),
        Err(_) => Err(PortError::Timeout),
    }
}
