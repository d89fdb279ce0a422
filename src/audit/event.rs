//! What is recorded: a closed set of events, with identities, digests and sizes, never contents. Pure.
//!
//! Texts that a peer chose are cut before they come here (`ipc::msg` says where) and once more in [`members`]; control
//! characters are escaped by JSON. Must never hold arguments, results, header values, tokens or session ids.

use serde::Serialize;

/// Longest text in a record, in bytes: a request id of the control plane is no longer.
const MAX_TEXT: usize = 512;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The agent starts.
    Start(Box<Start>),
    /// A process reported that it is confined.
    Confinement {
        /// `broker` or `worker`.
        role: &'static str,
        /// The Landlock ABI that is enforced.
        landlock_abi: u8,
        /// Seccomp programs in force.
        seccomp_filters: u8,
    },
    /// The control plane let the agent poll, for the first time or after a failure.
    PollAuthorised {},
    /// Polling fails.
    PollRefused {
        /// A sentence without secrets.
        reason: String,
    },
    /// Whether a call may be forwarded; written before it is.
    CallDecided(Box<Decided>),
    /// How a permitted call ended.
    CallFinished(Box<Finished>),
    /// A worker died that held the call: it may have been forwarded, and its answer is lost.
    CallInDoubt {
        /// The call.
        call: String,
        /// Of the control plane.
        request_id: String,
    },
    /// A process was started.
    ChildStart {
        /// `worker` or `mcp`.
        role: &'static str,
        /// Of an MCP server.
        #[serde(skip_serializing_if = "Option::is_none")]
        channel: Option<String>,
        /// Its process id.
        pid: u32,
        /// SHA-256 of the program of an MCP server, as the file was when it was started.
        #[serde(skip_serializing_if = "Option::is_none")]
        program_sha256: Option<String>,
    },
    /// A process ended.
    ChildExit {
        /// `worker` or `mcp`.
        role: &'static str,
        /// Of an MCP server.
        #[serde(skip_serializing_if = "Option::is_none")]
        channel: Option<String>,
        /// Its process id.
        pid: u32,
        /// The code it ended with.
        #[serde(skip_serializing_if = "Option::is_none")]
        exit_code: Option<i32>,
        /// The signal that ended it.
        #[serde(skip_serializing_if = "Option::is_none")]
        signal: Option<i32>,
    },
    /// The broker saw that a process did what it may not do.
    Violation {
        /// Which process.
        role: &'static str,
        /// What it did.
        what: String,
    },
    /// The log goes on in this file, of which this is the first record.
    Rotation {
        /// The number of the file.
        file: u64,
    },
    /// A file is deleted because there are more than are to be kept; written before it is.
    Deletion {
        /// The number of the file.
        file: u64,
        /// Its first record.
        first: u64,
        /// Its last record.
        last: u64,
        /// The hash of its last record.
        hash: String,
        /// Its size.
        bytes: u64,
    },
    /// A record whose number and hash go to the log of the service as well.
    Checkpoint {},
    /// Records could not be written for a while; now they can.
    Outage {
        /// Since when.
        since: String,
        /// Calls that were refused because of it.
        refused: u64,
        /// Events that are not recorded because there were too many of them.
        lost: u64,
    },
    /// The agent ends.
    Stop {
        /// With which code.
        exit_code: u8,
    },
}

/// The start of the agent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Start {
    /// Of the agent.
    pub version: &'static str,
    /// The client instance id: new with every start.
    pub instance: String,
    /// Of the broker.
    pub pid: u32,
    /// The tunnel.
    pub tunnel: String,
    /// SHA-256 of the configuration file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_sha256: Option<String>,
    /// Which policy decides on calls.
    pub policy: &'static str,
    /// Records that were written but not yet counted when the agent ended the last time.
    #[serde(skip_serializing_if = "is_zero")]
    pub continued: u64,
    /// Bytes of a record that had been written in part, and were removed.
    #[serde(skip_serializing_if = "is_zero")]
    pub torn_bytes: u64,
    /// Records that had been written and are lost; they are those before this one.
    #[serde(skip_serializing_if = "is_zero")]
    pub missing: u64,
}

/// The decision about a call.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Decided {
    /// The call; the same in the record of its end. Only a permitted one has an end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// `permit`, `duplicate` or `in_doubt`.
    pub decision: &'static str,
    /// Of the control plane.
    pub request_id: String,
    /// The channel.
    pub channel: String,
    /// `request`, `notification` or `termination`.
    pub kind: &'static str,
    /// The JSON-RPC method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The tool, prompt or resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Keyed digest of the session id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The trace id of `traceparent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// Keyed digest of the arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
    /// Their size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argument_bytes: Option<u64>,
    /// The size of the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_bytes: Option<u64>,
}

/// The end of a call.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finished {
    /// The call.
    pub call: String,
    /// Of the control plane.
    pub request_id: String,
    /// `answered`, `expired` or `undelivered`.
    pub outcome: &'static str,
    /// It was in doubt before: the answer was a failure.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub in_doubt: bool,
    /// The code of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Keyed digest of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// Its size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result_bytes: Option<u64>,
    /// From the decision to the end.
    pub ms: u64,
}

/// The members of an event as JSON, without braces.
#[must_use]
pub fn members(event: &Event) -> String {
    let json = serde_json::to_string(event).unwrap_or_default();
    let inner = json.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    inner.unwrap_or("\"event\":\"unknown\"").to_string()
}

/// A text that somebody else chose, cut to what a record may hold.
#[must_use]
pub fn short(text: &str) -> String {
    let end = (0..=text.len().min(MAX_TEXT)).rev().find(|n| text.is_char_boundary(*n)).unwrap_or(0);
    text.get(..end).unwrap_or_default().to_string()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(n: &u64) -> bool {
    *n == 0
}
