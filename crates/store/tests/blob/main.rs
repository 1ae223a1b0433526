//! The contracts of `BlobStore` and `AuditStore`, each kept by both its backends.
//!
//! The modules `s3` and `postgres` need servers, which `cargo xtask test` starts and names in the environment:
//!
//! - `SHOREPASS_TEST_S3`: `http://HOST:PORT/?bucket=BUCKET&access_key=ID&secret_key=SECRET[&region=REGION]`; the bucket
//!   exists, each test keeps to a folder of its own in it.
//! - `SHOREPASS_TEST_POSTGRES`: `postgres://USER[:PASSWORD]@HOST:PORT/DB`; the user may create databases, each test makes
//!   its own.
//!
//! Without servers: `cargo nextest run -p shorepass-store -E 'not test(/(^|::)(s3|postgres)::/)'`.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod audit_cases;
mod blob_cases;
mod memory;
mod places;

/// Each case as a test of the module it is used in.
macro_rules! each {
    ($cases:ident, $place:path: $($case:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::$cases::$case(&$place().await).await;
            }
        )+
    };
}

macro_rules! blobs {
    ($place:path) => {
        each! { blob_cases, $place:
            what_is_written_is_read
            a_range_is_read_in_pieces
            an_object_may_be_empty
            single_bytes_make_an_object
            a_large_object_takes_little_memory
            another_server_goes_on_from_a_checkpoint
            a_checkpoint_without_new_bytes_changes_nothing
            what_an_interrupted_writer_left_is_discarded
            a_checkpoint_nobody_kept_is_discarded
            bytes_that_are_gone_are_refused
            an_unfinished_object_is_not_there
            a_finished_object_does_not_change
            the_newest_writer_wins
            many_read_at_once
            a_missing_or_shorter_object_is_corrupt
            deleting_leaves_nothing
            deleting_twice_is_fine
            an_upload_under_way_can_be_deleted
            a_ping_leaves_nothing_to_read
        }
    };
}

macro_rules! audits {
    ($place:path) => {
        each! { audit_cases, $place:
            answers_come_newest_first_over_days
            every_filter_filters
            a_tail_can_be_followed
            events_outlive_the_server
            a_retry_adds_nothing
            an_event_is_answered_as_it_was
            days_past_the_retention_are_dropped
            old_days_make_room_for_new_ones
            a_flood_stays_within_the_bound
            no_retention_keeps_nothing
            a_large_detail_is_left_out
            many_append_at_once
        }
    };
}

mod local {
    blobs!(crate::places::local);

    use std::os::unix::fs::PermissionsExt;

    use shorepass_store::blob::LocalBlobStore;
    use shorepass_store::{StoreError, WriteState};

    #[tokio::test]
    async fn nobody_else_can_read_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalBlobStore::open(folder.path()).await.unwrap();
        let key = crate::places::key();
        store.writer(&key, &WriteState::default()).await.unwrap().finish().await.unwrap();
        let file = folder.path().join(key.as_str());
        let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&file), 0o600);
        assert_eq!(mode(file.parent().unwrap()), 0o700);
        assert_eq!(mode(&folder.path().join("blobs")), 0o700);
    }

    #[tokio::test]
    async fn a_folder_that_went_away_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalBlobStore::open(folder.path()).await.unwrap();
        std::fs::remove_dir_all(folder.path().join("blobs")).unwrap();
        assert!(matches!(store.ping().await, Err(StoreError::Refused(_))));
    }
}

mod s3 {
    blobs!(crate::places::s3);

    use std::time::{Duration, Instant};

    use secrecy::SecretString;
    use shorepass_store::blob::{S3BlobStore, S3Config};
    use shorepass_store::{StoreError, WriteState};

    use crate::blob_cases::{bytes, content, write};

    /// Two servers do not know of each other's writers.
    #[tokio::test]
    async fn of_two_servers_one_finishes() {
        for length in [1_000, 9 << 20] {
            let place = crate::places::s3().await;
            let (here, there, key) = (place.open().await, place.open().await, crate::places::key());
            let mut first = here.writer(&key, &WriteState::default()).await.unwrap();
            let mut second = there.writer(&key, &WriteState::default()).await.unwrap();
            write(&mut first, &bytes(1, length)).await;
            write(&mut second, &bytes(2, length)).await;
            first.finish().await.unwrap();
            assert!(matches!(second.finish().await, Err(StoreError::Refused(_))), "{length}");
            assert!(content(&here, &key).await == bytes(1, length), "{length}");
        }
    }

    #[tokio::test]
    async fn another_servers_tail_of_the_same_length_is_not_taken() {
        let place = crate::places::s3().await;
        let (here, there, key) = (place.open().await, place.open().await, crate::places::key());
        let mut first = here.writer(&key, &WriteState::default()).await.unwrap();
        let mut second = there.writer(&key, &WriteState::default()).await.unwrap();
        write(&mut first, &bytes(1, 1_000)).await;
        write(&mut second, &bytes(2, 1_000)).await;
        let state = first.checkpoint().await.unwrap();
        second.checkpoint().await.unwrap();
        assert!(matches!(here.writer(&key, &state).await, Err(StoreError::Refused(_))));
    }

    #[tokio::test]
    async fn a_server_that_does_not_answer_is_unavailable_soon_and_no_secret_is_told() {
        let config = S3Config {
            bucket: "bucket".to_owned(),
            prefix: String::new(),
            // Nobody listens on port 1.
            endpoint: Some("http://127.0.0.1:1".parse().unwrap()),
            region: "us-east-1".to_owned(),
            access_key_id: Some("AKID".to_owned()),
            secret_access_key: Some(SecretString::from("the-secret")),
        };
        let store = S3BlobStore::open(&config).unwrap();
        let begun = Instant::now();
        let error = store.ping().await.unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        let told = format!("{config:?} {store:?} {error:?} {error}");
        assert!(!told.contains("the-secret"), "{told}");
    }
}

mod sqlite {
    audits!(crate::places::sqlite);

    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use shorepass_store::audit::SqliteAudit;

    #[tokio::test]
    async fn one_private_file_for_each_day() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteAudit::open(folder.path(), Duration::from_hours(48), 1 << 30).unwrap();
        let event = |time: &str| crate::audit_cases::event(time);
        store.append(&[event("2026-11-21T23:59:59.999Z"), event("2026-11-22T00:00:00Z")]).await.unwrap();
        for name in ["audit-2026-11-21.db", "audit-2026-11-22.db"] {
            let mode = folder.path().join(name).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }
}

mod postgres {
    audits!(crate::places::postgres);
    // SQLite's files belong to one server.
    each! { audit_cases, crate::places::postgres: a_day_that_was_dropped_can_come_back }

    #[tokio::test]
    async fn a_server_that_does_not_answer_is_unavailable_and_no_password_is_told() {
        let url = "postgres://user:the-secret@127.0.0.1:1/db";
        let day = std::time::Duration::from_hours(24);
        let store = shorepass_store::audit::PostgresAudit::open(url, day, 1 << 30).unwrap();
        let error = store.query(&Default::default()).await.unwrap_err();
        assert!(matches!(error, shorepass_store::StoreError::Unavailable(_)), "{error:?}");
        let wrong = shorepass_store::audit::PostgresAudit::open("postgres://u:the-secret@[/", day, 1).unwrap_err();
        let told = format!("{store:?} {error:?} {wrong:?}");
        assert!(!told.contains("the-secret"), "{told}");
    }
}
