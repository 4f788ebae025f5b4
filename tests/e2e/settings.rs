//! `macronode config`, and the settings that a node refuses to start with.

use std::{path::PathBuf, process::Output};

use super::process::{binary, command, scratch};

fn shipped() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../configs/macronode.toml")
}

fn config(words: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = std::process::Command::new(binary("macronode"));
    command
        .arg("config")
        .args(words)
        .env_remove("RON_CONFIG")
        .env_remove("RUST_LOG")
        .envs(environment.iter().copied());
    command.output().expect("the binary starts")
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn print_tells_where_each_value_comes_from() {
    let shipped = shipped();
    let file = shipped.to_str().expect("a plain path");
    let words = ["print", "--config", file, "--set", "ledger.core=1"];
    let (code, out, _) = said(&config(&words, &[("MACRONODE_WALLET__INFLIGHT", "7")]));
    assert_eq!(code, Some(0));
    for line in [
        format!("profile = \"macronode\"  # file {file}:"),
        "ledger.core = 1  # flag --set".into(),
        "wallet.inflight = 7  # environment MACRONODE_WALLET__INFLIGHT".into(),
        "storage.io = \"auto\"  # default".into(),
    ] {
        assert!(out.contains(&line), "{line} not in {out}");
    }
    let (code, out, _) = said(&config(&["print"], &[("RON_CONFIG", file)]));
    assert!(code == Some(0) && out.contains("# file "), "RON_CONFIG names the file: {out}");
    // What cargo and a shell have in their environment is not taken for a setting.
    assert_eq!(said(&config(&["print"], &[("BUILD_GIT", "x")])).0, Some(0));
}

#[test]
fn the_log_follows_rust_log() {
    let environment = [("RUST_LOG", "info,hyper=warn,tower=warn"), ("LOG_LEVEL", "trace")];
    let (code, out, err) = said(&config(&["print"], &environment));
    assert_eq!(code, Some(0), "{err}");
    let line = "log = \"info,hyper=warn,tower=warn\"  # environment RUST_LOG";
    assert!(out.lines().any(|have| have == line), "{out}");
    let (code, _, err) = said(&config(&["check"], &[("RUST_LOG", "a=b=c")]));
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("(environment RUST_LOG)"), "{err}");
}

#[test]
fn a_wrong_command_line_is_usage() {
    let run = |words: &[&str]| {
        said(&std::process::Command::new(binary("macronode")).args(words).output().expect("it starts"))
    };
    let version = format!("macronode {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(run(&["--version"]), (Some(0), version, String::new()));
    for words in [&["--sett", "a=b"][..], &["start"], &["config"], &["--set"]] {
        let (code, out, err) = run(words);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{words:?}");
        assert!(err.contains("Usage: macronode") || err.contains("--help"), "{words:?}: {err}");
    }
}

#[test]
fn check_says_ok_or_names_every_problem() {
    let shipped = shipped();
    let (code, out, err) = said(&config(&["check", shipped.to_str().expect("a plain path")], &[]));
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "ok\n", ""));
    let scratch = scratch();
    let file = scratch.path().join("bad.toml");
    std::fs::write(&file, "[ledger]\nhtpp = \"x\"\nsegment_mib = 0\n").expect("written");
    let (code, out, err) = said(&config(&["check", file.to_str().expect("a plain path")], &[]));
    assert_eq!((code, out.as_str()), (Some(2), ""));
    for problem in ["ledger.htpp", "bad.toml:2", "ledger.segment_mib = 0", "bad.toml:3", "profile"] {
        assert!(err.contains(problem), "{problem} not in {err}");
    }
}

#[test]
fn a_node_does_not_start_with_settings_that_do_not_hold() {
    let scratch = scratch();
    let data = scratch.path().join("data");
    let file = scratch.path().join("no-profile.toml");
    std::fs::write(&file, "log = \"info\"\n").expect("written");
    let with_file = ["--config", file.to_str().expect("a plain path")];
    for (setting, words, expected) in [
        (None, &with_file[..], "must name its profile"),
        (Some("environment=production"), &[], "needs an OTLP endpoint"),
        (Some("profile=micronode"), &[], "profile = \"micronode\""),
        (Some("ledger.http=here"), &[], "ledger.http = here"),
    ] {
        let settings: Vec<&str> = setting.into_iter().collect();
        let output = command(&data, &settings).args(words).output().expect("the binary starts");
        let (code, _, err) = said(&output);
        assert_eq!(code, Some(2), "{err}");
        assert!(err.contains(expected), "{expected} not in {err}");
        assert!(!data.exists(), "nothing is made before the settings hold");
    }
}
