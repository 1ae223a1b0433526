//! Uploads under way.

use shorepass_store::meta::DeadObject;
use shorepass_store::rows::UploadRow;

use crate::fixture::{Fixture, at, id};

pub async fn an_upload_is_saved_against_its_version(f: Fixture) {
    let upload = f.upload("app", 1).await;
    assert_eq!(f.store.upload(upload.id).await.unwrap(), Some(upload.clone()));
    let further = UploadRow { offset: 500, state: b"further".to_vec(), updated_at: at(2), ..upload.clone() };
    assert!(f.store.save_upload(&further).await.unwrap());
    assert!(!f.another().save_upload(&upload).await.unwrap(), "somebody else was faster");
    let saved = UploadRow { version: upload.version + 1, ..further };
    assert_eq!(f.another().upload(upload.id).await.unwrap(), Some(saved.clone()));
    assert!(f.store.save_upload(&saved).await.unwrap());
    assert!(!f.store.save_upload(&UploadRow { id: id(), ..saved }).await.unwrap());
}

pub async fn a_cancelled_upload_is_buried_with_its_state(f: Fixture) {
    let upload = f.upload("app", 1).await;
    assert!(f.store.delete_upload(upload.id, at(2)).await.unwrap());
    assert!(!f.store.delete_upload(upload.id, at(2)).await.unwrap());
    assert_eq!(f.store.upload(upload.id).await.unwrap(), None);
    let expected = DeadObject { key: upload.key, upload_state: Some(upload.state) };
    assert_eq!(f.store.dead_objects(10).await.unwrap(), [expected]);
}

pub async fn untouched_uploads_are_stale(f: Fixture) {
    let (late, early, fresh) = (f.upload("a", 20).await, f.upload("b", 10).await, f.upload("c", 30).await);
    let stale = |rows: Vec<UploadRow>| rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
    assert_eq!(stale(f.store.stale_uploads(at(30), 10).await.unwrap()), [early.id, late.id]);
    assert_eq!(stale(f.store.stale_uploads(at(30), 1).await.unwrap()), [early.id]);
    assert!(f.store.save_upload(&UploadRow { updated_at: at(40), ..early }).await.unwrap());
    assert_eq!(stale(f.store.stale_uploads(at(31), 10).await.unwrap()), [late.id, fresh.id]);
}
