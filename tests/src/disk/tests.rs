use super::*;

const NAME: FileName = FileName::Segment(0);

fn disk() -> Disk {
    let mut disk = Disk::default();
    disk.create(NAME, 4 * BLOCK_BYTES);
    disk
}

/// What the first byte of block `block` is after each of many power losses.
fn fates(block: usize, make: impl Fn(&mut Random) -> Disk) -> BTreeSet<u8> {
    let of = |seed| {
        let mut random = Random::new(seed);
        let mut disk = make(&mut random);
        disk.lose_power(&mut random);
        disk.view(NAME)[block * BLOCK_BYTES]
    };
    (0..64).map(of).collect()
}

#[test]
fn a_cache_survives_a_kill_and_a_flush_survives_a_power_loss() {
    let cached = |_: &mut Random| {
        let mut disk = disk();
        disk.write_cached(NAME, 0, &[1; BLOCK_BYTES]);
        disk.flush(NAME);
        disk.write_cached(NAME, BLOCK_BYTES, &[2; BLOCK_BYTES]);
        disk.kill();
        assert_eq!(disk.view(NAME)[BLOCK_BYTES], 2);
        disk
    };
    assert_eq!(fates(0, cached), [1].into());
    assert_eq!(fates(1, cached), [0, 2].into());
}

#[test]
fn a_write_in_flight_tears_at_the_block_and_a_complete_one_does_not() {
    let mut fates = BTreeSet::new();
    for seed in 0..256 {
        let mut disk = disk();
        let done = disk.submit(NAME, 0, vec![3; BLOCK_BYTES]);
        disk.submit(NAME, BLOCK_BYTES, vec![4; 3 * BLOCK_BYTES]);
        disk.complete(done);
        disk.lose_power(&mut Random::new(seed));
        assert_eq!(disk.view(NAME)[BLOCK_BYTES - 1], 3);
        let landed = disk.view(NAME)[BLOCK_BYTES..].chunks(BLOCK_BYTES).map(|block| {
            assert!(block.iter().all(|byte| *byte == block[0]), "a block is whole");
            block[0] == 4
        });
        fates.insert(landed.collect::<Vec<_>>());
    }
    assert_eq!(fates.len(), 8, "every subset of three blocks");
}

#[test]
fn the_writes_of_a_killed_process_land_later_and_hold_the_lock_until_then() {
    let mut seen = BTreeSet::new();
    for seed in 0..64 {
        let (mut disk, mut random) = (disk(), Random::new(seed));
        disk.submit(NAME, 0, vec![5; 2 * BLOCK_BYTES]);
        disk.kill();
        assert!(disk.is_locked() && disk.view(NAME)[0] == 0);
        disk.end_orphans(&mut random);
        assert!(!disk.is_locked());
        seen.insert((disk.view(NAME)[0], disk.view(NAME)[BLOCK_BYTES]));
    }
    assert_eq!(seen, [(0, 0), (5, 5), (0, 5), (5, 0)].into());
}

#[test]
fn after_a_failed_flush_a_second_one_lies_and_a_second_write_does_not() {
    let failed = |again: bool| {
        move |random: &mut Random| {
            let mut disk = disk();
            disk.write_cached(NAME, 0, &[6; BLOCK_BYTES]);
            disk.fail_flush(NAME, random);
            if again {
                disk.write_cached(NAME, 0, &[6; BLOCK_BYTES]);
            }
            disk.flush(NAME);
            disk
        }
    };
    assert_eq!(fates(0, failed(false)), [0, 6].into());
    assert_eq!(fates(0, failed(true)), [6].into());
}

#[test]
fn a_short_write_says_fewer_bytes_and_a_lost_one_says_nothing() {
    let mut random = Random::new(3);
    for _ in 0..32 {
        let mut disk = disk();
        let ticket = disk.submit(NAME, 0, vec![7; 3 * BLOCK_BYTES]);
        let written = usize::try_from(disk.fall_short(ticket, &mut random)).unwrap_or(usize::MAX);
        assert!(written < 3 * BLOCK_BYTES && disk.view(NAME)[..written].iter().all(|byte| *byte == 7));
        let mut disk = self::disk();
        let ticket = disk.submit(NAME, 0, vec![7; BLOCK_BYTES]);
        disk.lose(ticket);
        assert!(disk.view(NAME).iter().all(|byte| *byte == 0) && disk.in_flight().is_empty());
        let ticket = disk.submit(NAME, 0, vec![7; BLOCK_BYTES]);
        disk.go_astray(ticket, &mut random);
        assert_eq!(disk.view(NAME).iter().filter(|byte| **byte == 7).count(), BLOCK_BYTES);
    }
}

#[test]
fn a_full_disk_gives_what_it_has_and_a_name_that_was_not_synced_may_go() {
    let mut disk = disk();
    disk.set_room(Some(2));
    disk.put(FileName::Segment(1), Vec::new());
    assert_eq!(disk.extend(FileName::Segment(1), 3 * BLOCK_BYTES), Err(NoSpace));
    assert_eq!(disk.len(FileName::Segment(1)), Some(2 * BLOCK_BYTES));
    disk.set_room(None);
    assert_eq!(disk.extend(FileName::Segment(1), 3 * BLOCK_BYTES), Ok(()));
    let lens = |synced: bool| {
        let of = |seed| {
            let mut disk = disk.clone();
            if synced {
                disk.flush(FileName::Segment(1));
                disk.sync_names();
            }
            disk.lose_power(&mut Random::new(seed));
            disk.len(FileName::Segment(1)).map(|bytes| bytes / BLOCK_BYTES)
        };
        (0..64).map(of).collect::<BTreeSet<_>>()
    };
    assert_eq!(lens(true), [Some(3)].into());
    assert_eq!(lens(false), [None, Some(0), Some(1), Some(2), Some(3)].into());
}

#[test]
fn a_block_that_cannot_be_read_is_told_and_can_be_read_when_it_is_mended() {
    let mut disk = disk();
    disk.fail_reads(NAME, BLOCK_BYTES);
    assert!(disk.read(NAME, 0, 2 * BLOCK_BYTES).is_err());
    assert!(disk.read(NAME, 0, BLOCK_BYTES).is_ok());
    disk.mend_reads();
    assert!(disk.read(NAME, 0, 2 * BLOCK_BYTES).is_ok_and(|bytes| bytes.is_some()));
    assert_eq!(disk.read(NAME, 3 * BLOCK_BYTES, 2 * BLOCK_BYTES), Ok(None));
}
