//! A hash that can be put down and taken up again, on this server or another.

use serde::{Deserialize, Serialize};
use sha2::digest::common::hazmat::SerializableState;
use sha2::digest::{Digest as _, common::hazmat::SerializedState};
use sha2::{Sha256, Sha512};
use shorepass_core::{Algorithm, Digest};

/// Hashes content as it streams.
#[derive(Clone)]
pub enum RunningHash {
    Sha256(Sha256),
    Sha512(Sha512),
}

/// A hash at rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HashState {
    algorithm: Algorithm,
    /// Hexadecimal.
    state: String,
}

impl RunningHash {
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Sha256(_) => Algorithm::Sha256,
            Self::Sha512(_) => Algorithm::Sha512,
        }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
            Self::Sha512(hash) => hash.update(bytes),
        }
    }

    pub fn save(&self) -> HashState {
        let state = match self {
            Self::Sha256(hash) => hex::encode(hash.serialize()),
            Self::Sha512(hash) => hex::encode(hash.serialize()),
        };
        HashState { algorithm: self.algorithm(), state }
    }

    /// `None` when the state is not one that `save` made.
    pub fn restore(saved: &HashState) -> Option<Self> {
        fn resume<H: SerializableState>(bytes: &[u8]) -> Option<H> {
            H::deserialize(&SerializedState::<H>::try_from(bytes).ok()?).ok()
        }
        let bytes = hex::decode(&saved.state).ok()?;
        match saved.algorithm {
            Algorithm::Sha256 => resume(&bytes).map(Self::Sha256),
            Algorithm::Sha512 => resume(&bytes).map(Self::Sha512),
        }
    }

    pub fn finish(self) -> Digest {
        let (algorithm, hash) = match self {
            Self::Sha256(hash) => (Algorithm::Sha256, hash.finalize().to_vec()),
            Self::Sha512(hash) => (Algorithm::Sha512, hash.finalize().to_vec()),
        };
        #[expect(clippy::expect_used, reason = "a finished hash has its own algorithm's length")]
        Digest::from_hash(algorithm, &hash).expect("the hash has its algorithm's length")
    }
}

/// The digest of bytes at hand.
pub fn digest_of(algorithm: Algorithm, bytes: &[u8]) -> Digest {
    let mut hash = RunningHash::new(algorithm);
    hash.update(bytes);
    hash.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_hash_put_down_anywhere_ends_as_if_it_never_was(
            content in proptest::collection::vec(any::<u8>(), 0..600),
            cut in 0usize..600,
            long in any::<bool>(),
        ) {
            let algorithm = if long { Algorithm::Sha512 } else { Algorithm::Sha256 };
            let (head, tail) = content.split_at(cut.min(content.len()));
            let mut first = RunningHash::new(algorithm);
            first.update(head);
            let mut second = RunningHash::restore(&first.save()).unwrap();
            second.update(tail);
            prop_assert_eq!(second.finish(), digest_of(algorithm, &content));
        }

        #[test]
        fn no_saved_state_makes_it_panic(state in "[0-9a-f]{0,500}", long in any::<bool>()) {
            let algorithm = if long { Algorithm::Sha512 } else { Algorithm::Sha256 };
            let _ = RunningHash::restore(&HashState { algorithm, state });
        }
    }
}
