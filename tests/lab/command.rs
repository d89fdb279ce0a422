//! Commands as a poll returns them, built as text so that payloads keep every byte.

use serde_json::Value;
use serde_json::value::RawValue;

/// A command to be polled. Members may be overridden or left out to make it malformed.
#[derive(Clone, Debug)]
pub struct Command {
    members: Vec<(String, String)>,
    headers: Vec<(String, Vec<String>)>,
}

fn quote(text: &str) -> String {
    Value::from(text).to_string()
}

impl Command {
    fn new(request_id: &str, command_type: &str) -> Self {
        let members = vec![
            ("request_id".into(), quote(request_id)),
            ("shard_token".into(), quote(&format!("shard-{request_id}"))),
            ("command_type".into(), quote(command_type)),
            ("channel".into(), quote("main")),
            ("created_at".into(), quote(&now())),
        ];
        Self { members, headers: Vec::new() }
    }

    /// A JSON-RPC message for the upstream; `payload` is the raw text of the `jsonrpc` member.
    pub fn jsonrpc(request_id: &str, payload: impl AsRef<str>) -> Self {
        Self::new(request_id, "jsonrpc").raw("jsonrpc", payload.as_ref())
    }

    /// A call: `{"jsonrpc":"2.0","id":<raw id>,"method":…,"params":<raw params>}`.
    pub fn call(request_id: &str, id: &str, method: &str, params: &str) -> Self {
        Self::jsonrpc(
            request_id,
            format!(r#"{{"jsonrpc":"2.0","id":{id},"method":{},"params":{params}}}"#, quote(method)),
        )
    }

    /// The end of the MCP session `session`.
    pub fn session_termination(request_id: &str, session: &str) -> Self {
        Self::new(request_id, "session_termination").header("Mcp-Session-Id", session)
    }

    /// A question for the OAuth protected-resource metadata.
    pub fn oauth_discovery(request_id: &str) -> Self {
        Self::new(request_id, "oauth_discovery")
    }

    /// Sets a member to raw JSON text, replacing it when present.
    #[must_use]
    pub fn raw(mut self, name: &str, json: &str) -> Self {
        match self.members.iter_mut().find(|(n, _)| n == name) {
            Some(member) => member.1 = json.to_owned(),
            None => self.members.push((name.to_owned(), json.to_owned())),
        }
        self
    }

    /// Leaves a member out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.members.retain(|(n, _)| n != name);
        self
    }

    /// The channel asked for.
    #[must_use]
    pub fn channel(self, channel: &str) -> Self {
        self.raw("channel", &quote(channel))
    }

    /// The shard token (by default `shard-<request_id>`).
    #[must_use]
    pub fn shard_token(self, token: &str) -> Self {
        self.raw("shard_token", &quote(token))
    }

    /// The response timeout, such as `30s`.
    #[must_use]
    pub fn response_timeout(self, text: &str) -> Self {
        self.raw("response_timeout", &quote(text))
    }

    /// Adds a header value; repeated names collect their values.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        match self.headers.iter_mut().find(|(n, _)| n == name) {
            Some(header) => header.1.push(value.to_owned()),
            None => self.headers.push((name.to_owned(), vec![value.to_owned()])),
        }
        self
    }

    /// The element of `commands`.
    pub fn text(&self) -> String {
        let mut out = String::from("{");
        for (name, json) in &self.members {
            out.push_str(&format!("{}:{json},", quote(name)));
        }
        if self.headers.is_empty() {
            out.pop();
        } else {
            out.push_str("\"headers\":{");
            for (name, values) in &self.headers {
                out.push_str(&format!("{}:{},", quote(name), Value::from(values.clone())));
            }
            out.pop();
            out.push('}');
        }
        out.push('}');
        out
    }
}

/// What the lab must remember of a command to judge its answers; read leniently, because commands may be malformed.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The identifier that the answers carry.
    pub request_id: String,
    /// The token that the answers echo.
    pub shard_token: String,
    /// The canonical channel, when the command names a valid one.
    pub channel: Option<String>,
    /// What kind of answer is due.
    pub due: Due,
    /// The raw JSON text of the JSON-RPC id.
    pub rpc_id: Option<String>,
    /// The value that `X-Client-Request-Id` must repeat.
    pub client_request_id: Option<String>,
    /// The response timeout.
    pub timeout: Option<std::time::Duration>,
}

/// The kind of answer a command is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// `jsonrpc_response`, after any number of `jsonrpc_notify`.
    Response,
    /// `notify_ack`, or an error `jsonrpc_response`.
    Acknowledgement,
    /// `session_termination_response`.
    Termination,
    /// `oauth_discovery_response`.
    Discovery,
    /// The command is malformed or of an unknown kind.
    Anything,
}

#[derive(serde::Deserialize)]
struct Loose<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: Option<Value>,
}

impl Expected {
    /// Reads the text of an element of `commands`; `None` when it has no readable request id and shard token.
    pub fn read(text: &str) -> Option<Self> {
        let all: std::collections::BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
        let string = |name: &str| {
            all.get(name)
                .and_then(|raw| serde_json::from_str::<String>(raw.get()).ok())
                .filter(|s| !s.is_empty())
        };
        let headers: std::collections::BTreeMap<String, Vec<String>> =
            all.get("headers").and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        let rpc = all.get("jsonrpc").and_then(|raw| serde_json::from_str::<Loose<'_>>(raw.get()).ok());
        let rpc_id = rpc.as_ref().and_then(|r| r.id).map(|id| id.get().to_owned());
        let due = match (string("command_type").as_deref(), rpc) {
            (Some("jsonrpc"), Some(Loose { method: Some(Value::String(_)), id })) => match id {
                Some(id) if id.get().starts_with(['{', '[', 't', 'f']) => Due::Anything,
                Some(_) => Due::Response,
                None => Due::Acknowledgement,
            },
            (Some("session_termination"), _) => Due::Termination,
            (Some("oauth_discovery"), _) => Due::Discovery,
            _ => Due::Anything,
        };
        let channel = string("channel").map_or(Some("main".into()), |c| canonical(&c));
        Some(Self {
            request_id: string("request_id")?,
            shard_token: string("shard_token")?,
            due: if channel.is_some() { due } else { Due::Anything },
            channel,
            rpc_id,
            client_request_id: headers
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case("x-request-id"))
                .and_then(|(_, values)| values.first().cloned()),
            timeout: string("response_timeout").as_deref().and_then(duration),
        })
    }
}

/// The canonical form of a channel name, when it has one.
pub fn canonical(name: &str) -> Option<String> {
    let name = name.trim().to_ascii_lowercase();
    if name.is_empty() {
        return Some("main".into());
    }
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    (name.len() <= 64 && name.bytes().all(legal)).then_some(name)
}

/// Reads `^[0-9]+(ns|us|ms|s|m|h)$`.
fn duration(text: &str) -> Option<std::time::Duration> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number: u64 = text[..text.len() - unit.len()].parse().ok()?;
    let nanos: u64 = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    number.checked_mul(nanos).filter(|n| i64::try_from(*n).is_ok()).map(std::time::Duration::from_nanos)
}

/// The present time as RFC 3339 in UTC, to the second.
pub fn now() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let (days, rest) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // Howard Hinnant's days-to-civil, for days since 1970 in the Gregorian calendar.
    let z = days + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}
