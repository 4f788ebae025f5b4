//! What a ledger does for its own disk: damage that nobody has met yet is found, and work goes on.

use std::{fs::OpenOptions, os::unix::fs::FileExt};

use journal::{SegmentNumber, segment_file_name};

use super::*;

/// Entries of a frame of which four fill a segment of 1 MiB.
const BULK: usize = 1_000;
const ROUNDS: u64 = 14;

/// A ledger with three segments that the journal has left: what `bob` has.
fn fill(role: &LedgerRole) -> i128 {
    ask(role, vec![request(Kind::Mint, "@issuance", "alice", 1_000_000, "m")]);
    for round in 0..ROUNDS {
        pay_in_bulk(role, &round.to_string(), BULK);
    }
    balance(role, "bob")
}

fn segment(scratch: &Scratch, number: u32) -> PathBuf {
    scratch.0.join("segments").join(segment_file_name(SegmentNumber(number)))
}

/// Flips a bit on the device: a second call puts it right.
fn flip(path: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    byte[0] ^= 0x08;
    file.write_all_at(&byte, at).unwrap();
    file.sync_all().unwrap();
}

fn findings(role: &LedgerRole) -> u64 {
    role.board.status(clock::monotonic(), 0, 1).upkeep.findings
}

fn scrubbing(params: &mut LedgerParams) {
    params.store.upkeep.scrub_bytes_per_s = 1 << 30;
}

fn goes_on(role: &LedgerRole, key: &str) {
    let answer = ask(role, vec![request(Kind::Transfer, "alice", "bob", 1, key)]);
    assert!(matches!(answer.outcomes[0], Outcome::Decided { .. }), "{answer:?}");
}

/// An entry of the frame that begins segment 1.
const IN_SEGMENT_1: Seq = Seq(4_500);

#[test]
fn the_scrub_finds_what_nobody_reads_and_takes_it_back_when_it_is_restored() {
    let scratch = Scratch::new("scrub");
    let role = start_with(&scratch.0, Io::Pwrite, scrubbing);
    let paid = fill(&role);
    assert!(role.board.closed_before() >= SegmentNumber(3));
    // The payload of the frame in segment 1, and the older copy of the superblock.
    let damage = || {
        flip(&segment(&scratch, 1), 70_000);
        flip(&scratch.0.join("superblock"), 65_536 + 9);
    };
    damage();
    assert!(role.scrub.begin());
    wait(|| (findings(&role) == 2).then_some(()));
    let told = role.board.finding_texts(9);
    assert!(told[0].starts_with("segment 1, offset 0, frame ") && told[0].contains("payload"), "{told:?}");
    assert!(told[1].starts_with("superblock, copy at 65536: damaged"), "{told:?}");
    // What is damaged is said to be, what is not is read, and writes go on.
    assert_eq!(read(&role, ReadAsk::Entry(IN_SEGMENT_1)), Found::Refused(Reason::Damaged));
    assert!(matches!(read(&role, ReadAsk::Entry(Seq(2))), Found::Entry(Some(_))));
    goes_on(&role, "beside damage");
    assert_eq!(balance(&role, "bob"), paid + 1);
    assert_eq!(findings(&role), 2, "what is met twice is told once");
    let upkeep = role.board.status(clock::monotonic(), 0, 1).upkeep;
    assert!(upkeep.scrub_bytes >= 3 << 20 && upkeep.scrub_segment >= 2, "{upkeep:?}");

    // Restored by the operator: the next pass finds it whole.
    damage();
    assert!(role.scrub.begin());
    wait(|| (findings(&role) == 0).then_some(()));
    assert!(matches!(read(&role, ReadAsk::Entry(IN_SEGMENT_1)), Found::Entry(Some(_))));
    assert!(role.stop());
}

#[test]
fn a_reader_that_meets_damage_first_tells_it_as_the_scrub_would() {
    let scratch = Scratch::new("met");
    let role = start(&scratch.0, Io::Pwrite);
    fill(&role);
    flip(&segment(&scratch, 1), 70_000);
    assert!(!role.scrub.begin(), "it is off here");
    assert_eq!(findings(&role), 0);
    assert_eq!(read(&role, ReadAsk::Entry(IN_SEGMENT_1)), Found::Refused(Reason::Damaged));
    assert_eq!(findings(&role), 1);
    assert!(role.stop());
}

#[test]
fn a_whole_frame_in_the_place_of_another_is_damage_and_no_answer() {
    let scratch = Scratch::new("misdirected");
    let role = start(&scratch.0, Io::Pwrite);
    fill(&role);
    assert!(role.stop());
    // Each frame is authentic, and none lies where it was written for.
    let (one, two) = (segment(&scratch, 1), segment(&scratch, 2));
    let aside = one.with_extension("aside");
    for (from, to) in [(&one, &aside), (&two, &one), (&aside, &two)] {
        std::fs::rename(from, to).unwrap();
    }
    let role = start(&scratch.0, Io::Pwrite);
    for seq in [IN_SEGMENT_1, Seq(IN_SEGMENT_1.0 + 4_000)] {
        assert_eq!(read(&role, ReadAsk::Entry(seq)), Found::Refused(Reason::Damaged), "{seq}");
        assert_eq!(read(&role, ReadAsk::EntryProof(seq)), Found::Refused(Reason::Damaged), "{seq}");
    }
    assert!(findings(&role) > 0);
    goes_on(&role, "beside frames of elsewhere");
    assert!(role.stop());
}

#[test]
fn a_lost_or_short_segment_before_the_checkpoint_is_told_and_work_goes_on() {
    let scratch = Scratch::new("lost");
    let role = start(&scratch.0, Io::Pwrite);
    let paid = fill(&role);
    assert!(role.stop());
    let whole = std::fs::read(segment(&scratch, 1)).unwrap();
    std::fs::remove_file(segment(&scratch, 1)).unwrap();
    OpenOptions::new().write(true).open(segment(&scratch, 0)).unwrap().set_len(8_192).unwrap();
    std::fs::write(segment(&scratch, 1).with_extension("segment.old"), b"what is this?").unwrap();

    let role = start_with(&scratch.0, Io::Pwrite, scrubbing);
    let gaps: Vec<_> = role.report.store.gaps.iter().map(|gap| (gap.segment.0, gap.bytes)).collect();
    assert_eq!(gaps, [(0, Some(8_192)), (1, None)]);
    assert_eq!(role.report.store.strangers, ["0000000001.segment.old"]);
    assert_eq!(findings(&role), 2);
    assert_eq!(balance(&role, "bob"), paid);
    assert_eq!(read(&role, ReadAsk::Entry(IN_SEGMENT_1)), Found::Refused(Reason::Damaged));
    goes_on(&role, "beside a gap");
    assert!(role.stop());

    // Damage after the checkpoint is no such thing: without one, all of it must be there.
    for name in std::fs::read_dir(scratch.0.join("checkpoints")).unwrap() {
        std::fs::remove_file(name.unwrap().path()).unwrap();
    }
    let refused = try_start(&scratch.0, Io::Pwrite, |_| {}).unwrap_err();
    assert_eq!(refused.exit_code(), 82, "{refused}");

    std::fs::write(segment(&scratch, 1), whole).unwrap();
    assert_eq!(try_start(&scratch.0, Io::Pwrite, |_| {}).unwrap_err().exit_code(), 82, "segment 0 is short");
}

#[test]
fn a_lock_file_that_was_removed_lets_no_second_writer_in() {
    let scratch = Scratch::new("fence");
    let role = start(&scratch.0, Io::Auto);
    fill(&role);
    std::fs::remove_file(scratch.0.join("lock")).unwrap();
    let refused = try_start(&scratch.0, Io::Auto, |_| {}).unwrap_err();
    assert_eq!(refused.exit_code(), 75, "{refused}");
    assert!(refused.to_string().contains("last write has not ended"), "{refused}");
    goes_on(&role, "as if nothing had been");
    let paid = balance(&role, "bob");
    assert!(role.stop());
    let role = start(&scratch.0, Io::Auto);
    assert_eq!(balance(&role, "bob"), paid);
    assert!(role.stop());
}

#[test]
fn under_the_hard_mark_new_entries_are_refused_and_repeats_are_answered() {
    let scratch = Scratch::new("marks");
    let role = start(&scratch.0, Io::Pwrite);
    fill(&role);
    assert!(role.stop());
    for (soft, hard, low, full) in
        [(u64::MAX, u64::MAX, true, true), (u64::MAX, 0, true, false), (0, 0, false, false)]
    {
        let marks = |params: &mut LedgerParams| {
            (params.store.upkeep.soft_bytes, params.store.upkeep.hard_bytes) = (soft, hard);
        };
        let role = start_with(&scratch.0, Io::Pwrite, marks);
        let is = |role: &LedgerRole| role.board.status(clock::monotonic(), 0, 1);
        wait(|| (is(&role).health.space_low == low).then_some(()));
        let repeat = ask(&role, vec![request(Kind::Transfer, "alice", "bob", 1, "0-7")]);
        assert!(matches!(repeat.outcomes[0], Outcome::Replayed { .. }), "{repeat:?}");
        let new = ask(&role, vec![request(Kind::Transfer, "alice", "bob", 1, &format!("new-{soft}-{hard}"))]);
        // The segment in use has its room already, so under the soft mark alone they go on.
        let taken = matches!(new.outcomes[0], Outcome::Decided { .. });
        let declined =
            matches!(&new.outcomes[0], Outcome::Declined(declined) if declined.reason == Reason::NoSpace);
        assert_eq!((taken, declined), (!full, full), "{new:?}");
        assert_eq!(is(&role).refusing, full.then_some(Reason::NoSpace));
        assert!(matches!(read(&role, ReadAsk::Entry(Seq(2))), Found::Entry(Some(_))), "reads go on");
        assert!(role.stop());
    }
}
