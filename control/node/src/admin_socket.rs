//! `AdminSocket`: the operators' Unix socket: bounded lines, bounded connections, deadlines.
//!
//! Holds: only this user and root are answered (`SO_PEERCRED`, a directory of mode 0700, a socket of
//! mode 0600); whatever a peer sends costs one bounded line and its own connection. A node without
//! a socket works as well: what could not be made is told and gone without. Leaves to others: the
//! messages (`wire::admin`), the answers (`AdminDesk`).

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};
use wire::admin::{LINE_BYTES_MAX, Outcome, Refusal, RefusalCode, Reply, Request};

use crate::{
    admin_desk::AdminDesk,
    admin_place::{Place, places, short_directory},
    params::Params,
};

/// Connections open at once; one more is refused.
const CONNECTIONS_MAX: usize = 16;
/// How long a whole line may take to arrive, and an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long accepting rests when the process is out of descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// The bound socket; its name goes with it.
#[derive(Debug)]
pub(crate) struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

impl AdminSocket {
    /// Opens the socket and answers on it in a task of `serving` until the stop; says where it is.
    pub(crate) fn open(
        params: &Params,
        desk: AdminDesk,
        serving: &mut JoinSet<()>,
        stop: watch::Receiver<bool>,
    ) -> Option<PathBuf> {
        let socket = Self::bind(params)?;
        let path = socket.path.clone();
        serving.spawn(socket.serve(Arc::new(desk), stop));
        Some(path)
    }

    /// Binds the first place that can be had; says what was passed over. Needs a runtime.
    fn bind(params: &Params) -> Option<Self> {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let data_dir = std::path::absolute(&params.data_dir).unwrap_or_else(|_| params.data_dir.clone());
        let short = short_directory(&data_dir, rustix::process::geteuid().as_raw());
        let (places, told) = places(params.admin_socket.as_deref(), runtime.as_deref(), &data_dir, &short);
        told.iter().for_each(|passed| tracing::warn!("admin socket: {passed}; trying another place"));
        for place in places {
            match Self::bind_at(&place) {
                Ok(socket) => {
                    tracing::info!(path = %place.path.display(), "admin socket listens");
                    return Some(socket);
                }
                Err(error) => {
                    tracing::warn!("admin socket: {}: {error}; trying another place", place.path.display());
                }
            }
        }
        tracing::error!("admin socket: no place could be had; ronctl cannot ask this node");
        None
    }

    fn bind_at(place: &Place) -> io::Result<Self> {
        place.prepare()?;
        remove_stale(&place.path)?;
        let listener = UnixListener::bind(&place.path)?;
        fs::set_permissions(&place.path, fs::Permissions::from_mode(0o600))?;
        let inode = fs::symlink_metadata(&place.path)?.ino();
        Ok(Self { listener, path: place.path.clone(), inode })
    }

    /// Answers until the stop is asked for.
    async fn serve(self, desk: Arc<AdminDesk>, mut stop: watch::Receiver<bool>) {
        let mut talks = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = stopped(&mut stop) => break,
                Some(_) = talks.join_next() => continue,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let turned_away = (talks.len() >= CONNECTIONS_MAX)
                        .then(|| refusal(RefusalCode::Busy, "too many connections; try again"));
                    if let Some(refusal) = turned_away.or_else(|| stranger(&stream)) {
                        turn_away(&stream, refusal);
                        continue;
                    }
                    talks.spawn(talk(stream, Arc::clone(&desk)));
                }
                Err(error) => {
                    tracing::warn!(%error, "admin socket: accepting a connection failed");
                    tokio::time::sleep(ACCEPT_REST).await;
                }
            }
        }
        talks.shutdown().await;
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        // Another node may have taken the name meanwhile; then it is not ours to remove.
        if fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            drop(fs::remove_file(&self.path));
        }
    }
}

/// Waits until the stop is asked for, or nobody is left who could ask.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

/// Removes a socket that nobody listens on any more.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return Err(io::Error::other("it is no socket")),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another node listens there")),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
    }
}

/// The refusal of a peer that is neither this user nor root.
fn stranger(stream: &UnixStream) -> Option<Refusal> {
    let own = rustix::process::geteuid().as_raw();
    let peer = stream.peer_cred().map(|peer| peer.uid());
    let known = peer.is_ok_and(|peer| peer == own || peer == 0);
    (!known).then(|| refusal(RefusalCode::Forbidden, "only the node's own user and root are answered"))
}

fn refusal(code: RefusalCode, message: &str) -> Refusal {
    Refusal { code, message: message.into() }
}

/// Says why, as far as the socket takes it at once, and closes.
fn turn_away(stream: &UnixStream, refusal: Refusal) {
    let line = Reply::new(Outcome::Error(refusal)).line();
    if let Err(error) = stream.try_write(line.as_bytes()) {
        tracing::debug!(%error, "admin socket: a connection was closed without an answer");
    }
}

/// One connection: questions and answers, one after the other.
async fn talk(mut stream: UnixStream, desk: Arc<AdminDesk>) {
    let mut lines = Lines::default();
    loop {
        let line = match timeout(PATIENCE, lines.next(&mut stream)).await {
            Ok(Ok(Some(line))) => Ok(line),
            Ok(Ok(None) | Err(_)) => return,
            Err(_) if lines.buffer.is_empty() => return,
            Err(_) => Err(refusal(RefusalCode::Timeout, "the line did not arrive within 5 s")),
        };
        let (outcome, ends) = match line {
            Ok(Line::Whole(line)) => (answer(&desk, &line), false),
            Ok(Line::TooLong) => {
                (Outcome::Error(refusal(RefusalCode::TooLong, "a line has at most 65536 bytes")), true)
            }
            Err(refusal) => (Outcome::Error(refusal), true),
        };
        let reply = Reply::new(outcome).line();
        let taken = timeout(PATIENCE, stream.write_all(reply.as_bytes())).await;
        if ends || !matches!(taken, Ok(Ok(()))) {
            return;
        }
    }
}

fn answer(desk: &AdminDesk, line: &[u8]) -> Outcome {
    match Request::parse(line) {
        Ok(request) => desk.answer(&request.ask),
        Err(refusal) => Outcome::Error(refusal),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Line {
    Whole(Vec<u8>),
    TooLong,
}

/// What has arrived and is not yet a line.
#[derive(Debug, Default)]
struct Lines {
    buffer: Vec<u8>,
}

impl Lines {
    /// The next line without its end; `None` when the peer is done.
    async fn next(&mut self, stream: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Option<Line>> {
        let mut chunk = [0; 4096];
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
                line.pop();
                return Ok(Some(Line::Whole(line)));
            }
            if self.buffer.len() >= LINE_BYTES_MAX {
                return Ok(Some(Line::TooLong));
            }
            let room = chunk.len().min(LINE_BYTES_MAX - self.buffer.len());
            let read = stream.read(chunk.get_mut(..room).expect("within the chunk")).await?;
            if read == 0 {
                return Ok(None);
            }
            self.buffer.extend_from_slice(chunk.get(..read).expect("within the chunk"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_cut_out_of_whatever_arrives_and_bounded() {
        let (mut near, mut far) = tokio::io::duplex(1 << 20);
        far.write_all(b"one\n\ntwo\nrest").await.unwrap();
        let mut lines = Lines::default();
        for expected in ["one", "", "two"] {
            let line = lines.next(&mut near).await.unwrap();
            assert_eq!(line, Some(Line::Whole(expected.into())));
        }
        far.write_all(&[b'x'; LINE_BYTES_MAX]).await.unwrap();
        assert_eq!(lines.next(&mut near).await.unwrap(), Some(Line::TooLong));
        assert_eq!(lines.buffer.len(), LINE_BYTES_MAX);
        let (mut near, far) = tokio::io::duplex(16);
        drop(far);
        assert_eq!(Lines::default().next(&mut near).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_name_that_a_node_holds_is_left_alone_and_a_stale_one_is_taken() {
        let home = std::env::temp_dir().join(format!("macronode-socket-{}", std::process::id()));
        drop(fs::remove_dir_all(&home));
        let (all, _) = places(None, None, &home, Path::new("/unused"));
        let first = AdminSocket::bind_at(&all[0]).unwrap();
        let mode = fs::metadata(&first.path).unwrap().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let refused = AdminSocket::bind_at(&all[0]).unwrap_err();
        assert!(refused.to_string().contains("another node"), "{refused}");
        let path = first.path.clone();
        // As after a kill: the name stays, nobody listens.
        drop(first);
        assert!(!path.exists());
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        AdminSocket::bind_at(&all[0]).unwrap();
        fs::write(&path, b"a file").unwrap();
        assert!(AdminSocket::bind_at(&all[0]).unwrap_err().to_string().contains("no socket"));
        fs::remove_dir_all(home).unwrap();
    }
}
