//! `Desk`: the ledger's port over a real `ledger::Ledger` in RAM, durable at once.

use std::{
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use ledger::{Decision, HashKind, Ledger, Params, Tree, leaf_data};
use model::{Declined, Incarnation, LedgerId, Lives, Outcome, Posting, Reason, Request, Seq, Timestamp};
use wire::{
    AccountState, Answer, Ask, CallId, Checkpoint, Committed, EntryProof, Found, InclusionProof, ReadAsk,
    Root, Status, StoredEntry,
};

use crate::{LedgerPort, PortError, Promise};

pub(super) const HASH: HashKind = HashKind::Sha256;

/// How the desk behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    /// It decides and answers.
    Working,
    /// It refuses to take anything.
    Failing(PortError),
    /// It takes a write and answers that nothing can be said.
    Unsure,
    /// It refuses every entry of a write without a trace.
    Declining(Reason),
    /// It decides, and its view does not have what it decided yet.
    Lagging,
    /// It panics.
    Panicking,
}

pub(super) struct Books {
    ledger: Ledger,
    tree: Tree,
    entries: Vec<(Posting, [u8; 32])>,
    at: Timestamp,
    mood: Mood,
}

#[derive(Debug)]
pub(super) struct Desk(Mutex<Books>);

impl std::fmt::Debug for Books {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Books").field("entries", &self.entries.len()).field("mood", &self.mood).finish()
    }
}

impl Desk {
    pub(super) fn new(at: Timestamp) -> Self {
        let params =
            Params { hash: HASH, secret: [7; 32], accounts_max: 1000, keys_max: 10_000, streams_max: 10 };
        let (ledger, tree) = (Ledger::new(params), Tree::new(HASH));
        Self(Mutex::new(Books { ledger, tree, entries: Vec::new(), at, mood: Mood::Working }))
    }

    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn set(&self, mood: Mood) {
        self.books().mood = mood;
    }

    pub(super) fn size(&self) -> u64 {
        self.books().tree.size()
    }
}

impl Books {
    fn committed(&self) -> Committed {
        Committed { size: self.tree.size(), root: self.tree.root(), at: self.at }
    }

    fn decide(&mut self, request: &Request) -> Outcome {
        let next = Seq(self.tree.size()).next();
        match self.ledger.decide(request, self.at, next) {
            Decision::Replayed { seq } => Outcome::Replayed { seq },
            Decision::Declined(declined) => Outcome::Declined(declined),
            Decision::Postings(postings) => {
                for posting in postings.iter() {
                    self.ledger.apply(&posting);
                    let leaf = leaf_data(HASH, &posting).hash(HASH);
                    self.tree.push(leaf);
                    self.entries.push((posting, leaf));
                }
                let (posting, leaf) = *self.entries.last().unwrap();
                Outcome::Decided { posting, leaf }
            }
        }
    }

    fn stored(&self, seq: Seq) -> Option<StoredEntry> {
        let at = usize::try_from(seq.leaf_index()?).unwrap();
        let (posting, leaf) = *self.entries.get(at)?;
        let name = |id| self.ledger.name(id);
        Some(StoredEntry {
            posting,
            leaf,
            debit: name(posting.debit.account),
            credit: name(posting.credit.account),
        })
    }

    fn inclusion(&self, seq: Seq, size: Option<u64>) -> Option<InclusionProof> {
        let size = size.unwrap_or(self.tree.size());
        let index = usize::try_from(seq.leaf_index()?).unwrap();
        let leaves: Vec<_> = self.entries.iter().map(|(_, leaf)| *leaf).collect();
        let leaves = leaves.get(..usize::try_from(size).unwrap())?;
        let leaf = *leaves.get(index)?;
        Some(InclusionProof { seq, leaf, size, root: root(leaves), path: path(leaves, index) })
    }

    fn checkpoint(&self) -> Checkpoint {
        let Committed { size, root, .. } = self.committed();
        Checkpoint { size, root, note: format!("test\n{size}\n{}\n\n— test sig\n", hex::encode(root)) }
    }

    fn read(&self, ask: ReadAsk) -> Found {
        match ask {
            ReadAsk::Account(name, asset) => {
                Found::Account(self.ledger.account(name.id(), asset).map(|view| AccountState {
                    account: name.id(),
                    asset,
                    balance: view.balance,
                    held: view.held,
                    account_seq: view.account_seq,
                    nonce: self.ledger.nonce(name.id()).unwrap(),
                    as_of_seq: Seq(self.tree.size()),
                    as_of: self.at,
                }))
            }
            ReadAsk::Entry(seq) if self.mood == Mood::Lagging => {
                assert!(self.stored(seq).is_some());
                Found::Entry(None)
            }
            ReadAsk::Entry(seq) => Found::Entry(self.stored(seq).map(Box::new)),
            ReadAsk::EntryProof(seq) => Found::EntryProof(self.stored(seq).map(|entry| {
                Box::new(EntryProof {
                    entry,
                    leaf_data: leaf_data(HASH, &entry.posting).as_bytes().to_vec(),
                    proof: self.inclusion(seq, None).unwrap(),
                    checkpoint: self.checkpoint(),
                })
            })),
            ReadAsk::Roots { since, limit } => {
                let sizes = (since.0 + 1..=self.tree.size()).take(limit);
                let root = |size| Root {
                    seq: Seq(size),
                    root: self.inclusion(Seq(size), Some(size)).unwrap().root,
                    at: self.at,
                };
                Found::Roots(sizes.map(root).collect())
            }
            ReadAsk::Checkpoint => Found::Checkpoint(self.checkpoint()),
            ReadAsk::Inclusion { seq, size } => Found::Inclusion(self.inclusion(seq, size)),
            ReadAsk::Consistency { from, to } => {
                Found::Consistency((from <= to && to <= self.tree.size()).then(|| vec![[1; 32]]))
            }
            ReadAsk::Slices { .. } => unreachable!("shards ask for slices, HTTP does not"),
        }
    }
}

/// RFC 6962, 2.1, as it stands there.
pub(super) fn root(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => HASH.empty(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            HASH.node(&root(left), &root(right))
        }
    }
}

/// RFC 6962, 2.1.1, as it stands there.
fn path(leaves: &[[u8; 32]], index: usize) -> Vec<[u8; 32]> {
    if leaves.len() < 2 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    let (mut inner, sibling) = if index < left.len() {
        (path(left, index), root(right))
    } else {
        (path(right, index - left.len()), root(left))
    };
    inner.push(sibling);
    inner
}

impl LedgerPort for Desk {
    fn submit(&self, ask: Ask, _patience: Duration) -> Promise<'_, Result<Answer, PortError>> {
        let mut books = self.books();
        let Ask::Money(group) = &ask else { panic!("only money is asked for here") };
        let outcomes: Vec<_> = match books.mood {
            Mood::Failing(error) => return Box::pin(async move { Err(error) }),
            Mood::Unsure => group.requests.iter().map(|_| Outcome::Unknown).collect(),
            Mood::Declining(reason) => {
                group.requests.iter().map(|_| Outcome::Declined(Declined { reason, number: 0 })).collect()
            }
            Mood::Panicking => panic!("the desk was told to"),
            Mood::Working | Mood::Lagging => {
                group.requests.iter().map(|request| books.decide(request)).collect()
            }
        };
        let answer = Answer { id: CallId(1), outcomes, committed: books.committed(), ask };
        Box::pin(async move { Ok(answer) })
    }

    fn read(&self, ask: ReadAsk, _patience: Duration) -> Promise<'_, Result<Found, PortError>> {
        let books = self.books();
        let found = match books.mood {
            Mood::Failing(error) => Err(error),
            Mood::Working | Mood::Unsure | Mood::Declining(_) | Mood::Lagging | Mood::Panicking => {
                Ok(books.read(ask))
            }
        };
        Box::pin(async move { found })
    }

    fn status(&self) -> Status {
        let books = self.books();
        let refusing = (books.mood == Mood::Failing(PortError::SafeMode)).then_some(Reason::SafeMode);
        Status {
            ledger: LedgerId([1; 16]),
            incarnation: Incarnation(1),
            lives: Lives::default(),
            accepting: refusing.is_none(),
            refusing,
            committed: books.committed(),
            intake_depth: 3,
            intake_capacity: 64,
            committer_lag_millis: 0,
            health: wire::Health::default(),
        }
    }
}
