//! The server's log: text or JSON lines on standard error.

use std::io::IsTerminal;

use anyhow::Context as _;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::config::{LogFormat, LogSettings};

/// A log whose level can be changed.
#[derive(Debug)]
pub struct Log {
    level: reload::Handle<EnvFilter, Registry>,
}

impl Log {
    /// Begins to log. Once in a process.
    pub fn start(settings: &LogSettings) -> anyhow::Result<Self> {
        let (filter, level) = reload::Layer::new(directives(&settings.level)?);
        let lines = fmt::layer().with_writer(std::io::stderr);
        let lines = match settings.format {
            LogFormat::Text => lines.with_ansi(colours()).boxed(),
            LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
        };
        tracing_subscriber::registry()
            .with(filter)
            .with(lines.with_filter(filter_fn(may_be_written)))
            .try_init()
            .context("the log cannot be started")?;
        Ok(Self { level })
    }

    pub fn set_level(&self, level: &str) -> anyhow::Result<()> {
        self.level.reload(directives(level)?).context("the log level cannot be changed")
    }
}

fn directives(level: &str) -> anyhow::Result<EnvFilter> {
    EnvFilter::builder().parse(level).with_context(|| format!("`{level}` is no log level"))
}

/// HTTP libraries write whole requests below `info`: headers with credentials, query strings with tokens. No directive
/// may turn that on. Our own events name no secret at any level.
fn may_be_written(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    let ours = target == "shorepass" || target.starts_with("shorepass_") || target.starts_with("shorepass::");
    ours || *metadata.level() <= Level::INFO
}

fn colours() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
