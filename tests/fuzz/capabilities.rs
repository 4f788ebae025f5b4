//! Tokens: their bytes, their text, the header that carries them, their caveats. Signatures are
//! made right again from the macaroon paper's rule, so that the caveats inside are reached.

use caps::{Action, ActionPattern, Caveat, Grant, KeyId, Keyring, Macaroon, RootKey, bearer_token, verify};
use hmac::{Hmac, KeyInit, Mac};
use model::{AccountName, Text, Timestamp};
use sha2::Sha256;

use super::harness::Target;

const ROOT: [u8; 32] = [7; 32];
const NOW: Timestamp = Timestamp::from_millis(1_760_631_062_000);
const FIXED: u64 = 32 << 10;

fn keyring() -> Keyring {
    Keyring::new(KeyId::parse("2026-10").unwrap(), &RootKey::new(ROOT))
}

fn minted(caveats: &[&str]) -> Macaroon {
    let grant = Grant {
        subject: Text::new("dev").unwrap(),
        actions: vec![ActionPattern::any()],
        caveats: caveats.iter().map(|text| Caveat::parse(text).unwrap()).collect(),
    };
    Macaroon::mint(&keyring(), [9; 16], &grant).unwrap()
}

fn tokens() -> Vec<Macaroon> {
    let expires = "expires = 2026-10-16T16:11:02Z";
    vec![
        minted(&[]),
        minted(&["account = shop/*,acct_a", expires]),
        minted(&["action = wallet:*,ledger:read", "subject = dev", "account = *"]),
    ]
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// Signs the chain anew where the bytes still are a token of first-party caveats.
fn sign(bytes: &mut [u8]) {
    let mut signature = hmac(b"macaroons-key-generator", &ROOT);
    let mut rest = bytes.get(1..).unwrap_or_default();
    let mut identified = false;
    while let [kind, length, after @ ..] = rest {
        match (kind, usize::from(*length)) {
            (0, _) => rest = &rest[1..],
            (2, long) if long < 0x80 && after.len() >= long => {
                signature = hmac(&signature, &after[..long]);
                identified = true;
                rest = &after[long..];
            }
            (6, 32) if identified && after.len() == 32 => break,
            _ => return,
        }
    }
    if let Some(place) = bytes.last_chunk_mut::<32>() {
        *place = signature;
    }
}

#[test]
fn tokens_in_bytes() {
    let target = Target {
        name: "macaroon",
        times: 10,
        seeds: tokens().iter().map(Macaroon::to_bytes).collect(),
        repair: Some(&sign),
        fixed: FIXED,
        factor: 64,
        refusals: &["Malformed", "UnknownKey", "BadSignature", "UnknownCaveat", "BadCaveat", "Subject"],
    };
    let ring = keyring();
    let read = |bytes: &[u8]| {
        let token = Macaroon::from_bytes(bytes)?;
        assert_eq!(token.to_bytes(), bytes, "what parses is written back");
        verify(&ring, &token.to_text(), NOW)
    };
    let seen = target.run(
        |bytes| read(bytes).map(drop),
        |bytes| {
            let wider = read(bytes).unwrap();
            let caveat = Caveat::parse("action = wallet:read").unwrap();
            // A token at its limits takes no further caveat.
            let Ok(token) = Macaroon::from_bytes(bytes).unwrap().attenuate(&caveat) else { return };
            let narrower = verify(&ring, &token.to_text(), NOW).unwrap();
            for action in Action::ALL {
                assert!(wider.allows(action) || !narrower.allows(action), "{action}");
            }
            let name = AccountName::parse("shop/till").unwrap();
            assert_eq!(narrower.allows_account(&name), wider.allows_account(&name));
        },
    );
    let inner = ["UnknownCaveat", "BadCaveat", "Subject"].map(|word| seen.refused[word]);
    assert!(inner.iter().sum::<u64>() > 20, "caveats are reached through the signature: {seen:?}");
}

#[test]
fn tokens_in_text() {
    let target = Target {
        name: "bearer",
        times: 10,
        seeds: tokens().iter().map(|token| format!("Bearer {}", token.to_text()).into_bytes()).collect(),
        repair: None,
        fixed: FIXED,
        factor: 64,
        refusals: &["Scheme", "Malformed", "BadSignature"],
    };
    let (ring, known) = (keyring(), tokens().iter().map(Macaroon::to_text).collect::<Vec<_>>());
    target.run(
        |bytes| bearer_token(Some(bytes)).and_then(|token| verify(&ring, token, NOW)).map(drop),
        |bytes| {
            let token = bearer_token(Some(bytes)).unwrap();
            assert!(known.iter().any(|known| known == token), "only what was minted verifies: {token}");
        },
    );
}

#[test]
fn caveats() {
    let seeds = [
        "subject = users/ann",
        "action = wallet:read,wallet:transfer,ledger:*",
        "account = acct_a,shop/*",
        "expires = 2026-10-16T16:11:02Z",
    ];
    let target = Target {
        name: "caveat",
        times: 1,
        seeds: seeds.map(|seed| seed.as_bytes().to_vec()).into(),
        repair: None,
        fixed: 4 << 10,
        factor: 64,
        refusals: &["Unknown", "Value"],
    };
    let parse = |bytes: &[u8]| Caveat::parse(&String::from_utf8_lossy(bytes));
    target.run(
        |bytes| parse(bytes).map(drop),
        |bytes| {
            let caveat = parse(bytes).unwrap();
            let written = caveat.to_string();
            assert_eq!(Caveat::parse(&written).unwrap().to_string(), written);
        },
    );
}
