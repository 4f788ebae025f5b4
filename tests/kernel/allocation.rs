//! Nothing is allocated for an operation once the parts are made.

use disk::{Direct, Io, Token};

use super::rig::Rig;

#[test]
fn operations_do_not_allocate() {
    for io in [Io::Uring, Io::Pwrite] {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("segment");
        let mut rig = match Rig::open(io, &path, 64 * super::rig::PAGE, Direct::Preferred) {
            Ok(rig) => rig,
            Err(error) => {
                super::not_run(&format!("allocation::{io:?}"), error);
                continue;
            }
        };
        let operations = |rig: &mut Rig| {
            for page in 0..64 {
                rig.write(page, 1);
                rig.write((page + 32) % 64, 2);
                rig.backend.flush(rig.id, Token(1000));
                for _ in 0..3 {
                    assert!(rig.reap().result.is_ok());
                }
            }
        };
        let counted = allocation_counter::measure(|| operations(&mut rig));
        assert_eq!(counted.count_total, 0, "{io:?}");
    }
}

/// The counter sees what it is there for.
#[test]
fn an_allocation_is_counted() {
    let counted = allocation_counter::measure(|| drop(std::hint::black_box(disk::AlignedBuf::new(4096))));
    assert_eq!(counted.count_total, 1);
}
