//! Where the reading of a journal begins whose first segments only an archive has: at the oldest
//! checkpoint that holds.
//!
//! Holds: the frames between the release record and that checkpoint are walked too, hash by hash. What
//! the state in the checkpoint says is believed; with the archive beside, everything is audited instead.

use disk::directory;
use journal::{Checkpoint, RecoveryError, Release, follow, recovery_buffer_bytes, verify_checkpoint};
use ledger::{Audit, HashKind, Ledger, Params, Tree};

use super::{
    Finding, VerifyError,
    examiner::Examiner,
    files::{CHECKPOINT_BYTES_MAX, CheckpointFile, Files},
    segments::Segments,
};
use crate::archive::chain_input;

/// An examiner that stands at the oldest checkpoint that holds and lies after what is released, and the
/// tree there.
///
/// # Errors
/// `Released` if there is none.
pub(super) fn at_checkpoint(files: &Files, record: &Release) -> Result<(Examiner, Tree), VerifyError> {
    for file in files.checkpoints.iter().rev() {
        if file.whole.is_err() || file.header.position.segment < record.first_retained() {
            continue;
        }
        let Some((ledger, tree)) = load(files, file)? else { continue };
        let mut source = Segments::open(&files.root.join(journal::SEGMENT_DIR))?;
        let mut buffer = vec![0; recovery_buffer_bytes(files.superblock.geometry)];
        let input = chain_input(&files.superblock, &files.key);
        if verify_checkpoint(&input, &file.header, &mut source, &mut buffer) != Ok(true) {
            continue;
        }
        let slot = files.slot;
        let mut examiner =
            Examiner::new(tree.hash(), files.superblock.ledger, slot, files.checkpoints.clone());
        examiner.resume(file.header, Audit::resume(&ledger, &tree));
        walk(files, record, &file.header, &mut examiner)?;
        return Ok((examiner, tree));
    }
    Err(VerifyError::Released { path: files.root.clone(), archive: record.archive.clone() })
}

/// The frames from the record to the checkpoint, each by its hash.
fn walk(
    files: &Files,
    record: &Release,
    checkpoint: &Checkpoint,
    examiner: &mut Examiner,
) -> Result<(), VerifyError> {
    let mut source = Segments::open(&files.root.join(journal::SEGMENT_DIR))?;
    let mut buffer = vec![0; recovery_buffer_bytes(files.superblock.geometry)];
    let input = chain_input(&files.superblock, &files.key);
    let walked = follow(&input, &record.after, &mut source, &mut buffer, |frame| {
        if frame.header.frame < checkpoint.frame { Ok(()) } else { Err(frame.hash) }
    });
    let (at, frame, what) = match walked {
        Err(RecoveryError::Replay { error, .. }) if error == checkpoint.hash => return Ok(()),
        Err(RecoveryError::Replay { .. }) => {
            (checkpoint.position, checkpoint.frame, "the checkpoint's frame is another".to_owned())
        }
        Ok((end, bad)) => {
            (end.next, end.last.frame.next(), format!("{bad}; a checkpoint knows it to have been durable"))
        }
        Err(error) => (record.after.next, record.after.last.frame.next(), error.to_string()),
    };
    examiner.found(Finding::of_frame(at, frame, what));
    Ok(())
}

/// The state in a checkpoint, if it loads and has the tree that the header names.
///
/// # Errors
/// What the kernel refuses.
pub(crate) fn load(files: &Files, file: &CheckpointFile) -> Result<Option<(Ledger, Tree)>, VerifyError> {
    let path = files.root.join(journal::CHECKPOINT_DIR).join(&file.name);
    let bytes = directory::read_file(&path, CHECKPOINT_BYTES_MAX)?;
    let hash = match files.superblock.hash {
        journal::HashKind::Sha256 => HashKind::Sha256,
        journal::HashKind::Blake3 => HashKind::Blake3,
    };
    let Ok((header, payload)) = Checkpoint::decode(&bytes, &files.key, files.superblock.ledger) else {
        return Ok(None);
    };
    let params = Params::of_checkpoint(payload, hash, files.superblock.ledger_secret);
    let loaded = params.and_then(|params| Ledger::decode_checkpoint(payload, params).ok());
    Ok(loaded.filter(|(_, tree)| (tree.size(), tree.root()) == (header.tree_size, header.root)))
}
