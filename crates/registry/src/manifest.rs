//! What a manifest says, as far as a registry has to know: what it references, and what it is.

use serde::Deserialize;
use serde_json::{Map, Value};
use shorepass_core::Digest;

use crate::{RegistryError, Result};

/// The most a manifest may have (OCI distribution specification 1.1: at least this must be accepted).
pub const MAX_MANIFEST_BYTES: usize = 4 * 1024 * 1024;

pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

#[must_use]
pub fn is_index_media_type(media_type: &str) -> bool {
    matches!(media_type, OCI_INDEX | DOCKER_LIST)
}

#[must_use]
pub fn is_manifest_media_type(media_type: &str) -> bool {
    matches!(media_type, OCI_MANIFEST | DOCKER_MANIFEST) || is_index_media_type(media_type)
}

/// A descriptor's fields that matter here; unknown ones are the client's own affair.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    pub media_type: String,
    pub digest: Digest,
    pub size: u64,
    #[serde(default)]
    pub urls: Vec<String>,
}

impl Descriptor {
    /// Layers that may not be distributed are fetched elsewhere; no blob of theirs is asked for.
    fn is_foreign(&self) -> bool {
        !self.urls.is_empty()
            || self.media_type.contains(".nondistributable.")
            || self.media_type == "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: Option<u64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    annotations: Option<Map<String, Value>>,
}

/// A manifest that was found in order.
#[derive(Debug)]
pub struct Parsed {
    pub media_type: String,
    pub artifact_type: Option<String>,
    pub config: Option<Descriptor>,
    /// Blobs that must be in the repository, the config first.
    pub blobs: Vec<Digest>,
    pub manifests: Vec<Digest>,
    pub subject: Option<Digest>,
    /// JSON text.
    pub annotations: Option<String>,
    /// Bytes of everything it references directly.
    pub referenced_size: u64,
}

/// Reads a manifest that was sent as `content_type`.
///
/// A body that could be read both as a manifest and as an index is refused, and so is one whose own `mediaType` is not
/// what it was sent as: clients would otherwise disagree about what a digest stands for (CVE-2021-41190).
///
/// # Errors
/// [`RegistryError::ManifestInvalid`] says what is wrong.
pub fn parse(content_type: &str, body: &[u8]) -> Result<Parsed> {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let document: Document =
        serde_json::from_slice(body).map_err(|error| invalid(format!("the body is not a manifest: {error}")))?;
    let media_type = match (&document.media_type, media_type) {
        (Some(own), sent) if own != sent => {
            return Err(invalid(format!(
                "the manifest's mediaType `{}` is not the Content-Type it was sent as",
                cut(own)
            )));
        }
        (_, sent) if is_manifest_media_type(sent) => sent.to_owned(),
        (_, sent) => {
            let accepted = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST].join("`, `");
            return Err(invalid(format!(
                "the Content-Type `{}` is not supported; supported are `{accepted}`",
                cut(sent)
            )));
        }
    };
    if document.schema_version != Some(2) {
        return Err(invalid("schemaVersion must be 2".to_owned()));
    }
    let has_image = document.config.is_some() || document.layers.is_some();
    if has_image && document.manifests.is_some() {
        return Err(invalid("the body is both an image manifest and an index".to_owned()));
    }
    if is_index_media_type(&media_type) { index(media_type, document) } else { image(media_type, document) }
}

fn image(media_type: String, document: Document) -> Result<Parsed> {
    let Some(config) = document.config else {
        return Err(invalid("an image manifest needs a config".to_owned()));
    };
    let Some(layers) = document.layers else {
        return Err(invalid("an image manifest needs layers, if only an empty list".to_owned()));
    };
    let local = layers.iter().filter(|layer| !layer.is_foreign()).map(|layer| layer.digest.clone());
    let artifact_type = document.artifact_type.filter(|text| !text.is_empty());
    Ok(Parsed {
        blobs: dedup(std::iter::once(config.digest.clone()).chain(local)),
        manifests: Vec::new(),
        subject: document.subject.map(|subject| subject.digest),
        annotations: annotations(document.annotations)?,
        referenced_size: layers.iter().chain([&config]).fold(0, |sum, part| part.size.saturating_add(sum)),
        // The referrers list names an image by its config's type where it has no type of its own (OCI 1.1, "Pushing
        // Manifests with Subject").
        artifact_type: artifact_type.or_else(|| Some(config.media_type.clone())),
        config: Some(config),
        media_type,
    })
}

fn index(media_type: String, document: Document) -> Result<Parsed> {
    let Some(manifests) = document.manifests else {
        return Err(invalid("an index needs manifests, if only an empty list".to_owned()));
    };
    Ok(Parsed {
        blobs: Vec::new(),
        manifests: dedup(manifests.iter().map(|child| child.digest.clone())),
        subject: document.subject.map(|subject| subject.digest),
        annotations: annotations(document.annotations)?,
        referenced_size: manifests.iter().fold(0, |sum, child| child.size.saturating_add(sum)),
        artifact_type: document.artifact_type.filter(|text| !text.is_empty()),
        config: None,
        media_type,
    })
}

fn annotations(annotations: Option<Map<String, Value>>) -> Result<Option<String>> {
    let Some(annotations) = annotations else { return Ok(None) };
    if !annotations.values().all(Value::is_string) {
        return Err(invalid("annotations must be texts".to_owned()));
    }
    Ok(Some(Value::Object(annotations).to_string()))
}

fn dedup(digests: impl Iterator<Item = Digest>) -> Vec<Digest> {
    let mut all: Vec<Digest> = digests.collect();
    let mut seen = std::collections::HashSet::new();
    all.retain(|digest| seen.insert(digest.clone()));
    all
}

fn invalid(why: String) -> RegistryError {
    RegistryError::ManifestInvalid(why)
}

fn cut(text: &str) -> String {
    text.chars().take(100).flat_map(char::escape_default).collect()
}

/// What an image's config says about where it runs.
#[derive(Debug, Default, Deserialize)]
pub struct Platform {
    pub architecture: Option<String>,
    pub os: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(media_type: &str) -> Value {
        serde_json::json!({"mediaType": media_type, "size": 2, "digest": format!("sha256:{}", "a".repeat(64))})
    }

    fn body(fields: Value) -> Vec<u8> {
        let mut whole = serde_json::json!({"schemaVersion": 2});
        for (name, value) in fields.as_object().unwrap() {
            whole[name] = value.clone();
        }
        whole.to_string().into_bytes()
    }

    #[test]
    fn what_is_both_manifest_and_index_is_refused() {
        let both = body(serde_json::json!({"config": descriptor("x/y"), "layers": [], "manifests": []}));
        for sent in [OCI_MANIFEST, OCI_INDEX] {
            let error = parse(sent, &both).unwrap_err().to_string();
            assert!(error.contains("both"), "{error}");
        }
        let layers_in_index = body(serde_json::json!({"layers": [], "manifests": []}));
        assert!(parse(OCI_INDEX, &layers_in_index).is_err());
    }

    #[test]
    fn the_media_type_must_be_the_content_type() {
        let index = body(serde_json::json!({"mediaType": OCI_INDEX, "manifests": []}));
        assert!(parse(OCI_INDEX, &index).is_ok());
        assert!(parse(DOCKER_LIST, &index).is_err());
        assert!(parse("application/json", &index).is_err());
    }

    #[test]
    fn foreign_layers_need_no_blob() {
        let manifest = body(serde_json::json!({
            "config": descriptor("application/vnd.oci.image.config.v1+json"),
            "layers": [
                {"mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "size": 5,
                 "digest": format!("sha256:{}", "b".repeat(64))},
            ],
        }));
        let parsed = parse(OCI_MANIFEST, &manifest).unwrap();
        assert_eq!(parsed.blobs.len(), 1);
        assert_eq!(parsed.artifact_type.as_deref(), Some("application/vnd.oci.image.config.v1+json"));
    }

    #[test]
    fn incomplete_manifests_are_refused_with_a_reason() {
        for (sent, fields) in [
            (OCI_MANIFEST, serde_json::json!({"layers": []})),
            (OCI_MANIFEST, serde_json::json!({"config": descriptor("x/y")})),
            (OCI_INDEX, serde_json::json!({})),
            (OCI_INDEX, serde_json::json!({"schemaVersion": 1, "manifests": []})),
            (OCI_INDEX, serde_json::json!({"manifests": [{"mediaType": "a/b", "size": -1, "digest": "sha256:00"}]})),
            (OCI_INDEX, serde_json::json!({"manifests": [], "annotations": {"a": 1}})),
        ] {
            assert!(matches!(parse(sent, &body(fields.clone())), Err(RegistryError::ManifestInvalid(_))), "{fields}");
        }
        assert!(parse(OCI_MANIFEST, b"not json").is_err());
    }
}
