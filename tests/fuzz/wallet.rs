//! What a wallet sends: bodies, keys, and the proof document that a holder brings back.

use model::{AccountName, Amount, Asset};
use wallet::{IdempotencyKey, IngestBody, Intent, ProofDocument, Surface};

use super::harness::Target;

/// Bounds of the JSON bodies: `Vec`s grow by doubling, an entry is kept as a typed intent.
const FIXED: u64 = 32 << 10;
const FACTOR: u64 = 64;

#[test]
fn bodies_of_the_wallet() {
    let seeds = [
        r#"{"from":"ann","to":"bob","asset":"ron","amount_minor":"1"}"#,
        r#"{"from":"users:001/main","to":"b","asset":"ron","amount_minor":"250000","nonce":42,"if_seq":7,"if_balance_at_least":"9","reference":"order-17"}"#,
    ];
    let target = Target {
        name: "wallet_body",
        times: 10,
        seeds: seeds.map(|seed| seed.as_bytes().to_vec()).into(),
        repair: None,
        fixed: FIXED,
        factor: FACTOR,
        refusals: &["Json", "Unknown", "Twice", "Missing", "Wrong"],
    };
    target.run(
        |bytes| {
            let parsed = Intent::transfer(bytes);
            let others =
                [Intent::spend(bytes).is_ok(), Intent::issue(bytes).is_ok(), Intent::burn(bytes).is_ok()];
            assert!(
                parsed.is_err() || others == [true, false, false],
                "one body is of one route: {others:?}"
            );
            parsed.map(drop)
        },
        |bytes| {
            let intent = Intent::transfer(bytes).unwrap();
            assert!(!intent.amount.is_zero());
            let mut body = serde_json::json!({
                "from": intent.debit.as_str(), "to": intent.credit.as_str(),
                "asset": intent.asset.as_str(), "amount_minor": intent.amount.to_string(),
            });
            let wants = intent.preconditions;
            let numbers = [("nonce", wants.nonce), ("if_seq", wants.if_seq)];
            for (name, number) in numbers.into_iter().filter_map(|(name, number)| Some((name, number?))) {
                body[name] = number.into();
            }
            if let Some(least) = wants.if_balance_at_least {
                body["if_balance_at_least"] = least.to_string().into();
            }
            if !intent.reference.is_empty() {
                body["reference"] = intent.reference.as_str().into();
            }
            assert_eq!(Intent::transfer(body.to_string().as_bytes()).unwrap(), intent);
        },
    );
}

#[test]
fn bodies_of_ingest() {
    let seeds = [
        r#"{"batch":[{"kind":"mint","account":"ann","asset":"ron","amount":"1"}],"idem_id":"b"}"#,
        r#"{"batch":[{"id":"9c7d9bda-1f8a-4f3e-8f7a-1a0e3b6a9a10","ts":1728794183123,"kind":"transfer","account":"acct_a","counter_account":"acct_b","asset":"ron","amount":"12345","nonce":7,"ref_seq":null,"reference":"order-17","v":1},{"kind":"burn","account":"a","asset":"ron","amount":"1"}],"idem_id":"01JFA1KQ2Q9G2VE8W7","atomic":true}"#,
    ];
    let target = Target {
        name: "ingest_body",
        times: 10,
        seeds: seeds.map(|seed| seed.as_bytes().to_vec()).into(),
        repair: None,
        fixed: FIXED,
        factor: FACTOR,
        refusals: &["Json", "Unknown", "Twice", "Missing", "Wrong"],
    };
    target.run(
        |bytes| {
            IngestBody::parse(bytes)
                .map(drop)
                .inspect_err(|error| drop(error.problem(Surface::Ledger).to_json(400)))
        },
        |bytes| {
            let body = IngestBody::parse(bytes).unwrap();
            assert!((1..=model::limits::INGEST_ENTRIES_MAX).contains(&body.entries.len()));
            let plan = body.plan("fuzz", |_| Ok(()));
            assert_eq!(plan.group.requests.len() + plan.refused.len(), body.entries.len());
            let keys: std::collections::BTreeSet<_> =
                plan.group.requests.iter().map(|request| request.key.digest).collect();
            assert_eq!(keys.len(), plan.group.requests.len(), "each entry has a key of its own");
        },
    );
}

#[test]
fn idempotency_keys() {
    let seeds = ["01JFA1KQ2Q9G2VE8W7", "\"01JFA1KQ2Q9G2VE8W7\"", r#""a\"b\\c""#, " a "];
    let target = Target {
        name: "idempotency_key",
        times: 1,
        seeds: seeds.map(|seed| seed.as_bytes().to_vec()).into(),
        repair: None,
        fixed: 256,
        factor: 4,
        refusals: &["Length", "Character", "Quotes"],
    };
    target.run(
        |bytes| IdempotencyKey::from_header(bytes).map(drop),
        |bytes| {
            let key = IdempotencyKey::from_header(bytes).unwrap();
            assert_eq!(IdempotencyKey::new(key.as_str()), Ok(key));
            let quoted = format!("\"{}\"", key.as_str().replace('\\', r"\\").replace('"', "\\\""));
            assert_eq!(IdempotencyKey::from_header(quoted.as_bytes()), Ok(key));
            assert_ne!(key.of_entry("fuzz", 0).digest, key.of_entry("fuzz", u16::MAX).digest);
        },
    );
}

#[test]
fn proof_documents() {
    let hash = "11".repeat(32);
    let document = format!(
        r#"{{"version":1,"receipt":{{"txid":"tx_000000010000000000000007{}","op":"transfer","from":"ann","to":"bob","asset":"ron","amount_minor":"5","nonce":1,"seq":7,"ts":"2025-10-16T16:11:02.000Z","receipt_hash":"{hash}"}},"leaf_index":6,"leaf_data":"0011ff","sides":[{{"side":"debit","account":"ann","asset":"ron","account_seq":3,"balance":"-5","held":"0","blind":"{}"}}],"size":9,"root":"{hash}","path":["{hash}","{hash}"],"checkpoint":"note","tlog_proof":"text"}}"#,
        "11".repeat(8),
        "22".repeat(16),
    );
    let target = Target {
        name: "proof_document",
        times: 1,
        seeds: vec![document.into_bytes()],
        repair: None,
        fixed: FIXED,
        factor: FACTOR,
        refusals: &["Json", "Mixed"],
    };
    target.run(
        |bytes| ProofDocument::parse(bytes).map(drop),
        |bytes| {
            let read = ProofDocument::parse(bytes).unwrap();
            assert_eq!(ProofDocument::parse(read.to_json().as_bytes()).unwrap(), read);
            assert!(read.leaf_index < read.size);
            let parts = (&read.receipt.asset, read.receipt.amount_minor);
            assert_eq!(
                parts,
                (&Asset::parse(parts.0.as_str()).unwrap(), Amount::parse(&parts.1.to_string()).unwrap())
            );
            let names = [&read.receipt.from, &read.receipt.to];
            assert!(names.into_iter().flatten().all(|name| AccountName::parse(name.as_str()).is_ok()));
        },
    );
}
