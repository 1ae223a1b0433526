//! The only way anything is printed: data to standard output, all else to standard error.

use std::io::{self, IsTerminal, Write};

use crate::config::Environment;

const BOLD: &str = "1";
const YELLOW: &str = "1;33";
const RED: &str = "1;31";

#[derive(Debug, Clone)]
pub struct Printer {
    colour: bool,
    terminal: bool,
}

impl Printer {
    pub fn new(environment: &Environment) -> Self {
        let terminal = io::stderr().is_terminal();
        let dumb = environment.get("TERM").is_some_and(|term| term == "dumb");
        // https://no-color.org: any value but the empty one.
        let refused = environment.get("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colour: terminal && !dumb && !refused, terminal: terminal && !dumb }
    }

    /// One line of data.
    pub fn out(&self, text: &str) -> anyhow::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.write_all(b"\n")?;
        stdout.flush()?;
        Ok(())
    }

    /// One line for the person at the terminal. That standard error is gone is no reason to stop.
    pub fn err(&self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    pub fn note(&self, text: &str) {
        self.labelled("note", BOLD, text);
    }

    pub fn warn(&self, text: &str) {
        self.labelled("warning", YELLOW, text);
    }

    pub fn error(&self, text: &str) {
        self.labelled("error", RED, text);
    }

    pub fn hint(&self, text: &str) {
        self.err("");
        self.labelled("hint", BOLD, text);
    }

    fn labelled(&self, label: &str, colour: &str, text: &str) {
        if self.colour {
            self.err(&format!("\u{1b}[{colour}m{label}:\u{1b}[0m {text}"));
        } else {
            self.err(&format!("{label}: {text}"));
        }
    }

    /// A spinner while something takes its time; nothing where nobody watches. Gone when it is dropped.
    pub fn busy(&self, text: &str) -> Busy {
        if !self.terminal {
            return Busy(indicatif::ProgressBar::hidden());
        }
        let spinner = indicatif::ProgressBar::new_spinner().with_message(text.to_owned());
        spinner.enable_steady_tick(std::time::Duration::from_millis(100));
        Busy(spinner)
    }

    /// Asks for a `y`. `None` where there is nobody to ask.
    pub fn confirm(&self, question: &str) -> anyhow::Result<Option<bool>> {
        if !io::stdin().is_terminal() || !self.terminal {
            return Ok(None);
        }
        write!(io::stderr().lock(), "{question} [y/N] ")?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        Ok(Some(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")))
    }
}

/// See [`Printer::busy`].
#[derive(Debug)]
pub struct Busy(indicatif::ProgressBar);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
