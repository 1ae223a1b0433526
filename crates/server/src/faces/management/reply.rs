//! What handlers answer, as types: the router, the API's description and the code cannot disagree about it.

use http::StatusCode;
use http::header::{ETAG, HeaderValue};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use shorepass_control::{Listed, Made};

use super::{Managing, Problem};
use crate::respond::{self, Answer};

/// An answer.
pub trait Reply: Sized {
    /// What it is when all goes well.
    const STATUS: u16;
    /// Of an answer that says: it was there already.
    const ALSO: Option<u16> = None;
    /// None for an answer without a body.
    fn schema(generator: &mut SchemaGenerator) -> Option<Schema>;
    fn answer(self) -> Answer;
}

/// A resource, or something about one.
pub struct Shown<T>(pub T);

/// It is gone.
pub struct Gone;

impl<T: Serialize + JsonSchema> Reply for Shown<T> {
    const STATUS: u16 = 200;

    fn schema(generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<T>())
    }

    fn answer(self) -> Answer {
        tagged(StatusCode::OK, &self.0)
    }
}

impl<T: Serialize + JsonSchema> Reply for Made<T> {
    const STATUS: u16 = 201;
    const ALSO: Option<u16> = Some(200);

    fn schema(generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<T>())
    }

    fn answer(self) -> Answer {
        tagged(if self.new { StatusCode::CREATED } else { StatusCode::OK }, &self.view)
    }
}

impl<T: Serialize + JsonSchema> Reply for Listed<T> {
    const STATUS: u16 = 200;

    fn schema(generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<Self>())
    }

    fn answer(self) -> Answer {
        respond::json(StatusCode::OK, &self)
    }
}

impl Reply for Gone {
    const STATUS: u16 = 204;

    fn schema(_: &mut SchemaGenerator) -> Option<Schema> {
        None
    }

    fn answer(self) -> Answer {
        respond::status(StatusCode::NO_CONTENT)
    }
}

/// With the resource's etag as a header too, where it has one.
fn tagged<T: Serialize>(status: StatusCode, value: &T) -> Answer {
    let value = match serde_json::to_value(value) {
        Ok(value) => value,
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            return respond::status(StatusCode::INTERNAL_SERVER_ERROR);
        }
    };
    let mut answer = respond::json(status, &value);
    if let Some(etag) = value.get("etag").and_then(|etag| etag.as_str())
        && let Ok(etag) = HeaderValue::from_str(&format!("\"{etag}\""))
    {
        answer.headers_mut().insert(ETAG, etag);
    }
    answer
}

/// What a handler takes from the body.
pub trait Body: Sized {
    fn schema(generator: &mut SchemaGenerator) -> Option<Schema>;
    fn read(call: &Managing) -> Result<Self, Problem>;
}

/// Nothing: what is sent all the same is refused, for whoever sends it means something by it.
impl Body for () {
    fn schema(_: &mut SchemaGenerator) -> Option<Schema> {
        None
    }

    fn read(call: &Managing) -> Result<Self, Problem> {
        let empty = serde_json::from_slice::<serde_json::Map<_, _>>(&call.body)
            .is_ok_and(|body: serde_json::Map<String, serde_json::Value>| body.is_empty());
        if call.body.is_empty() || empty {
            return Ok(());
        }
        Err(Problem::bad_request("this call takes no body"))
    }
}

/// A JSON object; an empty body is `{}`. Unknown fields are refused by the types.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + JsonSchema> Body for Json<T> {
    fn schema(generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<T>())
    }

    fn read(call: &Managing) -> Result<Self, Problem> {
        let body: &[u8] = if call.body.is_empty() { b"{}" } else { &call.body };
        serde_json::from_slice(body)
            .map(Self)
            .map_err(|error| Problem::bad_request(format!("the body is not as it should be: {error}")))
    }
}
