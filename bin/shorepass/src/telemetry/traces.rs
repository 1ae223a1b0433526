//! Spans for an OpenTelemetry collector: OTLP over HTTP.

use anyhow::Context as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::trace::SdkTracerProvider;
use opentelemetry_sdk::trace::span_processor_with_async_runtime::BatchSpanProcessor;
use opentelemetry_sdk::{Resource, runtime};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;
use url::Url;

/// Spans on their way to a collector.
#[derive(Debug)]
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// `collector` is its base, to which the specification's path is added; a URL with a path is taken as it is.
    pub fn to(collector: &Url) -> anyhow::Result<Self> {
        let mut url = collector.clone();
        if matches!(url.path(), "" | "/") {
            url.set_path("/v1/traces");
        }
        let exporter =
            SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary).with_endpoint(url.as_str());
        let exporter = exporter.build().context("traces cannot be sent")?;
        let resource = Resource::builder().with_service_name("shorepass").build();
        let batches = BatchSpanProcessor::builder(exporter, runtime::Tokio).build();
        Ok(Self(SdkTracerProvider::builder().with_span_processor(batches).with_resource(resource).build()))
    }

    /// Our own spans, whatever the log's level is. Those of the HTTP client that sends them would beget more.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let layer = tracing_opentelemetry::layer().with_tracer(self.0.tracer("shorepass"));
        layer.with_location(false).with_threads(false).with_filter(filter_fn(is_sent))
    }

    /// Sends what has not been sent.
    pub async fn end(self) {
        // It waits for the exporter's task, which runs on the runtime's own threads.
        let ended = tokio::task::spawn_blocking(move || self.0.shutdown()).await;
        if let Ok(Err(error)) = ended {
            tracing::warn!("the last traces were not sent: {error}");
        }
    }
}

fn is_sent(metadata: &Metadata<'_>) -> bool {
    super::is_ours(metadata) && *metadata.level() <= Level::INFO
}
