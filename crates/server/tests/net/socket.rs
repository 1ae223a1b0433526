use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use shorepass_server::net::{NetError, SOCKET_NAME};
use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};

use crate::support::{bind, get_on, settings, start_plain};

async fn connect(data: &Path) -> UnixStream {
    UnixStream::connect(data.join(SOCKET_NAME)).await.unwrap()
}

#[tokio::test]
async fn it_is_ours_alone_and_knows_who_calls() {
    let server = start_plain().await;
    let mode = std::fs::metadata(server.data.path().join(SOCKET_NAME)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut stream = connect(server.data.path()).await;
    let spoof = "X-Forwarded-For: 10.0.0.1\r\n";
    let (status, told) = get_on(&mut stream, "/origin", spoof).await;
    let uid = rustix::process::geteuid().as_raw();
    let expected = format!("administration:{uid}:{} peer= local= secure=false proxied=false", std::process::id());
    assert_eq!((status, told), (200, expected));
}

#[tokio::test]
async fn a_dead_servers_socket_is_replaced() {
    let data = TempDir::new().unwrap();
    let path = data.path().join(SOCKET_NAME);
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let net = bind(&settings(data.path())).await.unwrap();
    assert!(UnixStream::connect(&path).await.is_ok());
    drop(net);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_living_servers_socket_is_not() {
    let server = start_plain().await;
    let error = bind(&settings(server.data.path())).await.unwrap_err();
    assert!(matches!(error, NetError::AlreadyRunning(_)), "{error}");
    assert_eq!(get_on(&mut connect(server.data.path()).await, "/origin", "").await.0, 200);

    // Nor that of something that answers without holding our lock.
    let data = TempDir::new().unwrap();
    let other = UnixListener::bind(data.path().join(SOCKET_NAME)).unwrap();
    let error = bind(&settings(data.path())).await.unwrap_err();
    assert!(matches!(error, NetError::AlreadyRunning(_)), "{error}");
    drop(other);
}

#[tokio::test]
async fn what_is_no_socket_stays_untouched() {
    let data = TempDir::new().unwrap();
    let path = data.path().join(SOCKET_NAME);
    std::fs::write(&path, "precious").unwrap();
    let error = bind(&settings(data.path())).await.unwrap_err();
    assert!(matches!(error, NetError::NotASocket(_)), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

#[tokio::test]
async fn a_path_too_long_for_a_socket_is_told() {
    let data = TempDir::new().unwrap();
    let deep = data.path().join("x".repeat(100));
    let error = bind(&settings(&deep)).await.unwrap_err();
    assert!(matches!(error, NetError::SocketPath { limit: 107, .. }), "{error}");
    assert!(error.hint().unwrap().contains("--data"));
    assert!(!deep.exists());
}

#[tokio::test]
async fn the_data_directory_is_made_private_and_the_socket_goes_with_the_server() {
    let parent = TempDir::new().unwrap();
    let data = parent.path().join("a/b");
    let net = bind(&settings(&data)).await.unwrap();
    assert_eq!(std::fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
    drop(net);
    let server = start_plain().await;
    let path = server.data.path().join(SOCKET_NAME);
    server.serving.drain(Duration::from_secs(5)).await;
    assert!(!path.exists());
}
