//! The hidden role `survey`: meets the configured peers, confined as the worker is, and says what came of it: what follows
//! from the offers of the MCP servers for a policy, or how far each peer can be reached. It meets the control plane for the
//! latter only.
//!
//! `policy suggest`, `policy diff` and `doctor` start it and print what it says; nothing of a peer's bytes is read anywhere
//! else. Must never call a tool or poll, nor say anything but ASCII text.

use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::examine;
use super::upstreams::Peers;
use super::visit::Visit;
use crate::config::types::{Channel, Transport, Worker};
use crate::confine::kernel::Kernel;
use crate::confine::{self, selftest};
use crate::exit::Exit;
use crate::ipc::handed;
use crate::log::{Level, Log};
use crate::mcp::Upstream;
use crate::mcp::stdio::ChildPipes;
use crate::net;
use crate::policy::{self, Offer};
use crate::sys;
use crate::sys::message;
use crate::sys::poll::{self, Interest};
use crate::tls::Trust;

/// What the last frame begins with; the others are text.
pub const END: u8 = b'.';
/// What a frame begins with that says why there is no text.
pub const FAILED: u8 = b'!';
/// What a frame of text begins with.
pub const TEXT: u8 = b'+';
/// What a frame begins with that asks for a connection to the Unix socket of the binding that the next byte names. The
/// answer is a frame with the descriptor, or without one.
pub const CONNECT: u8 = b'@';
/// The largest frame.
pub const MAX_FRAME: usize = 32 * 1024;
/// How long to wait for room in the socket, or for an answer, before looking again.
const PAUSE: Duration = Duration::from_millis(5);
/// How long the pipes of a child may take to come: they are sent right after the order.
const PIPES_WITHIN: Duration = Duration::from_secs(10);

/// What to find out.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The configuration, whose policy is that to compare with.
    pub config: Worker,
    /// What about it.
    pub task: Task,
}

/// What is to be found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// A policy to start from.
    Suggest,
    /// What has changed since the policy was approved.
    Differences,
    /// How far each peer can be reached: lines of [`super::examine`].
    Examine,
}

/// The whole life of the process.
#[must_use]
pub fn run() -> Exit {
    // INVARIANT: a process that nobody started for this ends here, before it has done anything.
    let Ok(socket) = sys::process::enter_worker() else { return Exit::Usage };
    match live(&socket) {
        Ok(()) => Exit::Ok,
        Err(why) => {
            let frame: Vec<u8> = std::iter::once(FAILED).chain(why.bytes().take(1000)).collect();
            // The command may be gone.
            let _ = message::send(&socket, &frame, &[]);
            Exit::Os
        }
    }
}

fn live(socket: &OwnedFd) -> Result<(), String> {
    let text = |e: &dyn std::fmt::Display| e.to_string();
    let order: Order = handed::receive(socket).map_err(|e| text(&e))?;
    let config = &order.config;
    let mut pipes = pipes(socket, config).map_err(|e| text(&e))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| text(&e))?;
    // INVARIANT: whatever opens files or descriptors of its own has done so before the confinement, and nothing of a
    // server has been read.
    let inside = runtime.enter();
    let _ = aws_lc_rs::rand::fill(&mut [0; 1]);
    let log = Log::relay(Level::Error);
    let (events, mut wanted) = mpsc::unbounded_channel();
    let trust = Trust::new(config.ca_pem.as_deref(), config.tls).map_err(|e| text(&e))?;
    let proxy_tls = trust.client(&config.proxy_peer, "proxy", &log).map_err(|e| text(&e))?;
    let (connections, mut missing) = mpsc::unbounded_channel();
    let sockets = net::Sockets::new(connections);
    let peers = Peers { config, trust: &trust, proxy_tls: &proxy_tls, sockets: &sockets };
    let servers = config.bindings.iter().map(|binding| {
        Ok((binding.channel.clone(), peers.upstream(binding, &events, &log).map_err(|e| text(&e))?))
    });
    let servers = servers.collect::<Result<Vec<_>, String>>()?;
    let control = (order.task == Task::Examine)
        .then(|| examine::Peers::new(config, &trust, &proxy_tls, &sockets, &log))
        .transpose()?;
    drop(inside);
    let abi = Kernel::probe().check(config.require).map_err(|e| text(&e))?;
    let sealed = confine::worker(abi, config).map_err(|e| text(&e))?;
    selftest::worker(&sealed, &confine::worker_grants(config)).map_err(|e| text(&e))?;
    let work = async {
        for (_, server) in &servers {
            if let Upstream::Stdio(stdio) = server {
                let place = pipes.iter().position(|(index, _)| *index == stdio.index());
                place.into_iter().for_each(|place| stdio.attach(pipes.swap_remove(place).1));
            }
        }
        let text = match control {
            Some(peers) => Box::pin(examine::all(config, &peers, &servers, &mut wanted)).await,
            None => Box::pin(offers(&order, &servers)).await?,
        };
        for chunk in text.as_bytes().chunks(MAX_FRAME - 1) {
            say(socket, TEXT, chunk).await?;
        }
        say(socket, END, &[]).await
    };
    runtime.block_on(async {
        tokio::select! {
            done = work => done,
            failed = connect(socket, &mut missing, &sockets) => failed,
        }
    })
}

/// What follows from what the servers offer.
async fn offers(order: &Order, servers: &[(Channel, Upstream)]) -> Result<String, String> {
    let mut offers = Vec::new();
    for (channel, server) in servers {
        let mut offer = Box::pin(visit(server)).await;
        offer.channel = channel.to_string();
        offers.push(offer);
    }
    match (order.task, order.config.policy.as_deref().map(|text| policy::load(text, None))) {
        (Task::Differences, Some(Ok(policy))) => Ok(policy::differences(&policy, &offers)),
        (Task::Differences, _) => Err("there is no policy to compare with".to_owned()),
        _ => Ok(policy::suggest(&offers)),
    }
}

/// Has connections to Unix sockets made, one after the other; ends when that cannot be asked for any more.
async fn connect(
    socket: &OwnedFd,
    missing: &mut mpsc::UnboundedReceiver<net::Wanted>,
    sockets: &net::Sockets,
) -> Result<(), String> {
    while let Some(wanted) = missing.recv().await {
        say(socket, CONNECT, &[wanted.binding]).await?;
        let got = loop {
            match message::recv(socket, &mut [0; 8]) {
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                    tokio::time::sleep(PAUSE).await;
                }
                other => break other.map_err(|e| e.to_string())?,
            }
        };
        let refused = || std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        sockets.answer(wanted.ticket, got.fds.into_iter().next().ok_or_else(refused));
    }
    std::future::pending().await
}

/// The pipes of every stdio server, which come one pair in a frame, each with its index.
fn pipes(socket: &OwnedFd, config: &Worker) -> std::io::Result<Vec<(u8, ChildPipes)>> {
    let invalid = || std::io::Error::from(std::io::ErrorKind::InvalidData);
    let mut pipes = Vec::new();
    for _ in config.bindings.iter().filter(|b| matches!(b.transport, Transport::Stdio { .. })) {
        poll::wait(&[Interest::read(socket.as_fd())], Some(PIPES_WITHIN))?;
        let mut frame = [0; 8];
        let got = message::recv(socket, &mut frame)?;
        let index = frame.get(..got.len).and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
        let mut fds = got.fds.into_iter();
        let (Some(index), Some(stdin), Some(stdout)) = (index, fds.next(), fds.next()) else {
            return Err(invalid());
        };
        pipes.push((index, ChildPipes { stdin, stdout, era: None, generation: 1, carried: None }));
    }
    Ok(pipes)
}

async fn say(socket: &OwnedFd, kind: u8, text: &[u8]) -> Result<(), String> {
    let frame: Vec<u8> = std::iter::once(kind).chain(text.iter().copied()).collect();
    loop {
        match message::send(socket, &frame, &[]) {
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                tokio::time::sleep(PAUSE).await;
            }
            other => return other.map_err(|e| e.to_string()),
        }
    }
}

async fn visit(server: &Upstream) -> Offer {
    let mut visit = Visit::of(server);
    if !visit.open().await {
        if matches!(server, Upstream::Stdio(_)) {
            return Offer { failed: Some("it does not answer initialize"), ..Offer::default() };
        }
        visit.make_stateless();
    }
    let mut offer = Offer::default();
    match visit.list("tools", "").await {
        Some(tools) => offer.tools = tools,
        None => offer.failed = Some("it does not list its tools"),
    }
    offer.prompts = visit.list("prompts", "name").await.unwrap_or_default();
    offer.resources = visit.list("resources", "uri").await.unwrap_or_default();
    visit.close().await;
    offer
}
