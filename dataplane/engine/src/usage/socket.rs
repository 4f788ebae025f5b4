//! The accounting socket's place in the file system: a private directory, a socket of mode 0600.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use disk::directory;

/// Bytes of a socket's path at most (`sun_path` with its final zero, unix(7)).
pub(crate) const PATH_BYTES_MAX: usize = 107;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Its path is too long.
    #[error("{path}: a socket's path has at most 107 bytes; set `accounting.socket` to a shorter one")]
    TooLong {
        /// The path.
        path: PathBuf,
    },
    /// Others may write where it should lie.
    #[error("{directory}: others may write here; take a directory of your own with mode 0700")]
    Shared {
        /// The directory.
        directory: PathBuf,
    },
    /// Something listens there.
    #[error("{path}: another process listens here; stop it, or set `accounting.socket`")]
    Taken {
        /// The path.
        path: PathBuf,
    },
    /// Something that is not a socket lies there.
    #[error("{path}: this is not a socket, and it is in the way of one; move it away")]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("{path}: no socket can be made here: {error}")]
    Io {
        /// The path.
        path: PathBuf,
        /// What it says.
        error: io::Error,
    },
}

/// Listens at `path`. Missing directories are made with mode 0700; a socket that nobody listens at
/// any more is replaced.
pub(crate) fn listen(path: &Path) -> Result<UnixListener, SocketError> {
    let failed = |error| SocketError::Io { path: path.into(), error };
    if path.as_os_str().len() > PATH_BYTES_MAX {
        return Err(SocketError::TooLong { path: path.into() });
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    directory::create_private_dir(parent).map_err(|error| failed(io::Error::other(error)))?;
    let metadata = fs::metadata(parent).map_err(failed)?;
    if metadata.mode() & 0o022 != 0 || metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(SocketError::Shared { directory: parent.into() });
    }
    clear(path)?;
    let listener = UnixListener::bind(path).map_err(failed)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

/// Removes what a process that is gone has left.
fn clear(path: &Path) -> Result<(), SocketError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(SocketError::Io { path: path.into(), error }),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(SocketError::NotASocket { path: path.into() });
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|error| SocketError::Io { path: path.into(), error })
        }
        Err(error) => Err(SocketError::Io { path: path.into(), error }),
        Ok(_) => Err(SocketError::Taken { path: path.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_private_and_what_is_in_its_way_is_told() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("run").join("accounting.sock");
        let listener = listen(&path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
        assert!(matches!(listen(&path), Err(SocketError::Taken { .. })));
        drop(listener);
        drop(listen(&path).expect("a dead socket is replaced"));
        fs::remove_file(&path).unwrap();
        fs::write(&path, "a file").unwrap();
        assert!(matches!(listen(&path), Err(SocketError::NotASocket { .. })));
        let long = scratch.path().join("d".repeat(108));
        assert!(matches!(listen(&long), Err(SocketError::TooLong { .. })));
        let shared = scratch.path().join("shared");
        fs::create_dir(&shared).unwrap();
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(listen(&shared.join("s")), Err(SocketError::Shared { .. })));
    }
}
