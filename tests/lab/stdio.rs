//! The MCP stub over standard input and output: the tools of [`crate::lab::mcp`], and misbehaviours chosen by flags.
//!
//! Besides the common tools it knows `env{}` (its environment), `fds{}` (the descriptors it was started with), `cwd{}` and `pid{}`.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};

use crate::lab::mcp::{self, Message, Steps};
use crate::stdio_options::Options;

enum Out {
    Line(String),
    Flush(oneshot::Sender<()>),
}

struct Stub {
    options: Options,
    out: mpsc::UnboundedSender<Out>,
    asked: Mutex<HashMap<String, oneshot::Sender<String>>>,
    era: Mutex<Option<bool>>,
}

/// Serves until standard input ends; the exit code.
pub async fn run(options: Options) -> std::io::Result<u8> {
    use tokio::signal::unix::{SignalKind, signal};
    let (out, lines) = mpsc::unbounded_channel();
    let writer = tokio::spawn(write(lines, options.partial));
    let stub =
        Arc::new(Stub { options: options.clone(), out, asked: Mutex::default(), era: Mutex::default() });
    if options.exit_now {
        return Ok(options.exit_code);
    }
    // Held so that SIGTERM does nothing.
    let _term = if options.ignore_term { Some(signal(SignalKind::terminate())?) } else { None };
    if options.grandchild {
        let child = tokio::process::Command::new("sleep").arg("1000").spawn()?;
        let _ = writeln!(std::io::stderr(), "grandchild {}", child.id().unwrap_or_default());
    }
    stub.complain();
    if let Some(banner) = &options.banner {
        stub.say(banner.clone());
    }
    if let Some(every) = options.idle_flood {
        let stub = stub.clone();
        tokio::spawn(async move {
            loop {
                stub.say(NOTE.into());
                tokio::time::sleep(Duration::from_millis(every)).await;
            }
        });
    }
    tokio::time::sleep(Duration::from_millis(options.slow_start)).await;
    if options.ignore_stdin {
        return std::future::pending().await;
    }
    let code = read(&stub).await?;
    if code.is_none() && options.ignore_eof {
        return std::future::pending().await;
    }
    let (done, flushed) = oneshot::channel();
    if stub.out.send(Out::Flush(done)).is_ok() {
        let _ = flushed.await;
    }
    writer.abort();
    Ok(code.unwrap_or(0))
}

const NOTE: &str =
    r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"from the stub"}}"#;

/// Reads lines and answers each in a task of its own; `Some` when told to end early.
async fn read(stub: &Arc<Stub>) -> std::io::Result<Option<u8>> {
    let options = &stub.options;
    let mut input = tokio::io::BufReader::with_capacity(1 << 16, tokio::io::stdin());
    let (mut line, mut count) = (Vec::new(), 0);
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line).await? == 0 {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        if text.is_empty() {
            continue;
        }
        if let Some(path) = &options.record {
            let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path)?;
            file.write_all(format!("{}\n", json!({"pid": std::process::id(), "line": text})).as_bytes())?;
        }
        count += 1;
        let method = serde_json::from_str::<Message<'_>>(&text).ok().and_then(|m| m.method);
        if options.exit_after == Some(count) || (method.is_some() && options.exit_on == method) {
            return Ok(Some(options.exit_code));
        }
        let stub = stub.clone();
        tokio::spawn(async move { stub.handle(&text, method.as_deref()).await });
    }
}

impl Stub {
    fn say(&self, line: String) {
        let _ = self.out.send(Out::Line(line));
    }

    fn complain(&self) {
        for n in 0..self.options.stderr_flood {
            let _ = writeln!(std::io::stderr(), "stub: line {n} of much that nobody reads");
        }
    }

    async fn handle(&self, text: &str, method: Option<&str>) {
        let raw_id =
            serde_json::from_str::<Message<'_>>(text).ok().and_then(|m| m.id).map(|id| id.get().to_owned());
        let Some(method) = method else {
            if let Some(waiting) = raw_id.and_then(|id| self.asked.lock().unwrap().remove(&id)) {
                let _ = waiting.send(text.to_owned());
            }
            return;
        };
        if self.options.never.iter().any(|m| m == method) {
            return;
        }
        let Some(id) = raw_id else { return };
        if let Some(refusal) = self.wrong_era(&id, method, text) {
            return self.say(refusal);
        }
        if let Some(answer) = own_tool(&id, method, text) {
            return self.reply(&id, answer);
        }
        if let (Some(ask), "tools/call") = (&self.options.ask, method) {
            let answer = self.ask(&id, ask).await;
            return self.reply(&id, answer);
        }
        match mcp::answer(text) {
            Steps::Accepted | Steps::Silent => {}
            Steps::Answer(pause, answer) => {
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
                self.reply(&id, answer);
            }
            Steps::Stream { notes, interval, answer } => {
                for note in notes {
                    self.say(note);
                    tokio::time::sleep(interval).await;
                }
                self.reply(&id, answer);
            }
            Steps::Status(_, body) if body.starts_with('{') => self.reply(&id, body),
            Steps::Status(status, _) => {
                self.reply(&id, mcp::error(&id, -32000, &format!("failed with {status}")))
            }
        }
    }

    /// What a server of one era says to a message of the other.
    fn wrong_era(&self, id: &str, method: &str, text: &str) -> Option<String> {
        let modern = method == "server/discover" || text.contains("io.modelcontextprotocol/protocolVersion");
        if self.options.legacy && modern {
            return Some(mcp::error(id, -32601, "Method not found"));
        }
        if !self.options.one_era {
            return None;
        }
        let era = *self.era.lock().unwrap().get_or_insert(modern);
        match (era, modern) {
            (true, false) => Some(mcp::error(id, -32022, "Unsupported protocol version")),
            (false, true) => Some(mcp::error(id, -32600, "Invalid Request")),
            _ => None,
        }
    }

    async fn ask(&self, id: &str, method: &str) -> String {
        let own = format!("\"stub asks for {}\"", id.replace('"', "'"));
        let (sender, answer) = oneshot::channel();
        self.asked.lock().unwrap().insert(own.clone(), sender);
        self.say(format!(r#"{{"jsonrpc":"2.0","id":{own},"method":"{method}","params":{{}}}}"#));
        let answer = answer.await.unwrap_or_default();
        mcp::result(id, &format!(r#"{{"content":[{{"type":"text","text":{}}}]}}"#, Value::from(answer)))
    }

    fn reply(&self, id: &str, mut answer: String) {
        let options = &self.options;
        self.complain();
        (0..options.flood).for_each(|_| self.say(NOTE.into()));
        if let Some(line) = &options.chatter {
            self.say(line.clone());
        }
        if options.garbage > 0 {
            answer.insert_str(0, &"#".repeat(options.garbage));
        }
        if let Some(wrong) = &options.wrong_id {
            answer = answer.replacen(&format!("\"id\":{id}"), &format!("\"id\":{wrong}"), 1);
        }
        if options.batch {
            answer = format!("[{answer}]");
        }
        if options.duplicate {
            self.say(answer.clone());
        }
        self.say(answer);
    }
}

fn own_tool(id: &str, method: &str, text: &str) -> Option<String> {
    if method != "tools/call" {
        return None;
    }
    let call: Value = serde_json::from_str(text).ok()?;
    let said = match call.pointer("/params/name")?.as_str()? {
        "env" => std::env::vars_os()
            .map(|(k, v)| format!("{}={}\n", k.to_string_lossy(), v.to_string_lossy()))
            .collect::<String>(),
        "cwd" => std::env::current_dir().ok()?.display().to_string(),
        "pid" => std::process::id().to_string(),
        _ => return None,
    };
    Some(mcp::result(id, &format!(r#"{{"content":[{{"type":"text","text":{}}}]}}"#, Value::from(said))))
}

async fn write(mut lines: mpsc::UnboundedReceiver<Out>, partial: bool) -> std::io::Result<()> {
    let mut out = tokio::io::stdout();
    while let Some(next) = lines.recv().await {
        let mut line = match next {
            Out::Line(line) => line,
            Out::Flush(done) => {
                let _ = done.send(());
                continue;
            }
        };
        line.push('\n');
        let piece = if partial { line.len().div_ceil(3) } else { line.len() };
        for bytes in line.as_bytes().chunks(piece) {
            out.write_all(bytes).await?;
            out.flush().await?;
            if partial {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    Ok(())
}
