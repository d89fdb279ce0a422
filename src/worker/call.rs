//! Carries one permitted command to its end: a slot, the MCP server, the answer. Worker only.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::dispatch::done;
use super::drain::{self, Drain};
use super::guard::Pass;
use super::lane::{Held, Lane, Local, Waiting};
use super::link::Link;
use super::stats::{Stats, Tally};
use super::{about, answers, listing};
use crate::control::respond::{Delivered, RespType, Responder, Response};
use crate::ipc::msg::{CallKind, Outcome};
use crate::log::Log;
use crate::mcp::failure::{Failure, Kind};
use crate::mcp::{Call, End, Note, jsonrpc};

/// Notifications read ahead of the one that is being posted. They are posted one after the other, so more would win
/// no time, and each may be as large as an answer.
const NOTES_AHEAD: usize = 1;

/// A command on its way, apart from what it says.
#[derive(Debug)]
pub struct Job {
    /// The number the broker knows it by; 0 for one that it does not hold.
    pub call: u64,
    /// Of the command.
    pub request_id: String,
    /// Of the command.
    pub shard_token: String,
    /// The canonical channel.
    pub channel: String,
    /// The command's own `X-Request-Id`.
    pub client_request_id: Option<String>,
    /// When its answer is no longer wanted.
    pub deadline: Option<Instant>,
    /// Its share of the bytes in flight.
    pub held: Held,
    /// The worker does not end before it.
    pub counted: drain::Job,
    /// What the policy lets it do.
    pub pass: Pass,
    /// What is counted of it.
    pub tally: Tally,
}

/// A command that goes to an MCP server.
#[derive(Debug)]
pub enum Forward {
    /// A JSON-RPC request or notification.
    Message {
        /// Where to.
        lane: Arc<Lane>,
        /// What.
        message: jsonrpc::Message,
        /// Headers that may be forwarded.
        headers: HeaderMap,
    },
    /// The end of a session.
    Termination {
        /// Where to.
        lane: Arc<Lane>,
        /// Headers that may be forwarded, the session among them.
        headers: HeaderMap,
    },
}

/// Something to post.
#[derive(Debug)]
pub struct Reply {
    /// `resp_type`.
    pub resp_type: RespType,
    /// `resp_code`.
    pub code: u16,
    /// Upstream headers, not yet sanitised.
    pub headers: HeaderMap,
    /// `resp_json`.
    pub body: Option<Bytes>,
}

/// How the way to the MCP server ended.
enum Way {
    /// As the upstream says.
    End(End),
    /// The deadline passed before anything was forwarded.
    NeverStarted,
    /// The worker is stopping and cannot wait any longer.
    GivenUp,
}

/// Carries commands; one for the worker.
#[derive(Debug)]
pub struct Carrier {
    responder: Responder,
    link: Link,
    drain: Drain,
    describes: bool,
    stats: Stats,
    log: Log,
}

impl Carrier {
    /// A carrier that posts through `responder`.
    #[must_use]
    pub fn new(responder: Responder, link: Link, drain: Drain, stats: Stats, log: Log) -> Self {
        Self { responder, link, drain, describes: false, stats, log }
    }

    /// Tells the broker what calls are about and what was answered, because they are recorded.
    #[must_use]
    pub fn describing(self, describes: bool) -> Self {
        Self { describes, ..self }
    }

    /// Where things are counted.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Whether the broker is told what calls are about.
    #[must_use]
    pub fn describes(&self) -> bool {
        self.describes
    }

    /// Counts a command that was accepted: from before anything is asked or awaited for it, so that no drain can
    /// overlook it.
    #[must_use]
    pub fn count(&self) -> drain::Job {
        self.drain.job()
    }

    /// Starts a permitted command on a task of its own.
    pub fn start(self: &Arc<Self>, job: Job, forward: Forward, waiting: Waiting) {
        tokio::spawn(Arc::clone(self).carry(job, forward, waiting));
    }

    /// Posts an answer of the agent's own on a task of its own.
    pub fn reply(self: &Arc<Self>, job: Job, reply: Reply, local: Local) {
        let carrier = Arc::clone(self);
        tokio::spawn(async move {
            carrier.deliver(job, reply, None).await;
            drop(local);
        });
    }

    async fn carry(self: Arc<Self>, mut job: Job, forward: Forward, waiting: Waiting) {
        let (kind, id) = (forward.kind(), forward.rpc_id().map(str::to_owned));
        let way = tokio::select! {
            biased;
            way = self.travel(&job, forward, waiting) => way,
            () = self.drain.given_up() => Way::GivenUp,
        };
        let answer = match way {
            Way::End(End::Answer(answer)) => job.pass.answer(answer, id.as_deref()),
            Way::End(End::DeadlinePassed) => {
                return self
                    .expired(&job, "command response deadline reached; dropping without posting a response");
            }
            Way::NeverStarted => {
                return self.expired(&job, "dropping command whose response deadline has passed");
            }
            Way::GivenUp => {
                let fields = [("request_id", (&job.request_id).into()), ("channel", (&job.channel).into())];
                self.log.warn("dispatcher", "command given up at the end of the drain", &fields);
                return self.deliver(job, answers::given_up(kind, id.as_deref()), id).await;
            }
        };
        if let Some(failure) = &answer.failure {
            (job.tally.failed, job.tally.outcome) = (true, "failed");
            let mut fields =
                vec![("request_id", (&job.request_id).into()), ("channel", (&job.channel).into())];
            fields.extend(failure.fields());
            self.log.warn("dispatcher", "MCP request failed", &fields);
        }
        let resp_type = match (kind, &answer.body) {
            (CallKind::Termination, _) => RespType::SessionTermination,
            (_, Some(_)) => RespType::Jsonrpc,
            (_, None) => RespType::NotifyAck,
        };
        let reply = Reply { resp_type, code: answer.code, headers: answer.headers, body: answer.body };
        self.deliver(job, reply, id).await;
    }

    /// Waits for a slot, then lets the MCP server answer.
    async fn travel(&self, job: &Job, forward: Forward, waiting: Waiting) -> Way {
        let lane = Arc::clone(forward.lane());
        let slot = tokio::select! {
            biased;
            slot = lane.slots.acquire() => slot,
            () = passed(job.deadline) => return Way::NeverStarted,
        };
        drop(waiting);
        if job.deadline.is_some_and(|d| d <= Instant::now()) {
            return Way::NeverStarted;
        }
        // A verdict or a slot may come as late as that. One poll of the request would be enough to send it.
        if self.drain.has_given_up() {
            return Way::GivenUp;
        }
        let began = Instant::now();
        let end = match forward {
            Forward::Termination { headers, .. } => lane.upstream.terminate(headers, job.deadline).await,
            Forward::Message { message, headers, .. } => {
                let called = (&message, &headers);
                if job.pass.is_approved() != Some(true)
                    && let Some(end) =
                        listing::look(&job.pass, &lane.upstream, called, &job.request_id, job.deadline).await
                {
                    return Way::End(end);
                }
                let is_request = message.id().is_some();
                let call = Call { message, headers, deadline: job.deadline };
                if is_request {
                    self.request(job, &lane, call).await
                } else {
                    lane.upstream.notification(call).await
                }
            }
        };
        drop(slot);
        self.stats.lock().http[2].add(began.elapsed());
        if let End::Answer(answer) = &end {
            lane.reach.note(answer.failure.as_ref());
        }
        Way::End(end)
    }

    /// A request: its notifications are posted in order while the rest of the answer is read.
    async fn request(&self, job: &Job, lane: &Lane, call: Call) -> End {
        let (notes, incoming) = mpsc::channel(NOTES_AHEAD);
        let upstream = async move { lane.upstream.request(call, &notes).await };
        let (end, ()) = tokio::join!(upstream, self.post_notes(job, incoming));
        end
    }

    async fn post_notes(&self, job: &Job, mut notes: mpsc::Receiver<Note>) {
        let mut wanted = true;
        while let Some(note) = notes.recv().await {
            let Some(note) = job.pass.note(note).filter(|_| wanted) else { continue };
            let response = Response {
                request_id: &job.request_id,
                shard_token: &job.shard_token,
                channel: &job.channel,
                resp_type: RespType::Notify,
                code: note.code,
                headers: &note.headers,
                body: Some(&note.body),
                client_request_id: job.client_request_id.as_deref(),
                too_large: None,
            };
            let delivered = self.responder.notify(response, job.deadline).await;
            wanted = matches!(delivered, Delivered::Yes);
        }
    }

    /// Posts the terminal answer and books the end of the call.
    async fn deliver(&self, mut job: Job, reply: Reply, id: Option<String>) {
        job.held.grow(reply.body.as_ref().map_or(0, Bytes::len));
        let response = Response {
            request_id: &job.request_id,
            shard_token: &job.shard_token,
            channel: &job.channel,
            resp_type: reply.resp_type,
            code: reply.code,
            headers: &reply.headers,
            body: reply.body.as_deref(),
            client_request_id: job.client_request_id.as_deref(),
            too_large: id.map(|id| Failure::protocol(Kind::ResponseBodyTooLarge).body(Some(&id))),
        };
        let began = Instant::now();
        let delivered = self.responder.terminal(response, job.deadline).await;
        let status = match delivered {
            Delivered::Yes => "200",
            Delivered::Gone => "404",
            Delivered::Expired => "expired",
            Delivered::No(_) => "undelivered",
        };
        self.stats.ended(&job.tally, &job.channel, status, Some(began.elapsed()));
        let outcome = match delivered {
            Delivered::Yes | Delivered::Gone => Outcome::Answered,
            Delivered::Expired => {
                let message = "command response deadline reached; dropping without posting a response";
                self.log.info("dispatcher", message, &[("request_id", (&job.request_id).into())]);
                Outcome::Expired
            }
            Delivered::No(reason) => {
                let fields = [("request_id", (&job.request_id).into()), ("error", reason.into())];
                self.log.error("dispatcher", "answer could not be delivered", &fields);
                Outcome::Undelivered
            }
        };
        let answer = self.describes.then(|| about::answer(&reply, job.pass.refused()));
        done(&self.link, job.call, outcome, answer);
        // Only now may the worker end.
        drop(job.counted);
    }

    fn expired(&self, job: &Job, message: &'static str) {
        self.log.info("dispatcher", message, &[("request_id", (&job.request_id).into())]);
        self.stats.ended(&job.tally, &job.channel, "expired", None);
        done(&self.link, job.call, Outcome::Expired, None);
    }
}

impl Forward {
    /// What the broker calls it.
    #[must_use]
    pub fn kind(&self) -> CallKind {
        match self {
            Self::Message { message, .. } if message.id().is_some() => CallKind::Request,
            Self::Message { .. } => CallKind::Notification,
            Self::Termination { .. } => CallKind::Termination,
        }
    }

    /// The id of a request as raw JSON text.
    #[must_use]
    pub fn rpc_id(&self) -> Option<&str> {
        match self {
            Self::Message { message, .. } => message.id(),
            Self::Termination { .. } => None,
        }
    }

    fn lane(&self) -> &Arc<Lane> {
        match self {
            Self::Message { lane, .. } | Self::Termination { lane, .. } => lane,
        }
    }
}

/// Resolves at the deadline; never when there is none.
async fn passed(deadline: Option<Instant>) {
    match deadline {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
