//! Reading a file in pieces.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, stream};

use super::blocking;
use crate::StoreError;
use crate::blob::{BlobStream, PIECE};

struct Reader {
    file: Arc<File>,
    position: u64,
    end: u64,
}

/// Opens the file and reads the first piece in one visit to the blocking threads: most objects are no longer than that.
pub(super) async fn open(path: PathBuf, range: Range<u64>) -> Result<BlobStream, StoreError> {
    let (mut reader, first) = blocking(move || {
        let file = open_whole(&path, range.end)?;
        let first = read_piece(&file, range.start, range.end)?;
        Ok((Reader { file: Arc::new(file), position: range.start, end: range.end }, first))
    })
    .await?;
    reader.position += first.len() as u64;
    let rest = stream::try_unfold(reader, |mut reader| async move {
        let piece = reader.next().await?;
        Ok((!piece.is_empty()).then_some((piece, reader)))
    });
    if first.is_empty() {
        return Ok(rest.boxed());
    }
    Ok(stream::iter([Ok(first)]).chain(rest).boxed())
}

impl Reader {
    /// The next piece; empty at the end.
    async fn next(&mut self) -> Result<Bytes, StoreError> {
        let piece = match read_cached(&self.file, self.position, self.end) {
            Some(piece) => piece,
            None => {
                let (file, position, end) = (Arc::clone(&self.file), self.position, self.end);
                blocking(move || read_piece(&file, position, end)).await?
            }
        };
        self.position += piece.len() as u64;
        Ok(piece)
    }
}

fn open_whole(path: &PathBuf, end: u64) -> Result<File, StoreError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(StoreError::Corrupt(format!("object `{}` is missing", path.display())));
        }
        Err(error) => return Err(error.into()),
    };
    let length = file.metadata()?.len();
    if length < end {
        return Err(StoreError::Corrupt(format!("object `{}` has {length} bytes, not {end}", path.display())));
    }
    Ok(file)
}

fn room(position: u64, end: u64) -> Vec<u8> {
    vec![0; usize::try_from(end.saturating_sub(position).min(PIECE)).unwrap_or(0)]
}

fn read_piece(file: &File, position: u64, end: u64) -> Result<Bytes, StoreError> {
    let mut piece = room(position, end);
    let length = loop {
        match file.read_at(&mut piece, position) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => break other?,
        }
    };
    if length == 0 && !piece.is_empty() {
        return Err(StoreError::Corrupt(format!("an object ends at {position}, before {end}")));
    }
    piece.truncate(length);
    Ok(piece.into())
}

/// A piece that is in the page cache, read without leaving the async thread: a copy of 256 KiB takes less than handing
/// the work to another thread and back. `None` when it has to come from the disk.
#[cfg(target_os = "linux")]
fn read_cached(file: &File, position: u64, end: u64) -> Option<Bytes> {
    let mut piece = room(position, end);
    if piece.is_empty() {
        return Some(Bytes::new());
    }
    let flags = rustix::io::ReadWriteFlags::NOWAIT;
    let length = rustix::io::preadv2(file, &mut [io::IoSliceMut::new(&mut piece)], position, flags).ok()?;
    piece.truncate(length);
    (length > 0).then(|| piece.into())
}

#[cfg(not(target_os = "linux"))]
fn read_cached(_file: &File, position: u64, end: u64) -> Option<Bytes> {
    (position >= end).then(Bytes::new)
}
