//! The same cases over every backend: what one answers, the other answers.

use std::time::Instant;

use rustix::io::Errno;

use super::*;
use crate::direct::{Access, Direct};
use crate::{ALIGNMENT_BYTES, FILES_MAX, SetupFlag};

const PAGE: u64 = ALIGNMENT_BYTES as u64;
const WATCH: Token = Token(u64::MAX);

struct World {
    home: tempfile::TempDir,
    doorbell: Arc<Doorbell>,
    backend: Backend,
    pool: BufferPool,
}

/// Runs a case with each commit method over `pwritev2`, and over `io_uring` with and without what the
/// kernel keeps registered, where this host allows it.
fn each(case: impl Fn(World)) {
    // Rings of all of a user's processes share one limit, which may be as low as 64 KiB.
    crate::raise_memlock().unwrap();
    for commit in CommitMethod::ALL {
        let options = |register_files| RingOptions { depth: 8, register_files, commit };
        for (io, registered) in [(Io::Pwrite, false), (Io::Uring, false), (Io::Uring, true)] {
            let doorbell = Arc::new(Doorbell::new().unwrap());
            let opened = Backend::open(io, &options(registered), Arc::clone(&doorbell));
            let (mut backend, report) = match opened {
                Ok(opened) => opened,
                Err(error) if error.is_no_ring() => {
                    println!("not run over io_uring: {error}");
                    continue;
                }
                Err(error) => panic!("{error}"),
            };
            let mut pool = BufferPool::new(8, 2 * ALIGNMENT_BYTES);
            let buffers = if registered { backend.register_buffers(&mut pool) } else { BuffersReport::None };
            println!("{report:?} {buffers:?}");
            case(World { home: tempfile::tempdir().unwrap(), doorbell, backend, pool });
        }
    }
}

impl World {
    fn file(&self, name: &str) -> Arc<DirectFile> {
        let path = self.home.path().join(name);
        let file = DirectFile::open(&path, Access::CreateNew, Direct::Preferred).unwrap();
        file.write_zeros(0, 16 * PAGE).unwrap();
        Arc::new(file)
    }

    fn buffer(&mut self, byte: u8) -> AlignedBuf {
        let mut buffer = self.pool.take().expect("a buffer is left");
        buffer.fill(byte);
        buffer
    }

    /// Waits for `count` completions, in the order of their tokens.
    fn reap(&mut self, count: usize) -> Vec<Completion> {
        let mut done = Vec::new();
        while done.len() < count {
            self.backend.submit_and_wait(1, None).unwrap();
            while let Some(completion) = self.backend.reap() {
                done.push(completion);
            }
        }
        assert_eq!(done.len(), count);
        done.sort_by_key(|completion| completion.token);
        done
    }
}

#[test]
fn what_is_written_is_read_and_buffers_come_back() {
    each(|mut world| {
        let id = world.backend.attach(world.file("a")).unwrap().unwrap();
        for index in 0..6_u8 {
            let buffer = world.buffer(index + 1);
            world.backend.write_durable(
                id,
                u64::from(index) * PAGE,
                buffer,
                ALIGNMENT_BYTES,
                Token(u64::from(index)),
            );
        }
        assert_eq!((world.backend.in_flight(), world.backend.room()), (6, 2));
        for (index, done) in world.reap(6).into_iter().enumerate() {
            assert_eq!((done.token, done.result), (Token(index as u64), Ok(4096)));
            let buffer = done.buffer.expect("the buffer comes back");
            assert_eq!(usize::from(buffer[0]), index + 1, "the same buffer");
            world.pool.give_back(buffer);
        }
        world.backend.flush(id, Token(100));
        let flushed = world.reap(1).remove(0);
        assert_eq!((flushed.token, flushed.result, flushed.buffer.is_none()), (Token(100), Ok(0), true));

        let buffer = world.buffer(0xff);
        world.backend.read(id, 5 * PAGE, buffer, 2 * ALIGNMENT_BYTES, Token(7));
        let done = world.reap(1).remove(0);
        assert_eq!(done.result, Ok(8192));
        let buffer = done.buffer.expect("the buffer comes back");
        assert!(buffer[..ALIGNMENT_BYTES].iter().all(|byte| *byte == 6));
        assert!(buffer[ALIGNMENT_BYTES..].iter().all(|byte| *byte == 0));
        world.pool.give_back(buffer);

        let buffer = world.buffer(0);
        world.backend.read(id, 15 * PAGE, buffer, 2 * ALIGNMENT_BYTES, Token(8));
        assert_eq!(world.reap(1).remove(0).result, Ok(4096), "the file's end is short");
        assert_eq!(world.backend.in_flight(), 0);
        assert_eq!(world.backend.detach(id).unwrap().len_bytes(), Ok(16 * PAGE));
    });
}

/// Registered or not, small or large: what is written is the buffer's bytes, each time anew.
#[test]
fn registered_buffers_carry_what_is_in_them() {
    crate::raise_memlock().unwrap();
    let doorbell = Arc::new(Doorbell::new().unwrap());
    let (mut backend, _) = Backend::open(Io::Auto, &RingOptions::default(), Arc::clone(&doorbell)).unwrap();
    let mut pool = BufferPool::new(2, 128 << 10);
    let expected = match backend.kind() {
        BackendKind::Uring => BuffersReport::Registered { buffers: 2, bytes_each: 64 << 10 },
        BackendKind::Pwrite => BuffersReport::None,
    };
    match backend.register_buffers(&mut pool) {
        BuffersReport::Refused(errno) => return println!("not run: the buffers are refused: {errno}"),
        told @ (BuffersReport::None | BuffersReport::Registered { .. }) => assert_eq!(told, expected),
    }
    let home = tempfile::tempdir().unwrap();
    let mut world = World { home, doorbell, backend, pool };
    let file = world.file("a");
    file.write_zeros(0, 128 << 10).unwrap();
    let id = world.backend.attach(Arc::clone(&file)).unwrap().unwrap();
    let mut strangers = BufferPool::new(1, 128 << 10);
    for (round, len_bytes) in (1_u8..).zip([4_096, 64 << 10, 128 << 10, 4_096]) {
        for stranger in [false, true] {
            let byte = round * 2 + u8::from(stranger);
            let mut buffer =
                if stranger { strangers.take() } else { world.pool.take() }.expect("one is here");
            buffer.fill(byte);
            world.backend.write_durable(id, 0, buffer, len_bytes, Token(1));
            let done = world.reap(1).remove(0);
            assert_eq!(done.result, Ok(u32::try_from(len_bytes).unwrap()));
            let buffer = done.buffer.expect("the buffer comes back");
            if stranger {
                strangers.give_back(buffer)
            } else {
                world.pool.give_back(buffer)
            }
            let mut read = AlignedBuf::new(len_bytes);
            assert_eq!(file.read_at(0, &mut read, len_bytes), Ok(len_bytes));
            assert!(read.iter().all(|found| *found == byte), "round {round}");
        }
    }
}

#[test]
fn a_refused_write_is_a_completion_with_its_buffer() {
    each(|mut world| {
        let path = world.file("a").path().to_path_buf();
        let reader = DirectFile::open(&path, Access::ReadOnly, Direct::Preferred).unwrap();
        let id = world.backend.attach(Arc::new(reader)).unwrap().unwrap();
        let buffer = world.buffer(9);
        world.backend.write_durable(id, 0, buffer, ALIGNMENT_BYTES, Token(1));
        let done = world.reap(1).remove(0);
        assert_eq!((done.token, done.result), (Token(1), Err(Errno::BADF)));
        world.pool.give_back(done.buffer.expect("the buffer comes back"));
        assert_eq!((world.pool.free_count(), world.backend.room()), (8, 8));
    });
}

#[test]
fn the_doorbell_ends_a_wait_once_for_each_watch() {
    each(|mut world| {
        world.doorbell.ring();
        world.doorbell.ring();
        assert!(world.backend.watch(WATCH));
        assert!(!world.backend.watch(WATCH), "one watch at a time");
        let done = world.reap(1).remove(0);
        assert_eq!((done.token, done.result, done.buffer.is_none()), (WATCH, Ok(8), true));
        assert!(!world.doorbell.drain(), "the completion took the rings back");

        assert!(world.backend.watch(WATCH));
        let doorbell = Arc::clone(&world.doorbell);
        let ringer = std::thread::spawn(move || doorbell.ring());
        assert_eq!(world.reap(1).remove(0).token, WATCH);
        ringer.join().unwrap();
    });
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the wait's length is what is tested")]
fn a_wait_ends_with_its_time() {
    each(|mut world| {
        for watching in [false, true] {
            assert_eq!(watching, watching && world.backend.watch(WATCH));
            let begin = Instant::now();
            world.backend.submit_and_wait(1, Some(Duration::from_millis(20))).unwrap();
            let took = begin.elapsed();
            assert!(took >= Duration::from_millis(15), "{took:?}");
            assert!(world.backend.reap().is_none());
        }
        world.doorbell.ring();
        assert_eq!(world.reap(1).remove(0).token, WATCH, "the watch has survived the timeout");
    });
}

#[test]
fn spinning_sees_completions_without_waiting() {
    each(|mut world| {
        let id = world.backend.attach(world.file("a")).unwrap().unwrap();
        assert!(world.backend.watch(WATCH));
        let buffer = world.buffer(3);
        world.backend.write_durable(id, 0, buffer, ALIGNMENT_BYTES, Token(1));
        let mut done = None;
        for _ in 0..100_000_000_u64 {
            world.backend.spin().unwrap();
            done = world.backend.reap();
            if done.is_some() {
                break;
            }
        }
        assert_eq!(done.expect("the write ends while spinning").token, Token(1));
    });
}

#[test]
fn dropping_waits_for_what_is_in_flight() {
    each(|mut world| {
        let file = world.file("a");
        let id = world.backend.attach(Arc::clone(&file)).unwrap().unwrap();
        assert!(world.backend.watch(WATCH));
        for index in 0..7_u64 {
            let buffer = world.buffer(5);
            world.backend.write_durable(id, index * PAGE, buffer, ALIGNMENT_BYTES, Token(index));
        }
        assert_eq!(world.backend.room(), 0);
        drop(world.backend);
        assert_eq!(Arc::strong_count(&file), 1, "the file is free");
        let mut buffer = AlignedBuf::new(8 * ALIGNMENT_BYTES);
        file.read_at(0, &mut buffer, 8 * ALIGNMENT_BYTES).unwrap();
        assert!(buffer[..7 * ALIGNMENT_BYTES].iter().all(|byte| *byte == 5), "every write was done");
        assert!(buffer[7 * ALIGNMENT_BYTES..].iter().all(|byte| *byte == 0));
    });
}

#[test]
fn files_are_taken_in_to_the_bound_and_slots_used_again() {
    each(|mut world| {
        let file = world.file("a");
        let ids: Vec<_> =
            (0..FILES_MAX).map(|_| world.backend.attach(Arc::clone(&file)).unwrap().unwrap()).collect();
        assert_eq!(world.backend.attach(Arc::clone(&file)), Ok(None));
        world.backend.detach(ids[17]).unwrap();
        let other = world.file("b");
        let id = world.backend.attach(Arc::clone(&other)).unwrap().unwrap();
        assert_eq!(id, ids[17]);
        let buffer = world.buffer(8);
        world.backend.write_durable(id, 0, buffer, ALIGNMENT_BYTES, Token(1));
        assert_eq!(world.reap(1).remove(0).result, Ok(4096));
        let mut buffer = AlignedBuf::new(ALIGNMENT_BYTES);
        other.read_at(0, &mut buffer, ALIGNMENT_BYTES).unwrap();
        assert_eq!(buffer[0], 8, "the write went to the file that holds the slot now");
        file.read_at(0, &mut buffer, ALIGNMENT_BYTES).unwrap();
        assert_eq!(buffer[0], 0);
    });
}

#[test]
fn the_lock_lasts_as_long_as_the_backend() {
    each(|mut world| {
        let path = world.home.path().join("lock");
        let lock = Arc::new(DirectoryLock::acquire(&path, "first").unwrap());
        world.backend.hold_lock(lock).unwrap();
        assert!(matches!(DirectoryLock::acquire(&path, "second"), Err(DiskError::Locked { .. })));
        drop(world.backend);
        // The kernel lets go of a closed ring's table a moment later; a successor retries likewise.
        let again = (0..5_000).find_map(|_| {
            rustix::event::poll(&mut [], Some(&MILLISECOND)).unwrap();
            DirectoryLock::acquire(&path, "second").ok()
        });
        assert!(again.is_some(), "the lock falls after the backend");
    });
}

const MILLISECOND: rustix::event::Timespec = rustix::event::Timespec { tv_sec: 0, tv_nsec: 1_000_000 };

#[test]
fn the_choice_is_told() {
    crate::raise_memlock().unwrap();
    let options = RingOptions::default();
    let open = |io| Backend::open(io, &options, Arc::new(Doorbell::new().unwrap()));
    let (pwrite, report) = open(Io::Pwrite).unwrap();
    assert_eq!(pwrite.kind(), BackendKind::Pwrite);
    assert_eq!(
        report,
        BackendReport { kind: BackendKind::Pwrite, commit: CommitMethod::Dsync, ring: None, fell_back: None }
    );
    let (auto, report) = open(Io::Auto).unwrap();
    assert_eq!(auto.kind(), report.kind);
    match open(Io::Uring) {
        Ok((ring, told)) => {
            assert_eq!((ring.kind(), auto.kind()), (BackendKind::Uring, BackendKind::Uring));
            assert_eq!(report.fell_back, None);
            let told = told.ring.expect("a ring tells its flags");
            assert_eq!(told.flags.len() + told.dropped.len(), SetupFlag::ALL.len());
            assert!(told.completion_entries >= u32::from(told.depth));
        }
        Err(error) => assert_eq!((auto.kind(), report.fell_back), (BackendKind::Pwrite, Some(error))),
    }
}

#[test]
#[should_panic(expected = "room for one more")]
fn more_than_the_depth_is_a_bug() {
    let doorbell = Arc::new(Doorbell::new().unwrap());
    let options = RingOptions { depth: 2, ..RingOptions::default() };
    let (backend, _) = Backend::open(Io::Auto, &options, Arc::clone(&doorbell)).unwrap();
    let home = tempfile::tempdir().unwrap();
    let mut world = World { home, doorbell, backend, pool: BufferPool::new(3, ALIGNMENT_BYTES) };
    let id = world.backend.attach(world.file("a")).unwrap().unwrap();
    for index in 0..3 {
        let buffer = world.buffer(1);
        world.backend.write_durable(id, index * PAGE, buffer, ALIGNMENT_BYTES, Token(index));
    }
}
