//! Tells the program which commit and compiler it was built from.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=../../.git/HEAD");
    println!("cargo::rerun-if-changed=../../.git/refs/heads");
    let git = said(Command::new("git").args(["rev-parse", "--short=12", "HEAD"]));
    println!("cargo::rustc-env=BUILD_GIT={git}");
    let compiler = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let rustc = said(Command::new(compiler).arg("--version"));
    println!("cargo::rustc-env=BUILD_RUSTC={rustc}");
    let profile = std::env::var("PROFILE").unwrap_or_default();
    println!("cargo::rustc-env=BUILD_PROFILE={profile}");
}

/// What the command prints, or `unknown` where it cannot be run (a source archive has no commit).
fn said(command: &mut Command) -> String {
    let output = command.output().ok().filter(|output| output.status.success());
    output
        .map_or_else(|| "unknown".into(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
