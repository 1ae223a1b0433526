//! Secrets we make ourselves: random, 256 bits, stored as a keyed hash (DESIGN.md 4.6).

use std::fmt;

use aws_lc_rs::hmac;
use shorepass_core::Random;
use shorepass_store::MetaStore;
use zeroize::Zeroizing;

use crate::IdentityError;

const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 32;

/// What every password we make begins with, so that secret scanners recognise one in a log or a repository.
pub const PASSWORD_PREFIX: &str = "shp_";

/// Characters behind the prefix: 62^43 is just above 2^256.
const PASSWORD_CHARACTERS: usize = 43;

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A 256-bit key that all servers of one database share and nobody else knows.
///
/// It hashes random secrets for storage and seals state that travels through other hands. Both uses have a key of their
/// own, derived from it, so that neither can be made to answer for the other.
pub struct ServerKey {
    hashing: hmac::Key,
    sealing: hmac::Key,
}

impl fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerKey(..)")
    }
}

impl ServerKey {
    /// The key stored under `name`; made from `random` when there is none yet.
    ///
    /// # Errors
    /// The store's, and [`IdentityError::UnreadableKey`] when what is stored is not 32 bytes.
    pub async fn load(store: &dyn MetaStore, random: &dyn Random, name: &str) -> Result<Self, IdentityError> {
        let mut candidate = Zeroizing::new([0_u8; KEY_BYTES]);
        random.fill(candidate.as_mut_slice());
        let stored = Zeroizing::new(store.server_secret(name, candidate.as_slice()).await?);
        let bytes: &[u8; KEY_BYTES] =
            stored.as_slice().try_into().map_err(|_| IdentityError::UnreadableKey(name.to_owned()))?;
        Ok(Self::from_bytes(bytes))
    }

    pub(crate) fn from_bytes(bytes: &[u8; KEY_BYTES]) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, bytes);
        let derive = |purpose: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&root, purpose).as_ref());
        Self { hashing: derive(b"shorepass hash 1"), sealing: derive(b"shorepass seal 1") }
    }

    /// HMAC-SHA-256 of a secret, to store or to look up by.
    #[must_use]
    pub fn hash(&self, secret: &str) -> [u8; 32] {
        tag_bytes(&hmac::sign(&self.hashing, secret.as_bytes()))
    }

    /// Whether `hash` is the hash of `secret`, in time that tells nothing of either.
    #[must_use]
    pub fn verify(&self, secret: &str, hash: &[u8]) -> bool {
        hmac::verify(&self.hashing, secret.as_bytes(), hash).is_ok()
    }

    /// `payload` followed by a tag over it and `context`: authenticated, not encrypted. What was sealed for one context
    /// does not open in another.
    #[must_use]
    pub fn seal(&self, context: &str, payload: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(payload.len() + TAG_BYTES);
        sealed.extend_from_slice(payload);
        sealed.extend_from_slice(self.tag(context, payload).as_ref());
        sealed
    }

    /// The payload, if `sealed` is exactly what [`seal`](Self::seal) answered for this context.
    #[must_use]
    pub fn open(&self, context: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (payload, tag) = sealed.split_at_checked(sealed.len().checked_sub(TAG_BYTES)?)?;
        let expected = self.tag(context, payload);
        aws_lc_rs::constant_time::verify_slices_are_equal(expected.as_ref(), tag).ok()?;
        Some(payload.to_vec())
    }

    fn tag(&self, context: &str, payload: &[u8]) -> hmac::Tag {
        let mut state = hmac::Context::with_key(&self.sealing);
        // The length in front keeps (context, payload) from being cut elsewhere.
        state.update(&(context.len() as u64).to_be_bytes());
        state.update(context.as_bytes());
        state.update(payload);
        state.sign()
    }
}

fn tag_bytes(tag: &hmac::Tag) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(tag.as_ref());
    bytes
}

/// A new random password of 256 bits: [`PASSWORD_PREFIX`] and letters and digits.
#[must_use]
pub fn new_password(random: &dyn Random) -> String {
    let mut password = String::with_capacity(PASSWORD_PREFIX.len() + PASSWORD_CHARACTERS);
    password.push_str(PASSWORD_PREFIX);
    let mut bytes = Zeroizing::new([0_u8; 64]);
    while password.len() < PASSWORD_PREFIX.len() + PASSWORD_CHARACTERS {
        random.fill(bytes.as_mut_slice());
        let fresh = bytes.iter().filter_map(|byte| character(*byte));
        password.extend(fresh.take(PASSWORD_PREFIX.len() + PASSWORD_CHARACTERS - password.len()));
    }
    password
}

/// Six bits choose a character; the two values too many are thrown away, for a remainder would favour some characters.
fn character(byte: u8) -> Option<char> {
    ALPHABET.get(usize::from(byte >> 2)).map(|character| char::from(*character))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use shorepass_core::SystemRandom;

    fn key(byte: u8) -> ServerKey {
        ServerKey::from_bytes(&[byte; 32])
    }

    #[test]
    fn a_hash_verifies_its_own_secret_under_its_own_key_only() {
        let hash = key(1).hash("shp_one");
        assert!(key(1).verify("shp_one", &hash));
        assert!(!key(1).verify("shp_two", &hash));
        assert!(!key(2).verify("shp_one", &hash));
        assert!(!key(1).verify("shp_one", &hash[..31]));
        assert!(!key(1).verify("shp_one", &[]));
    }

    /// CVE-2024-9683: only the first 72 bytes counted.
    #[test]
    fn every_byte_of_a_secret_counts() {
        let long = "a".repeat(100);
        let hash = key(1).hash(&long);
        assert!(!key(1).verify(&format!("{}b", &long[..99]), &hash));
    }

    #[test]
    fn a_hash_is_no_seal() {
        let secret = "\0\0\0\0\0\0\0\x01cpayload";
        let mut forged = b"payload".to_vec();
        forged.extend_from_slice(&key(1).hash(secret));
        assert_eq!(key(1).open("c", &forged), None);
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_in_its_context_only(context in ".{0,20}", other in ".{0,20}", payload: Vec<u8>) {
            let sealed = key(1).seal(&context, &payload);
            prop_assert_eq!(key(1).open(&context, &sealed), Some(payload));
            prop_assert!(context == other || key(1).open(&other, &sealed).is_none());
            prop_assert_eq!(key(2).open(&context, &sealed), None);
        }

        #[test]
        fn a_changed_seal_does_not_open(payload: Vec<u8>, at: prop::sample::Index, bit in 0..8_u8) {
            let mut sealed = key(1).seal("upload", &payload);
            let at = at.index(sealed.len());
            sealed[at] ^= 1 << bit;
            prop_assert_eq!(key(1).open("upload", &sealed), None);
        }

        #[test]
        fn anything_shorter_than_a_tag_does_not_open(bytes in prop::collection::vec(any::<u8>(), 0..32)) {
            prop_assert_eq!(key(1).open("upload", &bytes), None);
        }
    }

    #[test]
    fn passwords_are_recognisable_long_and_different() {
        let (one, two) = (new_password(&SystemRandom), new_password(&SystemRandom));
        assert_ne!(one, two);
        for password in [one, two] {
            let rest = password.strip_prefix("shp_").unwrap();
            assert_eq!(rest.len(), 43);
            assert!(rest.bytes().all(|b| b.is_ascii_alphanumeric()));
        }
    }

    #[test]
    fn every_character_of_a_password_is_as_likely_as_any_other() {
        let mut counts = std::collections::HashMap::new();
        for byte in 0..=255 {
            if let Some(c) = character(byte) {
                *counts.entry(c).or_insert(0) += 1;
            }
        }
        assert_eq!(counts.len(), 62);
        assert!(counts.values().all(|count| *count == 4));
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", key(7)), "ServerKey(..)");
    }
}
