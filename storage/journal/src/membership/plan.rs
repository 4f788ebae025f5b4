//! `plan`: from what lies in the two directories to what a start believes, or why it does not.
//!
//! Holds: both members of a pair are needed, unless the newest record says that one went on alone;
//! a member whose record is older is never believed. Pure, so every row of the table in
//! `docs/recovery.md` is a test. Leaves to others: whether both are one ledger's, the copying.

use super::{Active, Member, Membership};

/// What one of the two directories holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directory {
    /// The settings name none.
    Unset,
    /// No ledger.
    Empty,
    /// It cannot be read.
    Unreadable,
    /// A ledger, and its record: `Membership::alone` where there is none.
    Ledger(Membership),
}

/// What becomes of the member that is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Other {
    /// There is none, or it cannot be had: the ledger goes on without.
    Leave,
    /// It is brought up again from the one that is believed, before anything is answered.
    Copy,
}

/// What a start does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Makes a ledger, in the first directory.
    Create,
    /// Believes both: what is whole on either counts.
    Both(Membership),
    /// Believes one.
    One {
        /// Which.
        survivor: Member,
        /// The newest record.
        membership: Membership,
        /// What becomes of the other.
        other: Other,
        /// Whether an operator's word made it so: then a new incarnation begins.
        forced: bool,
    },
}

/// Why a start goes no further. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The ledger has two members, and this one is not there.
    Needs(Member),
    /// The ledger has a mirror, and the settings name none.
    Unset,
    /// Each member went on without the other.
    Apart,
    /// The directory of this member holds something else than that member.
    Foreign(Member),
}

/// Decides. `forced` is the operator's `--force-single`; it counts only where it is needed.
///
/// # Errors
/// `Refused`.
pub fn plan(first: Directory, second: Directory, forced: bool) -> Result<Plan, Refused> {
    for (member, directory) in [(Member::First, first), (Member::Second, second)] {
        if let Directory::Ledger(record) = directory
            && record.holder != member
        {
            return Err(Refused::Foreign(member));
        }
    }
    match (first, second) {
        (Directory::Ledger(one), Directory::Ledger(other)) => both(one, other),
        (Directory::Ledger(only), other) => alone(Member::First, only, other, forced),
        (other, Directory::Ledger(only)) => alone(Member::Second, only, other, forced),
        (Directory::Unreadable, _) => Err(Refused::Needs(Member::First)),
        (_, Directory::Unreadable) => Err(Refused::Needs(Member::Second)),
        (Directory::Empty | Directory::Unset, Directory::Empty | Directory::Unset) => Ok(Plan::Create),
    }
}

fn both(first: Membership, second: Membership) -> Result<Plan, Refused> {
    let one = |survivor, membership| Plan::One { survivor, membership, other: Other::Copy, forced: false };
    if first.rank() > second.rank() {
        // Whoever is left writes its own record first, so the holder of the newest has everything;
        // the other is behind, whatever that record says of it.
        return Ok(one(Member::First, first));
    }
    if first.rank() < second.rank() {
        return Ok(one(Member::Second, second));
    }
    match (first.active, second.active) {
        (Active::Both, Active::Both) => Ok(Plan::Both(first)),
        // The other was being brought up again when the last start ended.
        (Active::Only(survivor), Active::Only(same)) if survivor == same => Ok(one(survivor, first)),
        (_, _) => Err(Refused::Apart),
    }
}

fn alone(found: Member, membership: Membership, other: Directory, forced: bool) -> Result<Plan, Refused> {
    let missing = found.other();
    let plan = |other, forced| Plan::One { survivor: found, membership, other, forced };
    if membership.active == Active::Only(found) {
        return match other {
            Directory::Empty => Ok(plan(Other::Copy, false)),
            // Whoever sets up a mirror wants to know that it does not work.
            Directory::Unreadable if membership.generation == 0 => Err(Refused::Needs(missing)),
            Directory::Unreadable | Directory::Unset | Directory::Ledger(_) => Ok(plan(Other::Leave, false)),
        };
    }
    if forced {
        // What is missing may come back: the next start brings it up again, knowing more than this one.
        return Ok(plan(Other::Leave, true));
    }
    if other == Directory::Unset { Err(Refused::Unset) } else { Err(Refused::Needs(missing)) }
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::String};

    use model::{Incarnation, LedgerId};

    use super::*;

    fn ledger(holder: Member, incarnation: u32, generation: u64, active: Active) -> Directory {
        let (ledger, incarnation) = (LedgerId([1; 16]), Incarnation(incarnation));
        Directory::Ledger(Membership { ledger, incarnation, generation, holder, active })
    }

    /// In words, so that the table below can be read.
    fn outcome(first: Directory, second: Directory, forced: bool) -> String {
        match plan(first, second, forced) {
            Ok(Plan::Create) => "create".into(),
            Ok(Plan::Both(_)) => "both".into(),
            Ok(Plan::One { survivor, other, forced, .. }) => {
                let other = if other == Other::Copy { ", copy" } else { "" };
                format!("{survivor}{other}{}", if forced { ", forced" } else { "" })
            }
            Err(refused) => format!("{refused:?}"),
        }
    }

    #[test]
    fn every_row_of_the_table() {
        use Active::{Both, Only};
        use Directory::{Empty, Unreadable, Unset};
        use Member::{First, Second};
        let never = ledger(First, 1, 0, Only(First));
        let stranger = ledger(First, 1, 0, Only(First));
        let (first, second) = (ledger(First, 1, 4, Both), ledger(Second, 1, 4, Both));
        let (first_alone, second_alone) =
            (ledger(First, 1, 5, Only(First)), ledger(Second, 1, 5, Only(Second)));
        for (row, expected, forced) in [
            ((Empty, Unset), "create", "create"),
            ((Empty, Empty), "create", "create"),
            ((Empty, Unreadable), "Needs(Second)", "Needs(Second)"),
            ((Unreadable, Unset), "Needs(First)", "Needs(First)"),
            ((never, Unset), "first", "first"),
            ((never, Empty), "first, copy", "first, copy"),
            ((never, Unreadable), "Needs(Second)", "Needs(Second)"),
            ((never, ledger(Second, 1, 0, Only(First))), "first, copy", "first, copy"),
            ((never, stranger), "Foreign(Second)", "Foreign(Second)"),
            ((second, Empty), "Foreign(First)", "Foreign(First)"),
            ((first, second), "both", "both"),
            ((first, Empty), "Needs(Second)", "first, forced"),
            ((first, Unreadable), "Needs(Second)", "first, forced"),
            ((first, Unset), "Unset", "first, forced"),
            ((Empty, second), "Needs(First)", "second, forced"),
            ((Unreadable, second), "Needs(First)", "second, forced"),
            ((first_alone, second), "first, copy", "first, copy"),
            ((first, second_alone), "second, copy", "second, copy"),
            ((first_alone, Empty), "first, copy", "first, copy"),
            ((first_alone, Unreadable), "first", "first"),
            ((first_alone, Unset), "first", "first"),
            ((Empty, second_alone), "second, copy", "second, copy"),
            ((Unreadable, second_alone), "second", "second"),
            // A start ended while it brought the other up again, or just after its record.
            ((first_alone, ledger(Second, 1, 5, Only(First))), "first, copy", "first, copy"),
            ((ledger(First, 1, 6, Both), ledger(Second, 1, 5, Only(First))), "first, copy", "first, copy"),
            // A forced life counts for more, however often the other changed.
            (
                (ledger(First, 2, 5, Only(First)), ledger(Second, 1, 9, Only(Second))),
                "first, copy",
                "first, copy",
            ),
            ((first_alone, second_alone), "Apart", "Apart"),
        ] {
            assert_eq!(outcome(row.0, row.1, false), expected, "{row:?}");
            assert_eq!(outcome(row.0, row.1, true), forced, "{row:?} forced");
        }
    }
}
