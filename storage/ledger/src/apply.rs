//! Applying: recorded effects become the state. They are checked to be possible, never decided.
//!
//! Whatever the rules were when an entry was recorded, its effects follow from the state before
//! it in the same way: sequences grow by one, balances move by the amount, nothing that may not
//! go below zero does. Each function checks everything first and changes the state after, so an
//! error leaves the state as it was.

use model::{AccountName, Asset, Beginning, Kind, Life, Posting, Reason, RecordRef, Seq, Side, Timestamp};

use crate::{
    Effect, Error, Ledger,
    accounts::Seat,
    decide::is_begun_by_issuer,
    keys::{KeyRow, KeyView},
};

/// Records that are looked up together before they are applied.
pub const LOOKED_UP_AT_ONCE: usize = 32;

impl Ledger {
    /// Applies records of a journal in order. What they will look up is read first, of
    /// `LOOKED_UP_AT_ONCE` records together, so that memory is waited for once and not once for each.
    ///
    /// # Errors
    /// Says what does not follow from the state; those before it are applied.
    pub fn apply_records(&mut self, records: &[RecordRef<'_>]) -> Result<(), Error> {
        for some in records.chunks(LOOKED_UP_AT_ONCE) {
            let mut read = 0;
            for record in some {
                if let RecordRef::Posting(posting) = record {
                    read ^= self.keys.touch(&posting.key);
                    read ^= self.accounts.touch_slot(posting.debit.account, posting.asset);
                    read ^= self.accounts.touch_slot(posting.credit.account, posting.asset);
                }
            }
            core::hint::black_box(read);
            some.iter().try_for_each(|record| self.apply_record(record))?;
        }
        Ok(())
    }

    /// Applies an entry that was just decided.
    ///
    /// # Panics
    /// If its effects do not follow from the state: a defect, or the wrong order.
    pub fn apply(&mut self, posting: &Posting) {
        if let Err(error) = self.apply_posting(posting) {
            panic!("a decided entry is possible: {error}");
        }
    }

    /// Applies a record of a journal.
    ///
    /// # Errors
    /// Says what does not follow from the state; the state is then as it was.
    pub fn apply_record(&mut self, record: &RecordRef<'_>) -> Result<(), Error> {
        match record {
            RecordRef::Posting(posting) => self.apply_posting(posting),
            RecordRef::Slice(slice, body) => self.apply_recorded_slice(slice, body),
            RecordRef::Beginning(beginning) => self.apply_beginning(beginning),
        }
    }

    fn apply_posting(&mut self, posting: &Posting) -> Result<(), Error> {
        let head = &posting.head;
        self.check_order(head.seq, head.at)?;
        match head.kind {
            Kind::Transfer | Kind::Mint | Kind::Burn | Kind::Credit | Kind::Debit => {
                self.apply_money(posting)?;
            }
            Kind::Open => self.apply_open(posting)?,
            Kind::Refused => self.apply_refused(posting)?,
            Kind::Hold
            | Kind::Capture
            | Kind::Release
            | Kind::Reverse
            | Kind::Flag
            | Kind::Usage
            | Kind::UsageLoss
            | Kind::Horizon
            | Kind::Incarnation => return Err(Error::UnknownKind { seq: head.seq, kind: head.kind }),
        }
        self.advance(head.seq, head.at);
        Ok(())
    }

    /// An incarnation begins: everything else stays as it was kept.
    fn apply_beginning(&mut self, beginning: &Beginning) -> Result<(), Error> {
        let Beginning { head, parent, .. } = beginning;
        self.check_order(head.seq, head.at)?;
        require(head.seq, parent.incarnation == self.lives.incarnation(), Effect::Incarnation)?;
        require(head.seq, self.lives.push(Life::of(beginning)), Effect::Incarnation)?;
        self.advance(head.seq, head.at);
        Ok(())
    }

    /// The entry's number and time follow those of the last one.
    pub(crate) fn check_order(&self, seq: Seq, at: Timestamp) -> Result<(), Error> {
        if seq != self.last.next() {
            return Err(Error::OutOfOrder { last: self.last, found: seq });
        }
        if at < self.at {
            return Err(Error::TimeBackwards { seq });
        }
        Ok(())
    }

    pub(crate) fn advance(&mut self, seq: Seq, at: Timestamp) {
        assert!(seq == self.last.next() && at >= self.at);
        self.last = seq;
        self.at = at;
    }

    fn apply_money(&mut self, posting: &Posting) -> Result<(), Error> {
        let require = |holds, effect| require(posting.head.seq, holds, effect);
        let (debit, credit, asset) = (&posting.debit, &posting.credit, posting.asset);
        let shape = self.has_shape(posting.head.kind, debit.account, credit.account);
        require(shape == Some(true) && asset.bytes() != [0; 16], Effect::Account)?;
        require(debit.account != credit.account, Effect::Account)?;
        let seats = [self.accounts.seat(debit.account, asset), self.accounts.seat(credit.account, asset)];
        require(seats.iter().all(|seat| seat.owner.is_some()), Effect::Account)?;
        let new_rows = seats.iter().fold(0, |count, seat| count + u32::from(seat.row.is_none()));
        require(self.accounts.room_for(0, new_rows), Effect::Full)?;

        let before = seats.map(|seat| self.accounts.side(seat));
        require(!posting.amount.is_zero(), Effect::Balance)?;
        require(before[0].balance.debited(posting.amount) == Some(debit.balance), Effect::Balance)?;
        require(before[1].balance.credited(posting.amount) == Some(credit.balance), Effect::Balance)?;
        for (side, before) in [debit, credit].into_iter().zip(&before) {
            let covered = self.is_owned(side.account) || side.balance.available(side.held) >= 0;
            require(covered, Effect::Balance)?;
            require(before.seq.checked_add(1) == Some(side.seq), Effect::Sequence)?;
            require(before.held == side.held, Effect::Held)?;
        }
        let issued = is_begun_by_issuer(posting.head.kind);
        let owner = seats[usize::from(issued)].owner.expect("both sides are open");
        let nonce = self.accounts.owner(owner).nonce;
        let steps = posting.nonce.checked_sub(nonce);
        require(steps == Some(1) || (issued && steps == Some(0)), Effect::Nonce)?;
        self.check_key(posting)?;

        self.keep_key(posting);
        self.accounts.owner_mut(owner).nonce = posting.nonce;
        self.set_side(seats[0], asset, debit);
        self.set_side(seats[1], asset, credit);
        Ok(())
    }

    fn set_side(&mut self, seat: Seat, asset: Asset, side: &Side) {
        let owner = seat.owner.expect("the side was checked to be open");
        let at = seat.row.unwrap_or_else(|| self.accounts.add_row(owner, asset));
        let row = self.accounts.row_mut(at);
        assert!(row.asset == asset && row.seq + 1 == side.seq && seat.id == side.account);
        row.balance = side.balance;
        row.held = side.held;
        row.seq = side.seq;
    }

    fn apply_open(&mut self, posting: &Posting) -> Result<(), Error> {
        let require = |holds, effect| require(posting.head.seq, holds, effect);
        let id = posting.credit.account;
        let name = posting.ext.and_then(|ext| AccountName::parse(ext.text.as_str()).ok());
        let bound = name.filter(|name| name.id() == id && self.accounts.find_owner(id).is_none());
        let Some(name) = bound else {
            return Err(impossible(posting.head.seq, Effect::Name));
        };
        let empty = Side { account: id, ..Side::NONE };
        require(posting.debit == Side::NONE && posting.credit == empty, Effect::Account)?;
        let moves_nothing = posting.amount.is_zero() && posting.asset == Asset::NONE;
        require(moves_nothing, Effect::Balance)?;
        require(posting.nonce == 0, Effect::Nonce)?;
        require(posting.key == [0; 16], Effect::Key)?;
        require(self.accounts.room_for(1, 0), Effect::Full)?;
        self.accounts.add_owner(name);
        Ok(())
    }

    fn apply_refused(&mut self, posting: &Posting) -> Result<(), Error> {
        let require = |holds, effect| require(posting.head.seq, holds, effect);
        for side in [&posting.debit, &posting.credit] {
            let seat = self.accounts.seat(side.account, posting.asset);
            let stands = self.accounts.side(seat);
            require(side.seq == stands.seq, Effect::Sequence)?;
            require(side.balance == stands.balance, Effect::Balance)?;
            require(side.held == stands.held, Effect::Held)?;
        }
        let owner = if is_begun_by_issuer(posting.head.op) { &posting.credit } else { &posting.debit };
        let nonce = self.nonce_at(self.accounts.find_owner(owner.account));
        let expected = nonce + u64::from(posting.head.reason == Some(Reason::NonceConflict));
        require(posting.nonce == expected, Effect::Nonce)?;
        require(posting.key != [0; 16], Effect::Key)?;
        self.check_key(posting)?;
        self.keep_key(posting);
        Ok(())
    }

    /// The entry's key, if it has one, is new and there is room to keep its outcome.
    fn check_key(&self, posting: &Posting) -> Result<(), Error> {
        let seq = posting.head.seq;
        if posting.key == [0; 16] {
            return Ok(());
        }
        require(seq, self.keys.find(&posting.key).is_none(), Effect::Key)?;
        require(seq, self.keys.room_at(posting.head.at), Effect::Full)
    }

    fn keep_key(&mut self, posting: &Posting) {
        if posting.key == [0; 16] {
            return;
        }
        self.keys.forget(posting.head.at);
        let outcome =
            KeyView { fingerprint: posting.fingerprint, seq: posting.head.seq, at: posting.head.at };
        self.keys.add(KeyRow { digest: posting.key, outcome });
    }
}

pub(crate) const fn impossible(seq: Seq, effect: Effect) -> Error {
    Error::Impossible { seq, effect }
}

pub(crate) const fn require(seq: Seq, holds: bool, effect: Effect) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(impossible(seq, effect)) }
}
