//! What a manifest says, as far as a registry has to know: what it references, and what it is.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use shorepass_core::Digest;

use crate::json::{Object, object};
use crate::{RegistryError, Result};

/// The most a manifest may have (OCI distribution specification 1.1: at least this must be accepted).
pub const MAX_MANIFEST_BYTES: usize = 4 * 1024 * 1024;

pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

fn is_index_media_type(media_type: &str) -> bool {
    matches!(media_type, OCI_INDEX | DOCKER_LIST)
}

fn is_manifest_media_type(media_type: &str) -> bool {
    matches!(media_type, OCI_MANIFEST | DOCKER_MANIFEST) || is_index_media_type(media_type)
}

macro_rules! objects {
    ($($name:ident: $($member:literal),+;)+) => {$(
        impl<'de> Object<'de> for $name {
            const NAMES: &'static [&'static str] = &[$($member),+];

            fn read<D: Deserializer<'de>>(members: D) -> std::result::Result<Self, D::Error> {
                Self::deserialize(members)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
                object(deserializer)
            }
        }
    )+};
}

/// A media type's longest form (RFC 6838, section 4.2: 127 characters on either side of the slash).
const MAX_MEDIA_TYPE: usize = 255;

/// A descriptor's fields that matter here; unknown ones are the client's own affair.
#[derive(Debug, Clone, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase")]
pub struct Descriptor {
    pub media_type: String,
    pub digest: Digest,
    pub size: u64,
    #[serde(default, deserialize_with = "list")]
    pub urls: Option<Vec<String>>,
}

objects! {
    Descriptor: "mediaType", "digest", "size", "urls";
    Document: "schemaVersion", "mediaType", "artifactType", "config", "layers", "manifests", "subject", "annotations";
}

impl Descriptor {
    /// Layers that may not be distributed are fetched elsewhere; no blob of theirs is asked for.
    fn is_foreign(&self) -> bool {
        self.urls.as_ref().is_some_and(|urls| !urls.is_empty())
            || self.media_type.contains(".nondistributable.")
            || self.media_type == "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    }
}

#[derive(Debug, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase")]
struct Document {
    schema_version: Option<u64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    #[serde(default, deserialize_with = "list")]
    layers: Option<Vec<Descriptor>>,
    #[serde(default, deserialize_with = "list")]
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    annotations: Option<Map<String, Value>>,
}

/// A list that is there; `null` is how Go writes an empty one.
fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Vec<T>>, D::Error> {
    Ok(Some(Option::deserialize(deserializer)?.unwrap_or_default()))
}

/// A manifest that was found in order.
#[derive(Debug)]
pub struct Parsed {
    pub media_type: String,
    pub artifact_type: Option<String>,
    pub config: Option<Descriptor>,
    /// Blobs that must be in the repository, the config first.
    pub blobs: Vec<Digest>,
    /// Blobs that may be fetched elsewhere. Those that are in the repository all the same are needed as the others are.
    pub foreign_blobs: Vec<Digest>,
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
/// what it was sent as, and one of whose members another reader might see differently ([`object`]): clients would
/// otherwise disagree about what a digest stands for (CVE-2021-41190).
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
    let (foreign, local): (Vec<_>, Vec<_>) = layers.iter().partition(|layer| layer.is_foreign());
    let artifact_type = artifact_type(document.artifact_type)?;
    media_type_text("config.mediaType", &config.media_type)?;
    Ok(Parsed {
        blobs: dedup(std::iter::once(&config).chain(local)),
        foreign_blobs: dedup(foreign),
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
    // Some builders keep their cache as an index of layers, which are blobs.
    let (children, blobs): (Vec<_>, Vec<_>) =
        manifests.iter().partition(|child| is_manifest_media_type(&child.media_type));
    Ok(Parsed {
        blobs: dedup(blobs),
        foreign_blobs: Vec::new(),
        manifests: dedup(children),
        subject: document.subject.map(|subject| subject.digest),
        annotations: annotations(document.annotations)?,
        referenced_size: manifests.iter().fold(0, |sum, child| child.size.saturating_add(sum)),
        artifact_type: artifact_type(document.artifact_type)?,
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

fn artifact_type(text: Option<String>) -> Result<Option<String>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    media_type_text("artifactType", &text)?;
    Ok(Some(text))
}

/// What is filed under a media type has to be short text on every database.
fn media_type_text(member: &str, text: &str) -> Result<()> {
    if text.len() <= MAX_MEDIA_TYPE && !text.contains(char::is_control) {
        return Ok(());
    }
    Err(invalid(format!("{member} is not a media type: `{}`", cut(text))))
}

fn dedup<'a>(descriptors: impl IntoIterator<Item = &'a Descriptor>) -> Vec<Digest> {
    let mut seen = std::collections::HashSet::new();
    let all = descriptors.into_iter().map(|descriptor| &descriptor.digest);
    all.filter(|digest| seen.insert(*digest)).cloned().collect()
}

fn invalid(why: String) -> RegistryError {
    RegistryError::ManifestInvalid(why)
}

fn cut(text: &str) -> String {
    shorepass_core::text::escaped(text, 100)
}

/// What an image's config says about where it runs.
#[derive(Debug, Default, Deserialize)]
pub struct Platform {
    #[serde(default, deserialize_with = "word")]
    pub architecture: Option<String>,
    #[serde(default, deserialize_with = "word")]
    pub os: Option<String>,
}

/// A config is a blob, and can say anything; what is no word is left out.
fn word<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.filter(|text| text.len() <= MAX_MEDIA_TYPE && !text.contains(char::is_control)))
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
        assert_eq!((parsed.blobs.len(), parsed.foreign_blobs.len()), (1, 1));
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
            (OCI_INDEX, serde_json::json!({"manifests": [], "artifactType": "a/\0"})),
            (OCI_INDEX, serde_json::json!({"manifests": [], "artifactType": "a".repeat(256)})),
            (OCI_MANIFEST, serde_json::json!({"config": descriptor("a/\0"), "layers": []})),
        ] {
            assert!(matches!(parse(sent, &body(fields.clone())), Err(RegistryError::ManifestInvalid(_))), "{fields}");
        }
        assert!(parse(OCI_MANIFEST, b"not json").is_err());
    }

    /// What one reader takes and another does not see, or takes for another member (Go's readers ignore case), would let
    /// a digest mean two things.
    #[test]
    fn what_readers_could_disagree_about_is_refused() {
        let config = descriptor("x/y").to_string();
        let image = |more: &str| format!(r#"{{"schemaVersion":2,"config":{config},"layers":[]{more}}}"#).into_bytes();
        assert!(parse(OCI_MANIFEST, &image("")).is_ok());
        assert!(parse(OCI_MANIFEST, &image(r#","x":1,"Vendor":{"Config":1}"#)).is_ok());
        let other = format!("sha256:{}", "b".repeat(64));
        let look_alikes = [
            r#","Manifests":[]"#.to_owned(),
            r#","MEDIATYPE":"application/vnd.oci.image.index.v1+json""#.to_owned(),
            format!(r#","config":{config}"#),
            format!(r#","confi\u0067":{config}"#),
            format!(r#","Config":{config}"#),
            r#","layer\u017f":[]"#.to_owned(),
            format!(r#","subject":{{"mediaType":"a/b","size":1,"digest":"{other}","Digest":"{other}"}}"#),
            format!(r#","subject":["a/b","{other}",1,[]]"#),
        ];
        for more in look_alikes {
            assert!(parse(OCI_MANIFEST, &image(&more)).is_err(), "{more}");
        }
        let as_list = format!(r#"[2,null,null,{config},[],null,null,null]"#);
        assert!(parse(OCI_MANIFEST, as_list.as_bytes()).is_err());
    }

    #[test]
    fn lists_that_are_null_are_empty() {
        let image = body(serde_json::json!({"config": descriptor("x/y"), "layers": null}));
        assert_eq!(parse(OCI_MANIFEST, &image).unwrap().blobs.len(), 1);
        assert!(parse(OCI_INDEX, &body(serde_json::json!({"manifests": null}))).is_ok());
        let mut layer = descriptor("x/y");
        layer["urls"] = Value::Null;
        let image = body(serde_json::json!({"config": descriptor("x/y"), "layers": [layer]}));
        assert!(parse(OCI_MANIFEST, &image).is_ok());
    }

    #[test]
    fn an_index_of_layers_needs_blobs() {
        let index = body(serde_json::json!({"manifests": [descriptor("application/vnd.oci.image.layer.v1.tar+gzip")]}));
        let parsed = parse(OCI_INDEX, &index).unwrap();
        assert_eq!((parsed.blobs.len(), parsed.manifests.len()), (1, 0));
    }
}
