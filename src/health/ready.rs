//! Whether the service is ready, and if not, why: one judgement, which `/readyz`, the metrics and `STATUS=` all show.
//! Pure; the broker calls it, since it alone sees everything.

use std::borrow::Cow;

use crate::ipc::msg::Trouble;

/// The worker that serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worker {
    /// It may use the network.
    Serving,
    /// The first one gets ready.
    Starting,
    /// One died; another follows.
    Restarting,
    /// They die again and again.
    Spent,
}

/// The control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poll<'a> {
    /// No poll has ended.
    NotYet,
    /// The last one was answered.
    Works,
    /// The last one was not, for a reason.
    Failing(Trouble, &'a str),
}

/// One MCP server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server<'a> {
    /// It can be reached, or its process runs.
    Fine,
    /// Nobody has tried yet.
    Unknown,
    /// It cannot be reached.
    Unreachable(&'a str),
    /// Its process is being started.
    Starting,
    /// Its process has ended and is started again.
    Restarting,
    /// It ends again and again.
    Spent,
}

/// Everything that counts.
#[derive(Clone, Debug)]
pub struct State<'a> {
    /// The service stops: why, in a few words.
    pub stopping: Option<&'a str>,
    /// The worker.
    pub worker: Worker,
    /// Records cannot be written, and calls are refused for that.
    pub audit_refuses: bool,
    /// The control plane.
    pub poll: Poll<'a>,
}

/// One reason not to be ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// For machines; one of [`CODES`].
    pub code: &'static str,
    /// The channel that it is about, if it is about one.
    pub channel: Option<String>,
    /// For people.
    pub text: String,
}

/// Every code there is, the most important first.
pub const CODES: [&str; 20] = [
    "stopping",
    "worker_starting",
    "worker_restarting",
    "worker_failing",
    "audit_failing",
    "control_plane_pin",
    "control_plane_unauthorized",
    "control_plane_forbidden",
    "control_plane_not_found",
    "control_plane_tls",
    "control_plane_proxy",
    "control_plane_network",
    "control_plane_answer",
    "not_polled_yet",
    "mcp_unreachable",
    "mcp_unknown",
    "mcp_starting",
    "mcp_restarting",
    "mcp_failing",
    "broker_silent",
];
/// What is said in place of all others by a worker that the broker does not answer.
pub const SILENT: &str = "the broker does not answer";
/// What a reason of an unreachable server begins with that did not come in the time that was given it at the start.
pub const WAIT_FAILED: &str = "mcp startup wait failed: ";
/// What is said when nothing is wrong.
const READY: &str = "polling the control plane";

/// The reasons not to be ready, the most important first; none: ready.
pub fn judge<'a>(state: &State<'_>, servers: impl Iterator<Item = (&'a str, Server<'a>)>) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let mut because = |code, channel: Option<&str>, text: Cow<'_, str>| {
        reasons.push(Reason { code, channel: channel.map(str::to_owned), text: text.into_owned() });
    };
    if let Some(why) = state.stopping {
        because("stopping", None, why.into());
    }
    match state.worker {
        Worker::Serving => {}
        Worker::Starting => because("worker_starting", None, "the worker is starting".into()),
        Worker::Restarting => {
            because("worker_restarting", None, "the worker died and is being replaced".into());
        }
        Worker::Spent => {
            because("worker_failing", None, "the worker dies again and again; it is started slowly".into());
        }
    }
    if state.audit_refuses {
        because("audit_failing", None, "calls are refused: the audit log cannot be written".into());
    }
    match state.poll {
        Poll::Works => {}
        Poll::NotYet => {
            because("not_polled_yet", None, "the control plane has not answered a poll yet".into())
        }
        Poll::Failing(kind, why) => because(code(kind), None, why.into()),
    }
    for (channel, server) in servers {
        let (code, text) = match server {
            Server::Fine => continue,
            Server::Unreachable(why) => {
                let (prefix, why) = why.strip_prefix(WAIT_FAILED).map_or(("", why), |why| (WAIT_FAILED, why));
                let text = format!("{prefix}the MCP server of channel {channel} cannot be reached: {why}");
                ("mcp_unreachable", text)
            }
            Server::Unknown => {
                ("mcp_unknown", format!("the MCP server of channel {channel} has not been reached yet"))
            }
            Server::Starting => {
                ("mcp_starting", format!("the MCP server of channel {channel} is being started"))
            }
            Server::Restarting => (
                "mcp_restarting",
                format!("the MCP server of channel {channel} has ended and is started again"),
            ),
            Server::Spent => (
                "mcp_failing",
                format!("the MCP server of channel {channel} ends again and again; it is started slowly"),
            ),
        };
        because(code, Some(channel), text.into());
    }
    reasons
}

fn code(kind: Trouble) -> &'static str {
    match kind {
        Trouble::Pin => "control_plane_pin",
        Trouble::Unauthorized => "control_plane_unauthorized",
        Trouble::Forbidden => "control_plane_forbidden",
        Trouble::NotFound => "control_plane_not_found",
        Trouble::Tls => "control_plane_tls",
        Trouble::Proxy => "control_plane_proxy",
        Trouble::Network => "control_plane_network",
        Trouble::Answer => "control_plane_answer",
    }
}

/// The one sentence of `STATUS=`.
#[must_use]
pub fn sentence(reasons: &[Reason]) -> &str {
    reasons.first().map_or(READY, |first| &first.text)
}

#[cfg(test)]
#[path = "ready_tests.rs"]
mod tests;
