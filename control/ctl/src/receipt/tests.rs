//! Proofs of the ledger's own, checked with its key, and changed in every field.

use ledger::{NoteSigner, TlogProof};
use model::Incarnation;
use wallet::{Render, Visible, money_answer};

use super::*;
use crate::tests::world::{self, World};

const INCARNATION: &str = "the incarnation in txid";

/// A proof document of a transfer, and the log's key.
fn document(visible: Visible) -> (String, String) {
    let world = World::new();
    let role = world.start();
    world::mint(&role, 1_000);
    let seq = world::transfer(&role, 1);
    world::transfer(&role, 2);
    let proof = world::proof(&role, seq);
    assert!(role.stop());
    let receipt = money_answer(Render::V0, &proof.entry, Incarnation(1), None).unwrap();
    let text = TlogProof {
        extra: None,
        index: receipt.seq - 1,
        path: proof.proof.path.clone(),
        checkpoint: proof.checkpoint.note.clone(),
    };
    let document = ProofDocument::new(receipt, &proof, visible, text.to_string()).unwrap();
    let signer = NoteSigner::new("example.test/ledger", &[1; 32]).unwrap();
    (document.to_json(), signer.verifier().to_string())
}

#[test]
fn a_proof_of_the_ledger_holds_and_says_what_it_proves() {
    let (json, key) = document(Visible { debit: true, credit: true });
    let proven = check_receipt(json.as_bytes(), &key).unwrap();
    assert_eq!(
        (proven.op.as_str(), proven.amount_minor.as_str(), proven.log.as_str()),
        ("transfer", "1", "example.test/ledger")
    );
    let sides: Vec<(&str, &str)> =
        proven.sides.iter().map(|side| (side.account.as_str(), side.balance_minor.as_str())).collect();
    assert_eq!(sides, [("alice", "999"), ("bob", "1")]);
    assert_eq!(proven.not_proven, ["nonce", INCARNATION]);
    assert!(proven.text().contains(" holds: entry "), "{}", proven.text());
    let (json, key) = document(Visible { debit: false, credit: true });
    let proven = check_receipt(json.as_bytes(), &key).unwrap();
    assert!(proven.text().contains(" holds, but not `from`, whose side is not opened: "));
    assert_eq!((proven.sides.len(), proven.not_proven), (1, vec!["nonce", INCARNATION, "from"]));
}

#[test]
fn no_field_that_the_signature_reaches_can_be_changed() {
    let (json, key) = document(Visible { debit: true, credit: true });
    let fault = |from: &str, to: &str| {
        let changed = json.replacen(from, to, 1);
        assert_ne!(changed, json, "{from} is not in {json}");
        check_receipt(changed.as_bytes(), &key).unwrap_err()
    };
    for (from, to, word) in [
        (r#""amount_minor":"1""#, r#""amount_minor":"2""#, "amount_minor is 2"),
        (r#""asset":"ron""#, r#""asset":"eur""#, "asset is eur"),
        (r#""op":"transfer""#, r#""op":"issue""#, "op is issue"),
        (r#""ts":"20"#, r#""ts":"21"#, "ts is"),
        (r#""from":"alice""#, r#""from":"carol""#, "from is carol"),
        (r#""to":"bob""#, r#""to":"carol""#, "to is carol"),
        (r#""balance":"999""#, r#""balance":"998""#, "opened side"),
        (r#""account":"bob""#, r#""account":"rob""#, "opened side"),
        (r#""path":[""#, r#""path":["00"#, "does not parse"),
        ("example.test/ledger\\n", "example.test/other\\n", "signature"),
        ("index ", "index 1", ""),
    ] {
        let fault = fault(from, to);
        assert!(fault.to_string().contains(word), "{from} to {to}: {fault}");
        assert!([1, 65].contains(&fault.exit_code()), "{from}: {fault}");
    }
    let other = NoteSigner::new("example.test/ledger", &[2; 32]).unwrap().verifier().to_string();
    assert_eq!(check_receipt(json.as_bytes(), &other).unwrap_err().exit_code(), 1);
    assert_eq!(check_receipt(json.as_bytes(), "no key").unwrap_err().exit_code(), 2);
    assert_eq!(check_receipt(b"{}", &key).unwrap_err().exit_code(), 65);
}
