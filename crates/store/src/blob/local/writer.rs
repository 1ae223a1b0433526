//! Writing a file: small frames are gathered, and one buffer is filled while the one before it is written.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::mem;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::task::JoinHandle;

use super::{Paths, blocking};
use crate::StoreError;
use crate::blob::fence::Ticket;
use crate::blob::{BlobWriter, WriteState};

/// A writer holds at most two of these.
const BUFFER: usize = 256 * 1024;

#[derive(Debug)]
pub(super) struct LocalWriter {
    file: Arc<File>,
    paths: Paths,
    ticket: Ticket,
    buffer: Vec<u8>,
    /// Where the buffer's first byte belongs.
    position: u64,
    /// The write under way; it answers the emptied buffer.
    under_way: Option<JoinHandle<io::Result<Vec<u8>>>>,
    /// The file's name may not be durable yet.
    new: bool,
    /// A write failed: what lies in the file is unknown.
    broken: bool,
}

/// Goes on at `length`.
pub(super) async fn open(paths: Paths, ticket: Ticket, length: u64) -> Result<LocalWriter, StoreError> {
    let turn = ticket.turn().await?;
    let (file, paths) = blocking(move || {
        let _turn = turn;
        Ok((open_part(&paths, length)?, paths))
    })
    .await?;
    Ok(LocalWriter {
        file: Arc::new(file),
        paths,
        ticket,
        buffer: Vec::new(),
        position: length,
        under_way: None,
        new: length == 0,
        broken: false,
    })
}

fn open_part(paths: &Paths, length: u64) -> Result<File, StoreError> {
    if paths.whole.try_exists()? {
        return Err(StoreError::Refused("the object is finished".to_owned()));
    }
    let mut options = OpenOptions::new();
    options.write(true).create(length == 0).mode(0o600);
    let file = match options.open(&paths.part) {
        Err(error) if error.kind() == ErrorKind::NotFound && length > 0 => {
            return Err(StoreError::Refused("the bytes written so far are gone".to_owned()));
        }
        other => other?,
    };
    let found = file.metadata()?.len();
    if found < length {
        return Err(StoreError::Refused(format!("{found} bytes are there, not {length}")));
    }
    if found > length {
        file.set_len(length)?;
    }
    Ok(file)
}

impl LocalWriter {
    /// Waits for the write under way, and answers an empty buffer.
    async fn settle(&mut self) -> Result<Vec<u8>, StoreError> {
        if self.broken {
            return Err(StoreError::Refused("an earlier write of this object failed".to_owned()));
        }
        let Some(write) = self.under_way.as_mut() else { return Ok(Vec::new()) };
        let done = write.await;
        self.under_way = None;
        match done {
            Ok(Ok(buffer)) => Ok(buffer),
            Ok(Err(error)) => {
                self.broken = true;
                Err(error.into())
            }
            Err(error) => {
                self.broken = true;
                Err(StoreError::Unavailable(format!("a write did not end: {error}")))
            }
        }
    }

    /// Sends the full buffer on its way.
    async fn send(&mut self) -> Result<(), StoreError> {
        let empty = self.settle().await?;
        let turn = self.ticket.turn().await?;
        let mut full = mem::replace(&mut self.buffer, empty);
        let (file, position) = (Arc::clone(&self.file), self.position);
        self.position += full.len() as u64;
        self.under_way = Some(tokio::task::spawn_blocking(move || {
            let _turn = turn;
            file.write_all_at(&full, position)?;
            full.clear();
            Ok(full)
        }));
        Ok(())
    }

    /// Writes the rest of the buffer, then does `last` on the same visit to the blocking threads. Answers the length.
    async fn end(
        mut self: Box<Self>,
        last: impl FnOnce(&File, &Paths, bool) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<u64, StoreError> {
        self.settle().await?;
        let turn = self.ticket.turn().await?;
        let length = self.position + self.buffer.len() as u64;
        blocking(move || {
            let _turn = turn;
            self.file.write_all_at(&self.buffer, self.position)?;
            last(&self.file, &self.paths, self.new)
        })
        .await?;
        Ok(length)
    }
}

#[async_trait]
impl BlobWriter for LocalWriter {
    async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        let mut rest = bytes.as_ref();
        while !rest.is_empty() {
            let room = BUFFER.saturating_sub(self.buffer.len());
            let (head, tail) = rest.split_at(room.min(rest.len()));
            self.buffer.extend_from_slice(head);
            rest = tail;
            if self.buffer.len() >= BUFFER {
                self.send().await?;
            }
        }
        Ok(())
    }

    async fn checkpoint(self: Box<Self>) -> Result<WriteState, StoreError> {
        let length = self
            .end(|file, paths, new| {
                file.sync_data()?;
                if new {
                    paths.sync_folder()?;
                }
                Ok(())
            })
            .await?;
        Ok(WriteState { length, multipart: None })
    }

    async fn finish(self: Box<Self>) -> Result<u64, StoreError> {
        self.end(|file, paths, _new| {
            file.sync_all()?;
            if paths.whole.try_exists()? {
                return Err(StoreError::Refused("the object is finished".to_owned()));
            }
            std::fs::rename(&paths.part, &paths.whole)?;
            paths.sync_folder()?;
            Ok(())
        })
        .await
    }
}
