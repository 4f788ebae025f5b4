//! `Audit`: recomputes everything that the journal claims, from the records alone.
//!
//! Shares no table and no rule with `Ledger`: plain ordered maps, its own arithmetic, its own
//! Merkle stack; only the byte layout of leaves is common. A finding does not end it: the
//! recorded values are taken over and it goes on, so that one fault is told once. Memory grows
//! with the accounts and with the keys of one retention, not with the journal.

mod books;
mod finding;
mod merkle;
mod report;

use model::{
    AccountId, AccountName, Asset, Beginning, Incarnation, Kind, OWNED_EXTERNAL, OWNED_ISSUANCE, Posting,
    Reason, RecordRef, Seq, Slice, Timestamp,
};

use crate::{Hash, HashKind, Which, beginning_leaf_data, leaf_data, slice_leaf_data};

use books::{Books, Owner};
pub use finding::{Fault, Finding};
use merkle::Stack;
pub use report::{AssetReport, Report, Total};

/// An audit in progress.
#[derive(Debug)]
pub struct Audit {
    hash: HashKind,
    books: Books,
    stack: Stack,
    report: Report,
    last: Seq,
    at: Timestamp,
    incarnation: Incarnation,
    issuance: AccountId,
    external: AccountId,
}

impl Audit {
    /// An audit that begins before the first entry.
    #[must_use]
    pub fn new(hash: HashKind) -> Self {
        Self {
            hash,
            books: Books::default(),
            stack: Stack::new(hash),
            report: Report::default(),
            last: Seq::ZERO,
            at: Timestamp::default(),
            incarnation: Incarnation::FIRST,
            issuance: AccountId::of_name(OWNED_ISSUANCE),
            external: AccountId::of_name(OWNED_EXTERNAL),
        }
    }

    /// Checks the next record of the journal.
    ///
    /// # Errors
    /// The first fault of this record; the audit may go on.
    pub fn feed(&mut self, record: &RecordRef<'_>) -> Result<(), Finding> {
        let head = *record.head();
        let order = self.check_order(head.seq, head.at);
        self.last = head.seq;
        self.at = self.at.max(head.at);
        let (content, leaf) = match record {
            RecordRef::Posting(posting) => {
                (self.check_posting(posting), leaf_data(self.hash, posting).as_bytes().to_vec())
            }
            RecordRef::Slice(slice, body) => {
                (self.check_slice(slice, body), slice_leaf_data(self.hash, slice).as_bytes().to_vec())
            }
            RecordRef::Beginning(beginning) => {
                let data = beginning_leaf_data(self.hash, beginning);
                (self.check_beginning(beginning), data.as_bytes().to_vec())
            }
        };
        self.stack.push(&leaf);
        self.report.entries += 1;
        self.found(head.seq, order.and(content))
    }

    /// Notes that a frame ends here: the tree's size and root become one that a later frame may
    /// claim. Returns them.
    pub fn end_frame(&mut self) -> (u64, Hash) {
        self.report.frames += 1;
        self.stack.mark()
    }

    /// Checks a tree head that a frame claims; the heads of the last 32 ended frames, the empty
    /// tree, and the tree as it stands are known.
    ///
    /// # Errors
    /// If the size is not that of such a head, or the root differs.
    pub fn head(&mut self, size: u64, root: &Hash) -> Result<(), Finding> {
        let checked = match self.stack.root_at(size) {
            None => Err(Fault::HeadSize { claimed: size }),
            Some(known) if known == *root => Ok(()),
            Some(_) => Err(Fault::Root { size }),
        };
        self.report.heads += u64::from(checked.is_ok());
        self.found(Seq(size), checked)
    }

    /// The sums over all accounts, checked now, and what was checked on the way.
    ///
    /// # Errors
    /// If the balances of an asset do not add up to zero.
    pub fn finish(&mut self) -> Result<&Report, Finding> {
        let broken = self.books.unbalanced_asset();
        self.report.accounts = self.books.accounts_count();
        self.report.names = self.books.owners_count();
        self.report.streams = self.books.streams_count();
        self.report.root = self.stack.root();
        self.report.size = self.stack.size();
        match broken {
            Some(asset) => Err(self.found(self.last, Err(Fault::SumNotZero(asset))).expect_err("a fault")),
            None => Ok(&self.report),
        }
    }

    /// What was checked so far. The counts of accounts, names and streams and the root are as of
    /// the last `finish`.
    #[must_use]
    pub const fn report(&self) -> &Report {
        &self.report
    }

    fn found(&mut self, seq: Seq, checked: Result<(), Fault>) -> Result<(), Finding> {
        checked.map_err(|fault| {
            self.report.findings += 1;
            Finding { seq, fault }
        })
    }

    fn check_order(&self, seq: Seq, at: Timestamp) -> Result<(), Fault> {
        if seq.0 != self.last.0 + 1 {
            return Err(Fault::Gap { expected: Seq(self.last.0 + 1) });
        }
        if at < self.at { Err(Fault::TimeBackwards) } else { Ok(()) }
    }

    fn check_posting(&mut self, posting: &Posting) -> Result<(), Fault> {
        match posting.head.kind {
            Kind::Open => self.check_open(posting),
            Kind::Refused => {
                let (refusal, key) = (self.check_refusal(posting), self.check_key(posting));
                self.report.refusals += 1;
                refusal.and(key)
            }
            Kind::Transfer | Kind::Mint | Kind::Burn | Kind::Credit | Kind::Debit => {
                let (money, key) = (self.check_money(posting), self.check_key(posting));
                self.report.count_money(posting);
                money.and(key)
            }
            Kind::Hold
            | Kind::Capture
            | Kind::Release
            | Kind::Reverse
            | Kind::Flag
            | Kind::Usage
            | Kind::UsageLoss
            | Kind::Horizon
            | Kind::Incarnation => Err(Fault::UnknownKind(posting.head.kind)),
        }
    }

    /// It follows the incarnation that lasts; where nothing is said to be dropped, the parent's root is
    /// that of the entries before it.
    fn check_beginning(&mut self, beginning: &Beginning) -> Result<(), Fault> {
        self.report.incarnations += 1;
        let (from, parent) = (self.incarnation, &beginning.parent);
        self.incarnation = beginning.incarnation;
        if parent.incarnation != from || beginning.incarnation <= from {
            return Err(Fault::Parent { expected: from.0 });
        }
        let (size, root) = (self.stack.size(), self.stack.root());
        let is_kept = parent.size == size;
        if parent.size < size || (is_kept && parent.root != root) {
            return Err(Fault::ParentTree { size });
        }
        Ok(())
    }

    fn check_open(&mut self, posting: &Posting) -> Result<(), Fault> {
        self.report.opens += 1;
        let id = posting.credit.account;
        let text = posting.ext.map(|ext| ext.text).unwrap_or_default();
        let name = AccountName::parse(text.as_str()).map_err(|_| Fault::Name)?;
        if AccountId::of_name(name.as_str()) != id {
            return Err(Fault::Name);
        }
        if !self.books.open(id) {
            return Err(Fault::OpenTwice);
        }
        let bare = posting.amount.units() == 0 && posting.nonce == 0 && posting.key == [0; 16];
        let untouched = posting.credit.seq == 0 && posting.credit.balance.units() == 0;
        let moves_nothing = bare && untouched && posting.credit.held == 0 && posting.asset == Asset::NONE;
        if moves_nothing && posting.debit.account.is_none() { Ok(()) } else { Err(Fault::Shape) }
    }

    fn check_money(&mut self, posting: &Posting) -> Result<(), Fault> {
        let shape = self.check_shape(posting);
        let amount = i128::try_from(posting.amount.units()).expect("an amount is below 2^96");
        let moves = [(Which::Debit, &posting.debit, -amount), (Which::Credit, &posting.credit, amount)];
        let mut sides = Ok(());
        for (which, side, moved) in moves {
            let is_open = self.books.owner(side.account).is_some();
            let before = self.books.account(side.account, posting.asset);
            let after = (side.balance.units(), side.held, side.seq);
            let checked = if !is_open {
                Err(Fault::NotOpen(which))
            } else if before.balance + moved != after.0 {
                Err(Fault::Balance { which, expected: before.balance + moved })
            } else if before.held != after.1 {
                Err(Fault::Held(which))
            } else if before.seq + 1 != after.2 {
                Err(Fault::AccountSeq { which, expected: before.seq + 1 })
            } else if !self.is_owned(side.account) && side.balance.available(side.held) < 0 {
                Err(Fault::Negative(which))
            } else {
                Ok(())
            };
            self.books.set_account(side.account, posting.asset, after);
            sides = sides.and(checked);
        }
        shape.and(sides).and(self.check_nonce(posting))
    }

    /// The debited owner began it, unless money came in: then the nonce moves only if it was named.
    fn check_nonce(&mut self, posting: &Posting) -> Result<(), Fault> {
        let came_in = matches!(posting.head.kind, Kind::Mint | Kind::Credit);
        let began = if came_in { posting.credit.account } else { posting.debit.account };
        let Some(Owner { nonce, .. }) = self.books.owner_mut(began) else { return Ok(()) };
        let expected = *nonce + 1;
        let stays = came_in && posting.nonce == *nonce;
        *nonce = posting.nonce;
        if stays || posting.nonce == expected { Ok(()) } else { Err(Fault::Nonce { expected }) }
    }

    fn check_refusal(&self, posting: &Posting) -> Result<(), Fault> {
        for (which, side) in [(Which::Debit, &posting.debit), (Which::Credit, &posting.credit)] {
            let stands = self.books.account(side.account, posting.asset);
            if stands.balance != side.balance.units() {
                return Err(Fault::Balance { which, expected: stands.balance });
            }
            if stands.seq != side.seq {
                return Err(Fault::AccountSeq { which, expected: stands.seq });
            }
            if stands.held != side.held {
                return Err(Fault::Held(which));
            }
        }
        let available = posting.debit.balance.available(posting.debit.held);
        let amount = i128::try_from(posting.amount.units()).expect("an amount is below 2^96");
        let justified = match posting.head.reason {
            Some(Reason::InsufficientFunds) => available < amount,
            Some(Reason::NotFound) => self.books.owner(posting.debit.account).is_none(),
            Some(reason) => reason.is_frozen(),
            None => false,
        };
        if justified { Ok(()) } else { Err(Fault::Refusal) }
    }

    /// Every outcome has its key, and no key has two outcomes inside the retention.
    fn check_key(&mut self, posting: &Posting) -> Result<(), Fault> {
        if posting.key == [0; 16] {
            return Err(Fault::NoKey);
        }
        self.report.keys += 1;
        match self.books.keep_key(posting.key, posting.head.seq, posting.head.at) {
            Some(first) => Err(Fault::KeyTwice { first }),
            None => Ok(()),
        }
    }

    /// The ledger's own accounts stand where the kind puts them and nowhere else.
    fn check_shape(&self, posting: &Posting) -> Result<(), Fault> {
        let (debit, credit) = (posting.debit.account, posting.credit.account);
        let owned = (self.is_owned(debit), self.is_owned(credit));
        let fits = match posting.head.kind {
            Kind::Mint => debit == self.issuance && owned == (true, false),
            Kind::Credit => debit == self.external && owned == (true, false),
            Kind::Burn => credit == self.issuance && owned == (false, true),
            Kind::Debit => credit == self.external && owned == (false, true),
            Kind::Transfer
            | Kind::Hold
            | Kind::Capture
            | Kind::Release
            | Kind::Reverse
            | Kind::Open
            | Kind::Flag
            | Kind::Usage
            | Kind::UsageLoss
            | Kind::Refused
            | Kind::Horizon
            | Kind::Incarnation => owned == (false, false),
        };
        let moves = posting.amount.units() > 0 && posting.asset != Asset::NONE && debit != credit;
        if fits && moves { Ok(()) } else { Err(Fault::Shape) }
    }

    fn is_owned(&self, id: AccountId) -> bool {
        id == self.issuance || id == self.external
    }

    fn check_slice(&mut self, slice: &Slice, body: &[u8]) -> Result<(), Fault> {
        self.report.slices += 1;
        self.report.slice_bytes += u64::try_from(body.len()).expect("a length fits in 64 bits");
        let before = self.books.next_slice(slice);
        let chained = slice.number == before.number + 1 && slice.previous == before.digest;
        if *blake3::hash(body).as_bytes() != slice.digest {
            return Err(Fault::SliceDigest);
        }
        if chained { Ok(()) } else { Err(Fault::SliceChain { expected: before.number + 1 }) }
    }
}

#[cfg(test)]
mod tests;
