//! The room for open connections: file descriptors, raised as far as the host allows.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a node with no shard and no connection may have open, with a reserve: files of the journal,
/// rings, bells, listeners (some 40), and a few connections for those who would ask what is wrong.
const NODE: u64 = 96;
/// What a shard has open: its ring, its bells, its lane.
const SHARD: u64 = 16;

/// The process may not open what a node needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the limit of open descriptors is {limit}, and this node needs {needed}: raise it (`ulimit -n`, LimitNOFILE=)"
)]
pub(crate) struct TooFew {
    limit: u64,
    needed: u64,
}

/// Raises the soft limit of open descriptors to the hard one, and refuses one that a node with so
/// many shards cannot start with. A connection is a descriptor, and the soft limit of a login shell
/// is often below the number of connections that the listeners allow.
///
/// # Errors
/// `TooFew`.
pub(crate) fn raise(shards: u16) -> Result<(), TooFew> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        tracing::warn!(?current, ?maximum, %error, "the limit of open descriptors could not be raised");
    }
    check(getrlimit(Resource::Nofile).current, shards)
}

fn check(limit: Option<u64>, shards: u16) -> Result<(), TooFew> {
    let needed = NODE + SHARD * u64::from(shards);
    match limit {
        Some(limit) if limit < needed => Err(TooFew { limit, needed }),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shard_needs_some() {
        for (limit, shards, expected) in [
            (Some(112), 1, Ok(())),
            (Some(111), 1, Err(TooFew { limit: 111, needed: 112 })),
            (Some(1_024), 64, Err(TooFew { limit: 1_024, needed: 1_120 })),
            (None, 64, Ok(())),
        ] {
            assert_eq!(check(limit, shards), expected);
        }
    }
}
