//! `Placement`: which core runs what. A pure plan from the host's cores and the config.
//!
//! Holds: with two cores or more, shards and the committer never share one. Leaves to others:
//! pinning itself (`pin`, below, is one call) and SMT and NUMA, which the tuning tool explains.

use core_affinity::CoreId;

/// What the config asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Shards; at least one.
    pub shards: u16,
    /// A core for the committer, if the operator names one.
    pub committer: Option<usize>,
}

/// Which core runs what; `None` floats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The committer's core.
    pub committer: Option<usize>,
    /// Each shard's core.
    pub shards: Vec<Option<usize>>,
}

/// The plan for a host with these cores. On two cores: shard 0 on the first, the committer on the
/// second. With one core everything floats.
#[must_use]
pub fn plan(cores: &[usize], wanted: Wanted) -> Placement {
    assert!(wanted.shards > 0);
    let all_float = || Placement { committer: None, shards: vec![None; usize::from(wanted.shards)] };
    if cores.len() < 2 {
        return all_float();
    }
    let committer = match wanted.committer {
        Some(core) if cores.contains(&core) => core,
        Some(_) | None => *cores.last().expect("two cores or more"),
    };
    let rest: Vec<usize> = cores.iter().copied().filter(|core| *core != committer).collect();
    let shards = (0..usize::from(wanted.shards)).map(|shard| rest.get(shard).copied()).collect();
    Placement { committer: Some(committer), shards }
}

/// The cores that this process may run on.
#[must_use]
pub fn cores() -> Vec<usize> {
    core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect()
}

/// Pins the calling thread; false if the kernel refuses.
#[must_use]
pub fn pin(core: usize) -> bool {
    core_affinity::set_for_current(CoreId { id: core })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_and_the_committer_do_not_share_a_core() {
        for (cores, shards, committer, expected_committer, expected_shards) in [
            (vec![0], 1, None, None, vec![None]),
            (vec![0, 1], 1, None, Some(1), vec![Some(0)]),
            (vec![0, 1], 2, None, Some(1), vec![Some(0), None]),
            (vec![0, 1, 2, 3], 2, None, Some(3), vec![Some(0), Some(1)]),
            (vec![0, 1, 2, 3], 2, Some(0), Some(0), vec![Some(1), Some(2)]),
            (vec![0, 1], 1, Some(9), Some(1), vec![Some(0)]),
        ] {
            let placement = plan(&cores, Wanted { shards, committer });
            assert_eq!(placement, Placement { committer: expected_committer, shards: expected_shards });
        }
    }
}
