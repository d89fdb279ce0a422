//! The worker: TLS, HTTP, JSON and MCP. The only process that parses what the network says.
//!
//! It inherits one socket and nothing else. It never opens a file for writing, binds, spawns or creates a Unix
//! socket: what it needs of that kind it asks the broker for.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, oneshot};

use crate::confine::kernel::Kernel;
use crate::confine::{self, Sealed, selftest};
use crate::control::client::Client;
use crate::control::metadata;
use crate::control::poll::Poller;
use crate::control::respond::Responder;
use crate::exit::Exit;
use crate::ipc::channel::{self, AsyncChannel};
use crate::ipc::msg::FromWorker;
use crate::log::{Level, Log};
use crate::mcp::Upstream;
use crate::mcp::stdio::StdioEvent;
use crate::net;
use crate::sys;
use crate::tls::Trust;

use call::Carrier;
use dispatch::Dispatch;
use drain::Drain;
use facts::Facts;
use guard::Guard;
use lane::{Lane, Lanes};
use link::{Link, Uplink};
use pages::Pages;
use polling::Polling;
use proxies::Proxies;
use pulse::Pulse;
use start::{Start, StartError};
use stats::Stats;
use upstreams::Peers;

mod about;
mod announce;
mod answers;
mod call;
mod dispatch;
mod drain;
pub mod examine;
mod facts;
mod front;
mod guard;
pub mod inquire;
mod lane;
mod link;
mod listing;
pub mod look;
mod obey;
mod pages;
mod polling;
pub mod proxies;
mod pulse;
mod reach;
mod start;
mod stats;
pub mod survey;
mod upstreams;
mod visit;

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
    let mut start = start::receive(&socket)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(StartError::Runtime)?;
    // INVARIANT: whatever opens files or descriptors of its own has done so before the confinement; no thread but
    // this one exists, and nothing of the network has been read.
    let inside = runtime.enter();
    let (house, parts) = House::build(&mut start, socket)?;
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
    missing: mpsc::UnboundedReceiver<net::Wanted>,
    go: oneshot::Receiver<bool>,
    poll_timeout: Duration,
    startup_wait: Duration,
    listener: Option<AsyncFd<OwnedFd>>,
}

/// The network begins here, and only a confined process gets here.
async fn serve(sealed: Sealed, house: House, parts: Parts) -> Result<(), StartError> {
    let Parts { channel, uplink, wanted, missing, go, poll_timeout, startup_wait, listener } = parts;
    let (link, log) = (house.link.clone(), house.log.clone());
    let up = tokio::spawn(uplink.run());
    let (told, ask_told) = oneshot::channel();
    tokio::spawn(ask_for_children(wanted, ask_told, link.clone()));
    tokio::spawn(ask_for_sockets(missing, link.clone()));
    let facts = sealed.facts();
    link.tell(FromWorker::Ready { landlock: facts.landlock, filters: facts.filters });

    let pulse = Pulse::default();
    let polling = Polling {
        poller: Poller::new(house.client.clone()),
        dispatch: Arc::clone(&house.dispatch),
        lanes: Arc::clone(&house.lanes),
        drain: house.drain.clone(),
        link: link.clone(),
        timeout: poll_timeout,
        pulse: pulse.clone(),
        stats: house.stats.clone(),
        log: log.clone(),
    };
    let (drain, lanes, client) = (house.drain.clone(), Arc::clone(&house.lanes), house.client.clone());
    let (proxies, pages) = (house.proxies.clone(), house.pages.clone());
    tokio::spawn(async move {
        // The broker is gone when this fails, and with it this process in a moment.
        let first = go.await.unwrap_or_default();
        tokio::spawn(async move { metadata::fetch(&client).await });
        tokio::spawn(proxies.watch());
        tokio::spawn(pulse.beat(link.clone()));
        tokio::spawn(reach::watch(Arc::clone(&lanes), link.clone(), drain.clone()));
        let (done, ended) = oneshot::channel();
        let serving = listener.map(|socket| front::serve(socket, pages, drain.clone(), ended, log));
        let serving = serving.map(tokio::spawn);
        if first {
            reach::wait_for_main(&lanes, startup_wait, &drain, &polling.log).await;
        }
        polling.run().await;
        let unfinished = drain.finish().await;
        drop(done);
        if let Some(serving) = serving {
            // Nothing but what it has accepted holds it up, and that is bounded.
            let _ = serving.await;
        }
        return_children(&lanes, &link).await;
        // What was said of children before is not overtaken either.
        let (tell, all_told) = oneshot::channel();
        if told.send(tell).is_ok() {
            let _ = all_told.await;
        }
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

/// Passes what the stdio upstreams say on to the broker. `told` is answered when all that was said before has been.
async fn ask_for_children(
    mut wanted: mpsc::UnboundedReceiver<StdioEvent>,
    mut told: oneshot::Receiver<oneshot::Sender<()>>,
    link: Link,
) {
    loop {
        tokio::select! {
            biased;
            event = wanted.recv() => match event {
                Some(event) => link.tell(said(event)),
                None => return,
            },
            all = &mut told => {
                // Nothing is said after the last word.
                let _ = all.map(|all| all.send(()));
                return;
            }
        }
    }
}

fn said(event: StdioEvent) -> FromWorker {
    match event {
        StdioEvent::Want { index, era, seen } => FromWorker::Spawn { index, era, seen },
        StdioEvent::Lost { index, generation } => FromWorker::ChildLost { index, generation },
        StdioEvent::Returned { index, generation, era, carried } => {
            FromWorker::Returned { index, generation, era, carried }
        }
    }
}

/// Passes the wishes for Unix sockets on to the broker.
async fn ask_for_sockets(mut wanted: mpsc::UnboundedReceiver<net::Wanted>, link: Link) {
    while let Some(net::Wanted { binding, ticket }) = wanted.recv().await {
        link.tell(FromWorker::Connect { binding, ticket });
    }
}

/// The parts that live as long as the worker.
struct House {
    client: Client,
    lanes: Arc<Lanes>,
    dispatch: Arc<Dispatch>,
    drain: Drain,
    sockets: net::Sockets,
    proxies: Proxies,
    stats: Stats,
    facts: Facts,
    pages: Pages,
    link: Link,
    /// Taken when the broker lets this process use the network.
    go: Mutex<Option<oneshot::Sender<bool>>>,
    log: Log,
}

impl House {
    fn build(start: &mut Start, socket: OwnedFd) -> Result<(Self, Parts), StartError> {
        let listener =
            start.listener.take().map(sys::watch::watch).transpose().map_err(StartError::Runtime)?;
        let Start { config, instance_id, .. } = &*start;
        let log = Log::relay(config.log_level);
        let channel = Arc::new(AsyncChannel::new(socket).map_err(channel::Error::from)?);
        let (link, uplink) = link::pair(Arc::clone(&channel));
        let (events, wanted) = mpsc::unbounded_channel();
        let (connections, missing) = mpsc::unbounded_channel();
        let sockets = net::Sockets::new(connections);
        let (send_go, go) = oneshot::channel();
        // The generator looks at the system once, when it is first used.
        let _ = aws_lc_rs::rand::fill(&mut [0; 1]);
        let trust = Trust::new(config.ca_pem.as_deref(), config.tls)?;
        let tls = trust.client(&config.control.peer, "control plane", &log)?;
        // What proxies are shown and trusted with is not what the peers behind them are.
        let proxy_tls = trust.client(&config.proxy_peer, "proxy", &log)?;
        let way = net::Way::of(&config.control.route, &proxy_tls, &sockets);
        let client = Client::new(config, instance_id, tls, way, log.clone())?;
        let guard = Guard::new(config.policy.as_deref(), &log).map_err(StartError::Policy)?;
        let peers = Peers { config, trust: &trust, proxy_tls: &proxy_tls, sockets: &sockets };
        let lanes = config.bindings.iter().map(|binding| {
            let upstream = peers.upstream(binding, &events, &log)?;
            let concurrent = config.mcp.max_concurrent_requests;
            let lane = Lane::new(binding.channel.clone(), upstream, config.control.max_inflight, concurrent);
            Ok(Arc::new(lane))
        });
        let lanes: Result<Vec<_>, crate::tls::Error> = lanes.collect();
        let allowed = config.control.poll_channels.clone();
        let lanes = Arc::new(Lanes::new(lanes?, allowed, &config.limits));
        let drain = Drain::new();
        let responder = Responder::new(client.clone());
        let stats = Stats::new(config.bindings.iter().map(|binding| binding.channel.to_string()));
        let carrier = Carrier::new(responder, link.clone(), drain.clone(), stats.clone(), log.clone());
        let carrier = Arc::new(carrier.describing(config.audit));
        let dispatch = Dispatch::new(Arc::clone(&lanes), guard, carrier, link.clone(), log.clone());
        announce::announce(config, &log);
        let proxies = Proxies::new(config, &proxy_tls, log.clone());
        let facts = Facts::new(link.clone());
        let parts = (Arc::clone(&lanes), stats.clone(), proxies.clone(), facts.clone());
        let pages = Pages::new(config, instance_id, parts);
        let (dispatch, go_once) = (Arc::new(dispatch), Mutex::new(Some(send_go)));
        let (poll_timeout, startup_wait) = (config.control.poll_timeout, config.mcp.startup_wait);
        let parts = Parts { channel, uplink, wanted, missing, go, poll_timeout, startup_wait, listener };
        let house = Self {
            client,
            lanes,
            dispatch,
            drain,
            sockets,
            proxies,
            stats,
            facts,
            pages,
            link,
            go: go_once,
            log,
        };
        Ok((house, parts))
    }
}

/// Gives the children back: another worker may go on with them.
async fn return_children(lanes: &Lanes, link: &Link) {
    for lane in lanes.iter() {
        if let Upstream::Stdio(stdio) = &lane.upstream {
            stdio.finish().await.into_iter().for_each(|event| link.tell(said(event)));
        }
    }
}
