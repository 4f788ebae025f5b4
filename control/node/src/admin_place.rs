//! Where the operators' socket may lie: in order of preference, each in a directory that is its
//! owner's alone.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

/// Bytes of a socket's path at most (unix(7): 108 with the closing zero).
const PATH_BYTES_MAX: usize = 107;
const SOCKET: &str = "admin.sock";

/// A place for the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
}

/// The places to try, the best first, and a word about each that is left out. `short` is where a
/// path that is too long elsewhere finds room.
pub(crate) fn places(
    configured: Option<&Path>,
    runtime: Option<&Path>,
    data_dir: &Path,
    short: &Path,
) -> (Vec<Place>, Vec<String>) {
    let runtime =
        runtime.filter(|runtime| runtime.is_absolute()).map(|runtime| runtime.join("ron").join(SOCKET));
    let wanted = configured.map(Path::to_path_buf).or(runtime);
    let wanted = wanted.map(|path| Place { path });
    let data = Place { path: data_dir.join("run").join(SOCKET) };
    let short = Place { path: short.join(SOCKET) };
    let mut told = Vec::new();
    let fits = |place: &Place| {
        let bytes = place.path.as_os_str().len();
        if bytes > PATH_BYTES_MAX {
            told.push(format!(
                "{}: {bytes} bytes, a socket's path has at most {PATH_BYTES_MAX}",
                place.path.display()
            ));
        }
        bytes <= PATH_BYTES_MAX
    };
    let places = wanted.into_iter().chain([data, short]).filter(fits).collect();
    (places, told)
}

/// A short directory for this user and this data directory.
pub(crate) fn short_directory(data_dir: &Path, user: u32) -> PathBuf {
    let digest = ledger::HashKind::Sha256.digest(data_dir.as_os_str().as_encoded_bytes());
    let name = hex::encode(digest.first_chunk::<6>().expect("32 bytes hold 6"));
    Path::new("/tmp").join(format!("ron-{user}-{name}"))
}

impl Place {
    /// Makes the directory (0700) if it is not there; one that is there must be this user's alone.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let Some(directory) = directory else { return Err(io::Error::other("the path has no directory")) };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        // Not followed: in a shared directory a link could be another's.
        let found = fs::symlink_metadata(directory)?;
        if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() {
            return Err(io::Error::other("its directory is not a directory of this user"));
        }
        if found.mode() & 0o077 != 0 {
            return Err(io::Error::other(format!(
                "its directory has mode {:03o}; chmod 700 it, so that nobody else reaches the socket",
                found.mode() & 0o777
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(places: &[Place]) -> Vec<&str> {
        places.iter().map(|place| place.path.to_str().unwrap()).collect()
    }

    #[test]
    fn the_configured_path_then_the_runtime_directory_then_the_data_directory() {
        let (data, short) = (Path::new("/srv/ron"), Path::new("/tmp/ron-1-ab"));
        let rest = ["/srv/ron/run/admin.sock", "/tmp/ron-1-ab/admin.sock"];
        for (configured, runtime, first) in [
            (Some("/a/b.sock"), Some("/run/user/1"), Some("/a/b.sock")),
            (None, Some("/run/user/1"), Some("/run/user/1/ron/admin.sock")),
            (None, Some("relative"), None),
            (None, None, None),
        ] {
            let (places, told) = places(configured.map(Path::new), runtime.map(Path::new), data, short);
            let expected: Vec<&str> = first.into_iter().chain(rest).collect();
            assert_eq!((shown(&places), told), (expected, Vec::new()));
        }
    }

    #[test]
    fn a_path_that_is_too_long_is_left_out_and_told() {
        let long = PathBuf::from(format!("/{}", "x".repeat(100)));
        let short = short_directory(&long, 1000);
        let (places, told) = places(None, None, &long, &short);
        assert_eq!(places.len(), 1);
        assert!(places[0].path.starts_with("/tmp/") && told[0].contains("at most 107"), "{told:?}");
        assert_ne!(short, short_directory(Path::new("/other"), 1000));
    }

    #[test]
    fn a_directory_that_others_may_enter_is_refused_and_a_missing_one_is_made_private() {
        use std::os::unix::fs::PermissionsExt;
        let home = std::env::temp_dir().join(format!("macronode-place-{}", std::process::id()));
        drop(fs::remove_dir_all(&home));
        let place = Place { path: home.join(SOCKET) };
        place.prepare().unwrap();
        assert_eq!(fs::metadata(&home).unwrap().mode() & 0o777, 0o700);
        fs::set_permissions(&home, fs::Permissions::from_mode(0o750)).unwrap();
        let refused = place.prepare().unwrap_err();
        assert!(refused.to_string().contains("chmod 700"), "{refused}");
        fs::remove_dir_all(home).unwrap();
    }
}
