//! What a node does not start on: each cause has its exit code and names what is wrong where, and
//! nothing of the journal is changed by it.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{Command, Stdio},
};

use model::Nanos;

use super::{
    process::{RunningNode, command, ended, until},
    template::{SETTINGS, Template, files, flip, scratch},
};

/// Where the second copy of a superblock or slot lies.
const SECOND_COPY: usize = 65_536;

/// Runs a node that must not start: its exit code and its last words.
async fn refusal(mut command: Command) -> (Option<i32>, String) {
    let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let status = ended(&mut process).await;
    let mut words = String::new();
    let mut stderr = process.stderr.take().expect("piped");
    std::io::Read::read_to_string(&mut stderr, &mut words).expect("text");
    (status.code(), words)
}

pub(super) async fn must_refuse(name: &str, command: Command, code: i32, words: &[&str]) {
    let (found, said) = refusal(command).await;
    assert_eq!(found, Some(code), "{name}: {said}");
    for word in words {
        assert!(said.contains(word), "{name}: {word:?} is not in {said}");
    }
}

fn remove_checkpoints(data: &Path) {
    for path in files(&data.join("ledger/checkpoints")) {
        fs::remove_file(path).expect("it is ours");
    }
}

type Damage = fn(&Path);

#[tokio::test]
async fn damage_that_nobody_may_guess_about_is_refused_by_name() {
    let template = Template::new().await;
    let cases: [(&str, Damage, i32, &[&str]); 6] = [
        (
            "a frame in the middle is rotten",
            |data| {
                remove_checkpoints(data);
                flip(&data.join("ledger/segments/0000000000.segment"), 2 * 4096 + 300);
            },
            82,
            &["0:8192", "frame 3", "entry", "frontier slot", "nothing was changed"],
        ),
        (
            "both copies of the slot are damaged",
            |data| {
                flip(&data.join("ledger/slot"), 100);
                flip(&data.join("ledger/slot"), SECOND_COPY + 101);
            },
            82,
            &["neither copy of the frontier slot"],
        ),
        (
            "the first segment is gone",
            |data| fs::remove_file(data.join("ledger/segments/0000000000.segment")).expect("it is ours"),
            82,
            &["frame 1", "nothing was changed"],
        ),
        (
            "both copies of the superblock are damaged",
            |data| {
                flip(&data.join("ledger/superblock"), 100);
                flip(&data.join("ledger/superblock"), SECOND_COPY + 100);
            },
            80,
            &["superblock", "both copies are damaged"],
        ),
        (
            "the superblock is another program's",
            |data| fs::write(data.join("ledger/superblock"), [7; 131_072]).expect("it is ours"),
            80,
            &["superblock", "not ours"],
        ),
        (
            "the superblock is gone",
            |data| fs::remove_file(data.join("ledger/superblock")).expect("it is ours"),
            81,
            &["no superblock"],
        ),
    ];
    for (name, damage, code, words) in cases {
        let data = template.copy(name);
        damage(&data);
        let before: Vec<_> = files(&data.join("ledger/segments")).iter().map(fs::read).collect();
        must_refuse(name, command(&data, &SETTINGS), code, words).await;
        let after: Vec<_> = files(&data.join("ledger/segments")).iter().map(fs::read).collect();
        let same = before.iter().zip(&after).all(|(one, other)| one.as_ref().ok() == other.as_ref().ok());
        assert!(same && before.len() == after.len(), "{name}: the journal was changed");
    }
}

#[tokio::test]
async fn other_keys_and_other_settings_are_refused_by_name() {
    let (template, other) = (Template::new().await, Template::new().await);
    let stranger = other.copy("stranger");

    let data = template.copy("another superblock");
    fs::copy(stranger.join("ledger/superblock"), data.join("ledger/superblock")).expect("copied");
    must_refuse("frame key", command(&data, &SETTINGS), 95, &["frame key", "superblock"]).await;
    let data = template.copy("another slot");
    fs::copy(stranger.join("ledger/slot"), data.join("ledger/slot")).expect("copied");
    must_refuse("slot", command(&data, &SETTINGS), 95, &["one of the two", "own slot"]).await;
    fs::copy(stranger.join("ledger/superblock"), data.join("ledger/superblock")).expect("copied");
    must_refuse("both", command(&data, &SETTINGS), 94, &["checkpoint.key", "superblock and slot"]).await;

    let data = template.copy("another checkpoint key");
    fs::copy(stranger.join("keys/checkpoint.key"), data.join("keys/checkpoint.key")).expect("copied");
    must_refuse("checkpoint key", command(&data, &SETTINGS), 94, &["checkpoint.key", "ledger.origin"]).await;
    fs::remove_file(data.join("keys/checkpoint.key")).expect("it is ours");
    must_refuse("no checkpoint key", command(&data, &SETTINGS), 94, &["checkpoint.key", "cp -a"]).await;
    assert!(!data.join("keys/checkpoint.key").exists(), "another key was made");

    let data = template.copy("settings");
    let made = engine::wall();
    until("the last entry is older than the jump that will be allowed", || {
        (engine::wall().since(made) > Nanos::from_secs(2)).then_some(())
    })
    .await;
    let cases: [(&str, i32, &[&str]); 3] = [
        ("ledger.origin=example.test/other", 94, &["ledger.origin"]),
        ("ledger.hash=blake3", 85, &["ledger.hash", "sha256"]),
        ("ledger.max_forward_jump_secs=1", 90, &["ledger.max_forward_jump_secs"]),
    ];
    for (setting, code, words) in cases {
        must_refuse(setting, command(&data, &[SETTINGS[0], setting]), code, words).await;
    }
    // None of it did any harm.
    let mut node = RunningNode::start_with(&data, &SETTINGS).await;
    assert_eq!(node.stop().await.code(), Some(0));
}

/// The command run by a shell after `limit`.
fn limited(limit: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("{limit} && exec \"$0\" \"$@\"")).arg(command.get_program());
    shell.args(command.get_args());
    shell
}

#[tokio::test]
async fn too_little_memory_for_the_settings_is_told_by_key() {
    let home = scratch();
    let settings = [SETTINGS[0], "ledger.keys_max=200000000"];
    let limited = limited("ulimit -v 8000000", &command(&home.path().join("data"), &settings));
    must_refuse("memory", limited, 2, &["ledger.keys_max = 200000000"]).await;
}

#[tokio::test]
async fn too_few_descriptors_are_not_taken_for_damage() {
    let template = Template::new().await;
    let data = template.copy("descriptors");
    for count in [8, 32, 48, 64] {
        let limited = limited(&format!("ulimit -n {count}"), &command(&data, &SETTINGS));
        must_refuse(&format!("{count} descriptors"), limited, 92, &["descriptors", "ulimit -n"]).await;
    }
    let mut node = RunningNode::start_with(&data, &SETTINGS).await;
    assert_eq!(node.stop().await.code(), Some(0));
}

#[tokio::test]
async fn files_that_may_not_be_read_are_named() {
    let template = Template::new().await;
    let data = template.copy("denied");
    // Root may read anything, so this is another user's directory and process.
    let nobody = 65_534;
    let own = |path: &Path| std::os::unix::fs::chown(path, Some(nobody), Some(nobody)).is_ok();
    let mut owned = own(&data);
    for directory in ["", "ledger", "ledger/segments", "ledger/checkpoints", "keys", "run", "ledger/derived"]
    {
        owned &= own(&data.join(directory));
        owned &= files(&data.join(directory)).iter().all(|path| own(path));
    }
    let home = data.parent().expect("it has one");
    if !owned || fs::set_permissions(home, fs::Permissions::from_mode(0o755)).is_err() {
        super::not_run("refusals::files_that_may_not_be_read", "not root");
        return;
    }
    let segment = data.join("ledger/segments/0000000000.segment");
    fs::set_permissions(&segment, fs::Permissions::from_mode(0o000)).expect("it is ours");
    let mut command = command(&data, &SETTINGS);
    command.uid(nobody).gid(nobody);
    match command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
        Ok(mut process) => drop(ended(&mut process).await),
        Err(error) => {
            super::not_run("refusals::files_that_may_not_be_read", error);
            return;
        }
    }
    must_refuse("denied", command, 77, &["0000000000.segment"]).await;
}
