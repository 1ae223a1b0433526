//! Files that hold secrets.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Replaces `path` at once with `bytes`, readable by its owner only: a reader sees the old or the new file, a crash leaves
/// one of the two. A symbolic link is followed, so that a configuration kept elsewhere stays there.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let dir = make_parent(&path)?;
    // `tempfile` creates with mode 0600.
    let mut file = tempfile::Builder::new().prefix(".shorepass-").tempfile_in(dir)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(&path)?;
    Ok(())
}

/// Holds off other processes that change `path`, until dropped. The lock is a file of its own: `path` is replaced.
pub(crate) fn lock(path: &Path) -> io::Result<File> {
    make_parent(path)?;
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(PathBuf::from(name))?;
    file.lock()?;
    Ok(file)
}

/// The file's bytes; `None` when there is no such file.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn make_parent(path: &Path) -> io::Result<&Path> {
    let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    Ok(dir)
}
