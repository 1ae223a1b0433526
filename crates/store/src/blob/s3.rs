//! Objects in S3, or in anything that speaks its protocol.
//!
//! An object under way is a multipart upload. What is not yet a full part is kept in `<key>.tail-<length>`, a new object
//! for each checkpoint, so that a checkpoint that is interrupted does not damage the one before. A writer that vanishes
//! without a checkpoint (the process was killed) leaves a multipart upload nobody knows: give the bucket a lifecycle rule
//! that aborts incomplete multipart uploads after some days.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, Error, GetOptions, GetResult, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig,
};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::fence::Fences;
use super::{BlobKey, BlobStore, BlobStream, BlobWriter, PIECE, WriteState};
use crate::StoreError;

mod failure;
mod writer;

use failure::{failure, found, is_beyond_the_end, missing_is_fine};

/// Where the objects are and who we are there.
#[derive(Debug, Clone)]
pub struct S3Config {
    pub bucket: String,
    /// A folder in the bucket; empty for none.
    pub prefix: String,
    /// `None`: AWS's own for the region. Plain HTTP where the URL says so.
    pub endpoint: Option<Url>,
    pub region: String,
    /// Without both: what the environment of an AWS workload offers (variables, web identity, instance role).
    pub access_key_id: Option<String>,
    pub secret_access_key: Option<SecretString>,
}

/// Objects in a bucket.
pub struct S3BlobStore {
    bucket: Arc<Bucket>,
    fences: Fences,
}

/// The bucket and our folder in it.
struct Bucket {
    client: AmazonS3,
    /// Empty, or ends with a slash.
    prefix: String,
}

impl S3BlobStore {
    /// The store in a bucket that exists. Nothing is sent: `ping` tells whether it can be reached and written.
    pub fn open(config: &S3Config) -> Result<Arc<dyn BlobStore>, StoreError> {
        let prefix = match config.prefix.trim_matches('/') {
            "" => String::new(),
            folder => format!("{folder}/"),
        };
        let bucket = Arc::new(Bucket { client: client(config)?, prefix });
        Ok(Arc::new(Self { bucket, fences: Fences::default() }))
    }
}

impl fmt::Debug for S3BlobStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bucket.fmt(f)
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3").field("client", &self.client.to_string()).field("prefix", &self.prefix).finish()
    }
}

fn client(config: &S3Config) -> Result<AmazonS3, StoreError> {
    let keys = config.access_key_id.as_ref().zip(config.secret_access_key.as_ref());
    let mut builder = match keys {
        Some((id, secret)) => {
            AmazonS3Builder::new().with_access_key_id(id).with_secret_access_key(secret.expose_secret())
        }
        None => AmazonS3Builder::from_env(),
    };
    let plain = config.endpoint.as_ref().is_some_and(|endpoint| endpoint.scheme() == "http");
    if let Some(endpoint) = &config.endpoint {
        builder = builder.with_endpoint(endpoint.as_str().trim_end_matches('/'));
    }
    // Answers are waited for with `in_time`: a bound here would also count the time in which a slow client takes nothing.
    let options = ClientOptions::new()
        .with_allow_http(plain)
        .with_connect_timeout(Duration::from_secs(2))
        .with_timeout_disabled();
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(1),
        ..BackoffConfig::default()
    };
    let retry = RetryConfig { backoff, max_retries: 2, retry_timeout: Duration::from_secs(5) };
    builder
        .with_bucket_name(&config.bucket)
        .with_region(&config.region)
        .with_client_options(options)
        .with_retry(retry)
        .build()
        .map_err(failure)
}

/// How long an answer, or the next bytes of one, may take.
const ANSWER: Duration = Duration::from_secs(15);

/// Waits for an answer to a request that carries `sent` bytes, at 1 MiB/s or faster.
async fn in_time<T>(sent: usize, request: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let time = ANSWER + Duration::from_micros(sent as u64);
    tokio::time::timeout(time, request).await.unwrap_or_else(|_| Err(late()))
}

fn late() -> Error {
    Error::Generic { store: "S3", source: "no answer in time".into() }
}

/// The bytes of an answer. Time counts while somebody waits for bytes, not while nobody takes them.
fn body(answer: GetResult) -> impl Stream<Item = Result<Bytes, Error>> + Send + 'static {
    stream::try_unfold(answer.into_stream(), |mut bytes| async move {
        let next = tokio::time::timeout(ANSWER, bytes.try_next()).await.map_err(|_| late())??;
        Ok(next.map(|next| (next, bytes)))
    })
}

impl Bucket {
    fn path(&self, name: &str) -> Path {
        Path::from(format!("{}{name}", self.prefix))
    }

    fn object(&self, key: &BlobKey) -> Path {
        self.path(key.as_str())
    }

    fn tail(&self, key: &BlobKey, length: u64) -> Path {
        self.path(&format!("{}{length}", tail_prefix(key)))
    }

    async fn size(&self, key: &BlobKey) -> Result<Option<u64>, StoreError> {
        let meta = found(in_time(0, self.client.head(&self.object(key))).await)?;
        Ok(meta.map(|meta| meta.size))
    }

    async fn remove(&self, path: &Path) -> Result<(), StoreError> {
        missing_is_fine(in_time(0, self.client.delete(path)).await)
    }

    /// What we may not abort is left to the bucket's lifecycle rule (some servers also say so of what is gone).
    async fn abort(&self, key: &BlobKey, upload_id: &String) -> Result<(), StoreError> {
        match in_time(0, self.client.abort_multipart(&self.object(key), upload_id)).await {
            Err(error @ Error::PermissionDenied { .. }) => {
                tracing::warn!(%error, "a multipart upload was not aborted");
                Ok(())
            }
            answer => missing_is_fine(answer),
        }
    }

    /// Removes the tails of all checkpoints, also of those nobody kept the state of.
    async fn remove_tails(&self, key: &BlobKey) -> Result<(), StoreError> {
        let prefix = self.path(&tail_prefix(key));
        let mut page_token = None;
        loop {
            let options = PaginatedListOptions { page_token, ..PaginatedListOptions::default() };
            let page = self.client.list_paginated(Some(prefix.as_ref()), options);
            let page = in_time(0, page).await.map_err(failure)?;
            for object in page.result.objects {
                self.remove(&object.location).await?;
            }
            page_token = page.page_token;
            if page_token.is_none() {
                return Ok(());
            }
        }
    }
}

fn tail_prefix(key: &BlobKey) -> String {
    format!("{}.tail-", key.as_str())
}

#[async_trait]
impl BlobStore for S3BlobStore {
    async fn writer(&self, key: &BlobKey, state: &WriteState) -> Result<Box<dyn BlobWriter>, StoreError> {
        let ticket = self.fences.enter(key).await;
        Ok(Box::new(writer::open(Arc::clone(&self.bucket), key.clone(), ticket, state).await?))
    }

    async fn read(&self, key: &BlobKey, range: Range<u64>) -> Result<BlobStream, StoreError> {
        let missing = || StoreError::Corrupt(format!("object `{}` is missing", key.as_str()));
        if range.is_empty() {
            self.bucket.size(key).await?.ok_or_else(missing)?;
            return Ok(stream::empty().boxed());
        }
        let shorter = || StoreError::Corrupt(format!("object `{}` is shorter than {} bytes", key.as_str(), range.end));
        let options = GetOptions { range: Some(range.clone().into()), ..GetOptions::default() };
        let answer = match in_time(0, self.bucket.client.get_opts(&self.bucket.object(key), options)).await {
            Err(error) if is_beyond_the_end(&error) => return Err(shorter()),
            answer => found(answer)?.ok_or_else(missing)?,
        };
        if answer.range != range {
            return Err(shorter());
        }
        let pieces = body(answer).map_err(failure).map_ok(|bytes| stream::iter(pieces(bytes).map(Ok)));
        Ok(pieces.try_flatten().boxed())
    }

    async fn size(&self, key: &BlobKey) -> Result<Option<u64>, StoreError> {
        self.bucket.size(key).await
    }

    async fn delete(&self, key: &BlobKey, state: Option<&WriteState>) -> Result<(), StoreError> {
        let ticket = self.fences.enter(key).await;
        let _turn = ticket.last_turn().await;
        if let Some(multipart) = state.and_then(|state| state.multipart.as_ref())
            && !multipart.upload_id.is_empty()
        {
            self.bucket.abort(key, &multipart.upload_id).await?;
        }
        self.bucket.remove_tails(key).await?;
        self.bucket.remove(&self.bucket.object(key)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let path = self.bucket.path("blobs/.probe");
        let probe = self.bucket.client.put(&path, PutPayload::from_static(b"probe"));
        match tokio::time::timeout(Duration::from_secs(5), probe).await {
            Ok(answer) => answer.map(|_| ()).map_err(failure),
            Err(_) => Err(StoreError::Unavailable("no answer within 5 s".to_owned())),
        }
    }
}

/// Cuts what the network gave into pieces of the size readers are promised.
fn pieces(mut bytes: Bytes) -> impl Iterator<Item = Bytes> {
    let most = usize::try_from(PIECE).unwrap_or(usize::MAX);
    std::iter::from_fn(move || {
        let piece = bytes.split_to(most.min(bytes.len()));
        (!piece.is_empty()).then_some(piece)
    })
}
