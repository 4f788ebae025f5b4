//! Runs against a map that is too plain to be wrong, and the bytes as the page says them.

use alloc::{collections::BTreeMap, vec, vec::Vec};
use core::convert::Infallible;
use std::{collections::BTreeSet, println};

use model::{AccountId, Asset, Balance, Incarnation, LedgerId, Seq};

use super::*;
use crate::tests::world::{Random, asset, seed};

const LEDGER: LedgerId = LedgerId([3; 16]);

/// A run in memory.
struct Memory {
    header: RunHeader,
    blocks: Vec<HistoryBlock>,
}

impl Blocks for Memory {
    type Error = u64;

    fn read(&self, number: u64, block: &mut HistoryBlock) -> Result<(), u64> {
        *block = *self.blocks.get(usize::try_from(number).unwrap()).ok_or(number)?;
        Ok(())
    }
}

impl Memory {
    fn reader(&self) -> RunReader<'_, Self> {
        RunReader::new(&self.header, self)
    }
}

fn end() -> RunEnd {
    let (hash, root) = ([8; 32], [9; 32]);
    RunEnd { incarnation: Incarnation(2), frame: 77, hash, segment: 5, offset: 8192, root }
}

fn written(first: u64, last: u64, rows: &[HistoryRow]) -> Memory {
    let name = RunName { ledger: LEDGER, first: Seq(first), last: Seq(last) };
    let mut blocks = Vec::new();
    let mut write = |block: &HistoryBlock| -> Result<(), Infallible> {
        blocks.push(*block);
        Ok(())
    };
    let mut builder = RunBuilder::new(name);
    for row in rows {
        builder.push(row, &mut write).unwrap();
    }
    let (rows, count) = builder.finish(&mut write).unwrap();
    let header = RunHeader { name, end: end(), rows, blocks: count };
    assert_eq!(RunHeader::decode(&header.encode(), LEDGER), Ok(header));
    Memory { header, blocks }
}

fn merged(runs: &[Memory]) -> Memory {
    let (first, last) = (&runs[0].header.name, &runs[runs.len() - 1].header.name);
    let name = RunName { ledger: LEDGER, first: first.first, last: last.last };
    let mut blocks = Vec::new();
    let mut write = |block: &HistoryBlock| -> Result<(), Infallible> {
        blocks.push(*block);
        Ok(())
    };
    let mut builder = RunBuilder::new(name);
    let inputs = runs.iter().map(|run| run.reader().all()).collect();
    merge(inputs, &mut builder, &mut write).unwrap();
    let (rows, count) = builder.finish(&mut write).unwrap();
    Memory { header: RunHeader { name, end: end(), rows, blocks: count }, blocks }
}

fn row(account: u128, of: &str, account_seq: u64, seq: u64, balance: i128, held: u128) -> HistoryRow {
    HistoryRow {
        key: HistoryKey { account: AccountId::from_bits(account), asset: asset(of) },
        account_seq,
        seq: Seq(seq),
        balance: Balance::new(balance).unwrap(),
        held,
    }
}

/// Entries that change two accounts each, or none, and what a map knows of them.
fn played(random: &mut Random, entries: u64, accounts: u64) -> Vec<HistoryRow> {
    let mut stands: BTreeMap<HistoryKey, (u64, i128)> = BTreeMap::new();
    let mut rows = Vec::new();
    for seq in 1..=entries {
        if random.below(10) == 0 {
            continue;
        }
        let of = ["ron", "usd"][usize::try_from(random.below(2)).unwrap()];
        // One account takes part in half of everything.
        let debit = if random.below(2) == 0 { 1 } else { 1 + random.below(accounts) };
        let credit = 1 + (debit + random.below(accounts - 1)) % accounts;
        let amount = i128::from(random.below(1 << 20)) << random.below(90);
        for (account, sign) in [(debit, -1), (credit, 1)] {
            let account = u128::from(account).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
            let key = HistoryKey { account: AccountId::from_bits(account), asset: asset(of) };
            let (count, balance) = stands.entry(key).or_default();
            *count += 1;
            *balance = (*balance + sign * amount).clamp(-Balance::LIMIT, Balance::LIMIT);
            rows.push(HistoryRow {
                key,
                account_seq: *count,
                seq: Seq(seq),
                balance: Balance::new(*balance).unwrap(),
                held: u128::from(random.below(3)) << random.below(96),
            });
        }
    }
    rows
}

#[test]
fn runs_and_merges_answer_as_a_map_does() {
    let seed = seed();
    println!("seed {seed}");
    let mut random = Random::new(seed);
    for accounts in [2, 40, 3_000] {
        let entries = 12_000;
        let rows = played(&mut random, entries, accounts);
        let plain: BTreeMap<(HistoryKey, u64), HistoryRow> =
            rows.iter().map(|row| ((row.key, row.seq.0), *row)).collect();
        let keys: Vec<HistoryKey> =
            rows.iter().map(|row| row.key).collect::<BTreeSet<_>>().into_iter().collect();
        let mut runs = Vec::new();
        let mut from = 1;
        while from <= entries {
            let to = (from + random.below(2_500)).min(entries);
            let mut some: Vec<HistoryRow> =
                rows.iter().filter(|row| (from..=to).contains(&row.seq.0)).copied().collect();
            some.sort_unstable_by_key(|row| (row.key, row.account_seq));
            runs.push(written(from, to, &some));
            from = to + 1;
        }
        // Some of them merged, then all.
        let half = runs.len() / 2;
        let whole = merged(&runs);
        let some = [merged(&runs[..half]), merged(&runs[half..])];
        assert_eq!(whole.blocks, merged(&some).blocks, "in whatever order runs are merged");
        for chain in [&runs[..], &some[..], core::slice::from_ref(&whole)] {
            for _ in 0..150 {
                let key = keys[usize::try_from(random.below(keys.len() as u64)).unwrap()];
                let at = random.below(entries + 2);
                let expected = plain.range(..=(key, at)).next_back().filter(|((found, _), _)| *found == key);
                let mut back = chain.iter().rev().filter(|run| run.header.name.first.0 <= at);
                let found = back.find_map(|run| run.reader().last_at(&key, Place::Seq(Seq(at))).unwrap());
                assert_eq!(found, expected.map(|(_, row)| *row), "{key:?} at {at}");
                let from = 1 + random.below(200);
                let most = usize::try_from(1 + random.below(300)).unwrap();
                let mut found = Vec::new();
                for run in chain {
                    run.reader().rows_from(&key, from, most, &mut found).unwrap();
                }
                let of_key = plain.range((key, 0)..=(key, u64::MAX)).map(|(_, row)| *row);
                let expected: Vec<HistoryRow> =
                    of_key.filter(|row| row.account_seq >= from).take(most).collect();
                assert_eq!(found, expected, "{key:?} from {from}, {most}");
            }
        }
        let nobody = HistoryKey { account: AccountId::from_bits(5), asset: asset("ron") };
        assert_eq!(whole.reader().last_at(&nobody, Place::Seq(Seq(entries))), Ok(None));
        println!("{accounts} accounts: {} rows in {} blocks", whole.header.rows, whole.header.blocks);
    }
}

#[test]
fn the_bytes_are_the_ones_of_the_page() {
    let rows =
        [row(7, "ron", 300, 1_000, -5, 0), row(7, "ron", 301, 1_064, 64, 1), row(7, "usd", 1, 1_001, 0, 0)];
    let run = written(990, 1_100, &rows);
    let header = run.header.encode();
    let field = |at: usize, len: usize| &header[at..at + len];
    assert_eq!(field(0, 8), b"MNRUN\0\0\0");
    assert_eq!(field(8, 8), [0, 0, 0, 0, 2, 0, 0, 0], "format, reserved, incarnation");
    assert_eq!(field(16, 16), LEDGER.0);
    for (at, word) in [(32, 990_u64), (40, 1_100), (48, 3), (56, 1), (64, 77), (72, 8192)] {
        assert_eq!(field(at, 8), word.to_le_bytes(), "{at}");
    }
    assert_eq!(field(80, 8), [5, 0, 0, 0, 0, 0, 0, 0], "segment, reserved");
    assert_eq!(field(88, 16), [0; 16]);
    assert_eq!((field(104, 32), field(136, 32)), (&[8; 32][..], &[9; 32][..]));
    assert!(header[168..4064].iter().all(|byte| *byte == 0));
    assert_eq!(field(4064, 32), blake3::hash(&header[..4064]).as_bytes());

    let block = run.blocks[0];
    let mut packed = Vec::new();
    packed.extend([0xd1, 0x0f]); // 1,000 << 1 | 1
    packed.extend(7_u128.to_le_bytes());
    packed.extend(asset("ron").bytes());
    packed.extend([0xac, 0x02]); // 300
    packed.extend([9, 0]); // -5, nothing held
    packed.extend([0x80, 0x01]); // 64 << 1
    packed.extend([0x80, 0x01, 1]); // 64, 1 held
    packed.extend([0xd3, 0x0f]);
    packed.extend(7_u128.to_le_bytes());
    packed.extend(asset("usd").bytes());
    packed.extend([1, 0, 0]);
    assert_eq!(block[24..24 + packed.len()], packed);
    assert!(block[24 + packed.len()..].iter().all(|byte| *byte == 0));
    assert_eq!(block[16..18], [3, 0]);
    assert_eq!(block[18..20], u16::try_from(packed.len()).unwrap().to_le_bytes());
    assert_eq!(block[20..24], [0; 4]);
    let mut hashed = LEDGER.0.to_vec();
    for word in [990_u64, 1_100, 0] {
        hashed.extend(word.to_le_bytes());
    }
    hashed.extend(&block[16..]);
    assert_eq!(block[..16], blake3::hash(&hashed).as_bytes()[..16]);
}

#[test]
fn a_damaged_or_misplaced_block_is_never_followed() {
    let mut random = Random::new(seed());
    let mut rows = played(&mut random, 3_000, 50);
    rows.sort_unstable_by_key(|row| (row.key, row.account_seq));
    let run = written(1, 3_000, &rows);
    assert!(run.blocks.len() > 4);
    let all = |run: &Memory| run.reader().all().collect::<Result<Vec<_>, _>>();
    assert_eq!(all(&run), Ok(rows));
    for at in [0, 15, 16, 19, 23, 24, 2_000, 4_095] {
        let mut blocks = run.blocks.clone();
        blocks[2][at] ^= 1;
        let flipped = Memory { header: run.header, blocks };
        let error = LookupError::Damaged { number: 2, error: RunError::Check };
        assert_eq!(all(&flipped), Err(error), "byte {at}");
    }
    let mut blocks = run.blocks.clone();
    blocks.swap(1, 2);
    let swapped = Memory { header: run.header, blocks };
    assert_eq!(all(&swapped), Err(LookupError::Damaged { number: 1, error: RunError::Check }));
    let name = RunName { last: Seq(3_001), ..run.header.name };
    let mut rows = Vec::new();
    assert_eq!(decode_block(&run.blocks[0], &name, 0, &mut rows), Err(RunError::Check), "another run's");
    let cut = Memory { header: run.header, blocks: vec![run.blocks[0]] };
    assert_eq!(all(&cut), Err(LookupError::Source(1)));
    for at in [3, 9, 40, 150, 2_000, 4_070] {
        let mut header = run.header.encode();
        header[at] ^= 1;
        assert!(RunHeader::decode(&header, LEDGER).is_err(), "byte {at}");
    }
    let other = RunHeader::decode(&run.header.encode(), LedgerId([4; 16]));
    assert_eq!(other, Err(RunError::OtherLedger));
}

#[test]
fn runs_that_contradict_each_other_are_not_merged() {
    let (first, second) = (row(1, "ron", 1, 5, 10, 0), row(1, "ron", 3, 15, 20, 0));
    let runs = [written(1, 10, &[first]), written(11, 20, &[second])];
    let name = RunName { ledger: LEDGER, first: Seq(1), last: Seq(20) };
    let mut write = |_: &HistoryBlock| -> Result<(), Infallible> { Ok(()) };
    let inputs = runs.iter().map(|run| run.reader().all()).collect();
    let merged = merge(inputs, &mut RunBuilder::new(name), &mut write);
    assert_eq!(merged, Err(MergeError::Contradiction { index: 1 }));
}

#[test]
fn the_number_of_runs_grows_with_the_logarithm() {
    let mut random = Random::new(seed());
    for (name, size) in [("full", RUN_ROWS), ("small", 10)] {
        let (mut runs, mut rewritten, mut total, mut most): (Vec<u64>, u64, u64, usize) =
            (Vec::new(), 0, 0, 0);
        for _ in 0..20_000 {
            let rows = size + random.below(size / 2 + 1);
            runs.push(rows);
            total += rows;
            while let Some(range) = due(&runs) {
                assert!(range.len() >= MERGED_AT_ONCE);
                let sum: u64 = runs[range.clone()].iter().sum();
                rewritten += sum;
                runs.splice(range, [sum]);
            }
            most = most.max(runs.len());
            assert!(runs.len() <= RUNS_MAX);
        }
        assert_eq!(runs.iter().sum::<u64>(), total);
        // Seven levels of seven, and the one that is due.
        assert!(most <= 50, "{name}: {most} runs");
        println!("{name}: {most} runs at most, a row is rewritten {} times", rewritten / total);
        assert!(rewritten / total <= if name == "full" { 6 } else { 200 }, "{rewritten} of {total}");
    }
    // Holes that were filled with small runs between large ones.
    let mut runs = vec![];
    for _ in 0..60 {
        runs.extend([RUN_ROWS * 600, 10, 10]);
    }
    while let Some(range) = due(&runs) {
        let sum: u64 = runs[range.clone()].iter().sum();
        runs.splice(range, [sum]);
    }
    assert!(runs.len() <= RUNS_MAX, "{}", runs.len());
    assert_eq!(due(&[]), None);
}

#[test]
fn only_entries_that_change_a_balance_have_rows() {
    let mut world = crate::tests::world::World::with_money();
    let paid = world.accept(&crate::tests::world::transfer("a", "b", 1, "k1"));
    let rows: Vec<HistoryRow> = history_rows(&paid).collect();
    let keys: Vec<AccountId> = rows.iter().map(|row| row.key.account).collect();
    assert_eq!(keys, [paid.debit.account, paid.credit.account]);
    assert_eq!(rows[0].balance, paid.debit.balance);
    assert_eq!(rows[1].account_seq, paid.credit.seq);
    world.send(&crate::tests::world::transfer("a", "b", 1 << 60, "k2"));
    for stored in &world.journal {
        let crate::tests::world::Stored::Posting(posting) = stored else { continue };
        let changes = posting.head.kind != model::Kind::Refused && posting.head.kind != model::Kind::Open;
        assert_eq!(history_rows(posting).count(), if changes { 2 } else { 0 }, "{posting:?}");
    }
    assert_eq!(Asset::NONE.bytes(), [0; 16]);
}
