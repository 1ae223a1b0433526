use std::time::Instant;

use proptest::prelude::*;
use shorepass_core::SystemRandom;
use shorepass_core::directory::Secret;

use super::*;

const PASSWORD: &str = "correct horse battery";

fn passwords() -> Passwords {
    Passwords::new(Arc::new(SystemRandom)).unwrap()
}

fn key() -> ServerKey {
    ServerKey::from_bytes(&[7; 32])
}

#[tokio::test]
async fn a_password_verifies_against_its_own_hash_only() {
    let passwords = passwords();
    let hash = passwords.hash(PASSWORD).await.unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    assert!(passwords.verify(PASSWORD, Some(&hash)).await.unwrap());
    assert!(!passwords.verify("correct horse batterY", Some(&hash)).await.unwrap());
    assert!(!passwords.verify("", Some(&hash)).await.unwrap());
    assert!(!passwords.verify(PASSWORD, None).await.unwrap());
    assert_ne!(passwords.hash(PASSWORD).await.unwrap(), hash, "every hash has a salt of its own");
}

/// CVE-2024-9683: only the first 72 bytes counted. Here every byte does, the last of the longest password too.
#[tokio::test]
async fn every_byte_of_a_password_counts() {
    let passwords = passwords();
    let longest = "a".repeat(MAX_PASSWORD_BYTES);
    let hash = passwords.hash(&longest).await.unwrap();
    for at in [0, 71, 72, MAX_PASSWORD_BYTES - 1] {
        let mut other = longest.clone();
        other.replace_range(at..=at, "b");
        assert!(!passwords.verify(&other, Some(&hash)).await.unwrap(), "byte {at}");
    }
    assert!(!passwords.verify(&longest[..72], Some(&hash)).await.unwrap());
    assert!(!passwords.verify(&format!("{longest}a"), Some(&hash)).await.unwrap());
    assert!(passwords.verify(&longest, Some(&hash)).await.unwrap());
}

#[tokio::test]
async fn a_password_of_nul_bytes_is_not_cut_at_the_first() {
    let passwords = passwords();
    let hash = passwords.hash("twelve chars\0and more").await.unwrap();
    assert!(!passwords.verify("twelve chars", Some(&hash)).await.unwrap());
    assert!(!passwords.verify("twelve chars\0and less", Some(&hash)).await.unwrap());
}

#[tokio::test]
async fn nobodys_password_takes_as_long_as_somebodys() {
    let passwords = passwords();
    let hash = passwords.hash(PASSWORD).await.unwrap();
    let mut fastest = [u128::MAX; 2];
    for _ in 0..8 {
        for (stored, fastest) in [Some(hash.as_str()), None].into_iter().zip(&mut fastest) {
            let start = Instant::now();
            passwords.verify("not the password", stored).await.unwrap();
            *fastest = start.elapsed().as_micros().min(*fastest);
        }
    }
    let [known, unknown] = fastest;
    assert!(unknown * 2 > known && known * 2 > unknown, "{known} and {unknown} microseconds");
}

#[tokio::test]
async fn what_is_no_hash_is_an_error_and_no_password() {
    let passwords = passwords();
    for stored in ["", "plain text", "$2b$12$abcdefghijklmnopqrstuv", "$argon2id$v=19$m=1$x"] {
        assert_eq!(passwords.verify(PASSWORD, Some(stored)).await, Err(PasswordError::Hashing), "{stored}");
    }
}

/// On one thread: were the hash computed there, nothing else could happen meanwhile.
#[tokio::test(flavor = "current_thread")]
async fn the_async_workers_go_on_while_a_password_is_hashed() {
    let passwords = Arc::new(passwords());
    let hashing = tokio::spawn(async move { passwords.hash(PASSWORD).await });
    let mut turns = 0;
    while !hashing.is_finished() {
        tokio::task::yield_now().await;
        turns += 1;
    }
    hashing.await.unwrap().unwrap();
    assert!(turns > 10, "{turns}");
}

/// Polls once, and says whether it is still waiting.
async fn waits(future: &mut (impl Future<Output = Result<bool, PasswordError>> + Unpin)) -> bool {
    tokio::select! {
        biased;
        _ = future => false,
        () = std::future::ready(()) => true,
    }
}

#[tokio::test]
async fn who_would_wait_too_long_is_told_to_come_back() {
    let passwords = Passwords::with_limits(Arc::new(SystemRandom), 1, 2).unwrap();
    let busy = Arc::clone(&passwords.slots).acquire_owned().await.unwrap();
    let mut first = Box::pin(passwords.verify(PASSWORD, None));
    let mut second = Box::pin(passwords.verify(PASSWORD, None));
    assert!(waits(&mut first).await && waits(&mut second).await);
    assert_eq!(passwords.verify(PASSWORD, None).await, Err(PasswordError::Busy));
    assert_eq!(passwords.hash(PASSWORD).await, Err(PasswordError::Busy));

    drop(first);
    let mut third = Box::pin(passwords.verify(PASSWORD, None));
    assert!(waits(&mut third).await, "who goes away leaves his place to another");
    assert_eq!(passwords.verify(PASSWORD, None).await, Err(PasswordError::Busy));

    drop(busy);
    assert_eq!((second.await, third.await), (Ok(false), Ok(false)));
    assert_eq!(passwords.verify(PASSWORD, None).await, Ok(false), "the queue is empty again");
}

#[tokio::test]
async fn the_rules_are_about_length_alone() {
    assert_eq!(check_password("elevenchars"), Err(PasswordError::TooShort));
    assert_eq!(check_password("twelve chars"), Ok(()));
    assert_eq!(check_password("пароль парол"), Ok(()), "characters count, not bytes");
    assert_eq!(check_password("пароль паро"), Err(PasswordError::TooShort));
    assert_eq!(check_password(&"a".repeat(1024)), Ok(()));
    assert_eq!(check_password(&"a".repeat(1025)), Err(PasswordError::TooLong));
    assert_eq!(passwords().hash("short").await, Err(PasswordError::TooShort));
    assert_eq!(PasswordError::TooShort.to_string(), "the password is too short; use at least 12 characters");
}

#[test]
fn a_remembered_password_is_forgotten_when_the_hash_changes() {
    let (ada, bob) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let fingerprint = password_fingerprint(&key(), ada, "$argon2id$1", PASSWORD);
    assert_eq!(fingerprint, password_fingerprint(&key(), ada, "$argon2id$1", PASSWORD));
    for other in [
        password_fingerprint(&key(), bob, "$argon2id$1", PASSWORD),
        password_fingerprint(&key(), ada, "$argon2id$2", PASSWORD),
        password_fingerprint(&key(), ada, "$argon2id$1", "correct horse batterx"),
        password_fingerprint(&ServerKey::from_bytes(&[8; 32]), ada, "$argon2id$1", PASSWORD),
    ] {
        assert_ne!(fingerprint, other);
    }
}

#[test]
fn an_invitation_opens_with_its_secret_until_it_ends() {
    let now = Timestamp::from_millis(1_795_311_000_000);
    let (secret, stored) = new_invitation(&key(), &SystemRandom, now);
    assert!(!stored.hash.contains(&secret) && secret.starts_with("shp_"));
    assert!(secret_matches(&key(), &stored, &secret, now));
    let end = now.plus(INVITATION_LIFE);
    assert!(secret_matches(&key(), &stored, &secret, end.minus(Duration::from_millis(1))));
    assert!(!secret_matches(&key(), &stored, &secret, end));
    assert!(!secret_matches(&key(), &stored, &stored.hash, now), "the stored text is no secret");
    assert!(!secret_matches(&ServerKey::from_bytes(&[8; 32]), &stored, &secret, now));
    let unreadable = Secret { hash: "not hexadecimal".to_owned(), expires_at: None };
    assert!(!secret_matches(&key(), &unreadable, &secret, now));
    assert!(!secret_matches(&key(), &Secret { hash: String::new(), expires_at: None }, "", now));
}

proptest! {
    #[test]
    fn no_other_text_is_the_secret(other in ".{0,60}") {
        let now = Timestamp::from_millis(0);
        let (secret, stored) = new_invitation(&key(), &SystemRandom, now);
        prop_assert!(other == secret || !secret_matches(&key(), &stored, &other, now));
    }
}
