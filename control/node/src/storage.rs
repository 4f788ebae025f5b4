//! How the journal is written, told once: to the log, to `/version` and to the metrics.
//!
//! Holds: what is slower or weaker than was asked for is a warning of its own, with its cause.

use disk::RamDisk;
use engine::{BuffersReport, Direct, LedgerReport};
use server::Storage;

use crate::{params::StorageParams, start_error::StartError};

/// The data directory in memory, if that is asked for.
///
/// # Errors
/// If the kernel gives none.
pub(crate) fn in_memory(params: &StorageParams) -> Result<Option<RamDisk>, StartError> {
    let Some(bytes) = params.ram_bytes else { return Ok(None) };
    let ram = RamDisk::new(bytes).map_err(StartError::Ram)?;
    tracing::warn!(
        mib = bytes >> 20,
        never_swapped = ram.is_never_swapped(),
        "storage.io = \"ram\": everything lies in memory, keys too, and is gone when this process ends"
    );
    Ok(Some(ram))
}

/// Logs how the ledger was opened, and says the same for those who ask.
pub(crate) fn opened(report: &LedgerReport, params: &StorageParams) -> Storage {
    let LedgerReport { store, backend, buffers, .. } = report;
    if let Some(cause) = &backend.fell_back {
        tracing::warn!(
            "the journal is written by pwritev2, one write at a time, instead of io_uring: {cause}"
        );
    }
    if !store.is_direct && params.direct != Direct::Off && params.ram_bytes.is_none() {
        tracing::warn!(
            "the file system of the data directory refuses direct I/O: the journal goes through the page \
             cache, as durable and slower; put it on ext4 or XFS"
        );
    }
    let registered_buffers = match *buffers {
        BuffersReport::Registered { buffers, .. } => buffers,
        BuffersReport::None => 0,
        BuffersReport::Refused(errno) => {
            tracing::warn!(
                "the kernel does not pin the journal's buffers ({errno}): each write pins its own; more \
                 locked memory allows it (`ulimit -l`)"
            );
            0
        }
    };
    let storage = Storage {
        io: if params.ram_bytes.is_some() { "ram" } else { backend.kind.word() },
        commit: backend.commit.word(),
        direct: store.is_direct,
        registered_buffers,
    };
    tracing::info!(
        "ledger opened io={} commit={} direct={} pinned={} created={} epoch={} checkpoint_frame={} \
         replayed_frames={} replayed_bytes={} log={}",
        storage.io,
        storage.commit,
        storage.direct,
        report.pinned,
        store.created,
        store.epoch.0,
        store.checkpoint,
        store.frames,
        store.bytes,
        report.log_key
    );
    storage
}
