//! Frames of real entries: the ledger decides, the journal keeps, and after each crash the replayed
//! ledger is compared with books that were kept by other rules.

use std::collections::BTreeMap;

use journal::Frame;
use ledger::{Decision, HashKind, Ledger, Params, Tree, record_leaf_hash};
use model::{
    AccountName, Amount, Asset, BatchView, BatchWriter, IdemKey, Kind, Nanos, OWNED_EXTERNAL, OWNED_ISSUANCE,
    Preconditions, RecordRef, Request, Seq, Text, Timestamp,
};

use crate::{
    content::{Content, Filled},
    random::Random,
};

/// Bytes that one request may add: an entry and two openings with their names.
const REQUEST_BYTES_MAX: usize = 3 * model::limits::RECORD_BYTES + 2 * model::limits::EXT_BYTES;
/// Requests of one batch at most.
const REQUESTS_MAX: u64 = 4;
const ACCOUNTS: [&str; 5] = ["ada", "bob/till", "cy", "dot@shop", "eve"];
const HASH: HashKind = HashKind::Blake3;

/// One decided request, as the world remembers it.
#[derive(Clone, Copy, Debug)]
struct Decided {
    seq: Seq,
    request: Request,
    accepted: bool,
}

/// A defect planted in the books or in what is replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MoneyFlaw {
    /// None: nothing may be found.
    None,
    /// What the crash took from the journal stays in the books.
    Credulous,
    /// A replay keeps each entry under another key, so its answer is lost with a restart.
    ReplyLost,
}

/// The ledger of a world and the world's own books.
#[derive(Debug)]
pub struct Money {
    ledger: Ledger,
    tree: Tree,
    keys: u64,
    history: Vec<Decided>,
    flaw: MoneyFlaw,
}

impl Money {
    /// A ledger without entries.
    #[must_use]
    pub fn new(flaw: MoneyFlaw) -> Self {
        Self { ledger: Ledger::new(params()), tree: Tree::new(HASH), keys: 0, history: Vec::new(), flaw }
    }

    /// Applies a replayed record, as the planted flaw would.
    fn take(&mut self, record: &RecordRef<'_>) -> Result<(), String> {
        let mut record = *record;
        if let RecordRef::Posting(posting) = &mut record
            && self.flaw == MoneyFlaw::ReplyLost
            && posting.key != [0; 16]
        {
            posting.key[0] ^= 1;
        }
        self.ledger.apply_record(&record).map_err(|error| error.to_string())
    }

    fn request(&mut self, random: &mut Random) -> Request {
        let one = ACCOUNTS[random.index(ACCOUNTS.len())];
        let other = ACCOUNTS.into_iter().filter(|name| *name != one).nth(random.index(ACCOUNTS.len() - 1));
        let other = other.expect("there is another account");
        let shapes = [
            (Kind::Mint, OWNED_ISSUANCE, one),
            (Kind::Credit, OWNED_EXTERNAL, one),
            (Kind::Burn, one, OWNED_ISSUANCE),
            (Kind::Debit, one, OWNED_EXTERNAL),
            (Kind::Transfer, one, other),
            (Kind::Transfer, one, other),
        ];
        let (kind, debit, credit) = shapes[random.index(shapes.len())];
        self.keys += 1;
        Request {
            kind,
            debit: name(debit),
            credit: name(credit),
            asset: asset(),
            amount: Amount::new(u128::from(random.below(1..500))).expect("a small amount"),
            key: IdemKey::new("world", &self.keys.to_string(), 0),
            preconditions: Preconditions::default(),
            reference: Text::EMPTY,
            idx: 0,
        }
    }

    /// Decides one request, records and applies it, and notes what the books say of it.
    fn decide(&mut self, random: &mut Random, at: Timestamp, writer: &mut BatchWriter) {
        let request = self.request(random);
        let issued = matches!(request.kind, Kind::Mint | Kind::Credit);
        let covered = issued || self.balance(&request.debit) >= units(request.amount);
        match self.ledger.decide(&request, at, self.ledger.last().next()) {
            Decision::Replayed { seq } => panic!("a new key was decided at {seq}"),
            Decision::Declined(declined) => assert!(!covered, "declined: {declined:?}"),
            Decision::Postings(postings) => {
                for posting in postings.iter() {
                    self.ledger.apply(&posting);
                    writer.push_posting(&posting);
                    self.tree.push(record_leaf_hash(HASH, &RecordRef::Posting(posting)));
                }
                let head = postings.entry().head;
                let accepted = head.kind != Kind::Refused;
                assert_eq!(accepted, covered, "the books and the ledger agree on {request:?}");
                self.history.push(Decided { seq: head.seq, request, accepted });
            }
        }
    }

    /// The balance by the books: what came in less what went out.
    fn balance(&self, account: &AccountName) -> i128 {
        let accepted = self.history.iter().filter(|decided| decided.accepted);
        accepted.fold(0, |balance, Decided { request, .. }| {
            let amount = units(request.amount);
            balance + if request.credit == *account { amount } else { 0 }
                - if request.debit == *account { amount } else { 0 }
        })
    }

    fn filled(&self, payload: usize, first_seq: Seq) -> Filled {
        let tree_size = self.tree.size();
        let count = u32::try_from(tree_size + 1 - first_seq.0).expect("a small batch");
        Filled { payload, count, at: self.ledger.at(), tree_size, root: self.tree.root() }
    }
}

impl Content for Money {
    fn fill(&mut self, random: &mut Random, first_seq: Seq, space: &mut [u8]) -> Filled {
        assert_eq!(first_seq, self.ledger.last().next());
        let mut writer = BatchWriter::with_capacity(space.len());
        let at = self.ledger.at().after(Nanos::from_millis(1));
        for _ in 0..random.below(1..REQUESTS_MAX + 1) {
            if writer.payload_len() + REQUEST_BYTES_MAX <= space.len() {
                self.decide(random, at, &mut writer);
            }
        }
        let payload = writer.finish(space);
        self.filled(payload, first_seq)
    }

    fn empty(&mut self, first_seq: Seq) -> Filled {
        self.filled(0, first_seq)
    }

    fn restore(&mut self, saved: Option<&[u8]>) -> Result<(), String> {
        let none = || Ok((Ledger::new(params()), Tree::new(HASH)));
        let (ledger, tree) = saved.map_or_else(none, |saved| {
            Ledger::decode_checkpoint(saved, params()).map_err(|error| error.to_string())
        })?;
        (self.ledger, self.tree) = (ledger, tree);
        Ok(())
    }

    fn replay(&mut self, frame: &Frame<'_>) -> Result<(), String> {
        if frame.header.count > 0 {
            let batch = BatchView::parse(frame.payload).map_err(|error| error.to_string())?;
            for record in batch.iter() {
                let record = record.map_err(|error| error.to_string())?;
                self.take(&record)?;
                self.tree.push(record_leaf_hash(HASH, &record));
            }
        }
        let header = &frame.header;
        let agrees = header.tree_size == self.tree.size() && header.root == self.tree.root();
        if agrees { Ok(()) } else { Err(format!("the tree of {} leaves", header.tree_size)) }
    }

    fn settle(&mut self, last: Seq) -> Result<(), String> {
        self.ledger.check();
        if self.flaw != MoneyFlaw::Credulous {
            self.history.retain(|decided| decided.seq <= last);
        }
        if self.ledger.last() != last {
            return Err(format!("the ledger is at {}, the journal at {last}", self.ledger.last()));
        }
        let mut balances = BTreeMap::new();
        for account in ACCOUNTS.into_iter().chain([OWNED_ISSUANCE, OWNED_EXTERNAL]) {
            let view = self.ledger.account(name(account).id(), asset());
            let (found, expected) =
                (view.map_or(0, |view| view.balance.units()), self.balance(&name(account)));
            if found != expected {
                return Err(format!("{account} has {found}, by the books {expected}"));
            }
            balances.insert(account, found);
        }
        if balances.values().sum::<i128>() != 0 {
            return Err(format!("money came from nowhere: {balances:?}"));
        }
        // Each key that was kept answers with its first outcome.
        let (at, next) = (self.ledger.at(), self.ledger.last().next());
        for Decided { seq, request, .. } in &self.history {
            let again = self.ledger.decide(request, at, next);
            if again != (Decision::Replayed { seq: *seq }) {
                return Err(format!("the key of entry {seq} is answered with {again:?}"));
            }
        }
        Ok(())
    }

    fn save(&self) -> Vec<u8> {
        let mut saved = Vec::new();
        self.ledger.encode_checkpoint(&self.tree, &mut saved);
        saved
    }

    fn fork(&self) -> Box<dyn Content> {
        Box::new(Self::new(MoneyFlaw::None))
    }
}

fn params() -> Params {
    Params { hash: HASH, secret: [9; 32], accounts_max: 16, keys_max: 8192, streams_max: 1 }
}

fn name(text: &str) -> AccountName {
    AccountName::parse(text).expect("a good name")
}

fn asset() -> Asset {
    Asset::parse("ron").expect("a good asset")
}

fn units(amount: Amount) -> i128 {
    i128::try_from(amount.units()).expect("an amount is below 2^96")
}
