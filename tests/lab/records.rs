//! What the lab saw: every poll, response and metadata request, kept for assertions.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

/// What is common to every recorded request.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When the request head arrived (monotonic).
    pub arrived: Instant,
    /// `HTTP/1.1`, `HTTP/2.0`.
    pub version: http::Version,
    /// The connection it came on; see `ControlPlane::connections`.
    pub connection: usize,
    /// Method and path with query, as sent.
    pub target: String,
    /// The request's headers.
    pub headers: HeaderMap,
}

impl Seen {
    /// The first value of a header, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }
}

/// One poll.
#[derive(Clone, Debug)]
pub struct PollRecord {
    /// The request.
    pub seen: Seen,
    /// The query as sent, without `?`.
    pub query: String,
    /// The `limit` asked for.
    pub limit: Option<u64>,
    /// The `timeout_ms` asked for.
    pub timeout_ms: Option<u64>,
    /// The channel filter, in the order sent.
    pub channels: Vec<String>,
    /// How it ended: the status and when the answer was given to the connection. `None`: still waiting, or gone.
    pub answered: Option<(u16, Instant)>,
}

/// One response POST.
#[derive(Clone, Debug)]
pub struct ResponseRecord {
    /// The request.
    pub seen: Seen,
    /// The body as sent.
    pub raw: Bytes,
    /// When the body was complete.
    pub complete: Instant,
    /// `request_id`.
    pub request_id: String,
    /// `channel`.
    pub channel: Option<String>,
    /// `resp_type`.
    pub resp_type: String,
    /// `resp_code`.
    pub resp_code: u16,
    /// `resp_headers`.
    pub resp_headers: BTreeMap<String, Vec<String>>,
    /// The raw text of `resp_json`.
    pub resp_json: Option<String>,
    /// The status the lab answered with; 0 when the connection was cut instead.
    pub status: u16,
    /// Whether it took effect, even if its answer was then lost to a fault.
    pub accepted: bool,
}

impl ResponseRecord {
    /// Whether this kind of response ends its command.
    pub fn is_terminal(&self) -> bool {
        self.resp_type != "jsonrpc_notify"
    }

    /// The whole body.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.raw).unwrap_or(Value::Null)
    }

    /// `resp_json`, parsed.
    pub fn rpc(&self) -> Value {
        self.resp_json.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null)
    }

    /// `error.data.tunnel_failure` of `resp_json`.
    pub fn failure(&self) -> Option<Value> {
        self.rpc().pointer("/error/data/tunnel_failure").cloned()
    }

    /// (`source`, `transport_error_kind`) of the failure, for short assertions; empty text where absent.
    pub fn failure_kind(&self) -> (String, String) {
        let failure = self.failure().unwrap_or(Value::Null);
        let text = |name: &str| failure.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        (text("source"), text("transport_error_kind"))
    }

    /// The first value of a response header that was passed back; the name must match exactly.
    pub fn resp_header(&self, name: &str) -> Option<&str> {
        self.resp_headers.get(name).and_then(|v| v.first()).map(String::as_str)
    }
}

/// A list that forgets its oldest entries but keeps counting.
#[derive(Debug)]
pub struct Log<T> {
    kept: VecDeque<T>,
    dropped: usize,
    keep: usize,
}

impl<T: Clone> Log<T> {
    /// Keeps the last `keep` entries.
    pub fn new(keep: usize) -> Self {
        Self { kept: VecDeque::new(), dropped: 0, keep: keep.max(1) }
    }

    /// Appends and returns the number of the entry, counted from 0.
    pub fn push(&mut self, entry: T) -> usize {
        if self.kept.len() == self.keep {
            self.kept.pop_front();
            self.dropped += 1;
        }
        self.kept.push_back(entry);
        self.count() - 1
    }

    /// Entries ever pushed.
    pub fn count(&self) -> usize {
        self.dropped + self.kept.len()
    }

    /// The entry with this number, if it is still kept.
    pub fn get_mut(&mut self, number: usize) -> Option<&mut T> {
        number.checked_sub(self.dropped).and_then(|at| self.kept.get_mut(at))
    }

    /// The kept entries, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.kept.iter()
    }

    /// A copy of the kept entries.
    pub fn all(&self) -> Vec<T> {
        self.kept.iter().cloned().collect()
    }
}
