//! Checkpoints lead back to the same state, and no damaged one is taken.

use alloc::vec::Vec;

use super::{
    slices::chain,
    world::{Fate, World, params, request, transfer},
};
use crate::{Error, HashKind, Ledger, Params};

fn busy_world() -> World {
    let mut world = World::with_money();
    for (at, key) in ["1", "2", "3"].into_iter().enumerate() {
        world.accept(&transfer("a", "b", 10 + u128::try_from(at).unwrap(), key));
    }
    assert!(matches!(world.send(&transfer("a", "b", 100_000, "refused")), Fate::Entry(_)));
    for request in chain(1, 11).iter().chain(&chain(2, 2)) {
        world.send_slice(request);
    }
    world
}

#[test]
fn a_checkpoint_leads_back_to_the_same_state() {
    let mut world = busy_world();
    let bytes = world.checkpoint();
    let (ledger, tree) = Ledger::decode_checkpoint(&bytes, params()).unwrap();
    assert_eq!((tree.root(), ledger.last()), (world.tree.root(), world.ledger.last()));
    let mut again = Vec::new();
    ledger.encode_checkpoint(&tree, &mut again);
    assert_eq!(again, bytes);
    let next = transfer("b", "a", 5, "after");
    let mut copy = World { ledger, tree, journal: Vec::new(), leaves: Vec::new(), now: world.now };
    assert_eq!(copy.send(&next), world.send(&next));
    assert_eq!(copy.checkpoint(), world.checkpoint());
    assert!(matches!(copy.send(&transfer("a", "b", 100_000, "refused")), Fate::Replayed(_)));
    let cloned = World { ledger: world.ledger.clone(), ..copy };
    assert_eq!(cloned.checkpoint(), world.checkpoint());
}

#[test]
fn a_secret_does_not_show_in_a_checkpoint() {
    let bytes = busy_world().checkpoint();
    let (ledger, tree) = Ledger::decode_checkpoint(&bytes, Params { secret: [8; 32], ..params() }).unwrap();
    let mut again = Vec::new();
    ledger.encode_checkpoint(&tree, &mut again);
    assert_eq!(again, bytes, "the order of rows comes from the journal, not from a hash");
}

#[test]
fn no_damaged_checkpoint_is_taken() {
    let bytes = busy_world().checkpoint();
    let decode = |bytes: &[u8]| Ledger::decode_checkpoint(bytes, params()).err();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        assert_eq!(decode(&damaged), Some(Error::CheckpointDamaged), "byte {at}");
    }
    for len in 0..bytes.len() {
        assert_eq!(decode(&bytes[..len]), Some(Error::CheckpointDamaged), "{len} bytes");
    }
}

/// Bytes whose digest is right and whose content is not: no panic, no state that cannot be.
#[test]
fn forged_content_is_refused_field_by_field() {
    let bytes = busy_world().checkpoint();
    let (content, _) = bytes.split_at(bytes.len() - 32);
    let sealed = |content: &[u8]| {
        let mut sealed = content.to_vec();
        sealed.extend_from_slice(blake3::hash(content).as_bytes());
        Ledger::decode_checkpoint(&sealed, params())
    };
    assert!(sealed(content).is_ok());
    let mut taken = 0;
    for at in 0..content.len() {
        for bit in [0, 3, 7] {
            let mut forged = content.to_vec();
            forged[at] ^= 1 << bit;
            if let Ok((ledger, _)) = sealed(&forged) {
                ledger.check();
                taken += 1;
            }
        }
    }
    assert!(taken > 0, "a digest in a slice's link may be any");
    for len in 0..content.len() {
        assert!(sealed(&content[..len]).is_err(), "{len} bytes");
    }
    assert!(sealed(&[content, &[0]].concat()).is_err());
    let mut version = content.to_vec();
    version[8] = 1;
    assert_eq!(sealed(&version).err(), Some(Error::CheckpointVersion(1)));
}

#[test]
fn a_checkpoint_fits_its_parameters_or_is_refused() {
    let bytes = busy_world().checkpoint();
    let other_hash = Params { hash: HashKind::Blake3, ..params() };
    assert_eq!(Ledger::decode_checkpoint(&bytes, other_hash).err(), Some(Error::CheckpointHash));
    for small in [
        Params { accounts_max: 2, ..params() },
        Params { keys_max: 5, ..params() },
        Params { streams_max: 1, ..params() },
    ] {
        let refused = Ledger::decode_checkpoint(&bytes, small).err();
        assert!(matches!(refused, Some(Error::CheckpointTooLarge { .. })), "{refused:?}");
    }
    let mut world = World::with_money();
    world.accept(&request(model::Kind::Mint, "c", 1, "c"));
    let (ledger, _) = Ledger::decode_checkpoint(&world.checkpoint(), params()).unwrap();
    ledger.check();
}
