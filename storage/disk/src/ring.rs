//! One `io_uring` for one thread.
//!
//! Holds: at most `depth` operations are in flight, so neither queue of the ring can overflow; the
//! buffer of each rests in its slot until its completion; dropping the ring waits for all of them.
//! The unsafe operations here are handing an entry to the kernel, and telling it of buffers. Of a
//! buffer only the front is registered: to pin the largest frame in each of them is more than an
//! unprivileged process may lock.
//!
//! It leaves to its caller: which token means what, whether a short write is an error, when to wait.

use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use io_uring::squeue::{self, Flags};
use io_uring::types::{Fd, FsyncFlags, SubmitArgs, Timespec};
use io_uring::{IoUring, opcode};
use rustix::io::{Errno, ReadWriteFlags};

use crate::buffer::{ALIGNMENT_BYTES, AlignedBuf, check_offset, checked_len};
use crate::commit::{Barrier, CommitMethod};
use crate::completion::{Completion, Token};
use crate::direct::DirectFile;
use crate::doorbell::Doorbell;
use crate::error::{DiskError, Operation, errno_of};
use crate::files::{FILES_MAX, FileId, Files};
use crate::flight::{Flight, Flights, Linked, Stage};
use crate::lock::DirectoryLock;
use crate::pool::BufferPool;
use crate::setup::{BuffersReport, RingOptions, RingReport, set_up};

/// Bytes of an eventfd's counter.
const COUNTER_BYTES: u32 = 8;
/// Locks that a ring keeps: of a directory and of its mirror.
const LOCKS_MAX: usize = 2;
/// Slots of the kernel's file table.
const TABLE_SLOTS: usize = FILES_MAX + LOCKS_MAX;

/// Set in what a completion names: the flush that is linked to the write in the slot.
const LINKED_FLUSH: u64 = 1 << 32;
/// Set in what a completion names: the flush of the file, for all that had ended.
const FLUSH: u64 = 1 << 33;

/// Bytes at the front of each buffer that are registered: more than the frame of a lone transfer.
const REGISTERED_BYTES: usize = 64 << 10;

/// An `io_uring` and what is in flight on it. It stays on the thread that opened it.
pub struct Ring {
    // Fields are dropped in this order: the ring is closed before a buffer could be freed.
    ring: IoUring,
    flights: Flights,
    files: Files,
    files_registered: bool,
    commit: CommitMethod,
    /// Slots of writes that have ended and wait for their flush.
    barrier: Barrier<u16>,
    /// The pool whose buffers are registered.
    registered_pool: Option<u64>,
    locks: Vec<Arc<DirectoryLock>>,
    doorbell: Arc<Doorbell>,
    /// Where the doorbell's counter is read to; away while a watch is armed.
    counter: Option<AlignedBuf>,
    /// The kernel takes entries from one thread only (`SINGLE_ISSUER`).
    thread: PhantomData<*const ()>,
}

impl Ring {
    /// Opens a ring on the calling thread and tells what it was set up with.
    ///
    /// A ring is locked memory (some 10 KiB at a depth of 32), charged to the user over all of its
    /// processes until a moment after the ring is closed: call [`raise_memlock`](crate::raise_memlock)
    /// first.
    ///
    /// # Errors
    /// [`DiskError::UringDisabled`], [`DiskError::UringDenied`], [`DiskError::UringMemory`],
    /// [`DiskError::KernelTooOld`], or another refusal as it is.
    ///
    /// # Panics
    /// If the depth is not 2 to 4096.
    pub fn open(options: &RingOptions, doorbell: Arc<Doorbell>) -> Result<(Self, RingReport), DiskError> {
        let (ring, mut report) = set_up(options)?;
        let slots = u32::try_from(TABLE_SLOTS).expect("the table is small");
        // Without the table (before 5.19, or a low limit on descriptors) plain descriptors do.
        report.files_registered =
            options.register_files && ring.submitter().register_files_sparse(slots).is_ok();
        let ring = Self {
            ring,
            flights: Flights::new(options.depth),
            files: Files::new(),
            files_registered: report.files_registered,
            commit: options.commit,
            barrier: Barrier::new(options.depth),
            registered_pool: None,
            locks: Vec::new(),
            doorbell,
            counter: Some(AlignedBuf::new(ALIGNMENT_BYTES)),
            thread: PhantomData,
        };
        Ok((ring, report))
    }

    /// Takes a file in, for operations to name; `None` if [`FILES_MAX`] are attached.
    ///
    /// # Errors
    /// If the kernel refuses to keep the file in its table.
    pub fn attach(&mut self, file: Arc<DirectFile>) -> Result<Option<FileId>, DiskError> {
        let fd = file.fd().as_raw_fd();
        let Some(id) = self.files.attach(file) else { return Ok(None) };
        if let Err(error) = self.register(id.index(), fd) {
            self.files.detach(id);
            return Err(error);
        }
        Ok(Some(id))
    }

    /// Gives a file back.
    ///
    /// # Errors
    /// If the kernel refuses to let go of it.
    ///
    /// # Panics
    /// If the file is not attached, or something is in flight on it.
    pub fn detach(&mut self, id: FileId) -> Result<Arc<DirectFile>, DiskError> {
        let file = self.files.detach(id);
        self.register(id.index(), -1)?;
        Ok(file)
    }

    /// Keeps a directory's lock for as long as the ring lives; true if the kernel keeps it too, so
    /// that after a kill it falls only when the last operation has ended.
    ///
    /// # Errors
    /// If the kernel refuses to keep it in its table.
    ///
    /// # Panics
    /// If it keeps as many already as a ledger has directories.
    pub fn hold_lock(&mut self, lock: Arc<DirectoryLock>) -> Result<bool, DiskError> {
        assert!(self.locks.len() < LOCKS_MAX, "one lock for each of two directories");
        self.register(FILES_MAX + self.locks.len(), lock.fd().as_raw_fd())?;
        self.locks.push(lock);
        Ok(self.files_registered)
    }

    /// How many more operations can be put in flight.
    #[must_use]
    pub fn room(&self) -> usize {
        self.flights.room()
    }

    /// How many operations are in flight, the doorbell's included.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.flights.count()
    }

    /// Registers the first 64 KiB of each of the pool's buffers, so that a small write costs no
    /// look-up of its pages; tells what the kernel says. A refusal changes nothing but that.
    ///
    /// # Panics
    /// If a buffer is out, or a pool is registered already.
    #[expect(unsafe_code, reason = "the kernel is told of memory that the compiler cannot follow")]
    pub fn register_buffers(&mut self, pool: &mut BufferPool) -> BuffersReport {
        assert!(self.registered_pool.is_none(), "a ring has one table of buffers");
        let bytes_each = pool.buffer_bytes().min(REGISTERED_BYTES);
        let fronts: Vec<_> = pool.fronts(bytes_each).collect();
        // SAFETY: the kernel pins the pages and reads them only for an entry that names this table,
        // which `write_durable` makes only for a buffer of this very pool, alive and unmoved in its
        // slot; what the table says of memory that has been freed is then never used.
        let registered = unsafe { self.ring.submitter().register_buffers(&fronts) };
        match registered {
            Ok(()) => {
                self.registered_pool = Some(pool.number());
                BuffersReport::Registered { buffers: pool.count(), bytes_each }
            }
            Err(error) => BuffersReport::Refused(errno_of(&error)),
        }
    }

    /// Queues a write of the buffer's first `len_bytes` at `offset`, durable when it completes, by the
    /// method that the ring was opened with.
    ///
    /// # Panics
    /// If there is no room, the file is not attached, or the range is not whole pages.
    pub fn write_durable(
        &mut self,
        file: FileId,
        offset: u64,
        buffer: AlignedBuf,
        len_bytes: usize,
        token: Token,
    ) {
        check_offset(offset);
        let len = checked_len(&buffer, len_bytes);
        self.files.begin(file);
        let target = self.target(file);
        let registered = buffer.registered(self.registered_pool).filter(|_| len_bytes <= REGISTERED_BYTES);
        let linked = Linked { wanted: len, written: None, flushed: None, in_order: true };
        let (stage, flags) = match self.commit {
            CommitMethod::Dsync => (Stage::Single, ReadWriteFlags::DSYNC),
            CommitMethod::Fdatasync => (Stage::Flushed(len), ReadWriteFlags::empty()),
            CommitMethod::FdatasyncLinked => (Stage::Linked(linked), ReadWriteFlags::empty()),
        };
        let (slot, at) = self.flights.board(Flight { token, file: Some(file), buffer: Some(buffer), stage });
        let flags = i32::try_from(flags.bits()).expect("a small flag");
        let entry = match registered {
            None => opcode::Write::new(target, at, len).offset(offset).rw_flags(flags).build(),
            Some(index) => {
                opcode::WriteFixed::new(target, at, len, index).offset(offset).rw_flags(flags).build()
            }
        };
        if self.commit != CommitMethod::FdatasyncLinked {
            return self.push(entry, u64::from(slot), self.file_flags());
        }
        self.push(entry, u64::from(slot), self.file_flags() | Flags::IO_LINK);
        self.push(fdatasync(target), u64::from(slot) | LINKED_FLUSH, self.file_flags());
    }

    /// Queues a read of `len_bytes` at `offset` into the buffer.
    ///
    /// # Panics
    /// As [`Ring::write_durable`].
    pub fn read(&mut self, file: FileId, offset: u64, buffer: AlignedBuf, len_bytes: usize, token: Token) {
        check_offset(offset);
        let len = checked_len(&buffer, len_bytes);
        self.files.begin(file);
        let target = self.target(file);
        let (slot, at) = self.flights.board(Flight::single(token, Some(file), Some(buffer)));
        let entry = opcode::Read::new(target, at, len).offset(offset).build();
        self.push(entry, u64::from(slot), self.file_flags());
    }

    /// Queues a flush of the file (`fdatasync`). It covers the writes whose completions were reaped
    /// before; others may pass it.
    ///
    /// # Panics
    /// If there is no room or the file is not attached.
    pub fn flush(&mut self, file: FileId, token: Token) {
        self.files.begin(file);
        let target = self.target(file);
        let (slot, _) = self.flights.board(Flight::single(token, Some(file), None));
        self.push(fdatasync(target), u64::from(slot), self.file_flags());
    }

    /// Queues a wait for the doorbell, once: its completion takes back all rings so far. False, and
    /// nothing done, if one is in flight already.
    ///
    /// # Panics
    /// If there is no room.
    pub fn watch(&mut self, token: Token) -> bool {
        let Some(buffer) = self.counter.take() else { return false };
        let fd = Fd(self.doorbell.fd().as_raw_fd());
        let (slot, at) = self.flights.board(Flight::single(token, None, Some(buffer)));
        self.push(opcode::Read::new(fd, at, COUNTER_BYTES).build(), u64::from(slot), Flags::empty());
        true
    }

    /// Hands what is queued to the kernel, and lets it post what has ended, without waiting.
    ///
    /// A system call only if there is something to do.
    ///
    /// # Errors
    /// If the kernel refuses the ring itself; an operation's own failure is its completion.
    pub fn submit(&mut self) -> Result<(), DiskError> {
        let queue = self.ring.submission();
        let idle = queue.is_empty() && !queue.taskrun() && !queue.cq_overflow();
        drop(queue);
        if idle {
            return Ok(());
        }
        let submitted = tolerate(self.ring.submit());
        self.see_what_is_left();
        submitted
    }

    /// [`Ring::submit`] for a thread that looks again and again instead of sleeping: it also lets
    /// others on this core run.
    ///
    /// Without that, a write that needs a flush waits for a kernel worker on the very core that spins,
    /// and completes only at the scheduler's next tick (4 ms instead of 0.13 ms, measured on Linux
    /// 6.18 with a virtio disk).
    ///
    /// # Errors
    /// As [`Ring::submit`].
    pub fn spin(&mut self) -> Result<(), DiskError> {
        self.submit()?;
        rustix::thread::sched_yield();
        Ok(())
    }

    /// Hands what is queued to the kernel and waits until `at_least` completions can be reaped or the
    /// time is over (`None`: no limit). May return early, after a signal or a shortage of memory in
    /// the kernel; what was not taken stays queued for the next call.
    ///
    /// # Errors
    /// As [`Ring::submit`].
    pub fn submit_and_wait(&mut self, at_least: usize, timeout: Option<Duration>) -> Result<(), DiskError> {
        let submitted = match timeout {
            None => tolerate(self.ring.submit_and_wait(at_least)),
            Some(timeout) => {
                let timespec = Timespec::from(timeout);
                let wait = SubmitArgs::new().timespec(&timespec);
                tolerate(self.ring.submitter().submit_with_args(at_least, &wait))
            }
        };
        self.see_what_is_left();
        submitted
    }

    /// The next operation that has ended, if any. Call until `None`: what has ended by then is what
    /// the next flush covers.
    pub fn reap(&mut self) -> Option<Completion> {
        loop {
            if let Some((slot, flushed)) = self.barrier.ended() {
                let Stage::Flushed(bytes) = self.flights.at(slot).stage else {
                    unreachable!("only such writes wait for a flush");
                };
                return Some(self.land(slot, flushed.map(|()| bytes)));
            }
            let Some(entry) = self.ring.completion().next() else {
                self.begin_flushes();
                return None;
            };
            let result = match u32::try_from(entry.result()) {
                Ok(count) => Ok(count),
                Err(_) => Err(Errno::from_raw_os_error(-entry.result())),
            };
            if let Some(done) = self.ended(entry.user_data(), result) {
                return Some(done);
            }
        }
    }

    /// What the kernel says of the operation that `named` names; an operation that is over by it.
    fn ended(&mut self, named: u64, result: Result<u32, Errno>) -> Option<Completion> {
        if named & FLUSH != 0 {
            self.barrier.flushed(FileId::at(named & !FLUSH), result.map(drop));
            return None;
        }
        let slot = u16::try_from(named & !LINKED_FLUSH).expect("a completion names a slot");
        let flight = self.flights.at(slot);
        match &mut flight.stage {
            Stage::Single => Some(self.land(slot, result)),
            Stage::Flushed(wanted) if result == Ok(*wanted) => {
                let file = flight.file.expect("a write is on a file");
                self.barrier.written(file, slot);
                None
            }
            Stage::Flushed(_) => Some(self.land(slot, result)),
            Stage::Linked(linked) => {
                if named & LINKED_FLUSH == 0 {
                    linked.written = Some(result);
                } else {
                    linked.flushed = Some(result.map(drop));
                }
                let Linked { wanted, written: Some(written), flushed: Some(flushed), in_order } = *linked
                else {
                    return None;
                };
                if written != Ok(wanted) {
                    // The kernel does not begin a flush that is linked to a failed or short write.
                    return Some(self.land(slot, written));
                }
                if !in_order {
                    flight.stage = Stage::Flushed(wanted);
                    let file = flight.file.expect("a write is on a file");
                    self.barrier.written(file, slot);
                    return None;
                }
                Some(self.land(slot, flushed.and(written)))
            }
        }
    }

    /// Frees the slot of an operation that is over.
    fn land(&mut self, slot: u16, result: Result<u32, Errno>) -> Completion {
        let Flight { token, file, mut buffer, .. } = self.flights.land(slot);
        match file {
            Some(file) => self.files.end(file),
            None => self.counter = buffer.take(),
        }
        Completion { token, result, buffer }
    }

    /// Queues a flush of each file that has writes which no flush in flight covers. There is room: a
    /// write that waits has no entry of its own any more.
    fn begin_flushes(&mut self) {
        while let Some(file) = self.barrier.begin() {
            let named = u64::try_from(file.index()).expect("the table is small") | FLUSH;
            self.push(fdatasync(self.target(file)), named, self.file_flags());
        }
    }

    /// A kernel short of memory may take a write without the flush that is linked to it, which then
    /// begins whenever it is taken: such a flush covers nothing.
    fn see_what_is_left(&mut self) {
        if self.commit != CommitMethod::FdatasyncLinked || self.ring.submission().is_empty() {
            return;
        }
        for flight in self.flights.iter_mut() {
            if let Stage::Linked(linked) = &mut flight.stage {
                linked.in_order = false;
            }
        }
    }

    /// The descriptor or table slot that an operation on this file names.
    fn target(&self, id: FileId) -> Fd {
        if self.files_registered {
            Fd(RawFd::try_from(id.index()).expect("the table is small"))
        } else {
            Fd(self.files.file(id).fd().as_raw_fd())
        }
    }

    /// How an operation on an attached file names it.
    fn file_flags(&self) -> Flags {
        if self.files_registered { Flags::FIXED_FILE } else { Flags::empty() }
    }

    /// Puts a descriptor into the kernel's table, or clears the slot (-1).
    fn register(&self, slot: usize, fd: RawFd) -> Result<(), DiskError> {
        if !self.files_registered {
            return Ok(());
        }
        let slot = u32::try_from(slot).expect("the table is small");
        match self.ring.submitter().register_files_update(slot, &[fd]) {
            Ok(_) => Ok(()),
            Err(error) => Err(DiskError::Kernel { operation: Operation::Register, errno: errno_of(&error) }),
        }
    }

    /// Queues an entry whose completion is to name `named`.
    #[expect(unsafe_code, reason = "the kernel is given addresses that the compiler cannot follow")]
    fn push(&mut self, entry: squeue::Entry, named: u64, flags: Flags) {
        let entry = entry.flags(flags).user_data(named);
        // SAFETY: what the entry points to stays valid until its completion is reaped.
        // - The buffer: its address and at most its length were taken after it came to rest in
        //   `flights`, which hands it out only in `land`, called by `reap` after the last completion
        //   that names its slot. Its heap memory does not move, and nobody has a reference to it
        //   meanwhile. `Drop` waits for the completion, or leaks the buffer.
        // - The descriptor: `files` keeps an attached file open while it is in use, `doorbell` lives
        //   as long as the ring; so the number means that file whenever the kernel looks it up.
        let pushed = unsafe { self.ring.submission().push(&entry) };
        pushed.expect("the queue has as many entries as the operations in the slots need");
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if self.counter.is_none() {
            // Ends the watch. Whoever else waits for the doorbell is woken for nothing.
            self.doorbell.ring();
        }
        while self.flights.count() > 0 {
            if self.submit_and_wait(1, None).is_err() {
                // The kernel will not say when it is done with the buffers, so they are never freed.
                self.flights.leak();
                return;
            }
            while self.reap().is_some() {}
        }
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("flights", &self.flights)
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

fn fdatasync(target: Fd) -> squeue::Entry {
    opcode::Fsync::new(target).flags(FsyncFlags::DATASYNC).build()
}

/// Takes the verdicts after which another call simply goes on for success: a wait that timed out or
/// was interrupted, a kernel short of memory, completions to be reaped first.
fn tolerate(outcome: std::io::Result<usize>) -> Result<(), DiskError> {
    match outcome {
        Ok(_) => Ok(()),
        Err(error) => match errno_of(&error) {
            Errno::TIME | Errno::INTR | Errno::AGAIN | Errno::BUSY => Ok(()),
            errno => Err(DiskError::Kernel { operation: Operation::Submit, errno }),
        },
    }
}
