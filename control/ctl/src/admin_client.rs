//! One question over the admin socket, and where that socket is.
//!
//! Holds: nothing waits longer than the deadline, and no more than one bounded line is taken.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use wire::admin::{LINE_BYTES_MAX, Outcome, Reply, Request, VERSION, Verb};

use crate::exit;

/// How long the node may take for its answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where `macronode` keeps its data if nobody says otherwise.
const DEFAULT_DATA_DIR: &str = "macronode-data";

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// Nobody listens there.
    #[error(
        "{path}: nobody answers ({error}); is the node running? --data-dir or --socket names another one"
    )]
    Nobody {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The kernel does not let this user in.
    #[error("{path}: permission denied; run as the user that the node runs as, or as root")]
    Permission {
        /// The socket.
        path: PathBuf,
    },
    /// What came back is no answer of this version.
    #[error(
        "{path}: the answer is not one of version {VERSION}: {error}; use the ronctl of the node's own version"
    )]
    Answer {
        /// The socket.
        path: PathBuf,
        /// What is wrong.
        error: String,
    },
}

impl AskError {
    /// The exit code of a process that ends with this error.
    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Self::Nobody { .. } => exit::NOBODY,
            Self::Permission { .. } => exit::PERMISSION,
            Self::Answer { .. } => exit::ANSWER,
        }
    }
}

/// The part of `run/endpoints.json` that leads to the socket.
#[derive(Deserialize)]
struct Endpoints {
    admin_socket: Option<PathBuf>,
}

/// The node's socket: as named, or as the data directory says, or in the runtime directory, or of
/// the default data directory.
pub(crate) fn find(socket: Option<&Path>, data_dir: Option<&Path>, runtime: Option<&Path>) -> PathBuf {
    if let Some(socket) = socket {
        return socket.into();
    }
    if let Some(data_dir) = data_dir {
        return of_data_dir(data_dir);
    }
    let shared = runtime.map(|runtime| runtime.join("ron/admin.sock"));
    shared.filter(|path| path.exists()).unwrap_or_else(|| of_data_dir(Path::new(DEFAULT_DATA_DIR)))
}

fn of_data_dir(data_dir: &Path) -> PathBuf {
    let run = data_dir.join("run");
    let told = fs::read(run.join("endpoints.json")).ok();
    let told = told.and_then(|text| serde_json::from_slice::<Endpoints>(&text).ok()?.admin_socket);
    told.unwrap_or_else(|| run.join("admin.sock"))
}

/// Asks one question.
///
/// # Errors
/// `AskError` if there is no answer. A refusal is an answer.
pub(crate) fn ask(path: &Path, verb: Verb) -> Result<Outcome, AskError> {
    let line = talk(path, &Request::new(verb).line()).map_err(|error| {
        if error.kind() == io::ErrorKind::PermissionDenied {
            AskError::Permission { path: path.into() }
        } else {
            AskError::Nobody { path: path.into(), error }
        }
    })?;
    let reply: Result<Reply, _> = serde_json::from_slice(&line);
    match reply {
        Ok(Reply { v: VERSION, result }) => Ok(result),
        Ok(Reply { v, .. }) => {
            Err(AskError::Answer { path: path.into(), error: format!("it has version {v}") })
        }
        Err(error) => Err(AskError::Answer { path: path.into(), error: error.to_string() }),
    }
}

fn talk(path: &Path, question: &str) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(question.as_bytes())?;
    let mut line = Vec::new();
    let limit = u64::try_from(LINE_BYTES_MAX).expect("a small bound");
    BufReader::new(stream.take(limit)).read_until(b'\n', &mut line)?;
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_found_where_the_node_said() {
        let home = tempfile::tempdir().unwrap();
        let run = home.path().join("run");
        assert_eq!(find(Some(Path::new("/a")), Some(home.path()), None), Path::new("/a"));
        assert_eq!(find(None, Some(home.path()), None), run.join("admin.sock"));
        fs::create_dir_all(&run).unwrap();
        fs::write(run.join("endpoints.json"), r#"{"wallet":"127.0.0.1:1","admin_socket":"/b"}"#).unwrap();
        assert_eq!(find(None, Some(home.path()), None), Path::new("/b"));
        let shared = home.path().join("ron/admin.sock");
        assert_eq!(find(None, None, Some(home.path())), Path::new("macronode-data/run/admin.sock"));
        fs::create_dir_all(home.path().join("ron")).unwrap();
        fs::write(&shared, "").unwrap();
        assert_eq!(find(None, None, Some(home.path())), shared);
    }

    #[test]
    fn nobody_there_and_nonsense_have_their_own_codes() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("s");
        assert_eq!(ask(&path, Verb::Status {}).unwrap_err().exit_code(), 4);
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let answer = std::thread::spawn(move || {
            for line in
                ["{\"v\":2,\"result\":{\"chaos\":{\"enabled\":false,\"faults\":[]}}}\n", "SSH-2.0\n", ""]
            {
                listener.accept().unwrap().0.write_all(line.as_bytes()).unwrap();
            }
        });
        for word in ["version 2", "expected value", "EOF"] {
            let error = ask(&path, Verb::Status {}).unwrap_err();
            // A peer that closes before the question was taken is nobody.
            let known = error.exit_code() == 76 && error.to_string().contains(word);
            assert!(known || error.exit_code() == 4, "{error}");
        }
        answer.join().unwrap();
    }
}
