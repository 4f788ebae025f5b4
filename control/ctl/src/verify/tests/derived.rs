//! Derived files that do not say what the journal says: each is told with what to do, and what is said
//! of the journal stays as it is.

use std::path::PathBuf;

use ledger::{Blocks, HISTORY_BLOCK_BYTES, HistoryBlock, HistoryRow, RunBuilder, RunHeader, RunReader};
use model::{Balance, LedgerId};

use super::*;

fn run_of(world: &World) -> PathBuf {
    let mut entries = fs::read_dir(world.directory().join("history")).unwrap();
    entries.next().expect("a clean stop leaves a run").unwrap().path()
}

/// Blocks in memory.
struct Memory(Vec<u8>);

impl Blocks for Memory {
    type Error = usize;

    fn read(&self, number: u64, block: &mut HistoryBlock) -> Result<(), usize> {
        let from = (usize::try_from(number).unwrap() + 1) * HISTORY_BLOCK_BYTES;
        *block = *self.0.get(from..).and_then(|rest| rest.first_chunk()).ok_or(from)?;
        Ok(())
    }
}

/// The run with one balance changed, under good checks.
fn forged(run: &[u8]) -> Vec<u8> {
    let header = RunHeader::decode(run, LedgerId([7; 16])).unwrap();
    let source = Memory(run.to_vec());
    let rows: Result<Vec<HistoryRow>, _> = RunReader::new(&header, &source).all().collect();
    let mut rows = rows.unwrap();
    rows[3].balance = Balance::new(rows[3].balance.units() + 1).unwrap();
    let mut bytes = header.encode().to_vec();
    let mut write = |block: &HistoryBlock| -> Result<(), Infallible> {
        bytes.extend(block);
        Ok(())
    };
    let mut builder = RunBuilder::new(header.name);
    rows.iter().for_each(|row| builder.push(row, &mut write).unwrap());
    builder.finish(&mut write).unwrap();
    bytes
}

#[test]
fn derived_files_are_compared_with_the_journal() {
    let world = World::new();
    world.life(12);
    let report = verified(&world);
    assert!(report.clean, "{}", report.text());
    let DerivedReport { tile_hashes, frame_rows, runs, history_rows, differences } = &report.derived;
    assert_eq!((*tile_hashes, *runs), (report.checked.entries, 1));
    assert_eq!(*frame_rows, report.checked.frames - report.checked.frames_empty);
    assert_eq!((*history_rows, differences.as_slice()), (26, &[][..]), "a mint and twelve transfers");

    let (tiles, frames) =
        (world.directory().join("derived/level-0"), world.directory().join("derived/frames"));
    let run = run_of(&world);
    let flipped = |path: &PathBuf, at: usize| {
        let mut bytes = fs::read(path).unwrap();
        bytes[at] ^= 1;
        bytes
    };
    let cases = [
        (&tiles, flipped(&tiles, 5 * 32 + 1), "not the hash of node 5"),
        (&frames, flipped(&frames, 2 * 72 + 40), "not the row of frame"),
        (&run, flipped(&run, 4096 + 50), "block 0 of the run is damaged"),
        (&run, flipped(&run, 100), "the check does not fit"),
        (&run, forged(&fs::read(&run).unwrap()), "and the journal implies 26 others"),
    ];
    for (path, damaged, what) in cases {
        let whole = fs::read(path).unwrap();
        fs::write(path, damaged).unwrap();
        let report = verified(&world);
        assert_eq!((report.clean, report.findings_count), (false, 0), "{what}: {}", report.text());
        let [difference] = report.derived.differences.as_slice() else { panic!("{}", report.text()) };
        assert_eq!(difference.file, path.display().to_string());
        assert!(difference.what.contains(what), "{what}: {difference}");
        assert!(
            report.text().contains("derived finding: ") && report.text().contains("NOT CLEAN: 1 finding")
        );
        fs::write(path, whole).unwrap();
    }
    // What is cut short goes less far, and what is gone is not there to be wrong.
    let whole = fs::read(&tiles).unwrap();
    fs::write(&tiles, &whole[..7 * 32 + 3]).unwrap();
    let report = verified(&world);
    assert!(report.clean && report.derived.tile_hashes == 7, "{}", report.text());
    fs::remove_dir_all(world.directory().join("derived")).unwrap();
    fs::remove_dir_all(world.directory().join("history")).unwrap();
    let report = verified(&world);
    assert!(report.clean && report.derived == DerivedReport::default(), "{}", report.text());
}
