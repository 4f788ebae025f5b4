//! A killed process whose device does not answer: its lock stays until its last write has ended, and
//! the node that comes after it has everything that was answered.

use std::{fs::File, path::Path, process::Command};

use super::{
    not_run,
    process::{RunningNode, command, is_there, until},
    template::{SETTINGS, issue, paid, pay},
};
use crate::kernel::image::{FILE_SYSTEMS, Image};

/// A frozen file system, thawed with this value.
struct Frozen<'a>(&'a Path);

impl<'a> Frozen<'a> {
    fn freeze(path: &'a Path) -> Result<Self, String> {
        let frozen = Command::new("fsfreeze").arg("-f").arg(path).output();
        match frozen {
            Ok(output) if output.status.success() => Ok(Self(path)),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(format!("fsfreeze: {error}")),
        }
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        drop(Command::new("fsfreeze").arg("-u").arg(self.0).status());
    }
}

/// Whether a thread of the process waits for its device and cannot be killed.
fn waits_for_device(pid: u32) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().filter_map(Result::ok);
    tasks.filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok()).any(|stat| {
        // The state is the first word after the name, which is in brackets.
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('D'))
    })
}

/// Whether somebody holds the lock of this open file. Opened before: a frozen file system opens none.
fn is_held(lock: &File) -> bool {
    let lock = lock.try_clone().expect("a descriptor is left");
    let tried = Command::new("flock").args(["-n", "0"]).stdin(lock).status().expect("flock starts");
    !tried.success()
}

async fn check(image: &Image, io: &str) -> Result<(), String> {
    let data = image.path().join(io);
    let setting = format!("storage.io={io}");
    let settings = [SETTINGS[0], &setting];
    let mut first = RunningNode::start_with(&data, &settings).await;
    let mut wallet = first.wallet().await;
    issue(&mut wallet).await;
    for number in 0..20 {
        assert_eq!(pay(&mut wallet, &format!("before-{number}")).await.0, 200);
    }
    let lock = File::open(data.join("ledger/lock")).expect("it is there");
    assert!(is_held(&lock), "the first has it");

    // What is there afterwards is the second's word.
    std::fs::remove_file(data.join("run/endpoints.json")).expect("it is ours");
    let frozen = Frozen::freeze(image.path())?;
    let body = r#"{"from":"bank","to":"payee","asset":"ron","amount_minor":"1"}"#;
    // It never has an answer.
    let hangs =
        tokio::spawn(async move { drop(wallet.post("/v1/transfer", "in-flight", body.into()).await) });
    until("the write waits for the device", || waits_for_device(first.pid()).then_some(())).await;
    first.signal("KILL");
    // Its write is still under way, so nobody else may begin.
    until("the kill has reached it", || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", first.pid())).unwrap_or_default();
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X', 'D'])).then_some(())
    })
    .await;
    assert!(is_held(&lock), "the lock outlives the process until its write has ended");
    // The next one is started while the device is silent, and waits.
    let mut second = command(&data, &settings);
    let second = second.stdout(std::process::Stdio::null()).spawn().expect("the binary starts");
    drop(frozen);
    first.ended().await;
    hangs.await.expect("it does not panic");
    drop(lock);
    let mut second = RunningNode::adopt(second, &data).await;
    let mut wallet = second.wallet().await;
    let found = paid(&mut wallet).await;
    assert!((20..=21).contains(&found), "{found} of 20 answered");
    // The fate of what was in flight is one, whichever.
    assert_eq!(pay(&mut wallet, "in-flight").await.0, 200);
    assert_eq!(paid(&mut wallet).await, 21);
    assert_eq!(second.stop().await.code(), Some(0));
    Ok(())
}

#[tokio::test]
async fn a_killed_node_keeps_its_lock_until_a_silent_device_has_answered() {
    if let Some(missing) = ["fsfreeze", "flock"].into_iter().find(|program| !is_there(program)) {
        return not_run("frozen", format!("there is no `{missing}` (util-linux)"));
    }
    for (file_system, len_bytes) in FILE_SYSTEMS {
        let image = match Image::mount(file_system, len_bytes.max(64 << 20)) {
            Ok(image) => image,
            Err(reason) => {
                not_run(&format!("frozen::{file_system}"), reason);
                continue;
            }
        };
        for io in ["auto", "pwrite"] {
            if let Err(reason) = check(&image, io).await {
                not_run(&format!("frozen::{file_system}::{io}"), reason);
            }
        }
    }
}
