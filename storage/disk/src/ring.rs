//! One `io_uring` for one thread.
//!
//! Holds: at most `depth` operations are in flight, so neither queue of the ring can overflow; the
//! buffer of each rests in its slot until its completion; dropping the ring waits for all of them.
//! The unsafe operation here is handing an entry to the kernel. Buffers are not
//! registered: that would pin the largest frame for each of them, more than an unprivileged process
//! may lock.
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
use crate::completion::{Completion, Token};
use crate::direct::DirectFile;
use crate::doorbell::Doorbell;
use crate::error::{DiskError, Operation, errno_of};
use crate::files::{FILES_MAX, FileId, Files};
use crate::flight::{Flight, Flights};
use crate::lock::DirectoryLock;
use crate::setup::{RingOptions, RingReport, set_up};

/// Bytes of an eventfd's counter.
const COUNTER_BYTES: u32 = 8;
/// The slot of the kernel's file table that keeps the directory's lock.
const LOCK_SLOT: usize = FILES_MAX;
/// Slots of the kernel's file table.
const TABLE_SLOTS: usize = FILES_MAX + 1;

/// An `io_uring` and what is in flight on it. It stays on the thread that opened it.
pub struct Ring {
    // Fields are dropped in this order: the ring is closed before a buffer could be freed.
    ring: IoUring,
    flights: Flights,
    files: Files,
    files_registered: bool,
    lock: Option<Arc<DirectoryLock>>,
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
            lock: None,
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

    /// Keeps the directory's lock for as long as the ring lives; true if the kernel keeps it too, so
    /// that after a kill it falls only when the last operation has ended.
    ///
    /// # Errors
    /// If the kernel refuses to keep it in its table.
    pub fn hold_lock(&mut self, lock: Arc<DirectoryLock>) -> Result<bool, DiskError> {
        self.register(LOCK_SLOT, lock.fd().as_raw_fd())?;
        self.lock = Some(lock);
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

    /// Queues a write of the buffer's first `len_bytes` at `offset`, durable when it completes
    /// (`RWF_DSYNC`).
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
        let target = self.target(file);
        let (slot, at) = self.flights.board(Flight { token, file: Some(file), buffer: Some(buffer) });
        let dsync = i32::try_from(ReadWriteFlags::DSYNC.bits()).expect("a small flag");
        self.push(opcode::Write::new(target, at, len).offset(offset).rw_flags(dsync).build(), slot, true);
    }

    /// Queues a read of `len_bytes` at `offset` into the buffer.
    ///
    /// # Panics
    /// As [`Ring::write_durable`].
    pub fn read(&mut self, file: FileId, offset: u64, buffer: AlignedBuf, len_bytes: usize, token: Token) {
        check_offset(offset);
        let len = checked_len(&buffer, len_bytes);
        let target = self.target(file);
        let (slot, at) = self.flights.board(Flight { token, file: Some(file), buffer: Some(buffer) });
        self.push(opcode::Read::new(target, at, len).offset(offset).build(), slot, true);
    }

    /// Queues a flush of the file (`fdatasync`). It covers the writes whose completions were reaped
    /// before; others may pass it.
    ///
    /// # Panics
    /// If there is no room or the file is not attached.
    pub fn flush(&mut self, file: FileId, token: Token) {
        let target = self.target(file);
        let (slot, _) = self.flights.board(Flight { token, file: Some(file), buffer: None });
        self.push(opcode::Fsync::new(target).flags(FsyncFlags::DATASYNC).build(), slot, true);
    }

    /// Queues a wait for the doorbell, once: its completion takes back all rings so far. False, and
    /// nothing done, if one is in flight already.
    ///
    /// # Panics
    /// If there is no room.
    pub fn watch(&mut self, token: Token) -> bool {
        let Some(buffer) = self.counter.take() else { return false };
        let fd = Fd(self.doorbell.fd().as_raw_fd());
        let (slot, at) = self.flights.board(Flight { token, file: None, buffer: Some(buffer) });
        self.push(opcode::Read::new(fd, at, COUNTER_BYTES).build(), slot, false);
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
        if idle { Ok(()) } else { tolerate(self.ring.submit()) }
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
        let Some(timeout) = timeout else { return tolerate(self.ring.submit_and_wait(at_least)) };
        let timespec = Timespec::from(timeout);
        tolerate(self.ring.submitter().submit_with_args(at_least, &SubmitArgs::new().timespec(&timespec)))
    }

    /// The next operation that has ended, if any. Call until `None`.
    pub fn reap(&mut self) -> Option<Completion> {
        let entry = self.ring.completion().next()?;
        let Flight { token, file, mut buffer } = self.flights.land(entry.user_data());
        match file {
            Some(file) => self.files.end(file),
            None => self.counter = buffer.take(),
        }
        let result = u32::try_from(entry.result()).map_err(|_| Errno::from_raw_os_error(-entry.result()));
        Some(Completion { token, result, buffer })
    }

    /// The descriptor or table slot that an operation on this file names.
    fn target(&mut self, id: FileId) -> Fd {
        let file = self.files.begin(id);
        if self.files_registered {
            Fd(RawFd::try_from(id.index()).expect("the table is small"))
        } else {
            Fd(file.fd().as_raw_fd())
        }
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

    /// Queues an entry for the operation in `slot`.
    #[expect(unsafe_code, reason = "the kernel is given addresses that the compiler cannot follow")]
    fn push(&mut self, entry: squeue::Entry, slot: u16, on_attached_file: bool) {
        let fixed = on_attached_file && self.files_registered;
        let flags = if fixed { Flags::FIXED_FILE } else { Flags::empty() };
        let entry = entry.flags(flags).user_data(u64::from(slot));
        // SAFETY: what the entry points to stays valid until its completion is reaped.
        // - The buffer: its address and at most its length were taken after it came to rest in
        //   `flights`, which hands it out only in `land`, called by `reap` for this very completion.
        //   Its heap memory does not move, and nobody has a reference to it meanwhile. `Drop` waits
        //   for the completion, or leaks the buffer.
        // - The descriptor: `files` keeps an attached file open while it is in use, `doorbell` lives
        //   as long as the ring; so the number means that file whenever the kernel looks it up.
        let pushed = unsafe { self.ring.submission().push(&entry) };
        pushed.expect("the queue has at least as many entries as there are slots");
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
