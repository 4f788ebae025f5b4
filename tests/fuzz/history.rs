//! The history of accounts: headers of runs and their blocks. Checks are made right again from
//! `docs/format-derived.md`, not by the code under test.

use std::convert::Infallible;

use ledger::{
    HISTORY_BLOCK_BYTES, HistoryBlock, HistoryKey, HistoryRow, RunBuilder, RunEnd, RunHeader, RunName,
    decode_block,
};
use model::{AccountId, Asset, Balance, Incarnation, LedgerId, Seq};

use super::harness::Target;

const NAME: RunName = RunName { ledger: LedgerId([1; 16]), first: Seq(1), last: Seq(u64::MAX) };

fn rows() -> Vec<HistoryRow> {
    let row = |account: u128, of: &str, account_seq: u64, seq: u64, balance: i128, held: u128| HistoryRow {
        key: HistoryKey { account: AccountId::from_bits(account), asset: Asset::parse(of).unwrap() },
        account_seq,
        seq: Seq(seq),
        balance: Balance::new(balance).unwrap(),
        held,
    };
    let hot = (1..400).map(|at| row(5, "ron", at, at * 3, i128::from(at) << 40, 0));
    let others = [
        row(u128::MAX, "ron", 9, 77, Balance::LIMIT, u128::MAX),
        row(u128::MAX, "usd", u64::MAX - 1, 78, -Balance::LIMIT, 1),
        row(u128::MAX, "usd", u64::MAX, u64::MAX, 0, 0),
    ];
    hot.chain(others).collect()
}

fn blocks(rows: &[HistoryRow]) -> Vec<HistoryBlock> {
    let mut blocks = Vec::new();
    let mut write = |block: &HistoryBlock| -> Result<(), Infallible> {
        blocks.push(*block);
        Ok(())
    };
    let mut builder = RunBuilder::new(NAME);
    for row in rows {
        builder.push(row, &mut write).unwrap();
    }
    builder.finish(&mut write).unwrap();
    blocks
}

fn block_of(bytes: &[u8]) -> HistoryBlock {
    let mut block = [0; HISTORY_BLOCK_BYTES];
    let len = bytes.len().min(HISTORY_BLOCK_BYTES);
    block[..len].copy_from_slice(&bytes[..len]);
    block
}

/// The documented check of the block of number 0.
fn check(block: &HistoryBlock) -> [u8; 16] {
    let mut hashed = NAME.ledger.0.to_vec();
    for word in [NAME.first.0, NAME.last.0, 0] {
        hashed.extend(word.to_le_bytes());
    }
    hashed.extend(&block[16..]);
    *blake3::hash(&hashed).as_bytes().first_chunk().unwrap()
}

#[test]
fn blocks_of_runs() {
    let repair = |bytes: &mut [u8]| {
        let check = check(&block_of(bytes));
        if let Some(place) = bytes.first_chunk_mut() {
            *place = check;
        }
    };
    let target = Target {
        name: "history_block",
        times: 10,
        seeds: blocks(&rows()).iter().map(|block| block.to_vec()).take(1).collect(),
        repair: Some(&repair),
        // The rows that fit, twice while their vector grows.
        fixed: 512 << 10,
        factor: 0,
        refusals: &["Check", "Field"],
    };
    target.run(
        |bytes| decode_block(&block_of(bytes), &NAME, 0, &mut Vec::new()),
        |bytes| {
            let mut found = Vec::new();
            decode_block(&block_of(bytes), &NAME, 0, &mut found).unwrap();
            assert!(found.iter().zip(&found[1..]).all(|(row, next)| next.follows(row)));
            assert_eq!(blocks(&found).concat(), block_of(bytes), "one block, in its one form");
        },
    );
}

#[test]
fn headers_of_runs() {
    let header = RunHeader {
        name: RunName { first: Seq(10), last: Seq(2_000), ..NAME },
        end: RunEnd {
            incarnation: Incarnation(1),
            frame: 9,
            hash: [2; 32],
            segment: 3,
            offset: 4096,
            root: [4; 32],
        },
        rows: 3_000,
        blocks: 20,
    };
    let repair = |bytes: &mut [u8]| {
        if let Some((body, hash)) = bytes.split_at_mut_checked(HISTORY_BLOCK_BYTES - 32)
            && let Some(hash) = hash.first_chunk_mut()
        {
            *hash = *blake3::hash(body).as_bytes();
        }
    };
    let target = Target {
        name: "history_header",
        times: 10,
        seeds: vec![header.encode().to_vec()],
        repair: Some(&repair),
        fixed: 0,
        factor: 0,
        refusals: &["Truncated", "Magic", "Format", "Check", "Field", "OtherLedger"],
    };
    target.run(
        |bytes| RunHeader::decode(bytes, NAME.ledger).map(drop),
        |bytes| {
            let found = RunHeader::decode(bytes, NAME.ledger).unwrap();
            assert_eq!(found.encode()[..], bytes[..HISTORY_BLOCK_BYTES]);
        },
    );
}
