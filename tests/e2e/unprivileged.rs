//! A node without rights: an ordinary user, 8 MiB of lockable memory as a hard limit.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
    process::Command,
};

use super::{
    not_run,
    process::{RunningNode, binary, command, is_root, is_there, until},
};

const NOBODY: u32 = 65_534;
const MEMLOCK: &str = "--memlock=8388608:8388608";
/// Less than the journal's buffers and glommio want.
const LITTLE_MEMLOCK: &str = "--memlock=65536:65536";

/// A copy of the binary where every user can reach it, and the words that take the rights away.
fn without_rights(scratch: &Path, data: &Path) -> Command {
    with_memlock(scratch, data, MEMLOCK)
}

fn with_memlock(scratch: &Path, data: &Path, memlock: &str) -> Command {
    let copy = scratch.join("macronode");
    fs::copy(binary("macronode"), &copy).expect("a copy of the binary");
    let mut program = Command::new("prlimit");
    program.args([memlock, "--"]);
    if is_root() {
        chown(scratch, Some(NOBODY), Some(NOBODY)).expect("root may");
        let id = NOBODY.to_string();
        program.args(["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups", "--no-new-privs", "--"]);
    }
    program.arg(copy).args(command(data, &["log=info"]).get_args()).current_dir("/");
    program
}

/// Whether the programs that take rights away are here; says so if not.
fn can_run(name: &str) -> bool {
    let missing = ["prlimit", "setpriv"].into_iter().find(|program| !is_there(program));
    if let Some(missing) = missing {
        not_run(&format!("unprivileged::{name}"), format!("there is no `{missing}` (util-linux)"));
    }
    missing.is_none()
}

#[test]
fn a_directory_that_may_not_be_written_is_refused() {
    if !can_run("a_directory_that_may_not_be_written_is_refused") {
        return;
    }
    let (scratch, place) = (tempfile::tempdir(), tempfile::tempdir());
    let (scratch, place) = (scratch.expect("a directory"), place.expect("a directory"));
    fs::set_permissions(place.path(), Permissions::from_mode(0o555)).expect("ours");
    let data = place.path().join("data");
    let output = without_rights(scratch.path(), &data).output().expect("the program starts");
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(77), "{words}");
    assert!(words.contains(&data.display().to_string()), "{words}");
}

#[tokio::test]
async fn an_ordinary_user_with_8_mib_of_memlock_makes_durable_transfers() {
    if !can_run("an_ordinary_user_with_8_mib_of_memlock_makes_durable_transfers") {
        return;
    }
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let (data, log) = (scratch.path().join("data"), scratch.path().join("log"));
    let start = || {
        let mut program = without_rights(scratch.path(), &data);
        program.stderr(fs::File::create(&log).expect("a file"));
        program.stdout(std::process::Stdio::null());
        program
    };
    let mut node = RunningNode::spawn(&mut start(), &data).await;
    let proc = format!("/proc/{}", node.pid());
    let limits = fs::read_to_string(format!("{proc}/limits")).expect("it runs");
    let memlock = limits.lines().find(|line| line.starts_with("Max locked memory")).expect("a limit");
    assert_eq!(memlock.matches("8388608").count(), 2, "{memlock}");
    let status = fs::read_to_string(format!("{proc}/status")).expect("it runs");
    let uid = status.lines().find(|line| line.starts_with("Uid:")).expect("a uid").to_owned();
    assert!(!uid.split_whitespace().skip(1).any(|uid| uid == "0"), "{uid}");

    let mut wallet = node.wallet().await;
    let issue = r#"{"to":"a","asset":"ron","amount_minor":"1000"}"#;
    let issued = wallet.post("/v1/issue", "one", issue.into()).await.expect("it listens");
    assert_eq!(issued.status, 200, "{}", issued.text());
    let transfer = r#"{"from":"a","to":"b","asset":"ron","amount_minor":"250"}"#;
    let first = wallet.post("/v1/transfer", "two", transfer.into()).await.expect("it listens");
    assert_eq!(first.status, 200, "{}", first.text());
    let opened = until("it says how it writes", || {
        let text = fs::read_to_string(&log).expect("it writes its log");
        text.lines().find(|line| line.contains("ledger opened ")).map(str::to_owned)
    });
    let opened = opened.await;
    let io = if opened.contains("io=uring") { "io_uring" } else { "pwritev2" };
    println!("proof: unprivileged memlock=8MiB io={io}");
    node.kill();
    drop(node);

    let mut node = RunningNode::spawn(&mut start(), &data).await;
    let again = node.wallet().await.post("/v1/transfer", "two", transfer.into()).await.expect("it listens");
    assert_eq!((again.status, &again.body), (200, &first.body), "durable, and answered the same");
    assert_eq!(node.stop().await.code(), Some(0));
}

#[tokio::test]
async fn an_ordinary_user_with_64_kib_of_memlock_is_told_what_that_costs() {
    if !can_run("an_ordinary_user_with_64_kib_of_memlock_is_told_what_that_costs") {
        return;
    }
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let (data, log) = (scratch.path().join("data"), scratch.path().join("log"));
    let mut program = with_memlock(scratch.path(), &data, LITTLE_MEMLOCK);
    program.stderr(fs::File::create(&log).expect("a file")).stdout(std::process::Stdio::null());
    let mut node = RunningNode::spawn(&mut program, &data).await;
    let mut wallet = node.wallet().await;
    let issue = r#"{"to":"a","asset":"ron","amount_minor":"1000"}"#;
    let issued = wallet.post("/v1/issue", "one", issue.into()).await.expect("it listens");
    assert_eq!(issued.status, 200, "{}", issued.text());
    let version = node.client("ledger_admin").await.get("/version").await.expect("it listens").json();
    assert_eq!(version["storage"]["registered_buffers"], 0, "{version}");
    assert_eq!(node.stop().await.code(), Some(0));
    let words = fs::read_to_string(&log).expect("it writes its log");
    let ring = version["storage"]["io"] == "uring";
    assert!(!ring || words.contains("the kernel does not pin the journal's buffers"), "{words}");
    assert!(words.contains("accounting runs on epoll"), "{words}");
}
