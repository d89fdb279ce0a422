//! The hidden role `survey`: asks the configured MCP servers what they offer, confined as the worker is, and says what
//! follows for a policy. It never meets the control plane.
//!
//! `policy suggest` and `policy diff` start it and print what it says; nothing of a server's bytes is read anywhere else.
//! Must never call a tool, nor say anything but ASCII text.

use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::upstreams::Peers;
use crate::config::types::{Channel, Transport, Worker};
use crate::confine::kernel::Kernel;
use crate::confine::{self, selftest};
use crate::exit::Exit;
use crate::ipc::handed;
use crate::log::{Level, Log};
use crate::mcp::stdio::ChildPipes;
use crate::mcp::{Call, End, Upstream, jsonrpc};
use crate::net;
use crate::policy::{self, Offer, json};
use crate::sys;
use crate::sys::message;
use crate::sys::poll::{self, Interest};
use crate::tls::Trust;

/// What the last frame begins with; the others are text.
pub const END: u8 = b'.';
/// What a frame begins with that says why there is no text.
pub const FAILED: u8 = b'!';
/// What a frame of text begins with.
pub const TEXT: u8 = b'+';
/// What a frame begins with that wants a connection to the Unix socket of a binding, whose place is the rest. Nothing else
/// is wanted before the answer.
pub const SOCKET: u8 = b'?';
/// The answer, with the connection.
pub const CONNECTED: u8 = b'+';
/// The other answer.
pub const NOT_CONNECTED: u8 = b'-';
/// The largest frame.
pub const MAX_FRAME: usize = 32 * 1024;
/// How long one answer may take; servers of node and Python need some seconds to start.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// How long the pipes of a child may take to come: they are sent right after the order.
const PIPES_WITHIN: Duration = Duration::from_secs(10);
/// How often a frame is tried again that the socket does not take or have yet.
const PACE: Duration = Duration::from_millis(5);
/// Most pages and entries of one list.
const MAX_PAGES: usize = 50;
const MAX_ENTRIES: usize = 1000;
/// Most values of one page.
const MAX_VALUES: usize = 1_000_000;

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const STATELESS: &str = "2026-07-28";

/// What to find out.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The configuration, whose policy is that to compare with.
    pub config: Worker,
    /// What has changed since the policy was approved, instead of a policy.
    pub differences: bool,
}

/// The whole life of the process.
#[must_use]
pub fn run() -> Exit {
    // INVARIANT: a process that nobody started for this ends here, before it has done anything.
    let Ok(socket) = sys::process::enter_worker() else { return Exit::Usage };
    match live(&socket) {
        Ok(()) => Exit::Ok,
        Err(why) => {
            let frame: Vec<u8> = std::iter::once(FAILED).chain(why.bytes().take(1000)).collect();
            // The command may be gone.
            let _ = message::send(&socket, &frame, &[]);
            Exit::Os
        }
    }
}

fn live(socket: &OwnedFd) -> Result<(), String> {
    let text = |e: &dyn std::fmt::Display| e.to_string();
    let order: Order = handed::receive(socket).map_err(|e| text(&e))?;
    let config = &order.config;
    let mut pipes = pipes(socket, config).map_err(|e| text(&e))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| text(&e))?;
    // INVARIANT: whatever opens files or descriptors of its own has done so before the confinement, and nothing of a
    // server has been read.
    let inside = runtime.enter();
    let _ = aws_lc_rs::rand::fill(&mut [0; 1]);
    let log = Log::relay(Level::Error);
    let (events, _wanted) = mpsc::unbounded_channel();
    let trust = Trust::new(config.ca_pem.as_deref(), config.tls).map_err(|e| text(&e))?;
    let proxy_tls = trust.client(&config.proxy_peer, "proxy", &log).map_err(|e| text(&e))?;
    let (want, wanted) = mpsc::unbounded_channel();
    let sockets = net::Sockets::new(want);
    let peers = Peers { config, trust: &trust, proxy_tls: &proxy_tls, sockets: &sockets };
    let servers = config.bindings.iter().map(|binding| {
        Ok((binding.channel.clone(), peers.upstream(binding, &events, &log).map_err(|e| text(&e))?))
    });
    let servers = servers.collect::<Result<Vec<_>, String>>()?;
    drop(inside);
    let abi = Kernel::probe().check(config.require).map_err(|e| text(&e))?;
    let sealed = confine::worker(abi, config).map_err(|e| text(&e))?;
    selftest::worker(&sealed, &confine::worker_grants(config)).map_err(|e| text(&e))?;
    runtime.block_on(async {
        tokio::select! {
            said = ask(socket, &order, &servers, &mut pipes) => said,
            why = connect(socket, wanted, &sockets) => Err(why),
        }
    })
}

/// Asks all servers, and says what follows.
async fn ask(
    socket: &OwnedFd,
    order: &Order,
    servers: &[(Channel, Upstream)],
    pipes: &mut Vec<(u8, ChildPipes)>,
) -> Result<(), String> {
    let mut offers = Vec::new();
    for (channel, server) in servers {
        if let Upstream::Stdio(stdio) = server {
            let place = pipes.iter().position(|(index, _)| *index == stdio.index());
            place.into_iter().for_each(|place| stdio.attach(pipes.swap_remove(place).1));
        }
        let mut offer = Box::pin(visit(server)).await;
        offer.channel = channel.to_string();
        offers.push(offer);
    }
    let approved = order.config.policy.as_deref().map(|text| policy::load(text, None));
    let text = match (order.differences, approved) {
        (true, Some(Ok(policy))) => policy::differences(&policy, &offers),
        (true, _) => return Err("there is no policy to compare with".to_owned()),
        (false, _) => policy::suggest(&offers),
    };
    for chunk in text.as_bytes().chunks(MAX_FRAME - 1) {
        say(socket, TEXT, chunk).await?;
    }
    say(socket, END, &[]).await
}

/// Has the command connect the Unix sockets that are wanted, one after the other. Ends with what went wrong.
async fn connect(
    socket: &OwnedFd,
    mut wanted: mpsc::UnboundedReceiver<net::Wanted>,
    sockets: &net::Sockets,
) -> String {
    while let Some(net::Wanted { binding, ticket }) = wanted.recv().await {
        if let Err(why) = say(socket, SOCKET, &[binding]).await {
            return why;
        }
        let mut frame = [0; 1];
        let got = loop {
            match message::recv(socket, &mut frame) {
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => tokio::time::sleep(PACE).await,
                other => break other,
            }
        };
        let connected = match got.map(|got| got.fds.into_iter().next()) {
            Ok(Some(connected)) if frame == [CONNECTED] => Ok(connected),
            Ok(None) if frame == [NOT_CONNECTED] => Err(std::io::ErrorKind::ConnectionRefused.into()),
            _ => return "the command answers what is not legal".to_owned(),
        };
        sockets.answer(ticket, connected);
    }
    "no socket can be wanted any more".to_owned()
}

/// The pipes of every stdio server, which come one pair in a frame, each with its index.
fn pipes(socket: &OwnedFd, config: &Worker) -> std::io::Result<Vec<(u8, ChildPipes)>> {
    let invalid = || std::io::Error::from(std::io::ErrorKind::InvalidData);
    let mut pipes = Vec::new();
    for _ in config.bindings.iter().filter(|b| matches!(b.transport, Transport::Stdio { .. })) {
        poll::wait(&[Interest::read(socket.as_fd())], Some(PIPES_WITHIN))?;
        let mut frame = [0; 8];
        let got = message::recv(socket, &mut frame)?;
        let index = frame.get(..got.len).and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
        let mut fds = got.fds.into_iter();
        let (Some(index), Some(stdin), Some(stdout)) = (index, fds.next(), fds.next()) else {
            return Err(invalid());
        };
        pipes.push((index, ChildPipes { stdin, stdout, era: None, generation: 1, carried: None }));
    }
    Ok(pipes)
}

async fn say(socket: &OwnedFd, kind: u8, text: &[u8]) -> Result<(), String> {
    let frame: Vec<u8> = std::iter::once(kind).chain(text.iter().copied()).collect();
    loop {
        match message::send(socket, &frame, &[]) {
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                tokio::time::sleep(PACE).await;
            }
            other => return other.map_err(|e| e.to_string()),
        }
    }
}

/// A server that is being asked.
struct Visit<'a> {
    server: &'a Upstream,
    headers: HeaderMap,
    stateless: bool,
    /// What the server says that it can do; `None` where it was not asked.
    able: Option<Vec<String>>,
    last: u64,
}

async fn visit(server: &Upstream) -> Offer {
    let mut visit = Visit { server, headers: HeaderMap::new(), stateless: false, able: None, last: 0 };
    if !visit.open().await {
        if matches!(server, Upstream::Stdio(_)) {
            return Offer { failed: Some("it does not answer initialize"), ..Offer::default() };
        }
        visit.headers = HeaderMap::from_iter([(VERSION, HeaderValue::from_static(STATELESS))]);
        visit.stateless = true;
    }
    let mut offer = Offer::default();
    match visit.list("tools", "").await {
        Some(tools) => offer.tools = tools,
        None => offer.failed = Some("it does not list its tools"),
    }
    offer.prompts = visit.list("prompts", "name").await.unwrap_or_default();
    offer.resources = visit.list("resources", "uri").await.unwrap_or_default();
    if visit.headers.contains_key(SESSION) {
        let _ = server.terminate(visit.headers, Some(Instant::now() + ANSWER_WITHIN)).await;
    }
    offer
}

impl Visit<'_> {
    /// Opens a session; whether the server takes part.
    async fn open(&mut self) -> bool {
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

    /// The entries of a list: those of `key` in each, or the entries themselves when there is none.
    async fn list(&mut self, what: &str, key: &str) -> Option<Vec<String>> {
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
    async fn ask(&mut self, method: &str, params: &str) -> Option<(Bytes, HeaderMap)> {
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
            End::Answer(answer) if answer.failure.is_none() => Some((answer.body?, answer.headers)),
            End::Answer(_) | End::DeadlinePassed => None,
        }
    }
}
