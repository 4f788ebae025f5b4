//! The fixed inputs, and what this build makes of them.

use std::fs;

use engine::{FrameIndex, FrameRow, TileFiles};
use journal::{
    Active, CHECKPOINT_HEADER_BYTES, Checkpoint, FrameHash, FrameHeader, FrameKey, FrameNumber, Geometry,
    HEADER_BYTES, IMAGE_BYTES, Member, Membership, Position, SegmentNumber, Slot, Superblock, seal,
};
use ledger::{
    Decision, Hash, HashKind, Ledger, NoteSigner, Params, SliceDecision, TlogProof, Tree, TreeHead,
    inclusion_path, leaf_data, record_leaf_hash, sign_checkpoint,
};
use model::{
    AccountName, Amount, Asset, BatchWriter, Epoch, Head, IdemKey, Incarnation, Kind, LedgerId, Posting,
    Preconditions, RecordRef, Request, Seq, Slice, SliceRequest, Text, Timestamp,
};

/// The hash of the kept ledger's tree.
pub(super) const HASH: HashKind = HashKind::Sha256;
/// Its id.
pub(super) const LEDGER: LedgerId = LedgerId([0x1d; 16]);
const FRAME_KEY: [u8; 32] = [0x5e; 32];
const ORIGIN: &str = "localhost/golden";
const STRIDE: u32 = 512;
const AT: Timestamp = Timestamp::from_millis(1_760_631_062_000);
const BODY: &[u8] = b"the body of a slice";
/// Room for a batch.
const BATCH_BYTES: usize = 16 << 10;

pub(super) fn key() -> FrameKey {
    FrameKey::new(&FRAME_KEY)
}

pub(super) fn geometry() -> Geometry {
    Geometry::new(STRIDE, 64 << 10).unwrap()
}

pub(super) fn params() -> Params {
    Params { hash: HASH, secret: [9; 32], accounts_max: 16, keys_max: 64, streams_max: 2 }
}

fn incarnation() -> Incarnation {
    Incarnation(1)
}

/// What is moved: kind, debited, credited, how much.
type Move = (Kind, &'static str, &'static str, u128);

const FIRST: [Move; 4] = [
    (Kind::Mint, "@issuance", "ada", 1000),
    (Kind::Transfer, "ada", "bob/till", 250),
    // More than there is: refused.
    (Kind::Transfer, "ada", "bob/till", 5000),
    (Kind::Burn, "bob/till", "@issuance", 50),
];
const SECOND: [Move; 2] = [(Kind::Credit, "@external", "cy", 7), (Kind::Debit, "cy", "@external", 7)];

/// The ledger of the kept files: two frames of entries, and an empty one.
pub(super) struct Made {
    pub(super) ledger: Ledger,
    pub(super) tree: Tree,
    leaves: Vec<Hash>,
    postings: Vec<Posting>,
    rows: Vec<FrameRow>,
    segment: Vec<u8>,
    last: (FrameNumber, FrameHash, Position),
    keys: u32,
}

impl Made {
    pub(super) fn new() -> Self {
        let mut made = Self {
            ledger: Ledger::new(params()),
            tree: Tree::new(HASH),
            leaves: Vec::new(),
            postings: Vec::new(),
            rows: Vec::new(),
            segment: Vec::new(),
            last: (FrameNumber::ZERO, FrameHash::GENESIS, Position::default()),
            keys: 0,
        };
        made.frame(&FIRST, false, AT);
        made.frame(&SECOND, true, Timestamp(AT.0 + 1_000_000));
        made.frame(&[], false, Timestamp(AT.0 + 2_000_000));
        made
    }

    fn frame(&mut self, moves: &[Move], with_slice: bool, at: Timestamp) {
        let (first_seq, before) = (self.ledger.last().next(), self.ledger.last());
        let mut writer = BatchWriter::with_capacity(BATCH_BYTES);
        for it in moves {
            self.decide(*it, at, &mut writer);
        }
        if with_slice {
            self.take_slice(at, &mut writer);
        }
        let count = u32::try_from(self.ledger.last().0 - before.0).unwrap();
        let mut buffer = vec![0; HEADER_BYTES + BATCH_BYTES];
        let payload = if count > 0 { writer.finish(&mut buffer[HEADER_BYTES..]) } else { 0 };
        let position = Position { segment: SegmentNumber(0), offset: self.segment.len() as u64 };
        let (last, previous, _) = self.last;
        let header = FrameHeader {
            ledger: LEDGER,
            incarnation: incarnation(),
            epoch: Epoch(1),
            frame: last.next(),
            position,
            first_seq,
            count,
            at,
            previous,
            durable_frame: last,
            durable: before,
            tree_size: self.tree.size(),
            root: self.tree.root(),
            cut_bytes: 0,
            payload_bytes: u32::try_from(payload).unwrap(),
        };
        let sealed = seal(&header, &key(), geometry(), &mut buffer);
        self.segment.extend_from_slice(&buffer[..sealed.frame_bytes]);
        self.last = (header.frame, sealed.hash, position);
        if count > 0 {
            let (offset, root) = (position.offset, self.tree.root());
            self.rows.push(FrameRow {
                first_seq,
                count,
                segment: 0,
                offset,
                at,
                root,
                has_slices: with_slice,
            });
        }
    }

    fn decide(&mut self, (kind, debit, credit, amount): Move, at: Timestamp, writer: &mut BatchWriter) {
        self.keys += 1;
        let request = Request {
            kind,
            debit: AccountName::parse(debit).unwrap(),
            credit: AccountName::parse(credit).unwrap(),
            asset: Asset::parse("ron").unwrap(),
            amount: Amount::new(amount).unwrap(),
            key: IdemKey::new("golden", &self.keys.to_string(), 0),
            preconditions: Preconditions::default(),
            reference: Text::new("order-17").unwrap(),
            idx: 0,
        };
        let decided = self.ledger.decide(&request, at, self.ledger.last().next());
        let Decision::Postings(decided) = decided else { panic!("{decided:?}") };
        for posting in decided.iter() {
            self.ledger.apply(&posting);
            writer.push_posting(&posting);
            self.push_leaf(&RecordRef::Posting(posting));
            self.postings.push(posting);
        }
    }

    fn take_slice(&mut self, at: Timestamp, writer: &mut BatchWriter) {
        let slice = Slice {
            head: Head { seq: Seq::ZERO, at, kind: Kind::Usage, op: Kind::Usage, reason: None, idx: 0 },
            stream: [6; 16],
            number: 1,
            window_start_millis: 1_760_631_060_000,
            window_millis: 60_000,
            rows: 2,
            digest: *blake3::hash(BODY).as_bytes(),
            previous: [0; 32],
            requests: 10,
            bytes_in: 20,
            bytes_out: 30,
            blind: [0; 16],
            body_at: 0,
            body_len: 0,
        };
        let request = SliceRequest { slice, body: BODY.into() };
        let decided = self.ledger.decide_slice(&request, at, self.ledger.last().next());
        let SliceDecision::Take(mut slice) = decided else { panic!("{decided:?}") };
        writer.push_slice(&mut slice, BODY);
        let record = RecordRef::Slice(slice, BODY);
        self.ledger.apply_record(&record).unwrap();
        self.push_leaf(&record);
    }

    fn push_leaf(&mut self, record: &RecordRef<'_>) {
        let leaf = record_leaf_hash(HASH, record);
        self.tree.push(leaf);
        self.leaves.push(leaf);
    }

    fn checkpoint(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        self.ledger.encode_checkpoint(&self.tree, &mut payload);
        let (frame, hash, position) = self.last;
        let (through, tree_size, root) = (self.ledger.last(), self.tree.size(), self.tree.root());
        let incarnation = incarnation();
        let checkpoint =
            Checkpoint { ledger: LEDGER, incarnation, frame, hash, position, through, tree_size, root };
        let mut bytes = vec![0; CHECKPOINT_HEADER_BYTES];
        checkpoint.encode_header(&key(), &payload, bytes.first_chunk_mut().unwrap());
        bytes.extend_from_slice(&payload);
        bytes
    }

    fn slot(&self) -> Slot {
        let genesis = Slot::genesis(LEDGER, incarnation(), self.tree.root());
        let row = self.rows.last().unwrap();
        let durable = row.last_seq();
        let tree_size = durable.0;
        Slot {
            sequence: 3,
            clean: true,
            epoch: Epoch(1),
            frame: FrameNumber(2),
            durable,
            tree_size,
            ..genesis
        }
    }

    /// The note over the tree, and the proof of the first transfer in it.
    fn proof(&self) -> (String, TlogProof) {
        let head = TreeHead { origin: ORIGIN.into(), size: self.tree.size(), root: self.tree.root() };
        let checkpoint = sign_checkpoint(&signer(), &head);
        let transfer = self.postings.iter().find(|posting| posting.head.kind == Kind::Transfer).unwrap();
        let index = transfer.head.seq.0 - 1;
        let (home, tiles) = self.tiles();
        let path = inclusion_path(HASH, &tiles, index, self.tree.size()).unwrap();
        drop(home);
        let extra = Some(leaf_data(HASH, transfer).as_bytes().to_vec());
        (checkpoint.clone(), TlogProof { extra, index, path, checkpoint })
    }

    fn tiles(&self) -> (tempfile::TempDir, TileFiles) {
        let home = tempfile::tempdir().unwrap();
        let mut tiles = TileFiles::open(home.path(), HASH).unwrap();
        let mut tree = Tree::new(HASH);
        for leaf in &self.leaves {
            tree.push_each(*leaf, |level, _, node| tiles.push(level, *node));
        }
        tiles.flush().unwrap();
        (home, tiles)
    }

    fn frames(&self) -> Vec<u8> {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("frames");
        let mut index = FrameIndex::open(&path, HASH, LEDGER).unwrap();
        self.rows.iter().for_each(|row| index.push(*row));
        index.flush().unwrap();
        fs::read(path).unwrap()
    }
}

fn signer() -> NoteSigner {
    NoteSigner::new(ORIGIN, &[3; 32]).unwrap()
}

fn image(encode: impl FnOnce(&mut [u8; IMAGE_BYTES])) -> Vec<u8> {
    let mut image = [0; IMAGE_BYTES];
    encode(&mut image);
    image.to_vec()
}

/// Every kept file: its name and its bytes.
pub(super) fn files() -> Vec<(&'static str, Vec<u8>)> {
    let made = Made::new();
    let superblock = Superblock {
        ledger: LEDGER,
        incarnation: incarnation(),
        epoch: Epoch(1),
        hash: journal::HashKind::Sha256,
        created: AT,
        geometry: geometry(),
        frame_key: FRAME_KEY,
        ledger_secret: params().secret,
        log_key: [4; 32],
    };
    let membership = Membership::alone(LEDGER, incarnation()).next(Member::Second, Active::Both);
    let (note, proof) = made.proof();
    let (home, _) = made.tiles();
    let leaves = fs::read(home.path().join("level-0")).unwrap();
    vec![
        ("superblock", image(|image| superblock.encode(image))),
        ("slot", image(|image| made.slot().encode(&key(), image))),
        ("membership", image(|image| membership.encode(&key(), image))),
        ("segment", made.segment.clone()),
        ("checkpoint", made.checkpoint()),
        ("frames", made.frames()),
        ("level-0", leaves),
        ("note", note.into_bytes()),
        ("receipt.tlog-proof", proof.to_string().into_bytes()),
        ("log-key", format!("{}\n", signer().verifier()).into_bytes()),
    ]
}
