//! Tiles: where the nodes of the tree are kept, as arithmetic (C2SP tlog-tiles).
//!
//! A tile holds 256 hashes of one tile level; tile level `n` holds the tree's level `8n`. The
//! levels between are computed from a tile's own hashes. Leaves to others: the files.

use alloc::{
    format,
    string::{String, ToString},
};

use crate::{Hash, HashKind};

/// Hashes of a full tile.
pub const TILE_HASHES: u64 = 256;
/// Bytes of a full tile.
pub const TILE_BYTES: usize = 256 * 32;
/// Levels of the tree in one tile.
const TILE_HEIGHT: u8 = 8;

/// One tile: its level (0 for leaf hashes) and its index in the level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tile {
    /// 0 to 7.
    pub level: u8,
    /// From 0.
    pub index: u64,
}

/// Where a node comes from: `count` hashes of a tile from `offset`, which is a power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TileSpan {
    /// The tile.
    pub tile: Tile,
    /// The first hash, 0 to 255.
    pub offset: u64,
    /// 1, 2, 4 .. 128.
    pub count: u64,
}

impl TileSpan {
    /// Where node `index` of tree level `level` comes from.
    ///
    /// # Panics
    /// If no tree of fewer than 2^64 leaves has this node.
    #[must_use]
    pub const fn of_node(level: u8, index: u64) -> Self {
        let within = level % TILE_HEIGHT;
        assert!(level < 64 && index <= u64::MAX >> level);
        let first = index << within;
        let tile = Tile { level: level / TILE_HEIGHT, index: first / TILE_HASHES };
        Self { tile, offset: first % TILE_HASHES, count: 1 << within }
    }

    /// The node's hash, given the tile's bytes (whole, or as much as there is); `None` if they do
    /// not reach far enough.
    #[must_use]
    pub fn node(&self, hash: HashKind, tile: &[u8]) -> Option<Hash> {
        let (hashes, _) = tile.as_chunks::<32>();
        let from = usize::try_from(self.offset).ok()?;
        let to = usize::try_from(self.offset + self.count).ok()?;
        Some(fold(hash, hashes.get(from..to)?))
    }
}

/// The root over a power of two of hashes.
fn fold(hash: HashKind, hashes: &[Hash]) -> Hash {
    match hashes {
        [] => hash.empty(),
        [only] => *only,
        more => {
            let (left, right) = more.split_at(more.len() / 2);
            hash.node(&fold(hash, left), &fold(hash, right))
        }
    }
}

impl Tile {
    /// How many hashes this tile has in a tree of `size` leaves: 0 to 256.
    #[must_use]
    pub fn width(&self, size: u64) -> u64 {
        let hashes = size >> (self.level * TILE_HEIGHT);
        hashes.saturating_sub(self.index.saturating_mul(TILE_HASHES)).min(TILE_HASHES)
    }

    /// Its path in tlog-tiles: `tile/<level>/<index>`, with `.p/<width>` if it is partial.
    #[must_use]
    pub fn path(&self, width: u64) -> String {
        let mut path = format!("{:03}", self.index % 1000);
        let mut rest = self.index / 1000;
        while rest > 0 {
            path = format!("x{:03}/{path}", rest % 1000);
            rest /= 1000;
        }
        let partial = if width < TILE_HASHES { format!(".p/{width}") } else { String::new() };
        format!("tile/{}/{path}{partial}", self.level)
    }

    /// Reads a path of tlog-tiles back: the tile and its width (256 unless it is partial).
    /// `None` for anything that `path` would not print.
    #[must_use]
    pub fn parse(path: &str) -> Option<(Self, u64)> {
        let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let (digits, width) = match rest.split_once(".p/") {
            Some((digits, width)) => (digits, width.parse().ok().filter(|width| *width < TILE_HASHES)?),
            None => (rest, TILE_HASHES),
        };
        let mut index: u64 = 0;
        for part in digits.split('/') {
            let digits = part.strip_prefix('x').unwrap_or(part);
            index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
        }
        let tile = Self { level: level.parse().ok()?, index };
        let canonical = tile.level < 8 && width > 0 && tile.path(width) == path;
        canonical.then_some((tile, width))
    }
}

impl core::fmt::Display for Tile {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.path(TILE_HASHES).to_string())
    }
}

/// The tiles that become full when the tree grows from `old` to `new` leaves, lower levels first.
pub fn filled_tiles(old: u64, new: u64) -> impl Iterator<Item = Tile> {
    (0..8_u8).flat_map(move |level| {
        let shift = (level + 1) * TILE_HEIGHT;
        let full = move |size: u64| if shift < 64 { size >> shift } else { 0 };
        (full(old)..full(new)).map(move |index| Tile { level, index })
    })
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::Tree;

    #[test]
    fn paths_are_those_of_tlog_tiles() {
        for (tile, width, path) in [
            (Tile { level: 0, index: 0 }, 256, "tile/0/000"),
            (Tile { level: 0, index: 1_234_067 }, 256, "tile/0/x001/x234/067"),
            (Tile { level: 1, index: 999 }, 17, "tile/1/999.p/17"),
            (Tile { level: 7, index: 1000 }, 1, "tile/7/x001/000.p/1"),
        ] {
            assert_eq!(tile.path(width), path);
            assert_eq!(Tile::parse(path), Some((tile, width)));
        }
        for bad in [
            "",
            "tile/0",
            "tile/0/0",
            "tile/0/1000",
            "tile/0/001/x234/067",
            "tile/0/x000/001",
            "tile/8/000",
            "tile/00/000",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/017",
            "tile/0/+01",
            "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
            "/tile/0/000",
        ] {
            assert_eq!(Tile::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_node_is_found_in_its_tile() {
        let hash = HashKind::Blake3;
        let mut tree = Tree::new(hash);
        let mut levels: Vec<Vec<Hash>> = Vec::new();
        let mut nodes: Vec<(u8, u64, Hash)> = Vec::new();
        for number in 0..70_000_u64 {
            tree.push_each(hash.leaf(&number.to_le_bytes()), |level, index, node| {
                if level % 8 == 0 {
                    levels.resize(levels.len().max(usize::from(level / 8) + 1), Vec::new());
                    levels[usize::from(level / 8)].push(*node);
                }
                if number % 97 == 0 || level > 6 {
                    nodes.push((level, index, *node));
                }
            });
        }
        let mut filled = 0;
        for tile in filled_tiles(0, tree.size()) {
            assert_eq!(tile.width(tree.size()), TILE_HASHES);
            filled += 1;
        }
        assert_eq!(filled, 70_000 / 256 + 1);
        assert_eq!(filled_tiles(255, 256).collect::<Vec<_>>(), [Tile { level: 0, index: 0 }]);
        assert_eq!(filled_tiles(256, 511).count(), 0);
        assert_eq!(filled_tiles(65_535, 65_536).count(), 2);
        for (level, index, expected) in nodes {
            let span = TileSpan::of_node(level, index);
            let hashes = &levels[usize::from(span.tile.level)];
            let from = usize::try_from(span.tile.index * TILE_HASHES).unwrap();
            let to = hashes.len().min(from + 256);
            assert_eq!(span.tile.width(tree.size()), u64::try_from(to - from).unwrap());
            let bytes = hashes[from..to].as_flattened();
            assert_eq!(span.node(hash, bytes), Some(expected), "{level} {index}");
            let short = usize::try_from(span.offset).unwrap() * 32;
            assert_eq!(span.node(hash, &bytes[..short]), None);
        }
    }
}
