//! Commands and readings that the end-to-end tests of the MCP side share.

use std::path::PathBuf;

use crate::agent::eventually;
use crate::lab::{Command, ResponseRecord, Stub};
use crate::world::{Plan, World};

/// The `_meta` that makes a request of MCP 2026-07-28 self-contained.
pub const SELF_CONTAINED: &str = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

/// The ordinary world, which does not wait long for its last poll when it is stopped.
pub fn plan() -> Plan {
    Plan::new().top("poll_grace: 50ms")
}

/// A `tools/call`. Its JSON-RPC id is the request id, and its parameters carry a [`tag`] that servers ignore.
pub fn tool(request_id: &str, name: &str, arguments: &str) -> Command {
    tool_with(request_id, &format!("\"{request_id}\""), name, arguments)
}

/// The same with another raw JSON-RPC id.
pub fn tool_with(request_id: &str, id: &str, name: &str, arguments: &str) -> Command {
    let params = format!(r#"{{"name":"{name}",{},"arguments":{arguments}}}"#, tag(request_id));
    Command::call(request_id, id, "tools/call", &params)
}

/// A self-contained `tools/call`.
pub fn modern_tool(request_id: &str, name: &str, arguments: &str) -> Command {
    let params = format!(
        r#"{{"name":"{name}",{},"_meta":{SELF_CONTAINED},"arguments":{arguments}}}"#,
        tag(request_id)
    );
    Command::call(request_id, &format!("\"{request_id}\""), "tools/call", &params)
}

/// What marks a message wherever it goes.
pub fn tag(request_id: &str) -> String {
    format!(r#""tag":"{request_id}""#)
}

/// An `initialize`.
pub fn initialize(request_id: &str) -> Command {
    let params =
        r#"{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}"#;
    Command::call(request_id, &format!("\"{request_id}\""), "initialize", params)
}

/// A `notifications/initialized`.
pub fn initialized(request_id: &str) -> Command {
    Command::jsonrpc(request_id, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)
}

/// Does the handshake of a session on channel `main`; `name` keeps the request ids apart.
pub async fn open(world: &World, name: &str) {
    let answer = world.call(initialize(&format!("{name}-initialize"))).await;
    assert_eq!(answer.resp_code, 200, "{:?}", answer.resp_json);
    assert!(answer.rpc()["result"]["serverInfo"].is_object(), "{:?}", answer.resp_json);
    let ack = world.call(initialized(&format!("{name}-initialized"))).await;
    assert_eq!((ack.resp_type.as_str(), ack.resp_code), ("notify_ack", 200));
}

/// The text that a tool of the stub returned.
pub fn text_of(answer: &ResponseRecord) -> String {
    let rpc = answer.rpc();
    let text = rpc.pointer("/result/content/0/text").and_then(|t| t.as_str().map(str::to_owned));
    text.unwrap_or_else(|| panic!("no text in {} {:?}", answer.resp_code, answer.resp_json))
}

/// A directory that outlives the agent, and a file in it for `--record`.
pub struct Record {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

impl Record {
    /// Nothing recorded yet.
    pub fn new() -> Self {
        let dir = crate::place::servers_dir();
        let path = dir.path().join("record");
        Self { _dir: dir, path }
    }

    /// The flag for `lab stub-stdio`.
    pub fn flag(&self) -> String {
        format!("--record {}", self.path.display())
    }

    /// (pid of the server, line) of everything that stdio servers have read so far.
    pub fn lines(&self) -> Vec<(u64, String)> {
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        let entries = text.lines().filter_map(|l| serde_json::from_str::<serde_json::Value>(l).ok());
        entries.map(|e| (e["pid"].as_u64().unwrap(), e["line"].as_str().unwrap().to_owned())).collect()
    }

    /// How many of the lines contain the text.
    pub fn count(&self, text: &str) -> usize {
        self.lines().iter().filter(|(_, line)| line.contains(text)).count()
    }

    /// Waits until so many lines contain the text.
    pub async fn wait(&self, text: &str, count: usize) {
        let enough = eventually(|| (self.count(text) >= count).then_some(())).await;
        assert!(enough.is_some(), "{} instead of {count} lines with {text}", self.count(text));
    }
}

/// How many requests with the tag of this command an HTTP server has received.
pub fn received(stub: &Stub, request_id: &str) -> usize {
    let tag = tag(request_id);
    stub.requests().iter().filter(|r| r.text().contains(&tag)).count()
}

/// The group of a process, from `/proc/[pid]/stat`; `None` when it does not exist.
pub fn group_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.split_whitespace().nth(2)?.parse().ok()
}

/// How many descriptors a process has open.
pub fn descriptors_of(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// Living members of a process group.
pub fn members_of(group: u32) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()));
    pids.filter(|pid| group_of(*pid) == Some(group) && crate::agent::alive(*pid)).collect()
}
