//! The development capability: for everything, made at the first start.

use caps::{ActionPattern, Grant, KeyId, Keyring, Macaroon, RootKey};
use model::Text;

use crate::keys::{KeyError, Keys, random};

/// The file of the root key of capabilities.
const ROOT_KEY: &str = "caps.key";
/// The file of the development token.
pub(crate) const TOKEN: &str = "dev.token";

/// The file of the key that checks the log's signatures.
pub(crate) const LOG_KEY: &str = "log.vkey";

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

/// The keyring from the key directory; the development token is written if it is not there.
///
/// # Errors
/// If a key or the token cannot be read or made.
pub(crate) fn keyring(keys: &Keys) -> Result<Keyring, KeyError> {
    let root = keys.secret(ROOT_KEY)?;
    let id = KeyId::parse("k1").expect("a constant that parses");
    let keyring = Keyring::new(id, &RootKey::new(*root));
    if keys.read(TOKEN)?.is_none() {
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
