//! What every `BlobStore` does.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use shorepass_store::{BlobKey, BlobStore, BlobWriter, StoreError, WriteState};

use crate::memory::Watch;
use crate::places::{Blobs, key};

const MIB: usize = 1 << 20;

/// Bytes that no other seed or place makes.
pub fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..length.div_ceil(8)).flat_map(|_| next()).take(length).collect()
}

/// In frames as they come from the network.
pub async fn write(writer: &mut Box<dyn BlobWriter>, content: &[u8]) {
    for frame in content.chunks(17_000) {
        writer.write(Bytes::copy_from_slice(frame)).await.unwrap();
    }
}

async fn put(store: &Arc<dyn BlobStore>, content: &[u8]) -> BlobKey {
    let key = key();
    let mut writer = store.writer(&key, &WriteState::default()).await.unwrap();
    write(&mut writer, content).await;
    assert_eq!(writer.finish().await.unwrap(), content.len() as u64);
    key
}

async fn read(store: &Arc<dyn BlobStore>, key: &BlobKey, start: usize, end: usize) -> Result<Vec<u8>, StoreError> {
    let pieces: Vec<Bytes> = store.read(key, start as u64..end as u64).await?.try_collect().await?;
    Ok(pieces.concat())
}

pub async fn content(store: &Arc<dyn BlobStore>, key: &BlobKey) -> Vec<u8> {
    let size = store.size(key).await.unwrap().expect("the object is there");
    read(store, key, 0, usize::try_from(size).unwrap()).await.unwrap()
}

async fn checkpoint(store: &Arc<dyn BlobStore>, key: &BlobKey, state: &WriteState, content: &[u8]) -> WriteState {
    let mut writer = store.writer(key, state).await.unwrap();
    write(&mut writer, content).await;
    // As the metadata keeps it.
    let state = serde_json::to_string(&writer.checkpoint().await.unwrap()).unwrap();
    serde_json::from_str(&state).unwrap()
}

pub async fn what_is_written_is_read(place: &Blobs) {
    let store = place.open().await;
    for length in [1, 4_096, 256 * 1024, 256 * 1024 + 1, 3 * MIB] {
        let written = bytes(length as u64, length);
        let key = put(&store, &written).await;
        assert_eq!(store.size(&key).await.unwrap(), Some(length as u64));
        assert!(content(&place.open().await, &key).await == written, "{length} bytes");
    }
}

pub async fn a_range_is_read_in_pieces(place: &Blobs) {
    let store = place.open().await;
    let written = bytes(1, MIB + 5);
    let key = put(&store, &written).await;
    for (start, end) in [(0, 1), (MIB + 4, MIB + 5), (1, MIB), (300_000, 900_001), (7, 7), (MIB + 5, MIB + 5)] {
        assert!(read(&store, &key, start, end).await.unwrap() == written[start..end], "{start}..{end}");
    }
    let pieces: Vec<Bytes> = store.read(&key, 0..MIB as u64 + 5).await.unwrap().try_collect().await.unwrap();
    assert!(pieces.iter().all(|piece| (1..=256 * 1024).contains(&piece.len())));
}

pub async fn an_object_may_be_empty(place: &Blobs) {
    let store = place.open().await;
    let written_at_once = put(&store, &[]).await;
    let checkpointed = key();
    let state = checkpoint(&store, &checkpointed, &WriteState::default(), &[]).await;
    assert_eq!(state.length, 0);
    store.writer(&checkpointed, &state).await.unwrap().finish().await.unwrap();
    for key in [written_at_once, checkpointed] {
        assert_eq!(store.size(&key).await.unwrap(), Some(0));
        assert!(read(&store, &key, 0, 0).await.unwrap().is_empty());
    }
}

pub async fn single_bytes_make_an_object(place: &Blobs) {
    let store = place.open().await;
    let written = bytes(1, 10_000);
    let key = key();
    let mut writer = store.writer(&key, &WriteState::default()).await.unwrap();
    for byte in &written {
        writer.write(Bytes::copy_from_slice(&[*byte])).await.unwrap();
    }
    writer.finish().await.unwrap();
    assert_eq!(content(&store, &key).await, written);
}

pub async fn a_large_object_takes_little_memory(place: &Blobs) {
    let store = place.open().await;
    let (frame, key) = (Bytes::from(bytes(1, MIB)), key());
    put(&store, &bytes(2, 9 * MIB)).await; // connections and buffers that stay
    let mut watch = Watch::begin().await;
    let mut writer = store.writer(&key, &WriteState::default()).await.unwrap();
    for _ in 0..64 {
        writer.write(frame.clone()).await.unwrap();
        watch.look();
    }
    writer.finish().await.unwrap();
    let mut pieces = store.read(&key, 0..64 * MIB as u64).await.unwrap();
    let mut length = 0;
    while let Some(piece) = pieces.next().await {
        length += piece.unwrap().len();
        watch.look();
    }
    assert_eq!(length, 64 * MIB);
    // S3 has no parts smaller than 5 MiB: one is held, and copied once on its way out.
    watch.assert_below_mib(if matches!(place, Blobs::Local(_)) { 6 } else { 28 });
}

pub async fn another_server_goes_on_from_a_checkpoint(place: &Blobs) {
    let (written, key) = (bytes(1, 21 * MIB), key());
    let cuts = [0, 1, 1_000, MIB, 8 * MIB, 8 * MIB + 1, 17 * MIB, 21 * MIB];
    let mut state = WriteState::default();
    for cut in cuts.windows(2) {
        state = checkpoint(&place.open().await, &key, &state, &written[cut[0]..cut[1]]).await;
        assert_eq!(state.length, cut[1] as u64);
    }
    let store = place.open().await;
    let length = store.writer(&key, &state).await.unwrap().finish().await.unwrap();
    assert_eq!(length, written.len() as u64);
    assert!(content(&store, &key).await == written);
}

pub async fn a_checkpoint_without_new_bytes_changes_nothing(place: &Blobs) {
    let (store, key) = (place.open().await, key());
    let state = checkpoint(&store, &key, &WriteState::default(), &bytes(1, 1_000)).await;
    assert_eq!(checkpoint(&store, &key, &state, &[]).await, state);
    store.writer(&key, &state).await.unwrap().finish().await.unwrap();
    assert_eq!(content(&store, &key).await, bytes(1, 1_000));
}

pub async fn what_an_interrupted_writer_left_is_discarded(place: &Blobs) {
    for length in [1_000, 9 * MIB] {
        let key = key();
        let store = place.open().await;
        let state = checkpoint(&store, &key, &WriteState::default(), &bytes(1, length)).await;
        let mut interrupted = store.writer(&key, &state).await.unwrap();
        write(&mut interrupted, &bytes(2, 10 * MIB)).await;
        drop(interrupted);
        let mut writer = store.writer(&key, &state).await.unwrap();
        write(&mut writer, &bytes(3, 2_000)).await;
        writer.finish().await.unwrap();
        assert!(content(&store, &key).await == [bytes(1, length), bytes(3, 2_000)].concat(), "{length}");
    }
}

pub async fn a_checkpoint_nobody_kept_is_discarded(place: &Blobs) {
    let (store, key) = (place.open().await, key());
    let state = checkpoint(&store, &key, &WriteState::default(), &bytes(1, 1_000)).await;
    checkpoint(&store, &key, &state, &bytes(2, 9 * MIB)).await;
    let mut writer = store.writer(&key, &state).await.unwrap();
    write(&mut writer, &bytes(3, 1_000)).await;
    writer.finish().await.unwrap();
    assert!(content(&store, &key).await == [bytes(1, 1_000), bytes(3, 1_000)].concat());
}

pub async fn bytes_that_are_gone_are_refused(place: &Blobs) {
    let (store, key) = (place.open().await, key());
    let state = checkpoint(&store, &key, &WriteState::default(), &bytes(1, 1_000)).await;
    let longer = WriteState { length: 1_001, ..state.clone() };
    assert!(matches!(store.writer(&key, &longer).await, Err(StoreError::Refused(_))));
    store.delete(&key, Some(&state)).await.unwrap();
    assert!(matches!(store.writer(&key, &state).await, Err(StoreError::Refused(_))));
}

pub async fn an_unfinished_object_is_not_there(place: &Blobs) {
    let (store, key) = (place.open().await, key());
    for length in [1_000, 9 * MIB] {
        checkpoint(&store, &key, &WriteState::default(), &bytes(1, length)).await;
        assert_eq!(store.size(&key).await.unwrap(), None);
        assert!(matches!(read(&store, &key, 0, 10).await, Err(StoreError::Corrupt(_))));
    }
}

pub async fn a_finished_object_does_not_change(place: &Blobs) {
    let store = place.open().await;
    for length in [1_000, 9 * MIB] {
        let key = key();
        let state = checkpoint(&store, &key, &WriteState::default(), &bytes(1, length)).await;
        store.writer(&key, &state).await.unwrap().finish().await.unwrap();
        for state in [WriteState::default(), state] {
            if let Ok(mut writer) = store.writer(&key, &state).await {
                let _refused = writer.write(Bytes::from(bytes(2, 9 * MIB))).await;
                assert!(matches!(writer.finish().await, Err(StoreError::Refused(_))), "{length}");
            }
        }
        assert!(content(&store, &key).await == bytes(1, length), "{length}");
    }
}

pub async fn the_newest_writer_wins(place: &Blobs) {
    let store = place.open().await;
    for length in [1_000, 9 * MIB] {
        let key = key();
        let mut old = store.writer(&key, &WriteState::default()).await.unwrap();
        write(&mut old, &bytes(1, length)).await;
        let mut new = store.writer(&key, &WriteState::default()).await.unwrap();
        write(&mut new, &bytes(2, length)).await;
        assert!(matches!(old.finish().await, Err(StoreError::Refused(_))), "{length}");
        new.finish().await.unwrap();
        assert!(content(&store, &key).await == bytes(2, length), "{length}");
    }
}

pub async fn many_read_at_once(place: &Blobs) {
    let store = place.open().await;
    let written = Arc::new(bytes(1, 2 * MIB));
    let key = put(&store, &written).await;
    let readers = (0..16).map(|number| {
        let (store, key, written) = (Arc::clone(&store), key.clone(), Arc::clone(&written));
        tokio::spawn(async move {
            let start = number * 10_000;
            assert!(read(&store, &key, start, 2 * MIB).await.unwrap() == written[start..]);
        })
    });
    for reader in readers.collect::<Vec<_>>() {
        reader.await.unwrap();
    }
}

pub async fn a_missing_or_shorter_object_is_corrupt(place: &Blobs) {
    let store = place.open().await;
    let missing = key();
    assert_eq!(store.size(&missing).await.unwrap(), None);
    for end in [0, 10] {
        assert!(matches!(read(&store, &missing, 0, end).await, Err(StoreError::Corrupt(_))));
    }
    let key = put(&store, &bytes(1, 1_000)).await;
    for (start, end) in [(0, 1_001), (1_000, 1_001), (2_000, 3_000)] {
        let answer = read(&store, &key, start, end).await;
        assert!(matches!(answer, Err(StoreError::Corrupt(_))), "{start}..{end}: {answer:?}");
    }
}

pub async fn deleting_leaves_nothing(place: &Blobs) {
    let (store, key) = (place.open().await, key());
    let mut state = WriteState::default();
    for number in 1..=3 {
        state = checkpoint(&store, &key, &state, &bytes(number, 1_000)).await;
    }
    store.writer(&key, &state).await.unwrap().finish().await.unwrap();
    store.delete(&key, None).await.unwrap();
    assert_eq!(store.size(&key).await.unwrap(), None);
    assert_eq!(place.names().await, Vec::<String>::new());
}

pub async fn deleting_twice_is_fine(place: &Blobs) {
    let store = place.open().await;
    let finished = put(&store, &bytes(1, 1_000)).await;
    let unfinished = key();
    let state = checkpoint(&store, &unfinished, &WriteState::default(), &bytes(1, 9 * MIB)).await;
    for _ in 0..2 {
        store.delete(&finished, None).await.unwrap();
        store.delete(&unfinished, Some(&state)).await.unwrap();
        store.delete(&key(), Some(&WriteState::default())).await.unwrap();
    }
    let (one, other) = tokio::join!(store.delete(&finished, None), store.delete(&finished, None));
    one.and(other).unwrap();
    assert_eq!(place.names().await, Vec::<String>::new());
}

pub async fn an_upload_under_way_can_be_deleted(place: &Blobs) {
    let (store, key) = (place.open().await, key());
    let state = checkpoint(&store, &key, &WriteState::default(), &bytes(1, 9 * MIB)).await;
    let mut writer = store.writer(&key, &state).await.unwrap();
    writer.write(Bytes::from(bytes(2, 1_000))).await.unwrap();
    store.delete(&key, Some(&state)).await.unwrap();
    assert!(matches!(writer.finish().await, Err(StoreError::Refused(_))));
    assert!(matches!(place.open().await.writer(&key, &state).await, Err(StoreError::Refused(_))));
    assert_eq!(place.names().await, Vec::<String>::new());
}

pub async fn a_ping_leaves_nothing_to_read(place: &Blobs) {
    let store = place.open().await;
    let (one, other) = tokio::join!(store.ping(), store.ping());
    one.and(other).unwrap();
    assert_eq!(place.names().await, Vec::<String>::new());
}
