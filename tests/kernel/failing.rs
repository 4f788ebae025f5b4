//! Disks that fill up and disks that go away: each shows as a value, and the buffers come back.

use disk::{Direct, DiskError, Errno, Io, Operation};

use super::image::{FILE_SYSTEMS, Image};
use super::rig::{DEPTH, PAGE, Rig};

/// Pages of the file that is written before things go wrong.
const PAGES: u64 = 16;

/// Runs a case on each file system over each backend.
fn each(name: &str, case: impl Fn(&Image, Rig)) {
    for (file_system, len_bytes) in FILE_SYSTEMS {
        for io in [Io::Uring, Io::Pwrite] {
            let name = format!("failing::{name}::{file_system}::{io:?}");
            let image = match Image::mount(file_system, len_bytes) {
                Ok(image) => image,
                Err(reason) => {
                    super::not_run(&name, reason);
                    continue;
                }
            };
            match Rig::open(io, &image.path().join("segment"), PAGES * PAGE, Direct::Required) {
                Ok(rig) => case(&image, rig),
                Err(error) if error.is_no_ring() => {
                    super::not_run(&name, error);
                }
                Err(error) => panic!("{name}: {error}"),
            }
        }
    }
}

#[test]
fn a_full_disk_is_told_before_and_after() {
    each("full", |_image, mut rig| {
        // Preparing a segment that cannot fit is refused at once, with its own word.
        let too_long = 4096 * PAGES * PAGE;
        match rig.file.write_zeros(PAGES * PAGE, too_long * 8) {
            Err(DiskError::NoSpace { operation: Operation::Allocate, errno: Errno::NOSPC, .. }) => {}
            other => panic!("no space for 2 GiB: {other:?}"),
        }
        assert_eq!(rig.file.len_bytes(), Ok(PAGES * PAGE), "a refusal leaves the file as it was");
        // What is prepared takes writes though the disk is full.
        fill(&rig);
        rig.check_pages(PAGES);
        // What is not prepared is refused in the completion.
        let beyond = PAGES + 1024;
        rig.write(beyond, 1);
        let done = rig.reap();
        assert_eq!((done.token.0, done.result), (beyond, Err(Errno::NOSPC)));
        assert_eq!(rig.pool.free_count(), usize::from(DEPTH));
        rig.check_pages(PAGES);
    });
}

/// Takes all space that is left, by a neighbour that halves its appetite until nothing fits.
fn fill(rig: &Rig) {
    let path = rig.file.path().with_file_name("neighbour");
    let hog = disk::DirectFile::open(&path, disk::Access::CreateNew, Direct::Required).expect("opened");
    let mut end = 0;
    let mut bite = 64_u64 << 20;
    while bite >= PAGE {
        match hog.write_zeros(end, end + bite) {
            Ok(()) => end += bite,
            Err(DiskError::NoSpace { .. }) => bite /= 2,
            Err(error) => panic!("filling the disk: {error}"),
        }
    }
    assert!(end >= 1 << 20, "the refusal gave its space back: {end}");
}

#[test]
fn a_disk_that_goes_away_under_load_fails_every_later_write() {
    each("shut_down", |image, mut rig| {
        rig.check_pages(PAGES);
        for page in 0..4 {
            rig.write(page, 9);
        }
        if let Err(reason) = image.shut_down() {
            super::not_run("failing::shut_down", reason);
            return;
        }
        // The four may have made it or not; those that begin afterwards have not.
        for _ in 0..4 {
            let done = rig.reap();
            assert!(matches!(done.result, Ok(4096) | Err(Errno::IO)), "{done:?}");
        }
        for page in 4..8 {
            rig.write(page, 9);
        }
        rig.backend.flush(rig.id, disk::Token(99));
        for _ in 0..5 {
            let done = rig.reap();
            assert_eq!(done.result, Err(Errno::IO), "{done:?}");
        }
        assert_eq!(rig.pool.free_count(), usize::from(DEPTH), "every buffer came back");
        assert!(rig.file.datasync().is_err());
    });
}
