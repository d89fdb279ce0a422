//! What is recorded: a closed set of events, with identities, digests and sizes, never contents. Pure.
//!
//! Texts that a peer chose are cut before they come here (`ipc::msg` says where) and once more in [`members`]; control
//! characters are escaped by JSON. Must never hold arguments, results, header values, tokens or session ids.

use super::object::Object;

/// Longest text in a record, in bytes: a request id of the control plane is no longer.
const MAX_TEXT: usize = 512;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
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
    /// The configuration was read again.
    Reload {
        /// Why nothing has changed, when it was not used.
        refused: Option<String>,
        /// SHA-256 of the configuration file in force after it.
        config_sha256: Option<String>,
        /// The digest of the call policy in force after it, or `none`.
        policy: String,
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
        channel: Option<String>,
        /// Its process id.
        pid: u32,
        /// SHA-256 of the program of an MCP server, as the file was when it was started.
        program_sha256: Option<String>,
    },
    /// A process ended.
    ChildExit {
        /// `worker` or `mcp`.
        role: &'static str,
        /// Of an MCP server.
        channel: Option<String>,
        /// Its process id.
        pid: u32,
        /// The code it ended with.
        exit_code: Option<i32>,
        /// The signal that ended it.
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
#[derive(Clone, Debug, PartialEq)]
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
    pub config_sha256: Option<String>,
    /// The digest of the call policy, or `none`.
    pub policy: String,
    /// Records that were written but not yet counted when the agent ended the last time.
    pub continued: u64,
    /// Bytes of a record that had been written in part, and were removed.
    pub torn_bytes: u64,
    /// Records that had been written and are lost; they are those before this one.
    pub missing: u64,
}

/// The decision about a call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decided {
    /// The call; the same in the record of its end. Only a permitted one has an end.
    pub call: Option<String>,
    /// `permit`, `duplicate`, `in_doubt`, or `deny` by the call policy.
    pub decision: &'static str,
    /// Of the control plane.
    pub request_id: String,
    /// The channel.
    pub channel: String,
    /// `request`, `notification` or `termination`.
    pub kind: &'static str,
    /// The JSON-RPC method.
    pub method: Option<String>,
    /// The tool, prompt or resource.
    pub name: Option<String>,
    /// The rule of the call policy that refuses it; of a permitted one, which would if the policy did not only monitor.
    pub rule: Option<String>,
    /// Keyed digest of the session id.
    pub session: Option<String>,
    /// The trace id of `traceparent`.
    pub trace: Option<String>,
    /// Keyed digest of the arguments.
    pub arguments: Option<String>,
    /// Their size.
    pub argument_bytes: Option<u64>,
    /// The size of the message.
    pub request_bytes: Option<u64>,
}

/// The end of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// The call.
    pub call: String,
    /// Of the control plane.
    pub request_id: String,
    /// `answered`, `expired` or `undelivered`.
    pub outcome: &'static str,
    /// It was in doubt before: the answer was a failure.
    pub in_doubt: bool,
    /// The code of the answer.
    pub status: Option<u16>,
    /// Keyed digest of the answer.
    pub result: Option<String>,
    /// Its size.
    pub result_bytes: Option<u64>,
    /// The rule of the call policy that put it in the place of the server's.
    pub rule: Option<String>,
    /// From the decision to the end.
    pub ms: u64,
}

/// The members of an event as JSON, without braces, in the room of those of another. Those that do not apply are left out.
#[must_use]
pub fn members(event: &Event, room: String) -> String {
    let mut o = Object::within(room);
    let whole = |n: &i32| n.to_string();
    match event {
        Event::Start(start) => start.put(o.plain("event", "start")),
        Event::Confinement { role, landlock_abi, seccomp_filters } => {
            o.plain("event", "confinement").text("role", role);
            o.number("landlock_abi", (*landlock_abi).into());
            o.number("seccomp_filters", (*seccomp_filters).into());
        }
        Event::PollAuthorised {} => {
            o.plain("event", "poll_authorised");
        }
        Event::PollRefused { reason } => {
            o.plain("event", "poll_refused").text("reason", reason);
        }
        Event::CallDecided(decided) => decided.put(o.plain("event", "call_decided")),
        Event::CallFinished(finished) => finished.put(o.plain("event", "call_finished")),
        Event::CallInDoubt { call, request_id } => {
            o.plain("event", "call_in_doubt").text("call", call).text("request_id", request_id);
        }
        Event::ChildStart { role, channel, pid, program_sha256 } => {
            o.plain("event", "child_start").text("role", role).maybe("channel", channel.as_deref());
            o.number("pid", (*pid).into()).maybe("program_sha256", program_sha256.as_deref());
        }
        Event::ChildExit { role, channel, pid, exit_code, signal } => {
            o.plain("event", "child_exit").text("role", role).maybe("channel", channel.as_deref());
            o.number("pid", (*pid).into());
            for (name, number) in [("exit_code", exit_code), ("signal", signal)] {
                if let Some(number) = number {
                    o.raw(name, &whole(number));
                }
            }
        }
        Event::Violation { role, what } => {
            o.plain("event", "violation").text("role", role).text("what", what);
        }
        Event::Rotation { file } => {
            o.plain("event", "rotation").number("file", *file);
        }
        Event::Deletion { file, first, last, hash, bytes } => {
            o.plain("event", "deletion").number("file", *file).number("first", *first).number("last", *last);
            o.text("hash", hash).number("bytes", *bytes);
        }
        Event::Checkpoint {} => {
            o.plain("event", "checkpoint");
        }
        Event::Outage { since, refused, lost } => {
            o.plain("event", "outage").text("since", since).number("refused", *refused).number("lost", *lost);
        }
        Event::Reload { refused, config_sha256, policy } => {
            o.plain("event", "reload").maybe("refused", refused.as_deref());
            o.maybe("config_sha256", config_sha256.as_deref()).text("policy", policy);
        }
        Event::Stop { exit_code } => {
            o.plain("event", "stop").number("exit_code", (*exit_code).into());
        }
    }
    o.into_members()
}

impl Start {
    fn put(&self, o: &mut Object) {
        o.text("version", self.version).text("instance", &self.instance).number("pid", self.pid.into());
        o.text("tunnel", &self.tunnel).maybe("config_sha256", self.config_sha256.as_deref());
        o.text("policy", &self.policy);
        let found =
            [("continued", self.continued), ("torn_bytes", self.torn_bytes), ("missing", self.missing)];
        for (name, n) in found {
            o.count(name, Some(n).filter(|n| *n > 0));
        }
    }
}

impl Decided {
    fn put(&self, o: &mut Object) {
        o.maybe("call", self.call.as_deref()).plain("decision", self.decision);
        o.text("request_id", &self.request_id).text("channel", &self.channel).plain("kind", self.kind);
        for (name, text) in [("method", &self.method), ("name", &self.name), ("rule", &self.rule)] {
            o.maybe(name, text.as_deref());
        }
        o.digest("session", self.session.as_deref()).maybe("trace", self.trace.as_deref());
        o.digest("arguments", self.arguments.as_deref());
        o.count("argument_bytes", self.argument_bytes).count("request_bytes", self.request_bytes);
    }
}

impl Finished {
    fn put(&self, o: &mut Object) {
        o.plain("call", &self.call).text("request_id", &self.request_id).plain("outcome", self.outcome);
        if self.in_doubt {
            o.raw("in_doubt", "true");
        }
        o.count("status", self.status.map(Into::into)).digest("result", self.result.as_deref());
        o.count("result_bytes", self.result_bytes).maybe("rule", self.rule.as_deref()).number("ms", self.ms);
    }
}

/// A text that somebody else chose, cut to what a record may hold.
#[must_use]
pub fn short(text: &str) -> String {
    let end = (0..=text.len().min(MAX_TEXT)).rev().find(|n| text.is_char_boundary(*n)).unwrap_or(0);
    text.get(..end).unwrap_or_default().to_string()
}
