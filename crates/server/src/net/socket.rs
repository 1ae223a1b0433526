//! The administration socket in the data directory.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

use super::error::NetError;

/// The socket's name in the data directory.
pub const SOCKET_NAME: &str = "shorepass.sock";

/// What `sun_path` holds, less the terminating zero (unix(7)).
const LONGEST_PATH: usize = 107;

/// The socket's place: locked against other servers while this lives, and empty again afterwards.
#[derive(Debug)]
pub(crate) struct Place {
    path: PathBuf,
    _lock: File,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, "the administration socket was not removed");
        }
    }
}

/// Listens on `<data>/shorepass.sock`, mode 0600. What a server that is gone left there is replaced; a server that lives,
/// and anything that is no socket, is not.
pub(crate) async fn bind(data: &Path) -> Result<(UnixListener, Place), NetError> {
    let path = data.join(SOCKET_NAME);
    let length = path.as_os_str().as_bytes().len();
    if length > LONGEST_PATH {
        return Err(NetError::SocketPath { path, length, limit: LONGEST_PATH });
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(data);
    made.map_err(|source| NetError::Data { path: data.to_owned(), source })?;
    let lock = lock(data)?;
    clear(&path, data).await?;
    let failed = |source| NetError::Socket { path: path.clone(), source };
    let listener = UnixListener::bind(&path).map_err(failed)?;
    let place = Place { path: path.clone(), _lock: lock };
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(failed)?;
    Ok((listener, place))
}

/// Two servers that start at once must not take each other's socket for stale.
fn lock(data: &Path) -> Result<File, NetError> {
    let path = data.join(format!("{SOCKET_NAME}.lock"));
    let failed = |source| NetError::Socket { path: path.clone(), source };
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(NetError::AlreadyRunning(data.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Removes a socket on which nobody answers.
async fn clear(path: &Path, data: &Path) -> Result<(), NetError> {
    let failed = |source| NetError::Socket { path: path.to_owned(), source };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => return Err(NetError::NotASocket(path.to_owned())),
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            tracing::info!(path = %path.display(), "replacing the socket of a server that is gone");
            std::fs::remove_file(path).map_err(failed)
        }
        Ok(_) => Err(NetError::AlreadyRunning(data.to_owned())),
        Err(error) => Err(failed(error)),
    }
}
