//! Direct files on the temporary directory's file system and on tmpfs.

use super::*;

fn page(byte: u8) -> AlignedBuf {
    let mut buffer = AlignedBuf::new(ALIGNMENT_BYTES);
    buffer.fill(byte);
    buffer
}

#[test]
fn zeros_are_written_and_pages_overwritten_in_place() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("segment");
    let file = DirectFile::open(&path, Access::CreateNew, Direct::Preferred).unwrap();
    let len = (ZERO_CHUNK_BYTES + 3 * ALIGNMENT_BYTES) as u64;
    file.write_zeros(0, len).unwrap();
    file.write_zeros(len, len).unwrap();
    assert_eq!(file.len_bytes(), Ok(len));
    file.write_at_durable(ALIGNMENT_BYTES as u64, &page(7), ALIGNMENT_BYTES).unwrap();
    file.datasync().unwrap();

    let again = DirectFile::open(&path, Access::ReadOnly, Direct::Preferred).unwrap();
    let mut buffer = AlignedBuf::new(ZERO_CHUNK_BYTES);
    assert_eq!(again.read_at(0, &mut buffer, 3 * ALIGNMENT_BYTES), Ok(3 * ALIGNMENT_BYTES));
    assert!(buffer[..ALIGNMENT_BYTES].iter().all(|byte| *byte == 0));
    assert!(buffer[ALIGNMENT_BYTES..2 * ALIGNMENT_BYTES].iter().all(|byte| *byte == 7));
    assert!(buffer[2 * ALIGNMENT_BYTES..].iter().all(|byte| *byte == 0));
    let end = len - ALIGNMENT_BYTES as u64;
    assert_eq!(again.read_at(end, &mut buffer, ZERO_CHUNK_BYTES), Ok(ALIGNMENT_BYTES), "the end is short");
    assert_eq!(again.read_at(len, &mut buffer, ALIGNMENT_BYTES), Ok(0));
}

#[test]
fn access_is_kept() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("segment");
    let missing = DirectFile::open(&path, Access::ReadWrite, Direct::Preferred).expect_err("not there");
    assert!(missing.is_not_found());
    let file = DirectFile::open(&path, Access::CreateNew, Direct::Preferred).unwrap();
    file.write_zeros(0, ALIGNMENT_BYTES as u64).unwrap();
    let exists = DirectFile::open(&path, Access::CreateNew, Direct::Preferred).expect_err("it exists");
    assert_eq!(exists.errno(), Some(Errno::EXIST));
    let reader = DirectFile::open(&path, Access::ReadOnly, Direct::Preferred).unwrap();
    let refused = reader.write_at_durable(0, &page(1), ALIGNMENT_BYTES).expect_err("read-only");
    assert_eq!(refused, DiskError::File { operation: Operation::Write, path, errno: Errno::BADF });
}

#[test]
fn a_locked_file_is_refused_until_it_is_closed() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("segment");
    let first = DirectFile::open(&path, Access::CreateNew, Direct::Preferred).unwrap();
    let second = DirectFile::open(&path, Access::ReadWrite, Direct::Preferred).unwrap();
    first.lock().unwrap();
    first.lock().unwrap();
    assert!(matches!(second.lock(), Err(DiskError::Locked { .. })));
    drop(first);
    second.lock().unwrap();
}

#[test]
fn a_file_without_direct_io_is_refused_or_told() {
    // A file of the proc file system takes no direct I/O on any kernel.
    let path = Path::new("/proc/self/status");
    let refused = DirectFile::open(path, Access::ReadOnly, Direct::Required).expect_err("no direct I/O");
    assert!(matches!(refused, DiskError::DirectRefused { .. }), "{refused}");
    let file = DirectFile::open(path, Access::ReadOnly, Direct::Preferred).unwrap();
    assert!(!file.is_direct());
    let mut buffer = AlignedBuf::new(ALIGNMENT_BYTES);
    assert!(file.read_at(0, &mut buffer, ALIGNMENT_BYTES).unwrap() > 0);
}

#[test]
#[should_panic(expected = "whole pages")]
fn an_offset_between_pages_is_a_bug() {
    let home = tempfile::tempdir().unwrap();
    let file = DirectFile::open(&home.path().join("segment"), Access::CreateNew, Direct::Preferred).unwrap();
    let _never = file.write_at_durable(512, &page(1), ALIGNMENT_BYTES);
}
