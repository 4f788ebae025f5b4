//! `World`: a ledger in a directory of its own, written by the real role.

use std::{
    fs,
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use engine::{
    Birth, CommitMethod, Direct, Io, LedgerParams, LedgerRole, NoObserver, Source, StoreParams, monotonic,
};
use journal::{FrameHeader, FrameKey, Position, SegmentNumber, Superblock, segment_file_name};
use model::{
    AccountName, Amount, Asset, Head, IdemKey, Kind, LedgerId, Nanos, Outcome, Preconditions, Request, Seq,
    Slice, SliceRequest, Text, Timestamp,
};
use tempfile::TempDir;
use wire::{Answer, Ask, Call, CallId, Committed, EntryProof, Found, Group, ReadAsk, ReadCall};

/// A ledger's directory that is gone when the test is over.
pub(crate) struct World(TempDir);

/// Where a frame lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) at: Position,
    /// Bytes of its payload.
    pub(crate) payload: usize,
    /// Bytes of it on disk.
    pub(crate) bytes: usize,
}

impl World {
    pub(crate) fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let home = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Self(home.unwrap())
    }

    pub(crate) fn directory(&self) -> PathBuf {
        self.0.path().join("ledger")
    }

    pub(crate) fn start(&self) -> LedgerRole {
        let store = StoreParams {
            directory: self.directory(),
            hash: ledger::HashKind::Sha256,
            segment_bytes: 1 << 20,
            accounts_max: 1_000,
            keys_max: 1_000_000,
            direct: Direct::Preferred,
            mirror: None,
        };
        let params = LedgerParams {
            store,
            io: Io::Auto,
            commit: CommitMethod::Dsync,
            frames_in_flight: 4,
            core: None,
            spin: false,
            batch_max_entries: 8_190,
            ingress: 64,
            slice_lanes: 1,
            max_forward_jump: Nanos::from_secs(86_400),
        };
        let birth = Birth {
            ledger: LedgerId([7; 16]),
            frame_key: [8; 32],
            ledger_secret: [9; 32],
            created: Timestamp::from_millis(1),
        };
        let signer = ledger::NoteSigner::new("example.test/ledger", &[1; 32]).unwrap();
        LedgerRole::start(&params, &birth, signer, Box::new(NoObserver)).unwrap()
    }

    /// The log's key, where a node keeps it.
    pub(crate) fn keep_keys(&self) {
        let keys = self.0.path().join("keys");
        fs::create_dir_all(&keys).unwrap();
        let verifier = ledger::NoteSigner::new("example.test/ledger", &[1; 32]).unwrap().verifier();
        fs::write(keys.join("log.vkey"), format!("{verifier}\n")).unwrap();
        fs::write(keys.join("checkpoint.key"), "01".repeat(32) + "\n").unwrap();
    }

    /// A directory beside the ledger.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A first life: money, a refusal and slices, one frame each, and a clean stop.
    pub(crate) fn life(&self, transfers: u64) -> Committed {
        let role = self.start();
        mint(&role, 1_000);
        for number in 0..transfers {
            transfer(&role, number);
        }
        let mut previous = [0; 32];
        for number in 1..=3 {
            previous = slice(&role, number, previous);
        }
        let last = money(&role, Kind::Transfer, "bob", "alice", 1_000_000, "short");
        self.stop(role);
        last.committed
    }

    /// Stops the role and waits until its ring has given the lock back, which it does a moment later.
    fn stop(&self, role: LedgerRole) {
        assert!(role.stop());
        let lock = self.directory().join(journal::LOCK_FILE);
        let begun = monotonic();
        while crate::verify::holder_of(&lock).is_some() {
            assert!(monotonic().since(begun) < Nanos::from_secs(60), "the lock is held after 60 s");
            std::thread::yield_now();
        }
    }

    pub(crate) fn life_again(&self, transfers: u64) {
        let role = self.start();
        for number in 1_000..1_000 + transfers {
            transfer(&role, number);
        }
        self.stop(role);
    }

    pub(crate) fn superblock(&self) -> Superblock {
        let bytes = fs::read(self.directory().join("superblock")).unwrap();
        let (first, second) = bytes.split_at(65_536);
        Superblock::pick(first, second).unwrap()
    }

    pub(crate) fn key(&self) -> FrameKey {
        FrameKey::new(&self.superblock().frame_key)
    }

    pub(crate) fn segment(&self, segment: SegmentNumber) -> PathBuf {
        self.directory().join("segments").join(segment_file_name(segment))
    }

    /// Every frame of the first segment, which holds them all here, in order.
    pub(crate) fn frames(&self) -> Vec<Place> {
        let (superblock, key) = (self.superblock(), self.key());
        let bytes = fs::read(self.segment(SegmentNumber(0))).unwrap();
        let mut frames = Vec::new();
        let mut offset = 0;
        while let Ok(parsed) = FrameHeader::parse(&bytes[offset..], &key, superblock.geometry) {
            let payload = usize::try_from(parsed.header.payload_bytes).unwrap();
            frames.push(Place { at: parsed.header.position, payload, bytes: parsed.frame_bytes });
            offset += parsed.frame_bytes;
        }
        frames
    }

    /// Flips bits of one byte, `inside` bytes into the frame.
    pub(crate) fn flip(&self, at: &Position, inside: usize, bits: u8) {
        let mut file = fs::File::options().read(true).write(true).open(self.segment(at.segment)).unwrap();
        let place = SeekFrom::Start(at.offset + u64::try_from(inside).unwrap());
        let mut byte = [0];
        file.seek(place).unwrap();
        file.read_exact(&mut byte).unwrap();
        file.seek(place).unwrap();
        file.write_all(&[byte[0] ^ bits]).unwrap();
    }

    /// Copies the files as they stand, as a kill would leave them.
    pub(crate) fn copy_to(&self, other: &Self) {
        copy(&self.directory(), &other.directory());
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    let mut entries: Vec<fs::DirEntry> = fs::read_dir(from).unwrap().map(Result::unwrap).collect();
    // The journal last: what vouches for it must not be newer than it.
    entries.sort_by_key(|entry| entry.file_name() == journal::SEGMENT_DIR);
    for entry in entries {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The entry with its proof up to a signed checkpoint.
pub(crate) fn proof(role: &LedgerRole, seq: Seq) -> EntryProof {
    role.reads.ask(ReadCall { id: CallId(2), ask: ReadAsk::EntryProof(seq) }).expect("there is room");
    let found = wait(|| role.reads.answer()).found;
    let Found::EntryProof(Some(proof)) = found else { panic!("{found:?}") };
    *proof
}

pub(crate) fn mint(role: &LedgerRole, amount: u128) {
    money(role, Kind::Mint, "@issuance", "alice", amount, "mint");
}

pub(crate) fn transfer(role: &LedgerRole, number: u64) -> Seq {
    let answer = money(role, Kind::Transfer, "alice", "bob", 1, &format!("t{number}"));
    Seq(answer.committed.size)
}

fn money(role: &LedgerRole, kind: Kind, debit: &str, credit: &str, amount: u128, key: &str) -> Answer {
    let request = Request {
        kind,
        debit: AccountName::parse(debit).unwrap(),
        credit: AccountName::parse(credit).unwrap(),
        asset: Asset::parse("ron").unwrap(),
        amount: Amount::new(amount).unwrap(),
        key: IdemKey::new("tests", key, 0),
        preconditions: Preconditions::default(),
        reference: Text::EMPTY,
        idx: 0,
    };
    let answer = ask(&role.money, Ask::Money(Group { requests: vec![request], atomic: false }));
    assert!(matches!(answer.outcomes[0], Outcome::Decided { .. }), "{answer:?}");
    answer
}

fn slice(role: &LedgerRole, number: u64, previous: [u8; 32]) -> [u8; 32] {
    let body = format!("the rows of slice {number}").into_bytes();
    let digest = ledger::HashKind::Blake3.digest(&body);
    let head =
        Head { seq: Seq::ZERO, at: Timestamp(0), kind: Kind::Usage, op: Kind::Usage, reason: None, idx: 0 };
    let slice = Slice {
        head,
        stream: [5; 16],
        number,
        window_start_millis: 60_000 * number,
        window_millis: 60_000,
        rows: 1,
        digest,
        previous,
        requests: 1,
        bytes_in: 2,
        bytes_out: 3,
        blind: [0; 16],
        body_at: 0,
        body_len: 0,
    };
    let answer = ask(&role.slices[0], Ask::Slices(vec![SliceRequest { slice, body }]));
    assert_eq!(answer.outcomes.len(), 1, "{answer:?}");
    digest
}

fn ask(lane: &Source<Call, Answer>, ask: Ask) -> Answer {
    lane.ask(Call::new(CallId(1), ask)).expect("there is room");
    wait(|| lane.answer())
}

fn wait<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let begun = monotonic();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(monotonic().since(begun) < Nanos::from_secs(60), "no answer within 60 s");
        std::thread::yield_now();
    }
}
