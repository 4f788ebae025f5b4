//! `Witness`: keeps the checkpoints that are published while the traffic runs, and at the end has
//! it proven that none of them was taken back.

use std::{collections::BTreeMap, time::Duration};

use client::{Client, Reply};
use ledger::{Hash, HashKind, NoteVerifier, TreeHead, verify_consistency};
use tokio::sync::watch;

use super::{
    check::Heads,
    payer::within,
    violation::{DemoError, Violation, same},
};

const PAUSE: Duration = Duration::from_millis(50);
/// Roots that are asked for at once.
const ROOTS: u64 = 1_000;

/// The signed tree heads that were seen: one root for each size.
#[derive(Clone, Debug, Default)]
pub(crate) struct Witness(BTreeMap<u64, TreeHead>);

impl Witness {
    /// Looks at the published checkpoint again and again, until told to stop or cut off.
    pub(crate) async fn watch(
        mut self,
        mut client: Client,
        log_key: NoteVerifier,
        stop: watch::Receiver<bool>,
    ) -> Result<Self, DemoError> {
        let mut heads = Heads::new(log_key);
        let mut size = 0;
        while !*stop.borrow() {
            let reply = match within("/checkpoint", client.get("/checkpoint")).await {
                Ok(reply) => reply,
                Err(DemoError::Client(_)) => return Ok(self),
                Err(error) => return Err(error),
            };
            let head = heads.open(&reply.text())?;
            if head.size < size {
                let expected = format!("{size} or more");
                return Err(Violation::new("the size of the published tree", expected, head.size).into());
            }
            size = head.size;
            self.add(head)?;
            tokio::time::sleep(PAUSE).await;
        }
        Ok(self)
    }

    /// One more; another root for a size that was seen is a violation.
    pub(crate) fn add(&mut self, head: TreeHead) -> Result<(), Violation> {
        let known = self.0.entry(head.size).or_insert_with(|| head.clone());
        same(
            format_args!("the root of the tree of {}", head.size),
            &hex::encode(known.root),
            &hex::encode(head.root),
        )
    }

    /// The largest.
    pub(crate) fn last(&self) -> Option<&TreeHead> {
        self.0.values().next_back()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Compares with the roots that the node lists, from the first to the last: each is of a later
    /// entry, and none is another than was signed.
    pub(crate) async fn compare(&self, client: &mut Client) -> Result<(), DemoError> {
        let mut listed = 0;
        loop {
            let path = format!("/roots?since={listed}&limit={ROOTS}");
            let reply = within(&path, client.get(&path)).await?;
            let answer = reply.json();
            let roots = answer["roots"].as_array().map_or(&[][..], Vec::as_slice);
            for root in roots {
                listed = self.listed(listed, root["seq"].as_u64(), root["root"].as_str())?;
            }
            if roots.is_empty() {
                break;
            }
        }
        let last = self.last().map_or(0, |head| head.size);
        Ok(same("the last entry of the roots", &last, &listed)?)
    }

    fn listed(&self, before: u64, seq: Option<u64>, root: Option<&str>) -> Result<u64, Violation> {
        let Some((seq, root)) = seq.zip(root).filter(|(seq, _)| *seq > before) else {
            let found = format!("{seq:?} {root:?}");
            return Err(Violation::new("the roots", format_args!("one after entry {before}"), found));
        };
        if let Some(signed) = self.0.get(&seq) {
            same(format_args!("the root after entry {seq}"), &hex::encode(signed.root).as_str(), &root)?;
        }
        Ok(seq)
    }

    /// Has it proven that each tree that was seen is a prefix of the last.
    pub(crate) async fn prove(&self, client: &mut Client, hash: HashKind) -> Result<(), DemoError> {
        let Some(last) = self.last() else { return Ok(()) };
        for head in self.0.values() {
            let path = format!("/proof/consistency?from={}&to={}", head.size, last.size);
            let reply = within(&path, client.get(&path)).await?;
            let hashes = path_told(&reply).ok_or_else(|| Violation::new(&path, "a path", reply.text()))?;
            consistent(hash, head, last, &hashes)?;
        }
        Ok(())
    }
}

/// Whether `head` is a prefix of `last`.
pub(crate) fn consistent(
    hash: HashKind,
    head: &TreeHead,
    last: &TreeHead,
    path: &[Hash],
) -> Result<(), Violation> {
    verify_consistency(hash, (head.size, &head.root), (last.size, &last.root), path).map_err(|error| {
        Violation::new(format_args!("the published tree of {}", head.size), "a prefix of the last", error)
    })
}

fn path_told(reply: &Reply) -> Option<Vec<Hash>> {
    let answer = reply.json();
    let hashes = answer["path"].as_array()?;
    hashes.iter().map(|hash| hex::decode(hash.as_str()?).ok()?.try_into().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_roots_go_on_and_are_the_signed_ones() {
        let mut witness = Witness::default();
        witness.add(TreeHead { origin: "demo.test/log".to_owned(), size: 9, root: [9; 32] }).unwrap();
        let (signed, other) = (hex::encode([9; 32]), hex::encode([8; 32]));
        assert_eq!(witness.listed(7, Some(9), Some(&signed)), Ok(9));
        assert_eq!(witness.listed(7, Some(8), Some(&other)), Ok(8));
        for (before, seq, root) in [
            (7, Some(9), Some(other.as_str())),
            (9, Some(9), Some(&signed)),
            (7, None, Some(&signed)),
            (7, Some(9), None),
        ] {
            assert!(witness.listed(before, seq, root).is_err(), "{before} {seq:?}");
        }
    }
}
