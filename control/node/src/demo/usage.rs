//! The end of usage: what was counted, tenant by tenant, against what the node tells of its ledger.

use std::{collections::BTreeMap, time::Duration};

use client::{Client, Reply};
use engine::monotonic;
use model::Nanos;
use serde_json::Value;
use wire::usage::Totals;

use super::{
    child::Child,
    meter::tenant,
    payer::{Payer, within},
    reporter::{Reporter, TENANT},
    violation::{DemoError, Violation, same},
};

/// How long the last window may take into the ledger.
const FINAL_MAX: Nanos = Nanos::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// What was counted, by tenant.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counted(BTreeMap<String, Totals>);

/// What the node tells of one tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    totals: Totals,
    windows: u64,
    is_final: bool,
}

impl Counted {
    /// What these have counted.
    pub(crate) fn of(payers: &[Payer], reporter: &Reporter) -> Self {
        let mut counted = Self::default();
        counted.0.insert(TENANT.to_owned(), reporter.recorded());
        for payer in payers {
            let totals = counted.0.entry(tenant(payer.index())).or_default();
            *totals = totals.join(payer.usage).expect("a run's counts are small");
        }
        counted
    }

    pub(crate) fn tenants(&self) -> usize {
        self.0.len()
    }

    /// The sum over these tenants.
    pub(crate) fn sum(&self, wanted: impl Fn(&str) -> bool) -> Totals {
        let some = self.0.iter().filter(|(name, _)| wanted(name));
        some.fold(Totals::ZERO, |sum, (_, totals)| sum.join(*totals).expect("a run's counts are small"))
    }

    /// Waits until every window is final, and compares: neither less nor more. Gives the windows.
    pub(crate) async fn check(&self, child: &Child) -> Result<u64, DemoError> {
        let mut client = Client::connect(child.endpoints.accounting_admin, Some(&child.token)).await?;
        let (began, mut windows) = (monotonic(), 0);
        for (tenant, expected) in &self.0 {
            let path = format!("/v1/usage?tenant={tenant}");
            let told = loop {
                let told = told(tenant, &within(&path, client.get(&path)).await?)?;
                if told.is_final || monotonic().since(began) > FINAL_MAX {
                    break told;
                }
                tokio::time::sleep(PAUSE).await;
            };
            same(format_args!("whether the usage of {tenant} is final"), &true, &told.is_final)?;
            same(format_args!("the usage of {tenant}"), expected, &told.totals)?;
            windows += told.windows;
        }
        Ok(windows)
    }
}

fn told(tenant: &str, reply: &Reply) -> Result<Told, Violation> {
    let answer = reply.json();
    let strange = || Violation::new(format_args!("the usage of {tenant}"), "windows", reply.text());
    let mut told = Told { is_final: true, ..Told::default() };
    for window in answer["windows"].as_array().ok_or_else(strange)? {
        let totals = totals(&window["totals"]).ok_or_else(strange)?;
        told.totals = told.totals.join(totals).ok_or_else(strange)?;
        told.windows += 1;
        told.is_final &= window["state"] == "final";
    }
    Ok(told)
}

fn totals(told: &Value) -> Option<Totals> {
    let number = |name: &str| told[name].as_u64().map(u128::from);
    Some(Totals {
        requests: number("requests")?,
        bytes_in: number("bytes_in")?,
        bytes_out: number("bytes_out")?,
    })
}
