//! What the MCP stub says, whatever the transport: one message in, the steps of its answer out. Pure.
//!
//! Tools: `echo{text}`, `sleep{ms}`, `stream{n, interval_ms}` (progress notifications, then the result), `big{bytes}`,
//! `fail{status, body}` (an HTTP status; over stdio a JSON-RPC error), `silent{}` (never answered).

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// How a message is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Steps {
    /// It was a notification or a response: nothing to say.
    Accepted,
    /// One answer after a pause.
    Answer(Duration, String),
    /// Notifications, `interval` apart, then the answer.
    Stream { notes: Vec<String>, interval: Duration, answer: String },
    /// An HTTP status with this body.
    Status(u16, String),
    /// No answer at all.
    Silent,
}

/// A message, ids and parameters raw.
#[derive(Deserialize)]
pub struct Message<'a> {
    /// The raw id; absent in notifications.
    #[serde(borrow)]
    pub id: Option<&'a RawValue>,
    /// The method; absent in responses.
    pub method: Option<String>,
    /// The parameters.
    #[serde(borrow)]
    pub params: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct CallParams<'a> {
    #[serde(default)]
    name: String,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct EchoArguments<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
}

/// A successful response.
pub fn result(id: &str, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
}

/// An error response.
pub fn error(id: &str, code: i64, message: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":{}}}}}"#, Value::from(message))
}

/// Answers one message given as text.
pub fn answer(text: &str) -> Steps {
    let Ok(message) = serde_json::from_str::<Message<'_>>(text) else {
        return Steps::Status(400, error("null", -32700, "not one JSON-RPC message"));
    };
    let (Some(id), Some(method)) = (message.id.map(RawValue::get), &message.method) else {
        return Steps::Accepted;
    };
    let params = message.params.map_or("{}", RawValue::get);
    let now = |body: String| Steps::Answer(Duration::ZERO, body);
    let modern = params.contains("io.modelcontextprotocol/protocolVersion");
    let list = |body: &str| {
        // Since 2026-07-28 every result says what it is, and lists say how long they keep.
        let more = r#"{"resultType":"complete","ttlMs":60000,"cacheScope":"public","#;
        result(id, &if modern { body.replacen('{', more, 1) } else { body.to_owned() })
    };
    match method.as_str() {
        "initialize" => now(result(id, &initialize(params))),
        "server/discover" => now(result(id, DISCOVER)),
        "ping" => now(result(id, "{}")),
        "tools/list" => now(list(TOOLS)),
        "resources/list" => now(list(r#"{"resources":[]}"#)),
        "prompts/list" => now(list(r#"{"prompts":[]}"#)),
        "tools/call" => call(id, params, modern),
        _ => now(error(id, -32601, "Method not found")),
    }
}

const DISCOVER: &str = r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"serverInfo":{"name":"lab-stub","version":"1.0.0"},"ttlMs":60000,"cacheScope":"public"}"#;

const TOOLS: &str = concat!(
    r#"{"tools":[{"name":"echo","description":"Returns its text","inputSchema":{"type":"object","properties":{"text":{"type":"string"}},"required":["text"]}},"#,
    r#"{"name":"sleep","description":"Answers after ms milliseconds","inputSchema":{"type":"object","properties":{"ms":{"type":"integer"}}}},"#,
    r#"{"name":"stream","description":"Sends n progress notifications, then answers","inputSchema":{"type":"object","properties":{"n":{"type":"integer"},"interval_ms":{"type":"integer"}}}},"#,
    r#"{"name":"big","description":"Answers with so many bytes of text","inputSchema":{"type":"object","properties":{"bytes":{"type":"integer"}}}},"#,
    r#"{"name":"fail","description":"Answers with an HTTP status","inputSchema":{"type":"object","properties":{"status":{"type":"integer"},"body":{"type":"string"}}}},"#,
    r#"{"name":"silent","description":"Never answers","inputSchema":{"type":"object"}}]}"#
);

fn initialize(params: &str) -> String {
    let params: Value = serde_json::from_str(params).unwrap_or_default();
    let version = params.get("protocolVersion").and_then(Value::as_str).unwrap_or("2025-11-25");
    format!(
        r#"{{"protocolVersion":{},"capabilities":{{"tools":{{}}}},"serverInfo":{{"name":"lab-stub","version":"1.0.0"}}}}"#,
        Value::from(version)
    )
}

fn call(id: &str, params: &str, modern: bool) -> Steps {
    let text_result = |raw: &str| {
        let kind = if modern { r#""resultType":"complete","# } else { "" };
        format!(r#"{{{kind}"content":[{{"type":"text","text":{raw}}}]}}"#)
    };
    let parsed: CallParams<'_> = serde_json::from_str(params).unwrap_or_default();
    let raw = parsed.arguments.map_or("{}", RawValue::get);
    if parsed.name == "echo" {
        let echo: EchoArguments<'_> = serde_json::from_str(raw).unwrap_or_default();
        let text = echo.text.map_or(r#""""#, RawValue::get);
        return Steps::Answer(Duration::ZERO, result(id, &text_result(text)));
    }
    let arguments: Value = serde_json::from_str(raw).unwrap_or_default();
    let number =
        |name: &str, otherwise: u64| arguments.get(name).and_then(Value::as_u64).unwrap_or(otherwise);
    match parsed.name.as_str() {
        "sleep" => {
            let pause = Duration::from_millis(number("ms", 100));
            Steps::Answer(pause, result(id, &text_result(r#""slept""#)))
        }
        "stream" => {
            let n = number("n", 3);
            let token = progress_token(params);
            let note = |i: u64| {
                format!(
                    r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":{i},"total":{n}}}}}"#
                )
            };
            Steps::Stream {
                notes: (1..=n).map(note).collect(),
                interval: Duration::from_millis(number("interval_ms", 0)),
                answer: result(id, &text_result(r#""streamed""#)),
            }
        }
        "big" => {
            let size = usize::try_from(number("bytes", 1 << 20)).unwrap_or(0);
            Steps::Answer(Duration::ZERO, result(id, &text_result(&format!("\"{}\"", "x".repeat(size)))))
        }
        "fail" => {
            let status = u16::try_from(number("status", 500)).unwrap_or(500);
            Steps::Status(
                status,
                arguments.get("body").and_then(Value::as_str).unwrap_or_default().to_owned(),
            )
        }
        "silent" => Steps::Silent,
        _ => Steps::Answer(Duration::ZERO, error(id, -32602, "Unknown tool")),
    }
}

fn progress_token(params: &str) -> String {
    let params: Value = serde_json::from_str(params).unwrap_or_default();
    params.pointer("/_meta/progressToken").map_or_else(|| r#""stub""#.to_owned(), Value::to_string)
}
