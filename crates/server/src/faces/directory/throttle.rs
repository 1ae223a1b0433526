//! How often a source may make us remember something before it has proved anything.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use moka::sync::Cache;

const WINDOW: Duration = Duration::from_secs(5 * 60);

/// Sources remembered at a time.
const CAPACITY: u64 = 100_000;

/// Counts per source in a window that begins with the first.
#[derive(Debug)]
pub struct Throttle {
    limit: u32,
    counts: Cache<IpAddr, Arc<AtomicU32>>,
}

impl Throttle {
    #[must_use]
    pub fn new(limit: u32) -> Self {
        Self { limit, counts: Cache::builder().max_capacity(CAPACITY).time_to_live(WINDOW).build() }
    }

    /// Counts one more; the seconds to wait when that is one too many.
    pub fn count(&self, source: Option<IpAddr>) -> Result<(), u64> {
        let before = self.counter(source).fetch_add(1, Ordering::Relaxed);
        if before < self.limit { Ok(()) } else { Err(WINDOW.as_secs()) }
    }

    /// Whether the limit has been reached, without counting.
    pub fn check(&self, source: Option<IpAddr>) -> Result<(), u64> {
        if self.counter(source).load(Ordering::Relaxed) < self.limit { Ok(()) } else { Err(WINDOW.as_secs()) }
    }

    fn counter(&self, source: Option<IpAddr>) -> Arc<AtomicU32> {
        // Of IPv6 the /64: whoever has one address there has all of them.
        let source = match source.map(|address| address.to_canonical()) {
            Some(IpAddr::V6(v6)) => IpAddr::V6((v6.to_bits() & (u128::MAX << 64)).into()),
            Some(v4) => v4,
            None => IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
        };
        self.counts.get_with(source, Arc::default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_does_not_take_anothers_share() {
        let throttle = Throttle::new(2);
        let source = |text: &str| Some(text.parse().unwrap());
        assert_eq!(throttle.check(source("192.0.2.1")), Ok(()));
        for _ in 0..2 {
            assert_eq!(throttle.count(source("192.0.2.1")), Ok(()));
        }
        assert_eq!(throttle.check(source("192.0.2.1")), Err(300));
        assert_eq!(throttle.count(source("::ffff:192.0.2.1")), Err(300));
        assert_eq!(throttle.count(source("192.0.2.2")), Ok(()));
        assert_eq!(throttle.count(source("2001:db8::1")), Ok(()));
        assert_eq!(throttle.count(source("2001:db8::2")), Ok(()));
        assert_eq!(throttle.count(source("2001:db8::3")), Err(300), "the same /64");
    }
}
