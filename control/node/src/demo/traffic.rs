//! A stretch of traffic: all payers and the witness at work on one life of the node.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use client::Client;
use engine::monotonic;
use model::Nanos;
use tokio::{sync::watch, task::JoinSet, time::sleep};

use super::{
    child::Child, payer::Payer, progress::Bar, reporter::Reporter, violation::DemoError, witness::Witness,
};

/// How often the bar moves.
const TICK: Duration = Duration::from_millis(100);

/// Who works, and what they have in hand.
#[derive(Debug)]
pub(crate) struct Crew {
    pub(crate) payers: Vec<Payer>,
    pub(crate) witness: Witness,
    pub(crate) reporter: Reporter,
    /// How long they have worked in all.
    pub(crate) worked: Nanos,
    answered: Arc<AtomicU64>,
}

/// The crew at work.
struct Shift {
    payers: JoinSet<Result<Payer, DemoError>>,
    witness: JoinSet<Result<Witness, DemoError>>,
    reporter: JoinSet<Result<Reporter, DemoError>>,
    stop: watch::Sender<bool>,
    began: model::Instant,
}

impl Crew {
    pub(crate) fn new(payers: u16) -> Self {
        Self {
            payers: (0..payers).map(Payer::new).collect(),
            witness: Witness::default(),
            reporter: Reporter::default(),
            worked: Nanos(0),
            answered: Arc::default(),
        }
    }

    /// Works for a while, and has the node killed in the middle of it.
    pub(crate) async fn work_until_kill(
        &mut self,
        mut child: Child,
        span: Duration,
        bar: &Bar,
    ) -> Result<(), DemoError> {
        let mut shift = self.begin(&child).await?;
        self.wait(&mut shift, &mut child, span, bar).await?;
        child.kill()?;
        self.join(shift).await
    }

    /// Works for a while, and stops with nothing open.
    pub(crate) async fn work(
        &mut self,
        child: &mut Child,
        span: Duration,
        bar: &Bar,
    ) -> Result<(), DemoError> {
        let mut shift = self.begin(child).await?;
        self.wait(&mut shift, child, span, bar).await?;
        shift.stop.send_replace(true);
        self.join(shift).await?;
        match self.payers.iter_mut().find_map(|payer| payer.broken.take()) {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    async fn begin(&mut self, child: &Child) -> Result<Shift, DemoError> {
        let (stop, stopping) = watch::channel(false);
        let (mut payers, mut witness, mut reporter) = (JoinSet::new(), JoinSet::new(), JoinSet::new());
        let watching = Client::connect(child.endpoints.ledger, None).await?;
        let seen = std::mem::take(&mut self.witness);
        witness.spawn(seen.watch(watching, child.log_key.clone(), stopping.clone()));
        let reporting = Client::connect(child.endpoints.accounting_admin, Some(&child.token)).await?;
        reporter.spawn(std::mem::take(&mut self.reporter).work(reporting, stopping.clone()));
        for payer in self.payers.drain(..) {
            let client = Client::connect(child.endpoints.wallet, Some(&child.token)).await?;
            payers.spawn(payer.work(client, stopping.clone(), Arc::clone(&self.answered)));
        }
        Ok(Shift { payers, witness, reporter, stop, began: monotonic() })
    }

    /// Waits out the span, or until something is wrong.
    async fn wait(
        &self,
        shift: &mut Shift,
        child: &mut Child,
        span: Duration,
        bar: &Bar,
    ) -> Result<(), DemoError> {
        let ends = async {
            sleep(span).await;
        };
        tokio::pin!(ends);
        loop {
            tokio::select! {
                () = &mut ends => return Ok(()),
                () = sleep(TICK) => {
                    let worked = self.worked.as_millis() + monotonic().since(shift.began).as_millis();
                    bar.at(worked, format!("{} answers", self.answered.load(Ordering::Relaxed)));
                    child.alive()?;
                }
                done = shift.payers.join_next() => {
                    // Nobody stops before the end of the span unless something is wrong.
                    let payer = done.expect("there are payers").expect("a payer does not panic")?;
                    child.alive()?;
                    if let Some(error) = payer.broken {
                        return Err(error.into());
                    }
                }
            }
        }
    }

    async fn join(&mut self, mut shift: Shift) -> Result<(), DemoError> {
        while let Some(done) = shift.payers.join_next().await {
            self.payers.push(done.expect("a payer does not panic")?);
        }
        self.payers.sort_unstable_by_key(Payer::index);
        self.worked = Nanos(self.worked.0 + monotonic().since(shift.began).0);
        // The witness looks at where it is told to stop as well as the payers do.
        shift.stop.send_replace(true);
        let seen = shift.witness.join_next().await.expect("there is one witness");
        self.witness = seen.expect("a witness does not panic")?;
        let reported = shift.reporter.join_next().await.expect("there is one reporter");
        self.reporter = reported.expect("a reporter does not panic")?;
        Ok(())
    }
}
