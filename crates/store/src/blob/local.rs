//! Objects as files: `<dir>/blobs/<xx>/<uuid>`, and `<uuid>.part` beside it while it is being written.
//!
//! The `.part` is renamed in its own folder when the object is whole, so an unfinished object is never taken for a
//! finished one and a finished one is never opened for writing.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fmt, io};

use async_trait::async_trait;

use super::fence::Fences;
use super::{BlobKey, BlobStore, BlobStream, BlobWriter, WriteState};
use crate::StoreError;

mod reader;
mod writer;

/// Objects as files under one directory. Only one server may use it.
pub struct LocalBlobStore {
    dir: PathBuf,
    fences: Fences,
    probes: AtomicU64,
}

impl LocalBlobStore {
    /// The store in `<dir>/blobs`, made where it is missing; folders 0700, files 0600.
    pub async fn open(dir: &Path) -> Result<Arc<dyn BlobStore>, StoreError> {
        let root = dir.to_owned();
        blocking(move || make_folders(&root)).await?;
        Ok(Arc::new(Self { dir: dir.to_owned(), fences: Fences::default(), probes: AtomicU64::new(0) }))
    }

    fn paths(&self, key: &BlobKey) -> Paths {
        let whole = self.dir.join(key.as_str());
        let part = self.dir.join(format!("{}.part", key.as_str()));
        Paths { whole, part }
    }
}

impl fmt::Debug for LocalBlobStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalBlobStore").field("dir", &self.dir).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone)]
struct Paths {
    whole: PathBuf,
    part: PathBuf,
}

impl Paths {
    /// Makes durable which names the folder holds.
    fn sync_folder(&self) -> io::Result<()> {
        self.whole.parent().map_or(Ok(()), sync_folder)
    }
}

#[async_trait]
impl BlobStore for LocalBlobStore {
    async fn writer(&self, key: &BlobKey, state: &WriteState) -> Result<Box<dyn BlobWriter>, StoreError> {
        let ticket = self.fences.enter(key).await;
        Ok(Box::new(writer::open(self.paths(key), ticket, state.length).await?))
    }

    async fn read(&self, key: &BlobKey, range: Range<u64>) -> Result<BlobStream, StoreError> {
        reader::open(self.paths(key).whole, range).await
    }

    async fn size(&self, key: &BlobKey) -> Result<Option<u64>, StoreError> {
        let path = self.paths(key).whole;
        blocking(move || match path.metadata() {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        })
        .await
    }

    async fn delete(&self, key: &BlobKey, _state: Option<&WriteState>) -> Result<(), StoreError> {
        let ticket = self.fences.enter(key).await;
        let turn = ticket.last_turn().await;
        let paths = self.paths(key);
        blocking(move || {
            let _turn = turn;
            remove(&paths.part)?;
            remove(&paths.whole)
        })
        .await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let number = self.probes.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.join("blobs").join(format!(".probe-{}-{number}", std::process::id()));
        blocking(move || {
            let written = create_new(&path).and_then(|mut file| file.write_all(&[0; 4096]));
            let removed = remove(&path);
            written?;
            removed
        })
        .await
    }
}

/// All 256 at once: then no writer has to make one, nor to find out whether one is durable.
fn make_folders(dir: &Path) -> Result<(), StoreError> {
    let blobs = dir.join("blobs");
    DirBuilder::new().recursive(true).mode(0o700).create(&blobs)?;
    for number in 0..=u8::MAX {
        match DirBuilder::new().mode(0o700).create(blobs.join(format!("{number:02x}"))) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error.into()),
            _ => {}
        }
    }
    sync_folder(&blobs)?;
    sync_folder(dir)?;
    Ok(())
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Runs file work where it may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(StoreError::Unavailable(format!("file work did not end: {error}"))),
    }
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::ReadOnlyFilesystem => {
                Self::NotWritable(error.to_string())
            }
            ErrorKind::PermissionDenied | ErrorKind::NotFound | ErrorKind::FileTooLarge => {
                Self::Refused(error.to_string())
            }
            _ => Self::Unavailable(error.to_string()),
        }
    }
}
