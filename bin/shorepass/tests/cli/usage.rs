//! Help, completions, manual pages, pipes.

use std::process::Stdio;

use crate::fake::{program, run_with};

#[test]
fn help_texts_are_as_reviewed() {
    let home = tempfile::tempdir().unwrap();
    insta::assert_snapshot!("help", run_with(home.path(), &[], &["--help"]).out);
    insta::assert_snapshot!("help_serve", run_with(home.path(), &[], &["serve", "--help"]).out);
}

#[test]
fn without_a_command_the_help_is_shown_and_it_is_a_usage_error() {
    let home = tempfile::tempdir().unwrap();
    let ran = run_with(home.path(), &[], &[]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("Usage: shorepass"), "{ran:?}");
}

#[test]
fn completions_know_commands_and_settings() {
    let home = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let ran = run_with(home.path(), &[], &["completion", shell]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        for word in ["check-health", "metrics-listen"] {
            assert!(ran.out.contains(word), "{shell} does not know {word}");
        }
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("man/man1");
    assert_eq!(run_with(home.path(), &[], &["man", folder.to_str().unwrap()]).code, Some(0));
    for page in ["shorepass.1", "shorepass-serve.1", "shorepass-repository-lock.1"] {
        assert!(folder.join(page).is_file(), "{page}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let home = tempfile::tempdir().unwrap();
    let mut command = program(home.path(), &[], &["completion", "bash"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // More is written than a pipe holds, so the writer is still at it.
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty(), "{output:?}");
}
