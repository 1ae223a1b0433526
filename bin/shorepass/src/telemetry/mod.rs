//! The server's log, text or JSON lines on standard error; and its traces, where they are wanted.

#[cfg(feature = "otel")]
mod traces;

use std::io::IsTerminal;

use anyhow::Context as _;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};
use url::Url;

use crate::config::{LogFormat, LogSettings};

/// A log whose level can be changed, and traces.
#[derive(Debug)]
pub struct Telemetry {
    level: reload::Handle<EnvFilter, Registry>,
    #[cfg(feature = "otel")]
    traces: Option<traces::Traces>,
}

impl Telemetry {
    /// Begins to log, and to send spans to `collector`. Once in a process, inside the runtime.
    pub fn start(log: &LogSettings, collector: Option<&Url>) -> anyhow::Result<Self> {
        let (filter, level) = reload::Layer::new(directives(&log.level)?);
        let lines = fmt::layer().with_writer(std::io::stderr);
        let lines = match log.format {
            LogFormat::Text => lines.with_ansi(colours()).boxed(),
            LogFormat::Json => lines.json().with_span_list(false).boxed(),
        };
        let subscriber = tracing_subscriber::registry().with(lines.with_filter(filter.and(filter_fn(may_be_written))));
        #[cfg(feature = "otel")]
        let (subscriber, traces) = {
            let traces = collector.map(traces::Traces::to).transpose()?;
            (subscriber.with(traces.as_ref().map(traces::Traces::layer)), traces)
        };
        #[cfg(not(feature = "otel"))]
        anyhow::ensure!(collector.is_none(), "this `shorepass` was built without traces: remove `otlp_endpoint`");
        subscriber.try_init().context("the log cannot be started")?;
        Ok(Self {
            level,
            #[cfg(feature = "otel")]
            traces,
        })
    }

    pub fn set_level(&self, level: &str) -> anyhow::Result<()> {
        self.level.reload(directives(level)?).context("the log level cannot be changed")
    }

    /// Sends what has not been sent.
    #[cfg_attr(
        not(feature = "otel"),
        expect(clippy::unused_async, reason = "there is nothing to wait for without traces")
    )]
    pub async fn end(self) {
        #[cfg(feature = "otel")]
        if let Some(traces) = self.traces {
            traces.end().await;
        }
    }
}

fn directives(level: &str) -> anyhow::Result<EnvFilter> {
    EnvFilter::builder().parse(level).with_context(|| format!("`{level}` is no log level"))
}

/// HTTP libraries write whole requests below `info`: headers with credentials, query strings with tokens. No directive
/// may turn that on. Our own events name no secret at any level.
fn may_be_written(metadata: &Metadata<'_>) -> bool {
    is_ours(metadata) || *metadata.level() <= Level::INFO
}

/// Whether it comes from our own crates.
fn is_ours(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    target == "shorepass" || target.starts_with("shorepass_") || target.starts_with("shorepass::")
}

fn colours() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn no_directive_makes_libraries_write_whole_requests() {
        let written = Written::default();
        let writer = written.clone();
        let filter = directives("trace,hyper=trace").unwrap().and(filter_fn(may_be_written));
        let lines = fmt::layer().with_writer(move || writer.clone()).with_filter(filter);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
            tracing::debug!(target: "hyper::proto::h1", "GET /oauth2/token?account=secret");
            tracing::debug!(target: "shorepassed", "not ours");
            tracing::warn!(target: "hyper::proto::h1", "a connection was reset");
            tracing::debug!(target: "shorepass_server::net", "our own detail");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert!(!text.contains("secret") && !text.contains("not ours"), "{text}");
        assert!(text.contains("connection was reset") && text.contains("our own detail"), "{text}");
    }
}
