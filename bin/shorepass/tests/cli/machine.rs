//! A machine for the sign-in tests: a home, a data directory, programs of our own in `PATH`.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub struct Machine(tempfile::TempDir);

#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Machine {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["bin", "data", "work", "docker"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        Self(dir)
    }

    pub fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    pub fn docker_config(&self) -> PathBuf {
        self.0.path().join("docker/config.json")
    }

    pub fn helper_file(&self) -> PathBuf {
        self.0.path().join("config/shorepass/credentials.json")
    }

    /// A program that writes down how it was called last, and then does as `extra` says.
    pub fn program(&self, name: &str, extra: &str) -> PathBuf {
        let path = self.0.path().join("bin").join(name);
        let seen = self.0.path().display();
        let text = format!(
            "#!/bin/sh\n[ \"$1\" = --version ] && {{ echo {name} version 1.2.3; exit 0; }}\n\
             echo \"$@\" >> '{seen}/{name}.argv'\n/usr/bin/env > '{seen}/{name}.env'\n\
             [ \"$1\" = login ] && /bin/cat > '{seen}/{name}.stdin'\ntrue\n{extra}\n"
        );
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// `<program>.argv` (a line a call), `.env` or `.stdin`.
    pub fn seen(&self, file: &str) -> String {
        fs::read_to_string(self.0.path().join(file)).unwrap()
    }

    pub fn exists(&self, file: &str) -> bool {
        self.0.path().join(file).exists()
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub async fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, &[], "").await
    }

    /// Off the async threads, which serve the fakes meanwhile.
    pub async fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Ended {
        let home = self.0.path();
        let mut command = Command::new(env!("CARGO_BIN_EXE_shorepass"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", home)
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("DOCKER_CONFIG", home.join("docker"))
            .env("SHOREPASS_DATA", self.data())
            .env("PATH", home.join("bin"))
            .envs(environment.iter().copied())
            .current_dir(home.join("work"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let input = input.to_owned();
        let ended = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().unwrap();
            // A command that needs no input may be gone before it is written.
            let _unread = child.stdin.take().unwrap().write_all(input.as_bytes());
            child.wait_with_output().unwrap()
        });
        let output = ended.await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}
