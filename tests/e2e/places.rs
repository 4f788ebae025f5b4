//! Where a node does not start, and where it starts on less than it would like: each cause by its
//! name, with the real binary in the real place.

use std::{
    fs::{self, File},
    os::unix::fs::chown,
    path::Path,
    process::{Child, Command, Stdio},
};

use super::{
    not_run,
    process::{RunningNode, command, is_root, scratch},
    refusals::must_refuse,
    template::{SETTINGS, Template, issue},
};
use crate::kernel::denied;

/// Starts a command from a thread that was first confined; its children are confined with it.
fn confined(
    mut command: Command,
    confine: impl FnOnce() -> Result<(), String> + Send + 'static,
) -> Result<Child, String> {
    let thread = std::thread::spawn(move || {
        confine()?;
        command.spawn().map_err(|error| error.to_string())
    });
    thread.join().expect("it does not panic")
}

/// The command with its standard error in a file.
fn logged(data: &Path, settings: &[&str], log: &Path) -> Command {
    let mut command = command(data, settings);
    command.stdout(Stdio::null()).stderr(File::create(log).expect("a file"));
    command
}

#[tokio::test]
async fn a_directory_of_somebody_else_and_a_ledger_that_is_gone_are_refused() {
    let template = Template::new().await;
    let strangers = template.copy("strangers");
    for ours in ["ledger", "keys", "run"] {
        fs::remove_dir_all(strangers.join(ours)).expect("it is ours");
    }
    fs::write(strangers.join("letters"), "").expect("written");
    must_refuse("strangers", command(&strangers, &SETTINGS), 98, &["letters", "data_dir"]).await;
    assert_eq!(fs::read_dir(&strangers).expect("it is there").count(), 1, "nothing was made there");

    let gone = template.copy("gone");
    fs::remove_dir_all(gone.join("ledger")).expect("it is ours");
    must_refuse("gone", command(&gone, &SETTINGS), 98, &["no ledger", "--new-ledger"]).await;
    assert!(!gone.join("ledger").exists(), "nothing was made there");
    let mut anew = command(&gone, &SETTINGS);
    let mut node = RunningNode::spawn(anew.arg("--new-ledger").stdout(Stdio::null()), &gone).await;
    issue(&mut node.wallet().await).await;
    assert_eq!(node.stop().await.code(), Some(0));
    // It is its ledger now, and needs no flag any more.
    let mut node = RunningNode::start_with(&gone, &SETTINGS).await;
    assert_eq!(node.stop().await.code(), Some(0));
}

#[tokio::test]
async fn another_format_and_another_owner_are_refused() {
    let template = Template::new().await;
    let data = template.copy("format");
    let superblock = data.join("ledger/superblock");
    let mut bytes = fs::read(&superblock).expect("it is there");
    for copy in [0, 65_536] {
        bytes[copy + 8] = 9;
        let hash = blake3::hash(&bytes[copy..copy + 4_064]);
        bytes[copy + 4_064..copy + 4_096].copy_from_slice(hash.as_bytes());
    }
    fs::write(&superblock, bytes).expect("it is ours");
    let words = ["superblock", "format 9 is newer", "use the build that wrote it"];
    must_refuse("format", command(&data, &SETTINGS), 84, &words).await;

    if !is_root() {
        return not_run("places::another_owner", "not root");
    }
    let data = template.copy("owner");
    chown(data.join("keys/caps.key"), Some(65_534), None).expect("root may");
    must_refuse("owner", command(&data, &SETTINGS), 77, &["caps.key", "uid 65534", "chown"]).await;
}

#[tokio::test]
async fn a_token_of_a_key_that_is_gone_is_replaced_and_told() {
    let template = Template::new().await;
    let (data, log) = (template.copy("token"), template.copy("logs").join("log"));
    fs::remove_file(data.join("keys/caps.key")).expect("it is ours");
    let mut node = RunningNode::spawn(&mut logged(&data, &SETTINGS, &log), &data).await;
    issue(&mut node.wallet().await).await;
    assert_eq!(node.stop().await.code(), Some(0));
    let words = fs::read_to_string(&log).expect("it writes its log");
    assert!(words.contains("keys/dev.token is not of keys/caps.key, and is replaced"), "{words}");
}

/// A file system that refuses direct I/O, unmounted with this value.
struct PageCacheOnly(tempfile::TempDir);

impl PageCacheOnly {
    fn mount() -> Result<Self, String> {
        let home = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "ramfs", "none"]).arg(home.path()).output();
        match mounted {
            Ok(output) if output.status.success() => Ok(Self(home)),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(format!("mount: {error}")),
        }
    }
}

impl Drop for PageCacheOnly {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.0.path()).status());
    }
}

#[tokio::test]
async fn a_file_system_without_direct_io_is_refused_or_told() {
    let place = match PageCacheOnly::mount() {
        Ok(place) => place,
        Err(reason) => return not_run("places::without_direct_io", reason),
    };
    let (data, logs) = (place.0.path().join("data"), scratch());
    let (required, auto) = (["storage.direct=required"], logs.path().join("log"));
    must_refuse("required", command(&data, &required), 86, &["refuses direct I/O", "storage.direct"]).await;
    let mut node = RunningNode::spawn(&mut logged(&data, &[], &auto), &data).await;
    issue(&mut node.wallet().await).await;
    let version = node.client("ledger_admin").await.get("/version").await.expect("it listens").json();
    assert_eq!(version["storage"]["direct"], false, "{version}");
    assert_eq!(node.stop().await.code(), Some(0));
    let words = fs::read_to_string(&auto).expect("it writes its log");
    assert!(words.contains("refuses direct I/O: the journal goes through the page cache"), "{words}");
}

#[tokio::test]
async fn a_ring_that_a_filter_denies_is_named_and_stood_in_for() {
    let (home, logs) = (scratch(), scratch());
    let log = logs.path().join("log");
    let data = home.path().join("data");
    let deny = || denied::deny(disk::Errno::PERM);
    let mut uring = logged(&data, &["storage.io=uring"], &log);
    uring.stdin(Stdio::null());
    let mut refused = match confined(uring, deny) {
        Ok(child) => child,
        Err(reason) => return not_run("places::a_ring_that_a_filter_denies", reason),
    };
    assert_eq!(super::process::ended(&mut refused).await.code(), Some(89));
    let words = fs::read_to_string(&log).expect("it says why");
    assert!(words.contains("denied by a seccomp filter") && words.contains("storage.io"), "{words}");

    for commit in ["dsync", "fdatasync_linked", "fdatasync"] {
        // Each in a place of its own: there is no old word of where it listens.
        let (data, setting) = (home.path().join(commit), format!("storage.commit={commit}"));
        let child = confined(logged(&data, &[&setting], &log), deny).expect("as before");
        let mut node = RunningNode::adopt(child, &data).await;
        issue(&mut node.wallet().await).await;
        let mut admin = node.client("ledger_admin").await;
        let version = admin.get("/version").await.expect("it listens").json();
        assert_eq!(
            (&version["storage"]["io"], &version["storage"]["commit"]),
            (&"pwrite".into(), &commit.into())
        );
        let metrics = admin.get("/metrics").await.expect("it listens").text();
        assert!(metrics.contains(&format!("ledger_storage_info{{commit=\"{commit}\"")), "{metrics}");
        assert_eq!(node.stop().await.code(), Some(0));
        let words = fs::read_to_string(&log).expect("it writes its log");
        let expected =
            "written by pwritev2, one write at a time, instead of io_uring: io_uring is denied by a seccomp";
        assert_eq!(words.matches(expected).count(), 1, "{words}");
    }
}

/// What is asked for the probe and the committer is given, and what glommio asks for is not.
#[tokio::test]
async fn shards_run_on_epoll_if_glommio_gets_no_ring_after_the_probe() {
    const GLOMMIO_ENTRIES: u64 = 128;
    let (home, logs) = (scratch(), scratch());
    let log = logs.path().join("log");
    let data = home.path().join("data");
    let deny = || denied::deny_rings_of(GLOMMIO_ENTRIES);
    let child = match confined(logged(&data, &["storage.io=auto"], &log), deny) {
        Ok(child) => child,
        Err(reason) => return not_run("places::shards_run_on_epoll", reason),
    };
    let mut node = RunningNode::adopt(child, &data).await;
    issue(&mut node.wallet().await).await;
    assert_eq!(node.stop().await.code(), Some(0));
    let words = fs::read_to_string(&log).expect("it writes its log");
    assert!(words.contains("a shard runs on epoll, because glommio gets no ring"), "{words}");
    let insists = logged(&home.path().join("other"), &["accounting.executor=glommio"], &log);
    let mut refused = confined(insists, deny).expect("as before");
    assert_eq!(super::process::ended(&mut refused).await.code(), Some(89));
}
