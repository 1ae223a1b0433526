//! How often one may guess (issue 2, section 3): failed sign-ins per source and per account, in bounded memory.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest;
use shorepass_core::{Clock, Timestamp};
use uuid::Uuid;

/// How long failures count, from the first one on.
const WINDOW: Duration = Duration::from_secs(5 * 60);

/// How long a source that has signed in to an account is remembered as its friend.
const FRIEND_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

const SOURCE_LIMIT: u32 = 20;
const ACCOUNT_LIMIT: u32 = 60;

/// Entries of each kind kept; the oldest go first. About 100 bytes each.
const CAPACITY: usize = 100_000;

/// Come back in so many seconds (at least 1): the `Retry-After` of a 429.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many failed sign-ins; try again in {seconds} s")]
pub struct RetryAfter {
    pub seconds: u64,
}

/// Whom somebody claims to be: a user name at a registry, as a digest, so that a long name costs no memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Account([u8; 16]);

impl Account {
    /// Spellings in another case are the same account.
    #[must_use]
    pub fn new(registry: Uuid, user: &str) -> Self {
        Self(fingerprint(&[registry.as_bytes(), user.to_lowercase().as_bytes()]))
    }
}

/// Bounds failed sign-ins by source address and by account.
///
/// The caller asks in this order, so that who locks an account's name by failing on purpose locks out nobody who works:
///
/// 1. A credential that is in the cache of verified credentials is let in; the limiter is not asked.
/// 2. [`check`](Self::check): refused is 429 with `Retry-After`, and the credential is not looked at, so that the answer
///    tells nothing about it.
/// 3. The credential is verified, and [`failed`](Self::failed) or [`succeeded`](Self::succeeded) is told.
///
/// Requests verified at the same moment are not counted before they fail; the bound is exceeded by at most their number.
#[derive(Debug)]
pub struct GuessLimiter {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    sources: Windows<Source>,
    accounts: Windows<Account>,
    /// Sources that have proved themselves for an account: strangers' failures there do not lock them out. Their own
    /// failures count as anybody's.
    friends: Windows<(Source, Account)>,
}

/// An IPv4 address, or the /64 an IPv6 address is in: whoever has one address there has all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Source(IpAddr);

impl Source {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) => Self(IpAddr::V6((v6.to_bits() & (u128::MAX << 64)).into())),
            v4 @ IpAddr::V4(_) => Self(v4),
        }
    }
}

impl GuessLimiter {
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_capacity(clock, CAPACITY)
    }

    fn with_capacity(clock: Arc<dyn Clock>, capacity: usize) -> Self {
        let state = State {
            sources: Windows::new(WINDOW, capacity),
            accounts: Windows::new(WINDOW, capacity),
            friends: Windows::new(FRIEND_LIFE, capacity),
        };
        Self { clock, state: Mutex::new(state) }
    }

    /// Whether another attempt may be looked at.
    ///
    /// # Errors
    /// How long to wait when not.
    pub fn check(&self, source: IpAddr, account: &Account) -> Result<(), RetryAfter> {
        let (source, now) = (Source::of(source), self.clock.now());
        let state = self.state();
        let by_source = state.sources.wait(&source, SOURCE_LIMIT, now);
        let is_friend = state.friends.count(&(source, *account), now) > 0;
        let by_account = if is_friend { None } else { state.accounts.wait(account, ACCOUNT_LIMIT, now) };
        match by_source.max(by_account) {
            Some(wait) => Err(RetryAfter { seconds: wait.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX) }),
            None => Ok(()),
        }
    }

    pub fn failed(&self, source: IpAddr, account: &Account) {
        let now = self.clock.now();
        let mut state = self.state();
        state.sources.add(Source::of(source), now);
        state.accounts.add(*account, now);
    }

    /// Takes nothing off the counters: else whoever has one account could guess at all others for ever, by signing in to
    /// his own in between.
    pub fn succeeded(&self, source: IpAddr, account: &Account) {
        let now = self.clock.now();
        self.state().friends.add((Source::of(source), *account), now);
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counters that begin with their first event and end `life` after it, at most `capacity` of them.
#[derive(Debug)]
struct Windows<K> {
    life: Duration,
    capacity: usize,
    counters: HashMap<K, Counter>,
    /// In order of their beginning, which is the order of their end.
    order: VecDeque<K>,
}

#[derive(Debug)]
struct Counter {
    began: Timestamp,
    count: u32,
}

impl<K: Copy + Eq + std::hash::Hash> Windows<K> {
    fn new(life: Duration, capacity: usize) -> Self {
        Self { life, capacity, counters: HashMap::new(), order: VecDeque::new() }
    }

    fn count(&self, key: &K, now: Timestamp) -> u32 {
        self.counters.get(key).filter(|counter| now.since(counter.began) < self.life).map_or(0, |counter| counter.count)
    }

    /// How long until the counter ends, if it has reached `limit`.
    fn wait(&self, key: &K, limit: u32, now: Timestamp) -> Option<Duration> {
        if self.count(key, now) < limit {
            return None;
        }
        self.counters.get(key).map(|counter| self.life.saturating_sub(now.since(counter.began)))
    }

    fn add(&mut self, key: K, now: Timestamp) {
        self.forget_ended(now);
        if let Some(counter) = self.counters.get_mut(&key) {
            counter.count = counter.count.saturating_add(1);
            return;
        }
        if self.counters.len() >= self.capacity {
            self.forget_oldest();
        }
        self.counters.insert(key, Counter { began: now, count: 1 });
        self.order.push_back(key);
    }

    fn forget_ended(&mut self, now: Timestamp) {
        while let Some(counter) = self.order.front().and_then(|key| self.counters.get(key)) {
            if now.since(counter.began) < self.life {
                return;
            }
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(key) = self.order.pop_front() {
            self.counters.remove(&key);
        }
    }
}

fn fingerprint(parts: &[&[u8]]) -> [u8; 16] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(context.finish().as_ref().get(..16).unwrap_or(&[0; 16]));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use shorepass_core::time::TestClock;

    const SECOND: Duration = Duration::from_secs(1);

    fn limiter() -> (GuessLimiter, Arc<TestClock>) {
        let clock = Arc::new(TestClock::at(Timestamp::from_millis(1_795_311_000_000)));
        (GuessLimiter::new(Arc::clone(&clock) as Arc<dyn Clock>), clock)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn account(user: &str) -> Account {
        Account::new(Uuid::nil(), user)
    }

    fn fail(limiter: &GuessLimiter, source: &str, user: &str, times: u32) {
        for _ in 0..times {
            limiter.failed(ip(source), &account(user));
        }
    }

    fn wait(limiter: &GuessLimiter, source: &str, user: &str) -> Option<u64> {
        limiter.check(ip(source), &account(user)).err().map(|retry| retry.seconds)
    }

    #[test]
    fn a_source_is_refused_after_twenty_failures_whatever_names_it_tries() {
        let (limiter, clock) = limiter();
        for n in 0..19 {
            fail(&limiter, "192.0.2.1", &format!("user{n}"), 1);
        }
        assert_eq!(wait(&limiter, "192.0.2.1", "last"), None);
        fail(&limiter, "192.0.2.1", "last", 1);
        assert_eq!(wait(&limiter, "192.0.2.1", "other"), Some(300));
        assert_eq!(wait(&limiter, "192.0.2.2", "other"), None);
        clock.advance(Duration::from_millis(1500));
        assert_eq!(wait(&limiter, "192.0.2.1", "other"), Some(299), "counts down, rounded up");
        clock.advance(SECOND * 298);
        assert_eq!(wait(&limiter, "192.0.2.1", "other"), Some(1));
        clock.advance(SECOND);
        assert_eq!(wait(&limiter, "192.0.2.1", "other"), None);
    }

    #[test]
    fn after_the_window_all_attempts_are_back() {
        let (limiter, clock) = limiter();
        fail(&limiter, "192.0.2.1", "a", 20);
        clock.advance(WINDOW);
        fail(&limiter, "192.0.2.1", "a", 19);
        assert_eq!(wait(&limiter, "192.0.2.1", "a"), None);
        fail(&limiter, "192.0.2.1", "a", 1);
        assert_eq!(wait(&limiter, "192.0.2.1", "a"), Some(300));
    }

    #[test]
    fn an_account_is_refused_after_sixty_failures_from_many_sources() {
        let (limiter, _) = limiter();
        for host in 1..=60 {
            assert_eq!(wait(&limiter, "198.51.100.1", "default"), None);
            fail(&limiter, &format!("192.0.2.{host}"), "default", 1);
        }
        assert_eq!(wait(&limiter, "198.51.100.1", "default"), Some(300));
        assert_eq!(wait(&limiter, "198.51.100.1", "DEFAULT"), Some(300), "in another case");
        assert_eq!(wait(&limiter, "198.51.100.1", "another"), None);
        assert_eq!(limiter.check(ip("198.51.100.1"), &Account::new(Uuid::max(), "default")), Ok(()));
    }

    #[test]
    fn who_has_signed_in_from_a_source_is_not_locked_out_by_strangers() {
        let (limiter, _) = limiter();
        limiter.succeeded(ip("198.51.100.1"), &account("default"));
        for host in 1..=60 {
            fail(&limiter, &format!("192.0.2.{host}"), "default", 1);
        }
        assert_eq!(wait(&limiter, "198.51.100.1", "default"), None);
        assert_eq!(wait(&limiter, "198.51.100.2", "default"), Some(300));
        fail(&limiter, "198.51.100.1", "default", 20);
        assert_eq!(wait(&limiter, "198.51.100.1", "default"), Some(300), "its own failures count");
    }

    #[test]
    fn success_gives_no_attempts_back() {
        let (limiter, _) = limiter();
        for _ in 0..20 {
            fail(&limiter, "192.0.2.1", "victim", 1);
            limiter.succeeded(ip("192.0.2.1"), &account("own"));
        }
        assert!(wait(&limiter, "192.0.2.1", "victim").is_some());
    }

    #[test]
    fn an_ipv6_source_is_its_64_and_a_mapped_address_is_the_ipv4_one() {
        let (limiter, _) = limiter();
        for host in 0..20 {
            fail(&limiter, &format!("2001:db8:1:2:{host:x}::1"), "a", 1);
        }
        assert!(wait(&limiter, "2001:db8:1:2:ffff::9", "b").is_some());
        assert_eq!(wait(&limiter, "2001:db8:1:3::1", "b"), None);
        fail(&limiter, "::ffff:192.0.2.9", "c", 20);
        assert!(wait(&limiter, "192.0.2.9", "d").is_some());
        assert_eq!(wait(&limiter, "::ffff:192.0.2.10", "d"), None);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_go_first() {
        let clock: Arc<dyn Clock> = Arc::new(TestClock::at(Timestamp::from_millis(0)));
        let limiter = GuessLimiter::with_capacity(clock, 10);
        fail(&limiter, "192.0.2.1", "a", 20);
        for host in 1..10 {
            fail(&limiter, &format!("198.51.100.{host}"), "b", 1);
        }
        assert!(wait(&limiter, "192.0.2.1", "a").is_some());
        fail(&limiter, "198.51.100.10", "b", 1);
        assert_eq!(wait(&limiter, "192.0.2.1", "a"), None);
        let state = limiter.state();
        assert_eq!((state.sources.counters.len(), state.sources.order.len()), (10, 10));
    }

    #[test]
    fn ended_counters_free_their_memory() {
        let (limiter, clock) = limiter();
        for host in 1..100 {
            fail(&limiter, &format!("192.0.2.{host}"), "a", 1);
        }
        clock.advance(WINDOW);
        fail(&limiter, "198.51.100.1", "b", 1);
        assert_eq!(limiter.state().sources.counters.len(), 1);
    }
}
