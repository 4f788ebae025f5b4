//! The node's keys: files of 0600 in a directory of 0700, made at the first start.
//!
//! Holds: a key file that others may read is refused. Leaves to others: what a key is for
//! (`caps` for capabilities, `ledger` for checkpoints).

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

/// What is wrong with the keys, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// The system refuses.
    #[error("{path}: {error}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Others may read it.
    #[error("{path}: mode {mode:03o} lets others read it: `chmod {wanted:o} {path}`")]
    Mode {
        /// Which file.
        path: PathBuf,
        /// The mode found.
        mode: u32,
        /// The mode wanted.
        wanted: u32,
    },
    /// It does not hold 64 hex digits.
    #[error("{path}: a key is 64 hex digits on one line; restore it from a backup")]
    Format {
        /// Which file.
        path: PathBuf,
    },
    /// The kernel gives no random bytes.
    #[error("no random bytes from the kernel: {0}")]
    Random(String),
}

/// A secret of 32 bytes, wiped when it is dropped.
pub(crate) type Secret = Zeroizing<[u8; 32]>;

/// The key directory.
#[derive(Debug)]
pub(crate) struct Keys {
    directory: PathBuf,
}

impl Keys {
    /// Opens the key directory, making it if it is not there.
    ///
    /// # Errors
    /// If it cannot be made, or others may enter it.
    pub(crate) fn open(directory: &Path) -> Result<Self, KeyError> {
        let io = |error| KeyError::Io { path: directory.into(), error };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io)?;
        check_mode(directory, 0o700)?;
        Ok(Self { directory: directory.into() })
    }

    /// The key of this name, made from kernel randomness if it is not there.
    ///
    /// # Errors
    /// If the file cannot be read or made, is readable by others, or holds no key.
    pub(crate) fn secret(&self, name: &str) -> Result<Secret, KeyError> {
        let path = self.directory.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => {
                check_mode(&path, 0o600)?;
                let text = Zeroizing::new(text);
                let mut secret = Secret::default();
                hex::decode_to_slice(text.trim_end(), &mut secret[..])
                    .map_err(|_| KeyError::Format { path })?;
                Ok(secret)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let secret = random()?;
                self.write(name, &Zeroizing::new(hex::encode(&secret[..])))?;
                Ok(secret)
            }
            Err(error) => Err(KeyError::Io { path, error }),
        }
    }

    /// Writes one line into a file of this name, 0600, durably; a file that is there is replaced.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn write(&self, name: &str, line: &str) -> Result<PathBuf, KeyError> {
        let path = self.directory.join(name);
        let temporary = self.directory.join(format!("{name}.new"));
        let io = |error| KeyError::Io { path: path.clone(), error };
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(io)?;
        file.write_all(line.as_bytes()).and_then(|()| file.write_all(b"\n")).map_err(io)?;
        file.sync_all().map_err(io)?;
        fs::rename(&temporary, &path).map_err(io)?;
        fs::File::open(&self.directory).and_then(|directory| directory.sync_all()).map_err(io)?;
        Ok(path)
    }

    /// Where a key of this name lies.
    #[must_use]
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
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

fn check_mode(path: &Path, wanted: u32) -> Result<(), KeyError> {
    let metadata = fs::metadata(path).map_err(|error| KeyError::Io { path: path.into(), error })?;
    let mode = metadata.permissions().mode() & 0o777;
    if metadata.uid() != rustix::process::geteuid().as_raw() || mode & !wanted != 0 {
        return Err(KeyError::Mode { path: path.into(), mode, wanted });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("macronode-keys-{name}-{}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        path
    }

    #[test]
    fn a_key_is_made_once_and_private() {
        let path = directory("once");
        let keys = Keys::open(&path).unwrap();
        let first = keys.secret("a.key").unwrap();
        assert_eq!(*first, *Keys::open(&path).unwrap().secret("a.key").unwrap());
        assert_ne!(*first, *keys.secret("b.key").unwrap());
        assert_eq!(fs::metadata(keys.path("a.key")).unwrap().permissions().mode() & 0o777, 0o600);
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let path = directory("mode");
        let keys = Keys::open(&path).unwrap();
        keys.secret("a.key").unwrap();
        fs::set_permissions(keys.path("a.key"), fs::Permissions::from_mode(0o640)).unwrap();
        assert!(keys.secret("a.key").unwrap_err().to_string().contains("chmod 600"));
        fs::set_permissions(keys.path("a.key"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(keys.path("a.key"), "short").unwrap();
        assert!(matches!(keys.secret("a.key"), Err(KeyError::Format { .. })));
        fs::remove_dir_all(path).unwrap();
    }
}
