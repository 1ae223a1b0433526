//! Errors: what they are, and what they do not say. Each is about one backend.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use shorepass_store::{StoreError, sql};

#[tokio::test]
async fn a_server_that_does_not_answer_is_unavailable_soon_and_its_password_stays_unsaid() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    for url in [
        format!("postgres://me:hunter2@127.0.0.1:{port}/db"),
        "postgresql://me:hunter2@localhost/db?host=/nonexistent".to_owned(),
    ] {
        let store = sql::open_postgres(&url, 2).unwrap();
        let begun = Instant::now();
        for error in [store.ping().await.unwrap_err(), store.migrate().await.unwrap_err()] {
            assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
            let told = format!("{error} {error:?} {store:?}");
            assert!(!told.contains("hunter2"), "{told}");
        }
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test]
async fn a_url_that_is_none_is_refused_without_being_quoted() {
    for url in ["mysql://me:hunter2@host/db", "postgres://me:hunter2@host:port/db", "hunter2"] {
        let error = sql::open_postgres(url, 2).unwrap_err();
        assert!(matches!(error, StoreError::Refused(_)), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn the_file_and_what_is_beside_it_are_for_the_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = sql::open_sqlite(&dir.path().join("meta.db")).unwrap();
    store.migrate().await.unwrap();
    let mut seen = 0;
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
        seen += 1;
    }
    assert!(seen >= 2, "the database and its log");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_corrupt() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("meta.db");
    std::fs::write(&path, "not a database, whatever its name says".repeat(100)).unwrap();
    let error = sql::open_sqlite(&path).unwrap().migrate().await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_named() {
    let error = sql::open_sqlite(std::path::Path::new("/nonexistent/meta.db")).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/meta.db"), "{error}");
}
