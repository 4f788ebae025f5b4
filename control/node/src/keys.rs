//! The node's keys: files of 0600 in a directory of 0700, made at the first start.
//!
//! Holds: what others may read or somebody else owns is refused; two nodes that start at once on
//! one directory do not both make keys. Leaves to others: what a key is for (`caps` for
//! capabilities, `ledger` for checkpoints).

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use disk::{DirectoryLock, DiskError, directory};
use engine::OpenError;
use zeroize::Zeroizing;

/// What is wrong with the keys, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// The system refuses.
    #[error(transparent)]
    Disk(#[from] OpenError),
    /// Others may do more than they should.
    #[error("{path}: mode {mode:03o} lets others in: `chmod {wanted:o} {path}`", path = .path.display())]
    Mode {
        /// Which file.
        path: PathBuf,
        /// The mode found.
        mode: u32,
        /// The mode wanted.
        wanted: u32,
    },
    /// It belongs to somebody else.
    #[error("{path}: belongs to uid {owner}, and this process is uid {ours}: run it as its owner, or chown it", path = .path.display())]
    Owner {
        /// Which file.
        path: PathBuf,
        /// Who owns it.
        owner: u32,
        /// Who we are.
        ours: u32,
    },
    /// It does not hold 64 hex digits.
    #[error("{path}: a key is 64 hex digits on one line; restore it from a backup", path = .path.display())]
    Format {
        /// Which file.
        path: PathBuf,
    },
    /// The kernel gives no random bytes.
    #[error("no random bytes from the kernel: {0}")]
    Random(String),
}

impl KeyError {
    /// The exit code of a process that ends with this error.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Disk(error) => error.exit_code(),
            Self::Mode { .. } | Self::Owner { .. } => 77,
            Self::Format { .. } => 2,
            Self::Random(_) => 91,
        }
    }
}

/// A secret of 32 bytes, wiped when it is dropped.
pub(crate) type Secret = Zeroizing<[u8; 32]>;

/// Bytes of a key file at most.
const KEY_FILE_BYTES_MAX: u64 = 4_096;

/// The key directory, locked as long as this value is there.
#[derive(Debug)]
pub(crate) struct Keys {
    directory: PathBuf,
    _lock: DirectoryLock,
}

impl Keys {
    /// Opens the key directory, making it if it is not there.
    ///
    /// # Errors
    /// If it cannot be made, others may enter it, or another process makes keys in it right now.
    pub(crate) fn open(directory: &Path) -> Result<Self, KeyError> {
        private_dir(directory)?;
        let holder = format!("process {}", std::process::id());
        let lock = DirectoryLock::acquire(&directory.join("LOCK"), &holder).map_err(OpenError::from)?;
        Ok(Self { directory: directory.into(), _lock: lock })
    }

    /// The key of this name, made from kernel randomness if it is not there.
    ///
    /// # Errors
    /// If the file cannot be read or made, is readable by others, or holds no key.
    pub(crate) fn secret(&self, name: &str) -> Result<Secret, KeyError> {
        let Some(text) = self.read(name)? else {
            let secret = random()?;
            self.write(name, &Zeroizing::new(hex::encode(&secret[..])))?;
            return Ok(secret);
        };
        let mut secret = Secret::default();
        hex::decode_to_slice(text.trim_ascii_end(), &mut secret[..])
            .map_err(|_| KeyError::Format { path: self.path(name) })?;
        Ok(secret)
    }

    /// The bytes of the file of this name, if it is there.
    ///
    /// # Errors
    /// If it cannot be read, or others may read it.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError> {
        let path = self.path(name);
        match directory::read_file(&path, KEY_FILE_BYTES_MAX) {
            Ok(bytes) => {
                let bytes = Zeroizing::new(bytes);
                check_mode(&path, 0o077)?;
                Ok(Some(bytes))
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(OpenError::from(error).into()),
        }
    }

    /// Writes one line into a file of this name, 0600, durably; a file that is there is replaced.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn write(&self, name: &str, line: &str) -> Result<(), KeyError> {
        let bytes = Zeroizing::new(format!("{line}\n").into_bytes());
        Ok(directory::replace_file(&self.path(name), &bytes).map_err(OpenError::from)?)
    }

    /// Where a key of this name lies.
    #[must_use]
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// Makes a directory of 0700 if it is not there, names made durable; refuses one that others may
/// enter.
///
/// # Errors
/// If it cannot be made, or is not private.
pub(crate) fn private_dir(path: &Path) -> Result<(), KeyError> {
    directory::create_private_dir(path).map_err(OpenError::from)?;
    check_mode(path, 0o077)
}

/// Makes a directory of 0700 if it is not there; refuses one that others may write.
///
/// # Errors
/// If it cannot be made, or is not ours alone to change.
pub(crate) fn own_dir(path: &Path) -> Result<(), KeyError> {
    directory::create_private_dir(path).map_err(OpenError::from)?;
    check_mode(path, 0o022)
}

/// Thirty-two bytes from the kernel.
///
/// # Errors
/// If the kernel gives none.
pub(crate) fn random() -> Result<Secret, KeyError> {
    let mut secret = Secret::default();
    getrandom::fill(&mut secret[..]).map_err(|error| KeyError::Random(error.to_string()))?;
    Ok(secret)
}

/// Refuses what is not ours, or has one of the `forbidden` mode bits.
fn check_mode(path: &Path, forbidden: u32) -> Result<(), KeyError> {
    let metadata = std::fs::metadata(path).map_err(|error| {
        let errno = rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO);
        OpenError::from(DiskError::File { operation: disk::Operation::Stat, path: path.into(), errno })
    })?;
    let ours = rustix::process::geteuid().as_raw();
    if metadata.uid() != ours {
        return Err(KeyError::Owner { path: path.into(), owner: metadata.uid(), ours });
    }
    let mode = metadata.mode() & 0o777;
    if mode & forbidden != 0 {
        return Err(KeyError::Mode { path: path.into(), mode, wanted: mode & !forbidden });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::PermissionsExt,
    };

    use super::*;

    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("macronode-keys-{name}-{}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        path
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_key_is_made_once_and_private() {
        let path = directory("once");
        let keys = Keys::open(&path).unwrap();
        let first = keys.secret("a.key").unwrap();
        assert_ne!(*first, *keys.secret("b.key").unwrap());
        assert_eq!((mode(&path), mode(&keys.path("a.key"))), (0o700, 0o600));
        drop(keys);
        assert_eq!(*first, *Keys::open(&path).unwrap().secret("a.key").unwrap());
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn two_do_not_make_keys_at_once() {
        let path = directory("twice");
        let keys = Keys::open(&path).unwrap();
        let refused = Keys::open(&path).unwrap_err();
        assert_eq!(refused.exit_code(), 75, "{refused}");
        drop(keys);
        Keys::open(&path).unwrap();
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn what_others_may_read_is_refused_by_name() {
        let path = directory("mode");
        let keys = Keys::open(&path).unwrap();
        keys.secret("a.key").unwrap();
        let file = keys.path("a.key");
        for lax in [0o640, 0o604, 0o620] {
            fs::set_permissions(&file, Permissions::from_mode(lax)).unwrap();
            let refused = keys.secret("a.key").unwrap_err();
            let expected = format!("{}: mode {lax:o} lets others in: `chmod 600 ", file.display());
            assert!(refused.to_string().starts_with(&expected), "{refused}");
            assert_eq!(refused.exit_code(), 77);
        }
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, "short").unwrap();
        assert!(matches!(keys.secret("a.key"), Err(KeyError::Format { .. })));
        drop(keys);
        fs::set_permissions(&path, Permissions::from_mode(0o750)).unwrap();
        assert!(matches!(Keys::open(&path), Err(KeyError::Mode { mode: 0o750, wanted: 0o700, .. })));
        own_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o770)).unwrap();
        assert!(matches!(own_dir(&path), Err(KeyError::Mode { wanted: 0o750, .. })));
        fs::remove_dir_all(path).unwrap();
    }
}
