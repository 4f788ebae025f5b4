//! What a node says at the terminal once it is ready.
//!
//! Holds: it says what listens where, where the token is, and one `curl` for each job; no secret.

use std::path::Path;

use crate::{endpoints::Endpoints, terminal, token};

/// Says what listens where, where the token is, and one `curl` for each job.
pub(crate) fn announce(
    endpoints: &Endpoints,
    admin_socket: Option<&Path>,
    data_dir: &Path,
    is_ram: bool,
    vkey: &str,
) {
    let Endpoints { ledger, ledger_admin, wallet, wallet_admin, accounting_admin, accounting_socket } =
        endpoints;
    let token = data_dir.join("keys").join(token::TOKEN);
    let mut lines = vec![
        "macronode is ready (disk format 0: it may still break)".into(),
        format!("  ledger   http://{ledger}   admin http://{ledger_admin}"),
        format!("  wallet   http://{wallet}   admin http://{wallet_admin}"),
        format!("  usage    http://{accounting_admin}   socket {}", accounting_socket.display()),
        format!("  data     {}", data_dir.display()),
        format!("  token    {}", token.display()),
        format!("  log key  {vkey}"),
    ];
    if is_ram {
        lines.push("  IN MEMORY: ledger, keys and token are gone when this process ends".into());
    }
    lines.extend(admin_socket.map(|socket| format!("  ronctl   --socket {}", socket.display())));
    lines.extend(jobs(endpoints, &token));
    lines.push("Not in this version: holds, feed. Ctrl-C stops it.\n".into());
    terminal::say(&lines.join("\n"));
    tracing::info!("ready=1");
}

/// One `curl` for each job, to be pasted as they stand.
fn jobs(endpoints: &Endpoints, token: &Path) -> Vec<String> {
    let Endpoints { ledger, wallet, accounting_admin, .. } = endpoints;
    let event =
        r#"{"specversion":"1.0","id":"1","source":"me","type":"api","subject":"acme","data":{"requests":1}}"#;
    let events = "-H 'Content-Type: application/cloudevents+json'";
    let auth = r#"-H "Authorization: Bearer $TOKEN""#;
    let write = |job: &str, path: &str, key: &str, body: &str| {
        let json = "-H 'Content-Type: application/json'";
        format!(
            "  # {job}\n  curl {auth} {json} -H 'Idempotency-Key: {key}' -d '{body}' http://{wallet}{path}"
        )
    };
    vec![
        "Try, in another terminal:".into(),
        format!("  TOKEN=$(cat '{}')", std::path::absolute(token).unwrap_or_else(|_| token.into()).display()),
        write("issue", "/v1/issue", "first-issue", r#"{"to":"alice","asset":"ron","amount_minor":"1000"}"#),
        write(
            "transfer",
            "/v1/transfer",
            "first-transfer",
            r#"{"from":"alice","to":"bob","asset":"ron","amount_minor":"250"}"#,
        ),
        format!("  # balance\n  curl {auth} 'http://{wallet}/v1/balance?account=bob&asset=ron'"),
        format!("  # usage\n  curl {auth} {events} -d '{event}' http://{accounting_admin}/v1/usage"),
        format!("  # checkpoint\n  curl http://{ledger}/checkpoint"),
    ]
}
