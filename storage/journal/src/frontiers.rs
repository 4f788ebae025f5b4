//! How far the journal has come, in four words.

use model::Seq;

/// Four marks on the one line of entries: `acked <= durable <= written <= assigned`, always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Frontiers {
    /// The last entry whose answer may leave.
    pub acked: Seq,
    /// The last entry that survives the loss of the supply, with all before it.
    pub durable: Seq,
    /// The last entry handed to the disk, where it may lie whole, in part or not at all.
    pub written: Seq,
    /// The last entry sealed into a frame.
    pub assigned: Seq,
}

impl Frontiers {
    /// All four at `seq`: nothing is on its way.
    #[must_use]
    pub const fn level(seq: Seq) -> Self {
        Self { acked: seq, durable: seq, written: seq, assigned: seq }
    }

    /// Whether the marks are in their order.
    #[must_use]
    pub fn are_ordered(&self) -> bool {
        self.acked <= self.durable && self.durable <= self.written && self.written <= self.assigned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_the_order_of_the_marks() {
        let good = Frontiers { acked: Seq(1), durable: Seq(2), written: Seq(3), assigned: Seq(4) };
        assert!(good.are_ordered());
        assert!(Frontiers::level(Seq(9)).are_ordered());
        for bad in [
            Frontiers { acked: Seq(3), ..good },
            Frontiers { durable: Seq(4), ..good },
            Frontiers { written: Seq(5), ..good },
        ] {
            assert!(!bad.are_ordered(), "{bad:?}");
        }
    }
}
