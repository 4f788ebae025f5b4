//! `Asker`: the async face of a `Source`: many tasks ask, one task hands the answers out.
//!
//! Holds: every admitted question is answered or its task learns that the loop is gone. A task that
//! gave up loses its answer, nothing else. Leaves to others: deadlines, and what is asked.

use std::{
    collections::HashMap,
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use engine::{Bell, Source};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::oneshot,
};
use wire::CallId;

/// All places for open questions are taken: try again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Busy;

/// The async face of a `Source`.
#[derive(Debug)]
pub(crate) struct Asker<Q, A> {
    source: Source<Q, A>,
    waiting: Mutex<HashMap<CallId, oneshot::Sender<A>>>,
    next: AtomicU64,
    id_of: fn(&A) -> CallId,
}

impl<Q: Send + 'static, A: Send + 'static> Asker<Q, A> {
    /// Starts the task that hands out the answers; it runs as long as the runtime.
    ///
    /// # Errors
    /// If the runtime cannot watch the bell.
    pub(crate) fn start(source: Source<Q, A>, id_of: fn(&A) -> CallId) -> std::io::Result<Arc<Self>> {
        let waiting = Mutex::new(HashMap::with_capacity(source.capacity()));
        let asker = Arc::new(Self { source, waiting, next: AtomicU64::new(1), id_of });
        let bell = asker.source.answer_bell().fd().try_clone_to_owned()?;
        #[expect(deprecated, reason = "the safe way in; the descriptor is owned here and closed with it")]
        let fd = AsyncFd::with_interest(bell, Interest::READABLE)?;
        tokio::spawn(Arc::clone(&asker).hand_out(fd));
        Ok(asker)
    }

    /// Asks; the receiver gets the answer, or an error if the loop is gone.
    ///
    /// # Errors
    /// `Busy` if as many questions are open as may be.
    pub(crate) fn ask(&self, make: impl FnOnce(CallId) -> Q) -> Result<oneshot::Receiver<A>, Busy> {
        let id = CallId(self.next.fetch_add(1, Ordering::Relaxed));
        let (sender, receiver) = oneshot::channel();
        self.waiting().insert(id, sender);
        if self.source.ask(make(id)).is_err() {
            self.waiting().remove(&id);
            return Err(Busy);
        }
        Ok(receiver)
    }

    /// The source underneath.
    #[must_use]
    pub(crate) fn source(&self) -> &Source<Q, A> {
        &self.source
    }

    async fn hand_out(self: Arc<Self>, fd: AsyncFd<OwnedFd>) {
        let bell: &Bell = self.source.answer_bell();
        loop {
            while let Some(answer) = self.source.answer() {
                let waiter = self.waiting().remove(&(self.id_of)(&answer));
                if let Some(waiter) = waiter {
                    // A task that gave up is no error: its entry stands all the same.
                    drop(waiter.send(answer));
                }
            }
            bell.prepare();
            if self.source.has_answer() {
                bell.awake();
                continue;
            }
            if let Ok(mut ready) = fd.readable().await {
                bell.awake();
                bell.drain();
                ready.clear_ready();
            }
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, HashMap<CallId, oneshot::Sender<A>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use engine::source;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_task_gets_its_own_answer() {
        let bell = Arc::new(Bell::new().unwrap());
        let (source, inlet) = source::<(CallId, u64), (CallId, u64)>(64, Arc::clone(&bell)).unwrap();
        let asker = Asker::start(source, |answer| answer.0).unwrap();
        std::thread::spawn(move || {
            loop {
                let mut gave = false;
                while let Some((id, value)) = inlet.take() {
                    inlet.give((id, value * 2));
                    gave = true;
                }
                if gave {
                    inlet.ring();
                }
                bell.wait(model::Nanos::from_secs(1), || inlet.is_waiting());
            }
        });
        let mut tasks = Vec::new();
        for task in 0..32_u64 {
            let asker = Arc::clone(&asker);
            tasks.push(tokio::spawn(async move {
                for round in 0..200 {
                    let value = task * 1_000 + round;
                    let receiver = loop {
                        match asker.ask(|id| (id, value)) {
                            Ok(receiver) => break receiver,
                            Err(Busy) => tokio::task::yield_now().await,
                        }
                    };
                    assert_eq!(receiver.await.unwrap().1, value * 2);
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(asker.source().depth(), 0);
    }
}
