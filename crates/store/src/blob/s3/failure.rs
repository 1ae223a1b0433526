//! What an answer of S3 means to us.

use object_store::Error;

use crate::StoreError;

/// `None` for an object that is not there.
pub(super) fn found<T>(answer: Result<T, Error>) -> Result<Option<T>, StoreError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(failure(error)),
    }
}

/// For removals: what is not there is removed.
pub(super) fn missing_is_fine<T>(answer: Result<T, Error>) -> Result<(), StoreError> {
    found(answer).map(|_| ())
}

/// Whether the server does not know the operation or a header of it.
pub(super) fn is_unknown_to_server(error: &Error) -> bool {
    error.to_string().contains("status code: 501")
}

/// Whether a range begins after the object's last byte.
pub(super) fn is_beyond_the_end(error: &Error) -> bool {
    error.to_string().contains("status code: 416")
}

pub(super) fn failure(error: Error) -> StoreError {
    let text = shortened(&error.to_string());
    match error {
        Error::Generic { .. } if is_full(&text) => StoreError::NotWritable(text),
        Error::Generic { .. } if is_lasting(&text) => StoreError::Refused(text),
        Error::Generic { .. } | Error::JoinError { .. } => StoreError::Unavailable(text),
        _ if is_full(&text) => StoreError::NotWritable(text),
        _ => StoreError::Refused(text),
    }
}

/// The codes MinIO, Ceph and SeaweedFS answer when there is no room; AWS has none.
fn is_full(text: &str) -> bool {
    ["StorageFull", "QuotaExceeded", "InsufficientStorage", "status code: 507"].iter().any(|code| text.contains(code))
}

/// Client errors but those that tell to come again. `object_store` hides the status, so it is read from the text.
fn is_lasting(text: &str) -> bool {
    let again = ["status code: 408", "status code: 429"].iter().any(|code| text.contains(code));
    text.contains("status code: 4") && !again
}

/// Enough for the code and the message of an answer, not for a whole page from some proxy.
fn shortened(text: &str) -> String {
    const MOST: usize = 600;
    let end = text.char_indices().nth(MOST).map_or(text.len(), |(index, _)| index);
    text.get(..end).unwrap_or_default().replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: &str) -> StoreError {
        let source = format!("Error performing PUT - Server returned non-2xx status code: {status}: ").into();
        failure(Error::Generic { store: "S3", source })
    }

    #[test]
    fn a_failure_tells_whether_to_come_again() {
        assert!(matches!(answered("503 Service Unavailable"), StoreError::Unavailable(_)));
        assert!(matches!(answered("429 Too Many Requests"), StoreError::Unavailable(_)));
        assert!(matches!(answered("400 Bad Request"), StoreError::Refused(_)));
        assert!(matches!(answered("507 Insufficient Storage"), StoreError::NotWritable(_)));
    }
}
