//! A node that keeps nothing: its ledger, its keys and its words lie in memory and end with it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    not_run,
    process::{RunningNode, command, scratch, until},
    template::{issue, paid, pay},
};

const SETTINGS: [&str; 4] = ["storage.io=ram", "storage.ram_mib=16", "ledger.segment_mib=1", "log=info"];

/// Starts a node in memory; where its data lies; `None`, and why, if this host cannot.
async fn start(home: &Path) -> Result<(RunningNode, PathBuf, String), String> {
    let (out, err) = (home.join("out"), home.join("err"));
    let mut node = command(&home.join("data"), &SETTINGS);
    let file = |path: &Path| fs::File::create(path).expect("a file");
    let mut process = node.stdout(file(&out)).stderr(file(&err)).spawn().expect("the binary starts");
    let data = until("it says where its data lies, or ends", || {
        let said = fs::read_to_string(&out).expect("it is there");
        let line = said.lines().find_map(|line| line.strip_prefix("  data     ")).map(PathBuf::from);
        let ended = process.try_wait().expect("a child of ours").is_some();
        line.map(Ok).or_else(|| ended.then(|| Err(fs::read_to_string(&err).expect("it is there"))))
    })
    .await?;
    let node = RunningNode::adopt(process, &data).await;
    let said = fs::read_to_string(out).expect("it is there") + &fs::read_to_string(err).expect("it is there");
    Ok((node, data, said))
}

#[tokio::test]
async fn a_node_in_memory_works_is_bounded_and_leaves_nothing() {
    let home = scratch();
    let (mut node, data, said) = match start(home.path()).await {
        Ok(started) => started,
        Err(words) if words.contains("CAP_SYS_ADMIN") => return not_run("ram", words),
        Err(words) => panic!("{words}"),
    };
    for words in ["everything lies in memory", "IN MEMORY"] {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
    assert!(!home.path().join("data").exists(), "nothing is on disk");
    let mut wallet = node.wallet().await;
    issue(&mut wallet).await;
    let mut answered = 0;
    // Lone frames of 4 KiB: 16 MiB are full within 4,096 of them.
    let refusal = loop {
        let (status, body) = pay(&mut wallet, &format!("t{answered}")).await;
        if status != 200 {
            break (status, body);
        }
        answered += 1;
        assert!(answered < 5_000, "it is never full");
    };
    assert!(refusal.0 == 503 && refusal.1.contains("degraded"), "{refusal:?}");
    assert_eq!(paid(&mut wallet).await, answered);
    let mut admin = node.client("ledger_admin").await;
    let version = admin.get("/version").await.expect("it listens").json();
    assert_eq!(version["storage"]["io"], "ram", "{version}");
    let ready = admin.get("/readyz").await.expect("it listens").json();
    assert_eq!(ready["reason"], "no_space", "{ready}");
    node.kill();
    assert!(fs::read_dir(&data).is_err(), "the kernel has taken it back");

    let (mut node, _, _) = start(home.path()).await.expect("as before");
    let mut admin = node.client("ledger_admin").await;
    let ready = admin.get("/readyz").await.expect("it listens");
    assert_eq!((ready.status, &ready.json()["reason"]), (200, &"ram_only".into()), "{}", ready.text());
    let mut wallet = node.wallet().await;
    let reply = wallet.get("/v1/balance?account=payee&asset=ron").await.expect("it listens");
    assert_eq!(reply.status, 404, "nothing came back: {}", reply.text());
    assert_eq!(node.stop().await.code(), Some(0));
}

#[test]
fn without_the_right_to_mount_it_is_refused_by_name() {
    let home = scratch();
    let node = command(&home.path().join("data"), &SETTINGS);
    let mut denied = Command::new("setpriv");
    denied.args(["--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin", "--"]);
    denied.arg(node.get_program()).args(node.get_args());
    let output = match denied.output() {
        Ok(output) => output,
        Err(error) => return not_run("ram::without_the_right", error),
    };
    let words = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(127) || words.starts_with("setpriv") {
        return not_run("ram::without_the_right", words);
    }
    assert_eq!(output.status.code(), Some(89), "{words}");
    assert!(words.contains("CAP_SYS_ADMIN") && words.contains("storage.io"), "{words}");
}
