//! Reading a request's body within its bounds: size, time, type, strict JSON.

use std::{future::poll_fn, pin::Pin, time::Duration};

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{HeaderMap, header},
};
use serde::de::DeserializeOwned;

use wallet::Code;

use crate::{HttpParams, Refusal};

/// The media type of JSON.
pub(crate) const JSON: &str = "application/json";

/// Reads a whole body. A body that is one chunk, as small ones are, is not copied.
///
/// # Errors
/// `too_large` past `body_bytes_max`, `timeout` past `read_timeout`, `bad_request` if it is cut off
/// or has a content encoding.
pub(crate) async fn read(headers: &HeaderMap, body: Body, params: &HttpParams) -> Result<Bytes, Refusal> {
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(Refusal::new(Code::BadRequest, "content encodings are not accepted in this version"));
    }
    let max = params.body_bytes_max;
    let announced = body.size_hint().lower();
    if usize::try_from(announced).map_or(true, |announced| announced > max) {
        return Err(too_large(max));
    }
    within(params.read_timeout, collect(body, max)).await
}

async fn within<T>(
    patience: Duration,
    reading: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    tokio::time::timeout(patience, reading).await.unwrap_or_else(|_| {
        Err(Refusal::new(Code::Timeout, "the body did not arrive in time; nothing was done"))
    })
}

async fn collect(mut body: Body, max: usize) -> Result<Bytes, Refusal> {
    let mut whole = Bytes::new();
    let mut gathered = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let frame = frame.map_err(|_| Refusal::new(Code::BadRequest, "the body was cut off"))?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + gathered.len() + data.len() > max {
            return Err(too_large(max));
        }
        if whole.is_empty() && gathered.is_empty() {
            whole = data;
        } else {
            gathered.extend_from_slice(&whole);
            whole = Bytes::new();
            gathered.extend_from_slice(&data);
        }
    }
    Ok(if gathered.is_empty() { whole } else { gathered.into() })
}

fn too_large(max: usize) -> Refusal {
    Refusal::new(Code::TooLarge, format!("a body has at most {max} bytes"))
}

/// Checks that the body is of one of `types`, whatever its parameters.
///
/// # Errors
/// `bad_request` that names the type expected, also where the header is given twice.
pub(crate) fn check_type(headers: &HeaderMap, types: &[&'static str]) -> Result<&'static str, Refusal> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let given = values.next().filter(|_| values.next().is_none());
    let given = given.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    let known = types.iter().find(|known| known.eq_ignore_ascii_case(essence));
    known.copied().ok_or_else(|| {
        Refusal::new(Code::BadRequest, format!("the content type must be {}", types.join(" or ")))
    })
}

/// Parses strict JSON: the types deny fields that they do not know.
///
/// # Errors
/// `unknown_field` for a field that is not known, `bad_request` for anything else.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8], unknown_field: Code) -> Result<T, Refusal> {
    serde_json::from_slice(bytes).map_err(|error| {
        let text = error.to_string();
        let unknown = text.starts_with("unknown field") || text.starts_with("unknown variant");
        Refusal::new(if unknown { unknown_field } else { Code::BadRequest }, text)
    })
}
