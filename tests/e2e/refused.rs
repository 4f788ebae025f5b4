//! Everything that can be asked badly, against the real binary: its documented answer, its count,
//! and the node goes on.

use std::collections::BTreeMap;

use caps::{Caveat, Macaroon};

use super::{
    process::RunningNode,
    raw::{Heard, Peer, post},
};

const GOOD: &str = r#"{"from":"ann","to":"bob","asset":"ron","amount_minor":"1"}"#;
const ENTRY: &str =
    r#"{"kind":"transfer","account":"ann","counter_account":"bob","asset":"ron","amount":"1"}"#;
const JSON: &str = "content-type: application/json";
/// Deadlines that a slow machine does not meet by being slow.
const PATIENT: [&str; 2] = ["wallet.read_ms=60000", "wallet.write_ms=60000"];
/// Memory that a few thousand refused requests may leave behind.
const GROWTH_BYTES_MAX: f64 = (64 << 20) as f64;

/// One bad request and what must come of it.
struct Bad {
    what: String,
    bytes: Vec<u8>,
    status: u16,
    code: &'static str,
    /// The word under which it is counted, where it is not the code.
    counted: &'static str,
}

impl Bad {
    fn new(what: impl Into<String>, bytes: Vec<u8>, status: u16, code: &'static str) -> Self {
        Self { what: what.into(), bytes, status, code, counted: code }
    }
}

/// The values of all series of a role.
async fn series(node: &RunningNode, role: &str) -> BTreeMap<String, f64> {
    let mut admin = node.client(&format!("{role}_admin")).await;
    let text = admin.get("/metrics").await.expect("the node listens").text();
    let pairs = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
    pairs.map(|(name, value)| (name.to_owned(), value.parse().expect("a number"))).collect()
}

/// Each is answered and counted as documented, and a good request after it is answered.
async fn refused(node: &RunningNode, role: &str, cases: &[Bad]) {
    let address = node.endpoint(role);
    let mut good = node.client(role).await;
    let read = if role == "wallet" { "/v1/balance?account=ann&asset=ron" } else { "/accounts/ann?asset=ron" };
    for Bad { what, bytes, status, code, counted } in cases {
        let before = series(node, role).await;
        let heard = Peer::connect(address).await.ask(bytes).await;
        let heard = heard.unwrap_or_else(|| panic!("{what}: no answer"));
        assert_eq!((heard.status, heard.code().as_str()), (*status, *code), "{what}: {heard:?}");
        let after = series(node, role).await;
        let rose = |name: &str| after[name] - before[name];
        assert!(
            (rose(&format!("rejected_total{{reason=\"{counted}\"}}")) - 1.0).abs() < 0.1,
            "{what}: {counted}"
        );
        let service = if role == "wallet" { "svc-wallet" } else { "ron-ledger" };
        let answered = format!("http_requests_total{{service=\"{service}\",status=\"{status}\"}}");
        assert!((rose(&answered) - 1.0).abs() < 0.1, "{what}: {answered}");
        let reply = good.get(read).await.expect("the connection beside it lives on");
        assert_eq!((reply.status, reply.json()["account"].as_str()), (200, Some("ann")), "{what}");
    }
}

/// Bodies that a wallet's transfer refuses with 400 `bad_request`.
fn bad_bodies() -> Vec<(String, Vec<u8>)> {
    let amount = |with: &str| GOOD.replace("\"1\"", with);
    let texts = [
        String::new(),
        "{".into(),
        "null".into(),
        "[]".into(),
        format!("{GOOD}{GOOD}"),
        amount("1"),
        amount("\"-1\""),
        amount("\"1.5\""),
        amount("\"1e3\""),
        amount("\"+1\""),
        amount("\" 1\""),
        amount("\"0\""),
        amount("\"01\""),
        amount("\"0x1\""),
        amount("\"\""),
        amount("\"79228162514264337593543950336\""),
        amount("\"999999999999999999999999999999999999999999\""),
        amount("\"1\",\"memo\":\"x\""),
        amount("\"1\",\"to\":\"cat\""),
        amount("\"1\",\"t\\u006f\":\"cat\""),
        amount("\"1\",\"nonce\":-1"),
        amount("\"1\",\"nonce\":1.0"),
        amount("\"1\",\"nonce\":18446744073709551616"),
        amount("\"1\",\"nonce\":\"1\""),
        amount("\"1\",\"if_balance_at_least\":5"),
        amount("\"1\",\"reference\":\"\\u0000\""),
        amount("\"1\",\"reference\":{}"),
        GOOD.replace("ron", "RON"),
        GOOD.replace("bob", "../bob"),
        GOOD.replace("bob", "a/../../etc/passwd"),
        GOOD.replace("bob", "@bob"),
        GOOD.replace("bob", "b\\u00f6b"),
        GOOD.replace("bob", &"b".repeat(65)),
        GOOD.replace("\"to\":\"bob\",", ""),
        "[".repeat(100_000),
        format!("{{\"from\":{}", "{\"a\":".repeat(50_000)),
    ];
    let mut bodies: Vec<_> =
        texts.into_iter().map(|text| (text.chars().take(120).collect(), text.into_bytes())).collect();
    bodies.push((
        "not UTF-8".into(),
        GOOD.replace("bob", "b?b").bytes().map(|b| if b == b'?' { 0xff } else { b }).collect(),
    ));
    bodies.push(("UTF-16".into(), GOOD.encode_utf16().flat_map(u16::to_le_bytes).collect()));
    bodies
}

fn cases_of_bodies(bearer: &str) -> Vec<Bad> {
    let headers = [JSON, "idempotency-key: k", bearer];
    let mut cases: Vec<_> = bad_bodies()
        .into_iter()
        .map(|(what, body)| Bad::new(what, post("/v1/transfer", &headers, &body), 400, "bad_request"))
        .collect();
    let large = GOOD.replace("bob", &"b".repeat(2 << 20));
    cases.push(Bad::new("2 MiB", post("/v1/transfer", &headers, large.as_bytes()), 413, "too_large"));
    cases
}

fn cases_of_headers(bearer: &str) -> Vec<Bad> {
    let key = "idempotency-key: k";
    let long = format!("idempotency-key: {}", "k".repeat(65));
    let ask = |headers: &[&str]| post("/v1/transfer", headers, GOOD.as_bytes());
    let bad = |what: &str, headers: &[&str], code| Bad::new(what, ask(headers), 400, code);
    let cap = |what: &str, headers: &[&str]| Bad {
        counted: "cap",
        ..Bad::new(what, ask(headers), 401, "unauthorized")
    };
    vec![
        bad("no content type", &[key, bearer], "bad_request"),
        bad("text", &["content-type: text/plain", key, bearer], "bad_request"),
        bad("a form", &["content-type: application/x-www-form-urlencoded", key, bearer], "bad_request"),
        bad("two content types", &[JSON, "content-type: text/plain", key, bearer], "bad_request"),
        bad("gzip", &[JSON, "content-encoding: gzip", key, bearer], "bad_request"),
        bad("no key", &[JSON, bearer], "idempotency_key_required"),
        bad("an empty key", &[JSON, "idempotency-key:", bearer], "bad_request"),
        bad("a long key", &[JSON, &long, bearer], "bad_request"),
        bad("a key with a space", &[JSON, "idempotency-key: a b", bearer], "bad_request"),
        bad("half a quoted key", &[JSON, "idempotency-key: \"a", bearer], "bad_request"),
        bad("a key of other letters", &[JSON, "idempotency-key: k\u{e9}y", bearer], "bad_request"),
        bad("two keys", &[JSON, key, key, bearer], "bad_request"),
        cap("no token", &[JSON, key]),
        cap("another scheme", &[JSON, key, "authorization: Basic ZGV2OmRldg=="]),
        cap("an empty token", &[JSON, key, "authorization: Bearer "]),
        cap("garbage", &[JSON, key, "authorization: Bearer !!!!"]),
        cap("two tokens", &[JSON, key, bearer, bearer]),
        cap("a long token", &[JSON, key, &format!("authorization: Bearer {}", "A".repeat(9000))]),
    ]
}

fn cases_of_tokens(node: &RunningNode) -> Vec<Bad> {
    let token = Macaroon::parse(node.token()).expect("the development token");
    let narrowed = |caveat: &str| {
        token
            .clone()
            .attenuate(&Caveat::parse(caveat).expect("a caveat"))
            .expect("a token may be narrowed")
            .to_text()
    };
    let mut foreign = node.token().to_owned();
    foreign.replace_range(foreign.len() - 8.., "AAAAAAAA");
    let cut = &node.token()[..node.token().len() - 5];
    let ask = |token: &str| {
        post(
            "/v1/transfer",
            &[JSON, "idempotency-key: k", &format!("authorization: Bearer {token}")],
            GOOD.as_bytes(),
        )
    };
    let cap = |what: &str, token: &str, status, code| Bad {
        counted: "cap",
        ..Bad::new(what, ask(token), status, code)
    };
    vec![
        cap("a forged signature", &foreign, 401, "unauthorized"),
        cap("a token cut off", cut, 401, "unauthorized"),
        cap("an expired token", &narrowed("expires = 2020-01-01T00:00:00Z"), 401, "unauthorized"),
        cap("another action", &narrowed("action = wallet:read"), 403, "forbidden"),
        cap("another account", &narrowed("account = bob,ann/*"), 403, "forbidden"),
        cap("another subject", &narrowed("subject = eve"), 403, "forbidden"),
    ]
}

fn cases_of_paths(bearer: &str) -> Vec<Bad> {
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\n{bearer}\r\n\r\n").into_bytes();
    let bad = |path: &str, status, code| Bad::new(path, get(path), status, code);
    vec![
        bad("/v1/balance?asset=ron", 400, "bad_request"),
        bad("/v1/balance?account=..%2F..%2Fetc%2Fpasswd", 400, "bad_request"),
        bad("/v1/balance?account=a/../b", 400, "bad_request"),
        bad("/v1/balance?account=%ff", 400, "bad_request"),
        bad("/v1/balance?account=%zz", 400, "bad_request"),
        bad("/v1/balance?account=%00", 400, "bad_request"),
        bad("/v1/balance?account=ann&account=bob", 400, "bad_request"),
        bad("/v1/balance?account=ann&limit=1", 400, "bad_request"),
        bad("/v1/accounts/%2e%2e%2fann/sequence", 400, "bad_request"),
        bad("/v1/accounts/%ff/sequence", 400, "bad_request"),
        bad("/v1/tx/tx_zz", 400, "bad_request"),
        bad("/v1/tx/tx_00000001000000000000ffff0102030405060708", 404, "not_found"),
        bad("/v1/../../etc/passwd", 404, "not_found"),
        bad("//v1/balance", 404, "not_found"),
        bad("/v1/transfer", 405, "method_not_allowed"),
        bad("/nowhere", 404, "not_found"),
        bad(&format!("/{}", "a".repeat(20_000)), 404, "not_found"),
    ]
}

/// What is no request, or one that lies about its length.
fn cases_of_bytes(bearer: &str) -> Vec<Bad> {
    let many: String = (0..200).map(|number| format!("x-{number}: 1\r\n")).collect();
    let chunked = |body: &str| {
        format!(
            "POST /v1/transfer HTTP/1.1\r\nhost: x\r\n{JSON}\r\nidempotency-key: k\r\n{bearer}\r\ntransfer-encoding: chunked\r\n\r\n{body}"
        )
    };
    let megabytes = format!("100000\r\n{}\r\n", "a".repeat(1 << 20)).repeat(2) + "0\r\n\r\n";
    let bad = |what: &str, text: String, status, code| Bad::new(what, text.into_bytes(), status, code);
    let get = |rest: &str| format!("GET /v1/balance?account=ann HTTP/1.1\r\n{rest}\r\n\r\n");
    vec![
        bad("garbage", "\u{0}\u{1}\u{2}garbage\r\n\r\n".into(), 400, "bad_request"),
        bad("TLS", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\r\n\r\n".into(), 400, "bad_request"),
        bad("HTTP/9.9", "GET / HTTP/9.9\r\n\r\n".into(), 400, "bad_request"),
        bad("no version", "GET /\r\n\r\n".into(), 400, "bad_request"),
        bad("a header without a colon", get("host x"), 400, "bad_request"),
        bad("a space before the colon", get("host : x"), 400, "bad_request"),
        bad("a folded header", get("host: x\r\n y"), 400, "bad_request"),
        bad("a huge header", get(&format!("x: {}", "x".repeat(1 << 20))), 431, "head_too_large"),
        bad("too many headers", get(many.trim_end()), 431, "head_too_large"),
        bad("a huge target", format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(1 << 20)), 431, "head_too_large"),
        bad("a length that is none", get("content-length: -1"), 400, "bad_request"),
        bad("two lengths", get("content-length: 1\r\ncontent-length: 2"), 400, "bad_request"),
        bad("an encoding that is none", get("transfer-encoding: gzip"), 400, "bad_request"),
        bad("a chunk that is none", chunked("zz\r\nabc\r\n0\r\n\r\n"), 400, "bad_request"),
        bad("a chunk of 2^64", chunked("ffffffffffffffffff\r\nabc"), 400, "bad_request"),
        bad("chunks of 2 MiB", chunked(&megabytes), 413, "too_large"),
        bad(
            "an announced body of 2^40",
            get("content-length: 1099511627776")
                .replace("GET /v1/balance?account=ann", "POST /v1/transfer")
                .replace("\r\n\r\n", &format!("\r\n{JSON}\r\nidempotency-key: k\r\n{bearer}\r\n\r\n")),
            413,
            "too_large",
        ),
    ]
}

fn cases_of_ingest(bearer: &str) -> Vec<Bad> {
    let batch = |entries: &str| format!(r#"{{"batch":[{entries}],"idem_id":"b"}}"#);
    let ask = |body: &str| post("/ingest", &[JSON, bearer], body.as_bytes());
    let bad = |body: String, status, code| {
        Bad::new(body.chars().take(100).collect::<String>(), ask(&body), status, code)
    };
    let mut cases = vec![
        bad(batch(""), 400, "bad_request"),
        bad(batch("null"), 400, "bad_request"),
        bad(batch(&ENTRY.replace("\"1\"", "1")), 400, "bad_request"),
        bad(batch(&ENTRY.replace("\"1\"", "\"-1\"")), 400, "bad_request"),
        bad(batch(&ENTRY.replace("\"1\"", "\"0.5\"")), 400, "bad_request"),
        bad(batch(&ENTRY.replace("\"1\"", "\"1\",\"v\":2")), 400, "bad_request"),
        bad(batch(&ENTRY.replace("\"1\"", "\"1\",\"fee\":\"2\"")), 400, "unknown_kind"),
        bad(batch(&ENTRY.replace("transfer", "warp")), 400, "unknown_kind"),
        bad(batch(&ENTRY.replace("transfer", "usage")), 400, "unknown_kind"),
        bad(batch(ENTRY).replace("idem_id", "idem"), 400, "unknown_kind"),
        bad(batch(ENTRY).replace(",\"idem_id\":\"b\"", ""), 400, "bad_request"),
        bad(batch(&[ENTRY; 2001].join(",")), 413, "too_large"),
        Bad {
            counted: "unauth",
            ..Bad::new("no token", post("/ingest", &[JSON], batch(ENTRY).as_bytes()), 401, "unauthorized")
        },
    ];
    for path in
        ["/roots?limit=0", "/roots?since=-1", "/proof/inclusion?seq=x", "/proof/consistency?from=2&to=1"]
    {
        let ask = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").into_bytes();
        cases.push(Bad::new(path, ask, 400, "bad_request"));
    }
    cases
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_requests_cost_nothing_but_themselves() {
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let node = RunningNode::start_with(scratch.path(), &PATIENT).await;
    let issue = r#"{"to":"ann","asset":"ron","amount_minor":"1000"}"#;
    let funded = node.wallet().await.post("/v1/issue", "fund", issue.into()).await.expect("it listens");
    assert_eq!(funded.status, 200, "{}", funded.text());
    let bearer = format!("authorization: Bearer {}", node.token());

    let first = series(&node, "wallet").await;
    let wallet = [
        cases_of_bodies(&bearer),
        cases_of_headers(&bearer),
        cases_of_tokens(&node),
        cases_of_paths(&bearer),
        cases_of_bytes(&bearer),
    ]
    .concat_all();
    refused(&node, "wallet", &wallet).await;
    let ledger = cases_of_ingest(&bearer);
    refused(&node, "ledger", &ledger).await;

    let last = series(&node, "wallet").await;
    let resident = "process_resident_memory_bytes";
    assert!(
        last[resident] < first[resident] + GROWTH_BYTES_MAX,
        "{} then {}",
        first[resident],
        last[resident]
    );
    assert!(last["http_connections"] <= first["http_connections"] + 4.0, "{}", last["http_connections"]);
    assert!(last["inflight"].abs() < 0.1, "nothing hangs: {}", last["inflight"]);
    // The key of all those transfers was never used, so it is free.
    let paid = node.wallet().await.post("/v1/transfer", "k", GOOD.into()).await.expect("it listens");
    assert_eq!(
        (paid.status, paid.headers.contains_key("idempotent-replayed")),
        (200, false),
        "{}",
        paid.text()
    );
    println!(
        "proof: e2e refused={} each documented, counted, followed by a good request",
        wallet.len() + ledger.len()
    );
}

/// Gathers lists of cases.
trait ConcatAll {
    fn concat_all(self) -> Vec<Bad>;
}

impl<const N: usize> ConcatAll for [Vec<Bad>; N] {
    fn concat_all(self) -> Vec<Bad> {
        self.into_iter().flatten().collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_and_hasty_clients_are_answered() {
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let node = RunningNode::start_with(scratch.path(), &PATIENT).await;
    let wallet = node.endpoint("wallet");
    let status = |heard: Option<Heard>| heard.map(|heard| heard.status);

    let mut old = Peer::connect(wallet).await;
    assert_eq!(status(old.ask(b"GET /nowhere HTTP/1.0\r\n\r\n").await), Some(404));
    assert_eq!(status(old.hear().await), None, "HTTP/1.0 closes");

    let mut hasty = Peer::connect(wallet).await;
    hasty.say(&b"GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n".repeat(50)).await;
    for number in 0..50 {
        assert_eq!(status(hasty.hear().await), Some(404), "answer {number} of a pipeline");
    }
    // A pipeline that ends in garbage: what was asked well is answered first.
    hasty.say(b"GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n\x00garbage\r\n\r\n").await;
    assert_eq!(status(hasty.hear().await), Some(404));
    let last = hasty.hear().await.expect("an answer to the garbage");
    assert_eq!((last.status, last.code().as_str()), (400, "bad_request"));
    assert_eq!(status(hasty.hear().await), None, "the connection ends with it");

    // Whoever closes its sending side has asked all the same.
    let bearer = format!("authorization: Bearer {}", node.token());
    let issue = br#"{"to":"ann","asset":"ron","amount_minor":"1000"}"#;
    let mut closing = Peer::connect(wallet).await;
    closing.say(&post("/v1/issue", &[JSON, "idempotency-key: half", &bearer], issue)).await;
    tokio::io::AsyncWriteExt::shutdown(&mut closing.stream).await.expect("it is open");
    assert_eq!(status(closing.hear().await), Some(200), "a half-closed client gets its answer");
    assert_eq!(status(closing.hear().await), None);

    let mut polite = Peer::connect(wallet).await;
    let expecting =
        post("/v1/issue", &[JSON, "idempotency-key: polite", "expect: 100-continue", &bearer], issue);
    assert_eq!(status(polite.ask(&expecting).await), Some(200));
}
