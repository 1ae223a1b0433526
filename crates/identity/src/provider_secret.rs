//! The secret of our client at an outside provider: the one secret that has to be shown again, so it is encrypted where
//! others are hashed.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use shorepass_core::Random;
use zeroize::Zeroizing;

use crate::ServerKey;

/// What the encryption's own key is derived by. No secret that is hashed for storage begins with a NUL.
const PURPOSE: &str = "\0provider client secret 1";

/// The secret as [`ProviderClient::client_secret`](shorepass_core::directory::ProviderClient) keeps it, in hexadecimal.
/// `None` only if the platform's AES does not work.
#[must_use]
pub fn hide_client_secret(key: &ServerKey, random: &dyn Random, secret: &str) -> Option<String> {
    let mut nonce = [0; NONCE_LEN];
    random.fill(&mut nonce);
    let mut bytes = secret.as_bytes().to_vec();
    cipher(key)?.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut bytes).ok()?;
    Some(hex::encode([nonce.as_slice(), &bytes].concat()))
}

/// The secret again; `None` when it was hidden under another key, or is not what was hidden.
#[must_use]
pub fn reveal_client_secret(key: &ServerKey, hidden: &str) -> Option<Zeroizing<String>> {
    let hidden = hex::decode(hidden).ok()?;
    let (nonce, bytes) = hidden.split_at_checked(NONCE_LEN)?;
    let mut bytes = Zeroizing::new(bytes.to_vec());
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let plain = cipher(key)?.open_in_place(nonce, Aad::empty(), &mut bytes).ok()?;
    std::str::from_utf8(plain).ok().map(|text| Zeroizing::new(text.to_owned()))
}

fn cipher(key: &ServerKey) -> Option<LessSafeKey> {
    let bytes = Zeroizing::new(key.hash(PURPOSE));
    UnboundKey::new(&AES_256_GCM, bytes.as_slice()).ok().map(LessSafeKey::new)
}

#[cfg(test)]
mod tests {
    use shorepass_core::SystemRandom;

    use super::*;

    #[test]
    fn a_secret_is_hidden_and_shown_again_under_its_own_key_only() {
        let (one, other) = (ServerKey::from_bytes(&[1; 32]), ServerKey::from_bytes(&[2; 32]));
        let hidden = hide_client_secret(&one, &SystemRandom, "hunter2").unwrap();
        assert!(!hidden.contains(&hex::encode("hunter2")));
        assert_ne!(hidden, hide_client_secret(&one, &SystemRandom, "hunter2").unwrap());
        assert_eq!(reveal_client_secret(&one, &hidden).unwrap().as_str(), "hunter2");
        assert!(reveal_client_secret(&other, &hidden).is_none());
        let mut changed = hex::decode(&hidden).unwrap();
        changed[NONCE_LEN] ^= 1;
        assert!(reveal_client_secret(&one, &hex::encode(changed)).is_none());
        for junk in ["", "zz", "00", &"0".repeat(24)] {
            assert!(reveal_client_secret(&one, junk).is_none(), "{junk}");
        }
    }
}
