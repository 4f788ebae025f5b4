//! `LabelSet`: what usage is counted by, who owns a tenant, and which stream it is told in.

use model::{ShardId, Text};

/// The word that stands in every field but the tenant of a tenant's overflow row.
pub const OVERFLOW_LABEL: &str = "_overflow";

/// A label set's number on one connection, chosen by the producer, below
/// `CONNECTION_LABELS_MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LabelId(pub u32);

/// What usage is counted by. The tenant is not empty; the others may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LabelSet {
    /// Who pays.
    pub tenant: Text,
    /// The method, such as `GET`.
    pub method: Text,
    /// The templated route, such as `/v1/objects/:id`.
    pub route: Text,
    /// The service that did the work.
    pub service: Text,
    /// Where it did it.
    pub region: Text,
}

impl LabelSet {
    /// Takes five texts of at most 64 bytes of printable ASCII; `None` if one is not, or if the
    /// tenant is empty.
    #[must_use]
    pub fn new(tenant: &str, method: &str, route: &str, service: &str, region: &str) -> Option<Self> {
        if tenant.is_empty() {
            return None;
        }
        Some(Self {
            tenant: Text::new(tenant)?,
            method: Text::new(method)?,
            route: Text::new(route)?,
            service: Text::new(service)?,
            region: Text::new(region)?,
        })
    }

    /// The row that keeps a tenant's total right when it has more label sets than it may.
    #[must_use]
    pub fn overflow(tenant: Text) -> Self {
        let word = Text::new(OVERFLOW_LABEL).expect("a constant that fits");
        Self { tenant, method: word, route: word, service: word, region: word }
    }

    /// The four texts beside the tenant, in canonical order.
    #[must_use]
    pub const fn fields(&self) -> [Text; 4] {
        [self.method, self.route, self.service, self.region]
    }
}

/// Which of `shards` shards counts this tenant. The same for every process and every start.
///
/// # Panics
/// With no shards.
#[must_use]
pub fn shard_of(tenant: &str, shards: u16) -> ShardId {
    assert!(shards > 0, "a node has at least one shard");
    let hash = blake3::derive_key("macronode 2026 shard of a tenant", tenant.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(hash.split_at(8).0);
    // The high half of hash times count spreads evenly and has no division.
    let scaled = (u128::from(u64::from_le_bytes(first)) * u128::from(shards)) >> 64;
    ShardId(u16::try_from(scaled).expect("a fraction of a 16-bit count"))
}

/// The name of a shard's streams: node name, shard and count of shards. `None` if the node's
/// name is empty, too long or not printable. Streams of another count of shards are other
/// streams, because a tenant may then live on another shard.
#[must_use]
pub fn stream_name(node: &str, shard: ShardId, shards: u16) -> Option<Text> {
    if node.is_empty() || node.contains('/') {
        return None;
    }
    Text::new(&format!("{node}.shard-{}-of-{shards}", shard.0))
}

/// The identity of a stream: digest of tenant and stream name.
#[must_use]
pub fn stream_id(tenant: &str, stream: &str) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_derive_key("macronode 2026 usage stream");
    for part in [tenant, stream] {
        let len = u64::try_from(part.len()).expect("a length fits in 64 bits");
        hasher.update(&len.to_le_bytes()).update(part.as_bytes());
    }
    let mut first = [0; 16];
    first.copy_from_slice(hasher.finalize().as_bytes().split_at(16).0);
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_spread_evenly_and_stay() {
        let mut counts = [0u32; 8];
        for tenant in 0..8_000 {
            let shard = shard_of(&format!("tenant-{tenant}"), 8);
            counts[usize::from(shard.0)] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
        assert_eq!(shard_of("acme", 1), ShardId(0));
        // Fixed for ever: a change would move tenants away from their streams.
        assert_eq!([shard_of("acme", 8), shard_of("t-123", 8)], [ShardId(0), ShardId(3)]);
    }

    #[test]
    fn streams_differ_by_tenant_and_by_name() {
        let name = stream_name("node", ShardId(1), 4).unwrap();
        assert_eq!(name.as_str(), "node.shard-1-of-4");
        assert_ne!(stream_id("a", "bc"), stream_id("ab", "c"));
        assert_eq!(stream_name("", ShardId(0), 1), None);
        assert_eq!(stream_name("a/b", ShardId(0), 1), None);
    }

    #[test]
    fn labels_are_bounded_and_name_a_tenant() {
        assert!(LabelSet::new("t", "", "", "", "").is_some());
        assert_eq!(LabelSet::new("", "GET", "/", "s", "r"), None);
        assert_eq!(LabelSet::new("t", "GET", &"x".repeat(65), "s", "r"), None);
        assert_eq!(LabelSet::new("t", "G\tT", "/", "s", "r"), None);
    }
}
