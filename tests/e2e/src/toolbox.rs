//! The real clients, each run with a home, storage and credentials of its own.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

/// A folder that podman, skopeo, docker and our own programs take for the user's home.
pub struct Toolbox {
    folder: TempDir,
}

/// A client that ended.
#[derive(Debug)]
pub struct Finished {
    pub command: String,
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Toolbox {
    #[expect(clippy::new_without_default, reason = "it creates files: not what a default should do")]
    #[must_use]
    pub fn new() -> Self {
        // podman makes names of images from paths: they must be lower case, which random ones are not.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("shorepass-tools-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = tempfile::Builder::new().prefix(&name).rand_bytes(0).tempdir().expect("a temporary folder");
        let root = folder.path();
        for name in ["home", "run", "tmp", "docker"] {
            std::fs::create_dir(root.join(name)).expect("a folder");
        }
        let write = |name: &str, text: &str| std::fs::write(root.join(name), text).expect("a configuration file");
        write("auth.json", "{}");
        write("policy.json", r#"{"default":[{"type":"insecureAcceptAnything"}]}"#);
        write("registries.conf", "unqualified-search-registries = []\n");
        // vfs, cgroupfs and low limits: what podman can do inside an unprivileged container.
        write(
            "containers.conf",
            "[containers]\ndefault_ulimits=[\"nofile=1024:1024\",\"nproc=1024:1024\"]\nnetns=\"host\"\n\
             [engine]\nruntime=\"runc\"\ncgroup_manager=\"cgroupfs\"\nevents_logger=\"file\"\n",
        );
        let (graph, run) = (root.join("storage"), root.join("storage-run"));
        let storage = format!("[storage]\ndriver=\"vfs\"\ngraphroot={graph:?}\nrunroot={run:?}\n");
        write("storage.conf", &storage);
        Self { folder }
    }

    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `skopeo`, with the credentials of this toolbox.
    pub fn skopeo(&self, arguments: &[&str]) -> Finished {
        let mut command = self.command("skopeo");
        command.arg("--policy").arg(self.path("policy.json")).args(arguments);
        finish(command, None)
    }

    pub fn podman(&self, arguments: &[&str]) -> Finished {
        finish(self.podman_command(arguments), None)
    }

    /// `podman`, with something typed into its standard input: a password.
    pub fn podman_with_input(&self, arguments: &[&str], input: &str) -> Finished {
        finish(self.podman_command(arguments), Some(input))
    }

    /// The `docker` client; there is no daemon.
    pub fn docker_with_input(&self, arguments: &[&str], input: &str) -> Finished {
        let mut command = self.command("docker");
        command.args(arguments);
        finish(command, Some(input))
    }

    /// Any program, in this toolbox's environment.
    pub fn run(&self, program: impl AsRef<Path>, arguments: &[&str], input: Option<&str>) -> Finished {
        let mut command = self.command(program.as_ref());
        command.args(arguments);
        finish(command, input)
    }

    /// Any program in this toolbox's environment, to be changed before it is started with [`Toolbox::finish`].
    #[must_use]
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.current_dir(self.folder.path());
        command.env("HOME", self.path("home")).env("XDG_RUNTIME_DIR", self.path("run")).env("TMPDIR", self.path("tmp"));
        command.env_remove("XDG_DATA_HOME").env_remove("XDG_CONFIG_HOME").env_remove("DOCKER_HOST");
        command.env("REGISTRY_AUTH_FILE", self.path("auth.json")).env("DOCKER_CONFIG", self.path("docker"));
        command.env("CONTAINERS_CONF", self.path("containers.conf"));
        command.env("CONTAINERS_STORAGE_CONF", self.path("storage.conf"));
        command.env("CONTAINERS_REGISTRIES_CONF", self.path("registries.conf"));
        for proxy in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
            command.env_remove(proxy);
        }
        command
    }

    /// Runs a command to its end.
    pub fn finish(command: Command, input: Option<&str>) -> Finished {
        finish(command, input)
    }

    fn podman_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command("podman");
        let (first, rest) = arguments.split_first().expect("a podman command");
        command.arg(first);
        if matches!(*first, "pull" | "push" | "run") && !rest.contains(&"--signature-policy") && *first != "run" {
            command.arg("--signature-policy").arg(self.path("policy.json"));
        }
        command.args(rest);
        command
    }
}

impl Finished {
    /// Fails with everything the client said unless it succeeded.
    #[track_caller]
    pub fn success(self) -> Self {
        assert_eq!(self.code, Some(0), "`{}`\n{}{}", self.command, self.stdout, self.stderr);
        self
    }

    /// Fails unless the client failed (by its own decision, not by a signal).
    #[track_caller]
    pub fn failure(self) -> Self {
        assert!(
            self.code.is_some_and(|code| code != 0),
            "`{}` ended with {:?}\n{}",
            self.command,
            self.code,
            self.stdout
        );
        self
    }

    /// Both outputs.
    #[must_use]
    pub fn output(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    #[must_use]
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: `{}`\n{}", self.command, self.output()))
    }
}

fn finish(mut command: Command, input: Option<&str>) -> Finished {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let shown = words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("`{shown}`: {error}; run `cargo xtask test`"));
    if let Some(text) = input {
        // Dropping the pipe is the end of the input; a client that does not read it may be gone already.
        let _gone = child.stdin.take().expect("a pipe").write_all(text.as_bytes());
    }
    let Output { status, stdout, stderr } = child.wait_with_output().expect("the client can be waited for");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Finished { command: shown, code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}
