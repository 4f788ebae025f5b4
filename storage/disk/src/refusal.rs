//! Why the kernel gives no ring: its bare error number, and what the host says of itself.
//!
//! Holds: [`Facts::cause`] is a function of its arguments alone; what is read for it is bounded, and
//! what cannot be read is left open, never guessed.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustix::io::Errno;

use crate::error::{DiskError, Operation};
use crate::memlock;

/// Bytes of a file of `/proc` that are looked at.
const PROC_BYTES_MAX: u64 = 16 << 10;

/// What a host says of itself that bears on a ring. `None`: it does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// `kernel.io_uring_disabled` (Linux 6.6).
    disabled: Option<u32>,
    /// `kernel.io_uring_group`.
    group: Option<String>,
    /// Whether a seccomp filter is in force on this thread.
    filtered: Option<bool>,
    /// What a security module confines this thread as; `None` for nothing.
    label: Option<String>,
    /// Whether the kernel is of a release that has `io_uring` (5.1).
    has_uring: Option<bool>,
    /// The soft limit on locked memory; `None` is unlimited.
    memlock_bytes: Option<u64>,
}

impl Facts {
    /// What this host says to the calling thread.
    pub(crate) fn of_this_thread() -> Self {
        let facts = Self::read(Path::new("/proc"));
        Self { memlock_bytes: memlock::soft_limit_bytes(), ..facts }
    }

    /// What is said under this root, which is `/proc` or looks like it.
    fn read(root: &Path) -> Self {
        let text = |name: &str| text(&root.join(name));
        let status = text("thread-self/status");
        let mode = status
            .as_deref()
            .and_then(|status| status.lines().find_map(|line| line.strip_prefix("Seccomp:")).map(str::trim));
        Self {
            disabled: text("sys/kernel/io_uring_disabled").and_then(|level| level.parse().ok()),
            group: text("sys/kernel/io_uring_group"),
            filtered: mode.map(|mode| mode != "0"),
            label: text("thread-self/attr/current").filter(|label| is_confinement(label)),
            has_uring: text("sys/kernel/osrelease").as_deref().and_then(is_from_5_1),
            memlock_bytes: None,
        }
    }

    /// The cause of this refusal of `io_uring_setup(2)`.
    pub(crate) fn cause(self, errno: Errno) -> DiskError {
        match errno {
            Errno::NOSYS if self.filtered == Some(true) && self.has_uring == Some(true) => {
                DiskError::UringSeccomp { errno }
            }
            Errno::NOSYS => {
                DiskError::KernelTooOld { missing: "io_uring (Linux 5.1, or a build without it)" }
            }
            Errno::NOMEM => DiskError::UringMemory { soft_bytes: self.memlock_bytes },
            // The sysctl answers EPERM, and comes before security modules, but after seccomp filters.
            Errno::PERM | Errno::ACCESS => match (self.filtered, self.disabled, self.label) {
                (_, Some(level), _) if level > 0 && errno == Errno::PERM => {
                    DiskError::UringDisabled { level, group: self.group }
                }
                (Some(true), _, _) => DiskError::UringSeccomp { errno },
                (_, _, Some(label)) => DiskError::UringSecurityModule { errno, label },
                _ => DiskError::UringDenied { errno },
            },
            errno => DiskError::Kernel { operation: Operation::Setup, errno },
        }
    }
}

/// The first bytes of a small file, without the ends; `None` if it cannot be read or says nothing.
fn text(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(PROC_BYTES_MAX).read_to_string(&mut text).ok()?;
    let text = text.trim_matches(|letter: char| letter == '\0' || letter.is_whitespace());
    (!text.is_empty()).then(|| text.to_owned())
}

/// Whether a security module's label takes anything away: `unconfined` (`AppArmor`), `kernel` and
/// `unconfined_t` (`SELinux`) and `_` (Smack) do not.
fn is_confinement(label: &str) -> bool {
    let free = ["unconfined", "kernel", "_"];
    !free.contains(&label) && !label.contains("unconfined_t")
}

/// Whether a release (`uname -r`) is 5.1 or later.
fn is_from_5_1(release: &str) -> Option<bool> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    let (major, minor): (u32, u32) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
    Some((major, minor) >= (5, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names and contents.
    type Files = Vec<(&'static str, &'static str)>;

    /// A root with these files.
    fn facts(files: &[(&str, &str)]) -> Facts {
        let root = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        Facts::read(root.path())
    }

    const FILTERED: (&str, &str) =
        ("thread-self/status", "Name:\tx\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n");
    const OPEN: (&str, &str) = ("thread-self/status", "Name:\tx\nSeccomp:\t0\nSeccomp_filters:\t0\n");
    const NEW: (&str, &str) = ("sys/kernel/osrelease", "6.8.0-45-generic\n");
    const OLD: (&str, &str) = ("sys/kernel/osrelease", "4.19.0-27-amd64\n");
    const DISABLED: &str = "sys/kernel/io_uring_disabled";
    const GROUP: &str = "sys/kernel/io_uring_group";
    const LABEL: &str = "thread-self/attr/current";

    #[test]
    fn each_cause_is_told_from_what_the_host_says() {
        let denied = |errno| DiskError::UringDenied { errno };
        let seccomp = |errno| DiskError::UringSeccomp { errno };
        let off =
            |level, group: Option<&str>| DiskError::UringDisabled { level, group: group.map(Into::into) };
        let module =
            |label: &str| DiskError::UringSecurityModule { errno: Errno::ACCESS, label: label.into() };
        let old = DiskError::KernelTooOld { missing: "io_uring (Linux 5.1, or a build without it)" };
        let (perm, access, nosys) = (Errno::PERM, Errno::ACCESS, Errno::NOSYS);
        let cases: Vec<(Errno, Files, DiskError)> = vec![
            (perm, vec![OPEN, (DISABLED, "2\n"), (GROUP, "-1\n")], off(2, Some("-1"))),
            (perm, vec![OPEN, (DISABLED, "1\n"), (GROUP, "998\n")], off(1, Some("998"))),
            (perm, vec![(DISABLED, "1\n")], off(1, None)),
            (perm, vec![FILTERED, (DISABLED, "0\n")], seccomp(perm)),
            (perm, vec![FILTERED, NEW], seccomp(perm)),
            (nosys, vec![FILTERED, NEW], seccomp(nosys)),
            (nosys, vec![FILTERED, OLD], old.clone()),
            (nosys, vec![OPEN, NEW], old.clone()),
            (nosys, vec![], old),
            (
                access,
                vec![OPEN, (DISABLED, "0\n"), (LABEL, "system_u:system_r:container_t:s0:c1\0")],
                module("system_u:system_r:container_t:s0:c1"),
            ),
            (access, vec![OPEN, (LABEL, "docker-default (enforce)\n")], module("docker-default (enforce)")),
            (access, vec![OPEN, (LABEL, "unconfined\n")], denied(access)),
            (access, vec![OPEN, (LABEL, "unconfined_u:unconfined_r:unconfined_t:s0\0")], denied(access)),
            (perm, vec![OPEN, (DISABLED, "0\n")], denied(perm)),
            (perm, vec![], denied(perm)),
            (perm, vec![(DISABLED, "yes\n")], denied(perm)),
            (Errno::NOMEM, vec![OPEN], DiskError::UringMemory { soft_bytes: None }),
            (
                Errno::MFILE,
                vec![OPEN],
                DiskError::Kernel { operation: Operation::Setup, errno: Errno::MFILE },
            ),
        ];
        for (errno, files, expected) in cases {
            assert_eq!(facts(&files).cause(errno), expected, "{errno:?} with {files:?}");
        }
    }

    #[test]
    fn each_cause_says_what_to_do() {
        let cases = [
            (
                vec![(DISABLED, "2")],
                "kernel.io_uring_disabled = 2, for every process; `sysctl kernel.io_uring_disabled=0`",
            ),
            (vec![(DISABLED, "1"), (GROUP, "-1")], "= 1, for all without CAP_SYS_ADMIN; `sysctl"),
            (vec![(DISABLED, "1"), (GROUP, "998")], "run in that group"),
            (vec![FILTERED], "allow io_uring_setup, io_uring_enter and io_uring_register"),
            (vec![OPEN, (LABEL, "jail")], "confines this process as \"jail\"; allow io_uring in its policy"),
            (vec![OPEN], "see to the host's security modules"),
        ];
        for (files, expected) in cases {
            let said = facts(&files).cause(Errno::PERM).to_string();
            assert!(said.contains(expected), "{expected:?} is not in {said:?}");
        }
        let memory =
            Facts { memlock_bytes: Some(65_536), ..Facts::default() }.cause(Errno::NOMEM).to_string();
        assert!(memory.contains("65536 bytes") && memory.contains("ulimit -l"), "{memory}");
    }

    #[test]
    fn the_real_host_says_something() {
        let facts = Facts::of_this_thread();
        assert!(facts.filtered.is_some() && facts.has_uring == Some(true), "{facts:?}");
    }
}
