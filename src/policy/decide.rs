//! The decision about one call, made on its body. Pure.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

use super::filter::List;
use super::json::{self, Node, Unreadable, Value};
use super::rules::{Allowed, Found, Kind, Limits, Policy};

/// Most values of a call. A tree of them takes some ten MiB.
const MAX_VALUES: usize = 100_000;
/// The members of a message, and of `params`, that say what is asked for.
const ENVELOPE: [&str; 4] = ["jsonrpc", "id", "method", "params"];
const PARAMS: [&str; 6] = ["name", "arguments", "uri", "ref", "notifications", "_meta"];

/// The headers that repeat the body; to look one up by its text would read the text anew each time.
static MCP_METHOD: HeaderName = HeaderName::from_static("mcp-method");
static MCP_NAME: HeaderName = HeaderName::from_static("mcp-name");

/// The ids of the agent's own rules. Those of an operator have no dot.
pub mod builtin {
    /// No rule allows it.
    pub const DEFAULT: &str = "policy.default";
    /// The channel is closed.
    pub const CHANNEL: &str = "policy.channel";
    /// It cannot be read, or names what it asks for in no way or in two.
    pub const UNREADABLE: &str = "policy.unreadable";
    /// An object has a key twice.
    pub const DUPLICATE: &str = "policy.duplicate-key";
    /// A batch.
    pub const BATCH: &str = "policy.batch";
    /// `Mcp-Method` or `Mcp-Name` says something else than the body.
    pub const MISMATCH: &str = "policy.header-mismatch";
    /// A request without an id, or a notification with one.
    pub const NOTIFICATION: &str = "policy.notification";
    /// The tool's definition is not the approved one.
    pub const DRIFT: &str = "policy.definition";
    /// The answer of the server is no list that could be filtered.
    pub const ANSWER: &str = "policy.answer";
    /// A limit of the channel.
    pub const REQUEST_BYTES: &str = "limits.request-bytes";
    /// A limit.
    pub const RESULT_BYTES: &str = "limits.result-bytes";
    /// A limit of the channel.
    pub const CALLS_PER_MINUTE: &str = "limits.calls-per-minute";
    /// A limit of the channel.
    pub const IN_FLIGHT: &str = "limits.in-flight";
}

/// A call, as it came.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The canonical channel.
    pub channel: &'a str,
    /// The JSON-RPC message.
    pub body: &'a [u8],
    /// The headers that came with it.
    pub headers: &'a HeaderMap,
}

/// What is to become of a call.
#[derive(Clone, Debug)]
pub struct Decision<'p> {
    /// Whether it may be forwarded.
    pub allowed: bool,
    /// The rule that decided: an operator's, or one of [`builtin`].
    pub rule: &'p str,
    /// Why, for the operator; without anything that the caller sent.
    pub why: Cow<'static, str>,
    /// The method, as far as it could be read.
    pub method: String,
    /// The tool, prompt or resource, as far as one is named. Chosen by the caller.
    pub name: Option<(Kind, String)>,
    /// Whether it is a request, which is counted and answered.
    pub request: bool,
    /// What of its answer must be filtered.
    pub list: Option<List>,
    pub(super) by: Option<Allowed>,
}

/// Why a call is refused: the rule, and the reason.
type Refusal<'p> = (&'p str, Cow<'static, str>);

fn refuse<'p, T>(rule: &'p str, why: &'static str) -> Result<T, Refusal<'p>> {
    Err((rule, why.into()))
}

impl Policy {
    /// Decides about a call. Does not count it: that is for [`super::State::admit`].
    #[must_use]
    pub fn decide(&self, call: &Call<'_>) -> Decision<'_> {
        let mut decision = Decision {
            allowed: false,
            rule: builtin::DEFAULT,
            why: Cow::Borrowed(""),
            method: String::new(),
            name: None,
            request: false,
            list: None,
            by: None,
        };
        match self.judge(call, &mut decision) {
            Ok(rule) => (decision.allowed, decision.rule) = (true, rule),
            Err((rule, why)) => (decision.rule, decision.why) = (rule, why),
        }
        decision
    }

    /// The bounds of a call that a rule allowed: those of the rule and of the channel, the lower of each.
    #[must_use]
    pub fn result_bytes(&self, decision: &Decision<'_>) -> Option<usize> {
        let own =
            decision.by.and_then(|by| self.rules.get(by.rule)).and_then(|rule| rule.limits.result_bytes);
        own.into_iter().chain(self.limits.result_bytes).min()
    }

    fn judge<'p>(&'p self, call: &Call<'_>, decision: &mut Decision<'p>) -> Result<&'p str, Refusal<'p>> {
        if !self.opens(call.channel) {
            return refuse(builtin::CHANNEL, "the channel is not among those of the policy");
        }
        let too_large = |limits: &Limits| limits.request_bytes.is_some_and(|most| call.body.len() > most);
        if too_large(&self.limits) {
            return refuse(builtin::REQUEST_BYTES, "the call is too large");
        }
        let root = read(call.body)?;
        let Some(method) = root.get("method").and_then(Node::text).filter(|m| !m.is_empty()) else {
            return refuse(builtin::UNREADABLE, "the message has no method");
        };
        method.clone_into(&mut decision.method);
        decision.request = root.get("id").is_some_and(|id| !matches!(id.value, Value::Null));
        if method.starts_with("notifications/") == decision.request {
            return refuse(builtin::NOTIFICATION, "a request without an id, or a notification with one");
        }
        let params = root.get("params");
        let (kind, name) = subject(method, params)?;
        decision.name = name.filter(|_| kind != Kind::Method).map(|name| (kind, name.to_owned()));
        agree(call.headers, method, name)?;
        // A method that is denied is denied for every name.
        if let Found::Denied(rule) = self.find(call.channel, Kind::Method, method) {
            return refuse(&rule.id, "the rule denies the method");
        }
        let (rule, by) = self.allowed(call.channel, kind, name.unwrap_or(method))?;
        if too_large(&rule.limits) {
            return refuse(&rule.id, "the call is too large");
        }
        if let Some(schema) = &rule.arguments {
            let none = Node { raw: "{}", value: Value::Map(Vec::new()) };
            let arguments = params.and_then(|p| p.get("arguments")).unwrap_or(&none);
            schema
                .check(arguments)
                .map_err(|m| (&*rule.id, format!("arguments{} {}", m.path, m.why).into()))?;
        }
        self.references(call.channel, method, params)?;
        decision.by = Some(by);
        decision.list = List::of(method);
        Ok(&rule.id)
    }

    fn allowed(
        &self,
        channel: &str,
        kind: Kind,
        name: &str,
    ) -> Result<(&super::rules::Rule, Allowed), Refusal<'_>> {
        match self.find(channel, kind, name) {
            Found::Allowed(rule, by) => Ok((rule, by)),
            Found::Denied(rule) => refuse(&rule.id, "the rule denies it"),
            Found::Nothing => refuse(builtin::DEFAULT, "no rule allows it"),
        }
    }

    /// The prompts and resources that other methods refer to.
    fn references<'p>(
        &'p self,
        channel: &str,
        method: &str,
        params: Option<&Node<'_>>,
    ) -> Result<(), Refusal<'p>> {
        let Some(params) = params else { return Ok(()) };
        match method {
            "completion/complete" => {
                let refers = params.get("ref");
                let text = |name| refers.and_then(|r| r.get(name)).and_then(Node::text);
                let allowed = match (text("name"), text("uri")) {
                    (Some(name), None) => self.may(channel, Kind::Prompt, name),
                    (None, Some(uri)) => self.may_template(channel, uri),
                    _ => false,
                };
                if allowed { Ok(()) } else { refuse(builtin::DEFAULT, "no rule allows what it completes") }
            }
            "subscriptions/listen" => {
                let uris = params.get("notifications").and_then(|n| n.get("resourceSubscriptions"));
                let items = match uris.map(|uris| &uris.value) {
                    None => return Ok(()),
                    Some(Value::List(items)) => items,
                    Some(_) => return refuse(builtin::UNREADABLE, "resourceSubscriptions is no list"),
                };
                for item in items {
                    let Some(uri) = item.text() else {
                        return refuse(builtin::UNREADABLE, "a URI is no text");
                    };
                    self.allowed(channel, Kind::Resource, uri)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn read(body: &[u8]) -> Result<Node<'_>, Refusal<'static>> {
    let root = json::read(body, MAX_VALUES).map_err(|why| match why {
        Unreadable::Duplicate => (builtin::DUPLICATE, "an object has a key twice".into()),
        Unreadable::NotJson => (builtin::UNREADABLE, "the message is not JSON".into()),
        Unreadable::TooDeep => (builtin::UNREADABLE, "the message is nested too deeply".into()),
        Unreadable::TooMany => (builtin::UNREADABLE, "the message has too many values".into()),
    })?;
    match &root.value {
        Value::Map(_) if root.has_look_alike(&ENVELOPE) => {
            refuse(builtin::UNREADABLE, "a member is named like another but for letter case")
        }
        Value::Map(_) => Ok(root),
        Value::List(_) => refuse(builtin::BATCH, "batches are not accepted"),
        _ => refuse(builtin::UNREADABLE, "the message is no object"),
    }
}

/// What a method is about, and the name of it in `params`. For [`Kind::Method`], what `Mcp-Name` may say.
fn subject<'a>(
    method: &str,
    params: Option<&'a Node<'_>>,
) -> Result<(Kind, Option<&'a str>), Refusal<'static>> {
    if params.is_some_and(|p| p.has_look_alike(&PARAMS)) {
        return refuse(builtin::UNREADABLE, "a parameter is named like another but for letter case");
    }
    let (kind, member) = match method {
        "tools/call" => (Kind::Tool, "name"),
        "prompts/get" => (Kind::Prompt, "name"),
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => (Kind::Resource, "uri"),
        _ => return Ok((Kind::Method, None)),
    };
    match params.and_then(|p| p.get(member)).and_then(Node::text) {
        Some(name) => Ok((kind, Some(name))),
        None => refuse(builtin::UNREADABLE, "the parameters do not name what is asked for"),
    }
}

/// Whether the headers that repeat the body say the same, where they are there.
fn agree(headers: &HeaderMap, method: &str, name: Option<&str>) -> Result<(), Refusal<'static>> {
    let is = |value: &HeaderValue, text: &str| {
        value.as_bytes() == text.as_bytes() || value.as_bytes() == encoded(text).as_bytes()
    };
    // A name where the body has none says something else, and so does a second one.
    let agrees = |header: &HeaderName, text: Option<&str>| {
        let mut values = headers.get_all(header).iter();
        let first = values.next().is_none_or(|value| text.is_some_and(|text| is(value, text)));
        first && values.next().is_none()
    };
    if agrees(&MCP_METHOD, Some(method)) && agrees(&MCP_NAME, name) {
        return Ok(());
    }
    refuse(builtin::MISMATCH, "Mcp-Method or Mcp-Name disagrees with the body")
}

/// A header value outside of safe ASCII, as MCP 2026-07-28 writes it.
fn encoded(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::from("=?base64?");
    for chunk in text.as_bytes().chunks(3) {
        let byte = |n: usize| u32::from(chunk.get(n).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (n, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let digit = usize::try_from(bits >> shift & 63).ok().and_then(|at| DIGITS.get(at));
            out.push(if n <= chunk.len() { digit.map_or('=', |d| char::from(*d)) } else { '=' });
        }
    }
    out.push_str("?=");
    out
}
