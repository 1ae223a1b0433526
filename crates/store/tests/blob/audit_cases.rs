//! What every `AuditStore` does.

use std::time::Duration;

use serde_json::json;
use shorepass_core::{AuditEvent, Clock, EventKind, Outcome, SystemRandom, Timestamp, new_id};
use shorepass_store::{AuditQuery, AuditStore};
use uuid::Uuid;

use crate::places::Audits;

const MIB: u64 = 1 << 20;
const MONTH: Duration = Duration::from_hours(30 * 24);

#[derive(Debug)]
struct At(Timestamp);

impl Clock for At {
    fn now(&self) -> Timestamp {
        self.0
    }
}

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

pub fn event(at: &str) -> AuditEvent {
    event_at(time(at))
}

fn event_at(time: Timestamp) -> AuditEvent {
    AuditEvent {
        id: new_id(&At(time), &SystemRandom),
        time,
        kind: EventKind::Pull,
        outcome: Outcome::Success,
        reason: "pulled".to_owned(),
        registry: Some("default".to_owned()),
        repository: Some("app/web".to_owned()),
        target: None,
        operation: None,
        principal: "admin:1".to_owned(),
        credential: "access_token".to_owned(),
        origin: "127.0.0.1".to_owned(),
        request_id: None,
        count: 1,
        detail: None,
    }
}

/// Events of about 1 KiB, a second apart.
fn many(at: &str, number: i64) -> Vec<AuditEvent> {
    let detail = Some(json!({ "text": "x".repeat(700) }));
    let seconds = |second| Timestamp::from_millis(time(at).millis() + second * 1_000);
    (0..number).map(|second| AuditEvent { detail: detail.clone(), ..event_at(seconds(second)) }).collect()
}

fn all() -> AuditQuery {
    AuditQuery { limit: 10_000, ..AuditQuery::default() }
}

fn ids(events: &[AuditEvent]) -> Vec<Uuid> {
    events.iter().map(|event| event.id).collect()
}

async fn found(store: &dyn AuditStore, query: AuditQuery) -> Vec<Uuid> {
    ids(&store.query(&query).await.unwrap())
}

pub async fn answers_come_newest_first_over_days(place: &Audits) {
    let store = place.open(MONTH, 64 * MIB);
    let events = [
        event("2026-11-20T23:59:59.999Z"),
        event("2026-11-21T00:00:00Z"),
        event("2026-11-21T12:00:00Z"),
        event("2026-11-22T00:00:00Z"),
    ];
    store.append(&[events[2].clone(), events[0].clone()]).await.unwrap();
    store.append(&[events[3].clone(), events[1].clone()]).await.unwrap();
    let newest_first: Vec<Uuid> = ids(&events).into_iter().rev().collect();
    assert_eq!(found(store.as_ref(), all()).await, newest_first);
    for limit in 0..=3 {
        let query = AuditQuery { limit, ..AuditQuery::default() };
        assert_eq!(found(store.as_ref(), query).await, newest_first[..limit as usize]);
    }
    let since = Some(events[1].time);
    let until = Some(events[3].time);
    assert_eq!(found(store.as_ref(), AuditQuery { since, until, ..all() }).await, newest_first[1..=2]);
    assert!(found(store.as_ref(), AuditQuery { since: until, until: since, ..all() }).await.is_empty());
}

pub async fn every_filter_filters(place: &Audits) {
    let store = place.open(MONTH, 64 * MIB);
    let plain = event("2026-11-22T08:00:00Z");
    let other = AuditEvent {
        kind: EventKind::Login,
        outcome: Outcome::Failure,
        registry: Some("other".to_owned()),
        repository: None,
        principal: "nobody\0' OR 1=1".to_owned(),
        ..event("2026-11-22T09:00:00Z")
    };
    store.append(&[plain.clone(), other.clone()]).await.unwrap();
    let queries = [
        AuditQuery { kind: Some(EventKind::Login), ..all() },
        AuditQuery { outcome: Some(Outcome::Failure), ..all() },
        AuditQuery { registry: other.registry.clone(), ..all() },
        AuditQuery { principal: Some(other.principal.clone()), ..all() },
    ];
    for query in queries {
        assert_eq!(found(store.as_ref(), query.clone()).await, [other.id], "{query:?}");
    }
    let repository = AuditQuery { repository: plain.repository.clone(), ..all() };
    assert_eq!(found(store.as_ref(), repository).await, [plain.id]);
    let both = AuditQuery { kind: Some(EventKind::Login), registry: Some("default".to_owned()), ..all() };
    assert!(found(store.as_ref(), both).await.is_empty());
}

pub async fn a_tail_can_be_followed(place: &Audits) {
    let store = place.open(MONTH, 64 * MIB);
    let events = [event("2026-11-20T08:00:00Z"), event("2026-11-21T08:00:00Z"), event("2026-11-22T08:00:00Z")];
    store.append(&events[..2]).await.unwrap();
    let after = |event: &AuditEvent| AuditQuery { after: Some(event.id), ..all() };
    assert_eq!(found(store.as_ref(), after(&events[0])).await, [events[1].id]);
    assert!(found(store.as_ref(), after(&events[1])).await.is_empty());
    store.append(&events[2..]).await.unwrap();
    assert_eq!(found(store.as_ref(), after(&events[1])).await, [events[2].id]);
    let registry = Some("other".to_owned());
    assert!(found(store.as_ref(), AuditQuery { registry, ..after(&events[1]) }).await.is_empty());
}

pub async fn events_outlive_the_server(place: &Audits) {
    let events = [event("2026-11-22T08:00:00Z"), event("2026-11-22T09:00:00Z")];
    place.open(MONTH, 64 * MIB).append(&events[..1]).await.unwrap();
    let store = place.open(MONTH, 64 * MIB);
    assert_eq!(found(store.as_ref(), all()).await, [events[0].id]);
    store.append(&events[1..]).await.unwrap();
    assert_eq!(found(place.open(MONTH, 64 * MIB).as_ref(), all()).await, [events[1].id, events[0].id]);
}

pub async fn a_retry_adds_nothing(place: &Audits) {
    let store = place.open(MONTH, 64 * MIB);
    let events = [event("2026-11-22T08:00:00Z"), event("2026-11-22T09:00:00Z")];
    store.append(&events[..1]).await.unwrap();
    store.append(&events).await.unwrap();
    store.append(&[]).await.unwrap();
    assert_eq!(found(store.as_ref(), all()).await, [events[1].id, events[0].id]);
}

pub async fn an_event_is_answered_as_it_was(place: &Audits) {
    let store = place.open(MONTH, 64 * MIB);
    let whole = AuditEvent {
        kind: EventKind::Management,
        target: Some("default".to_owned()),
        operation: Some("registry.update".to_owned()),
        principal: "a\0b ü 🚢 \"quoted\"".to_owned(),
        request_id: Some("r-1".to_owned()),
        count: 7,
        detail: Some(json!({ "before": { "sku": "Basic" }, "after": { "sku": "Premium" } })),
        ..event("2026-11-22T08:00:00.123Z")
    };
    store.append(std::slice::from_ref(&whole)).await.unwrap();
    assert_eq!(store.query(&all()).await.unwrap(), [whole]);
}

pub async fn days_past_the_retention_are_dropped(place: &Audits) {
    let store = place.open(Duration::from_hours(24), 64 * MIB);
    let events = [event("2026-11-20T23:59:59Z"), event("2026-11-21T08:00:00Z"), event("2026-11-22T08:00:00Z")];
    store.append(&events).await.unwrap();
    // The last event of the first day is less than 24 hours old.
    assert_eq!(store.prune(time("2026-11-21T23:59:58Z")).await.unwrap(), 0);
    assert_eq!(store.prune(time("2026-11-22T09:00:00Z")).await.unwrap(), 1);
    assert_eq!(found(store.as_ref(), all()).await, [events[2].id, events[1].id]);
    assert_eq!(store.prune(time("2026-12-24T00:00:00Z")).await.unwrap(), 2);
    assert!(found(store.as_ref(), all()).await.is_empty());
    store.append(&events[2..]).await.unwrap();
    assert_eq!(found(store.as_ref(), all()).await, [events[2].id]);
}

pub async fn old_days_make_room_for_new_ones(place: &Audits) {
    let store = place.open(MONTH, 6 * MIB);
    for day in ["2026-11-18", "2026-11-19", "2026-11-20", "2026-11-21", "2026-11-22"] {
        for hour in 0..10 {
            store.append(&many(&format!("{day}T{hour:02}:00:00Z"), 100)).await.unwrap();
            assert!(place.bytes().await <= 6 * MIB, "{} bytes", place.bytes().await);
        }
    }
    let events = store.query(&all()).await.unwrap();
    assert_eq!(events.iter().filter(|event| event.time >= time("2026-11-22T00:00:00Z")).count(), 1_000);
    let oldest = events.last().unwrap().time;
    assert!(oldest >= time("2026-11-19T00:00:00Z"), "{oldest}");
    assert_eq!(oldest.millis() % 86_400_000, 0, "whole days are dropped");
}

pub async fn a_flood_stays_within_the_bound(place: &Audits) {
    let store = place.open(MONTH, 4 * MIB);
    store.append(&[event("2026-11-21T08:00:00Z")]).await.unwrap();
    let flood = many("2026-11-22T00:00:00Z", 12_000);
    for events in flood.chunks(300) {
        store.append(events).await.unwrap();
        assert!(place.bytes().await <= 4 * MIB, "{} bytes", place.bytes().await);
    }
    let kept = found(store.as_ref(), all()).await;
    assert!(kept.len() > 800, "{}", kept.len());
    let newest: Vec<Uuid> = ids(&flood).into_iter().rev().take(kept.len()).collect();
    assert_eq!(kept, newest, "the newest are kept, without a gap");
}

pub async fn no_retention_keeps_nothing(place: &Audits) {
    let events = [event("2026-11-22T08:00:00Z")];
    place.open(MONTH, 64 * MIB).append(&events).await.unwrap();
    for store in [place.open(Duration::ZERO, 64 * MIB), place.open(MONTH, 0)] {
        store.append(&[event("2026-11-22T09:00:00Z")]).await.unwrap();
        assert!(found(store.as_ref(), all()).await.len() < 2);
        store.prune(time("2026-11-22T09:00:00Z")).await.unwrap();
        assert!(found(store.as_ref(), all()).await.is_empty());
    }
}

pub async fn a_large_detail_is_left_out(place: &Audits) {
    let store = place.open(MONTH, 4 * MIB);
    let detail = json!("x".repeat(8 << 20));
    let large = AuditEvent { detail: Some(detail.clone()), ..event("2026-11-22T08:00:00Z") };
    store.append(std::slice::from_ref(&large)).await.unwrap();
    let kept = AuditEvent { detail: Some(json!({ "omittedBytes": detail.to_string().len() })), ..large };
    assert_eq!(store.query(&all()).await.unwrap(), [kept]);
}

pub async fn many_append_at_once(place: &Audits) {
    let store = place.open(MONTH, 64 * MIB);
    let tasks = (0..8).map(|task| {
        let store = std::sync::Arc::clone(&store);
        tokio::spawn(async move {
            for day in 20..23 {
                store.append(&many(&format!("2026-11-{day}T{task:02}:00:00Z"), 20)).await.unwrap();
                store.query(&all()).await.unwrap();
                store.prune(time("2026-11-22T00:00:00Z")).await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(found(store.as_ref(), all()).await.len(), 8 * 3 * 20);
}

/// Another server drops the day between two appends of this one.
pub async fn a_day_that_was_dropped_can_come_back(place: &Audits) {
    let events = [event("2026-11-22T08:00:00Z"), event("2026-11-22T09:00:00Z")];
    let store = place.open(MONTH, 64 * MIB);
    store.append(&events[..1]).await.unwrap();
    assert_eq!(place.open(MONTH, 64 * MIB).prune(time("2027-11-22T00:00:00Z")).await.unwrap(), 1);
    store.append(&events[1..]).await.unwrap();
    assert_eq!(found(store.as_ref(), all()).await, [events[1].id]);
}
