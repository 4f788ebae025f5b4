use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use model::Nanos;

use super::*;
use crate::{Class, Grant, RootKey, limits::CAVEATS_MAX, sign::Secret};

extern crate std;

/// xorshift64*: enough to pick cases, and the same cases for the same seed.
struct Dice(u64);

impl Dice {
    fn seeded() -> Self {
        let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_016);
        std::println!("SEED={seed}");
        Self(seed | 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(drawn).unwrap() % limit
    }
}

const NOW: Timestamp = Timestamp::from_millis(1_760_631_062_000);

fn keyring() -> Keyring {
    Keyring::new(KeyId::parse("2026-10").unwrap(), &RootKey::new([7; 32]))
}

fn caveat(text: &str) -> Caveat {
    Caveat::parse(text).unwrap()
}

fn grant(caveats: &[&str]) -> Grant {
    Grant {
        subject: Text::new("dev").unwrap(),
        actions: alloc::vec![ActionPattern::any()],
        caveats: caveats.iter().map(|text| caveat(text)).collect(),
    }
}

fn minted(caveats: &[&str]) -> Macaroon {
    Macaroon::mint(&keyring(), [9; 16], &grant(caveats)).unwrap()
}

fn raw(text: &str) -> Section {
    Section { location: None, identifier: text.as_bytes().to_vec(), verifier: None }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| alloc::format!("{byte:02x}")).collect()
}

#[test]
fn public_vectors_hold() {
    let key = Secret::derived(b"this is the key");
    let mut token = Macaroon::root(&key, Some(b"http://example.org/"), b"keyid");
    let plain = "AgETaHR0cDovL2V4YW1wbGUub3JnLwIFa2V5aWQAAAYgfN7nklEcW8b1KEhYBd_psk54XijiqZMB-dcRxgnjjvc";
    assert_eq!(token.to_text(), plain);
    let signature = hex(token.to_bytes().split_last_chunk::<32>().unwrap().1);
    assert!(signature.starts_with("7cdee792") && signature.ends_with("8ef7"), "{signature}");

    token.push(raw("account = 3735928559")).unwrap();
    let narrowed = "AgETaHR0cDovL2V4YW1wbGUub3JnLwIFa2V5aWQAAhRhY2NvdW50ID0gMzczNTkyODU1OQAABiD1SAf23G7fiL8PcwazgiVio2JTPb9zObphdl2kvSWdhw";
    assert_eq!(token.to_text(), narrowed);
    for text in [plain, narrowed] {
        let read = Macaroon::parse(text).unwrap();
        assert!(read.is_signed_by(&key));
        assert!(!read.is_signed_by(&Secret::derived(b"another key")));
        assert_eq!(read.to_text(), text);
    }
}

#[test]
fn a_development_token_allows_everything() {
    let text = minted(&[]).to_text();
    let capability = verify(&keyring(), &text, NOW).unwrap();
    assert_eq!(capability.subject(), "dev");
    assert_eq!(capability.key_id().as_str(), "2026-10");
    assert_eq!(capability.serial(), [9; 16]);
    assert_eq!(capability.expires(), None);
    assert!(Action::ALL.into_iter().all(|action| capability.allows(action)));
    assert!(capability.allows_account(&AccountName::parse("acct_a").unwrap()));
    let golden = "AgIqMS4yMDI2LTEwLjA5MDkwOTA5MDkwOTA5MDkwOTA5MDkwOTA5MDkwOTA5AAINc3ViamVjdCA9IGRldgACCmFjdGlvbiA9ICoAAAYg";
    assert!(text.starts_with(golden), "{text}");
}

#[test]
fn caveats_intersect() {
    let token = minted(&[
        "action = wallet:*,ledger:read",
        "account = shop/*,acct_a",
        "expires = 2026-10-16T16:11:02Z",
        "subject = dev",
    ]);
    let token = token.attenuate(&caveat("action = wallet:transfer,ledger:*")).unwrap();
    let token = token.attenuate(&caveat("account = shop/till,acct_b")).unwrap();
    let token = token.attenuate(&caveat("expires = 2025-12-01T00:00:00Z")).unwrap();
    let capability = verify(&keyring(), &token.to_text(), NOW).unwrap();
    for action in Action::ALL {
        let expected = [Action::WalletTransfer, Action::LedgerRead].contains(&action);
        assert_eq!(capability.allows(action), expected, "{action}");
        assert_eq!(capability.require(action).is_ok(), expected);
    }
    for (name, expected) in [("shop/till", true), ("shop/other", false), ("acct_a", false), ("acct_b", false)]
    {
        let name = AccountName::parse(name).unwrap();
        assert_eq!(capability.allows_account(&name), expected, "{name}");
        assert_eq!(capability.require_account(&name), expected.then_some(()).ok_or(CapError::Account));
    }
    assert_eq!(capability.expires(), Timestamp::parse("2025-12-01T00:00:00Z"));
}

#[test]
fn every_refusal_has_its_word_and_class() {
    let with = |text: &str| {
        let mut token = minted(&[]);
        token.push(raw(text)).unwrap();
        token.to_text()
    };
    let rooted = |caveats: &[&str]| {
        let ring = keyring();
        let mut token =
            Macaroon::root(ring.active_secret(), None, b"1.2026-10.00000000000000000000000000000000");
        for text in caveats {
            token.push(raw(text)).unwrap();
        }
        token.to_text()
    };
    let identified =
        |identifier: &str| Macaroon::root(keyring().active_secret(), None, identifier.as_bytes()).to_text();
    let mut third = minted(&[]);
    third.push(Section { verifier: Some(alloc::vec![1; 72]), ..raw("discharge me") }).unwrap();
    let stranger = Keyring::new(KeyId::parse("2026-10").unwrap(), &RootKey::new([8; 32]));
    let forged = Macaroon::mint(&stranger, [9; 16], &grant(&[])).unwrap().to_text();
    let other = Keyring::new(KeyId::parse("2026-11").unwrap(), &RootKey::new([7; 32]));
    let unknown = Macaroon::mint(&other, [9; 16], &grant(&[])).unwrap().to_text();
    for (text, expected, word, class) in [
        (String::new(), Malformed::Version.into(), "malformed", Class::Unauthenticated),
        ("a b".to_string(), Malformed::Base64.into(), "malformed", Class::Unauthenticated),
        ("AgAA=".to_string(), Malformed::Base64.into(), "malformed", Class::Unauthenticated),
        ("A".repeat(9000), Malformed::TooLong.into(), "malformed", Class::Unauthenticated),
        (identified("keyid"), Malformed::Identifier.into(), "malformed", Class::Unauthenticated),
        (identified("1.2026-10.00"), Malformed::Identifier.into(), "malformed", Class::Unauthenticated),
        (rooted(&[]), Malformed::Root.into(), "malformed", Class::Unauthenticated),
        (rooted(&["subject = dev"]), Malformed::Root.into(), "malformed", Class::Unauthenticated),
        (
            rooted(&["action = *", "subject = dev"]),
            Malformed::Root.into(),
            "malformed",
            Class::Unauthenticated,
        ),
        (unknown, CapError::UnknownKey, "unknown_key", Class::Unauthenticated),
        (forged, CapError::BadSignature, "bad_signature", Class::Unauthenticated),
        (with("expires = 2025-10-16T16:11:02Z"), CapError::Expired, "expired", Class::Unauthenticated),
        (with("max_amount = 5"), CapError::UnknownCaveat, "unknown_caveat", Class::Forbidden),
        (with("expires = soon"), CapError::BadCaveat, "bad_caveat", Class::Forbidden),
        (with("subject = eve"), CapError::Subject, "subject", Class::Forbidden),
        (third.to_text(), CapError::ThirdParty, "third_party", Class::Forbidden),
    ] {
        let error = verify(&keyring(), &text, NOW).map(|_| ()).unwrap_err();
        assert_eq!((error, error.word(), error.class()), (expected, word, class), "{text}");
    }
}

#[test]
fn expiry_is_exclusive() {
    let token = minted(&["expires = 2025-10-16T16:11:02Z"]).to_text();
    let before = Timestamp(NOW.0 - 1);
    assert!(verify(&keyring(), &token, before).is_ok());
    assert_eq!(verify(&keyring(), &token, NOW).map(|_| ()), Err(CapError::Expired));
}

#[test]
fn an_older_key_still_verifies_and_the_new_one_signs() {
    let old = minted(&[]).to_text();
    let mut ring = keyring();
    ring.rotate(KeyId::parse("2026-11").unwrap(), &RootKey::new([8; 32])).unwrap();
    let new = Macaroon::mint(&ring, [1; 16], &grant(&[])).unwrap().to_text();
    assert_eq!(verify(&ring, &old, NOW).unwrap().key_id().as_str(), "2026-10");
    assert_eq!(verify(&ring, &new, NOW).unwrap().key_id().as_str(), "2026-11");
    assert_eq!(verify(&keyring(), &new, NOW).map(|_| ()), Err(CapError::UnknownKey));
}

#[test]
fn no_cut_and_no_flipped_bit_verifies() {
    let token = minted(&["account = shop/*", "expires = 2026-10-16T16:11:02Z"]);
    let (bytes, ring) = (token.to_bytes(), keyring());
    let verifies = |bytes: &[u8]| {
        Macaroon::from_bytes(bytes).is_ok_and(|token| verify(&ring, &token.to_text(), NOW).is_ok())
    };
    assert!(verifies(&bytes), "the whole token verifies, so the test can fail");
    for len in 0..bytes.len() {
        assert!(!verifies(bytes.get(..len).unwrap()), "cut to {len}");
    }
    for index in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            *flipped.get_mut(index).unwrap() ^= 1 << bit;
            assert!(!verifies(&flipped), "byte {index} bit {bit}");
        }
    }
    let mut longer = bytes;
    longer.push(0);
    assert_eq!(Macaroon::from_bytes(&longer).map(|_| ()), Err(Malformed::Trailing));
}

#[test]
fn no_character_of_the_text_can_be_changed() {
    let text = minted(&[]).to_text();
    for index in 0..text.len() {
        for other in ["A", "B", "_", "=", "+", " ", "é"] {
            if text.get(index..=index) == Some(other) {
                continue;
            }
            let mut changed = text.clone();
            changed.replace_range(index..=index, other);
            assert!(verify(&keyring(), &changed, NOW).is_err(), "{index} {other}");
        }
    }
}

#[test]
fn garbage_neither_panics_nor_parses_into_something_else() {
    let mut dice = Dice::seeded();
    let seed = minted(&["account = shop/*"]).to_bytes();
    for _ in 0..20_000 {
        let mut bytes = seed.clone();
        for _ in 0..=dice.below(4) {
            let at = dice.below(bytes.len());
            match dice.below(3) {
                0 => bytes[at] = u8::try_from(dice.below(256)).unwrap(),
                1 => bytes.insert(at, u8::try_from(dice.below(256)).unwrap()),
                _ => drop(bytes.remove(at)),
            }
        }
        if let Ok(token) = Macaroon::from_bytes(&bytes) {
            assert_eq!(token.to_bytes(), bytes, "what parses is written back");
        }
    }
}

#[test]
fn attenuation_never_widens() {
    const WORDS: [&str; 10] = [
        "action = *",
        "action = wallet:*",
        "action = wallet:read,ledger:read",
        "action = write:usage",
        "account = *",
        "account = shop/*,acct_a",
        "account = acct_b",
        "expires = 2026-10-16T16:11:02Z",
        "expires = 2027-10-16T16:11:02Z",
        "subject = dev",
    ];
    let mut dice = Dice::seeded();
    let names: Vec<_> =
        ["acct_a", "acct_b", "shop/till", "@issuance"].map(|name| AccountName::parse(name).unwrap()).into();
    for _ in 0..300 {
        let mut token = minted(&[]);
        let mut wider = verify(&keyring(), &token.to_text(), NOW).unwrap();
        for _ in 0..dice.below(8) {
            token = token.attenuate(&caveat(WORDS[dice.below(WORDS.len())])).unwrap();
            let narrower = verify(&keyring(), &token.to_text(), NOW).unwrap();
            assert_eq!(narrower.subject(), wider.subject());
            assert!(Action::ALL.into_iter().all(|action| wider.allows(action) || !narrower.allows(action)));
            assert!(names.iter().all(|name| wider.allows_account(name) || !narrower.allows_account(name)));
            let ends = |capability: &Capability| capability.expires().map_or(u64::MAX, |at| at.0);
            assert!(ends(&narrower) <= ends(&wider));
            wider = narrower;
        }
    }
}

#[test]
fn limits_hold() {
    let mut token = minted(&[]);
    for _ in 2..CAVEATS_MAX {
        token = token.attenuate(&caveat("account = a")).unwrap();
    }
    let error = token.clone().attenuate(&caveat("account = a")).unwrap_err();
    assert_eq!(error, CapError::Malformed(Malformed::TooManyCaveats));
    assert!(verify(&keyring(), &token.to_text(), NOW).is_ok());

    let mut long = minted(&[]);
    let accounts = alloc::format!("account = {}", ["a".repeat(64).as_str()].repeat(31).join(","));
    long = long.attenuate(&caveat(&accounts)).unwrap();
    let error = long.clone().attenuate(&caveat(&accounts)).unwrap_err();
    assert_eq!(error, CapError::Malformed(Malformed::TooLong));
    assert!(verify(&keyring(), &long.to_text(), NOW).is_ok(), "a refused caveat leaves the token as it was");
}

#[test]
fn what_could_not_be_read_back_is_not_minted() {
    let empty = Grant { actions: Vec::new(), ..grant(&[]) };
    assert_eq!(Macaroon::mint(&keyring(), [0; 16], &empty).map(|_| ()), Err(CapError::BadCaveat));
    let spaced = Grant { subject: Text::new("a b").unwrap(), ..grant(&[]) };
    assert_eq!(Macaroon::mint(&keyring(), [0; 16], &spaced).map(|_| ()), Err(CapError::BadCaveat));
    let far = Caveat::Expires(Timestamp(u64::MAX));
    assert_eq!(minted(&[]).attenuate(&far).map(|_| ()), Err(CapError::BadCaveat));
    let fraction = minted(&[]).attenuate(&Caveat::Expires(NOW.after(Nanos(1_999_999)))).unwrap();
    let expires = verify(&keyring(), &fraction.to_text(), NOW).unwrap().expires();
    assert_eq!(expires, Some(NOW.after(Nanos::from_millis(1))), "rounded down: narrower");
    let shown = alloc::format!("{:?}", minted(&[]));
    assert_eq!(shown, "Macaroon { identifier: \"1.2026-10.09090909090909090909090909090909\", .. }");
}
