//! A cable that is pulled and put back, between two networks of the test's own.
//!
//! `scripts/soak` runs it at full length: 90 seconds, and 50 cycles.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::agent::{SOON, eventually};
use crate::asking;
use crate::calls::{text_of, tool};
use crate::forward_proxy::{ForwardProxy, Kind, Manner};
use crate::lab::{ControlPlane, Options, Stub, StubOptions};
use crate::name_server::NameServer;
use crate::own_network::{inside, replace, run};
use crate::world::{Plan, World};

/// From the healing of the network until polls work.
const PATIENCE: Duration = Duration::from_secs(15);
/// The names of the control plane, of an MCP server and of a proxy.
const NAMES: [&str; 3] = ["plane.test", "tools.test", "proxy.test"];
/// What an agent without a network says.
const CUT: [&str; 2] = ["control_plane_network", "control_plane_proxy"];
/// How long after the end of a short cut it may not have said it: a poll takes its time and the guardrail's.
const NOTICED: Duration = Duration::from_secs(40);
/// How much memory of a process may grow over the cycles, in KiB: what the first ones have not touched yet.
const GROWTH: u64 = 512;

fn long() -> bool {
    std::env::var_os("TUNNELWARD_SOAK").is_some()
}

/// A second network, held by a process, with a cable between the two.
struct Cable {
    holder: Child,
}

impl Cable {
    async fn new() -> Self {
        let holder =
            Command::new("unshare").args(["--net", "sleep", "3600"]).stdin(Stdio::null()).spawn().unwrap();
        let network = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        let pid = holder.id().to_string();
        eventually(|| (network(&pid)? != network("self")?).then_some(())).await.expect("a second network");
        run(&format!("ip link add out type veth peer name in netns {pid}"));
        for address in ["10.9.0.1/24", "10.9.0.53/24"] {
            run(&format!("ip addr add {address} dev out"));
        }
        run("ip link set out up");
        let cable = Self { holder };
        for line in ["ip link set lo up", "ip addr add 10.9.0.2/24 dev in", "ip link set in up"] {
            run(&format!("{} {line}", cable.there().join(" ")));
        }
        cable
    }

    /// What begins a command that runs at the other end.
    fn there(&self) -> Vec<String> {
        ["nsenter", "-t", &self.holder.id().to_string(), "-n", "--"].map(str::to_owned).to_vec()
    }

    fn pull(&self) {
        run("ip link set out down");
    }

    fn put_back(&self) -> Instant {
        run("ip link set out up");
        Instant::now()
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Resident memory in KiB.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

async fn works(world: &World, id: &str) -> Duration {
    let began = Instant::now();
    assert_eq!(text_of(&world.call(tool(id, "echo", r#"{"text":"here"}"#)).await), "here", "{id}");
    began.elapsed()
}

/// How the polls of an agent leave its network.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Out {
    Http2,
    Http1,
    Through(Kind),
}

const WAYS: [Out; 4] = [Out::Http2, Out::Http1, Out::Through(Kind::Squid), Out::Through(Kind::Tinyproxy)];

/// An agent at the other end of the cable, and what it needs at this one.
struct Site {
    out: Out,
    world: World,
    proxy: Option<ForwardProxy>,
    /// Broker and worker, and their memory after the first cycles.
    processes: [u32; 2],
    memory: [u64; 2],
}

impl Site {
    async fn start(out: Out, cable: &Cable) -> Self {
        let everywhere = Some("0.0.0.0".parse().unwrap());
        let (http2, names) = (out != Out::Http1, &["plane.test"]);
        let options = Options { tls: true, http2, names, host: everywhere, ..Options::default() };
        let plane = ControlPlane::start(options).await;
        let stub = Stub::start(StubOptions { host: everywhere, ..StubOptions::default() }).await;
        let mut plan = Plan::new()
            .top("health: {unix_socket: '@DIR@/health'}")
            .bindings(format!("  server_urls: [{{url: 'http://tools.test:{}/mcp'}}]\n", stub.port()));
        let mut proxy = None;
        if let Out::Through(kind) = out {
            let started = ForwardProxy::start(kind, Manner { everywhere: true, ..Manner::default() }).await;
            plan = plan.control(&format!("http_proxy: 'http://proxy.test:{}'", started.port()));
            proxy = Some(started);
        }
        let setup = asking::own(plan.setup(&plane, &stub));
        let yaml =
            plan.text(&plane, &stub, setup.dir.path()).replace("https://127.0.0.1:", "https://plane.test:");
        let world = World { plane, stub, agent: setup.yaml(yaml).by(&cable.there()).start() };
        world.plane.wait_for_poll(2, SOON).await;
        works(&world, "before").await;
        let processes = [world.agent.pid(), world.agent.worker_pid()];
        Self { out, world, proxy, processes, memory: [0; 2] }
    }

    /// The codes of the reasons why it is not ready.
    async fn reasons(&self) -> Vec<String> {
        let socket = self.world.agent.dir.path().join("health");
        let answer = asking::raw_unix(&socket, b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        let status: serde_json::Value = serde_json::from_str(&asking::got(&answer.unwrap()).body).unwrap();
        let reasons = status["reasons"].as_array().unwrap();
        reasons.iter().map(|reason| reason["code"].as_str().unwrap().to_owned()).collect()
    }
}

/// One long cut: the addresses move, the connections end and the proxies are killed and started again, and nothing of
/// all that arrives at the other end.
async fn long_cut(cable: &Cable, server: &NameServer, sites: &mut [Site]) {
    cable.pull();
    for name in NAMES {
        server.set(name, &["10.9.0.3"]);
    }
    for site in &mut *sites {
        site.world.plane.cut_connections();
        if let Some(proxy) = &mut site.proxy {
            proxy.kill();
        }
    }
    let until = Instant::now() + Duration::from_secs(if long() { 90 } else { 20 });
    for site in &*sites {
        // A socket is a file: it can be asked from this network too.
        while !site.reasons().await.iter().any(|code| CUT.contains(&code.as_str())) {
            assert!(until.elapsed() < NOTICED, "{:?} is ready without a network", site.out);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    tokio::time::sleep_until(until.into()).await;
    for proxy in sites.iter_mut().filter_map(|site| site.proxy.as_mut()) {
        proxy.come_back().await;
    }
    run("ip addr add 10.9.0.3/24 dev out");
    run("ip addr del 10.9.0.1/24 dev out");
    let polls: Vec<usize> = sites.iter().map(|site| site.world.plane.poll_count()).collect();
    let healed = cable.put_back();
    // Deleting the first address of a network may take the others with it.
    for address in ["10.9.0.3/24", "10.9.0.53/24"] {
        let _ =
            Command::new("ip").args(["addr", "add", address, "dev", "out"]).stderr(Stdio::null()).status();
    }
    for (site, polls) in sites.iter().zip(polls) {
        let Site { out, world, processes, .. } = site;
        world.plane.wait_for_poll(polls.saturating_add(1), PATIENCE.saturating_sub(healed.elapsed())).await;
        eprintln!("{out:?}: polled {:?} after a long cut, or before", healed.elapsed());
        works(world, "after").await;
        assert!(healed.elapsed() < PATIENCE, "{out:?}: {:?}", healed.elapsed());
        // What a call has shown is told a moment later.
        while !site.reasons().await.is_empty() {
            assert!(healed.elapsed() < PATIENCE, "{out:?}: not ready again: {:?}", site.reasons().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(
            [world.agent.pid(), world.agent.worker_pid()],
            *processes,
            "{out:?}: nothing is restarted"
        );
    }
}

/// Many short cuts, over which no process grows.
async fn short_cuts(cable: &Cable, sites: &mut [Site]) {
    let (cycles, mut worst) = (if long() { 50 } else { 8 }, Duration::ZERO);
    for cycle in 0..cycles {
        cable.pull();
        tokio::time::sleep(Duration::from_secs(3)).await;
        let healed = cable.put_back();
        for site in &mut *sites {
            works(&site.world, &format!("cycle{cycle}")).await;
            assert!(healed.elapsed() < PATIENCE, "{:?}, cycle {cycle}: {:?}", site.out, healed.elapsed());
            if cycle == 2 {
                site.memory = site.processes.map(memory);
            }
        }
        worst = worst.max(healed.elapsed());
    }
    eprintln!("worst of {cycles} short cuts: {worst:?}");
    for Site { out, world, processes, memory: before, .. } in sites {
        let after = processes.map(memory);
        eprintln!("{out:?}: broker and worker {before:?} KiB, then {after:?} KiB");
        for (before, after) in before.iter().zip(after) {
            assert!(after <= before + GROWTH, "{out:?}: memory grew from {before} to {after} KiB");
        }
        assert_eq!(world.agent.worker_pid(), processes[1], "{out:?}: nothing was restarted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_is_cut_and_healed_is_used_again_within_15_seconds() {
    if !inside("names_cut::a_network_that_is_cut_and_healed_is_used_again_within_15_seconds") {
        return;
    }
    let cable = Cable::new().await;
    let dir = tempfile::tempdir().unwrap();
    replace("/etc/resolv.conf", dir.path(), "nameserver 10.9.0.53\n");
    let server = NameServer::start("10.9.0.53");
    for name in NAMES {
        server.set(name, &["10.9.0.1"]);
    }
    let mut sites = Vec::new();
    for out in WAYS {
        sites.push(Site::start(out, &cable).await);
    }
    long_cut(&cable, &server, &mut sites).await;
    short_cuts(&cable, &mut sites).await;
    for site in sites {
        site.world.end().await;
    }
}
