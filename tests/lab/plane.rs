//! The control plane as a test sees it: start it, queue commands, read what came back.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::sync::mpsc;

use super::body::{Body, Reply};
use super::command::Command;
use super::faults::{Fault, On};
use super::pki::{Ca, LOCAL};
use super::records::{PollRecord, ResponseRecord, Seen};
use super::server::{Conn, Listen, Server};
use super::state::State;
use super::{admin, hosted, tunnel};

/// How a control plane is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Serve `https://` with a certificate of a fresh authority.
    pub tls: bool,
    /// Speak HTTP/2 too.
    pub http2: bool,
    /// Require a client certificate of the lab's authority; needs `tls`.
    pub require_client_cert: bool,
    /// The bearer token that is accepted.
    pub api_key: String,
    /// The only tunnel.
    pub tunnel_id: String,
    /// A path in front of every endpoint, such as `/gw`.
    pub prefix: String,
    /// A fixed port; 0 takes any.
    pub port: u16,
    /// The `response_timeout` of calls that come through the hosted endpoint, and how long their callers wait.
    pub hosted_timeout: Duration,
    /// How many polls and responses are kept for inspection.
    pub keep: usize,
    /// Listen here instead of on 127.0.0.1; for tests in a network of their own.
    pub host: Option<IpAddr>,
    /// What its certificate is for.
    pub names: &'static [&'static str],
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tls: false,
            http2: true,
            require_client_cert: false,
            api_key: "sk-lab-0123456789abcdef".into(),
            tunnel_id: "tunnel_0123456789abcdef0123456789abcdef".into(),
            prefix: String::new(),
            port: 0,
            hosted_timeout: Duration::from_secs(60),
            keep: 10_000,
            host: None,
            names: &LOCAL,
        }
    }
}

/// A running control plane. Dropping it closes everything.
pub struct ControlPlane {
    /// The tunnel's id.
    pub tunnel_id: String,
    /// The API key that is accepted.
    pub api_key: String,
    /// The authority of its certificate and of the client certificates it accepts.
    pub ca: Ca,
    state: Arc<State>,
    listen: Listen,
    server: Server,
    lab: Server,
}

impl ControlPlane {
    /// Starts one on 127.0.0.1.
    pub async fn start(options: Options) -> Self {
        let ca = Ca::new();
        let clients = options.require_client_cert.then_some(&ca);
        let tls = options.tls.then(|| ca.server_for(options.names).server_config(options.http2, clients));
        let mut listen = Listen { tls, http2: options.http2, port: options.port, host: options.host };
        let state = Arc::new(State::new(options.clone()));
        let server = serve(&state, listen.clone()).await;
        listen.port = server.addr.port();
        let lab = state.clone();
        let plain = Listen { http2: true, host: options.host, ..Listen::default() };
        let lab = Server::start(plain, move |request, conn| admin::serve(lab.clone(), request, conn)).await;
        Self {
            tunnel_id: options.tunnel_id,
            api_key: options.api_key,
            ca,
            state,
            listen,
            server,
            lab: lab.unwrap(),
        }
    }

    /// The base URL, without the prefix.
    pub fn url(&self) -> String {
        let scheme = if self.listen.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.listen.port)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.listen.port
    }

    /// The hosted MCP endpoint, on a plain listener of its own. Append `/{channel}` for another channel than `main`.
    pub fn hosted_url(&self) -> String {
        format!("http://{}/v1/mcp/{}", self.lab.addr, self.tunnel_id)
    }

    /// The base of the lab's own endpoints: `/lab/faults`, `/lab/state`, `/lab/commands`, `/lab/violations`.
    pub fn lab_url(&self) -> String {
        format!("http://{}", self.lab.addr)
    }

    /// The certificate to trust, PEM.
    pub fn ca_pem(&self) -> String {
        self.ca.pem()
    }

    /// Accepts another API key too, as while keys are rotated.
    pub fn accept_key(&self, key: &str) {
        self.state.lock().more_keys.push(key.into());
    }

    /// Queues a command.
    pub fn enqueue(&self, command: Command) {
        self.state.enqueue(command.text(), None);
    }

    /// Queues any text as an element of `commands`.
    pub fn enqueue_raw(&self, text: impl Into<String>) {
        self.state.enqueue(text.into(), None);
    }

    /// Queues a command and returns a channel on which its answers arrive.
    pub fn enqueue_watched(&self, command: Command) -> mpsc::UnboundedReceiver<ResponseRecord> {
        let (sink, answers) = mpsc::unbounded_channel();
        self.state.enqueue(command.text(), Some(sink));
        answers
    }

    /// Adds a fault behind those already there.
    pub fn fault(&self, fault: Fault) {
        self.state.add_fault(fault);
    }

    /// Forgets all faults.
    pub fn clear_faults(&self) {
        self.state.clear_faults();
    }

    /// The next poll (after faults already there) gets exactly this answer, at once.
    pub fn serve_poll_raw(&self, reply: Reply) {
        self.fault(Fault::reply(On::Poll, reply));
    }

    /// Every poll so far.
    pub fn polls(&self) -> Vec<PollRecord> {
        self.state.lock().polls.all()
    }

    /// How many polls arrived so far.
    pub fn poll_count(&self) -> usize {
        self.state.lock().polls.count()
    }

    /// Every response POST so far, also those that were refused.
    pub fn responses(&self) -> Vec<ResponseRecord> {
        self.state.lock().responses.all()
    }

    /// Every response POST for one command.
    pub fn responses_for(&self, request_id: &str) -> Vec<ResponseRecord> {
        self.state.lock().responses.iter().filter(|r| r.request_id == request_id).cloned().collect()
    }

    /// Every metadata fetch so far.
    pub fn metadata_requests(&self) -> Vec<Seen> {
        self.state.lock().metadata.all()
    }

    /// Every departure from the contract seen so far.
    pub fn violations(&self) -> Vec<String> {
        self.state.lock().violations.clone()
    }

    /// Panics when the contract was violated.
    #[track_caller]
    pub fn assert_clean(&self) {
        assert_eq!(self.violations(), Vec::<String>::new(), "the contract was violated");
    }

    /// The most polls that ever waited at the same time.
    pub fn most_concurrent_polls(&self) -> usize {
        self.state.lock().most_waiters()
    }

    /// Commands queued and not yet polled.
    pub fn queued(&self) -> usize {
        self.state.lock().queued()
    }

    /// Waits for the terminal response that took effect (attempts that a fault refused do not count); `None` when
    /// none arrives in time.
    pub async fn try_wait_for_response(&self, request_id: &str, timeout: Duration) -> Option<ResponseRecord> {
        let found = |r: &&ResponseRecord| r.request_id == request_id && r.is_terminal() && r.accepted;
        self.state.wait_for(timeout, |inner| inner.responses.iter().find(found).cloned()).await
    }

    /// The same, but panics when none arrives in time.
    pub async fn wait_for_response(&self, request_id: &str, timeout: Duration) -> ResponseRecord {
        match self.try_wait_for_response(request_id, timeout).await {
            Some(record) => record,
            None => panic!(
                "no terminal response to {request_id} within {timeout:?}; {} polls, violations {:?}, responses {:?}",
                self.poll_count(),
                self.violations(),
                self.responses()
                    .iter()
                    .map(|r| (r.request_id.clone(), r.resp_type.clone()))
                    .collect::<Vec<_>>()
            ),
        }
    }

    /// Waits until `count` response POSTs for this command arrived, and returns them; panics otherwise.
    pub async fn wait_for_responses(
        &self,
        request_id: &str,
        count: usize,
        timeout: Duration,
    ) -> Vec<ResponseRecord> {
        let enough = |all: Vec<ResponseRecord>| (all.len() >= count).then_some(all);
        let mine = |r: &&ResponseRecord| r.request_id == request_id;
        let all = self
            .state
            .wait_for(timeout, |i| enough(i.responses.iter().filter(mine).cloned().collect()))
            .await;
        all.unwrap_or_else(|| panic!("fewer than {count} responses to {request_id} within {timeout:?}"))
    }

    /// Waits until `count` polls arrived (counted from the start); panics otherwise.
    pub async fn wait_for_poll(&self, count: usize, timeout: Duration) {
        let enough = self.state.wait_for(timeout, |inner| (inner.polls.count() >= count).then_some(())).await;
        assert!(enough.is_some(), "{} polls instead of {count} within {timeout:?}", self.poll_count());
    }

    /// The listener for the agent: connection counts, what was negotiated, `cut_all`.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// What was negotiated on each connection.
    pub fn connections(&self) -> Vec<Arc<Conn>> {
        self.server.connections()
    }

    /// Goes away like a killed process: listener closed, connections cut. What is queued stays.
    pub fn go_down(&self) {
        self.server.stop();
    }

    /// Comes back on the same port after [`Self::go_down`].
    pub async fn come_back(&mut self) {
        self.server = serve(&self.state, self.listen.clone()).await;
    }

    /// Ends every connection of agents politely (GOAWAY); the listener stays.
    pub fn retire_connections(&self) {
        self.server.retire_all();
    }

    /// Cuts every connection of agents; the listener stays.
    pub fn cut_connections(&self) {
        self.server.cut_all(false);
    }
}

async fn serve(state: &Arc<State>, listen: Listen) -> Server {
    let routed = state.clone();
    let server =
        Server::start_patiently(listen, move |request, conn| route(routed.clone(), request, conn)).await;
    state.lock().server = Some(server.shared());
    server
}

/// Serves a request to the listener for agents.
pub async fn route(state: Arc<State>, request: Request<Incoming>, conn: Arc<Conn>) -> Option<Response<Body>> {
    let path = request.uri().path();
    let path = match path.strip_prefix(state.options.prefix.trim_end_matches('/')) {
        Some(path) => path.to_owned(),
        None => return Some(tunnel::error(&state, 404, "not_found", "outside the prefix")),
    };
    if let Some(rest) = path.strip_prefix("/v1/tunnels/") {
        return tunnel::serve(state, request, conn, rest.to_owned()).await;
    }
    if let Some(rest) = path.strip_prefix("/v1/mcp/") {
        return Some(hosted::serve(state, request, rest.to_owned()).await);
    }
    if path.starts_with("/v1/tunnel/") {
        state.lock().violation("the singular alias of an endpoint was used");
    }
    Some(tunnel::error(&state, 404, "not_found", "no such endpoint"))
}
