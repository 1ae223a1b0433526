//! What a server is started with besides its flags, and where programs are found.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use url::Url;

/// One of our programs: beside the tests, or where `SHOREPASS_TEST_PROGRAMS` says.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let folder = std::env::var_os("SHOREPASS_TEST_PROGRAMS").map(PathBuf::from).unwrap_or_else(|| {
        let this = std::env::current_exe().expect("this test has a path");
        this.ancestors().nth(2).expect("target/debug/deps/test").to_owned()
    });
    let program = folder.join(name);
    assert!(program.exists(), "{} is not built: run `cargo xtask test`", program.display());
    program
}

/// Nothing of the developer's own configuration reaches the program.
pub fn clear_environment(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SHOREPASS_") {
            command.env_remove(name);
        }
    }
}

/// A database and a prefix of the bucket that nobody else uses.
pub fn remote_stores() -> Vec<(String, String)> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let setting =
        |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `cargo xtask test`"));
    let mut database = Url::parse(&setting("SHOREPASS_TEST_POSTGRES")).expect("a URL");
    let bucket = Url::parse(&setting("SHOREPASS_TEST_S3")).expect("a URL");
    // nextest runs each test in a process of its own, on servers that one run shares.
    let name = format!("e2e_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let create = ["--quiet", "--no-psqlrc", "--command", &format!("CREATE DATABASE \"{name}\"")];
    let created = Command::new("psql").arg(database.as_str()).args(create).output().expect("psql runs");
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
    database.set_path(&name);
    let query = |key: &str| bucket.query_pairs().find(|(name, _)| name == key).map(|(_, value)| value.into_owned());
    let query = |key: &str| query(key).unwrap_or_else(|| panic!("SHOREPASS_TEST_S3 lacks `{key}`"));
    let endpoint = bucket.origin().ascii_serialization();
    [
        ("SHOREPASS_DATABASE", database.to_string()),
        ("SHOREPASS_BLOBS", format!("s3://{}/{name}", query("bucket"))),
        ("SHOREPASS_S3_ENDPOINT", endpoint),
        ("SHOREPASS_S3_ACCESS_KEY_ID", query("access_key")),
        ("SHOREPASS_S3_SECRET_ACCESS_KEY", query("secret_key")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// Everything the PostgreSQL database of [`remote_stores`] holds, as SQL; empty when there is none.
pub fn database_dump(environment: &[(String, String)]) -> String {
    let Some((_, url)) = environment.iter().find(|(name, _)| name == "SHOREPASS_DATABASE") else {
        return String::new();
    };
    let dump = Command::new("pg_dump").arg("--inserts").arg(url).output().expect("pg_dump runs");
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    String::from_utf8_lossy(&dump.stdout).into_owned()
}

/// libfaketime reads the offset from a file at every call; the monotonic clock stays real, or timers would jump.
pub fn movable_time(clock: &Path) -> Vec<(String, String)> {
    let library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
    assert!(Path::new(library).exists(), "faketime is not installed: run `cargo xtask test`");
    [
        ("LD_PRELOAD", library.to_owned()),
        ("FAKETIME_TIMESTAMP_FILE", clock.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("NO_FAKE_STAT", "1".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// The files that hold state or logs; blobs are content, which may hold anything.
pub fn list_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && entry.file_name() != "blobs" {
            list_files(&path, files);
        } else if path.is_file() {
            files.push(path);
        }
    }
}
