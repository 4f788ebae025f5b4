//! Deciding: from the state and a request to entries with their effects, or a refusal.
//!
//! The order of the checks is fixed, because the first that fails names the refusal: the key,
//! the shape, the key's age, room for the key; then same account, names, open, nonce, `if_seq`,
//! `if_balance_at_least`, funds, overflow; last, room for new accounts. `docs/format.md` says
//! what each leaves in the journal.

use alloc::vec::Vec;

use model::{
    AccountId, AccountName, Amount, Balance, Declined, Ext, Head, IdemKey, Kind, Posting, Reason, Request,
    Seq, Side, Timestamp, limits::KEY_AHEAD_MILLIS_MAX,
};

use crate::{
    Decision, Ledger, Postings,
    accounts::{OwnerAt, Seat},
    decision::Opening,
    keys::KEY_AGE_MILLIS_MAX,
};

/// Requests of a batch that are looked up together; their lines fit in a first-level cache.
const PREPARED_AT_ONCE: usize = 32;

/// A request hashed and looked up. Preparing a batch before deciding it lets the memory reads of
/// different requests overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prepared {
    debit: Seat,
    credit: Seat,
    fingerprint: u64,
}

/// A request that has passed the checks that leave no trace, with both sides as they stand.
struct Case<'a> {
    request: &'a Request,
    fingerprint: u64,
    debit: Stand<'a>,
    credit: Stand<'a>,
    at: Timestamp,
    next: Seq,
}

/// One side of a request: the account as it stands.
struct Stand<'a> {
    name: &'a AccountName,
    seat: Seat,
    side: Side,
    /// One of the ledger's own.
    owned: bool,
}

/// Whether the account that begins an entry of this kind is the credited one: money that comes
/// in is begun by whoever issues it.
pub(crate) const fn is_begun_by_issuer(kind: Kind) -> bool {
    matches!(kind, Kind::Mint | Kind::Credit)
}

impl Ledger {
    /// Hashes a request and looks its accounts and key up, without judging it. The result may be
    /// used while only entries are applied to this ledger, and with the same request.
    #[must_use]
    pub fn prepare(&self, request: &Request) -> Prepared {
        self.look_up(request, request.fingerprint())
    }

    /// Prepares a batch, appending one result per request to `out`. First reads what the lookups
    /// will read, level by level, so that memory is waited for once and not once per request.
    pub fn prepare_batch(&self, requests: &[Request], out: &mut Vec<Prepared>) {
        for some in requests.chunks(PREPARED_AT_ONCE) {
            self.touch(some);
            out.extend(some.iter().map(|request| self.look_up(request, request.fingerprint())));
        }
    }

    fn look_up(&self, request: &Request, fingerprint: u64) -> Prepared {
        Prepared {
            debit: self.accounts.seat(request.debit.id(), request.asset),
            credit: self.accounts.seat(request.credit.id(), request.asset),
            fingerprint,
        }
    }

    /// Reads the slots of the keys and accounts, then the rows, then their owners.
    fn touch(&self, some: &[Request]) {
        let sides = |request: &Request| [request.debit.id(), request.credit.id()];
        let mut read = 0;
        for request in some {
            read ^= self.keys.touch(&request.key.digest);
            for id in sides(request) {
                read ^= self.accounts.touch_slot(id, request.asset);
            }
        }
        let mut owners = [[OwnerAt(0); 2]; PREPARED_AT_ONCE];
        for (owners, request) in owners.iter_mut().zip(some) {
            *owners = sides(request).map(|id| self.accounts.touch_row(id, request.asset));
        }
        for owner in owners.iter().take(some.len()).flatten() {
            read ^= self.accounts.touch_owner(*owner);
        }
        core::hint::black_box(read);
    }

    /// Decides a request at ledger time `at`; its first entry gets the number `next`. Changes
    /// nothing: apply the postings, in order, to go on.
    ///
    /// # Panics
    /// If `next` is not the next number or `at` lies before the last entry.
    #[must_use]
    pub fn decide(&self, request: &Request, at: Timestamp, next: Seq) -> Decision {
        self.decide_prepared(request, &self.prepare(request), at, next)
    }

    /// `decide` for a request that was prepared.
    ///
    /// # Panics
    /// As `decide`, or if `prepared` is of another request.
    #[must_use]
    pub fn decide_prepared(
        &self,
        request: &Request,
        prepared: &Prepared,
        at: Timestamp,
        next: Seq,
    ) -> Decision {
        assert!(next == self.last.next() && at >= self.at);
        if let Some(known) = self.keys.find(&request.key.digest) {
            if known.fingerprint == prepared.fingerprint {
                return Decision::Replayed { seq: known.seq };
            }
            return declined(Reason::IdemConflict, u128::from(known.seq.0));
        }
        if let Err(refusal) = self.admit(request, prepared, at) {
            return Decision::Declined(refusal);
        }
        let case = Case {
            request,
            fingerprint: prepared.fingerprint,
            debit: self.stand(&request.debit, prepared.debit, request),
            credit: self.stand(&request.credit, prepared.credit, request),
            at,
            next,
        };
        match self.judge(&case) {
            Err(reason) => Decision::Postings(self.refused(&case, reason)),
            Ok([debit, credit]) => match self.opens(&case) {
                Err(refusal) => Decision::Declined(refusal),
                Ok(opens) => Decision::Postings(self.accepted(&case, opens, debit, credit)),
            },
        }
    }

    /// What can be refused without looking at an account. Nothing of it is recorded.
    fn admit(&self, request: &Request, prepared: &Prepared, at: Timestamp) -> Result<(), Declined> {
        let (debit, credit) = (prepared.debit.id, prepared.credit.id);
        let Some(shape) = self.has_shape(request.kind, debit, credit) else {
            return Err(Declined { reason: Reason::UnknownKind, number: 0 });
        };
        let no_asset = request.asset.bytes() == [0; 16];
        if !shape || no_asset || request.amount.is_zero() || request.key.digest == [0; 16] {
            return Err(Declined { reason: Reason::PolicyDenied, number: 0 });
        }
        check_age(&request.key, at)?;
        if !self.keys.room_at(at) {
            return Err(Declined { reason: Reason::Busy, number: u128::from(self.params().keys_max) });
        }
        Ok(())
    }

    /// Whether these are sides that an entry of this kind may have: the ledger's own accounts
    /// stand exactly where the kind puts them. `None` for a kind that this build has no rules for.
    pub(crate) fn has_shape(&self, kind: Kind, debit: AccountId, credit: AccountId) -> Option<bool> {
        let plain = |id| !self.is_owned(id);
        match kind {
            Kind::Transfer => Some(plain(debit) && plain(credit)),
            Kind::Mint => Some(debit == self.issuance && plain(credit)),
            Kind::Burn => Some(plain(debit) && credit == self.issuance),
            Kind::Credit => Some(debit == self.external && plain(credit)),
            Kind::Debit => Some(plain(debit) && credit == self.external),
            Kind::Hold
            | Kind::Capture
            | Kind::Release
            | Kind::Reverse
            | Kind::Open
            | Kind::Flag
            | Kind::Usage
            | Kind::UsageLoss
            | Kind::Refused
            | Kind::Horizon
            | Kind::Incarnation => None,
        }
    }

    fn stand<'a>(&self, name: &'a AccountName, seat: Seat, request: &Request) -> Stand<'a> {
        let seat = self.accounts.refresh(seat, request.asset);
        Stand { name, seat, side: self.accounts.side(seat), owned: self.is_owned(seat.id) }
    }

    /// The rules: both sides after the entry, or the reason why not, which is frozen.
    fn judge(&self, case: &Case<'_>) -> Result<[Side; 2], Reason> {
        let Case { request, debit, credit, .. } = case;
        if debit.seat.id == credit.seat.id || !self.has_name(debit) || !self.has_name(credit) {
            return Err(Reason::AccountConflict);
        }
        if debit.seat.owner.is_none() && !debit.owned {
            return Err(Reason::NotFound);
        }
        self.check_preconditions(case)?;
        if !debit.owned && debit.side.balance.available(debit.side.held) < signed(request.amount) {
            return Err(Reason::InsufficientFunds);
        }
        let debited = debit.side.balance.debited(request.amount).ok_or(Reason::Overflow)?;
        let credited = credit.side.balance.credited(request.amount).ok_or(Reason::Overflow)?;
        assert!(debit.owned || debited.available(debit.side.held) >= 0);
        Ok([after(&debit.side, debited), after(&credit.side, credited)])
    }

    /// Whether the account that has this id, if any, has this name.
    fn has_name(&self, stand: &Stand<'_>) -> bool {
        stand.seat.owner.is_none_or(|at| self.accounts.owner(at).name == *stand.name)
    }

    fn check_preconditions(&self, case: &Case<'_>) -> Result<(), Reason> {
        let named = &case.request.preconditions;
        let owner = case.owner();
        if named.nonce.is_some_and(|nonce| nonce != self.nonce_at(owner.seat.owner) + 1) {
            return Err(Reason::NonceConflict);
        }
        let available = owner.side.balance.available(owner.side.held);
        let seq_differs = named.if_seq.is_some_and(|seq| seq != owner.side.seq);
        let balance_is_lower = named.if_balance_at_least.is_some_and(|least| available < signed(least));
        if seq_differs || balance_is_lower {
            return Err(Reason::PreconditionFailed);
        }
        Ok(())
    }

    /// The `open` entries that must come first, or a refusal where the tables have no room.
    fn opens(&self, case: &Case<'_>) -> Result<[Option<Opening>; 2], Declined> {
        let sides = [&case.debit, &case.credit];
        let missing = |is_missing: fn(&Seat) -> bool| {
            sides.iter().fold(0, |count, side| count + u32::from(is_missing(&side.seat)))
        };
        let (owners, rows) = (missing(|seat| seat.owner.is_none()), missing(|seat| seat.row.is_none()));
        if !self.accounts.room_for(owners, rows) {
            return Err(Declined { reason: Reason::Quota, number: u128::from(self.params().accounts_max) });
        }
        let mut seq = case.next;
        Ok(sides.map(|side| {
            if side.seat.owner.is_some() {
                return None;
            }
            let opening = Opening { seq, id: side.seat.id, name: *side.name, blinds: self.blinds.of(seq) };
            seq = seq.next();
            Some(opening)
        }))
    }

    fn accepted(&self, case: &Case<'_>, opens: [Option<Opening>; 2], debit: Side, credit: Side) -> Postings {
        let opened = opens.iter().flatten().fold(0, |count, _| count + 1);
        let request = case.request;
        let current = self.nonce_at(case.owner().seat.owner);
        let consumes = !is_begun_by_issuer(request.kind) || request.preconditions.nonce.is_some();
        let head = Head {
            seq: case.next.plus(opened),
            at: case.at,
            kind: request.kind,
            op: request.kind,
            reason: None,
            idx: request.idx,
        };
        Postings::new(opens, self.posting(case, head, debit, credit, current + u64::from(consumes)))
    }

    /// The record of a refusal: both accounts as they stand.
    fn refused(&self, case: &Case<'_>, reason: Reason) -> Postings {
        assert!(reason.is_frozen());
        let current = self.nonce_at(case.owner().seat.owner);
        let nonce = current + u64::from(reason == Reason::NonceConflict);
        let head = Head {
            seq: case.next,
            at: case.at,
            kind: Kind::Refused,
            op: case.request.kind,
            reason: Some(reason),
            idx: case.request.idx,
        };
        Postings::new([None; 2], self.posting(case, head, case.debit.side, case.credit.side, nonce))
    }

    fn posting(&self, case: &Case<'_>, head: Head, debit: Side, credit: Side, nonce: u64) -> Posting {
        let request = case.request;
        let [debit_blind, credit_blind] = self.blinds.of(head.seq);
        let with_reference = || Ext { text: request.reference, ..Ext::default() };
        Posting {
            head,
            amount: request.amount,
            asset: request.asset,
            debit,
            credit,
            nonce,
            key: request.key.digest,
            key_millis: request.key.millis,
            fingerprint: case.fingerprint,
            debit_blind,
            credit_blind,
            ext: (!request.reference.is_empty()).then(with_reference),
        }
    }

    /// The nonce of an owner, zero of one that is not there yet.
    pub(crate) fn nonce_at(&self, owner: Option<OwnerAt>) -> u64 {
        owner.map_or(0, |at| self.accounts.owner(at).nonce)
    }
}

impl<'a> Case<'a> {
    /// The side whose nonce, `if_seq` and `if_balance_at_least` are meant.
    const fn owner(&self) -> &Stand<'a> {
        if is_begun_by_issuer(self.request.kind) { &self.credit } else { &self.debit }
    }
}

const fn after(side: &Side, balance: Balance) -> Side {
    Side { account: side.account, seq: side.seq + 1, balance, held: side.held }
}

/// Refuses a key whose own time is too old to be known, or too far ahead of ledger time.
fn check_age(key: &IdemKey, at: Timestamp) -> Result<(), Declined> {
    let now = at.as_millis();
    let (oldest, newest) = (now.saturating_sub(KEY_AGE_MILLIS_MAX), now.saturating_add(KEY_AHEAD_MILLIS_MAX));
    if key.millis == 0 || (oldest <= key.millis && key.millis <= newest) {
        return Ok(());
    }
    let bound = if key.millis < oldest { oldest } else { newest };
    Err(Declined { reason: Reason::IdemExpired, number: u128::from(bound) })
}

fn signed(amount: Amount) -> i128 {
    i128::try_from(amount.units()).expect("an amount is below 2^96")
}

const fn declined(reason: Reason, number: u128) -> Decision {
    Decision::Declined(Declined { reason, number })
}
