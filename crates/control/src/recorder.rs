//! The audit's way from a request to the table: queued for the data plane, awaited for management.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use shorepass_core::{AuditEvent, EventKind};
use shorepass_store::{AuditStore, StoreError};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Events that may wait to be written. One more is dropped and counted: a registry that waits for its audit could be
/// stopped by it.
const QUEUE: usize = 16_384;

/// Most events in one write.
const BATCH: usize = 1_000;

/// How long the first event of a batch waits for others.
const GATHER: Duration = Duration::from_millis(250);

/// Where JSON lines go besides the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditOutput {
    Stdout,
    /// Appended to; at `max_bytes` it is renamed to `<path>.1`, which is replaced: two files at the most.
    File {
        path: PathBuf,
        max_bytes: u64,
    },
}

/// Takes events from requests and writes them.
#[derive(Debug)]
pub struct Recorder {
    sink: Arc<Sink>,
    queue: mpsc::Sender<AuditEvent>,
}

#[derive(Debug)]
struct Sink {
    table: Arc<dyn AuditStore>,
    lines: Option<Mutex<Lines>>,
    dropped: AtomicU64,
}

impl Recorder {
    /// Starts the writer. It ends, with everything written, when the recorder is dropped.
    #[must_use]
    pub fn start(table: Arc<dyn AuditStore>, output: Option<AuditOutput>) -> (Arc<Self>, JoinHandle<()>) {
        let (queue, mut events) = mpsc::channel(QUEUE);
        let lines = output.map(|output| Mutex::new(Lines { output, file: None }));
        let sink = Arc::new(Sink { table, lines, dropped: AtomicU64::new(0) });
        let recorder = Arc::new(Self { sink: Arc::clone(&sink), queue });
        let writer = tokio::spawn(async move {
            let mut batch = Vec::new();
            while gather(&mut events, &mut batch).await {
                let merged = merge(std::mem::take(&mut batch));
                if let Err(error) = sink.write(&merged).await {
                    let lost = merged.len() as u64;
                    tracing::error!(%error, lost, "audit events could not be stored");
                    sink.dropped.fetch_add(lost, Ordering::Relaxed);
                }
            }
        });
        (recorder, writer)
    }

    /// Queues an event; never waits.
    pub fn record(&self, event: AuditEvent) {
        if self.queue.try_send(event).is_err() {
            self.sink.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes an event before returning.
    ///
    /// # Errors
    /// When the table does not take it.
    pub async fn record_now(&self, event: AuditEvent) -> Result<(), StoreError> {
        self.sink.write(&[event]).await
    }

    /// Events lost since the start: the queue was full or the table refused.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.sink.dropped.load(Ordering::Relaxed)
    }

    #[must_use]
    pub fn table(&self) -> &Arc<dyn AuditStore> {
        &self.sink.table
    }
}

impl Sink {
    /// Lines are written even when the table refuses: one trace is better than none.
    async fn write(&self, events: &[AuditEvent]) -> Result<(), StoreError> {
        if let Some(lines) = &self.lines {
            let written = lines.lock().unwrap_or_else(PoisonError::into_inner).write(events);
            if let Err(error) = written {
                tracing::error!(%error, "audit lines could not be written");
            }
        }
        self.table.append(events).await
    }
}

/// Waits for an event, then takes what else comes within a moment. `false` when there will be no more.
async fn gather(events: &mut mpsc::Receiver<AuditEvent>, batch: &mut Vec<AuditEvent>) -> bool {
    if events.recv_many(batch, BATCH).await == 0 {
        return false;
    }
    let deadline = tokio::time::Instant::now() + GATHER;
    while batch.len() < BATCH {
        let room = BATCH - batch.len();
        match tokio::time::timeout_at(deadline, events.recv_many(batch, room)).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    true
}

/// Pulls that differ in nothing but their time become one event with a count.
fn merge(events: Vec<AuditEvent>) -> Vec<AuditEvent> {
    let mut merged: Vec<AuditEvent> = Vec::with_capacity(events.len());
    let mut seen = HashMap::new();
    for event in events {
        if event.kind == EventKind::Pull {
            let key = (
                event.registry.clone(),
                event.repository.clone(),
                event.target.clone(),
                event.principal.clone(),
                event.credential.clone(),
                event.origin.clone(),
                event.outcome,
                event.reason.clone(),
            );
            let place = *seen.entry(key).or_insert(merged.len());
            if let Some(first) = merged.get_mut(place) {
                first.count = first.count.saturating_add(event.count);
                continue;
            }
        }
        merged.push(event);
    }
    merged
}

#[derive(Debug)]
struct Lines {
    output: AuditOutput,
    file: Option<(std::fs::File, u64)>,
}

impl Lines {
    fn write(&mut self, events: &[AuditEvent]) -> std::io::Result<()> {
        let mut text = Vec::new();
        for event in events {
            serde_json::to_writer(&mut text, event)?;
            text.push(b'\n');
        }
        match &self.output {
            AuditOutput::Stdout => std::io::stdout().lock().write_all(&text),
            AuditOutput::File { path, max_bytes } => {
                if self.file.as_ref().is_some_and(|(_, size)| size + text.len() as u64 > *max_bytes) {
                    self.file = None;
                    std::fs::rename(path, format!("{}.1", path.display()))?;
                }
                let (file, size) = match &mut self.file {
                    Some(open) => open,
                    None => self.file.insert(open_private(path)?),
                };
                file.write_all(&text)?;
                *size += text.len() as u64;
                Ok(())
            }
        }
    }
}

/// Opens for appending, readable by its owner only; with its size.
fn open_private(path: &std::path::Path) -> std::io::Result<(std::fs::File, u64)> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}
