//! Setting up a fresh machine: the toolchain's components and the Debian packages that tests use.
//!
//! Holds: says what it installs, and says what it could not. Leaves to others: the toolchain itself.

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
};

use crate::{cargo, report::Report};

/// Programs that tests start, and the Debian package that has each.
const PROGRAMS: [(&str, &str); 10] = [
    ("cmp", "diffutils"),
    ("curl", "curl"),
    ("git", "git"),
    ("kill", "procps"),
    ("mkfs.ext4", "e2fsprogs"),
    ("mkfs.xfs", "xfsprogs"),
    ("mount", "mount"),
    ("prlimit", "util-linux"),
    ("setpriv", "util-linux"),
    ("unshare", "util-linux"),
];

/// Cargo's own parts that stages need.
const COMPONENTS: [(&str, &str); 2] = [("fmt", "rustfmt"), ("clippy", "clippy")];

/// Installs what is missing and may be installed; names the rest in the report.
pub(crate) fn set_up(report: &mut Report) {
    for (part, component) in COMPONENTS {
        if has_cargo(part) {
            continue;
        }
        println!("installing the toolchain component {component}");
        if !quiet(Command::new("rustup").args(["component", "add", component])) {
            report.not_run(format!("{component}: not in this toolchain, and rustup could not add it"));
        }
    }
    let missing: Vec<_> = PROGRAMS.into_iter().filter(|(program, _)| !in_path(program)).collect();
    if missing.is_empty() {
        return;
    }
    let mut packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    packages.dedup();
    if is_root() && in_path("apt-get") {
        println!("installing Debian packages: {}", packages.join(" "));
        let updated = quiet(Command::new("apt-get").args(["update", "-q"]));
        let mut install = Command::new("apt-get");
        install.args(["install", "-q", "-y", "--no-install-recommends"]).args(&packages);
        if updated && quiet(install.env("DEBIAN_FRONTEND", "noninteractive")) {
            return;
        }
    }
    for (program, package) in missing {
        report.not_run(format!("tests that start `{program}`: Debian package {package} is not installed"));
    }
}

/// Whether cargo has the subcommand `part`.
pub(crate) fn has_cargo(part: &str) -> bool {
    quiet(&mut cargo(&[part, "--version"]))
}

fn quiet(command: &mut Command) -> bool {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn in_path(program: &str) -> bool {
    env::var_os("PATH").is_some_and(|paths| env::split_paths(&paths).any(|dir| dir.join(program).is_file()))
}

/// Effective user id 0, as the kernel tells it.
fn is_root() -> bool {
    let status = fs::read_to_string(Path::new("/proc/self/status")).unwrap_or_default();
    let uids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    uids.and_then(|uids| uids.split_whitespace().nth(1)) == Some("0")
}
