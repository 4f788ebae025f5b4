//! `World`: a ledger that is driven as the committer drives it, with the journal that it leaves.

use alloc::vec::Vec;
use std::{format, string::String};

use model::{
    AccountName, Amount, Asset, Beginning, Declined, IdemKey, Kind, Posting, Preconditions, RecordRef,
    Request, Seq, Slice, SliceRequest, Text, Timestamp,
};

use crate::{Decision, Error, Hash, HashKind, Ledger, Params, SliceDecision, Tree, record_leaf_hash};

pub(crate) const START_MILLIS: u64 = 1_760_000_000_000;

pub(crate) fn params() -> Params {
    Params { hash: HashKind::Sha256, secret: [7; 32], accounts_max: 1000, keys_max: 100_000, streams_max: 4 }
}

pub(crate) fn account(name: &str) -> AccountName {
    AccountName::parse(name).unwrap()
}

pub(crate) fn asset(name: &str) -> Asset {
    Asset::parse(name).unwrap()
}

/// A request of `kind` with the sides that the kind wants; `who` is the plain account.
pub(crate) fn request(kind: Kind, who: &str, amount: u128, key: &str) -> Request {
    let (debit, credit) = match kind {
        Kind::Mint => ("@issuance", who),
        Kind::Burn => (who, "@issuance"),
        Kind::Credit => ("@external", who),
        _ => (who, "@external"),
    };
    Request { kind, ..transfer(debit, credit, amount, key) }
}

pub(crate) fn transfer(debit: &str, credit: &str, amount: u128, key: &str) -> Request {
    Request {
        kind: Kind::Transfer,
        debit: account(debit),
        credit: account(credit),
        asset: asset("ron"),
        amount: Amount::new(amount).unwrap(),
        key: IdemKey::new("subject", key, 0),
        preconditions: Preconditions::default(),
        reference: Text::EMPTY,
        idx: 0,
    }
}

/// What became of a request, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a test copies it about once")]
pub(crate) enum Fate {
    Entry(Posting),
    Replayed(Seq),
    Declined(Declined),
}

/// One record as the journal has it.
#[derive(Clone, Debug)]
pub(crate) enum Stored {
    Posting(Posting),
    Slice(Slice, Vec<u8>),
    Beginning(Beginning),
}

impl Stored {
    pub(crate) fn as_ref(&self) -> RecordRef<'_> {
        match self {
            Self::Posting(posting) => RecordRef::Posting(*posting),
            Self::Slice(slice, body) => RecordRef::Slice(*slice, body),
            Self::Beginning(beginning) => RecordRef::Beginning(*beginning),
        }
    }
}

pub(crate) struct World {
    pub(crate) ledger: Ledger,
    pub(crate) tree: Tree,
    pub(crate) journal: Vec<Stored>,
    pub(crate) leaves: Vec<Hash>,
    pub(crate) now: Timestamp,
}

impl World {
    pub(crate) fn new(params: Params) -> Self {
        Self {
            tree: Tree::new(params.hash),
            ledger: Ledger::new(params),
            journal: Vec::new(),
            leaves: Vec::new(),
            now: Timestamp::from_millis(START_MILLIS),
        }
    }

    /// A world in which `a` has 1000 ron and `b` has 500.
    pub(crate) fn with_money() -> Self {
        let mut world = Self::new(params());
        for (who, amount) in [("a", 1000), ("b", 500)] {
            world.accept(&request(Kind::Mint, who, amount, &format!("start-{who}")));
        }
        world
    }

    pub(crate) fn send(&mut self, request: &Request) -> Fate {
        match self.ledger.decide(request, self.now, self.ledger.last().next()) {
            Decision::Replayed { seq } => Fate::Replayed(seq),
            Decision::Declined(declined) => Fate::Declined(declined),
            Decision::Postings(postings) => {
                assert_eq!(postings.iter().count(), postings.count());
                for posting in postings.iter() {
                    self.ledger.apply(&posting);
                    self.record(Stored::Posting(posting));
                }
                Fate::Entry(*postings.entry())
            }
        }
    }

    /// Sends a request that must be accepted.
    pub(crate) fn accept(&mut self, request: &Request) -> Posting {
        match self.send(request) {
            Fate::Entry(posting) if posting.head.reason.is_none() => posting,
            other => panic!("{request:?} was not accepted: {other:?}"),
        }
    }

    pub(crate) fn send_slice(&mut self, request: &SliceRequest) -> SliceDecision {
        let decision = self.ledger.decide_slice(request, self.now, self.ledger.last().next());
        if let SliceDecision::Take(slice) = &decision {
            self.ledger.apply_slice(slice);
            self.record(Stored::Slice(*slice, request.body.clone()));
        }
        decision
    }

    pub(crate) fn begin(&mut self, beginning: &Beginning) -> Result<(), Error> {
        self.ledger.apply_record(&RecordRef::Beginning(*beginning))?;
        self.record(Stored::Beginning(*beginning));
        Ok(())
    }

    fn record(&mut self, stored: Stored) {
        let leaf = record_leaf_hash(self.ledger.hash(), &stored.as_ref());
        self.leaves.push(leaf);
        self.tree.push(leaf);
        self.journal.push(stored);
        assert_eq!(self.tree.size(), self.ledger.last().0);
    }

    pub(crate) fn checkpoint(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.ledger.encode_checkpoint(&self.tree, &mut bytes);
        bytes
    }

    pub(crate) fn balance(&self, who: &str) -> i128 {
        let view = self.ledger.account(account(who).id(), asset("ron"));
        view.map_or(0, |view| view.balance.units())
    }
}

/// The seed of a random test: from `SEED`, or fixed. Printed, so that a failure can be run again.
pub(crate) fn seed() -> u64 {
    let given: Result<String, _> = std::env::var("SEED");
    let seed = given.ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x5eed_0001);
    std::println!("SEED={seed}");
    seed
}

/// Marsaglia's xorshift64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}
