//! For the tests of this room: a configuration, and a control plane on loopback that answers from a script.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

use super::client::Client;
use crate::config::peer::Peer;
use crate::config::route::Route;
use crate::config::types::{Binding, Channel, Control, HttpUrl, Limits, Mcp, Secret, Transport, Worker};
use crate::log::Log;

pub(crate) fn http(channel: &str) -> Binding {
    let url = HttpUrl::try_from("http://127.0.0.1:9/mcp".to_owned()).unwrap();
    binding(channel, Transport::Http { url, route: Box::new(Route::direct()), peer: Box::default() })
}

pub(crate) fn stdio(channel: &str) -> Binding {
    binding(channel, Transport::Stdio { index: 0, serialize: false })
}

fn binding(channel: &str, transport: Transport) -> Binding {
    Binding { channel: Channel::normalise(channel).unwrap(), stateless: false, transport }
}

pub(crate) fn worker(origin: &str) -> Worker {
    Worker {
        control: Control {
            origin: HttpUrl::try_from(origin.to_owned()).unwrap(),
            route: Route::direct(),
            path_prefix: String::new(),
            tunnel_id: format!("tunnel_{}", "a".repeat(32)),
            organization: None,
            api_key: Secret::new("sk-secret".into()).into(),
            extra_headers: Vec::new(),
            poll_timeout: Duration::from_secs(30),
            poll_guardrail: Duration::from_secs(5),
            max_inflight: 20,
            poll_channels: None,
            peer: Peer::default(),
        },
        bindings: vec![http("main")],
        mcp: Mcp {
            extra_headers: Vec::new(),
            startup_wait: Duration::ZERO,
            connection_max_ttl: Duration::from_secs(600),
            max_concurrent_requests: 10,
            stdio_send_initialized: false,
        },
        limits: Limits::default(),
        ca_pem: None,
        tls: Default::default(),
        proxy_peer: Default::default(),
        proxy_check_interval: Duration::from_secs(60),
        audit: false,
        log_level: crate::log::Level::Debug,
        require: 1,
        policy: None,
        health: crate::config::health::Answers::default(),
    }
}

pub(crate) type Lines = Arc<Mutex<Vec<String>>>;

/// A client for `config` and the lines that it logs.
pub(crate) fn client_of(config: &Worker) -> (Client, Lines) {
    let (log, lines) = Log::memory();
    let tls = crate::tls::client_config(None).unwrap();
    (
        Client::new(config, "0123456789abcdef0123456789abcdef", tls, crate::net::Way::direct(), log).unwrap(),
        lines,
    )
}

/// The logged lines that contain a text.
pub(crate) fn logged(lines: &Lines, text: &str) -> Vec<String> {
    lines.lock().unwrap().iter().filter(|line| line.contains(text)).cloned().collect()
}

/// One step of an answer.
#[derive(Clone)]
pub(crate) enum Step {
    Send(Vec<u8>),
    Wait(Duration),
    Close,
}

/// Status, further header lines, body: a complete answer.
pub(crate) fn answer(status: u16, headers: &str, body: &str) -> Vec<Step> {
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
    vec![Step::Send((head + body).into_bytes())]
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) head: String,
    pub(crate) body: String,
    pub(crate) at: Instant,
}

impl Seen {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

#[derive(Default)]
struct Shared {
    script: VecDeque<Vec<Step>>,
    seen: Vec<Seen>,
    written: usize,
}

/// A control plane that takes its answers from a script, one for each request; without one left, it says 200.
pub(crate) struct Plane {
    pub(crate) origin: String,
    shared: Arc<Mutex<Shared>>,
}

impl Plane {
    pub(crate) async fn start(script: Vec<Vec<Step>>) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), script)
    }

    pub(crate) fn on(listener: TcpListener, script: Vec<Vec<Step>>) -> Self {
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Mutex::new(Shared { script: script.into(), ..Shared::default() }));
        let state = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&state);
                tokio::spawn(async move { serve(stream, &state).await });
            }
        });
        Self { origin, shared }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.lock().unwrap().seen.clone()
    }

    /// Bytes that the network took so far.
    pub(crate) fn written(&self) -> usize {
        self.shared.lock().unwrap().written
    }
}

async fn serve(mut stream: TcpStream, state: &Mutex<Shared>) -> Option<()> {
    let mut buffer = Vec::new();
    loop {
        let head_end = loop {
            if let Some(n) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break n + 4;
            }
            stream.read_buf(&mut buffer).await.ok().filter(|n| *n > 0)?;
        };
        let head = String::from_utf8(buffer[..head_end].to_vec()).unwrap();
        let mut seen = Seen { head, body: String::new(), at: Instant::now() };
        let length: usize = seen.header("content-length").map_or(0, |n| n.parse().unwrap());
        while buffer.len() < head_end + length {
            stream.read_buf(&mut buffer).await.ok().filter(|n| *n > 0)?;
        }
        seen.body = String::from_utf8(buffer[head_end..head_end + length].to_vec()).unwrap();
        buffer.drain(..head_end + length);
        let steps = {
            let mut state = state.lock().unwrap();
            state.seen.push(seen);
            state.script.pop_front().unwrap_or_else(|| answer(200, "", "{}"))
        };
        for step in steps {
            match step {
                Step::Send(bytes) => {
                    for part in bytes.chunks(16 * 1024) {
                        stream.write_all(part).await.ok()?;
                        state.lock().unwrap().written += part.len();
                    }
                }
                Step::Wait(time) => sleep(time).await,
                Step::Close => return None,
            }
        }
    }
}
