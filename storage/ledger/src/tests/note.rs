//! Notes, keys, checkpoints and proof files against known vectors and damage.

use alloc::{format, string::ToString, vec::Vec};

use crate::{
    HashKind, NoteError, NoteSigner, NoteVerifier, ProofError, ReceiptError, SignedNote, TlogProof, TreeHead,
    inclusion_path, open_checkpoint, sign_checkpoint,
    tests::merkle::{Nodes, unhex},
};

const LOG_KEY: &str = "ledger.example/ron+e79c0780+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4";
const WITNESS_KEY: &str = "witness.example/w1+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X";
const SPEC_KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const SIGNED: &str = "ledger.example/ron\n8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n\n\
    \u{2014} ledger.example/ron 55wHgCYXTeHh/0DLsCDllkkYca8WsyUZQmR/doV7JdpbhdKlzYO74EVi4oBmD+KVO5rtyEumMRN1VtdFuHsR2ic2gQA=\n";
const COSIGNED: &str = "\u{2014} witness.example/w1 IDJKvgAAAABrSdIAAdzjTaViM/Vpn22cdIXTrsdaA18fJVyGFIXU1QrgYy/wOkAtXlsZJGbZL32KsRO5LFpehVTfQ+Gau5d/1uelBg==\n";

fn signer() -> NoteSigner {
    let seed = core::array::from_fn(|at| u8::try_from(at).unwrap());
    NoteSigner::new("ledger.example/ron", &seed).unwrap()
}

fn head() -> TreeHead {
    let root = unhex("5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
    TreeHead { origin: "ledger.example/ron".to_string(), size: 8, root: root.try_into().unwrap() }
}

#[test]
fn a_checkpoint_is_the_known_note_byte_for_byte() {
    let signer = signer();
    assert_eq!(sign_checkpoint(&signer, &head()), SIGNED);
    let log = NoteVerifier::parse(LOG_KEY).unwrap();
    assert_eq!(log, signer.verifier());
    assert_eq!(log.to_string(), LOG_KEY);
    assert_eq!(open_checkpoint(SIGNED, &log), Ok(head()));
    let cosigned = format!("{SIGNED}{COSIGNED}");
    assert_eq!(open_checkpoint(&cosigned, &log), Ok(head()), "a line of an unknown key is ignored");
    let reordered = SIGNED.replace("\n\n", &format!("\n\n{COSIGNED}"));
    assert_eq!(open_checkpoint(&reordered, &log), Ok(head()));
}

#[test]
fn verifier_keys_are_parsed_strictly() {
    assert_eq!(NoteVerifier::parse(SPEC_KEY).unwrap().to_string(), SPEC_KEY);
    assert_eq!(NoteVerifier::parse(WITNESS_KEY), Err(NoteError::KeyType(4)));
    for bad in [
        "",
        "name",
        "name+00000000",
        "ledger.example/ron+e79c0781+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4",
        "ledger.example/rom+e79c0780+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4",
        "ledger.example/ron+E79C0780+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4",
        "ledger.example/ron+e79c0780+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG",
        "ledger.example/ron+e79c0780+",
    ] {
        assert_eq!(NoteVerifier::parse(bad), Err(NoteError::Key), "{bad}");
    }
    for bad in ["", "a b", "a+b", "a\tb", "a\u{a0}b"] {
        assert_eq!(NoteSigner::new(bad, &[0; 32]).err(), Some(NoteError::Name), "{bad:?}");
    }
}

#[test]
fn no_changed_note_is_opened() {
    let log = NoteVerifier::parse(LOG_KEY).unwrap();
    let text_len = SIGNED.find("\n\n").unwrap();
    for at in 0..SIGNED.len() {
        let mut bytes = SIGNED.as_bytes().to_vec();
        bytes[at] ^= 1;
        let Ok(changed) = core::str::from_utf8(&bytes) else { continue };
        assert!(open_checkpoint(changed, &log).is_err(), "byte {at} of {text_len}");
    }
    for at in 0..SIGNED.len() {
        if SIGNED.is_char_boundary(at) {
            assert!(open_checkpoint(&SIGNED[..at], &log).is_err(), "cut at {at}");
        }
    }
    let other = NoteVerifier::parse(SPEC_KEY).unwrap();
    assert_eq!(open_checkpoint(SIGNED, &other), Err(NoteError::NotSigned));
    let of_another = signer().sign(&TreeHead { origin: "else".to_string(), ..head() }.text());
    assert_eq!(open_checkpoint(&of_another, &log), Err(NoteError::Origin));
    let crowd = format!("{SIGNED}{}", COSIGNED.repeat(64));
    assert_eq!(open_checkpoint(&crowd, &log), Err(NoteError::Format("more than 64 signatures")));
}

#[test]
fn tree_heads_are_parsed_strictly() {
    assert_eq!(TreeHead::parse(&head().text()), Ok(head()));
    let root = "XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=";
    let extended = format!("ledger.example/ron\n8\n{root}\nextension\n");
    assert_eq!(TreeHead::parse(&extended), Ok(head()));
    for bad in [
        "".to_string(),
        format!("\n8\n{root}\n"),
        format!("o\n08\n{root}\n"),
        format!("o\n+8\n{root}\n"),
        format!("o\n\n{root}\n"),
        format!("o\n18446744073709551616\n{root}\n"),
        "o\n8\n".to_string(),
        "o\n8\nXcna\n".to_string(),
        format!("o\n8\n{root}"),
        format!("o\n8\n{root}\n\n"),
    ] {
        assert!(TreeHead::parse(&bad).is_err(), "{bad:?}");
    }
    assert!(SignedNote::parse("a\u{7}\n\n\u{2014} a AAAAAAA=\n").is_err());
}

#[test]
fn a_proof_file_is_the_known_one_and_proves() {
    let hash = HashKind::Sha256;
    let leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657"];
    let mut leaves: Vec<_> = leaves.iter().map(|leaf| hash.leaf(&unhex(leaf))).collect();
    leaves.push(hash.leaf(&unhex("606162636465666768696a6b6c6d6e6f")));
    let (nodes, _) = Nodes::grow(hash, &leaves);
    let path = inclusion_path(hash, &nodes, 5, 8).unwrap();
    let proof = TlogProof { extra: None, index: 5, path, checkpoint: SIGNED.to_string() };
    let text = format!(
        "c2sp.org/tlog-proof@v1\nindex 5\nvBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=\n\
         yoVOoSjtBQtBs1/8G4e46yveRh6eO1WW7Oa51ZdaCuA=\n037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc=\n\n{SIGNED}"
    );
    assert_eq!(proof.to_string(), text);
    assert_eq!(TlogProof::parse(&text), Ok(proof.clone()));
    let log = NoteVerifier::parse(LOG_KEY).unwrap();
    assert_eq!(proof.verify(hash, &leaves[5], &log), Ok(head()));
    let mismatch = Err(ReceiptError::Proof(ProofError::RootMismatch));
    assert_eq!(proof.verify(hash, &leaves[4], &log), mismatch);
    let with_extra = TlogProof { extra: Some(unhex("40414243")), ..proof };
    assert_eq!(TlogProof::parse(&with_extra.to_string()), Ok(with_extra));
}

#[test]
fn proof_files_are_parsed_strictly() {
    let good = format!("c2sp.org/tlog-proof@v1\nindex 5\n\n{SIGNED}");
    assert!(TlogProof::parse(&good).is_ok());
    let hash_line = "vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=\n";
    for bad in [
        good.replace("@v1", "@v2"),
        good.replace("index 5", "index 05"),
        good.replace("index 5", "index -5"),
        good.replace("index 5\n", ""),
        good.replace("index 5", "extra !\nindex 5"),
        good.replace("index 5", "index 5\nAAAA"),
        good.replace("index 5\n", &format!("index 5\n{}", hash_line.repeat(65))),
        good.replace("\n\n", "\n"),
    ] {
        assert!(matches!(TlogProof::parse(&bad), Err(ReceiptError::Format(_))), "{bad}");
    }
}
