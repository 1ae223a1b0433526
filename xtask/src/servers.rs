//! The servers the tests talk to: private to one run, on loopback, gone afterwards.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::process::{Server, capture, dies_with_us, succeeds};
use crate::{say, tools};

const BUCKET: &str = "shorepass";
/// What s3s-fs is started with and signatures are checked against; moto takes any. They guard a throw-away server.
const ACCESS_KEY: &str = "shorepass-test";
const SECRET_KEY: &str = "not-a-secret-test-only";

/// Which program plays S3.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum S3Kind {
    Moto,
    S3s,
}

/// A running server and the URL the tests find it by. Fields drop in order: the process ends before its folder goes.
pub struct Running {
    pub url: String,
    _server: Server,
    _folder: TempDir,
}

/// A database cluster of its own. It keeps nothing safe (`fsync=off`): it is thrown away.
pub fn postgres() -> Result<Running> {
    let programs = tools::postgres_programs()?;
    let folder = tempfile::Builder::new().prefix("shorepass-postgres-").tempdir()?;
    let data = folder.path().join("data");
    if tools::is_root() {
        // PostgreSQL refuses root; its own user must reach the folder.
        capture(Command::new("chown").arg("postgres").arg(folder.path()))?;
    }
    let init = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "-D"];
    capture(as_postgres().current_dir("/").arg(programs.join("initdb")).args(init).arg(&data))?;

    let port = free_port()?;
    let mut command = as_postgres();
    command.current_dir("/").arg(programs.join("postgres")).arg("-D").arg(&data);
    command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-k"]).arg(folder.path());
    command.args(["-c", "fsync=off", "-c", "max_connections=300"]);
    let mut server = Server::start("PostgreSQL", command, &folder.path().join("log"))?;
    let port = port.to_string();
    let ask = ["--quiet", "--host=127.0.0.1", "--username=postgres", "--port", &port];
    server.wait_until(|| succeeds(Command::new(programs.join("pg_isready")).args(ask)))?;
    let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
    say(&format!("PostgreSQL is ready: {url}"));
    Ok(Running { url, _server: server, _folder: folder })
}

/// An S3 server with one bucket.
pub fn s3(kind: S3Kind, cache: &Path) -> Result<Running> {
    let folder = tempfile::Builder::new().prefix("shorepass-s3-").tempdir()?;
    let port = free_port()?;
    let mut command = dies_with_us();
    let mut server = match kind {
        S3Kind::Moto => {
            command.arg(tools::ensure_moto(cache)?).args(["-H", "127.0.0.1", "-p", &port.to_string()]);
            Server::start("moto_server", command, &folder.path().join("log"))?
        }
        S3Kind::S3s => {
            let root = folder.path().join("root");
            std::fs::create_dir_all(root.join(BUCKET))?;
            command.arg(tools::ensure_s3s(cache)?).args(["--host", "127.0.0.1", "--port", &port.to_string()]);
            command.args(["--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY]).arg(root);
            Server::start("s3s-fs", command, &folder.path().join("log"))?
        }
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match kind {
        S3Kind::Moto => {
            server.wait_until(|| put_bucket(address).is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")))?
        }
        S3Kind::S3s => server.wait_until(|| TcpStream::connect(address).is_ok())?,
    }
    let url = format!("http://{address}/?bucket={BUCKET}&access_key={ACCESS_KEY}&secret_key={SECRET_KEY}");
    say(&format!("S3 is ready: http://{address}/{BUCKET}"));
    Ok(Running { url, _server: server, _folder: folder })
}

/// moto starts without buckets; it checks no signature.
fn put_bucket(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    let request =
        format!("PUT /{BUCKET} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn as_postgres() -> Command {
    let mut command = dies_with_us();
    if tools::is_root() {
        command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]);
    }
    command.arg("--");
    command
}

/// A port nobody listens on now. (PostgreSQL and moto cannot be told to take any and say which.)
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on loopback")?;
    Ok(listener.local_addr()?.port())
}
