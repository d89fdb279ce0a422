//! Calls through real pipes to a server that the test plays.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::settings::Timing;
use super::*;
use crate::mcp::jsonrpc;

mod calls;
mod ends;
mod handing;
mod notes;
mod sessions;

const SOON: Duration = Duration::from_secs(5);

/// A binding under test.
struct Rig {
    stdio: Arc<Stdio>,
    events: mpsc::UnboundedReceiver<StdioEvent>,
    lines: Arc<Mutex<Vec<String>>>,
    next: u32,
}

fn rig(change: impl FnOnce(&mut Settings)) -> Rig {
    let (log, lines) = Log::memory();
    let (tell, events) = mpsc::unbounded_channel();
    let timing = Timing {
        wait: Duration::from_millis(400),
        patience: Duration::from_secs(10),
        stall: Duration::from_millis(200),
        turn: Duration::from_millis(50),
        farewell: Duration::from_millis(300),
        linger: Duration::from_millis(100),
    };
    let mut settings = Settings {
        index: 3,
        serialize: false,
        send_initialized: false,
        max_age: Duration::from_secs(60),
        max_line: 1 << 20,
        timing,
        channel: Channel::main(),
        log,
        counts: Counts::default(),
    };
    change(&mut settings);
    Rig { stdio: Arc::new(Stdio::with(settings, tell)), events, lines, next: 0 }
}

/// The far ends of a child's pipes.
struct Server {
    stdin: Option<BufReader<pipe::Receiver>>,
    stdout: Option<pipe::Sender>,
    generation: u32,
}

impl Rig {
    fn attach(&mut self, era: Option<Era>) -> Server {
        self.attach_keeping(era).0
    }

    /// The same; the broker's own ends are kept.
    fn attach_keeping(&mut self, era: Option<Era>) -> (Server, ChildPipes) {
        self.next += 1;
        let (stdin_theirs, stdin_ours) = std::io::pipe().unwrap();
        let (stdout_ours, stdout_theirs) = std::io::pipe().unwrap();
        let (stdin, stdout): (OwnedFd, OwnedFd) = (stdin_ours.into(), stdout_ours.into());
        let pipes = |stdin, stdout| ChildPipes { stdin, stdout, era, generation: self.next, carried: None };
        let kept = pipes(stdin.try_clone().unwrap(), stdout.try_clone().unwrap());
        self.stdio.attach(pipes(stdin, stdout));
        let server = Server {
            stdin: Some(BufReader::new(pipe::Receiver::from_owned_fd(stdin_theirs.into()).unwrap())),
            stdout: Some(pipe::Sender::from_owned_fd(stdout_theirs.into()).unwrap()),
            generation: self.next,
        };
        (server, kept)
    }

    /// A child of the session era that has been initialized.
    async fn ready(&mut self) -> Server {
        let mut server = self.attach(None);
        let call = self.call("initialize", "0", "{}");
        server.answer("{}").await;
        assert_eq!(call.answer().await.0, 200);
        let code = self.notify("notifications/initialized", "{}").await;
        server.read().await;
        assert_eq!(code, 200);
        server
    }

    fn call(&self, method: &str, id: &str, params: &str) -> Calling {
        self.call_until(method, id, params, None)
    }

    fn call_until(&self, method: &str, id: &str, params: &str, within: Option<Duration>) -> Calling {
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#);
        let deadline = within.map(|w| Instant::now() + w);
        let message = jsonrpc::parse(&Bytes::from(text)).unwrap();
        let call = Call { message, headers: HeaderMap::new(), deadline };
        let (tell, notes) = mpsc::channel(64);
        let stdio = Arc::clone(&self.stdio);
        Calling { end: tokio::spawn(async move { stdio.request(call, &tell).await }), notes }
    }

    async fn notify(&self, method: &str, params: &str) -> u16 {
        match self.notify_until(method, params, None).await {
            End::Answer(Answer { code, body: None, .. }) => code,
            other => panic!("{other:?}"),
        }
    }

    async fn notify_until(&self, method: &str, params: &str, within: Option<Duration>) -> End {
        let text = format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#);
        let message = jsonrpc::parse(&Bytes::from(text)).unwrap();
        let deadline = within.map(|w| Instant::now() + w);
        self.stdio.notification(Call { message, headers: HeaderMap::new(), deadline }).await
    }

    async fn event(&mut self) -> StdioEvent {
        timeout(SOON, self.events.recv()).await.unwrap().unwrap()
    }

    fn logged(&self, what: &str) -> usize {
        self.lines.lock().unwrap().iter().filter(|line| line.contains(what)).count()
    }
}

/// A request on its way.
struct Calling {
    end: JoinHandle<End>,
    notes: mpsc::Receiver<Note>,
}

impl Calling {
    async fn end(self) -> End {
        timeout(SOON, self.end).await.expect("no end of the call").unwrap()
    }

    async fn answer(self) -> (u16, String) {
        match self.end().await {
            End::Answer(answer) => {
                assert_eq!(answer.headers.len(), 1);
                assert_eq!(answer.headers[CONTENT_TYPE], "application/json");
                (answer.code, String::from_utf8(answer.body.unwrap().to_vec()).unwrap())
            }
            End::DeadlinePassed => panic!("the deadline passed"),
        }
    }

    /// The failure's (source, kind) after checking what every failure has in common.
    async fn failure(self, id: &str) -> (String, String) {
        let (code, body) = self.answer().await;
        let value: Value = serde_json::from_str(&body).unwrap();
        let failure = &value["error"]["data"]["tunnel_failure"];
        assert_eq!((code, &value["error"]["code"]), (502, &json!(-32603)));
        assert_eq!((&value["error"]["message"], &failure["version"]), (&json!("Bad Gateway"), &json!(1)));
        assert!(body.contains(&format!("\"id\":{id},")), "{body}");
        let text = |name: &str| failure[name].as_str().unwrap().to_owned();
        (text("source"), text("transport_error_kind"))
    }

    async fn note(&mut self) -> String {
        let note = timeout(SOON, self.notes.recv()).await.unwrap().unwrap();
        assert_eq!(
            (note.code, &note.headers[CONTENT_TYPE]),
            (200, &HeaderValue::from_static("text/event-stream"))
        );
        String::from_utf8(note.body.to_vec()).unwrap()
    }
}

impl Server {
    async fn read_text(&mut self) -> String {
        let mut line = String::new();
        timeout(SOON, self.stdin.as_mut().unwrap().read_line(&mut line))
            .await
            .expect("nothing to read")
            .unwrap();
        line
    }

    async fn read(&mut self) -> Value {
        serde_json::from_str(&self.read_text().await).unwrap()
    }

    /// The next line, if one comes at all.
    async fn maybe_read(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.stdin.as_mut().unwrap().read_line(&mut line);
        timeout(Duration::from_millis(150), read).await.ok().map(|_| line)
    }

    async fn send(&mut self, text: &str) {
        timeout(SOON, self.stdout.as_mut().unwrap().write_all(text.as_bytes())).await.unwrap().unwrap();
    }

    async fn result(&mut self, request: &Value, result: &str) {
        self.send(&format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{result}}}\n", request["id"])).await;
    }

    /// Reads a request and answers it.
    async fn answer(&mut self, result: &str) -> Value {
        let request = self.read().await;
        self.result(&request, result).await;
        request
    }
}

/// Lets everything that can happen now happen.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(30)).await;
}
