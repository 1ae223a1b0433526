//! Building answers.

use bytes::Bytes;
use futures::TryStreamExt as _;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use serde::Serialize;
use shorepass_store::BlobStream;

use crate::net::Body;

pub type Answer = Response<Body>;

/// An answer with this status, no body, and `Content-Length: 0` where a body could be.
pub fn status(status: StatusCode) -> Answer {
    let mut answer = Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync());
    *answer.status_mut() = status;
    if status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED {
        answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    answer
}

pub fn bytes(status: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Answer {
    let body = body.into();
    let length = body.len() as u64;
    let mut answer = Response::new(Full::new(body).map_err(|never| match never {}).boxed_unsync());
    *answer.status_mut() = status;
    set(&mut answer, CONTENT_TYPE, content_type);
    answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    answer
}

pub fn json<T: Serialize>(status: StatusCode, value: &T) -> Answer {
    json_as(status, "application/json", value)
}

/// JSON under a media type of its own.
pub fn json_as<T: Serialize>(status: StatusCode, content_type: &str, value: &T) -> Answer {
    match serde_json::to_vec(value) {
        Ok(body) => bytes(status, content_type, body),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            self::status(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

/// Content of known length, streamed.
pub fn stream(status: StatusCode, length: u64, content: BlobStream) -> Answer {
    let frames = content.map_ok(Frame::data).map_err(|error| {
        tracing::error!(%error, "a blob could not be read to its end");
        std::io::Error::other("the blob could not be read")
    });
    let mut answer = Response::new(StreamBody::new(frames).boxed_unsync());
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    answer
}

/// The same answer without its body: what HEAD shows.
pub fn head(answer: Answer) -> Answer {
    answer.map(|_| Empty::new().map_err(|never| match never {}).boxed_unsync())
}

/// Sets a header; a value that cannot be one is left out, and said so in the log.
pub fn set(answer: &mut Answer, name: HeaderName, value: &str) {
    match HeaderValue::from_str(value) {
        Ok(value) => {
            answer.headers_mut().insert(name, value);
        }
        Err(_) => tracing::error!(header = name.as_str(), "a header's value was not one"),
    }
}

/// What holds a token is not kept by anybody on the way.
pub fn no_store(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
