//! What a node says at the terminal once it is ready.
//!
//! Holds: it says what listens where, where the token is, and one `curl` for each job; no secret.

use std::path::Path;

use crate::{endpoints::Endpoints, token};

/// Says what listens where, where the token is, and one `curl` for each job.
#[expect(clippy::print_stdout, reason = "this is what the person at the terminal reads")]
pub(crate) fn announce(endpoints: &Endpoints, data_dir: &Path, vkey: &str) {
    let Endpoints { ledger, ledger_admin, wallet, wallet_admin } = *endpoints;
    let token = data_dir.join("keys").join(token::TOKEN);
    let token = token.display();
    println!("macronode is ready (disk format 0: it may still break)");
    println!("  ledger   http://{ledger}   admin http://{ledger_admin}");
    println!("  wallet   http://{wallet}   admin http://{wallet_admin}");
    println!("  token    {token}");
    println!("  log key  {vkey}");
    println!("Not in this version: usage (the accounting role), holds, feed. Try:");
    println!(
        "  curl -H \"Authorization: Bearer $(cat {token})\" -H 'Content-Type: application/json' \
         -H 'Idempotency-Key: first-issue' \
         -d '{{\"to\":\"alice\",\"asset\":\"ron\",\"amount_minor\":\"1000\"}}' http://{wallet}/v1/issue"
    );
    println!("  curl http://{ledger}/checkpoint");
    tracing::info!("ready=1");
}
