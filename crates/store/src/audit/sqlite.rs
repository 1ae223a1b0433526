//! One SQLite file per UTC day: dropping a period is removing a file, and what is damaged is one day.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use shorepass_core::{AuditEvent, Timestamp};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::{Mutex, Semaphore};

use super::row::{Bounds, Day, Parameters, Row, SELECT, event};
use super::{AuditQuery, AuditStore, failure};
use crate::StoreError;
use crate::blob::blocking;

const SCHEMA: &str = r"
    CREATE TABLE IF NOT EXISTS audit_events (
        id         TEXT NOT NULL,
        time       INTEGER NOT NULL,
        kind       TEXT NOT NULL,
        outcome    TEXT NOT NULL,
        registry   TEXT,
        repository TEXT,
        principal  TEXT NOT NULL,
        body       TEXT NOT NULL,
        PRIMARY KEY (time, id)
    ) STRICT";

/// `$1` is a JSON array of rows.
const INSERT: &str = r"
    INSERT INTO audit_events (id, time, kind, outcome, registry, repository, principal, body)
    SELECT value ->> 'id', value ->> 'time', value ->> 'kind', value ->> 'outcome', value ->> 'registry',
           value ->> 'repository', value ->> 'principal', value ->> 'body'
    FROM json_each($1) WHERE true
    ON CONFLICT DO NOTHING";

const DELETE_OLDEST: &str = r"
    DELETE FROM audit_events WHERE (time, id) IN (
        SELECT time, id FROM audit_events ORDER BY time, id
        LIMIT (SELECT count(*) / 8 + 1 FROM audit_events))";

/// Bytes of one transaction, about: the write-ahead log stays small.
const MOST_AT_ONCE: u64 = 512 * 1024;

/// Queries at the same time; each has one file open.
const READERS: usize = 4;

/// A day's files: the database, its write-ahead log and the log's index.
const SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];

/// The audit table as files `audit-YYYY-MM-DD.db` in one directory.
#[derive(Debug)]
pub struct SqliteAudit {
    dir: PathBuf,
    bounds: Option<Bounds>,
    writer: Mutex<Option<Writer>>,
    readers: Semaphore,
}

/// The one connection that writes. It stays open, for most events are of today.
#[derive(Debug)]
struct Writer {
    day: Day,
    connection: SqliteConnection,
}

impl SqliteAudit {
    /// The table in `dir`, which is made (mode 0700) where it is missing. It takes at most `max_bytes`, logs included.
    pub fn open(dir: &Path, retention: Duration, max_bytes: u64) -> Result<Arc<dyn AuditStore>, StoreError> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        Ok(Arc::new(Self {
            dir: dir.to_owned(),
            bounds: Bounds::new(retention, max_bytes),
            writer: Mutex::default(),
            readers: Semaphore::new(READERS),
        }))
    }

    fn file(&self, day: Day) -> PathBuf {
        self.dir.join(format!("audit-{}.db", day.name()))
    }

    /// The days there are, with the bytes they take.
    async fn days(&self) -> Result<BTreeMap<Day, u64>, StoreError> {
        let dir = self.dir.clone();
        blocking(move || days_in(&dir)).await
    }

    /// `FULL`, because an event is durable when `append` returns: a management operation waits for its event, and
    /// pulling the plug must not take it back. Events come in batches, so it is one fsync for many.
    async fn connect(&self, day: Day) -> Result<SqliteConnection, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(self.file(day))
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5))
            .pragma("wal_autocheckpoint", "128")
            .pragma("journal_size_limit", "262144");
        let mut connection = options.connect().await.map_err(failure)?;
        sqlx::query(SCHEMA).execute(&mut connection).await.map_err(failure)?;
        Ok(connection)
    }

    async fn open_writer(&self, slot: &mut Option<Writer>, day: Day) -> Result<(), StoreError> {
        if slot.as_ref().is_some_and(|writer| writer.day == day) {
            return Ok(());
        }
        close(slot).await;
        let path = self.file(day);
        blocking(move || create_private(&path)).await?;
        *slot = Some(Writer { day, connection: self.connect(day).await? });
        Ok(())
    }

    /// Writes rows of one day, after making room for them.
    async fn write(&self, slot: &mut Option<Writer>, rows: &[Row], bounds: Bounds) -> Result<(), StoreError> {
        let Some(day) = rows.first().map(|row| row.day) else { return Ok(()) };
        let weight = rows.iter().map(Row::weight).sum();
        // A quarter is kept free for the write-ahead log.
        let most = bounds.bytes / 4 * 3;
        let Some(room) = self.make_room(slot, day, weight, most).await? else {
            tracing::warn!(
                events = rows.len(),
                day = day.name(),
                "audit events are dropped: newer days fill the table"
            );
            return Ok(());
        };
        self.open_writer(slot, day).await?;
        let Some(writer) = slot else { return Ok(()) };
        writer.make_room(room, weight).await?;
        sqlx::query(INSERT).bind(to_json(rows)?).execute(&mut writer.connection).await.map_err(failure)?;
        Ok(())
    }

    /// Drops older days than `day` until `weight` more bytes fit. Answers how large the day's file may become; `None`
    /// when it cannot, because newer days fill the table.
    async fn make_room(
        &self,
        slot: &mut Option<Writer>,
        day: Day,
        weight: u64,
        most: u64,
    ) -> Result<Option<u64>, StoreError> {
        let mut days = self.days().await?;
        let own = days.remove(&day).unwrap_or(0);
        loop {
            let others: u64 = days.values().sum();
            let fits = others + own + weight <= most;
            match days.keys().next().copied() {
                Some(oldest) if !fits && oldest < day => {
                    self.drop_day(slot, oldest).await?;
                    days.remove(&oldest);
                }
                Some(_) if others + weight > most => return Ok(None),
                _ => return Ok(Some(most.saturating_sub(others))),
            }
        }
    }

    async fn drop_day(&self, slot: &mut Option<Writer>, day: Day) -> Result<(), StoreError> {
        if slot.as_ref().is_some_and(|writer| writer.day == day) {
            close(slot).await;
        }
        tracing::info!("the audit events of {} are dropped", day.name());
        let path = self.file(day);
        blocking(move || remove_day(&path)).await
    }

    async fn append_rows(&self, slot: &mut Option<Writer>, rows: &[Row], bounds: Bounds) -> Result<(), StoreError> {
        for rows in rows.chunk_by(|a, b| a.day == b.day) {
            for rows in batches(rows) {
                self.write(slot, rows, bounds).await?;
            }
        }
        Ok(())
    }

    async fn query_day(&self, day: Day, parameters: &Parameters, limit: i64) -> Result<Vec<AuditEvent>, StoreError> {
        let path = self.file(day);
        if !blocking(move || Ok(path.try_exists()?)).await? {
            return Ok(Vec::new());
        }
        let mut connection = self.connect(day).await?;
        let select = sqlx::query_scalar::<_, String>(SELECT)
            .bind(parameters.since)
            .bind(parameters.until)
            .bind(parameters.kind)
            .bind(parameters.outcome)
            .bind(&parameters.registry)
            .bind(&parameters.repository)
            .bind(&parameters.principal)
            .bind(&parameters.after)
            .bind(limit);
        let bodies = select.fetch_all(&mut connection).await.map_err(failure)?;
        connection.close().await.map_err(failure)?;
        bodies.iter().map(|body| event(body)).collect()
    }
}

#[async_trait]
impl AuditStore for SqliteAudit {
    async fn append(&self, events: &[AuditEvent]) -> Result<(), StoreError> {
        let Some(bounds) = self.bounds else { return Ok(()) };
        let mut rows = events.iter().map(Row::new).collect::<Result<Vec<_>, _>>()?;
        rows.sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
        let mut slot = self.writer.lock().await;
        let appended = self.append_rows(&mut slot, &rows, bounds).await;
        if appended.is_err() {
            // The next attempt begins with a new connection, whatever was wrong with this one.
            close(&mut slot).await;
        }
        appended
    }

    async fn query(&self, query: &AuditQuery) -> Result<Vec<AuditEvent>, StoreError> {
        let parameters = Parameters::new(query);
        let closed = |_| StoreError::Unavailable("the audit table is closed".to_owned());
        let _reader = self.readers.acquire().await.map_err(closed)?;
        let mut events = Vec::new();
        for day in self.days().await?.into_keys().rev().filter(|day| parameters.covers(*day)) {
            let missing = parameters.limit.saturating_sub(i64::try_from(events.len()).unwrap_or(i64::MAX));
            if missing <= 0 {
                break;
            }
            events.extend(self.query_day(day, &parameters, missing).await?);
        }
        Ok(events)
    }

    async fn prune(&self, now: Timestamp) -> Result<u32, StoreError> {
        let mut slot = self.writer.lock().await;
        let mut days = self.days().await?;
        let mut dropped = 0;
        while let Some((day, _)) = days.first_key_value() {
            let day = *day;
            let too_large = |bounds: Bounds| days.len() > 1 && days.values().sum::<u64>() > bounds.bytes;
            let keep = self.bounds.is_some_and(|bounds| !bounds.is_over(day, now) && !too_large(bounds));
            if keep {
                break;
            }
            self.drop_day(&mut slot, day).await?;
            days.remove(&day);
            dropped += 1;
        }
        Ok(dropped)
    }
}

impl Writer {
    /// Deletes the oldest events until `weight` more bytes fit into `most`.
    async fn make_room(&mut self, most: u64, weight: u64) -> Result<(), StoreError> {
        while self.used().await? + weight > most {
            let deleted = sqlx::query(DELETE_OLDEST).execute(&mut self.connection).await.map_err(failure)?;
            // Else the log would hold what was touched by the deletion until somebody else's writes push it out.
            sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut self.connection).await.map_err(failure)?;
            tracing::warn!(
                events = deleted.rows_affected(),
                day = self.day.name(),
                "the oldest audit events are dropped: those of one day fill the table"
            );
            if deleted.rows_affected() == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Bytes of the file that hold something.
    async fn used(&mut self) -> Result<u64, StoreError> {
        let sql = "SELECT (page_count - freelist_count) * page_size
                   FROM pragma_page_count, pragma_freelist_count, pragma_page_size";
        let used: i64 = sqlx::query_scalar(sql).fetch_one(&mut self.connection).await.map_err(failure)?;
        Ok(u64::try_from(used).unwrap_or(0))
    }
}

async fn close(slot: &mut Option<Writer>) {
    if let Some(writer) = slot.take()
        && let Err(error) = writer.connection.close().await
    {
        tracing::warn!(%error, day = writer.day.name(), "the audit file did not close well");
    }
}

/// Cuts rows into transactions.
fn batches(rows: &[Row]) -> impl Iterator<Item = &[Row]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let mut weight = 0;
        let fitting = rest.iter().take_while(|row| {
            let before = weight;
            weight += row.weight();
            before == 0 || weight <= MOST_AT_ONCE
        });
        let (head, tail) = rest.split_at(fitting.count());
        rest = tail;
        (!head.is_empty()).then_some(head)
    })
}

fn to_json(rows: &[Row]) -> Result<String, StoreError> {
    serde_json::to_string(rows).map_err(|error| StoreError::Refused(format!("events cannot be written: {error}")))
}

fn days_in(dir: &Path) -> Result<BTreeMap<Day, u64>, StoreError> {
    let mut days = BTreeMap::new();
    for entry in dir.read_dir()? {
        let entry = entry?;
        let name = entry.file_name();
        let Some((day, suffix)) = name.to_str().and_then(|name| name.strip_prefix("audit-")?.split_once(".db")) else {
            continue;
        };
        let Some(day) = Day::parse(day).filter(|_| SUFFIXES.contains(&suffix)) else { continue };
        // A log may go between the listing and the look.
        let size = entry.metadata().map_or(0, |metadata| metadata.len());
        *days.entry(day).or_default() += size;
    }
    Ok(days)
}

fn create_private(path: &Path) -> Result<(), StoreError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(()),
    }
}

fn remove_day(path: &Path) -> Result<(), StoreError> {
    for suffix in SUFFIXES {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match std::fs::remove_file(name) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}
