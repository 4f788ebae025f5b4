//! Answers of status 200, by media type.

use axum::{
    body::Body,
    http::{HeaderValue, Response, header},
};
use serde::Serialize;

/// An answer of this media type.
pub(crate) fn of_type(media_type: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// JSON that is written already.
pub(crate) fn json_text(text: String) -> Response<Body> {
    of_type("application/json", text)
}

/// A value as JSON.
pub(crate) fn json(value: &impl Serialize) -> Response<Body> {
    json_text(serde_json::to_string(value).expect("answers are structs of texts and numbers"))
}
