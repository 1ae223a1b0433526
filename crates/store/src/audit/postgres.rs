//! One partition per UTC day: dropping a period is dropping a table.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use shorepass_core::{AuditEvent, Timestamp};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Executor, Postgres, Transaction};
use tokio::sync::OnceCell;

use super::row::{Bounds, Day, Parameters, Row, SELECT, event};
use super::{AuditQuery, AuditStore, failure};
use crate::StoreError;

/// Texts compare by bytes, as in SQLite.
const SCHEMA: &str = r#"
    CREATE TABLE IF NOT EXISTS audit_events (
        id         TEXT COLLATE "C" NOT NULL,
        time       BIGINT NOT NULL,
        kind       TEXT COLLATE "C" NOT NULL,
        outcome    TEXT COLLATE "C" NOT NULL,
        registry   TEXT COLLATE "C",
        repository TEXT COLLATE "C",
        principal  TEXT COLLATE "C" NOT NULL,
        body       TEXT NOT NULL,
        PRIMARY KEY (time, id)
    ) PARTITION BY RANGE (time)"#;

const INSERT: &str = r"
    INSERT INTO audit_events (id, time, kind, outcome, registry, repository, principal, body)
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
    ON CONFLICT DO NOTHING";

const PARTITIONS: &str = r"
    SELECT c.relname::text, pg_total_relation_size(c.oid)
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'audit_events'::regclass
    ORDER BY c.relname";

const PREFIX: &str = "audit_events_";

/// Any number will do that nothing else in the database locks: partitions come and go under it.
const PARTITION_LOCK: i64 = 0x5348_4f52_4155_4449;

const SESSION: &str = "SET synchronous_commit = on; SET statement_timeout = '30s'; SET lock_timeout = '5s';
    SET idle_in_transaction_session_timeout = '30s'";

const CONNECTIONS: u32 = 4;

/// The audit table as partitions of `audit_events`.
pub struct PostgresAudit {
    pool: PgPool,
    bounds: Option<Bounds>,
    schema: OnceCell<()>,
    /// Days whose partition was there when we last looked.
    known: Mutex<HashSet<Day>>,
    /// Bytes appended since the size was looked at.
    unchecked: AtomicU64,
}

impl PostgresAudit {
    /// The table in the database of a `postgres://` URL; connects with first use. Call within a tokio runtime. It takes
    /// about `max_bytes`, indexes included.
    pub fn open(url: &str, retention: Duration, max_bytes: u64) -> Result<Arc<dyn AuditStore>, StoreError> {
        // The URL may hold a password: the error does not show it.
        let unusable =
            |_| StoreError::Refused("the database URL is not of the form `postgres://user@host/name`".to_owned());
        let options: PgConnectOptions = url.parse().map_err(unusable)?;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(Duration::from_secs(3))
            .after_connect(|connection, _| Box::pin(async move { connection.execute(SESSION).await.map(drop) }))
            .connect_lazy_with(options.application_name("shorepass-audit"));
        Ok(Arc::new(Self {
            pool,
            bounds: Bounds::new(retention, max_bytes),
            schema: OnceCell::new(),
            known: Mutex::default(),
            unchecked: AtomicU64::new(u64::MAX),
        }))
    }

    async fn ready(&self) -> Result<(), StoreError> {
        let create = || async {
            let mut tx = self.locked().await?;
            tx.execute(SCHEMA).await.map_err(failure)?;
            tx.commit().await.map_err(failure)
        };
        self.schema.get_or_try_init(create).await?;
        Ok(())
    }

    /// A transaction in which no other server creates or drops a partition.
    async fn locked(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        let mut tx = self.pool.begin().await.map_err(failure)?;
        let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(PARTITION_LOCK);
        lock.execute(&mut *tx).await.map_err(failure)?;
        Ok(tx)
    }

    fn known<T>(&self, work: impl FnOnce(&mut HashSet<Day>) -> T) -> T {
        work(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn make_partitions(&self, rows: &[Row]) -> Result<(), StoreError> {
        let days: HashSet<Day> = rows.iter().map(|row| row.day).collect();
        let new: Vec<Day> = self.known(|known| days.difference(known).copied().collect());
        if new.is_empty() {
            return Ok(());
        }
        let mut tx = self.locked().await?;
        for day in &new {
            let (name, start, end) = (partition(*day), day.start().millis(), day.end().millis());
            let sql = format!(
                "CREATE TABLE IF NOT EXISTS {name} PARTITION OF audit_events FOR VALUES FROM ({start}) TO ({end})"
            );
            // Nothing but digits of our own calendar is put into the text; DDL takes no parameters.
            tx.execute(AssertSqlSafe(sql)).await.map_err(failure)?;
        }
        tx.commit().await.map_err(failure)?;
        self.known(|known| known.extend(new));
        Ok(())
    }

    async fn insert(&self, rows: &[Row]) -> Result<(), sqlx::Error> {
        let insert = sqlx::query(INSERT)
            .bind(column(rows, |row| row.id.as_str()))
            .bind(column(rows, |row| row.time))
            .bind(column(rows, |row| row.kind))
            .bind(column(rows, |row| row.outcome))
            .bind(column(rows, |row| row.registry.as_deref()))
            .bind(column(rows, |row| row.repository.as_deref()))
            .bind(column(rows, |row| row.principal.as_str()))
            .bind(column(rows, |row| row.body.as_str()));
        insert.execute(&self.pool).await.map(drop)
    }

    async fn partitions(&self) -> Result<Vec<(Day, u64)>, StoreError> {
        let rows: Vec<(String, i64)> = sqlx::query_as(PARTITIONS).fetch_all(&self.pool).await.map_err(failure)?;
        let day = |name: &str| Day::parse(&name.strip_prefix(PREFIX)?.replace('_', "-"));
        let sizes = rows.iter().filter_map(|(name, size)| Some((day(name)?, u64::try_from(*size).unwrap_or(0))));
        Ok(sizes.collect())
    }

    async fn drop_day(&self, day: Day) -> Result<(), StoreError> {
        let name = partition(day);
        tracing::info!("the audit events of {} are dropped", day.name());
        let mut tx = self.locked().await?;
        tx.execute(AssertSqlSafe(format!("DROP TABLE IF EXISTS {name}"))).await.map_err(failure)?;
        tx.commit().await.map_err(failure)?;
        self.known(|known| known.remove(&day));
        Ok(())
    }

    /// Looks at the size now and then: counting at each append would cost more than the append.
    async fn make_room(&self, bounds: Bounds, weight: u64) -> Result<(), StoreError> {
        let unchecked = self.unchecked.load(Ordering::Relaxed).saturating_add(weight);
        if unchecked < bounds.bytes / 64 {
            self.unchecked.store(unchecked, Ordering::Relaxed);
            return Ok(());
        }
        let mut partitions = self.partitions().await?;
        while partitions.len() > 1 && total(&partitions) + weight > bounds.bytes / 8 * 7 {
            let (oldest, _) = partitions.remove(0);
            self.drop_day(oldest).await?;
        }
        if let [(day, size)] = partitions.as_slice()
            && *size + weight > bounds.bytes / 2
        {
            self.trim(*day, bounds).await?;
        }
        self.unchecked.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// Deletes the oldest quarter of the only day there is, when its events take half of the bound, and makes their room
    /// usable. When PostgreSQL cannot (a transaction stays open for hours), events are refused rather than the disk
    /// filled.
    async fn trim(&self, day: Day, bounds: Bounds) -> Result<(), StoreError> {
        let name = partition(day);
        let live = format!("SELECT coalesce(sum(octet_length(body)::bigint * 2 + 256), 0)::bigint FROM {name}");
        let live: i64 = sqlx::query_scalar(AssertSqlSafe(live)).fetch_one(&self.pool).await.map_err(failure)?;
        if u64::try_from(live).unwrap_or(0) > bounds.bytes / 2 {
            let delete = format!(
                "DELETE FROM {name} WHERE (time, id) IN (
                     SELECT time, id FROM {name} ORDER BY time, id LIMIT (SELECT count(*) / 4 + 1 FROM {name}))"
            );
            let deleted = self.pool.execute(AssertSqlSafe(delete)).await.map_err(failure)?.rows_affected();
            self.pool.execute(AssertSqlSafe(format!("VACUUM {name}"))).await.map_err(failure)?;
            tracing::warn!(
                events = deleted,
                day = day.name(),
                "the oldest audit events are dropped: those of one day fill the table"
            );
        }
        match total(&self.partitions().await?) > bounds.bytes {
            true => Err(StoreError::NotWritable("the audit table is full and does not shrink".to_owned())),
            false => Ok(()),
        }
    }
}

impl fmt::Debug for PostgresAudit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresAudit").field("bounds", &self.bounds).finish_non_exhaustive()
    }
}

#[async_trait]
impl AuditStore for PostgresAudit {
    async fn append(&self, events: &[AuditEvent]) -> Result<(), StoreError> {
        let Some(bounds) = self.bounds.filter(|_| !events.is_empty()) else { return Ok(()) };
        let rows = events.iter().map(Row::new).collect::<Result<Vec<_>, _>>()?;
        self.ready().await?;
        self.make_room(bounds, rows.iter().map(Row::weight).sum()).await?;
        self.make_partitions(&rows).await?;
        match self.insert(&rows).await {
            // Another server dropped the partition since we looked.
            Err(sqlx::Error::Database(error)) if error.is_check_violation() => {
                self.known(HashSet::clear);
                self.make_partitions(&rows).await?;
                self.insert(&rows).await.map_err(failure)
            }
            inserted => inserted.map_err(failure),
        }
    }

    async fn query(&self, query: &AuditQuery) -> Result<Vec<AuditEvent>, StoreError> {
        self.ready().await?;
        let parameters = Parameters::new(query);
        let select = sqlx::query_scalar::<_, String>(SELECT)
            .bind(parameters.since)
            .bind(parameters.until)
            .bind(parameters.kind)
            .bind(parameters.outcome)
            .bind(&parameters.registry)
            .bind(&parameters.repository)
            .bind(&parameters.principal)
            .bind(&parameters.after)
            .bind(parameters.limit);
        let bodies = select.fetch_all(&self.pool).await.map_err(failure)?;
        bodies.iter().map(|body| event(body)).collect()
    }

    async fn prune(&self, now: Timestamp) -> Result<u32, StoreError> {
        self.ready().await?;
        let mut partitions = self.partitions().await?;
        let mut dropped = 0;
        while let Some((day, _)) = partitions.first() {
            let day = *day;
            let too_large = |bounds: Bounds| partitions.len() > 1 && total(&partitions) > bounds.bytes;
            if self.bounds.is_some_and(|bounds| !bounds.is_over(day, now) && !too_large(bounds)) {
                break;
            }
            self.drop_day(day).await?;
            partitions.remove(0);
            dropped += 1;
        }
        Ok(dropped)
    }
}

fn partition(day: Day) -> String {
    format!("{PREFIX}{}", day.name().replace('-', "_"))
}

fn total(partitions: &[(Day, u64)]) -> u64 {
    partitions.iter().map(|(_, size)| size).sum()
}

fn column<'a, T>(rows: &'a [Row], field: impl Fn(&'a Row) -> T) -> Vec<T> {
    rows.iter().map(field).collect()
}
