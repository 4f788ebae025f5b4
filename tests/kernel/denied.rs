//! A process that may not use `io_uring`, as in most containers, works without and says why.

use std::collections::BTreeMap;

use disk::{BackendKind, Direct, DiskError, Errno, Io, RingOptions};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};

use super::rig::{PAGE, Rig};

/// `io_uring_setup(2)`, the same number on every architecture.
const IO_URING_SETUP: i64 = 425;

/// Denies the calling thread, and what it starts, a ring from now on, with the given error.
pub(crate) fn deny(errno: Errno) -> Result<(), String> {
    deny_where(errno, Vec::new())
}

/// The same for rings of so many entries only.
pub(crate) fn deny_rings_of(entries: u64) -> Result<(), String> {
    let is_it = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, entries);
    let rule = is_it.and_then(|is_it| SeccompRule::new(vec![is_it])).map_err(|error| error.to_string())?;
    deny_where(Errno::PERM, vec![rule])
}

fn deny_where(errno: Errno, conditions: Vec<SeccompRule>) -> Result<(), String> {
    let errno = u32::try_from(errno.raw_os_error()).expect("error numbers are positive");
    let rules = BTreeMap::from([(IO_URING_SETUP, conditions)]);
    let arch = std::env::consts::ARCH.try_into().map_err(|error| format!("{error}"))?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno), arch)
        .and_then(TryInto::<BpfProgram>::try_into)
        .map_err(|error| error.to_string())?;
    apply_filter(&filter).map_err(|error| error.to_string())
}

#[test]
fn a_denied_ring_is_named_and_stood_in_for() {
    let cases = [(Errno::PERM, "PERM"), (Errno::NOSYS, "NOSYS"), (Errno::NOMEM, "NOMEM")];
    for (errno, name) in cases {
        // The filter stays with its thread.
        let thread = std::thread::spawn(move || match deny(errno) {
            Ok(()) => check_denied(errno),
            Err(reason) => super::not_run(&format!("denied::{name}"), reason),
        });
        thread.join().expect("the case holds");
    }
}

fn check_denied(errno: Errno) {
    let home = tempfile::tempdir().expect("a temporary directory");
    let doorbell = std::sync::Arc::new(disk::Doorbell::new().expect("a descriptor is left"));
    let refused = disk::Ring::open(&RingOptions::default(), doorbell).expect_err("denied");
    let named = match errno {
        Errno::PERM => matches!(refused, DiskError::UringSeccomp { .. } | DiskError::UringDisabled { .. }),
        Errno::NOSYS => matches!(refused, DiskError::UringSeccomp { .. }),
        _ => matches!(refused, DiskError::UringMemory { .. }),
    };
    assert!(named, "{errno:?}: {refused:?}");
    let insisted = Rig::open(Io::Uring, &home.path().join("a"), PAGE, Direct::Preferred);
    assert_eq!(insisted.err(), Some(refused.clone()));
    let mut rig = Rig::open(Io::Auto, &home.path().join("b"), 32 * PAGE, Direct::Preferred).expect("opened");
    assert_eq!((rig.report.kind, rig.report.fell_back.clone()), (BackendKind::Pwrite, Some(refused)));
    rig.check_pages(32);
}
