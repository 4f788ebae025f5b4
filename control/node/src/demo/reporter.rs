//! `Reporter`: usage over HTTP, as batches of `CloudEvents`.
//!
//! What HTTP took is in memory until its window is in the ledger, so a batch may be lost with the
//! node. Each batch has a route of its own: after a restart the ones whose route the node does not
//! know are sent again, as any client of an at-least-once interface does.

use std::{collections::HashSet, time::Duration};

use client::{Client, Method};
use serde_json::Value;
use tokio::sync::watch;
use wire::usage::{Tally, Totals};

use super::{
    payer::within,
    violation::{DemoError, Violation},
};

pub(crate) const TENANT: &str = "events";
/// Events of one batch.
const EVENTS: u64 = 20;
const BETWEEN: Duration = Duration::from_millis(100);
const TRIES: u32 = 100;

/// A client that reports usage over HTTP.
#[derive(Debug, Default)]
pub(crate) struct Reporter {
    /// Batches that were sent; each must count once.
    pub(crate) batches: u64,
    /// Batches that had to be sent again after the kill.
    pub(crate) resent: u64,
}

impl Reporter {
    /// Reports until told to stop or cut off.
    pub(crate) async fn work(
        mut self,
        mut client: Client,
        stop: watch::Receiver<bool>,
    ) -> Result<Self, DemoError> {
        match self.report(&mut client, &stop).await {
            // What is open is looked up after the restart.
            Ok(()) | Err(DemoError::Client(_)) => Ok(self),
            Err(error) => Err(error),
        }
    }

    async fn report(&mut self, client: &mut Client, stop: &watch::Receiver<bool>) -> Result<(), DemoError> {
        self.resume(client).await?;
        while !*stop.borrow() {
            self.batches += 1;
            post(client, self.batches).await?;
            tokio::time::sleep(BETWEEN).await;
        }
        Ok(())
    }

    /// Sends again what the node does not know.
    async fn resume(&mut self, client: &mut Client) -> Result<(), DemoError> {
        if self.batches == 0 {
            return Ok(());
        }
        let path = format!("/v1/usage?tenant={TENANT}&group_by=route");
        let reply = within(&path, client.get(&path)).await?;
        let answer = reply.json();
        let windows = answer["windows"].as_array().into_iter().flatten();
        let groups = windows.filter_map(|window| window["groups"].as_array()).flatten();
        let known: HashSet<&str> = groups.filter_map(|group| group["by"].as_str()).collect();
        for batch in (1..=self.batches).filter(|batch| !known.contains(route(*batch).as_str())) {
            post(client, batch).await?;
            self.resent += 1;
        }
        Ok(())
    }

    /// Events that were sent.
    pub(crate) fn events(&self) -> u64 {
        self.batches * EVENTS
    }

    /// What all batches count.
    pub(crate) fn recorded(&self) -> Totals {
        let tallies = (1..=self.batches).flat_map(|batch| (0..EVENTS).map(move |event| tally(batch, event)));
        tallies.fold(Totals::ZERO, |sum, tally| sum.plus(tally).expect("a run's counts are small"))
    }
}

fn route(batch: u64) -> String {
    format!("/batch/{batch}")
}

fn tally(batch: u64, event: u64) -> Tally {
    Tally { requests: 1, bytes_in: 100 + event, bytes_out: batch * 10 }
}

/// Sends one batch until it is counted.
async fn post(client: &mut Client, batch: u64) -> Result<(), DemoError> {
    let event = |number: u64| {
        let Tally { requests, bytes_in, bytes_out } = tally(batch, number);
        let route = route(batch);
        format!(
            r#"{{"specversion":"1.0","id":"{batch}-{number}","source":"/demo","type":"demo","subject":"{TENANT}","data":{{"method":"GET","route":"{route}","requests":{requests},"bytes_in":{bytes_in},"bytes_out":{bytes_out}}}}}"#
        )
    };
    let body = format!("[{}]", (0..EVENTS).map(event).collect::<Vec<_>>().join(","));
    let headers = [("content-type", "application/cloudevents-batch+json")];
    for attempt in 0..TRIES {
        let sent = client.send(Method::POST, "/v1/usage", &headers, body.clone().into());
        let reply = within("/v1/usage", sent).await?;
        let answer = reply.json();
        if answer["retryable"] == true {
            tokio::time::sleep(BETWEEN).await;
            continue;
        }
        let results = answer["results"].as_array().map_or(&[][..], Vec::as_slice);
        let counted = results.iter().filter(|result| is_counted(&result["outcome"], attempt > 0)).count();
        if reply.status != 200 || u64::try_from(counted).ok() != Some(EVENTS) {
            let expected = format!("{EVENTS} events counted");
            return Err(Violation::new(format_args!("batch {batch}"), expected, reply.text()).into());
        }
        return Ok(());
    }
    Err(Violation::new(format_args!("batch {batch}"), "an answer for good", "none").into())
}

/// Whether an event counts, once: late if its window ended on the way, a duplicate if an earlier try
/// was counted and its answer was not for good.
fn is_counted(outcome: &Value, again: bool) -> bool {
    outcome == "ok" || outcome == "late" || (again && outcome == "duplicate")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_counts_once_however_it_was_held_up() {
        let counted = |outcome: &str, again| is_counted(&Value::from(outcome), again);
        assert!(counted("ok", false) && counted("late", false) && counted("duplicate", true));
        assert!(!counted("duplicate", false), "the first try cannot be one");
        for outcome in ["overflowed", "skewed", "rejected"] {
            assert!(!counted(outcome, false) && !counted(outcome, true), "{outcome}");
        }
        assert!(!is_counted(&Value::Null, true));
    }
}
