//! The tour of `README.md`, block by block against a real node, and what its prose claims.
//!
//! Holds: a block is run as it stands, but for the ports; the one that kills the node is asserted
//! to be what it is and done to this test's node alone.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use ledger::{HashKind, NoteVerifier, TlogProof};
use serde_json::Value;

use super::{
    not_run,
    process::{RunningNode, binary, command, is_there, scratch, until},
};

/// Ports of the development defaults, and the names of the addresses in `run/endpoints.json`.
const PORTS: [(&str, &str); 5] = [
    ("localhost:8080", "wallet"),
    ("localhost:9090", "wallet_admin"),
    ("localhost:5082", "ledger"),
    ("localhost:9909", "ledger_admin"),
    ("localhost:9600", "accounting_admin"),
];

/// The tools that blocks build and start; the tests' are built already.
const TOOLS: [&str; 2] = ["ronctl", "ron-ledgerctl"];

/// Blocks that must have been walked.
const WALKED: [&str; 10] = [
    "Money",
    "Again",
    "Refusals",
    "Proof",
    "Offline",
    "Usage",
    "Health",
    "Audit",
    "Pull the plug",
    "Afterwards",
];

/// One block of the tour.
#[derive(Debug)]
struct Block {
    /// The bold word that its paragraph begins with; empty before the first.
    name: String,
    /// What is to be pasted.
    script: String,
}

/// The fenced `sh` blocks of the tour.
fn blocks(readme: &str) -> Vec<Block> {
    let (_, tour) = readme.split_once("\n## A tour of five minutes\n").expect("the README has a tour");
    let tour = tour.split("\n## ").next().expect("a section");
    let mut name = String::new();
    let mut blocks = Vec::new();
    let mut parts = tour.split("```");
    while let (Some(prose), Some(fenced)) = (parts.next(), parts.next()) {
        for line in prose.lines().filter(|line| line.starts_with("**")) {
            name = line[2..].split("**").next().expect("a bold word").trim_end_matches('.').to_owned();
        }
        let script = fenced.strip_prefix("sh\n").expect("the tour's blocks are `sh`");
        blocks.push(Block { name: name.clone(), script: script.to_owned() });
    }
    blocks
}

/// Where the tour is walked: the directory of the reader's second terminal.
struct Walk {
    home: PathBuf,
    /// The variables that the first block sets.
    prelude: String,
}

impl Walk {
    fn data(&self) -> PathBuf {
        self.home.join("macronode-data")
    }

    /// Pastes a block; what it printed.
    fn paste(&self, node: &RunningNode, script: &str) -> String {
        let mut script = format!("{}{script}", self.prelude);
        for (port, name) in PORTS {
            if script.contains(port) {
                script = script.replace(port, &node.endpoint(name).to_string());
            }
        }
        for tool in TOOLS {
            let built = format!("cargo run --release -q -p ctl --bin {tool} --");
            script = script.replace(&built, &binary(tool).display().to_string());
        }
        let mut shell = Command::new("sh");
        shell.args(["-e", "-u", "-c", &script]).current_dir(&self.home).env_remove("http_proxy");
        shell.env_remove("XDG_RUNTIME_DIR");
        let output = shell.output().expect("a shell starts");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && err.is_empty(), "{script}\n{out}\n{err}");
        out.into_owned()
    }
}

/// The JSON documents among the lines.
fn documents(printed: &str) -> Vec<Value> {
    printed.lines().filter_map(|line| serde_json::from_str(line).ok()).filter(Value::is_object).collect()
}

fn proof_verifies(home: &Path, data: &Path) {
    let receipt: Value = serde_json::from_slice(&fs::read(home.join("receipt.json")).expect("tee wrote it"))
        .expect("a receipt");
    let proof: Value =
        serde_json::from_slice(&fs::read(home.join("proof.json")).expect("curl wrote it")).expect("a proof");
    let vkey = fs::read_to_string(data.join("keys/log.vkey")).expect("written at the start");
    let log = NoteVerifier::parse(vkey.trim()).expect("a verifier key");
    let leaf = hex::decode(proof["leaf_data"].as_str().expect("leaf data")).expect("hex");
    let leaf = HashKind::Sha256.leaf(&leaf);
    assert_eq!(hex::encode(leaf), receipt["receipt_hash"].as_str().expect("a hash"), "it is this receipt's");
    let text = proof["tlog_proof"].as_str().expect("the proof as text");
    let head = TlogProof::parse(text).expect("it parses").verify(HashKind::Sha256, &leaf, &log);
    assert!(head.expect("the proof verifies").size >= 2);
    let forged = HashKind::Sha256.leaf(b"another");
    let refused = TlogProof::parse(text).expect("it parses").verify(HashKind::Sha256, &forged, &log);
    assert!(refused.is_err(), "another leaf does not verify");
}

/// What the prose of this block claims.
fn check(block: &str, printed: &str, walk: &Walk) {
    let documents = documents(printed);
    let amount = || documents.last().expect("a balance")["amount_minor"].clone();
    if block != "Refusals" {
        assert!(documents.iter().all(|document| document["code"].is_null()), "{block}: {printed}");
    }
    match block {
        "Money" => {
            assert_eq!((documents.len(), documents[1]["nonce"].as_u64()), (3, Some(1)), "{printed}");
            assert_eq!(amount(), "250000");
        }
        // `cmp` has compared the receipts; the shell stops where they differ.
        "Again" | "Afterwards" => assert_eq!(amount(), "250000", "{block}"),
        "Refusals" => {
            let refusal = documents.first().expect("a document");
            assert_eq!(refusal["code"], "insufficient_funds", "{printed}");
        }
        "Proof" => {
            assert!(printed.starts_with("localhost/macronode-dev\n") && printed.contains("\n\u{2014} "));
            assert!(printed.contains("\"roots\":[{"), "{printed}");
            proof_verifies(&walk.home, &walk.data());
        }
        "Offline" => assert!(printed.contains(" holds: entry "), "{printed}"),
        "Usage" => {
            assert_eq!(documents[0]["results"][0]["outcome"], "ok", "{printed}");
            assert_eq!(documents[1]["windows"][0]["totals"]["bytes_out"], 4096, "{printed}");
        }
        "Audit" => assert!(printed.contains("clean: nothing was found"), "{printed}"),
        "Health" => {
            assert_eq!(documents.first().expect("readiness")["ready"], true, "{printed}");
            assert!(printed.contains("ledger_commit_latency_seconds_count "), "{printed}");
        }
        _ => {}
    }
}

#[tokio::test]
async fn the_tour_of_the_readme_is_true() {
    if !is_there("curl") {
        return not_run("tour::the_tour_of_the_readme_is_true", "there is no `curl`");
    }
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let mut blocks = blocks(&fs::read_to_string(readme).expect("the README lies in the root")).into_iter();
    let scratch = scratch();
    let prelude = blocks.next().expect("the tour begins with the token").script;
    let walk = Walk { home: scratch.path().into(), prelude };
    let mut node = RunningNode::start(&walk.data()).await;
    let mut walked = Vec::new();
    for block in blocks {
        if block.name == "Pull the plug" {
            assert_eq!(block.script, "pkill -9 -x macronode\n");
            node.kill();
            drop(node);
            node = RunningNode::start(&walk.data()).await;
        } else {
            let printed = walk.paste(&node, &block.script);
            check(&block.name, &printed, &walk);
        }
        walked.push(block.name);
    }
    for name in WALKED {
        assert!(walked.iter().any(|walked| walked == name), "{name} not in {walked:?}");
    }
}

/// What the node says at the terminal: its indented lines from `TOKEN=` on are for pasting.
#[tokio::test]
async fn what_the_banner_offers_can_be_pasted() {
    if !is_there("curl") {
        return not_run("tour::what_the_banner_offers_can_be_pasted", "there is no `curl`");
    }
    let scratch = scratch();
    let (data, said) = (scratch.path().join("data of a node"), scratch.path().join("said"));
    let mut started = command(&data, &[]);
    let node = RunningNode::spawn(started.stdout(fs::File::create(&said).expect("a file")), &data).await;
    let banner = until("the banner is whole", || {
        fs::read_to_string(&said).ok().filter(|text| text.contains("Ctrl-C"))
    });
    let banner = banner.await;
    for name in ["wallet", "ledger", "wallet_admin", "ledger_admin"] {
        assert!(banner.contains(&format!("http://{}", node.endpoint(name))), "{name}: {banner}");
    }
    let token = data.join("keys/dev.token");
    assert!(banner.contains(&token.display().to_string()) && !banner.contains(node.token()), "{banner}");
    let script: String = banner
        .lines()
        .skip_while(|line| !line.starts_with("  TOKEN="))
        .filter(|line| line.starts_with("  "))
        .map(|line| line.replacen("  curl ", "  curl -sS --fail-with-body -w '\\n' ", 1) + "\n")
        .collect();
    assert!(script.matches("curl ").count() >= 4, "{script}");
    let mut shell = Command::new("sh");
    let output = shell.args(["-e", "-u", "-c", &script]).output().expect("a shell starts");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{script}\n{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    let documents = documents(&printed);
    assert!(documents.len() >= 3 && documents.iter().all(|document| document["code"].is_null()), "{printed}");
}

#[test]
fn canary_a_block_that_is_not_true_is_seen() {
    let page = "\n## A tour of five minutes\n\n```sh\na=1\n```\n\n**One.** x\n\n```sh\nexit 3\n```\n\
        **Two.** y\n\n```sh\nexit 4\n```\n\n## Next\n\n```sh\nno\n```\n";
    let found = blocks(page);
    let seen: Vec<_> = found.iter().map(|block| (block.name.as_str(), block.script.as_str())).collect();
    assert_eq!(seen, [("", "a=1\n"), ("One", "exit 3\n"), ("Two", "exit 4\n")]);
    let walk = Walk { home: "/nonexistent".into(), prelude: String::new() };
    let lie = r#"{"amount_minor":"250001"}"#;
    for (block, printed) in
        [("Money", lie), ("Again", lie), ("Offline", lie), ("Audit", lie), ("Health", r#"{"ready":false}"#)]
    {
        let missed = std::panic::catch_unwind(|| check(block, printed, &walk)).is_ok();
        assert!(!missed, "{block}");
    }
}
