//! Who has to have a frame, and whether that is written down where it must be.

use crate::{Active, Member, Membership};

/// The members that count, and the record that is on its way.
#[derive(Debug)]
pub(super) struct Members {
    membership: Membership,
    /// The member that was given up since the start.
    lost: Option<Member>,
    /// Whether the record that says so is not durable yet.
    writing: bool,
}

impl Members {
    pub(super) const fn new(membership: Membership) -> Self {
        Self { membership, lost: None, writing: false }
    }

    pub(super) const fn membership(&self) -> Membership {
        self.membership
    }

    pub(super) const fn active(&self) -> Active {
        self.membership.active
    }

    /// Whether the record of who counts is durable: only then is anything released.
    pub(super) const fn is_settled(&self) -> bool {
        !self.writing
    }

    pub(super) fn is_lost(&self, member: Member) -> bool {
        self.lost == Some(member)
    }

    /// Gives a member up: the record to write on the other. `None` if there is no other.
    pub(super) fn lose(&mut self, member: Member) -> Option<Membership> {
        if self.membership.active != Active::Both {
            return None;
        }
        let survivor = member.other();
        self.membership = self.membership.next(survivor, Active::Only(survivor));
        (self.lost, self.writing) = (Some(member), true);
        Some(self.membership)
    }

    /// The record of this generation is durable; `false` if it was not on its way.
    pub(super) fn written(&mut self, generation: u64) -> bool {
        let due = self.writing && self.membership.generation == generation;
        self.writing &= !due;
        due
    }
}
