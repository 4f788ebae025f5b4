//! `Asset`: what is counted.

use core::fmt;

/// Why a text is not an asset's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an asset name has 1 to 16 bytes of a-z 0-9 _ .")]
pub struct AssetError;

/// An asset's name: 1 to 16 bytes of `[a-z0-9_.]`, unused bytes zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Asset([u8; 16]);

impl Asset {
    /// No asset: entries that move no money.
    pub const NONE: Self = Self([0; 16]);

    /// Parses an asset's name.
    ///
    /// # Errors
    /// `AssetError` unless it is 1 to 16 bytes of `[a-z0-9_.]`.
    pub fn parse(name: &str) -> Result<Self, AssetError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.".contains(&byte);
        let mut bytes = [0; 16];
        if name.is_empty() || !name.bytes().all(allowed) {
            return Err(AssetError);
        }
        bytes.get_mut(..name.len()).ok_or(AssetError)?.copy_from_slice(name.as_bytes());
        Ok(Self(bytes))
    }

    /// Reads an asset back from its 16 bytes.
    ///
    /// # Errors
    /// `AssetError` unless the bytes are a name (or all zero) with zero padding.
    pub fn from_bytes(bytes: [u8; 16]) -> Result<Self, AssetError> {
        if bytes == [0; 16] {
            return Ok(Self::NONE);
        }
        let len = bytes.iter().position(|byte| *byte == 0).unwrap_or(16);
        let (name, padding) = bytes.split_at(len);
        if padding.iter().any(|byte| *byte != 0) {
            return Err(AssetError);
        }
        Self::parse(core::str::from_utf8(name).map_err(|_| AssetError)?)
    }

    /// The 16 bytes as stored.
    #[must_use]
    pub const fn bytes(&self) -> [u8; 16] {
        self.0
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let len = self.0.iter().position(|byte| *byte == 0).unwrap_or(16);
        core::str::from_utf8(self.0.split_at(len).0).expect("only ASCII was taken in parse")
    }
}

impl fmt::Debug for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_strictly() {
        for good in ["ron", "usd.cents", "a", "abcdefghijklmnop"] {
            let asset = Asset::parse(good).unwrap();
            assert_eq!(asset.as_str(), good);
            assert_eq!(Asset::from_bytes(asset.bytes()), Ok(asset));
        }
        for bad in ["", "RON", "a-b", "abcdefghijklmnopq", "a\0b"] {
            assert_eq!(Asset::parse(bad), Err(AssetError), "{bad:?}");
        }
        assert_eq!(Asset::from_bytes(*b"a\0b\0\0\0\0\0\0\0\0\0\0\0\0\0"), Err(AssetError));
    }
}
