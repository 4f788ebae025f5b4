//! `LocalLedger`: the ledger's port over the queues of this process.

use std::{sync::Arc, time::Duration};

use engine::{LedgerRole, StatusBoard, monotonic};
use model::{Reason, limits::GROUP_ENTRIES_MAX};
use server::{LedgerPort, PortError, Promise};
use tokio::{sync::oneshot, time::timeout};
use wire::{Answer, Ask, Call, Found, ReadAnswer, ReadAsk, ReadCall, Status};

use crate::asker::Asker;

/// The ledger of this process, as HTTP sees it.
#[derive(Debug)]
pub(crate) struct LocalLedger {
    money: Arc<Asker<Call, Answer>>,
    reads: Arc<Asker<ReadCall, ReadAnswer>>,
    board: Arc<StatusBoard>,
}

impl LocalLedger {
    /// Starts the tasks that hand answers out; call it inside the runtime.
    ///
    /// # Errors
    /// If the runtime cannot watch the ledger's bells.
    pub(crate) fn start(role: &LedgerRole) -> std::io::Result<Self> {
        Ok(Self {
            money: Asker::start(role.money.clone(), |answer| answer.id)?,
            reads: Asker::start(role.reads.clone(), |answer| answer.id)?,
            board: Arc::clone(&role.board),
        })
    }
}

impl LedgerPort for LocalLedger {
    fn submit(&self, ask: Ask, patience: Duration) -> Promise<'_, Result<Answer, PortError>> {
        Box::pin(async move {
            match self.board.refusing() {
                Some(Reason::SafeMode) => return Err(PortError::SafeMode),
                // The committer repeats what was decided before, and declines the rest.
                Some(Reason::NoSpace) => {}
                Some(_) => return Err(PortError::Gone),
                None => {}
            }
            if let Ask::Money(group) = &ask {
                assert!(group.requests.len() <= GROUP_ENTRIES_MAX, "routes bound their groups");
            }
            let receiver = self.money.ask(|id| Call::new(id, ask)).map_err(|_| PortError::Busy)?;
            settle(receiver, patience).await
        })
    }

    fn read(&self, ask: ReadAsk, patience: Duration) -> Promise<'_, Result<Found, PortError>> {
        Box::pin(async move {
            let receiver = self.reads.ask(|id| ReadCall { id, ask }).map_err(|_| PortError::Busy)?;
            settle(receiver, patience).await.map(|answer| answer.found)
        })
    }

    fn status(&self) -> Status {
        let source = self.money.source();
        self.board.status(monotonic(), source.depth(), source.capacity())
    }
}

async fn settle<A>(receiver: oneshot::Receiver<A>, patience: Duration) -> Result<A, PortError> {
    match timeout(patience, receiver).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(PortError::Gone),
        Err(_) => Err(PortError::Timeout),
    }
}
