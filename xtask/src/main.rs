//! `cargo xtask`: what the repository does to itself.

mod process;
mod servers;
mod test;
mod tools;

use std::io::Write as _;
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <command>

  test [--s3 moto|s3s] [nextest arguments…]
      installs and starts what the tests need (Debian packages, PostgreSQL, an S3 server; all on loopback, all private to
      the run), builds the workspace and runs every test. Anything else goes to `cargo nextest run`; with `-p CRATE` only
      that crate is tested.
      --s3 moto   moto_server from PyPI (the default)
      --s3 s3s    s3s-fs from crates.io, which checks signatures; building it takes some minutes the first time
";

/// Progress goes to standard error: standard output belongs to the commands we run.
pub fn say(message: &str) {
    let _closed_pipe = writeln!(std::io::stderr(), "xtask: {message}");
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.split_first() {
        Some((command, rest)) if command == "test" => test::run(rest),
        Some((command, _)) if command == "help" || command == "--help" => {
            let _closed_pipe = write!(std::io::stdout(), "{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            let _closed_pipe = write!(std::io::stderr(), "{USAGE}");
            return ExitCode::from(2);
        }
    };
    result.unwrap_or_else(|error| {
        say(&format!("error: {error:#}"));
        ExitCode::FAILURE
    })
}
