//! The small texts that stand in bodies, paths and headers.

use std::fmt::{Debug, Display};

use model::{AccountName, Amount, Asset, Timestamp, TxId};

use super::harness::Target;

/// A text that is written back as it was read.
fn canonical<T: Display + PartialEq + Debug, E: Debug>(
    name: &'static str,
    seeds: &[&str],
    refusals: &[&str],
    parse: impl Fn(&str) -> Result<T, E>,
) {
    let target = Target {
        name,
        times: 1,
        seeds: seeds.iter().map(|seed| seed.as_bytes().to_vec()).collect(),
        repair: None,
        fixed: 0,
        // What is not UTF-8 is made so before it is parsed.
        factor: 16,
        refusals,
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    target.run(
        |bytes| parse(&text(bytes)).map(drop),
        |bytes| {
            let read = parse(&text(bytes)).unwrap();
            assert_eq!(read.to_string(), text(bytes));
        },
    );
}

#[test]
fn amounts() {
    let seeds = ["1", "250000", "79228162514264337593543950335"];
    canonical("amount", &seeds, &[], Amount::parse);
}

#[test]
fn assets() {
    canonical("asset", &["ron", "usd_cent"], &[], Asset::parse);
}

#[test]
fn account_names() {
    let seeds = ["acct_a", "users:001/main", "@issuance", "a.b/c-d"];
    canonical("account_name", &seeds, &["Length", "Character", "Component", "Owned"], AccountName::parse);
}

#[test]
fn transaction_ids() {
    canonical("txid", &["tx_0000000100000000000004070102030405060708"], &["TxIdError"], TxId::parse);
}

#[test]
fn times() {
    let seeds = ["2025-10-16T16:11:02.000Z", "1970-01-01T00:00:00Z", "2026-02-28T23:59:59.999Z"];
    let target = Target {
        name: "timestamp",
        times: 1,
        seeds: seeds.map(|seed| seed.as_bytes().to_vec()).into(),
        repair: None,
        fixed: 0,
        factor: 16,
        refusals: &[")"],
    };
    let parse = |bytes: &[u8]| Timestamp::parse(&String::from_utf8_lossy(bytes));
    target.run(
        |bytes| parse(bytes).map(drop).ok_or(()),
        |bytes| {
            let read = parse(bytes).unwrap();
            let written = Timestamp::parse(&read.rfc3339()).unwrap();
            assert_eq!(written.as_millis(), read.as_millis(), "{}", read.rfc3339());
        },
    );
}
