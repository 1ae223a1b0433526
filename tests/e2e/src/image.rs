//! Container images made from nothing.

use std::path::Path;

use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::{Answer, Http};

pub const MEDIA_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const MEDIA_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const MEDIA_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const MEDIA_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// An image of one layer.
pub struct Image {
    pub layer: Vec<u8>,
    pub config: Vec<u8>,
    pub manifest: Vec<u8>,
}

impl Image {
    /// An image with one file; different words make different images.
    #[must_use]
    pub fn tiny(word: &str) -> Self {
        let entries = [Entry::File { path: "etc/word", mode: 0o644, content: word.as_bytes() }];
        Self::from_layer(tar(&entries), json!({}))
    }

    /// An image of a given layer; it cannot be run.
    #[must_use]
    pub fn with_layer(layer: Vec<u8>) -> Self {
        Self::from_layer(layer, json!({}))
    }

    /// An image that runs: Debian's static busybox, saying `words`.
    #[must_use]
    pub fn busybox(words: &str) -> Self {
        let program = std::fs::read("/bin/busybox").expect("busybox-static is installed: run `cargo xtask test`");
        let entries = [
            Entry::Folder { path: "bin" },
            Entry::File { path: "bin/busybox", mode: 0o755, content: &program },
            Entry::Link { path: "bin/sh", to: "busybox" },
            Entry::Folder { path: "etc" },
            Entry::File { path: "etc/words", mode: 0o644, content: words.as_bytes() },
        ];
        let command = json!({ "Cmd": ["/bin/sh", "-c", "cat /etc/words"], "Env": ["PATH=/bin"] });
        Self::from_layer(tar(&entries), command)
    }

    fn from_layer(layer: Vec<u8>, run: serde_json::Value) -> Self {
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": run,
            "rootfs": { "type": "layers", "diff_ids": [digest_of(&layer)] },
        });
        let config = config.to_string().into_bytes();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MEDIA_MANIFEST,
            "config": { "mediaType": MEDIA_CONFIG, "digest": digest_of(&config), "size": config.len() },
            "layers": [{ "mediaType": MEDIA_LAYER, "digest": digest_of(&layer), "size": layer.len() }],
        });
        Self { layer, config, manifest: manifest.to_string().into_bytes() }
    }

    #[must_use]
    pub fn digest(&self) -> String {
        digest_of(&self.manifest)
    }

    /// Pushes blobs and manifest; the manifest's answer.
    pub async fn push(&self, http: &Http, repository: &str, reference: &str) -> Answer {
        for blob in [&self.layer, &self.config] {
            let _pushed = http.push_blob(repository, blob).await.expect(201);
        }
        http.put_manifest(repository, reference, MEDIA_MANIFEST, &self.manifest).await
    }

    /// Writes an OCI image layout with one tag: `oci:<folder>:<tag>` for skopeo and podman.
    pub fn write_layout(&self, folder: &Path, tag: &str) {
        let blobs = folder.join("blobs/sha256");
        std::fs::create_dir_all(&blobs).expect("the layout's folder");
        for blob in [&self.layer, &self.config, &self.manifest] {
            let digest = digest_of(blob);
            std::fs::write(blobs.join(&digest["sha256:".len()..]), blob).expect("a blob is written");
        }
        let index = json!({
            "schemaVersion": 2, "mediaType": MEDIA_INDEX,
            "manifests": [{
                "mediaType": MEDIA_MANIFEST, "digest": self.digest(), "size": self.manifest.len(),
                "annotations": { "org.opencontainers.image.ref.name": tag },
            }],
        });
        std::fs::write(folder.join("index.json"), index.to_string()).expect("the index is written");
        std::fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("the marker is written");
    }
}

#[must_use]
pub fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// Bytes that look random, do not compress and are the same every time (xorshift).
#[must_use]
pub fn pseudo_random(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

enum Entry<'a> {
    Folder { path: &'a str },
    File { path: &'a str, mode: u32, content: &'a [u8] },
    Link { path: &'a str, to: &'a str },
}

/// A POSIX (ustar) archive.
fn tar(entries: &[Entry]) -> Vec<u8> {
    let mut archive = Vec::new();
    for entry in entries {
        match *entry {
            Entry::Folder { path } => archive.extend_from_slice(&header(path, b'5', 0o755, 0, "")),
            Entry::Link { path, to } => archive.extend_from_slice(&header(path, b'2', 0o777, 0, to)),
            Entry::File { path, mode, content } => {
                archive.extend_from_slice(&header(path, b'0', mode, content.len(), ""));
                archive.extend_from_slice(content);
                archive.resize(archive.len().next_multiple_of(512), 0);
            }
        }
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

fn header(path: &str, kind: u8, mode: u32, size: usize, link: &str) -> [u8; 512] {
    let mut block = [0_u8; 512];
    let mut put = |at: usize, text: &str| block[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, path);
    put(100, &format!("{mode:07o}"));
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{size:011o}"));
    put(136, "00000000000");
    put(148, "        ");
    put(157, link);
    put(257, "ustar\x0000");
    block[156] = kind;
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}
