//! Starts that must fail: each with its own exit code, and words that say what to do.

use std::{
    fs::{self, Permissions},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
};

use super::{
    not_run,
    process::{RunningNode, binary, command, scratch, until},
};

/// Runs a node that is expected to end by itself; its exit code and last words.
fn refused(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().expect("the program starts");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn a_second_node_on_the_same_directory_is_told_who_has_it() {
    let scratch = scratch();
    let node = RunningNode::start(scratch.path()).await;
    let (code, words) = refused(&mut command(scratch.path(), &[]));
    assert_eq!(code, Some(75), "{words}");
    assert!(words.contains("in use by") && words.contains(&node.pid().to_string()), "{words}");
    let balance = node.wallet().await.get("/v1/balance?account=x&asset=ron").await.expect("it listens");
    assert_eq!(balance.status, 404, "the first goes on: {}", balance.text());
}

#[tokio::test]
async fn of_two_first_starts_at_once_one_serves() {
    for _ in 0..4 {
        let scratch = scratch();
        let data = scratch.path().join("data");
        let start = || {
            let mut command = command(&data, &[]);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary starts")
        };
        let mut both = vec![start(), start()];
        let ended = |both: &mut Vec<Child>| {
            both.iter_mut().position(|process| process.try_wait().expect("ours").is_some())
        };
        let loser = until("one of them gives up", || ended(&mut both)).await;
        let status = both.remove(loser).wait().expect("ours");
        assert_eq!(status.code(), Some(75), "the other has the directory");
        let mut node = RunningNode::adopt(both.remove(0), &data).await;
        let issue = r#"{"to":"a","asset":"ron","amount_minor":"5"}"#;
        let reply = node.wallet().await.post("/v1/issue", "k", issue.into()).await.expect("it listens");
        assert_eq!(reply.status, 200, "the token is of the keys in use: {}", reply.text());
        assert_eq!(node.stop().await.code(), Some(0));
    }
}

#[tokio::test]
async fn a_node_that_nobody_listens_to_runs() {
    let scratch = scratch();
    let mut deaf = command(scratch.path(), &["log=trace"]);
    let mut child = deaf.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    // The reading ends are closed: whatever it writes fails from here on.
    drop((child.stdout.take(), child.stderr.take()));
    let mut node = RunningNode::adopt(child, scratch.path()).await;
    let issue = r#"{"to":"a","asset":"ron","amount_minor":"5"}"#;
    let reply = node.wallet().await.post("/v1/issue", "k", issue.into()).await.expect("it listens");
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(node.stop().await.code(), Some(0));
}

#[tokio::test]
async fn a_taken_port_is_told_by_its_key() {
    let scratch = scratch();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound");
    for key in ["ledger.http", "wallet.admin"] {
        let setting = format!("{key}={address}");
        let (code, words) = refused(&mut command(scratch.path(), &[&setting]));
        assert_eq!(code, Some(75), "{words}");
        assert!(words.contains(&format!("{key} = {address}: cannot listen")), "{words}");
    }
    drop(taken);
    let mut node = RunningNode::start(scratch.path()).await;
    assert_eq!(node.stop().await.code(), Some(0), "the refused starts did no harm");
}

#[tokio::test]
async fn lax_modes_are_refused_by_name() {
    let scratch = scratch();
    let data = &scratch.path().join("data");
    let mut node = RunningNode::start(data).await;
    assert_eq!(node.stop().await.code(), Some(0));
    for (name, lax) in [
        ("keys/caps.key", 0o640),
        ("keys/checkpoint.key", 0o604),
        ("keys/dev.token", 0o644),
        ("keys", 0o750),
        ("ledger", 0o755),
        ("", 0o770),
    ] {
        let path = data.join(name);
        let before = fs::metadata(&path).expect("made at the first start").permissions();
        assert_eq!(before.mode() & 0o077, 0, "{name} is private");
        fs::set_permissions(&path, Permissions::from_mode(lax)).expect("ours");
        let (code, words) = refused(&mut command(data, &[]));
        assert_eq!(code, Some(77), "{name}: {words}");
        let place = if name.is_empty() { data.display().to_string() } else { path.display().to_string() };
        assert!(words.contains(&place) && words.contains("chmod"), "{name}: {words}");
        fs::set_permissions(&path, before).expect("ours");
    }
    RunningNode::start(data).await;
}

#[test]
fn a_data_directory_that_cannot_be_one_is_refused() {
    let scratch = scratch();
    let file = scratch.path().join("file");
    fs::write(&file, "in the way").expect("written");
    for data in [file.clone(), file.join("below")] {
        let (code, words) = refused(&mut command(&data, &[]));
        assert_eq!(code, Some(98), "{words}");
        assert!(words.contains(&file.display().to_string()), "{words}");
    }
    assert_eq!(fs::read_to_string(&file).expect("still there"), "in the way");
}

#[test]
fn a_read_only_file_system_is_refused() {
    let scratch = scratch();
    let place = scratch.path().join("mounted");
    fs::create_dir(&place).expect("made");
    let mut program = Command::new("unshare");
    program.args(["--mount", "--", "sh", "-c", "mount -t tmpfs -o ro none \"$0\" && shift 0 && exec \"$@\""]);
    let node = command(&place.join("data"), &[]);
    program.arg(&place).arg(binary("macronode")).args(node.get_args());
    if !can_mount(&place) {
        let why = "a mount of its own needs root and unshare (util-linux)";
        return not_run("starts::a_read_only_file_system_is_refused", why);
    }
    let (code, words) = refused(&mut program);
    assert_eq!(code, Some(88), "{words}");
    assert!(words.contains("read-write"), "{words}");
}

/// Whether a mount in a namespace of its own is possible here.
fn can_mount(place: &Path) -> bool {
    let mut probe = Command::new("unshare");
    probe.args(["--mount", "--", "mount", "-t", "tmpfs", "-o", "ro", "none"]).arg(place);
    probe.output().is_ok_and(|output| output.status.success())
}
