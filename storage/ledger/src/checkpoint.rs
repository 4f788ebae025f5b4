//! Checkpoints: the whole state as bytes, the same for the same entries, and back.
//!
//! Rows are written in the order in which they came, which the journal alone decides. The last 32
//! bytes are the BLAKE3 of all before them; nothing is looked at before that is checked. The
//! layout is in `docs/format.md`.

use alloc::vec::Vec;

use model::{AccountName, Asset, Balance, Incarnation, Life, Seq, Timestamp};

use crate::{
    Error, Hash, HashKind, KeyView, Ledger, Params, Tree,
    accounts::{Owner, OwnerAt, Row},
    keys::KeyRow,
    streams::{Link, RECENT_SLICES, Stream},
};

const MAGIC: &[u8; 8] = b"MNLEDGER";
const VERSION: u32 = 0;
const DIGEST_BYTES: usize = 32;
/// `limits::INCARNATIONS_MAX` as it is counted here.
const LIVES_MAX: u32 = 1_024;
const _: () = assert!(LIVES_MAX as usize == model::limits::INCARNATIONS_MAX);

impl Ledger {
    /// Appends the state and the tree's frontier to `out`.
    ///
    /// # Panics
    /// If `tree` does not stand where the ledger stands.
    pub fn encode_checkpoint(&self, tree: &Tree, out: &mut Vec<u8>) {
        assert!(tree.size() == self.last.0 && tree.hash() == self.hash());
        let start = out.len();
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[self.hash().number(), 0, 0, 0]);
        for word in [self.last.0, self.at.0] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        let (owners, rows, streams) = (self.accounts.owners(), self.accounts.rows(), self.streams.rows());
        for count in [owners.len(), rows.len(), streams.len()] {
            out.extend_from_slice(&u32::try_from(count).expect("tables are bounded").to_le_bytes());
        }
        out.extend_from_slice(&self.keys.count().to_le_bytes());
        let lives = u32::try_from(self.lives.iter().len()).expect("lives are bounded");
        out.extend_from_slice(&lives.to_le_bytes());
        for peak in tree.frontier() {
            out.extend_from_slice(&peak);
        }
        self.lives.iter().for_each(|life| put_life(out, life));
        owners.iter().for_each(|owner| put_owner(out, owner));
        rows.iter().for_each(|row| put_row(out, row));
        streams.iter().for_each(|stream| put_stream(out, stream));
        self.keys.iter().for_each(|key| put_key(out, &key));
        let digest = blake3::hash(out.split_at(start).1);
        out.extend_from_slice(digest.as_bytes());
    }

    /// Reads a checkpoint back into a ledger with these parameters, and its tree.
    ///
    /// # Errors
    /// If the bytes are damaged, of another version or hash, over the bounds of `params`, or
    /// describe a state that no journal leads to.
    ///
    /// # Panics
    /// As `Ledger::new`.
    pub fn decode_checkpoint(bytes: &[u8], params: Params) -> Result<(Self, Tree), Error> {
        let content_len = bytes.len().checked_sub(DIGEST_BYTES).ok_or(Error::CheckpointDamaged)?;
        let (content, digest) = bytes.split_at(content_len);
        if blake3::hash(content).as_bytes() != digest {
            return Err(Error::CheckpointDamaged);
        }
        let mut input = Input { rest: content };
        if input.array::<8>()? != *MAGIC {
            return Err(Error::CheckpointDamaged);
        }
        let version = input.u32()?;
        if version != VERSION {
            return Err(Error::CheckpointVersion(version));
        }
        let [hash, padding @ ..] = input.array::<4>()?;
        if HashKind::from_number(hash) != Some(params.hash) {
            return Err(Error::CheckpointHash);
        }
        field(padding == [0; 3], "padding")?;
        let mut ledger = Self::new(params);
        ledger.last = Seq(input.u64()?);
        ledger.at = Timestamp(input.u64()?);
        let tree = ledger.read_tables(&mut input)?;
        field(input.rest.is_empty(), "length")?;
        match ledger.broken_invariant() {
            Some(broken) => Err(Error::CheckpointField(broken)),
            None => Ok((ledger, tree)),
        }
    }

    fn read_tables(&mut self, input: &mut Input<'_>) -> Result<Tree, Error> {
        let (accounts_max, streams_max) = (self.params.accounts_max, self.params.streams_max);
        let owners = input.count(accounts_max)?;
        let rows = input.count(accounts_max)?;
        let streams = input.count(streams_max)?;
        let keys = input.count(self.params.keys_max)?;
        let lives = input.count(LIVES_MAX)?;
        let mut frontier = Vec::with_capacity(64);
        for _ in 0..self.last.0.count_ones() {
            frontier.push(input.array::<32>()?);
        }
        for _ in 0..lives {
            self.read_life(input)?;
        }
        for _ in 0..owners {
            self.read_owner(input)?;
        }
        for _ in 0..rows {
            self.read_row(input)?;
        }
        for _ in 0..streams {
            self.read_stream(input)?;
        }
        self.keys.expect(u64::from(keys), |_| {});
        for _ in 0..keys {
            self.read_key(input)?;
        }
        Tree::from_frontier(self.hash(), self.last.0, &frontier).ok_or(Error::CheckpointField("frontier"))
    }

    fn read_life(&mut self, input: &mut Input<'_>) -> Result<(), Error> {
        let incarnation = Incarnation(input.u32()?);
        let (id, first) = (input.array()?, Seq(input.u64()?));
        field(self.lives.push(Life { incarnation, id, first }), "incarnation")
    }

    fn read_owner(&mut self, input: &mut Input<'_>) -> Result<(), Error> {
        let [len] = input.array::<1>()?;
        let name = core::str::from_utf8(input.take(usize::from(len))?).ok();
        let name =
            name.and_then(|name| AccountName::parse(name).ok()).ok_or(Error::CheckpointField("name"))?;
        let nonce = input.u64()?;
        field(self.accounts.find_owner(name.id()).is_none(), "name twice")?;
        let at = self.accounts.add_owner(name);
        self.accounts.owner_mut(at).nonce = nonce;
        Ok(())
    }

    fn read_row(&mut self, input: &mut Input<'_>) -> Result<(), Error> {
        let owner = OwnerAt(input.u32()?);
        let known = usize::try_from(owner.0).is_ok_and(|at| at < self.accounts.owners().len());
        field(known, "owner of an account")?;
        field(input.u32()? == 0, "flags of an account")?;
        let asset = Asset::from_bytes(input.array()?).map_err(|_| Error::CheckpointField("asset"))?;
        let balance = Balance::new(i128::from_le_bytes(input.array()?));
        let balance = balance.ok_or(Error::CheckpointField("balance"))?;
        let held = u128::from_le_bytes(input.array()?);
        let seq = input.u64()?;
        let id = self.accounts.owner(owner).name.id();
        field(self.accounts.find_row(id, asset).is_none(), "account twice")?;
        let at = self.accounts.add_row(owner, asset);
        *self.accounts.row_mut(at) = Row { asset, balance, held, seq, owner };
        Ok(())
    }

    fn read_stream(&mut self, input: &mut Input<'_>) -> Result<(), Error> {
        let id = input.array::<16>()?;
        let number = input.u64()?;
        field(number >= 1 && self.streams.find(&id).is_none(), "stream")?;
        let empty = Link { digest: [0; 32], seq: Seq::ZERO };
        let mut links = [empty; RECENT_SLICES];
        let recent = usize::try_from(number).unwrap_or(RECENT_SLICES).min(RECENT_SLICES);
        let (links, _) = links.split_at_mut(recent);
        for link in links.iter_mut() {
            *link = Link { digest: input.array()?, seq: Seq(input.u64()?) };
        }
        self.streams.add(id, number, links);
        Ok(())
    }

    fn read_key(&mut self, input: &mut Input<'_>) -> Result<(), Error> {
        let digest = input.array::<16>()?;
        let fingerprint = input.u64()?;
        let (seq, at) = (Seq(input.u64()?), Timestamp(input.u64()?));
        field(self.keys.find(&digest).is_none(), "key twice")?;
        self.keys.add(KeyRow { digest, outcome: KeyView { fingerprint, seq, at } });
        Ok(())
    }
}

fn put_owner(out: &mut Vec<u8>, owner: &Owner) {
    let name = owner.name.as_str().as_bytes();
    out.push(u8::try_from(name.len()).expect("a name has at most 64 bytes"));
    out.extend_from_slice(name);
    out.extend_from_slice(&owner.nonce.to_le_bytes());
}

fn put_life(out: &mut Vec<u8>, life: &Life) {
    out.extend_from_slice(&life.incarnation.0.to_le_bytes());
    out.extend_from_slice(&life.id);
    out.extend_from_slice(&life.first.0.to_le_bytes());
}

fn put_row(out: &mut Vec<u8>, row: &Row) {
    out.extend_from_slice(&row.owner.0.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&row.asset.bytes());
    out.extend_from_slice(&row.balance.units().to_le_bytes());
    out.extend_from_slice(&row.held.to_le_bytes());
    out.extend_from_slice(&row.seq.to_le_bytes());
}

fn put_stream(out: &mut Vec<u8>, stream: &Stream) {
    out.extend_from_slice(&stream.id);
    out.extend_from_slice(&stream.number().to_le_bytes());
    for link in stream.recent() {
        out.extend_from_slice(&link.digest);
        out.extend_from_slice(&link.seq.0.to_le_bytes());
    }
}

fn put_key(out: &mut Vec<u8>, key: &KeyRow) {
    out.extend_from_slice(&key.digest);
    for word in [key.outcome.fingerprint, key.outcome.seq.0, key.outcome.at.0] {
        out.extend_from_slice(&word.to_le_bytes());
    }
}

const fn field(holds: bool, name: &'static str) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(Error::CheckpointField(name)) }
}

/// What is left to read. Every length is checked against it before it is used.
struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Error::CheckpointDamaged)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Error::CheckpointDamaged)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn u32(&mut self) -> Result<u32, Error> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, Error> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn count(&mut self, limit: u32) -> Result<u32, Error> {
        let found = self.u32()?;
        if found > limit {
            return Err(Error::CheckpointTooLarge { found: u64::from(found), limit });
        }
        Ok(found)
    }
}

const _: () = assert!(size_of::<Hash>() == DIGEST_BYTES);
