//! The HTTP leg against scripted servers on loopback: what goes over the wire, and what comes of the answers.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value as Json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::*;
use crate::mcp::{headers, jsonrpc};

mod calls;
mod failures;
mod sessions;
mod streams;

/// One request as the server saw it.
#[derive(Clone, Debug)]
struct Seen {
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Seen {
    fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect()
    }

    fn one(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name}: {all:?}");
        all.first().copied()
    }

    fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What the server does for a request, step by step.
#[derive(Clone, Debug)]
enum Act {
    Send(Vec<u8>),
    Wait(u64),
    Close,
}

type Script = dyn Fn(usize, &Seen) -> Vec<Act> + Send + Sync;

struct Server {
    addr: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// Answers request number n (from 0) as `script` says.
    async fn start(script: impl Fn(usize, &Seen) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let server = Self { addr, seen: Arc::clone(&seen), connections: Arc::clone(&connections) };
        let script: Arc<Script> = Arc::new(script);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, Arc::clone(&script), Arc::clone(&seen)));
            }
        });
        server
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    fn http(&self) -> Http {
        self.http_with(|_, _| {})
    }

    fn http_with(&self, change: impl FnOnce(&mut Mcp, &mut Limits)) -> Http {
        http_at(&format!("http://{}/mcp?k=v", self.addr), change)
    }
}

async fn serve(mut stream: TcpStream, script: Arc<Script>, seen: Arc<Mutex<Vec<Seen>>>) -> io::Result<()> {
    while let Some(request) = read_request(&mut stream).await? {
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.push(request.clone());
            seen.len() - 1
        };
        for act in script(number, &request) {
            match act {
                Act::Send(bytes) => stream.write_all(&bytes).await?,
                Act::Wait(ms) => sleep(Duration::from_millis(ms)).await,
                Act::Close => return Ok(()),
            }
        }
    }
    Ok(())
}

async fn read_request(stream: &mut TcpStream) -> io::Result<Option<Seen>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return Ok(None),
        }
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap().to_string();
    let headers: Vec<(String, String)> = lines
        .filter_map(|l| l.split_once(':'))
        .map(|(n, v)| (n.to_ascii_lowercase(), v.trim().to_string()))
        .collect();
    let length = headers.iter().find(|(n, _)| n == "content-length").map_or(0, |(_, v)| v.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Some(Seen { line, headers, body }))
}

fn http_at(url: &str, change: impl FnOnce(&mut Mcp, &mut Limits)) -> Http {
    http_trusting(&rustls::RootCertStore::empty(), url, change)
}

fn http_trusting(
    roots: &rustls::RootCertStore,
    url: &str,
    change: impl FnOnce(&mut Mcp, &mut Limits),
) -> Http {
    let mut mcp = Mcp {
        extra_headers: Vec::new(),
        startup_wait: Duration::ZERO,
        connection_max_ttl: Duration::from_secs(20),
        max_concurrent_requests: 10,
        stdio_send_initialized: false,
    };
    let mut limits = Limits::default();
    change(&mut mcp, &mut limits);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots.clone())
        .with_no_client_auth();
    let url = HttpUrl::try_from(url.to_string()).unwrap();
    Http::new(&url, None, &mcp, &limits, Arc::new(tls), net::Way::direct(), Log::memory().0)
}

/// A certificate for localhost, the configuration of a server that shows it, and the roots that trust it.
fn localhost() -> (rustls::ServerConfig, rustls::RootCertStore) {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certified.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    (config, roots)
}

/// A whole response with a length.
fn response(status: &str, content_type: Option<&str>, body: &[u8]) -> Vec<Act> {
    let content_type = content_type.map(|t| format!("Content-Type: {t}\r\n")).unwrap_or_default();
    let mut bytes = format!(
        "HTTP/1.1 {status}\r\n{content_type}Mcp-Session-Id: s-1\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    vec![Act::Send(bytes)]
}

fn ok(body: &str) -> Vec<Act> {
    response("200 OK", Some("application/json"), body.as_bytes())
}

/// An event stream that is sent in the given pieces and ended in good order.
fn stream(pieces: &[&str]) -> Vec<Act> {
    let mut acts = open_stream(pieces);
    acts.push(Act::Send(b"0\r\n\r\n".to_vec()));
    acts
}

/// An event stream that is not ended.
fn open_stream(pieces: &[&str]) -> Vec<Act> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nMcp-Session-Id: s-1\r\n\
                Transfer-Encoding: chunked\r\n\r\n";
    let mut acts = vec![Act::Send(head.into())];
    acts.extend(pieces.iter().map(|piece| chunk(piece)));
    acts
}

fn chunk(piece: &str) -> Act {
    Act::Send(format!("{:x}\r\n{piece}\r\n", piece.len()).into_bytes())
}

fn call(message: &str, headers: &[(&str, &str)]) -> Call {
    let raw: Vec<_> = headers.iter().map(|(n, v)| ((*n).to_string(), vec![(*v).to_string()])).collect();
    let headers = headers::forwardable(&raw).unwrap();
    Call { message: jsonrpc::parse(&Bytes::from(message.to_string())).unwrap(), headers, deadline: None }
}

const REQUEST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"}}"#;
const NOTIFICATION: &str = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":4}}"#;
const RESULT: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"ok":true}}"#;

/// Forwards a request; returns how it ended and the notes that came before.
async fn ask(http: &Http, call: Call) -> (End, Vec<Note>) {
    let (notes, mut arrived) = mpsc::channel(64);
    let end =
        tokio::time::timeout(Duration::from_secs(30), http.request(call, &notes)).await.expect("it ends");
    drop(notes);
    let mut all = Vec::new();
    while let Some(note) = arrived.recv().await {
        all.push(note);
    }
    (end, all)
}

async fn answer_to(http: &Http, call: Call) -> Answer {
    the_answer(ask(http, call).await.0)
}

fn the_answer(end: End) -> Answer {
    match end {
        End::Answer(answer) => answer,
        End::DeadlinePassed => panic!("the deadline passed"),
    }
}

impl Answer {
    fn text(&self) -> &str {
        std::str::from_utf8(self.body.as_ref().expect("a body")).unwrap()
    }

    fn content_type(&self) -> &str {
        self.headers.get(CONTENT_TYPE).unwrap().to_str().unwrap()
    }

    /// `source/kind` of a failure, after checking its envelope.
    fn failed(&self) -> String {
        let body: Json = serde_json::from_str(self.text()).unwrap();
        assert_eq!(body["error"]["code"], -32603, "{body}");
        let data = &body["error"]["data"]["tunnel_failure"];
        let failure = self.failure.expect("a failure");
        assert_eq!(data["source"], failure.source.name());
        assert_eq!(data["upstream_response_received"], failure.received);
        assert_eq!(self.content_type(), "application/json");
        format!("{}/{}", failure.source.name(), failure.kind.unwrap().name())
    }
}
