//! The worker: TLS, HTTP, JSON and MCP. The only process that parses what the network says.
//!
//! It inherits one socket and nothing else. It never opens a file for writing, binds, spawns or creates a Unix
//! socket: what it needs of that kind it asks the broker for.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::config::types::{Transport, Worker};
use crate::confine::kernel::Kernel;
use crate::confine::{self, Sealed, selftest};
use crate::control::client::Client;
use crate::control::metadata;
use crate::control::poll::Poller;
use crate::control::respond::Responder;
use crate::exit::Exit;
use crate::ipc::channel::{self, AsyncChannel};
use crate::ipc::msg::{FromWorker, ToWorker};
use crate::log::{Level, Log};
use crate::mcp::stdio::{ChildPipes, Stdio, StdioEvent};
use crate::mcp::{Upstream, http_leg};
use crate::sys;

use call::Carrier;
use dispatch::Dispatch;
use drain::{Drain, Order};
use guard::Guard;
use lane::{Lane, Lanes};
use link::{Link, Uplink};
use polling::Polling;
use start::{Start, StartError};

mod answers;
mod call;
mod dispatch;
mod drain;
mod guard;
mod lane;
mod link;
mod polling;
mod start;
pub mod survey;

/// The worker's whole life. Returns how it ended; the broker reads the reason from the log.
#[must_use]
pub fn run() -> Exit {
    let log = Log::relay(Level::Debug);
    let socket = match sys::process::enter_worker() {
        Ok(socket) => socket,
        Err(e) => {
            log.error("worker", "not started by the broker", &[("error", e.to_string().into())]);
            return Exit::Usage;
        }
    };
    match live(socket) {
        Ok(()) => Exit::Ok,
        Err(e) => {
            log.error("worker", "worker ends", &[("error", e.to_string().into())]);
            match e {
                StartError::Kernel(_) => Exit::Unavailable,
                StartError::SelfTest(_) => Exit::Violation,
                StartError::Runtime(_) | StartError::Confinement(_) => Exit::Os,
                _ => Exit::Software,
            }
        }
    }
}

/// From the first frame to the last.
fn live(socket: OwnedFd) -> Result<(), StartError> {
    let start = start::receive(&socket)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(StartError::Runtime)?;
    // INVARIANT: whatever opens files or descriptors of its own has done so before the confinement; no thread but
    // this one exists, and nothing of the network has been read.
    let inside = runtime.enter();
    let (house, parts) = House::build(&start, socket)?;
    drop(inside);
    let abi = Kernel::probe().check(start.config.require).map_err(StartError::Kernel)?;
    let sealed = confine::worker(abi, &start.config).map_err(StartError::Confinement)?;
    selftest::worker(&sealed, &confine::worker_grants(&start.config)).map_err(StartError::SelfTest)?;
    drop(start);
    // Work inside block_on costs additional wake-ups, so the outermost future only waits for the end.
    let ended = runtime.block_on(async move {
        let (send, receive) = oneshot::channel();
        tokio::spawn(async move {
            // The receiver outlives every task.
            let _ = send.send(serve(sealed, house, parts).await);
        });
        receive.await
    });
    // A name lookup that hangs must not keep the process.
    runtime.shutdown_background();
    ended.unwrap_or(Err(StartError::Gone))
}

/// What is used up by serving.
struct Parts {
    channel: Arc<AsyncChannel>,
    uplink: Uplink,
    wanted: mpsc::UnboundedReceiver<StdioEvent>,
    go: oneshot::Receiver<()>,
    poll_timeout: Duration,
}

/// The network begins here, and only a confined process gets here.
async fn serve(sealed: Sealed, house: House, parts: Parts) -> Result<(), StartError> {
    let Parts { channel, uplink, wanted, go, poll_timeout } = parts;
    let (link, log) = (house.link.clone(), house.log.clone());
    let up = tokio::spawn(uplink.run());
    tokio::spawn(ask_for_children(wanted, link.clone()));
    let facts = sealed.facts();
    link.tell(FromWorker::Ready { landlock: facts.landlock, filters: facts.filters });

    let polling = Polling {
        poller: Poller::new(house.client.clone()),
        dispatch: Arc::clone(&house.dispatch),
        lanes: Arc::clone(&house.lanes),
        drain: house.drain.clone(),
        link: link.clone(),
        timeout: poll_timeout,
        log: log.clone(),
    };
    let (drain, lanes, client) = (house.drain.clone(), Arc::clone(&house.lanes), house.client.clone());
    tokio::spawn(async move {
        // The broker is gone when this fails, and with it this process in a moment.
        let _ = go.await;
        tokio::spawn(async move { metadata::fetch(&client).await });
        polling.run().await;
        let unfinished = drain.finish().await;
        close_children(&lanes);
        // It goes the way of all messages: no end of a call is overtaken or lost.
        link.tell(FromWorker::Drained { unfinished });
    });

    tokio::select! {
        biased;
        sent = up => match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) => Err(StartError::Socket(e)),
            Err(_) => Err(StartError::Gone),
        },
        ended = house.listen(&channel) => Err(ended),
    }
}

/// Passes the wishes of the stdio upstreams on to the broker.
async fn ask_for_children(mut wanted: mpsc::UnboundedReceiver<StdioEvent>, link: Link) {
    while let Some(event) = wanted.recv().await {
        link.tell(match event {
            StdioEvent::Want { index, era, seen } => FromWorker::Spawn { index, era, seen },
            StdioEvent::Lost { index, generation } => FromWorker::ChildLost { index, generation },
        });
    }
}

/// Says where everything leads: origins only, since paths and queries may hold what is nobody's business.
fn announce(config: &Worker, log: &Log) {
    let trust = [("web_roots", true.into()), ("ca_bundle", config.ca_pem.is_some().into())];
    log.info("tls", "tls trust summary", &trust);
    for binding in &config.bindings {
        let (transport, origin) = match &binding.transport {
            Transport::Http { url } => {
                let uri = url.uri();
                let authority = uri.authority().map_or("", http::uri::Authority::as_str);
                ("http-streamable", format!("{}://{authority}", uri.scheme_str().unwrap_or_default()))
            }
            Transport::Stdio { .. } => ("stdio", String::new()),
        };
        let fields = [
            ("channel", binding.channel.as_str().into()),
            ("transport", transport.into()),
            ("origin", origin.into()),
        ];
        log.info("mcpclient", "mcp channel route resolved", &fields);
    }
    let names: Vec<&str> = config.bindings.iter().map(|b| b.channel.as_str()).collect();
    log.info("dispatcher", "dispatcher channels registered", &[("channels", names.join(",").into())]);
}

/// The parts that live as long as the worker.
struct House {
    client: Client,
    lanes: Arc<Lanes>,
    dispatch: Arc<Dispatch>,
    drain: Drain,
    link: Link,
    /// Taken when the broker lets this process use the network.
    go: Mutex<Option<oneshot::Sender<()>>>,
    log: Log,
}

impl House {
    fn build(start: &Start, socket: OwnedFd) -> Result<(Self, Parts), StartError> {
        let Start { config, instance_id } = start;
        let log = Log::relay(config.log_level);
        let channel = Arc::new(AsyncChannel::new(socket).map_err(channel::Error::from)?);
        let (link, uplink) = link::pair(Arc::clone(&channel));
        let (events, wanted) = mpsc::unbounded_channel();
        let (send_go, go) = oneshot::channel();
        // The generator looks at the system once, when it is first used.
        let _ = aws_lc_rs::rand::fill(&mut [0; 1]);
        let tls = crate::tls::client_config(config.ca_pem.as_deref())?;
        let client = Client::new(config, instance_id, Arc::clone(&tls), log.clone())?;
        let guard = Guard::new(config.policy.as_deref(), &log).map_err(StartError::Policy)?;
        let lanes = config.bindings.iter().map(|binding| {
            let upstream = match &binding.transport {
                Transport::Http { url } => {
                    let (tls, log) = (Arc::clone(&tls), log.clone());
                    Upstream::Http(Box::new(http_leg::Http::new(url, &config.mcp, &config.limits, tls, log)))
                }
                Transport::Stdio { index, serialize } => Upstream::Stdio(Stdio::new(
                    *index,
                    *serialize,
                    &config.mcp,
                    &config.limits,
                    events.clone(),
                    log.clone(),
                    binding.channel.clone(),
                )),
            };
            let concurrent = config.mcp.max_concurrent_requests;
            Arc::new(Lane::new(binding.channel.clone(), upstream, config.control.max_inflight, concurrent))
        });
        let allowed = config.control.poll_channels.clone();
        let lanes = Arc::new(Lanes::new(lanes.collect(), allowed, &config.limits));
        let drain = Drain::new();
        let responder = Responder::new(client.clone());
        let carrier = Arc::new(Carrier::new(responder, link.clone(), drain.clone(), log.clone()));
        let dispatch = Dispatch::new(Arc::clone(&lanes), guard, carrier, link.clone(), log.clone());
        announce(config, &log);
        let (dispatch, go_once) = (Arc::new(dispatch), Mutex::new(Some(send_go)));
        let parts = Parts { channel, uplink, wanted, go, poll_timeout: config.control.poll_timeout };
        Ok((Self { client, lanes, dispatch, drain, link, go: go_once, log }, parts))
    }

    /// Does what the broker says until the socket ends.
    async fn listen(&self, channel: &AsyncChannel) -> StartError {
        loop {
            let (messages, fds) = match channel.recv().await {
                Ok(Some(frame)) => frame,
                Ok(None) => return StartError::Gone,
                Err(e) => return e.into(),
            };
            let mut fds = fds.into_iter();
            for message in messages {
                self.obey(message, &mut fds);
            }
        }
    }

    fn obey(&self, message: ToWorker, fds: &mut dyn Iterator<Item = OwnedFd>) {
        match message {
            ToWorker::Verdict { call, verdict } => self.dispatch.verdict(call, verdict),
            ToWorker::Orphan(ask) => self.dispatch.orphan(ask),
            ToWorker::Child { index, era, generation } => match (fds.next(), fds.next(), self.stdio(index)) {
                (Some(stdin), Some(stdout), Some(stdio)) => {
                    stdio.attach(ChildPipes { stdin, stdout, era, generation });
                }
                _ => self.log.error(
                    "mcpclient",
                    "a child without pipes or binding",
                    &[("index", index.into())],
                ),
            },
            ToWorker::ChildGone { index, generation, retry_in_ms } => {
                if let Some(stdio) = self.stdio(index) {
                    stdio.gone(generation, Duration::from_millis(retry_in_ms));
                }
            }
            ToWorker::Drain { poll_grace_ms, deadline_ms } => {
                let now = Instant::now();
                self.drain.order(Order {
                    abort_poll: poll_grace_ms.map(|ms| now + Duration::from_millis(ms)),
                    deadline: now + Duration::from_millis(deadline_ms),
                });
            }
            ToWorker::Go {} => {
                let go = self.go.lock().unwrap_or_else(PoisonError::into_inner).take();
                // The receiver waits until this comes.
                let _ = go.map(|go| go.send(()));
            }
            ToWorker::Config { .. } => {
                self.log.error("worker", "a second configuration is ignored", &[]);
            }
        }
    }

    fn stdio(&self, wanted: u8) -> Option<&Stdio> {
        self.lanes.iter().find_map(|lane| match &lane.upstream {
            Upstream::Stdio(stdio) if stdio.index() == wanted => Some(stdio),
            Upstream::Stdio(_) | Upstream::Http(_) => None,
        })
    }
}

/// Lets the children know that nothing more comes.
fn close_children(lanes: &Lanes) {
    for lane in lanes.iter() {
        if let Upstream::Stdio(stdio) = &lane.upstream {
            stdio.close();
        }
    }
}
