//! Asking a running agent for its health.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

use crate::agent::{Agent, SOON, Setup};
use crate::world::{Plan, World};

/// What came back.
#[derive(Clone, Debug)]
pub struct Got {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// With a listener on a free port and its address in a file; `more` are further members of `health`.
pub fn plan(more: &str) -> Plan {
    Plan::new().top(&format!("health: {{listen_addr: '127.0.0.1:0', url_file: '@DIR@/url'{more}}}"))
}

/// The directory becomes the agent's, as a RuntimeDirectory= is.
pub fn own(setup: Setup) -> Setup {
    if rustix::process::geteuid().is_root() {
        let somebody = Some(crate::agent::SOMEBODY);
        std::os::unix::fs::chown(setup.dir.path(), somebody, somebody).unwrap();
    }
    setup
}

/// Starts a world that can be asked.
pub async fn world(plan: Plan) -> World {
    let world = plan.start_as(own).await;
    address(&world.agent).await;
    world
}

/// `host:port` of its listener.
pub async fn address(agent: &Agent) -> String {
    let path = agent.dir.path().join("url");
    let url =
        crate::agent::eventually(|| std::fs::read_to_string(&path).ok().filter(|u| !u.is_empty())).await;
    url.expect("no url file").strip_prefix("http://").unwrap().to_string()
}

/// Sends these bytes and reads to the end.
pub async fn raw(address: &str, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    exchange(TcpStream::connect(address).await?, bytes).await
}

/// The same over a Unix socket.
pub async fn raw_unix(path: &Path, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    exchange(UnixStream::connect(path).await?, bytes).await
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(bytes).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

/// Understands an answer.
pub fn got(answer: &[u8]) -> Got {
    let text = String::from_utf8(answer.to_vec()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Got { status, head: head.into(), body: body.into() }
}

/// GET with these further header lines.
pub async fn get_with(address: &str, path: &str, fields: &str) -> Got {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{fields}\r\n");
    got(&raw(address, request.as_bytes()).await.unwrap())
}

/// GET.
pub async fn get(agent: &Agent, path: &str) -> Got {
    get_with(&address(agent).await, path, "").await
}

/// GET of an object.
pub async fn json(agent: &Agent, path: &str) -> Value {
    let got = get(agent, path).await;
    assert_eq!(got.status, 200, "{got:?}");
    serde_json::from_str(&got.body).unwrap_or_else(|e| panic!("{e}: {}", got.body))
}

/// The codes of the reasons not to be ready.
pub async fn codes(agent: &Agent) -> Vec<String> {
    let status = json(agent, "/status").await;
    let reasons = status["reasons"].as_array().unwrap();
    reasons.iter().map(|reason| reason["code"].as_str().unwrap().to_string()).collect()
}

/// Waits until `/readyz` answers like this: `None` is ready, a code is among the reasons.
pub async fn until(agent: &Agent, code: Option<&str>) -> Got {
    until_within(agent, code, SOON).await
}

/// The same within a time.
pub async fn until_within(agent: &Agent, code: Option<&str>, within: Duration) -> Got {
    let end = std::time::Instant::now() + within;
    loop {
        let codes = codes(agent).await;
        let ready = get(agent, "/readyz").await;
        let is = match code {
            None => ready.status == 200 && codes.is_empty(),
            Some(code) => ready.status == 503 && codes.iter().any(|c| c == code),
        };
        if is {
            return ready;
        }
        assert!(std::time::Instant::now() < end, "not {code:?} but {codes:?}: {ready:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
