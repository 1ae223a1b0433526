//! Content digests: `sha256:<64 hex>` and `sha512:<128 hex>`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A registered digest algorithm of the OCI image specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    Sha256,
    Sha512,
}

impl Algorithm {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Length of the hexadecimal part.
    #[must_use]
    pub fn hex_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

impl FromStr for Algorithm {
    type Err = DigestError;
    fn from_str(input: &str) -> Result<Self, DigestError> {
        match input {
            "sha256" => Ok(Self::Sha256),
            "sha512" => Ok(Self::Sha512),
            _ => Err(DigestError::Algorithm),
        }
    }
}

/// Why a digest was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    #[error("a digest is `<algorithm>:<lower-case hex>`")]
    Form,
    #[error("the digest algorithms are `sha256` and `sha512`")]
    Algorithm,
    #[error("a digest's hexadecimal part has 64 (sha256) or 128 (sha512) lower-case digits")]
    Hex,
}

/// A digest in its canonical text form.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest {
    algorithm: Algorithm,
    text: String,
}

impl Digest {
    /// From the raw hash; `None` when its length is not the algorithm's.
    #[must_use]
    pub fn from_hash(algorithm: Algorithm, hash: &[u8]) -> Option<Self> {
        (hash.len() * 2 == algorithm.hex_len())
            .then(|| Self { algorithm, text: format!("{}:{}", algorithm.as_str(), hex::encode(hash)) })
    }

    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The hexadecimal part.
    #[must_use]
    pub fn hex(&self) -> &str {
        self.text.split_once(':').map_or("", |(_, hex)| hex)
    }
}

impl FromStr for Digest {
    type Err = DigestError;
    fn from_str(input: &str) -> Result<Self, DigestError> {
        let (algorithm, hex) = input.split_once(':').ok_or(DigestError::Form)?;
        let algorithm: Algorithm = algorithm.parse()?;
        let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if hex.len() != algorithm.hex_len() || !hex.bytes().all(lower_hex) {
            return Err(DigestError::Hex);
        }
        Ok(Self { algorithm, text: input.to_owned() })
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;
    fn try_from(input: String) -> Result<Self, DigestError> {
        input.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.text
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_refuses() {
        let hex = "a".repeat(64);
        assert_eq!(format!("sha256:{hex}").parse::<Digest>().unwrap().hex(), hex);
        assert!(format!("sha512:{}", "0".repeat(128)).parse::<Digest>().is_ok());
        let upper = format!("sha256:{}", "A".repeat(64));
        for (bad, why) in [
            ("", DigestError::Form),
            ("sha256", DigestError::Form),
            ("md5:00", DigestError::Algorithm),
            ("SHA256:00", DigestError::Algorithm),
            ("sha256:00", DigestError::Hex),
            (upper.as_str(), DigestError::Hex),
        ] {
            assert_eq!(bad.parse::<Digest>().unwrap_err(), why, "{bad}");
        }
    }
}
