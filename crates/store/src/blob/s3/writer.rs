//! Writing one object: full parts go out as they fill, at most one is held in memory.

use std::fmt;
use std::mem;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::multipart::{MultipartStore, PartId};
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, PutPayloadMut};

use super::failure::{failure, found, is_unknown_to_server};
use super::{Bucket, body, in_time, late};
use crate::StoreError;
use crate::blob::fence::Ticket;
use crate::blob::{BlobKey, BlobWriter, Multipart, WriteState};

const MIB: u64 = 1024 * 1024;
/// How long the parts of an object may take to become one.
const COMPLETION: Duration = Duration::from_secs(120);
/// S3's bound on the parts of an object.
const MOST_PARTS: usize = 10_000;

/// Bytes of the part with this index (from 0). 8 MiB for the first 62 GiB; then more, for the sake of `MOST_PARTS`: the
/// largest object has 162 GiB.
fn part_size(index: usize) -> u64 {
    match index {
        0..8_000 => 8 * MIB,
        8_000..9_600 => 32 * MIB,
        _ => 128 * MIB,
    }
}

pub(super) struct S3Writer {
    bucket: Arc<Bucket>,
    key: BlobKey,
    ticket: Ticket,
    begun: WriteState,
    upload_id: String,
    parts: Vec<String>,
    /// What is not a full part yet.
    buffer: PutPayloadMut,
    length: u64,
    /// A part was not accepted: the bytes are lost.
    broken: bool,
}

impl fmt::Debug for S3Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Writer").field("key", &self.key).field("length", &self.length).finish_non_exhaustive()
    }
}

/// Goes on from `state`.
pub(super) async fn open(
    bucket: Arc<Bucket>,
    key: BlobKey,
    ticket: Ticket,
    state: &WriteState,
) -> Result<S3Writer, StoreError> {
    let _turn = ticket.turn().await?;
    let multipart = state.multipart.clone().unwrap_or_default();
    let parts_length: u64 = (0..multipart.parts.len()).map(part_size).sum();
    if parts_length + multipart.tail != state.length {
        return Err(StoreError::Refused("the state's lengths do not agree".to_owned()));
    }
    let mut buffer = empty_buffer();
    if multipart.tail > 0 {
        read_tail(&bucket, &key, state.length, &multipart, &mut buffer).await?;
    }
    if let Some(length) = multipart.stale_tail {
        let (bucket, path) = (Arc::clone(&bucket), bucket.tail(&key, length));
        tokio::spawn(async move { bucket.remove(&path).await });
    }
    Ok(S3Writer {
        bucket,
        key,
        begun: state.clone(),
        upload_id: multipart.upload_id,
        parts: multipart.parts,
        buffer,
        length: state.length,
        broken: false,
        ticket: ticket.clone(),
    })
}

fn finished() -> StoreError {
    StoreError::Refused("the object is finished".to_owned())
}

/// Small frames are copied together: a client that sends single bytes must not make us hold millions of them apart.
fn empty_buffer() -> PutPayloadMut {
    PutPayloadMut::new().with_block_size(256 * 1024)
}

async fn read_tail(
    bucket: &Bucket,
    key: &BlobKey,
    length: u64,
    multipart: &Multipart,
    buffer: &mut PutPayloadMut,
) -> Result<(), StoreError> {
    let gone = || StoreError::Refused("the bytes written so far are gone".to_owned());
    let answer = found(in_time(0, bucket.client.get(&bucket.tail(key, length))).await)?.ok_or_else(gone)?;
    // Compared here, not by `If-Match`: some servers take no notice of that.
    if answer.meta.size != multipart.tail || answer.meta.e_tag != multipart.tail_tag {
        return Err(gone());
    }
    let mut stream = pin!(body(answer));
    while let Some(bytes) = stream.try_next().await.map_err(failure)? {
        buffer.extend_from_slice(&bytes);
    }
    Ok(())
}

impl S3Writer {
    fn check(&self) -> Result<(), StoreError> {
        match self.broken {
            true => Err(StoreError::Refused("an earlier write of this object failed".to_owned())),
            false => Ok(()),
        }
    }

    /// Sends the buffer as the next part.
    async fn send_part(&mut self) -> Result<(), StoreError> {
        if self.parts.len() >= MOST_PARTS {
            return Err(StoreError::Refused("the object is larger than 162 GiB".to_owned()));
        }
        let turn = self.ticket.turn().await?;
        self.broken = true;
        let path = self.bucket.object(&self.key);
        if self.upload_id.is_empty() {
            self.upload_id = in_time(0, self.bucket.client.create_multipart(&path)).await.map_err(failure)?;
        }
        let payload = mem::replace(&mut self.buffer, empty_buffer()).freeze();
        let sent = payload.content_length();
        let part = self.bucket.client.put_part(&path, &self.upload_id, self.parts.len(), payload);
        let part = in_time(sent, part).await.map_err(failure)?;
        self.parts.push(part.content_id);
        self.broken = false;
        drop(turn);
        Ok(())
    }

    /// Keeps the buffer as the tail object of this checkpoint.
    async fn put_tail(&mut self) -> Result<Option<String>, StoreError> {
        let payload = mem::take(&mut self.buffer).freeze();
        let sent = payload.content_length();
        if sent == 0 {
            return Ok(None);
        }
        let path = self.bucket.tail(&self.key, self.length);
        let put = in_time(sent, self.bucket.client.put(&path, payload)).await;
        Ok(put.map_err(failure)?.e_tag)
    }

    /// An object that never filled a part. Only if there is none yet: what a row may name already never changes.
    async fn put_whole(&mut self) -> Result<(), StoreError> {
        let payload = mem::take(&mut self.buffer).freeze();
        let path = self.bucket.object(&self.key);
        let put = self.bucket.client.put_opts(&path, payload.clone(), PutOptions::from(PutMode::Create));
        match in_time(payload.content_length(), put).await {
            Ok(_) => Ok(()),
            Err(Error::AlreadyExists { .. }) => Err(finished()),
            Err(error) if is_unknown_to_server(&error) => self.put_unconditionally(payload).await,
            Err(error) => Err(failure(error)),
        }
    }

    async fn put_unconditionally(&self, payload: PutPayload) -> Result<(), StoreError> {
        if self.bucket.size(&self.key).await?.is_some() {
            return Err(finished());
        }
        let path = self.bucket.object(&self.key);
        let put = in_time(payload.content_length(), self.bucket.client.put(&path, payload)).await;
        put.map(|_| ()).map_err(failure)
    }

    async fn complete(&mut self) -> Result<(), StoreError> {
        if self.bucket.size(&self.key).await?.is_some() {
            return Err(finished());
        }
        let parts = self.parts.iter().map(|id| PartId { content_id: id.clone() }).collect();
        let path = self.bucket.object(&self.key);
        let complete = self.bucket.client.complete_multipart(&path, &self.upload_id, parts);
        // S3 may put a large object together for minutes; it sends spaces meanwhile.
        match tokio::time::timeout(COMPLETION, complete).await.unwrap_or_else(|_| Err(late())) {
            Ok(_) => Ok(()),
            // The answer to a first attempt may have been lost: then the upload is gone because the object is there.
            Err(Error::NotFound { .. }) if self.bucket.size(&self.key).await? == Some(self.length) => Ok(()),
            Err(error) => Err(failure(error)),
        }
    }

    /// The checkpoints' tails are of no use any more. What cannot be removed now goes with the object.
    fn remove_tails_later(&self) {
        let stale = self.begun.multipart.as_ref().and_then(|multipart| multipart.stale_tail);
        let lengths: Vec<u64> = stale.into_iter().chain(tail_of(&self.begun)).collect();
        let (bucket, key) = (Arc::clone(&self.bucket), self.key.clone());
        tokio::spawn(async move {
            for length in lengths {
                if let Err(error) = bucket.remove(&bucket.tail(&key, length)).await {
                    tracing::debug!(%error, key = key.as_str(), "a tail was left behind");
                }
            }
        });
    }
}

/// The length in the name of the state's tail object, if it has one.
fn tail_of(state: &WriteState) -> Option<u64> {
    let multipart = state.multipart.as_ref()?;
    (multipart.tail > 0).then_some(state.length)
}

#[async_trait]
impl BlobWriter for S3Writer {
    async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        self.check()?;
        let mut rest = bytes.as_ref();
        while !rest.is_empty() {
            let full = usize::try_from(part_size(self.parts.len())).unwrap_or(usize::MAX);
            let room = full.saturating_sub(self.buffer.content_length());
            let (head, tail) = rest.split_at(room.min(rest.len()));
            self.buffer.extend_from_slice(head);
            self.length += head.len() as u64;
            rest = tail;
            if self.buffer.content_length() >= full {
                self.send_part().await?;
            }
        }
        Ok(())
    }

    async fn checkpoint(mut self: Box<Self>) -> Result<WriteState, StoreError> {
        self.check()?;
        let _turn = self.ticket.turn().await?;
        if self.length == self.begun.length {
            return Ok(self.begun.clone());
        }
        let tail = self.buffer.content_length() as u64;
        let tail_tag = self.put_tail().await?;
        let multipart = Multipart {
            upload_id: mem::take(&mut self.upload_id),
            parts: mem::take(&mut self.parts),
            tail,
            tail_tag,
            stale_tail: tail_of(&self.begun),
        };
        Ok(WriteState { length: self.length, multipart: Some(multipart) })
    }

    async fn finish(mut self: Box<Self>) -> Result<u64, StoreError> {
        self.check()?;
        if self.upload_id.is_empty() {
            let _turn = self.ticket.turn().await?;
            self.put_whole().await?;
        } else {
            if !self.buffer.is_empty() {
                self.send_part().await?;
            }
            let _turn = self.ticket.turn().await?;
            self.complete().await?;
            self.upload_id.clear();
        }
        self.remove_tails_later();
        Ok(self.length)
    }
}

impl Drop for S3Writer {
    /// A multipart upload that no state names would be kept, and paid for, until the bucket's lifecycle ends it.
    fn drop(&mut self) {
        let begun = self.begun.multipart.as_ref().is_some_and(|multipart| !multipart.upload_id.is_empty());
        if begun || self.upload_id.is_empty() {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (bucket, key, upload_id) = (Arc::clone(&self.bucket), self.key.clone(), mem::take(&mut self.upload_id));
        runtime.spawn(async move {
            if let Err(error) = bucket.abort(&key, &upload_id).await {
                tracing::warn!(%error, key = key.as_str(), "an abandoned multipart upload was left behind");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::{S3Config, client};
    use super::*;
    use crate::blob::fence::Fences;
    use shorepass_core::{SystemClock, SystemRandom, new_id};

    #[test]
    fn the_largest_part_is_reached_late() {
        let total: u64 = (0..MOST_PARTS).map(part_size).sum();
        assert_eq!(total, 8_000 * 8 * MIB + 1_600 * 32 * MIB + 400 * 128 * MIB);
        assert_eq!(total / (1024 * MIB), 162);
    }

    fn bucket() -> Arc<Bucket> {
        let url = std::env::var("SHOREPASS_TEST_S3").expect("SHOREPASS_TEST_S3 is not set: run `cargo xtask test`");
        let url: url::Url = url.parse().unwrap();
        let value = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        let config = S3Config {
            bucket: value("bucket").unwrap(),
            prefix: String::new(),
            endpoint: Some(url.join("/").unwrap()),
            region: value("region").unwrap_or_else(|| "us-east-1".to_owned()),
            access_key_id: value("access_key"),
            secret_access_key: value("secret_key").map(Into::into),
        };
        Arc::new(Bucket { client: client(&config).unwrap(), prefix: format!("test/{}/", key().as_str()) })
    }

    fn key() -> BlobKey {
        BlobKey::new(new_id(&SystemClock, &SystemRandom))
    }

    #[tokio::test]
    async fn an_abandoned_multipart_upload_is_aborted() {
        let (bucket, key) = (bucket(), key());
        let ticket = Fences::default().enter(&key).await;
        let mut writer = open(Arc::clone(&bucket), key.clone(), ticket, &WriteState::default()).await.unwrap();
        writer.write(Bytes::from(vec![1; 9 << 20])).await.unwrap();
        let upload_id = writer.upload_id.clone();
        let path = bucket.object(&key);
        let part = || bucket.client.put_part(&path, &upload_id, 1, PutPayload::from_static(b"x"));
        part().await.unwrap();
        drop(writer);
        let aborted = async {
            while part().await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), aborted).await.unwrap();
    }
}
