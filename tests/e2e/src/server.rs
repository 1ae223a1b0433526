//! One running `shorepass serve`, in a folder of its own.

use std::io::{BufRead as _, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::environment::{clear_environment, database_dump, list_files, movable_time, program, remote_stores};
use crate::{Answer, Finished, Http, Toolbox, basic, raw};

const PATIENCE: Duration = Duration::from_secs(60);

/// Where the state is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stores {
    /// SQLite and local disk.
    #[default]
    Local,
    /// PostgreSQL and S3, as `cargo xtask test` started them.
    Remote,
}

#[derive(Debug, Clone, Default)]
pub struct ServerOptions {
    pub stores: Stores,
    /// More flags for `serve`.
    pub arguments: Vec<String>,
    /// Runs under libfaketime, so that [`Server::shift_time`] works.
    pub movable_time: bool,
}

impl ServerOptions {
    #[must_use]
    pub fn with(arguments: &[&str]) -> Self {
        Self { arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(), ..Self::default() }
    }
}

/// The administration account of a registry.
#[derive(Debug, Clone)]
pub struct Account {
    pub username: String,
    pub password: String,
    pub password2: String,
}

impl Account {
    /// The `Authorization` header of the first password.
    #[must_use]
    pub fn basic(&self) -> String {
        basic(&self.username, &self.password)
    }
}

/// A running server. When it is dropped it is killed, and everything it wrote (output, logs, audit, database) is searched
/// for every secret of the run that the harness knows of.
pub struct Server {
    folder: TempDir,
    options: ServerOptions,
    process: Option<Child>,
    output: Arc<Mutex<String>>,
    listening: Value,
    environment: Vec<(String, String)>,
    secrets: Mutex<Vec<String>>,
    toolbox: Toolbox,
}

impl Server {
    /// Starts a server and waits until it listens.
    #[must_use]
    pub fn start(options: ServerOptions) -> Self {
        let stores = if options.stores == Stores::Remote { remote_stores() } else { Vec::new() };
        Self::start_in(options, stores)
    }

    fn start_in(options: ServerOptions, mut environment: Vec<(String, String)>) -> Self {
        // The administration socket lives in here: its path must stay short.
        let folder = tempfile::Builder::new().prefix("shp-").tempdir_in("/tmp").expect("a temporary folder");
        if options.movable_time {
            let clock = folder.path().join("clock");
            std::fs::write(&clock, "+0").expect("the clock's file is written");
            environment.extend(movable_time(&clock));
        }
        let mut server = Self {
            folder,
            options,
            process: None,
            output: Arc::default(),
            listening: Value::Null,
            environment,
            secrets: Mutex::default(),
            toolbox: Toolbox::new(),
        };
        server.launch("127.0.0.1:0");
        server
    }

    /// SQLite, local disk, no flags.
    #[must_use]
    pub fn plain() -> Self {
        Self::start(ServerOptions::default())
    }

    /// Another server on this one's database and bucket, with a data directory and a port of its own.
    #[must_use]
    pub fn start_beside(&self) -> Self {
        assert_eq!(self.options.stores, Stores::Remote, "only remote stores can be shared");
        Self::start_in(self.options.clone(), self.environment.clone())
    }

    /// Starts the program on the same data again, on the same port, after it ended.
    pub fn start_again(&mut self) {
        assert!(self.process.is_none(), "the server still runs");
        let address = self.address();
        self.launch(&address);
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let mut child = self.process.take().expect("the server runs");
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
    }

    /// Sends a signal by name: `TERM`, `HUP`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status();
        assert!(sent.expect("kill runs").success(), "the server is gone");
    }

    /// Waits for the program to end by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let mut child = self.process.take().expect("the server runs");
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = child.try_wait().expect("it can be waited for") {
                return status;
            }
            assert!(Instant::now() < deadline, "the server does not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sets the server's clock this far ahead of the real one (of a server with `movable_time`).
    pub fn shift_time(&self, ahead: Duration) {
        std::fs::write(self.path("clock"), format!("+{}", ahead.as_secs())).expect("the clock's file is written");
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("the server runs").id()
    }

    /// Scheme and authority, for example `http://127.0.0.1:41234`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.listening["endpoint"].as_str().expect("an endpoint").to_owned()
    }

    /// Host and port: the login server of `default` when there is no domain.
    #[must_use]
    pub fn host(&self) -> String {
        self.endpoint().split_once("://").expect("a scheme").1.to_owned()
    }

    /// The bound socket address.
    #[must_use]
    pub fn address(&self) -> String {
        self.listening["address"].as_str().expect("an address").to_owned()
    }

    #[must_use]
    pub fn metrics_address(&self) -> String {
        self.listening["metrics"].as_str().expect("a metrics listener").to_owned()
    }

    /// The CA of a server with a self-signed certificate.
    #[must_use]
    pub fn ca_file(&self) -> Option<PathBuf> {
        self.listening["caFile"].as_str().map(PathBuf::from)
    }

    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// A path in the server's own folder, beside its data.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The isolated clients that belong to this server.
    #[must_use]
    pub fn toolbox(&self) -> &Toolbox {
        &self.toolbox
    }

    /// A client without credentials.
    #[must_use]
    pub fn http(&self) -> Http {
        Http::new(&self.endpoint(), self.ca_file().as_deref())
    }

    /// A client that signs in (Basic, on every request) as the administration account of `default`, which it enables.
    #[must_use]
    pub fn admin(&self) -> Http {
        let account = self.enable_admin("default");
        self.http().with(account.basic())
    }

    /// Everything the server printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.output.lock().expect("no reader panicked").clone()
    }

    /// A request to the administration socket.
    pub fn manage(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        raw::unix(&self.data().join("shorepass.sock"), method, &format!("/api/v1{path}"), body.as_ref())
    }

    /// Switches the administration account on with two fresh passwords.
    #[must_use]
    pub fn enable_admin(&self, registry: &str) -> Account {
        let answer = self.manage("POST", &format!("/registries/{registry}/admin/enable"), None);
        let mut answer = answer.expect(200).json();
        if answer["passwords"][0]["value"].is_null() {
            // It had passwords already: those are shown once, so ask for new ones.
            for name in ["password2", "password"] {
                let body = json!({ "passwordName": name });
                let renewed =
                    self.manage("POST", &format!("/registries/{registry}/admin/renew"), Some(body)).expect(200);
                merge_values(&mut answer, &renewed.json());
            }
        }
        let password = |index: usize| answer["passwords"][index]["value"].as_str().expect("a password").to_owned();
        let account = Account {
            username: answer["username"].as_str().expect("a user name").to_owned(),
            password: password(0),
            password2: password(1),
        };
        self.keep_secret(&account.password);
        self.keep_secret(&account.password2);
        account
    }

    /// A refresh token of the local operator for this registry.
    #[must_use]
    pub fn refresh_token(&self, registry: &str) -> String {
        let body = json!({ "loginServer": self.host() });
        let answer = self.manage("POST", &format!("/registries/{registry}/refresh-token"), Some(body)).expect(200);
        let token = answer.json()["refreshToken"].as_str().expect("a refresh token").to_owned();
        self.keep_secret(&token);
        token
    }

    /// Notes a secret that no output of the server may ever hold.
    pub fn keep_secret(&self, secret: &str) {
        self.secrets.lock().expect("no test thread panicked").push(secret.to_owned());
    }

    /// `shorepass` with these arguments, against this server's data directory.
    pub fn cli(&self, arguments: &[&str]) -> Finished {
        self.cli_with_input(arguments, None)
    }

    pub fn cli_with_input(&self, arguments: &[&str], input: Option<&str>) -> Finished {
        Toolbox::finish(self.cli_command(arguments), input)
    }

    /// The same, not started yet.
    #[must_use]
    pub fn cli_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.toolbox.command(program("shorepass"));
        clear_environment(&mut command);
        command.env("SHOREPASS_DATA", self.data()).env("NO_COLOR", "1").args(arguments);
        command
    }

    /// The peak of the server's resident memory so far, in KiB.
    #[must_use]
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the server runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM is told");
        line.trim().trim_end_matches(" kB").parse().expect("a number of KiB")
    }

    fn launch(&mut self, listen: &str) {
        let mut command = Command::new(program("shorepass"));
        clear_environment(&mut command);
        command.arg("serve").arg("--data").arg(self.data()).args(["--listen", listen, "--log-level", "debug"]);
        command.args(&self.options.arguments).envs(self.environment.iter().cloned());
        command.env("HOME", self.folder.path()).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("shorepass starts");
        let (sender, receiver) = mpsc::channel();
        read_lines(child.stderr.take().expect("a pipe"), Arc::clone(&self.output), None);
        read_lines(child.stdout.take().expect("a pipe"), Arc::clone(&self.output), Some(sender));
        self.process = Some(child);
        let said = receiver.recv_timeout(PATIENCE);
        let said = said.unwrap_or_else(|_| panic!("the server does not listen:\n{}", self.log()));
        self.listening = serde_json::from_str(&said).expect("the line is JSON");
    }

    /// Fails when anything the server wrote holds a secret of this run.
    fn search_for_secrets(&self) {
        let secrets = self.secrets.lock().expect("no test thread panicked");
        let log = self.log() + &database_dump(&self.environment);
        let mut files = Vec::new();
        list_files(self.folder.path(), &mut files);
        for secret in secrets.iter() {
            assert!(!log.contains(secret.as_str()), "the server's output or database holds a secret");
            for file in &files {
                let content = std::fs::read(file).unwrap_or_default();
                let found = content.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "{} holds a secret", file.display());
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.process {
            let _gone = child.kill();
            let _gone = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- the server's output ---\n{}", self.log());
        } else {
            self.search_for_secrets();
        }
    }
}

/// Waits for what happens off the request path (batched audit events, metrics): asks until there is an answer.
///
/// # Panics
/// After 20 seconds.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "it never came: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Copies lines to the log; the payload of the first `listening` line goes to `listening`.
fn read_lines(pipe: impl Read + Send + 'static, log: Arc<Mutex<String>>, mut listening: Option<mpsc::Sender<String>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let mut log = log.lock().expect("no reader panicked");
            log.push_str(&line);
            log.push('\n');
            if let Some(payload) = line.strip_prefix("listening ")
                && let Some(sender) = listening.take()
            {
                let _nobody_waits = sender.send(payload.to_owned());
            }
        }
    });
}

/// Copies the password values of a later answer into an earlier one.
fn merge_values(into: &mut Value, from: &Value) {
    for index in 0..2 {
        if from["passwords"][index]["value"].is_string() {
            into["passwords"][index]["value"] = from["passwords"][index]["value"].clone();
        }
    }
}
