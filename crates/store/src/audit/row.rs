//! What both audit tables share: the day an event belongs to, its columns, and the one query.

use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use shorepass_core::{AuditEvent, Timestamp};

use super::AuditQuery;
use crate::StoreError;

/// Newest first. `$9` is the limit.
pub(super) const SELECT: &str = r"
    SELECT body FROM audit_events
    WHERE time >= $1 AND time < $2
      AND (CAST($3 AS TEXT) IS NULL OR kind = $3)
      AND (CAST($4 AS TEXT) IS NULL OR outcome = $4)
      AND (CAST($5 AS TEXT) IS NULL OR registry = $5)
      AND (CAST($6 AS TEXT) IS NULL OR repository = $6)
      AND (CAST($7 AS TEXT) IS NULL OR principal = $7)
      AND (CAST($8 AS TEXT) IS NULL OR id > $8)
    ORDER BY time DESC, id DESC
    LIMIT $9";

/// The most events of one answer, whatever the caller's limit: an answer is held in memory.
const MOST_EVENTS: u32 = 10_000;

/// A larger `detail` is left out, so that no single event can push out many others.
const MOST_DETAIL: usize = 64 * 1024;

/// The table is no smaller than this: below it, pages and the write-ahead log are all there is.
const LEAST_BYTES: u64 = 4 * 1024 * 1024;

/// How much is kept, and how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    retention: Duration,
    pub(super) bytes: u64,
}

impl Bounds {
    /// `None` when nothing is to be kept: a retention or a size of zero.
    pub(super) fn new(retention: Duration, max_bytes: u64) -> Option<Self> {
        let nothing = retention.is_zero() || max_bytes == 0;
        (!nothing).then(|| Self { retention, bytes: max_bytes.max(LEAST_BYTES) })
    }

    /// Whether every event the day may hold is older than the retention.
    pub(super) fn is_over(&self, day: Day, now: Timestamp) -> bool {
        day.end() <= now.minus(self.retention)
    }
}

/// A day in UTC, counted from 1970-01-01: the period of both tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Day(i64);

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

impl Day {
    /// 9999-12-29: the next one is not whole in jiff's calendar.
    const LAST: i64 = 2_932_894;

    /// Times no calendar names go to the first and the last day that have a name.
    pub(super) fn of(time: Timestamp) -> Self {
        Self(time.millis().div_euclid(DAY_MILLIS).clamp(0, Self::LAST))
    }

    pub(super) fn start(self) -> Timestamp {
        Timestamp::from_millis(self.0.saturating_mul(DAY_MILLIS))
    }

    pub(super) fn end(self) -> Timestamp {
        Timestamp::from_millis(self.0.saturating_add(1).saturating_mul(DAY_MILLIS))
    }

    /// `2026-11-22`
    pub(super) fn name(self) -> String {
        self.start().to_string().chars().take(10).collect()
    }

    /// The day `name` made this of.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let day = Self::of(format!("{name}T00:00:00Z").parse().ok()?);
        (day.name() == name).then_some(day)
    }
}

/// An event as the tables hold it: the columns that can be asked for, and the whole as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) time: i64,
    pub(super) kind: &'static str,
    pub(super) outcome: &'static str,
    pub(super) registry: Option<String>,
    pub(super) repository: Option<String>,
    pub(super) principal: String,
    pub(super) body: String,
    #[serde(skip)]
    pub(super) day: Day,
}

impl Row {
    pub(super) fn new(event: &AuditEvent) -> Result<Self, StoreError> {
        let day = Day::of(event.time);
        // Within its day, so that it is found where it is kept.
        let time = event.time.millis().clamp(day.start().millis(), day.end().millis() - 1);
        Ok(Self {
            id: event.id.to_string(),
            time,
            kind: event.kind.as_str(),
            outcome: event.outcome.as_str(),
            registry: event.registry.as_deref().map(text),
            repository: event.repository.as_deref().map(text),
            principal: text(&event.principal),
            body: body(event)?,
            day,
        })
    }

    /// About how many bytes it takes in a table.
    pub(super) fn weight(&self) -> u64 {
        self.body.len() as u64 * 2 + 256
    }
}

fn body(event: &AuditEvent) -> Result<String, StoreError> {
    let failed = |error: serde_json::Error| StoreError::Refused(format!("the event cannot be written: {error}"));
    let detail = event.detail.as_ref().map_or(0, |detail| detail.to_string().len());
    if detail <= MOST_DETAIL {
        return serde_json::to_string(event).map_err(failed);
    }
    let event = AuditEvent { detail: Some(json!({ "omittedBytes": detail })), ..event.clone() };
    serde_json::to_string(&event).map_err(failed)
}

/// PostgreSQL's text holds no NUL, and a caller may claim to be anybody: one such name must not lose the event, nor the
/// others of its batch. (In the body, JSON writes it as `\u0000`.)
fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// A query as parameters of `SELECT`.
#[derive(Debug, Clone)]
pub(super) struct Parameters {
    pub(super) since: i64,
    pub(super) until: i64,
    pub(super) kind: Option<&'static str>,
    pub(super) outcome: Option<&'static str>,
    pub(super) registry: Option<String>,
    pub(super) repository: Option<String>,
    pub(super) principal: Option<String>,
    pub(super) after: Option<String>,
    pub(super) limit: i64,
}

impl Parameters {
    pub(super) fn new(query: &AuditQuery) -> Self {
        Self {
            since: query.since.map_or(0, Timestamp::millis).max(earliest(query)),
            until: query.until.map_or(i64::MAX, Timestamp::millis),
            kind: query.kind.map(|kind| kind.as_str()),
            outcome: query.outcome.map(|outcome| outcome.as_str()),
            registry: query.registry.as_deref().map(text),
            repository: query.repository.as_deref().map(text),
            principal: query.principal.as_deref().map(text),
            after: query.after.map(|id| id.to_string()),
            limit: i64::from(query.limit.min(MOST_EVENTS)),
        }
    }

    /// Whether the day can hold an answer.
    pub(super) fn covers(&self, day: Day) -> bool {
        day.end().millis() > self.since && day.start().millis() < self.until
    }
}

/// Who follows the tail must not make us search all periods each time. An id is made when its event is recorded, so
/// events with a later id are not older than `after`; a day is left for batches and for clocks that do not agree.
fn earliest(query: &AuditQuery) -> i64 {
    let made = query.after.and_then(|id| id.get_timestamp());
    made.map_or(0, |made| {
        let seconds = i64::try_from(made.to_unix().0).unwrap_or(0);
        seconds.saturating_mul(1000).saturating_sub(DAY_MILLIS)
    })
}

pub(super) fn event(body: &str) -> Result<AuditEvent, StoreError> {
    serde_json::from_str(body).map_err(|error| StoreError::Corrupt(format!("an audit event: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_days_name_leads_back_to_it() {
        let day = Day::of("2026-11-22T23:59:59.999Z".parse().unwrap());
        assert_eq!(day.name(), "2026-11-22");
        assert_eq!(Day::parse("2026-11-22"), Some(day));
        for wrong in ["2026-11-2", "2026-13-01", "", "2026-11-22x"] {
            assert_eq!(Day::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn times_out_of_the_calendar_have_a_day_with_a_name() {
        assert_eq!(Day::of(Timestamp::from_millis(i64::MIN)).name(), "1970-01-01");
        assert_eq!(Day::of(Timestamp::from_millis(i64::MAX)).name(), "9999-12-29");
    }

    #[test]
    fn a_day_is_over_when_its_last_event_is_too_old() {
        let bounds = Bounds::new(Duration::from_secs(3600), 1).unwrap();
        let day = Day::parse("2026-11-22").unwrap();
        assert!(!bounds.is_over(day, "2026-11-23T00:59:59Z".parse().unwrap()));
        assert!(bounds.is_over(day, "2026-11-23T01:00:00Z".parse().unwrap()));
    }
}
