//! Usage events as `CloudEvents` 1.0 in JSON, one or a batch.
//!
//! Source: `CloudEvents` specification 1.0.2 and its JSON event format; the structured and the
//! batched content mode of its HTTP binding.

use model::Timestamp;
use serde::Deserialize;
use wire::usage::{EventId, LabelSet, Tally, UsageItem};

use wallet::Code;

use crate::{Refusal, body};

/// The media type of one event.
pub(crate) const SINGLE: &str = "application/cloudevents+json";
/// The media type of a batch.
pub(crate) const BATCH: &str = "application/cloudevents-batch+json";

/// Events of one batch.
const EVENTS_MAX: usize = 8_192;

/// One event. The trace attributes are taken and not used; other extensions are refused, so that
/// a misspelt attribute is not lost in silence.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Event {
    specversion: String,
    id: String,
    source: String,
    /// The service.
    r#type: String,
    /// The tenant.
    subject: String,
    #[serde(default)]
    time: Option<String>,
    #[serde(default)]
    datacontenttype: Option<String>,
    #[serde(default, rename = "dataschema")]
    _dataschema: Option<String>,
    #[serde(default, rename = "traceparent")]
    _traceparent: Option<String>,
    #[serde(default, rename = "tracestate")]
    _tracestate: Option<String>,
    data: Data,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    #[serde(default)]
    method: String,
    #[serde(default)]
    route: String,
    #[serde(default)]
    region: String,
    #[serde(default)]
    requests: u64,
    #[serde(default)]
    bytes_in: u64,
    #[serde(default)]
    bytes_out: u64,
}

/// Parses a body of this media type.
pub(crate) fn parse(kind: &'static str, bytes: &[u8]) -> Result<Vec<Event>, Refusal> {
    let events: Vec<Event> = if kind == BATCH {
        body::parse(bytes, Code::BadRequest)?
    } else {
        vec![body::parse(bytes, Code::BadRequest)?]
    };
    if events.len() > EVENTS_MAX {
        return Err(Refusal::new(Code::TooLarge, format!("a batch has at most {EVENTS_MAX} events")));
    }
    Ok(events)
}

impl Event {
    /// What is to be counted; an event without a time happened at `now`. Says what is wrong with
    /// an event that cannot be counted.
    pub(crate) fn item(&self, now: Timestamp) -> Result<UsageItem, &'static str> {
        if self.specversion != "1.0" {
            return Err("specversion is 1.0");
        }
        if self.datacontenttype.as_ref().is_some_and(|kind| kind != "application/json") {
            return Err("datacontenttype is application/json");
        }
        if self.id.is_empty() || self.source.is_empty() {
            return Err("id and source are not empty");
        }
        let labels = LabelSet::new(
            &self.subject,
            &self.data.method,
            &self.data.route,
            &self.r#type,
            &self.data.region,
        );
        let labels = labels
            .ok_or("subject, type, method, route and region are printable ASCII of at most 64 bytes, and subject is not empty")?;
        let at_millis = match &self.time {
            None => now.as_millis(),
            Some(time) => rfc3339_millis(time).ok_or("time is RFC 3339, from 1970 on")?,
        };
        Ok(UsageItem {
            event: EventId::new(&self.subject, &self.source, &self.id),
            labels,
            at_millis,
            tally: Tally {
                requests: self.data.requests,
                bytes_in: self.data.bytes_in,
                bytes_out: self.data.bytes_out,
            },
        })
    }
}

/// Milliseconds since 1970 of an RFC 3339 time; `None` for anything else, or a time before 1970.
pub(crate) fn rfc3339_millis(text: &str) -> Option<u64> {
    let at: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(at.as_millisecond()).ok()
}
