//! Docker and podman as programs: which one is used, and signing in through it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::{env, fs};

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::credential::Credential;
use crate::host::{RegistryHost, Scheme};

/// Why no program can be used.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// The document's own words (what-the-documents-say.md 1b, 38).
    #[error("Please verify if Docker client is installed and running.")]
    Missing,
    #[error("`{}` lies in the current directory and is not run; leave that directory, or give `DOCKER_COMMAND` another program", .0.display())]
    CurrentDirectory(PathBuf),
    #[error("`{}` cannot be run: {source}", path.display())]
    Run { path: PathBuf, source: io::Error },
    #[error("the server's CA could not be handed to `{}`: {source}", path.display())]
    Ca { path: PathBuf, source: io::Error },
}

/// Where programs are looked for.
#[derive(Debug, Clone)]
pub struct Search {
    /// `$DOCKER_COMMAND`.
    pub command: Option<OsString>,
    /// `$PATH`.
    pub path: OsString,
    pub current_dir: Option<PathBuf>,
}

impl Search {
    #[must_use]
    pub fn from_environment() -> Self {
        Self {
            command: env::var_os("DOCKER_COMMAND").filter(|command| !command.is_empty()),
            path: env::var_os("PATH").unwrap_or_default(),
            current_dir: env::current_dir().ok(),
        }
    }

    /// A program by absolute path or by name in `PATH`. One in the current directory is refused: that may be a
    /// repository somebody else filled.
    fn program(&self, name: &OsStr) -> Result<PathBuf, ToolError> {
        let path = Path::new(name);
        let found = if path.is_absolute() {
            Some(path.to_owned()).filter(|path| is_executable(path))
        } else if path.components().count() == 1 {
            env::split_paths(&self.path).map(|dir| self.absolute(&dir).join(name)).find(|path| is_executable(path))
        } else {
            return Err(ToolError::CurrentDirectory(path.to_owned()));
        };
        let found = found.ok_or(ToolError::Missing)?;
        if self.is_current(&found) { Err(ToolError::CurrentDirectory(found)) } else { Ok(found) }
    }

    fn absolute(&self, dir: &Path) -> PathBuf {
        self.current_dir.as_deref().unwrap_or(Path::new("/")).join(dir)
    }

    fn is_current(&self, program: &Path) -> bool {
        let real = |path: &Path| fs::canonicalize(path).ok();
        let dir = program.parent().and_then(real);
        dir.is_some() && dir == self.current_dir.as_deref().and_then(real)
    }
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// What a program said.
#[derive(Debug, Clone)]
pub struct Said {
    pub success: bool,
    pub stdout: String,
    pub stderr: String,
}

/// A docker-like program.
#[derive(Debug, Clone)]
pub struct Tool {
    path: PathBuf,
}

impl Tool {
    /// `$DOCKER_COMMAND`, else `docker`, else `podman` (what-the-documents-say.md 1b, 37-39).
    ///
    /// # Errors
    /// There is none, or it lies in the current directory.
    pub fn find(search: &Search) -> Result<Self, ToolError> {
        if let Some(command) = &search.command {
            return search.program(command).map(|path| Self { path });
        }
        match search.program(OsStr::new("docker")) {
            Err(ToolError::Missing) => search.program(OsStr::new("podman")),
            other => other,
        }
        .map(|path| Self { path })
    }

    /// Any other program in `PATH`, by the same rules: `helm`.
    ///
    /// # Errors
    /// It is not there, or lies in the current directory.
    pub fn named(name: &str, search: &Search) -> Result<Self, ToolError> {
        search.program(OsStr::new(name)).map(|path| Self { path })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Podman, under whatever name: its `docker` stand-in says so in its version.
    pub async fn is_podman(&self) -> bool {
        if self.path.file_name().is_some_and(|name| name.to_string_lossy().contains("podman")) {
            return true;
        }
        self.run(&["--version"], None).await.is_ok_and(|said| said.success && said.stdout.contains("podman"))
    }

    /// Runs it with `arguments`; `input`, if any, is its standard input and may be a secret.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn run<S: AsRef<OsStr>>(&self, arguments: &[S], input: Option<&str>) -> Result<Said, ToolError> {
        self.run_with(arguments, &[], input).await
    }

    /// Like [`Tool::run`], with more environment variables.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn run_with<S: AsRef<OsStr>>(
        &self,
        arguments: &[S],
        environment: &[(&str, &Path)],
        input: Option<&str>,
    ) -> Result<Said, ToolError> {
        let failed = |source| ToolError::Run { path: self.path.clone(), source };
        let mut child = Command::new(&self.path)
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
            // A program that ends without reading has its own say about why.
            let _unread = stdin.write_all(input.as_bytes()).await;
        }
        let output = child.wait_with_output().await.map_err(failed)?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Said { success: output.status.success(), stdout: text(output.stdout), stderr: text(output.stderr) })
    }

    /// `<tool> login`. The secret goes by standard input only: arguments and environment are for everyone to read.
    ///
    /// # Errors
    /// The program cannot be started; that it refused is in what it said.
    pub async fn login(
        &self,
        server: &RegistryHost,
        credential: &Credential,
        access: &Access,
    ) -> Result<Said, ToolError> {
        let trust = self.trust(access).await?;
        let mut arguments: Vec<OsString> = vec!["login".into()];
        arguments.extend(trust.arguments());
        if let Some(file) = &access.auth_file
            && self.is_podman().await
        {
            arguments.extend(["--authfile".into(), file.into()]);
        }
        arguments.extend(["--username".into(), credential.username.clone().into(), "--password-stdin".into()]);
        arguments.push(server.to_string().into());
        self.run(&arguments, Some(credential.expose())).await
    }

    /// What podman must be told for a server without a publicly trusted certificate. Docker has no such flags: it takes
    /// loopback as it is, and reads a CA from `/etc/docker/certs.d`.
    ///
    /// # Errors
    /// The CA cannot be copied to where podman reads it.
    pub async fn trust(&self, access: &Access) -> Result<Trust, ToolError> {
        let needed = access.scheme == Scheme::Http || access.ca.is_some();
        if !needed || !self.is_podman().await {
            return Ok(Trust::Nothing);
        }
        match &access.ca {
            Some(ca) if access.scheme == Scheme::Https => self.cert_dir(ca).map(Trust::CertDir),
            _ => Ok(Trust::Plain),
        }
    }

    /// Podman reads every `*.crt` of a directory as a CA.
    fn cert_dir(&self, ca: &Path) -> Result<tempfile::TempDir, ToolError> {
        let failed = |source| ToolError::Ca { path: self.path.clone(), source };
        let dir = tempfile::Builder::new().prefix("shorepass-ca-").tempdir().map_err(failed)?;
        fs::copy(ca, dir.path().join("ca.crt")).map_err(failed)?;
        Ok(dir)
    }
}

/// How the server is reached.
#[derive(Debug, Clone)]
pub struct Access {
    pub scheme: Scheme,
    /// The CA of a server that made its own certificate.
    pub ca: Option<PathBuf>,
    /// Podman's own file of credentials, where it must be told to look into no other: it refuses to sign in where docker
    /// keeps an identity token (`currently logged in, auth file contains an Identity token`, podman 4.3).
    pub auth_file: Option<PathBuf>,
}

/// What a program is told about a server's certificate.
#[derive(Debug)]
pub enum Trust {
    Nothing,
    Plain,
    /// Deleted when dropped.
    CertDir(tempfile::TempDir),
}

impl Trust {
    #[must_use]
    pub fn arguments(&self) -> Vec<OsString> {
        match self {
            Self::Nothing => vec![],
            Self::Plain => vec!["--tls-verify=false".into()],
            Self::CertDir(dir) => vec!["--cert-dir".into(), dir.path().into()],
        }
    }
}
