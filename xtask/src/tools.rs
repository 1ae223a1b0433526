//! What a fresh machine lacks: Debian packages, PyPI's S3 server, cargo's test runner.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process::{capture, run, succeeds};
use crate::say;

/// Programs the tests run, by the Debian package that brings each.
const PACKAGES: &[&str] = &[
    "apache2-utils",
    "buildah",
    "busybox-static",
    "docker-registry",
    "faketime",
    "podman",
    "procps",
    "runc",
    "skopeo",
    "util-linux",
];

const MOTO: &str = "moto[server]==5.2.5";
const S3S: &str = "0.14.1";

/// Installs what is missing, or fails saying what to install.
pub fn ensure_debian_packages() -> Result<()> {
    let mut missing: Vec<&str> = PACKAGES.iter().copied().filter(|package| !is_installed(package)).collect();
    if postgres_programs().is_err() {
        missing.push("postgresql");
    }
    if !on_path("docker") {
        missing.push("docker.io");
    }
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !is_root() {
        bail!("Debian packages are missing; install them as root: apt-get install --no-install-recommends {list}");
    }
    say(&format!("installing Debian packages: {list}"));
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").arg("-qq");
        command
    };
    run(apt().arg("update"))?;
    run(apt().args(["install", "--yes", "--no-install-recommends"]).args(&missing))
}

/// The folder of PostgreSQL's server programs (Debian keeps them off PATH), the newest version's.
pub fn postgres_programs() -> Result<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").context("no PostgreSQL server is installed")?;
    let mut folders: Vec<PathBuf> = versions.flatten().map(|entry| entry.path().join("bin")).collect();
    folders.retain(|folder| folder.join("initdb").exists());
    folders.sort();
    folders.pop().context("no PostgreSQL server is installed")
}

/// cargo's test runner, from crates.io when the machine has none.
pub fn ensure_nextest() -> Result<()> {
    if succeeds(Command::new("cargo").args(["nextest", "--version"])) {
        return Ok(());
    }
    say("installing cargo-nextest (some minutes, once)");
    run(Command::new("cargo").args(["install", "--locked", "cargo-nextest"]))
}

/// moto's S3 server in a virtual environment under `cache`; the program's path.
pub fn ensure_moto(cache: &Path) -> Result<PathBuf> {
    let folder = cache.join("moto");
    let (program, stamp) = (folder.join("bin/moto_server"), folder.join("installed"));
    // A virtual environment outlives its interpreter: only running it shows that it still works.
    let works = || succeeds(Command::new(&program).arg("--help"));
    if std::fs::read_to_string(&stamp).is_ok_and(|version| version == MOTO) && works() {
        return Ok(program);
    }
    say(&format!("installing {MOTO} from PyPI into {}", folder.display()));
    if !succeeds(Command::new("python3").args(["-c", "import venv, ensurepip"])) {
        run(Command::new("apt-get").args(["-qq", "install", "--yes", "python3-venv"]))?;
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    run(Command::new(folder.join("bin/pip")).args(["install", "--quiet", "--disable-pip-version-check", MOTO]))?;
    std::fs::write(&stamp, MOTO)?;
    Ok(program)
}

/// s3s-fs, built from crates.io under `cache`; the program's path.
pub fn ensure_s3s(cache: &Path) -> Result<PathBuf> {
    let folder = cache.join("s3s");
    let program = folder.join("bin/s3s-fs");
    if program.exists() {
        return Ok(program);
    }
    say(&format!("building s3s-fs {S3S} into {} (some minutes, once)", folder.display()));
    run(Command::new("cargo")
        .args(["install", "s3s-fs", "--version", S3S, "--locked", "--features", "binary", "--root"])
        .arg(&folder))?;
    Ok(program)
}

/// Whether we may install packages and become another user.
pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn is_installed(package: &str) -> bool {
    capture(Command::new("dpkg-query").args(["--show", "--showformat", "${db:Status-Status}", package]))
        .is_ok_and(|status| status == "installed")
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
