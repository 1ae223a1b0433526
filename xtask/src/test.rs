//! `cargo xtask test`: every test of the workspace, with the servers they need.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::process::run as run_command;
use crate::servers::{self, S3Kind};
use crate::{say, tools};

pub fn run(arguments: &[String]) -> Result<ExitCode> {
    let started = Instant::now();
    let (s3, nextest) = parse(arguments)?;
    let target = target_folder()?;
    let cache = target.join("xtask");
    std::fs::create_dir_all(&cache)?;
    std::env::set_current_dir(workspace())?;

    tools::ensure_debian_packages()?;
    tools::ensure_nextest()?;
    let selected = Selection::of(&nextest);
    build(&selected)?;

    let stopped = Stopped::watch()?;
    let postgres = servers::postgres()?;
    let s3 = servers::s3(s3, &cache)?;
    let mut command = Command::new("cargo");
    command.args(["nextest", "run", "--locked"]);
    if selected == Selection::Everything {
        command.arg("--workspace");
    }
    command.args(nextest);
    command.env("SHOREPASS_TEST_POSTGRES", &postgres.url).env("SHOREPASS_TEST_S3", &s3.url);
    command.env("SHOREPASS_TEST_PROGRAMS", target.join("debug"));
    let status = stopped.wait(&mut command)?;
    say(&format!("done in {} s", started.elapsed().as_secs()));
    Ok(exit_code(status))
}

/// What nextest's own arguments choose.
#[derive(PartialEq, Eq)]
enum Selection {
    Everything,
    /// Some packages, the end-to-end tests not among them.
    Libraries,
    /// Some packages, the end-to-end tests among them: those run the programs.
    EndToEnd,
}

impl Selection {
    fn of(arguments: &[&String]) -> Self {
        if !arguments.iter().any(|argument| *argument == "-p" || argument.starts_with("--package")) {
            return Self::Everything;
        }
        let end_to_end = arguments.iter().any(|argument| argument.ends_with("shorepass-e2e"));
        if end_to_end { Self::EndToEnd } else { Self::Libraries }
    }
}

/// Builds what nextest does not: the programs. For everything, programs and tests in one go: two builds would differ in
/// features and compile much of the tree twice.
fn build(selected: &Selection) -> Result<()> {
    let what: &[&str] = match selected {
        Selection::Everything => &["--workspace", "--bins", "--tests"],
        Selection::EndToEnd => &["-p", "shorepass", "-p", "docker-credential-shorepass", "--bins"],
        Selection::Libraries => return Ok(()),
    };
    say("building");
    run_command(Command::new("cargo").args(["build", "--locked"]).args(what))
}

/// Splits off our own option; the rest is nextest's.
fn parse(arguments: &[String]) -> Result<(S3Kind, Vec<&String>)> {
    let mut kind = S3Kind::Moto;
    let mut rest = Vec::new();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        if word != "--s3" {
            rest.push(word);
            continue;
        }
        kind = match words.next().map(String::as_str) {
            Some("moto") => S3Kind::Moto,
            Some("s3s") => S3Kind::S3s,
            other => bail!("`--s3` takes `moto` or `s3s`, not `{}`", other.unwrap_or_default()),
        };
    }
    Ok((kind, rest))
}

/// Interrupts and terminations are noted rather than obeyed, so that the servers are stopped and their folders removed.
struct Stopped(Arc<AtomicBool>);

impl Stopped {
    fn watch() -> Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&flag)).context("watching for signals")?;
        }
        Ok(Self(flag))
    }

    /// Runs the tests to their end; asked to stop, interrupts them once and waits for their own tidying up.
    fn wait(&self, command: &mut Command) -> Result<ExitStatus> {
        if self.0.load(Ordering::Relaxed) {
            bail!("interrupted");
        }
        let mut child = command.spawn().context("starting cargo nextest")?;
        let mut told = false;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if self.0.load(Ordering::Relaxed) && !told {
                told = true;
                say("stopping");
                let _gone = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

fn workspace() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// Where cargo put this program is where it puts everything: `<target>/debug/xtask`.
fn target_folder() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    Ok(program.ancestors().nth(2).context("xtask runs from cargo's target folder")?.to_owned())
}
