//! The same writes on every file system that journals are kept on, and on what is at hand.

use std::path::Path;

use disk::{BackendKind, Direct, Io};

use super::image::{FILE_SYSTEMS, Image};
use super::rig::{PAGE, Rig};

/// Pages of each file: 1 MiB.
const PAGES: u64 = 256;

fn check(name: &str, directory: &Path, direct: Direct) {
    for io in [Io::Uring, Io::Pwrite] {
        let path = directory.join(format!("{io:?}"));
        let mut rig = match Rig::open(io, &path, PAGES * PAGE, direct) {
            Ok(rig) => rig,
            Err(error) if error.is_no_ring() => {
                super::not_run(&format!("{name}::{io:?}"), error);
                continue;
            }
            Err(error) => panic!("{name}, {io:?}: {error}"),
        };
        assert!(direct == Direct::Preferred || rig.file.is_direct(), "{name}");
        assert_eq!(rig.report.kind == BackendKind::Uring, io == Io::Uring);
        rig.check_pages(PAGES);
    }
}

#[test]
fn pages_on_ext4_and_xfs() {
    for (file_system, len_bytes) in FILE_SYSTEMS {
        match Image::mount(file_system, len_bytes) {
            Ok(image) => check(file_system, image.path(), Direct::Required),
            Err(reason) => super::not_run(&format!("volumes::{file_system}"), reason),
        }
    }
}

#[test]
fn pages_in_the_temporary_directory() {
    let home = tempfile::tempdir().unwrap();
    check("volumes::temporary", home.path(), Direct::Preferred);
}

#[test]
fn pages_on_tmpfs() {
    match tempfile::tempdir_in("/dev/shm") {
        Ok(home) => check("volumes::tmpfs", home.path(), Direct::Preferred),
        Err(error) => super::not_run("volumes::tmpfs", error),
    }
}
