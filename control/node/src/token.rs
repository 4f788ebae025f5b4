//! The development capability: for everything, made at the first start.

use caps::{ActionPattern, CapError, Grant, KeyId, Keyring, Macaroon, RootKey};
use model::Text;

use crate::keys::{KeyError, Keys, random};

/// The file of the root key of capabilities.
const ROOT_KEY: &str = "caps.key";
/// The file of the development token.
pub(crate) const TOKEN: &str = "dev.token";

/// The file of the key that checks the log's signatures.
pub(crate) const LOG_KEY: &str = "log.vkey";
/// What the log is signed with.
pub(crate) const CHECKPOINT_KEY: &str = "checkpoint.key";

/// Writes the log's verifier key for those who check receipts offline, if it is not there already. One
/// of an earlier incarnation is put aside under its id: receipts of that life are checked with it.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn tell_log_key(keys: &Keys, vkey: &str) -> Result<(), KeyError> {
    if let Some(bytes) = keys.read(LOG_KEY)? {
        let before = std::str::from_utf8(bytes.trim_ascii_end()).unwrap_or_default();
        if before == vkey {
            return Ok(());
        }
        if let Ok(id) = ledger::NoteVerifier::parse(before).map(|key| hex::encode(key.id())) {
            keys.write(&format!("log.{id}.vkey"), before)?;
        }
    }
    keys.write(LOG_KEY, vkey)
}

/// The keyring from the key directory. The development token is written if it is not there, or if it
/// is not of this keyring.
///
/// # Errors
/// If a key or the token cannot be read or made.
pub(crate) fn keyring(keys: &Keys) -> Result<Keyring, KeyError> {
    let root = keys.secret(ROOT_KEY)?;
    let id = KeyId::parse("k1").expect("a constant that parses");
    let keyring = Keyring::new(id, &RootKey::new(*root));
    let token = keys.read(TOKEN)?;
    let is_ours = token.as_deref().is_some_and(|token| is_of(&keyring, token));
    if !is_ours {
        if token.is_some() {
            tracing::warn!(
                "keys/{TOKEN} is not of keys/{ROOT_KEY}, and is replaced: capabilities that were given out \
                 under another key are refused from now on"
            );
        }
        let drawn = random()?;
        let serial = *drawn.first_chunk::<16>().expect("32 bytes hold 16");
        let grant = Grant {
            subject: Text::new("dev").expect("a constant that fits"),
            actions: vec![ActionPattern::parse("*").expect("a constant that parses")],
            caveats: Vec::new(),
        };
        let token = Macaroon::mint(&keyring, serial, &grant).expect("constants within every limit");
        keys.write(TOKEN, &token.to_text())?;
    }
    Ok(keyring)
}

/// Whether this keyring has signed the token. One that has expired is still its own.
fn is_of(keyring: &Keyring, token: &[u8]) -> bool {
    let verified = str::from_utf8(token).map(|text| caps::verify(keyring, text.trim_end(), engine::wall()));
    matches!(verified, Ok(Ok(_) | Err(CapError::Expired)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_token_of_another_key_is_replaced_and_one_of_this_key_kept() {
        let path = std::env::temp_dir().join(format!("macronode-token-{}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        let keys = Keys::open(&path).unwrap();
        let read = || keys.read(TOKEN).unwrap().expect("it is there").to_vec();
        keyring(&keys).unwrap();
        let first = read();
        keyring(&keys).unwrap();
        assert_eq!(read(), first);
        fs::remove_file(keys.path(ROOT_KEY)).unwrap();
        let now = keyring(&keys).unwrap();
        assert!(read() != first && is_of(&now, &read()) && !is_of(&now, &first));
        keys.write(TOKEN, "rubbish").unwrap();
        keyring(&keys).unwrap();
        assert!(is_of(&now, &read()));
        fs::remove_dir_all(path).unwrap();
    }
}
