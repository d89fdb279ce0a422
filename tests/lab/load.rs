//! The load generator: MCP calls over Streamable HTTP at a fixed concurrency, and the CPU time they cost by process.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use argh::FromArgs;
use bytes::Bytes;
use http::{HeaderValue, Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde_json::json;

/// Linux reports process times in these ticks per second on every architecture in use.
const TICKS: f64 = 100.0;

/// Calls a tool through a Streamable HTTP endpoint and prints one JSON line: calls per second, latency, errors, and the
/// CPU seconds of each named process in the measured interval.
#[derive(FromArgs)]
#[argh(subcommand, name = "load")]
pub struct Options {
    /// the endpoint, http only
    #[argh(option)]
    url: String,
    /// how many calls are measured
    #[argh(option, default = "1000")]
    calls: usize,
    /// how many calls before that are not
    #[argh(option, default = "50")]
    warmup: usize,
    /// how many are in flight
    #[argh(option, default = "10")]
    concurrency: usize,
    /// the tool
    #[argh(option, default = "String::from(\"echo\")")]
    tool: String,
    /// its arguments, JSON
    #[argh(option, default = "String::from(r#\"{\"text\":\"hello\"}\"#)")]
    arguments: String,
    /// name=pid of a process whose CPU time is reported
    #[argh(option)]
    pid: Vec<String>,
}

struct Shared {
    options: Options,
    uri: Uri,
    session: Option<HeaderValue>,
    begun: AtomicUsize,
    goal: AtomicUsize,
}

#[derive(Default)]
struct Tally {
    micros: Vec<u64>,
    errors: usize,
    first_error: Option<String>,
}

/// Runs the load and prints the line.
pub async fn run(options: Options) -> Result<()> {
    let uri: Uri = options.url.parse().map_err(|_| Error::new(ErrorKind::InvalidInput, "not a URL"))?;
    let mut pids = vec![("load".to_owned(), std::process::id())];
    for pair in &options.pid {
        let parsed = pair.split_once('=').and_then(|(name, pid)| Some((name.to_owned(), pid.parse().ok()?)));
        pids.push(parsed.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "--pid wants name=pid"))?);
    }
    let session = initialize(&uri).await?;
    let warmup = options.warmup;
    let calls = options.calls;
    let concurrency = options.concurrency.max(1);
    let shared = Arc::new(Shared {
        options,
        uri,
        session,
        begun: AtomicUsize::new(0),
        goal: AtomicUsize::new(warmup),
    });
    let mut senders = Vec::new();
    for _ in 0..concurrency {
        senders.push(connect(&shared.uri).await?);
    }
    let (_, senders) = round(&shared, senders).await;
    let before = cpu(&pids);
    shared.begun.store(0, Ordering::Relaxed);
    shared.goal.store(calls, Ordering::Relaxed);
    let began = Instant::now();
    let (mut tally, _) = round(&shared, senders).await;
    let seconds = began.elapsed().as_secs_f64();
    let after = cpu(&pids);
    tally.micros.sort_unstable();
    let at = |share: f64| {
        let place = (share * tally.micros.len() as f64) as usize;
        tally.micros.get(place.min(tally.micros.len().saturating_sub(1))).map(|m| *m as f64 / 1000.0)
    };
    let spent = |(name, end): (&String, &f64)| {
        let used = end - before.get(name).copied().unwrap_or_default();
        (name.clone(), (used * 1000.0).round() / 1000.0)
    };
    let spent: BTreeMap<_, _> = after.iter().map(spent).collect();
    let rss: BTreeMap<_, _> = pids.iter().filter_map(|(name, pid)| Some((name, resident(*pid)?))).collect();
    let line = json!({
        "calls": tally.micros.len() + tally.errors,
        "errors": tally.errors,
        "first_error": tally.first_error,
        "concurrency": concurrency,
        "seconds": (seconds * 1000.0).round() / 1000.0,
        "calls_per_second": (calls as f64 / seconds).round(),
        "p50_ms": at(0.50),
        "p99_ms": at(0.99),
        "max_ms": at(1.0),
        "cpu_seconds": spent,
        "rss_kb": rss,
    });
    crate::say(&line)
}

/// Shares out the calls of one round among the connections.
async fn round(
    shared: &Arc<Shared>,
    senders: Vec<SendRequest<Full<Bytes>>>,
) -> (Tally, Vec<SendRequest<Full<Bytes>>>) {
    let tasks: Vec<_> =
        senders.into_iter().map(|sender| tokio::spawn(work(shared.clone(), sender))).collect();
    let (mut all, mut back) = (Tally::default(), Vec::new());
    for task in tasks {
        if let Ok((tally, sender)) = task.await {
            all.micros.extend(tally.micros);
            all.errors += tally.errors;
            all.first_error = all.first_error.or(tally.first_error);
            back.push(sender);
        }
    }
    (all, back)
}

async fn work(
    shared: Arc<Shared>,
    mut sender: SendRequest<Full<Bytes>>,
) -> (Tally, SendRequest<Full<Bytes>>) {
    let mut tally = Tally::default();
    loop {
        let number = shared.begun.fetch_add(1, Ordering::Relaxed);
        if number >= shared.goal.load(Ordering::Relaxed) {
            return (tally, sender);
        }
        let began = Instant::now();
        match call(&shared, &mut sender, number).await {
            Ok(()) => tally.micros.push(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX)),
            Err(error) => {
                tally.errors += 1;
                tally.first_error.get_or_insert(error.to_string());
                if sender.is_closed() {
                    match connect(&shared.uri).await {
                        Ok(fresh) => sender = fresh,
                        Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                    }
                }
            }
        }
    }
}

async fn connect(uri: &Uri) -> Result<SendRequest<Full<Bytes>>> {
    let authority =
        uri.authority().ok_or_else(|| Error::new(ErrorKind::InvalidInput, "URL without a host"))?;
    let stream = tokio::net::TcpStream::connect(authority.as_str()).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(Error::other)?;
    tokio::spawn(connection);
    sender.ready().await.map_err(Error::other)?;
    Ok(sender)
}

fn request(uri: &Uri, session: Option<&HeaderValue>, body: String) -> Result<Request<Full<Bytes>>> {
    let host = uri.authority().map_or("", |a| a.as_str());
    let mut request = Request::post(uri.path())
        .header("host", host)
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2025-11-25");
    if let Some(session) = session {
        request = request.header("mcp-session-id", session);
    }
    request.body(Full::new(body.into())).map_err(Error::other)
}

async fn initialize(uri: &Uri) -> Result<Option<HeaderValue>> {
    let params = r#"{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"lab-load","version":"1"}}"#;
    let body = format!(r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{params}}}"#);
    let mut sender = connect(uri).await?;
    let answer = sender.send_request(request(uri, None, body)?).await.map_err(Error::other)?;
    let (status, session) = (answer.status(), answer.headers().get("mcp-session-id").cloned());
    let text = answer.into_body().collect().await.map_err(Error::other)?.to_bytes();
    if status != 200 {
        let text = String::from_utf8_lossy(&text).into_owned();
        return Err(Error::other(format!("initialize was answered with {status}: {text}")));
    }
    sender.ready().await.map_err(Error::other)?;
    let body = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.to_owned();
    let answer = sender.send_request(request(uri, session.as_ref(), body)?).await.map_err(Error::other)?;
    answer.into_body().collect().await.map_err(Error::other)?;
    Ok(session)
}

async fn call(shared: &Shared, sender: &mut SendRequest<Full<Bytes>>, number: usize) -> Result<()> {
    let Options { tool, arguments, .. } = &shared.options;
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":{number},"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#
    );
    sender.ready().await.map_err(Error::other)?;
    let answer = sender
        .send_request(request(&shared.uri, shared.session.as_ref(), body)?)
        .await
        .map_err(Error::other)?;
    let status = answer.status();
    let body = answer.into_body().collect().await.map_err(Error::other)?.to_bytes();
    let text = String::from_utf8_lossy(&body);
    let answered = text.contains(&format!("\"id\":{number}")) && text.contains("\"result\"");
    if status == 200 && answered {
        Ok(())
    } else {
        Err(Error::other(format!("{status}: {}", text.chars().take(200).collect::<String>())))
    }
}

/// User and system CPU seconds of each process, its reaped children not included.
fn cpu(pids: &[(String, u32)]) -> BTreeMap<String, f64> {
    let read = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field, the name, may hold anything but ends with the last parenthesis.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
        Some((ticks(11)? + ticks(12)?) / TICKS)
    };
    pids.iter().filter_map(|(name, pid)| Some((name.clone(), read(*pid)?))).collect()
}

fn resident(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?.split_whitespace().next()?.parse().ok()
}
