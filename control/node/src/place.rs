//! Whether the data directory is one, before a start makes anything in it.
//!
//! Holds: nothing is changed here. A directory is ours if it is empty or holds a name of ours; a
//! ledger that was there once is never begun anew unasked, because whoever holds a receipt could not
//! tell the new one from a log that forgot.

use std::path::{Path, PathBuf};

use disk::{DiskError, directory};
use engine::{OpenError, is_ledger};

use crate::token;

/// Names that a node makes in its data directory.
const OURS: [&str; 3] = ["ledger", "keys", "run"];
/// What a fresh file system holds.
const MOUNT: &str = "lost+found";

/// Why this is not a data directory to start on, and what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceError {
    /// It cannot be looked at.
    #[error(transparent)]
    Disk(#[from] OpenError),
    /// It is a file, or something else.
    #[error("data_dir = {path}: this is not a directory; set the path of one, or of none to have it made", path = .0.display())]
    NotADirectory(PathBuf),
    /// It is somebody else's.
    #[error(
        "data_dir = {path}: this directory holds {name:?} and nothing of a node; set an empty one, or the one \
         that the ledger lies in",
        path = .path.display()
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Something in it.
        name: String,
    },
    /// There is a ledger, and not the key that its roots are signed with.
    #[error(
        "{keys}/{}: there is a ledger and not its key; nothing was made; bring the keys that it was run with: \
         `cp -a OLD/keys/. {keys}/`, where OLD is the data directory of before, or their backup",
        token::CHECKPOINT_KEY,
        keys = .0.display()
    )]
    KeysGone(PathBuf),
    /// There was a ledger, and there is none.
    #[error(
        "{path}: there is no ledger, but keys/{} says that there was one; put the directory back from a \
         backup, or begin another one under the same key with --new-ledger",
        token::LOG_KEY,
        path = .0.display()
    )]
    LedgerGone(PathBuf),
}

impl PlaceError {
    /// The exit code of a process that ends with this error.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Disk(error) => error.exit_code(),
            Self::KeysGone(_) => 94,
            Self::NotADirectory(_) | Self::Foreign { .. } | Self::LedgerGone(_) => 98,
        }
    }
}

/// Refuses what no start may touch.
///
/// # Errors
/// `PlaceError`, with what to do.
pub(crate) fn check(data_dir: &Path, new_ledger: bool) -> Result<(), PlaceError> {
    let entries = match directory::list(data_dir) {
        Ok(entries) => entries,
        Err(error) if error.is_not_found() => return Ok(()),
        Err(DiskError::File { errno: disk::Errno::NOTDIR, .. }) => {
            return Err(PlaceError::NotADirectory(data_dir.into()));
        }
        Err(error) => return Err(OpenError::from(error).into()),
    };
    let is_ours = |name: &str| OURS.contains(&name);
    let stranger = entries.iter().find(|entry| !is_ours(&entry.name) && entry.name != MOUNT);
    if let Some(stranger) = stranger.filter(|_| !entries.iter().any(|entry| is_ours(&entry.name))) {
        return Err(PlaceError::Foreign { path: data_dir.into(), name: stranger.name.clone() });
    }
    let ledger = data_dir.join("ledger");
    let keys = data_dir.join("keys");
    // Keys are made before a ledger is: another key would sign another log.
    if is_ledger(&ledger) && !keys.join(token::CHECKPOINT_KEY).exists() {
        return Err(PlaceError::KeysGone(keys));
    }
    // Written when the first start has made a ledger, and not before.
    let had_one = keys.join(token::LOG_KEY).exists();
    // Segments without a superblock are the ledger's own to refuse.
    let has_segments = directory::list(&ledger.join("segments")).is_ok_and(|names| !names.is_empty());
    if !had_one || is_ledger(&ledger) || has_segments {
        return Ok(());
    }
    if new_ledger {
        tracing::warn!(
            "a new ledger begins under the name and key of one that is gone: receipts of before hold, and \
             nobody can look them up here"
        );
        return Ok(());
    }
    Err(PlaceError::LedgerGone(ledger))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn home(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("macronode-place-{name}-{}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        fs::create_dir(&path).unwrap();
        path
    }

    #[test]
    fn only_an_empty_directory_or_one_of_ours_is_taken() {
        let home = home("ours");
        check(&home.join("none"), false).unwrap();
        check(&home, false).unwrap();
        fs::create_dir(home.join(MOUNT)).unwrap();
        check(&home, false).unwrap();
        fs::write(home.join("letters"), "").unwrap();
        let refused = check(&home, true).unwrap_err();
        assert!(refused.to_string().contains("\"letters\""), "{refused}");
        assert_eq!(refused.exit_code(), 98);
        fs::create_dir(home.join("keys")).unwrap();
        check(&home, false).unwrap();
        assert!(matches!(check(&home.join("letters"), false), Err(PlaceError::NotADirectory(_))));
        fs::remove_dir_all(home).unwrap();
    }

    #[test]
    fn a_ledger_that_is_gone_is_begun_anew_only_if_asked() {
        let home = home("gone");
        let (keys, ledger) = (home.join("keys"), home.join("ledger"));
        fs::create_dir_all(&keys).unwrap();
        // A first start that was killed after its keys were made.
        fs::write(keys.join("checkpoint.key"), "").unwrap();
        check(&home, false).unwrap();
        fs::write(keys.join(token::LOG_KEY), "").unwrap();
        assert!(matches!(check(&home, false), Err(PlaceError::LedgerGone(_))));
        check(&home, true).unwrap();
        fs::create_dir_all(ledger.join("segments")).unwrap();
        assert!(matches!(check(&home, false), Err(PlaceError::LedgerGone(_))));
        fs::write(ledger.join("superblock"), "").unwrap();
        check(&home, false).unwrap();
        fs::remove_dir_all(&keys).unwrap();
        let refused = check(&home, true).unwrap_err();
        assert_eq!(refused.exit_code(), 94);
        assert!(refused.to_string().contains(&format!("cp -a OLD/keys/. {}/`", keys.display())), "{refused}");
        assert!(!keys.exists(), "nothing is made");
        fs::remove_dir_all(home).unwrap();
    }
}
