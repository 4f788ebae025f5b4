//! Usage through the real binary, killed twice in the middle: every record is in the ledger once.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use client::{Client, Method};
use engine::{Birth, CommitMethod, Direct, Io, LedgerParams, LedgerRole, NoObserver, StoreParams};
use model::{LedgerId, Nanos, Seq, Timestamp};
use producer::{Options, Producer};
use wire::{
    CallId, Found, ReadAsk, ReadCall,
    usage::{LabelSet, SliceBody, Tally, Totals},
};

use super::process::RunningNode;

const PATIENCE: Duration = Duration::from_secs(60);
const SETTINGS: [&str; 1] = ["accounting.window_millis=1000"];
const TENANTS: [&str; 3] = ["acme", "globex", "initech"];

/// What was recorded, by tenant.
#[derive(Default)]
struct Books([Totals; 3]);

impl Books {
    fn add(&mut self, tenant: usize, tally: Tally) {
        self.0[tenant] = self.0[tenant].join(tally.into()).expect("small numbers");
    }
}

/// Records a few hundred counts of every tenant.
fn record(producer: &Producer, books: &mut Books, round: u64) {
    for number in 0..600_u64 {
        let tenant = usize::try_from(number % 3).expect("small");
        let route = format!("/r/{}", number % 5);
        let labels = LabelSet::new(TENANTS[tenant], "GET", &route, "api", "eu").expect("short labels");
        let tally = Tally { requests: 1, bytes_in: number, bytes_out: round * 1_000_003 };
        producer.record(producer.label(&labels), tally);
        books.add(tenant, tally);
    }
}

/// Sends a batch of events, each with an id of its own; all are counted.
async fn post(client: &mut Client, books: &mut Books, round: u64) {
    let event = |number: u64| {
        format!(
            r#"{{"specversion":"1.0","id":"{round}-{number}","source":"/test","type":"api","subject":"{}",
            "data":{{"method":"POST","route":"/h","requests":2,"bytes_in":{number}}}}}"#,
            TENANTS[usize::try_from(number % 3).expect("small")]
        )
    };
    let body = format!("[{}]", (0..30).map(event).collect::<Vec<_>>().join(","));
    let headers = [("content-type", "application/cloudevents-batch+json")];
    let reply = client.send(Method::POST, "/v1/usage", &headers, body.into()).await.expect("it listens");
    assert_eq!(reply.status, 200, "{}", reply.text());
    for (number, result) in (0..).zip(reply.json()["results"].as_array().expect("results")) {
        // Late if its window ended on the way: counted, in a correction.
        assert!(result["outcome"] == "ok" || result["outcome"] == "late", "{}", reply.text());
        let tally = Tally { requests: 2, bytes_in: number, bytes_out: 0 };
        books.add(usize::try_from(number % 3).expect("small"), tally);
    }
}

/// What `GET /v1/usage` says of a tenant, once all of it is in the ledger.
async fn served(client: &mut Client, tenant: &str, wanted: Totals) {
    #[expect(clippy::disallowed_methods, reason = "waits for another process, with a deadline")]
    let deadline = Instant::now() + PATIENCE;
    loop {
        let reply = client.get(&format!("/v1/usage?tenant={tenant}")).await.expect("it listens");
        assert_eq!(reply.status, 200, "{}", reply.text());
        let windows = reply.json()["windows"].as_array().expect("windows").clone();
        let sum = |field: &str| {
            windows.iter().map(|window| u128::from(window["totals"][field].as_u64().expect("a number"))).sum()
        };
        let found =
            Totals { requests: sum("requests"), bytes_in: sum("bytes_in"), bytes_out: sum("bytes_out") };
        assert!(found.requests <= wanted.requests, "{tenant}: {found:?} is more than {wanted:?}");
        if found == wanted && windows.iter().all(|window| window["state"] == "final") {
            return;
        }
        #[expect(clippy::disallowed_methods, reason = "waits for another process, with a deadline")]
        let now = Instant::now();
        assert!(now < deadline, "{tenant}: {found:?}, wanted {wanted:?}: {}", reply.text());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The totals of all slices in the ledger's directory, which nobody has open.
fn in_ledger(data: &Path) -> Books {
    let store = StoreParams {
        directory: data.join("ledger"),
        hash: ledger::HashKind::Sha256,
        segment_bytes: 16 << 20,
        accounts_max: 1_000_000,
        keys_max: 100_000,
        direct: Direct::Preferred,
        mirror: None,
    };
    let params = LedgerParams {
        store,
        io: Io::Auto,
        commit: CommitMethod::Dsync,
        frames_in_flight: 4,
        core: None,
        spin: false,
        batch_max_entries: 1,
        ingress: 1,
        slice_lanes: 0,
        max_forward_jump: Nanos::from_secs(86_400),
    };
    let birth = Birth {
        ledger: LedgerId([0; 16]),
        frame_key: [0; 32],
        ledger_secret: [0; 32],
        created: Timestamp(0),
    };
    let seed = std::fs::read_to_string(data.join("keys/checkpoint.key")).expect("made at the first start");
    let seed = hex::decode(seed.trim()).expect("hex").try_into().expect("32 bytes");
    let signer = ledger::NoteSigner::new("localhost/macronode-dev", &seed).expect("a name");
    let ledger = LedgerRole::start(&params, &birth, signer, Box::new(NoObserver)).expect("it opens");
    assert!(!ledger.report.store.created, "the node's own ledger");
    let (mut after, mut books) = (Seq::ZERO, Books::default());
    loop {
        let ask = ReadAsk::Slices { after, since: Timestamp(0) };
        ledger.reads.ask(ReadCall { id: CallId(1), ask }).expect("there is room");
        let answer = loop {
            ledger.reads.answer_bell().wait(Nanos::from_secs(1), || ledger.reads.has_answer());
            if let Some(answer) = ledger.reads.answer() {
                break answer;
            }
        };
        let Found::Slices(page) = answer.found else { panic!("{answer:?}") };
        for (slice, body) in &page.slices {
            let view = SliceBody::decode(body).expect("a slice's body");
            let tenant = TENANTS.iter().position(|name| *name == view.header.tenant.as_str());
            let tenant = &mut books.0[tenant.expect("a tenant of this test")];
            *tenant = tenant.join(view.totals).expect("small numbers");
            assert_eq!(view.totals.requests, slice.requests);
        }
        match page.next {
            Some(next) => after = next,
            None => break,
        }
    }
    assert!(ledger.stop());
    books
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_record_is_in_the_ledger_once_whatever_is_killed() {
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let data = scratch.path();
    let mut node = RunningNode::start_with(data, &SETTINGS).await;
    let options =
        Options { flush_every: Duration::from_millis(20), ..Options::new(node.accounting_socket(), [5; 16]) };
    let producer = Producer::start(&options).expect("a thread");
    let mut books = Books::default();
    for round in 1..=3 {
        // What HTTP took is in memory only until its window is in the ledger, so wait for that; what
        // the producer took is killed anywhere on its way.
        let mut client = node.client("accounting_admin").await;
        post(&mut client, &mut books, round).await;
        record(&producer, &mut books, round);
        assert!(tokio::task::block_in_place(|| producer.wait_durable(PATIENCE)), "{:?}", producer.status());
        for (tenant, wanted) in TENANTS.iter().zip(books.0) {
            served(&mut client, tenant, wanted).await;
        }
        if round == 3 {
            break;
        }
        record(&producer, &mut books, round);
        tokio::time::sleep(Duration::from_millis(300 * round)).await;
        record(&producer, &mut books, round);
        node.kill();
        record(&producer, &mut books, round);
        node = RunningNode::start_with(data, &SETTINGS).await;
    }
    let mut client = node.client("accounting_admin").await;
    let ready = client.get("/readyz").await.expect("it listens").json();
    assert_eq!((&ready["ready"], &ready["degraded"]), (&true.into(), &false.into()), "{ready}");
    assert_eq!(client.get("/healthz").await.expect("it listens").json()["ok"], true);
    let metrics = client.get("/metrics").await.expect("it listens").text();
    for line in ["ron_accounting_export_backlog_gauge 0", "ron_accounting_streams_halted_total 0"] {
        assert!(metrics.lines().any(|have| have == line), "{line} not in {metrics}");
    }
    let status = producer.status();
    assert!(status.is_durable() && status.lanes.iter().all(|lane| lane.lost.is_zero()), "{status:?}");
    // A clean stop, so that the ledger can be opened beside it.
    assert!(node.stop().await.success());
    drop(producer);
    assert_eq!(in_ledger(data).0, books.0);
}
