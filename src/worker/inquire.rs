//! A worker with one task: to ask for one page of a health listener on a connection that is already there. Role of its
//! own, started by `health`, `ready` and `status`.
//!
//! Who listens there may be anybody: a port of this machine belongs to whoever took it first. What comes is bounded in
//! bytes and time, and is understood here and nowhere else.

use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::unix::AsyncFd;
use tokio::time::timeout;

use super::front::{read, write};
use crate::config::confinement::LOWEST_ABI;
use crate::confine::kernel::Kernel;
use crate::confine::{self, Sealed};
use crate::exit::Exit;
use crate::health::{board, response};
use crate::ipc::channel::{AsyncChannel, Channel, Received};
use crate::ipc::errand::Errand;
use crate::sys;
use crate::sys::poll::{self, Interest};
use crate::sys::watch;

/// The role's name on the command line.
pub const ROLE: &str = "inquire";
/// How long the task may take to come; it is sent right after the start.
const TOLD_WITHIN: Duration = Duration::from_secs(10);
/// From the request to the end of its answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// What the whole task takes at most; the rest is for the start of the process.
pub const BOUND: Duration = Duration::from_secs(15);
/// The task: a host and a name.
const MAX_TASK: u64 = 4096;
/// What is kept of the text of a page.
const MAX_TEXT: usize = 4 * 1024;
/// What is read of the metrics until the figure has come that is looked for; it stands near the beginning.
const MAX_METRICS: usize = 64 * 1024;
/// What is read of `/status`: 31 channels, each with a reason, and 20 calls need half of it. As JSON it fits a frame.
const MAX_STATUS: usize = 48 * 1024;

/// Which page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Page {
    /// `/healthz`.
    Live,
    /// `/readyz`.
    Ready,
    /// When the last poll succeeded, of `/metrics`.
    Polled,
    /// `/status`, as it is.
    Document,
    /// `/status`, for a person.
    Board,
}

impl Page {
    /// Where it is.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Live => "/healthz",
            Self::Ready => "/readyz",
            Self::Polled => "/metrics",
            Self::Document | Self::Board => "/status",
        }
    }

    fn most(self) -> usize {
        match self {
            Self::Live | Self::Ready => MAX_TEXT,
            Self::Polled => MAX_METRICS,
            Self::Document | Self::Board => MAX_STATUS,
        }
    }
}

/// What to ask, on the connection that travels with the task.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// For the field `Host`.
    pub host: String,
    /// Which page.
    pub page: Page,
}

/// What came of it. The texts are those of the peer, bounded and otherwise as it sent them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// The status of the answer; `None` when there was none.
    pub status: Option<u16>,
    /// The text of the page, or its lines for a person.
    pub text: String,
    /// What `/status` says of readiness.
    pub ready: bool,
    /// `/status`, or the time of the last poll.
    pub value: Option<Value>,
    /// What is wrong with the answer, in a sentence of ours.
    pub error: Option<String>,
}

/// The whole life of this worker.
#[must_use]
pub fn run() -> Exit {
    let Ok(socket) = sys::process::enter_worker() else { return Exit::Usage };
    let Some((task, connection)) = receive(&socket) else { return Exit::Software };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return Exit::Os;
    };
    let inside = runtime.enter();
    let (Ok(channel), Ok(connection)) = (AsyncChannel::new(socket), watch::watch(connection)) else {
        return Exit::Os;
    };
    drop(inside);
    let sealed = confine();
    let answered = runtime.block_on(async {
        let found = match sealed {
            Ok(sealed) => ask(&sealed, &task, &connection).await,
            Err(why) => Found { error: Some(why), ..Found::default() },
        };
        match channel.send(&[found]).await {
            Ok(()) => Ok(()),
            // What a peer makes of numbers may be longer than it was.
            Err(_) => {
                let error = Some("its answer is too long to be shown".into());
                channel.send(&[Found { error, ..Found::default() }]).await
            }
        }
    });
    if answered.is_ok() { Exit::Ok } else { Exit::Software }
}

/// Whatever the kernel can enforce: the service itself decides which kernel is good enough for it, and must be asked
/// for its health on that one.
fn confine() -> Result<Sealed, String> {
    let abi = Kernel::probe().check(LOWEST_ABI).map_err(|e| e.to_string())?;
    confine::errand(abi, []).map_err(|e| format!("confinement failed at {e}"))
}

/// The task and its connection. Whoever started this learns from the end of the socket that there is none.
fn receive(socket: &OwnedFd) -> Option<(Task, OwnedFd)> {
    poll::wait(&[Interest::read(socket.as_fd())], Some(TOLD_WITHIN)).ok()?;
    // Nothing is said on it; as that of another errand, its code is there once.
    let mut channel = Channel::<super::look::Found, Errand>::new(socket.try_clone().ok()?);
    let Ok(Received::Frame(messages, fds)) = channel.recv() else { return None };
    let ([errand], Ok([memfd, connection])) = (messages.as_slice(), <[OwnedFd; 2]>::try_from(fds)) else {
        return None;
    };
    if errand.size > MAX_TASK {
        return None;
    }
    let bytes = sys::memfd::read_sealed(memfd, errand.size).ok()?;
    let task = errand.fits(&bytes).then(|| serde_json::from_slice(&bytes).ok())??;
    Some((task, connection))
}

/// Asks. Everything that a peer says is read below this function, and only a confined process gets here.
async fn ask(_: &Sealed, task: &Task, connection: &AsyncFd<OwnedFd>) -> Found {
    let mut found = Found::default();
    let asked = timeout(ANSWER_WITHIN, exchange(task, connection, &mut found)).await;
    let late = || Err(format!("no whole answer within {} seconds", ANSWER_WITHIN.as_secs()));
    match asked.unwrap_or_else(|_| late()) {
        Ok(body) => understand(task.page, &body, &mut found),
        Err(why) => found.error = Some(why),
    }
    found
}

/// The body, or as much of it as is wanted.
async fn exchange(task: &Task, connection: &AsyncFd<OwnedFd>, found: &mut Found) -> Result<Vec<u8>, String> {
    let failed = |e: std::io::Error| format!("the connection failed: {}", e.kind());
    let request = response::request(task.page.path(), &task.host);
    write(connection, request.as_bytes()).await.map_err(failed)?;
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    let (mut head, most) = (None, task.page.most());
    loop {
        let got = read(connection, &mut chunk).await.map_err(failed)?;
        bytes.extend_from_slice(chunk.get(..got).unwrap_or_default());
        if head.is_none() {
            let begin = bytes.get(..response::MAX_HEAD).unwrap_or(&bytes);
            head = response::head(begin)?;
            found.status = head.map(|head| head.status);
        }
        let Some(head) = head else {
            if got == 0 {
                return Err("it closes the connection without an answer".into());
            }
            continue;
        };
        let body = bytes.get(head.body..).unwrap_or_default();
        let whole = head.length.is_some_and(|length| body.len() >= length);
        let enough = task.page == Page::Polled && polled(body).is_some();
        if got == 0 && head.length.is_some_and(|length| body.len() < length) {
            return Err("it closes the connection within its answer".into());
        }
        if got == 0 || whole || enough || body.len() >= most {
            let wanted = head.length.unwrap_or(most).min(most);
            return Ok(body.get(..wanted).unwrap_or(body).to_vec());
        }
    }
}

fn polled(body: &[u8]) -> Option<f64> {
    response::polled(&String::from_utf8_lossy(body))
}

fn understand(page: Page, body: &[u8], found: &mut Found) {
    match page {
        Page::Live | Page::Ready => found.text = String::from_utf8_lossy(body).into_owned(),
        Page::Polled => match polled(body) {
            Some(at) => found.value = Some(at.into()),
            None => found.error = Some(format!("{} is not among its metrics", response::POLLED)),
        },
        Page::Document | Page::Board => match serde_json::from_slice::<Value>(body) {
            Ok(status) if found.status == Some(200) && status.is_object() => {
                found.ready = status.get("ready") == Some(&Value::Bool(true));
                match page {
                    Page::Board => found.text = board::lines(&status).join("\n"),
                    _ => found.value = Some(status),
                }
            }
            _ => found.error = Some("its answer is not the status of a tunnelward".into()),
        },
    }
}
