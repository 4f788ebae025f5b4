//! `Problem`: a refusal as an RFC 9457 problem document.
//!
//! Holds: the body is a function of the code, the detail and the numbers alone, so that a stored
//! refusal is the same bytes each time; what differs per request rides in headers.

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
};
use model::Reason;
use serde::Serialize;

use crate::{Code, PortError, status};

/// The media type of problems (RFC 9457).
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// A number that a code needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Number {
    /// What was expected (a nonce) or stands now (a precondition).
    Expected(u64),
    /// The available balance, as a decimal string of minor units.
    Available(String),
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    code: Code,
    detail: String,
    number: Option<Number>,
    fate_open: bool,
    allow: Option<HeaderValue>,
}

/// Marks a response as a refusal, for counting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rejected(pub(crate) Code);

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    available: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
}

impl Problem {
    /// A refusal with `code`; `detail` says what about this request, and nothing secret.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), number: None, fate_open: false, allow: None }
    }

    /// A refusal with the code's own sentence.
    #[must_use]
    pub fn plain(code: Code) -> Self {
        Self::new(code, code.title())
    }

    /// A refusal of the ledger that left nothing behind.
    #[must_use]
    pub fn of_reason(reason: Reason) -> Self {
        if reason == Reason::Archived {
            return Self::new(Code::NotFound, "the range is in the archive only");
        }
        let problem = Self::plain(Code::of_reason(reason));
        if reason == Reason::Timeout { problem.with_open_fate() } else { problem }
    }

    /// A port that has no answer to a write.
    #[must_use]
    pub fn of_write(error: PortError) -> Self {
        match error {
            PortError::Busy => Self::plain(Code::Busy),
            PortError::SafeMode => Self::plain(Code::SafeMode),
            PortError::Timeout => {
                Self::new(Code::Timeout, "no durable answer in time; ask again with the same key")
                    .with_open_fate()
            }
            PortError::Gone => Self::plain(Code::UpstreamUnavailable),
        }
    }

    /// A port that has no answer to a read.
    #[must_use]
    pub fn of_read(error: PortError) -> Self {
        match error {
            PortError::Busy => Self::plain(Code::Busy),
            PortError::SafeMode => Self::plain(Code::SafeMode),
            PortError::Timeout => Self::new(Code::Timeout, "no answer in time"),
            PortError::Gone => Self::plain(Code::UpstreamUnavailable),
        }
    }

    /// The same with the number that its code needs.
    #[must_use]
    pub fn with_number(mut self, number: Number) -> Self {
        self.number = Some(number);
        self
    }

    /// The same for a write whose fate is open.
    #[must_use]
    pub fn with_open_fate(mut self) -> Self {
        self.fate_open = true;
        self
    }

    /// The same with the methods that the route has.
    #[must_use]
    pub fn with_allow(mut self, methods: &'static str) -> Self {
        self.allow = Some(HeaderValue::from_static(methods));
        self
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// The document's bytes.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let (expected, available) = match &self.number {
            None => (None, None),
            Some(Number::Expected(expected)) => (Some(*expected), None),
            Some(Number::Available(available)) => (None, Some(available.as_str())),
        };
        let document = Document {
            r#type: format!("urn:macronode:{}", self.code.word()),
            title: self.code.title(),
            status: status::of(self.code),
            detail: &self.detail,
            code: self.code.word(),
            retryable: self.code.is_retryable(),
            expected,
            available,
            outcome: self.fate_open.then_some("unknown"),
        };
        serde_json::to_vec(&document).expect("a struct of texts and numbers has a JSON form")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(Bytes::from(self.body())));
        *response.status_mut() =
            StatusCode::from_u16(status::of(self.code)).expect("the table holds valid statuses");
        response.headers_mut().insert(header::CONTENT_TYPE, PROBLEM_JSON);
        if let Some(seconds) = status::retry_after_seconds(self.code) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        if self.code == Code::Unauthorized {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(methods) = self.allow {
            response.headers_mut().insert(header::ALLOW, methods);
        }
        response.extensions_mut().insert(Rejected(self.code));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_a_function_of_its_parts() {
        let problem = Problem::plain(Code::NonceConflict).with_number(Number::Expected(42));
        let expected = concat!(
            r#"{"type":"urn:macronode:nonce_conflict","title":"The nonce is not the next one.","#,
            r#""status":409,"detail":"The nonce is not the next one.","code":"nonce_conflict","#,
            r#""retryable":false,"expected":42}"#
        );
        assert_eq!(String::from_utf8(problem.body()).unwrap(), expected);
    }

    #[test]
    fn an_open_fate_is_said() {
        let problem = Problem::of_write(PortError::Timeout);
        let document: serde_json::Value = serde_json::from_slice(&problem.body()).unwrap();
        assert_eq!(document["outcome"], "unknown");
        assert_eq!(document["status"], 408);
        assert_eq!(document["retryable"], true);
    }

    #[test]
    fn overload_and_missing_capabilities_say_what_to_do() {
        let response = Problem::plain(Code::Busy).into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        let response = Problem::plain(Code::Unauthorized).into_response();
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer");
    }
}
