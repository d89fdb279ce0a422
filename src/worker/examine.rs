//! How far each configured peer can be reached, by the way that the worker goes. Confined processes only.
//!
//! Asks the control plane for the tunnel's record, opens and closes connections to proxies, asks MCP servers who they are.
//! Never polls and never calls a tool. What comes of it are lines of four ASCII fields with tabs between them: what was
//! looked at, which one of these, a code, and a detail for people.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::visit::{STATELESS, VERSION, Visit};
use crate::config::types::{Channel, Worker};
use crate::control::client::Client;
use crate::control::failure::Failure;
use crate::ipc::digest::hex;
use crate::log::Log;
use crate::mcp::Upstream;
use crate::mcp::http_leg::Http;
use crate::mcp::stdio::StdioEvent;
use crate::net;
use crate::policy::json;
use crate::tls::Trust;

/// The tunnel's record at the control plane.
pub const CONTROL: &str = "control";
/// How many seconds the control plane's clock is ahead of ours.
pub const CLOCK: &str = "clock";
/// A proxy.
pub const PROXY: &str = "proxy";
/// The endpoint of an MCP server over HTTP.
pub const REACH: &str = "reach";
/// What such a server says of its authorization.
pub const OAUTH: &str = "oauth";
/// The version of MCP that a server speaks.
pub const ERA: &str = "era";
/// All is well.
pub const GOOD: &str = "ok";

/// Bound on the whole exchange with the control plane.
const CONTROL_PATIENCE: Duration = Duration::from_secs(35);
/// Bound on connecting to a proxy, and again on the TLS handshake.
const PROXY_PATIENCE: Duration = Duration::from_secs(5);
/// Bound on each look at an MCP server, as `tunnel-client` has it.
const PATIENCE: Duration = Duration::from_secs(2);
/// Most values of a document.
const MAX_VALUES: usize = 10_000;
/// Where RFC 9728 section 3 puts the document.
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// Whom to meet besides the MCP servers.
pub(super) struct Peers {
    control: Client,
    proxies: Vec<(String, net::Proxy)>,
}

impl Peers {
    /// Opens nothing yet.
    pub fn new(
        config: &Worker,
        trust: &Trust,
        proxy_tls: &Arc<rustls::ClientConfig>,
        sockets: &net::Sockets,
        log: &Log,
    ) -> Result<Self, String> {
        let text = |e: &dyn Display| e.to_string();
        let mut instance = [0; 16];
        rand::fill(&mut instance).map_err(|_| "no random numbers")?;
        let tls = trust.client(&config.control.peer, "control plane", log).map_err(|e| text(&e))?;
        let way = net::Way::of(&config.control.route, proxy_tls, sockets);
        let control = Client::new(config, &hex(&instance), tls, way, log.clone()).map_err(|e| text(&e))?;
        let proxies = config.proxies().into_iter();
        let proxies = proxies.map(|proxy| (proxy.shown(), net::Proxy::new(&proxy, proxy_tls))).collect();
        Ok(Self { control, proxies })
    }
}

/// One look after the other.
pub(super) async fn all(
    config: &Worker,
    peers: &Peers,
    servers: &[(Channel, Upstream)],
    events: &mut mpsc::UnboundedReceiver<StdioEvent>,
) -> String {
    let mut lines = Lines::default();
    for (shown, proxy) in &peers.proxies {
        let looked = net::check(proxy, PROXY_PATIENCE, PROXY_PATIENCE).await;
        lines.net(PROXY, shown, looked.map(|()| String::new()));
    }
    control(&peers.control, &mut lines).await;
    for (channel, server) in servers {
        if let Upstream::Http(http) = server {
            lines.net(REACH, channel.as_str(), reach(http).await);
            oauth(http, channel, &mut lines).await;
        }
        let stateless = config.bindings.iter().any(|b| b.channel == *channel && b.stateless);
        let mut visit = Visit::of(server);
        let spoken = match server {
            Upstream::Http(_) => Box::pin(first_words(&mut visit, true, true)).await,
            Upstream::Stdio(stdio) => {
                let words = Box::pin(first_words(&mut visit, !stateless, stateless));
                tokio::select! {
                    spoken = words => spoken,
                    () = lost(stdio.index(), events) => None,
                }
            }
        };
        lines.era(channel, spoken, visit.refused);
        visit.close().await;
    }
    lines.0
}

async fn control(client: &Client, lines: &mut Lines) {
    let met = timeout(CONTROL_PATIENCE, client.metadata()).await.unwrap_or(Err(Failure::Timeout));
    match met {
        Ok(record) => lines.add(CONTROL, "", GOOD, &record.name),
        Err(failure) => {
            let code = match &failure {
                Failure::Timeout => "Timeout".into(),
                Failure::Transport(e) => code(e),
                Failure::Status(e) => e.status.as_u16().to_string(),
                Failure::Body(_) | Failure::Request => "Body".into(),
            };
            lines.add(CONTROL, "", &code, &failure);
        }
    }
    if let Some(ahead) = client.seconds_ahead() {
        lines.add(CLOCK, "", GOOD, &ahead);
    }
}

/// Any status will do. A server that is slow to answer a GET can still be connected to.
async fn reach(http: &Http) -> Result<String, net::Error> {
    match timeout(PATIENCE, http.status()).await {
        Ok(status) => status.map(|status| format!("HTTP {status}")),
        Err(_) => match timeout(PATIENCE, http.connect()).await {
            Ok(connected) => connected.map(|()| "connected".into()),
            Err(_) => {
                let late = "nothing came within 2 seconds";
                Err(net::Error::unsent(net::Phase::Connect, net::Cause::Timeout, late))
            }
        },
    }
}

async fn oauth(http: &Http, channel: &Channel, lines: &mut Lines) {
    let of = channel.as_str();
    let own = Some(http.path()).filter(|path| path.len() > 1).map(|path| format!("{WELL_KNOWN}{path}"));
    for path in own.into_iter().chain([WELL_KNOWN.to_owned()]) {
        match timeout(PATIENCE, http.document(&path)).await {
            // 405: there is nothing that could be fetched.
            Ok(Ok((404 | 405, _))) => {}
            Ok(Ok((_, body))) if is_metadata(&body) => return lines.add(OAUTH, of, GOOD, &path),
            Ok(Ok((status, _))) => {
                return lines.add(
                    OAUTH,
                    of,
                    "Invalid",
                    &format!("{path}: HTTP {status} without such metadata"),
                );
            }
            Ok(Err(e)) => return lines.net(OAUTH, of, Err(e)),
            Err(_) => {
                return lines.add(OAUTH, of, "Timeout", &format!("{path}: nothing came within 2 seconds"));
            }
        }
    }
    lines.add(OAUTH, of, "None", &"");
}

fn is_metadata(body: &[u8]) -> bool {
    let resource = json::read(body, MAX_VALUES).ok();
    resource.and_then(|root| root.get("resource")?.text().map(|text| !text.is_empty())).unwrap_or(false)
}

/// The version that a server answers in, when it is asked as before 2026-07-28, as since then, or as both. One that was
/// started for this look serves one era only, and is asked in that of its binding.
async fn first_words(visit: &mut Visit<'_>, session: bool, stateless: bool) -> Option<String> {
    if session && visit.open().await {
        return visit.headers.get(VERSION).and_then(|version| version.to_str().ok()).map(str::to_owned);
    }
    if stateless {
        visit.make_stateless();
        let answer = visit.ask("server/discover", "").await;
        return answer.filter(|(body, _)| is_result(body)).map(|_| STATELESS.to_owned());
    }
    None
}

/// Resolves when the child of a command is of no use any more: nobody starts another one here.
async fn lost(index: u8, events: &mut mpsc::UnboundedReceiver<StdioEvent>) {
    loop {
        match events.recv().await {
            Some(StdioEvent::Want { index: of, .. } | StdioEvent::Lost { index: of, .. }) if of == index => {
                return;
            }
            Some(_) => {}
            None => std::future::pending().await,
        }
    }
}

fn is_result(body: &[u8]) -> bool {
    json::read(body, MAX_VALUES).is_ok_and(|root| root.get("result").is_some())
}

/// Where and what, in one word: with `Via` in front when it was met on the way to a proxy.
fn code(error: &net::Error) -> String {
    let own = matches!(error.cause, net::Cause::ProxyAuth | net::Cause::ProxyRefused);
    let front = if error.phase == net::Phase::Proxy && !own { "Via" } else { "" };
    format!("{front}{:?}", error.cause)
}

#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, what: &str, of: &str, code: &str, detail: &dyn Display) {
        let detail = detail.to_string();
        for field in [what, "\t", of, "\t", code, "\t"] {
            self.0.push_str(field);
        }
        self.0.extend(detail.escape_default());
        self.0.push('\n');
    }

    fn era(&mut self, channel: &Channel, spoken: Option<String>, refused: Option<u16>) {
        let of = channel.as_str();
        match (spoken, refused) {
            (Some(version), _) => self.add(ERA, of, GOOD, &version),
            (None, Some(code)) => {
                self.add(ERA, of, &code.to_string(), &format!("the answer to the first message was {code}"));
            }
            (None, None) => self.add(ERA, of, "None", &"the first message was not answered"),
        }
    }

    fn net(&mut self, what: &str, of: &str, looked: Result<String, net::Error>) {
        match looked {
            Ok(detail) => self.add(what, of, GOOD, &detail),
            Err(e) => self.add(what, of, &code(&e), &e),
        }
    }
}
