//! Incarnations: applied once and in order, audited, kept in checkpoints.

use model::{Beginning, Cause, Head, Incarnation, Kind, Parent, Seq, Text, Timestamp};

use super::world::{Stored, World, params, transfer};
use crate::{Audit, Effect, Error, Fault, Ledger};

/// The entry that would begin `incarnation` now, from a parent that is known to `size`.
pub(crate) fn beginning(world: &World, incarnation: u32, size: u64) -> Beginning {
    let (seq, at) = (world.ledger.last().next(), Timestamp(world.now.0));
    let kind = Kind::Incarnation;
    Beginning {
        head: Head { seq, at, kind, op: kind, reason: None, idx: 0 },
        incarnation: Incarnation(incarnation),
        life: [9; 8],
        parent: Parent { incarnation: world.ledger.lives().incarnation(), size, root: world.tree.root() },
        cause: Cause::Restore,
        reason: Text::new("a disk was lost").unwrap(),
    }
}

#[test]
fn an_incarnation_goes_on_with_what_was_kept() {
    let mut world = World::with_money();
    let kept = world.ledger.last();
    let first = beginning(&world, 2, kept.0);
    world.begin(&first).unwrap();
    world.accept(&transfer("a", "b", 250, "pay"));
    let second = beginning(&world, 7, 1_000);
    world.begin(&second).unwrap();
    world.ledger.check();

    let lives = world.ledger.lives();
    let of = |seq| lives.of(Seq(seq)).0;
    assert_eq!((of(kept.0), of(kept.0 + 1), of(second.head.seq.0), lives.incarnation().0), (1, 2, 7, 7));
    let (read, _) = Ledger::decode_checkpoint(&world.checkpoint(), params()).unwrap();
    assert_eq!(read.lives(), lives);

    let mut audit = Audit::new(world.ledger.hash());
    for record in &world.journal {
        audit.feed(&record.as_ref()).unwrap();
    }
    assert_eq!(audit.finish().unwrap().incarnations, 2);
}

#[test]
fn one_that_does_not_follow_is_neither_applied_nor_audited() {
    let world = World::with_money();
    let whole = beginning(&world, 2, world.ledger.last().0);
    let size = world.tree.size();
    let of = |incarnation, from, size, root| Beginning {
        incarnation: Incarnation(incarnation),
        parent: Parent { incarnation: Incarnation(from), size, root },
        ..whole
    };
    let root = whole.parent.root;
    let cases = [
        (of(3, 2, size, root), Err(Effect::Incarnation), Some(Fault::Parent { expected: 1 })),
        (of(1, 1, size, root), Err(Effect::Incarnation), Some(Fault::Parent { expected: 1 })),
        // The tree is the audit's to compare: the rules have none.
        (of(2, 1, size, [1; 32]), Ok(()), Some(Fault::ParentTree { size })),
        (of(2, 1, size + 1, [1; 32]), Ok(()), None),
    ];
    for (wrong, applied, fault) in cases {
        let mut ledger = world.ledger.clone();
        let found = ledger.apply_record(&Stored::Beginning(wrong).as_ref());
        let seq = whole.head.seq;
        assert_eq!(found, applied.map_err(|effect| Error::Impossible { seq, effect }), "{wrong:?}");
        let mut audit = Audit::new(ledger.hash());
        world.journal.iter().for_each(|record| audit.feed(&record.as_ref()).unwrap());
        let audited = audit.feed(&Stored::Beginning(wrong).as_ref());
        assert_eq!(audited.err().map(|finding| finding.fault), fault, "{wrong:?}");
    }
}
