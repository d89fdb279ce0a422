//! What the service manager's watchdog is told while processes stop, peers are slow and the network is gone.
//!
//! `scripts/soak` cuts the network for five minutes; `scripts/service` has a real systemd that loses patience.

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use crate::agent::{Setup, alive, eventually, kill};
use crate::calls::{plan, text_of, tool};
use crate::own_network::{inside, run};
use crate::world::{Plan, World};

/// A worker that does not move is gone by then: 5 seconds to its next beat, 10 of patience, 5 to the next look.
const GONE: Duration = Duration::from_secs(20);
/// How late that may be seen on a machine that has other things to do.
const SLACK: Duration = Duration::from_secs(15);

/// A service manager that wants to hear something every 3 seconds.
pub struct Manager {
    _dir: tempfile::TempDir,
    socket: UnixDatagram,
    name: String,
}

impl Manager {
    /// Nothing was heard.
    pub fn new() -> Self {
        let dir = crate::place::servers_dir();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { _dir: dir, socket, name: path.to_str().unwrap().into() }
    }

    async fn world(&self, plan: Plan) -> World {
        plan.start_as(|setup| self.watches(setup)).await
    }

    /// An agent of its own.
    pub fn watches(&self, setup: Setup) -> Setup {
        setup.env("NOTIFY_SOCKET", &self.name).env("WATCHDOG_USEC", "3000000")
    }

    /// Waits until it is told a state of which this is a part.
    pub async fn is_told(&self, state: &str) {
        let mut buffer = [0; 4096];
        let mut told = Vec::new();
        let heard = eventually(|| {
            while let Ok(n) = self.socket.recv(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..n]).into_owned();
                let is = text.contains("STATUS=") && text.contains(state);
                told.push(text);
                if is {
                    return Some(());
                }
            }
            None
        });
        let heard = heard.await;
        assert!(heard.is_some(), "not {state:?} but {told:#?}");
    }

    /// How often it was told that the service lives since it was last asked.
    fn beats(&self) -> usize {
        let mut buffer = [0; 4096];
        let mut beats = 0;
        while let Ok(n) = self.socket.recv(&mut buffer) {
            beats += usize::from(&buffer[..n] == b"WATCHDOG=1\n");
        }
        beats
    }

    /// Hears for so long that the service lives, without a pause that systemd would not have.
    pub async fn hears_for(&self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            eventually(|| (self.beats() > 0).then_some(())).await.expect("the watchdog is not fed");
            // One second is due, three are allowed.
            tokio::time::sleep(Duration::from_millis(2500)).await;
        }
    }
}

async fn works(world: &World, id: &str) {
    assert_eq!(text_of(&world.call(tool(id, "echo", r#"{"text":"here"}"#)).await), "here");
}

#[tokio::test]
async fn a_stopped_worker_is_killed_and_replaced_by_the_broker_before_the_manager_must_act() {
    let manager = Manager::new();
    let world = manager.world(plan()).await;
    let worker = world.agent.worker_pid();
    kill(worker, "STOP");
    let stopped = Instant::now();
    while alive(worker) {
        assert!(stopped.elapsed() < GONE + SLACK, "it is still there");
        eventually(|| (manager.beats() > 0 || !alive(worker)).then_some(())).await.expect("not fed");
    }
    assert!(stopped.elapsed() > Duration::from_secs(10), "a loop may be ten seconds late");
    world.agent.logged(&["killing the worker", "its event loop does not move"]).await;
    works(&world, "after").await;
    manager.hears_for(Duration::from_secs(3)).await;
    world.end().await;
}

#[tokio::test]
async fn a_stopped_broker_is_silent_and_what_stood_still_with_it_is_not_held_against_a_worker() {
    let manager = Manager::new();
    let world = manager.world(plan()).await;
    let (broker, worker) = (world.agent.pid(), world.agent.worker_pid());
    manager.hears_for(Duration::from_secs(3)).await;
    kill(broker, "STOP");
    kill(worker, "STOP");
    manager.beats();
    tokio::time::sleep(GONE).await;
    assert_eq!(manager.beats(), 0);
    kill(broker, "CONT");
    // The broker looks first, and there is no beat to be seen yet.
    tokio::time::sleep(Duration::from_secs(3)).await;
    kill(worker, "CONT");
    manager.hears_for(Duration::from_secs(6)).await;
    works(&world, "after").await;
    assert_eq!(world.agent.worker_pid(), worker);
    world.end().await;
}

#[tokio::test]
async fn slow_servers_and_deadlines_that_pass_do_not_wedge_a_worker() {
    let manager = Manager::new();
    let world = manager.world(plan().mcp("max_concurrent_requests: 1")).await;
    let worker = world.agent.worker_pid();
    // The second waits for the first, and no answer of either ever comes.
    for (id, seconds) in [("first", "2s"), ("second", "3s")] {
        world.plane.enqueue(tool(id, "silent", "{}").response_timeout(seconds));
    }
    world.plane.enqueue(tool("endless", "silent", "{}"));
    manager.hears_for(Duration::from_secs(20)).await;
    assert_eq!(world.agent.worker_pid(), worker);
    assert_eq!(world.agent.count("killing the worker"), 0);
    for id in ["first", "second"] {
        let lines = world.agent.log().into_iter().filter(|l| l.contains(id) && l.contains("deadline"));
        assert_eq!(lines.count(), 1, "its deadline has passed: {id}");
    }
}

#[tokio::test]
async fn a_network_that_is_cut_for_long_does_not_trip_the_watchdog() {
    if !inside("watchdog::a_network_that_is_cut_for_long_does_not_trip_the_watchdog") {
        return;
    }
    let manager = Manager::new();
    let world = manager.world(plan()).await;
    let worker = world.agent.worker_pid();
    works(&world, "before").await;
    run("ip link set lo down");
    let long = std::env::var_os("TUNNELWARD_SOAK").is_some();
    manager.hears_for(Duration::from_secs(if long { 300 } else { 45 })).await;
    assert!(world.agent.count("poll failed") + world.agent.count("poll timed out") > 0, "it was not cut");
    run("ip link set lo up");
    works(&world, "after").await;
    assert_eq!(world.agent.worker_pid(), worker);
    world.end().await;
}
