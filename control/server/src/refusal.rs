//! `Refusal`: a problem on its way out: status, media type, headers, counting.
//!
//! Holds: the body is the problem's and nothing else; what differs per request rides in headers.
//! Leaves to others: the words and the body (`wallet::Problem`), the numbers (`status`).

use std::borrow::Cow;

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Response, header},
    response::IntoResponse,
};
use caps::{CapError, Class};
use model::Reason;
use wallet::{BodyError, Code, KeyError, Problem, Surface};

use crate::{CorrId, PortError, status};

/// The media type of problems (RFC 9457).
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Says that an answer is the first one again.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The reasons of entries that were refused inside an answer, for counting.
#[derive(Clone, Debug)]
pub(crate) struct EntriesRejected(pub(crate) Vec<&'static str>);

/// Marks a response as a refusal, for counting and for the log.
#[derive(Clone, Debug)]
pub(crate) struct Rejected {
    pub(crate) code: Code,
    /// What the log says beside the code and the caller does not hear.
    pub(crate) note: Cow<'static, str>,
}

/// A problem as an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    problem: Box<Problem>,
    note: Cow<'static, str>,
}

impl Refusal {
    /// A refusal with the code's own sentence.
    #[must_use]
    pub fn of(code: Code) -> Self {
        Problem::new(code).into()
    }

    /// A refusal; `detail` says what about this request, and nothing secret.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Problem::new(code).detail(detail).into()
    }

    /// A defect of ours: `note` goes to the log, the caller hears `internal`.
    #[must_use]
    pub fn defect(note: impl Into<Cow<'static, str>>) -> Self {
        Self { note: note.into(), ..Self::of(Code::Internal) }
    }

    /// A refusal of the reader.
    #[must_use]
    pub(crate) fn of_reason(reason: Reason) -> Self {
        Problem::of_declined(&model::Declined { reason, number: 0 }).into()
    }

    /// A port that has no answer to a write.
    #[must_use]
    pub fn of_write(error: PortError) -> Self {
        match error {
            PortError::Busy => Self::of(Code::Busy),
            PortError::SafeMode => Self::of(Code::SafeMode),
            PortError::Timeout => Problem::unknown(Code::Timeout).into(),
            PortError::Gone => Self::of(Code::UpstreamUnavailable),
        }
    }

    /// A port that has no answer to a read.
    #[must_use]
    pub fn of_read(error: PortError) -> Self {
        match error {
            PortError::Busy => Self::of(Code::Busy),
            PortError::SafeMode => Self::of(Code::SafeMode),
            PortError::Timeout => Self::of(Code::Timeout),
            PortError::Gone => Self::of(Code::UpstreamUnavailable),
        }
    }

    /// A capability that does not allow what was asked.
    #[must_use]
    pub fn of_capability(error: CapError) -> Self {
        let code = match error.class() {
            Class::Unauthenticated => Code::Unauthorized,
            Class::Forbidden => Code::Forbidden,
        };
        Self { note: Cow::Borrowed(error.word()), ..Self::new(code, error.to_string()) }
    }

    /// A body that does not parse.
    #[must_use]
    pub(crate) fn of_body(error: &BodyError, surface: Surface) -> Self {
        error.problem(surface).into()
    }

    /// The answer as bytes, for a connection on which no request was read; it ends with it.
    pub(crate) fn bare(code: Code, corr: &CorrId) -> Vec<u8> {
        let unreadable = code == Code::BadRequest;
        let detail = if unreadable { "what was sent is not an HTTP request" } else { code.title() };
        let number = status::of(code);
        let body = Problem::new(code).detail(detail).to_json(number);
        let reason = status::code(number).canonical_reason().unwrap_or_default();
        let retry = status::retry_after_seconds(code).map(|seconds| format!("retry-after: {seconds}\r\n"));
        format!(
            "HTTP/1.1 {number} {reason}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n\
             x-corr-id: {corr}\r\n{}connection: close\r\n\r\n{body}",
            body.len(),
            retry.unwrap_or_default(),
        )
        .into_bytes()
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.problem.code
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self { problem: Box::new(problem), note: Cow::Borrowed("") }
    }
}

impl From<KeyError> for Refusal {
    fn from(error: KeyError) -> Self {
        Problem::from(error).into()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response<Body> {
        let code = self.problem.code;
        let mut response = Response::new(Body::from(self.problem.to_json(status::of(code))));
        *response.status_mut() = status::code(status::of(code));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, PROBLEM_JSON);
        if let Some(seconds) = status::retry_after_seconds(code) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        if code == Code::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(Rejected { code, note: self.note });
        response
    }
}

/// The answer to a method that a route does not have. axum adds `Allow`.
pub(crate) async fn method_not_allowed() -> Refusal {
    Refusal::of(Code::MethodNotAllowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overload_and_missing_capabilities_say_what_to_do() {
        let response = Refusal::of(Code::Busy).into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        let response = Refusal::of(Code::Unauthorized).into_response();
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer");
        let response = Refusal::of(Code::NotFound).into_response();
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        assert!(!response.headers().contains_key(header::RETRY_AFTER));
    }

    #[test]
    fn a_bare_answer_is_a_whole_one() {
        let corr = CorrId::take(&HeaderValue::from_static("c-1")).unwrap();
        let text = String::from_utf8(Refusal::bare(Code::Overloaded, &corr)).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{head}");
        for line in ["x-corr-id: c-1", "retry-after: 1", &format!("content-length: {}", body.len())] {
            assert!(head.lines().any(|known| known == line), "{line}: {head}");
        }
        let problem: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!((problem["status"].as_u64(), problem["code"].as_str()), (Some(503), Some("overloaded")));
    }
}
