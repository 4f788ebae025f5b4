use model::{Balance, Head, Posting, Reason, Seq, Side};

use super::*;

/// The entry of the documented example.
pub(crate) fn entry(kind: Kind) -> StoredEntry {
    let (src, dst) = (AccountName::parse("acc_src").unwrap(), AccountName::parse("acc_dst").unwrap());
    let side = |name: &AccountName, units| Side {
        account: name.id(),
        seq: 12,
        balance: Balance::new(units).unwrap(),
        held: 100,
    };
    let posting = Posting {
        head: Head {
            seq: Seq(1031),
            at: Timestamp(1_760_631_062_000_999_999),
            kind,
            op: kind,
            reason: None,
            idx: 0,
        },
        amount: Amount::new(250_000).unwrap(),
        asset: Asset::parse("ron").unwrap(),
        debit: side(&src, 750_000),
        credit: side(&dst, 250_000),
        nonce: 42,
        key: [1; 16],
        key_millis: 0,
        fingerprint: 7,
        debit_blind: [0xd1; 16],
        credit_blind: [0xc1; 16],
        ext: None,
    };
    StoredEntry { posting, leaf: [0xab; 32], debit: Some(src), credit: Some(dst) }
}

/// The same entry, refused.
pub(crate) fn refused(kind: Kind, reason: Reason) -> StoredEntry {
    let mut entry = entry(kind);
    entry.posting.head.kind = Kind::Refused;
    entry.posting.head.reason = Some(reason);
    entry
}

/// The receipt of an accepted entry.
pub(crate) fn accepted(entry: &StoredEntry, key: Option<&IdempotencyKey>) -> Receipt {
    money_answer(Render::CURRENT, entry, Incarnation(1), key).expect("the entry was accepted")
}

const LEAF: &str = "abababababababababababababababababababababababababababababababab";

#[test]
fn receipts_have_these_bytes() {
    let key = IdempotencyKey::new("01JFA1KQ2Q9G2VE8W7").unwrap();
    let json = |entry: &StoredEntry, key: Option<&IdempotencyKey>| accepted(entry, key).to_json();
    let txid = "tx_000000010000000000000407abababababababab";
    assert_eq!(
        json(&entry(Kind::Transfer), Some(&key)),
        alloc::format!(
            r#"{{"txid":"{txid}","op":"transfer","from":"acc_src","to":"acc_dst","asset":"ron","amount_minor":"250000","nonce":42,"idem":"01JFA1KQ2Q9G2VE8W7","seq":1031,"ts":"2025-10-16T16:11:02.000Z","receipt_hash":"{LEAF}"}}"#
        )
    );
    let mint = StoredEntry { debit: Some(AccountName::issuance()), ..entry(Kind::Mint) };
    assert_eq!(
        json(&mint, None),
        alloc::format!(
            r#"{{"txid":"{txid}","op":"issue","to":"acc_dst","asset":"ron","amount_minor":"250000","nonce":42,"seq":1031,"ts":"2025-10-16T16:11:02.000Z","receipt_hash":"{LEAF}"}}"#
        )
    );
    let burn = StoredEntry { credit: Some(AccountName::issuance()), ..entry(Kind::Burn) };
    assert!(json(&burn, None).contains(r#""op":"burn","from":"acc_src","asset":"ron""#));
}

#[test]
fn a_receipt_reads_back_and_shows_no_balance() {
    let receipt = accepted(&entry(Kind::Transfer), None);
    let json = receipt.to_json();
    assert_eq!(serde_json::from_str::<Receipt>(&json).unwrap(), receipt);
    assert!(!json.contains("750000") && !json.contains("balance"), "{json}");
    let unknown = json.replacen("\"op\"", "\"more\":1,\"op\"", 1);
    assert!(serde_json::from_str::<Receipt>(&unknown).is_err());
    let loud = json.replacen(LEAF, &LEAF.to_uppercase(), 1);
    assert!(serde_json::from_str::<Receipt>(&loud).is_err());
}

#[test]
fn a_refused_entry_answers_with_its_problem() {
    let stored = refused(Kind::Transfer, Reason::InsufficientFunds);
    let answer = money_answer(Render::V0, &stored, Incarnation(1), None);
    let problem = Problem::of_posting(Render::V0, &stored.posting).unwrap();
    assert_eq!(answer, Err(problem));
}
