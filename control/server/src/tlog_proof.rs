//! A proof as C2SP `tlog-proof` text (c2sp.org/tlog-proof), for other people's tools.

use std::fmt::Write;

use base64::{Engine, engine::general_purpose::STANDARD};
use wire::{Checkpoint, InclusionProof};

/// The text: the header, the leaf's index, the path in base64 (RFC 4648, section 4), an empty
/// line, the checkpoint as it was signed. `None` for a proof of no entry.
pub(crate) fn tlog_proof(proof: &InclusionProof, checkpoint: &Checkpoint) -> Option<String> {
    let index = proof.seq.leaf_index()?;
    let mut text = format!("c2sp.org/tlog-proof@v1\nindex {index}\n");
    for hash in &proof.path {
        STANDARD.encode_string(hash, &mut text);
        text.push('\n');
    }
    write!(text, "\n{}", checkpoint.note).expect("a String takes every text");
    Some(text)
}

#[cfg(test)]
mod tests {
    use model::Seq;

    use super::*;

    #[test]
    fn the_text_has_these_bytes() {
        let proof = InclusionProof {
            seq: Seq(6),
            leaf: [0; 32],
            size: 8,
            root: [0; 32],
            path: vec![[0; 32], [255; 32]],
        };
        let checkpoint =
            Checkpoint { size: 8, root: [0; 32], note: "log\n8\nroot\n\n— log sig\n".to_owned() };
        let expected = "c2sp.org/tlog-proof@v1\nindex 5\n\
            AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\
            //////////////////////////////////////////8=\n\nlog\n8\nroot\n\n— log sig\n";
        assert_eq!(tlog_proof(&proof, &checkpoint).unwrap(), expected);
        assert_eq!(tlog_proof(&InclusionProof { seq: Seq(0), ..proof }, &checkpoint), None);
    }
}
