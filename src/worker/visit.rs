//! Asking one MCP server, as a caller would who wants to know what it is and what it offers. Confined processes only; never
//! calls a tool.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::mcp::{Call, End, Upstream, jsonrpc};
use crate::policy::{self, json};

/// How long one answer may take; servers of node and Python need some seconds to start.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// Most pages and entries of one list.
const MAX_PAGES: usize = 50;
const MAX_ENTRIES: usize = 1000;
/// Most values of one page.
const MAX_VALUES: usize = 1_000_000;

pub(super) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
pub(super) const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
pub(super) const STATELESS: &str = "2026-07-28";

/// A server that is being asked.
pub(super) struct Visit<'a> {
    server: &'a Upstream,
    /// What each message carries.
    pub headers: HeaderMap,
    stateless: bool,
    /// What the server says that it can do; `None` where it was not asked.
    able: Option<Vec<String>>,
    last: u64,
    /// The status of the last request that was not answered as it should be.
    pub refused: Option<u16>,
}

impl<'a> Visit<'a> {
    /// Nothing was asked yet.
    pub fn of(server: &'a Upstream) -> Self {
        let headers = HeaderMap::new();
        Self { server, headers, stateless: false, able: None, last: 0, refused: None }
    }

    /// From now on each request stands for itself, as since MCP 2026-07-28.
    pub fn make_stateless(&mut self) {
        self.headers = HeaderMap::from_iter([(VERSION, HeaderValue::from_static(STATELESS))]);
        self.stateless = true;
    }

    /// Opens a session; whether the server takes part.
    pub async fn open(&mut self) -> bool {
        let version = env!("CARGO_PKG_VERSION");
        let params = format!(
            r#""protocolVersion":"2025-11-25","capabilities":{{}},"clientInfo":{{"name":"tunnelward","version":"{version}"}}"#
        );
        let Some((body, headers)) = self.ask("initialize", &params).await else { return false };
        let Ok(root) = json::read(&body, MAX_VALUES) else { return false };
        let Some(result) = root.get("result") else { return false };
        let agreed = result.get("protocolVersion").and_then(json::Node::text).unwrap_or_default();
        if let Ok(agreed) = HeaderValue::from_str(agreed) {
            self.headers.insert(VERSION, agreed);
        }
        if let Some(session) = headers.get(SESSION) {
            self.headers.insert(SESSION, session.clone());
        }
        let able = result.get("capabilities").map(json::Node::members).unwrap_or_default();
        self.able = Some(able.iter().map(|(name, _)| name.to_string()).collect());
        let ready = Bytes::from_static(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        if let Ok(message) = jsonrpc::parse(&ready) {
            let _ = self.server.notification(self.call(message)).await;
        }
        true
    }

    /// Ends the session, if there is one.
    pub async fn close(self) {
        if self.headers.contains_key(SESSION) {
            let _ = self.server.terminate(self.headers, Some(Instant::now() + ANSWER_WITHIN)).await;
        }
    }

    /// The entries of a list: those of `key` in each, or the entries themselves when there is none.
    pub async fn list(&mut self, what: &str, key: &str) -> Option<Vec<String>> {
        if self.able.as_ref().is_some_and(|able| !able.iter().any(|a| a == what)) {
            return Some(Vec::new());
        }
        let (mut found, mut cursor) = (Vec::new(), String::new());
        for _ in 0..MAX_PAGES {
            let (body, _) = self.ask(&format!("{what}/list"), &cursor).await?;
            let root = json::read(&body, MAX_VALUES).ok()?;
            let result = root.get("result")?;
            let json::Value::List(items) = &result.get(what)?.value else { return None };
            let entry = |item: &json::Node<'_>| match key {
                "" => Some(item.raw.to_owned()),
                key => item.get(key).and_then(json::Node::text).map(str::to_owned),
            };
            found.extend(items.iter().filter_map(entry).take(MAX_ENTRIES.saturating_sub(found.len())));
            match result.get("nextCursor").and_then(json::Node::text) {
                Some(next) if found.len() < MAX_ENTRIES => {
                    cursor = String::from("\"cursor\":");
                    policy::string(next, &mut cursor);
                }
                _ => break,
            }
        }
        Some(found)
    }

    fn call(&self, message: jsonrpc::Message) -> Call {
        Call { message, headers: self.headers.clone(), deadline: Some(Instant::now() + ANSWER_WITHIN) }
    }

    /// Asks; `params` are the members of the parameters. Nothing when there was no answer of the server's own.
    pub async fn ask(&mut self, method: &str, params: &str) -> Option<(Bytes, HeaderMap)> {
        self.last += 1;
        let meta = if self.stateless {
            let comma = if params.is_empty() { "" } else { "," };
            format!(
                r#"{comma}"_meta":{{"io.modelcontextprotocol/protocolVersion":"{STATELESS}","io.modelcontextprotocol/clientCapabilities":{{}}}}"#
            )
        } else {
            String::new()
        };
        if self.stateless
            && let Ok(value) = HeaderValue::from_str(method)
        {
            self.headers.insert(METHOD, value);
        }
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{},"method":"{method}","params":{{{params}{meta}}}}}"#,
            self.last
        );
        let message = jsonrpc::parse(&Bytes::from(body)).ok()?;
        // Nobody wants notifications.
        let (notes, _) = mpsc::channel(1);
        match self.server.request(self.call(message), &notes).await {
            End::Answer(answer) if answer.failure.is_none() && answer.code < 400 => {
                Some((answer.body?, answer.headers))
            }
            End::Answer(answer) => {
                self.refused = Some(answer.code);
                None
            }
            End::DeadlinePassed => None,
        }
    }
}
