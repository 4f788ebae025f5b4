//! A forger who holds the journal's key: changes one balance and seals, chains and roots everything
//! after it anew, so that every byte is in order and only the sums are not.

use std::fs;

use journal::{
    FrameHash, FrameHeader, HEADER_BYTES, IMAGE_BYTES, ImageCopy, SegmentNumber, Slot, open, seal,
};
use ledger::{HashKind, Tree, record_leaf_hash};
use model::{Balance, BatchView, BatchWriter, Kind, RecordRef};

use crate::tests::world::World;

/// Raises the credited balance that the `nth` entry of this kind leaves; gives its number and what
/// it now says.
pub(super) fn raise_credit(world: &World, kind: Kind, nth: usize, by: i128) -> (u64, i128) {
    let (superblock, key) = (world.superblock(), world.key());
    let path = world.segment(SegmentNumber(0));
    let mut bytes = fs::read(&path).unwrap();
    let mut tree = Tree::new(HashKind::Sha256);
    let (mut previous, mut met, mut forged) = (FrameHash::GENESIS, 0, None);
    let mut last: Option<(FrameHeader, FrameHash)> = None;
    for place in world.frames() {
        let at = usize::try_from(place.at.offset).unwrap();
        let whole = &mut bytes[at..at + place.bytes];
        let frame = open(whole, &key, superblock.geometry).unwrap();
        let mut header = frame.header;
        let mut writer = BatchWriter::with_capacity(1 << 20);
        if header.count > 0 {
            for record in BatchView::parse(frame.payload).unwrap().iter() {
                let record = match record.unwrap() {
                    RecordRef::Posting(mut posting) => {
                        met += usize::from(posting.head.kind == kind);
                        if forged.is_none() && met == nth {
                            let raised = posting.credit.balance.units() + by;
                            posting.credit.balance = Balance::new(raised).unwrap();
                            forged = Some((posting.head.seq.0, raised));
                        }
                        writer.push_posting(&posting);
                        RecordRef::Posting(posting)
                    }
                    RecordRef::Beginning(beginning) => {
                        writer.push_beginning(&beginning);
                        RecordRef::Beginning(beginning)
                    }
                    RecordRef::Slice(mut slice, body) => {
                        writer.push_slice(&mut slice, body);
                        RecordRef::Slice(slice, body)
                    }
                };
                tree.push(record_leaf_hash(HashKind::Sha256, &record));
            }
            let mut payload = vec![0; place.payload];
            assert_eq!(writer.finish(&mut payload), place.payload);
            whole[HEADER_BYTES..HEADER_BYTES + place.payload].copy_from_slice(&payload);
        }
        (header.previous, header.tree_size, header.root) = (previous, tree.size(), tree.root());
        previous = seal(&header, &key, superblock.geometry, whole).hash;
        last = Some((header, previous));
    }
    fs::write(&path, &bytes).unwrap();
    let (header, hash) = last.unwrap();
    forge_slot(world, &header, hash);
    fs::remove_dir_all(world.directory().join("checkpoints")).unwrap();
    forged.expect("there is such an entry")
}

fn forge_slot(world: &World, header: &FrameHeader, hash: FrameHash) {
    let (superblock, key) = (world.superblock(), world.key());
    let path = world.directory().join("slot");
    let mut bytes = fs::read(&path).unwrap();
    let second = usize::try_from(ImageCopy::Second.offset()).unwrap();
    let newest = Slot::pick(&bytes, &bytes[second..], &key, superblock.ledger).unwrap();
    assert_eq!(newest.frame, header.frame, "a clean stop names the last frame");
    let slot = Slot { hash, tree_size: header.tree_size, root: header.root, ..newest };
    let mut image = [0; IMAGE_BYTES];
    slot.encode(&key, &mut image);
    for at in [0, second] {
        bytes[at..at + IMAGE_BYTES].copy_from_slice(&image);
    }
    fs::write(&path, &bytes).unwrap();
}
