//! A TCP server that reads whole HTTP/1.1 requests and writes exactly the bytes it is told, for answers that no HTTP
//! library would send: truncated bodies, wrong framing, resets, endless bodies, chunk boundaries anywhere.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::body::Part;

/// One request as received.
#[derive(Clone, Debug)]
pub struct RawRequest {
    /// When it was complete (monotonic).
    pub arrived: Instant,
    /// The connection, counted from 1.
    pub connection: usize,
    /// The position of the request on its connection, counted from 1.
    pub position: usize,
    /// Request line and headers.
    pub head: String,
    /// The body, with the chunked framing taken off.
    pub body: Vec<u8>,
}

type Script = Arc<dyn Fn(&RawRequest) -> Vec<Part> + Send + Sync>;

/// A running raw server. Dropping it closes the listener; open conversations end by themselves.
pub struct RawServer {
    /// Where it listens.
    pub addr: SocketAddr,
    requests: Arc<Mutex<Vec<RawRequest>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A complete HTTP/1.1 answer with a `Content-Length`, as bytes to start from.
pub fn http_answer(status: &str, content_type: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

impl RawServer {
    /// Listens on 127.0.0.1; `script` says what to write after each request. The connection stays open afterwards
    /// unless the script ends with `Part::Cut` or `Part::Reset`.
    pub async fn start(script: impl Fn(&RawRequest) -> Vec<Part> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (script, seen): (Script, _) = (Arc::new(script), requests.clone());
        let task = tokio::spawn(async move {
            let mut connection = 0;
            while let Ok((stream, _)) = listener.accept().await {
                connection += 1;
                let _ = stream.set_nodelay(true);
                tokio::spawn(converse(stream, connection, script.clone(), seen.clone()));
            }
        });
        Self { addr, requests, task }
    }

    /// `http://127.0.0.1:port/mcp`.
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.addr)
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<RawRequest> {
        self.requests.lock().unwrap().clone()
    }
}

async fn converse(
    mut stream: TcpStream,
    connection: usize,
    script: Script,
    seen: Arc<Mutex<Vec<RawRequest>>>,
) -> Option<()> {
    let mut buffer = Vec::new();
    let mut position = 0;
    loop {
        let (head, body) = read_request(&mut stream, &mut buffer).await?;
        position += 1;
        let request = RawRequest { arrived: Instant::now(), connection, position, head, body };
        seen.lock().unwrap().push(request.clone());
        for part in script(&request) {
            match part {
                Part::Data(bytes) => stream.write_all(&bytes).await.ok()?,
                Part::Repeat(bytes, times) => {
                    for _ in 0..times {
                        stream.write_all(&bytes).await.ok()?;
                    }
                }
                Part::Wait(time) => tokio::time::sleep(time).await,
                Part::Hang => std::future::pending().await,
                Part::Cut | Part::Fail => return None,
                Part::Reset => {
                    stream.set_zero_linger().ok()?;
                    return None;
                }
            }
        }
    }
}

async fn fill(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    (stream.read_buf(buffer).await.ok()? > 0).then_some(())
}

async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        fill(stream, buffer).await?;
    };
    let head = String::from_utf8_lossy(&buffer.drain(..end).collect::<Vec<_>>()).into_owned();
    let lower = head.to_ascii_lowercase();
    let length = lower
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .and_then(|n| n.trim().parse::<usize>().ok());
    if let Some(length) = length {
        while buffer.len() < length {
            fill(stream, buffer).await?;
        }
        return Some((head, buffer.drain(..length).collect()));
    }
    let mut body = Vec::new();
    while lower.contains("transfer-encoding: chunked") {
        let line = loop {
            if let Some(at) = buffer.windows(2).position(|w| w == b"\r\n") {
                break at;
            }
            fill(stream, buffer).await?;
        };
        let size = usize::from_str_radix(String::from_utf8_lossy(&buffer[..line]).trim(), 16).ok()?;
        while buffer.len() < line + 2 + size + 2 {
            fill(stream, buffer).await?;
        }
        body.extend_from_slice(&buffer[line + 2..line + 2 + size]);
        buffer.drain(..line + 2 + size + 2);
        if size == 0 {
            break;
        }
    }
    Some((head, body))
}
