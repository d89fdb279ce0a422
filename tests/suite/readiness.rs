//! Every reason not to be ready: caused for real, seen in `/readyz` and `/status`, and left again.

use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use crate::agent::{SOON, eventually, kill};
use crate::asking::{self, codes, get, json, plan, until, until_within};
use crate::calls::tool;
use crate::lab::{Ca, ControlPlane, Fault, On, Relay, Stub, StubOptions, open};
use crate::tls_peers::{nobody, pin};
use crate::watchdog::Manager;
use crate::world::{Plan, World, may_run_lab, stdio_stub};

/// Holds a lease on a file: whoever opens it waits until the lease is given up, at the end of stdin. `asked`: somebody does.
const LEASE: &str = r#"
import fcntl, os, signal, sys
file = os.open(sys.argv[1], os.O_RDONLY)
signal.signal(signal.SIGIO, lambda *_: print("asked", flush=True))
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("held", flush=True)
sys.stdin.read()
"#;

/// Above the pause that follows a refusal by the control plane.
const LONG: Duration = Duration::from_secs(75);

#[tokio::test]
async fn an_mcp_server_that_is_killed_and_comes_back() {
    let mut world = asking::world(plan("")).await;
    until(&world.agent, None).await;
    world.stub.go_down();
    // The next call finds out.
    world.call(tool("lost", "echo", r#"{"text":"1"}"#)).await;
    let ready = until(&world.agent, Some("mcp_unreachable")).await;
    assert!(ready.body.contains("channel main cannot be reached: connection refused"), "{}", ready.body);
    let health = json(&world.agent, "/health?details=true").await;
    assert_eq!(health["components"]["mcp"]["status"], "degraded");
    assert_eq!(health["components"]["control-plane"]["status"], "ok");
    world.stub.come_back().await;
    // Nobody calls: it is tried.
    until(&world.agent, None).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_mcp_server_behind_a_unix_socket() {
    let plane = ControlPlane::start(crate::cases::options()).await;
    let stub = Stub::start(StubOptions::default()).await;
    let plan = plan("");
    let setup = asking::own(plan.setup(&plane, &stub));
    let socket = setup.dir.path().join("mcp.sock");
    open(setup.dir.path());
    let bindings = format!("  server_urls: [{{url: 'http://tools/mcp', unix_socket: {socket:?}}}]\n");
    let yaml = plan.bindings(bindings).text(&plane, &stub, setup.dir.path());
    let world = World { plane, stub, agent: setup.yaml(yaml).start() };
    until(&world.agent, Some("mcp_unreachable")).await;
    let relay = Relay::start(&socket, world.stub.port());
    until(&world.agent, None).await;
    assert!(relay.accepted() >= 1);
    world.end().await;
}

/// The control plane answers with this status; then it does not.
async fn refused(status: u16, code: &str) {
    let world = asking::world(plan("")).await;
    until(&world.agent, None).await;
    world.plane.fault(Fault::status(On::Poll, status, 1));
    world.plane.cut_connections();
    let ready = until(&world.agent, Some(code)).await;
    assert!(ready.body.contains(&status.to_string()), "{}", ready.body);
    assert_eq!(codes(&world.agent).await, [code]);
    until_within(&world.agent, None, LONG).await;
    world.end().await;
}

#[tokio::test]
async fn a_key_that_is_revoked() {
    refused(401, "control_plane_unauthorized").await;
}

#[tokio::test]
async fn a_permission_that_is_taken_away() {
    refused(403, "control_plane_forbidden").await;
}

#[tokio::test]
async fn a_tunnel_that_is_not_there() {
    refused(404, "control_plane_not_found").await;
}

#[tokio::test]
async fn an_answer_that_is_of_no_use() {
    refused(500, "control_plane_answer").await;
}

#[tokio::test]
async fn a_control_plane_that_goes_down() {
    let mut world = asking::world(plan("")).await;
    until(&world.agent, None).await;
    world.plane.go_down();
    until(&world.agent, Some("control_plane_network")).await;
    assert_eq!(get(&world.agent, "/healthz").await.status, 200);
    assert_eq!(json(&world.agent, "/health/control-plane").await["status"], "degraded");
    world.plane.come_back().await;
    until(&world.agent, None).await;
    world.end().await;
}

#[tokio::test]
async fn a_wrong_pin_is_a_reason_of_its_own_and_a_reload_mends_it() {
    let control = format!("pins: ['{}', '{}']", nobody(), pin(Ca::new().server().spki()));
    let world = plan("").control(&control).start_as_without_poll(asking::own).await;
    let ready = until(&world.agent, Some("control_plane_pin")).await;
    assert!(ready.body.contains("pinned"), "{}", ready.body);
    assert!(json(&world.agent, "/status").await["pin_mismatches"].as_u64() > Some(0));
    let path = world.agent.dir.path().join("tunnelward.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace(&control, "")).unwrap();
    world.agent.signal("HUP");
    until(&world.agent, None).await;
    world.end().await;
}

#[tokio::test]
async fn a_peer_without_a_certificate_that_can_be_believed() {
    // The authority of somebody else in ca.pem.
    let strange = |setup: crate::agent::Setup| {
        setup.file("ca.pem", &Ca::new().pem());
        asking::own(setup)
    };
    let world = plan("").start_as_without_poll(strange).await;
    until(&world.agent, Some("control_plane_tls")).await;
    std::fs::write(world.agent.dir.path().join("ca.pem"), world.plane.ca_pem()).unwrap();
    world.agent.signal("HUP");
    until(&world.agent, None).await;
    world.end().await;
}

#[tokio::test]
async fn a_proxy_that_is_not_there() {
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let control = format!("http_proxy: 'http://{nowhere}'");
    let world = plan("").control(&control).start_as_without_poll(asking::own).await;
    until(&world.agent, Some("control_plane_proxy")).await;
    let status = json(&world.agent, "/status").await;
    assert_eq!(status["proxies"][0]["reachable"], false, "{status}");
    let metrics = get(&world.agent, "/metrics").await.body;
    assert!(metrics.contains(&format!("proxy_health_state{{proxy_id=\"http://{nowhere}\"}} 0")), "{metrics}");
    let proxy = tokio::net::TcpListener::bind(nowhere).await.unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = proxy.accept().await {
            tokio::spawn(connect(client));
        }
    });
    until(&world.agent, None).await;
    world.end().await;
}

/// What a proxy does that is asked for a connection.
async fn connect(client: tokio::net::TcpStream) -> std::io::Result<()> {
    let mut client = BufReader::new(client);
    let mut head = String::new();
    while client.read_line(&mut head).await? > 2 {}
    let target = head.split(' ').nth(1).unwrap_or_default();
    let mut server = tokio::net::TcpStream::connect(target).await?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await.map(drop)
}

#[tokio::test]
async fn a_worker_that_dies_and_is_replaced() {
    let world = asking::world(plan("").top("restart: {backoff_min: 2s}")).await;
    until(&world.agent, None).await;
    let (worker, at) = (world.agent.worker_pid(), asking::address(&world.agent).await);
    let waiting = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        asking::get_with(&at, "/healthz", "").await
    });
    kill(worker, "KILL");
    world.agent.logged(&["the worker will be replaced"]).await;
    // Who asks meanwhile waits for the next one, and is not refused.
    assert_eq!(waiting.await.unwrap().status, 200);
    until(&world.agent, None).await;
    assert_eq!(json(&world.agent, "/status").await["worker_restarts"], 1);
    assert!(get(&world.agent, "/metrics").await.body.contains("tunnelward_worker_restarts_total 1\n"));
    world.end().await;
}

#[tokio::test]
async fn a_worker_that_starts_dies_and_dies_again_is_told_to_the_service_manager() {
    let manager = Manager::new();
    // While there is no worker nobody answers but the broker, by STATUS=.
    let restart = "restart: {times: 1, backoff_min: 300ms, backoff_max: 2s}";
    let world = Plan::new().top(restart).start_as(|setup| manager.watches(setup)).await;
    manager.is_told("the worker is starting").await;
    manager.is_told("polling the control plane").await;
    kill(world.agent.worker_pid(), "KILL");
    manager.is_told("the worker died and is being replaced").await;
    manager.is_told("polling the control plane").await;
    kill(world.agent.worker_pid(), "KILL");
    manager.is_told("the worker dies again and again").await;
    manager.is_told("polling the control plane").await;
    world.end().await;
}

#[tokio::test]
async fn a_control_plane_and_a_server_that_have_not_answered_yet() {
    // The kernel takes the connections, and then nobody says a word.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = silent.local_addr().unwrap();
    let plane = ControlPlane::start(crate::cases::options()).await;
    let stub = Stub::start(StubOptions::default()).await;
    let plan = plan("").bindings(format!("  server_urls: [{{url: 'https://{at}/mcp'}}]\n"));
    plane.fault(Fault { delay_ms: 3000, ..Fault::on(On::Poll) });
    let setup = asking::own(plan.setup(&plane, &stub));
    let world = World { plane, stub, agent: setup.start() };
    let ready = until(&world.agent, Some("not_polled_yet")).await;
    assert!(ready.body.contains("has not answered a poll yet"), "{}", ready.body);
    assert_eq!(codes(&world.agent).await, ["not_polled_yet", "mcp_unknown"]);
    world.plane.wait_for_poll(2, SOON).await;
    assert_eq!(codes(&world.agent).await, ["mcp_unknown"]);
    drop(silent);
    until_within(&world.agent, Some("mcp_unreachable"), LONG).await;
    world.end().await;
}

#[tokio::test]
async fn a_stdio_server_that_ends_and_is_started_again() {
    let plan = plan("").stdio("", "").top("restart: {backoff_min: 2s}");
    let world = asking::world(plan).await;
    until(&world.agent, None).await;
    kill(world.agent.child_with("stub-stdio").expect("no child"), "KILL");
    let ready = until(&world.agent, Some("mcp_restarting")).await;
    assert!(ready.body.contains("channel main has ended and is started again"), "{}", ready.body);
    until(&world.agent, None).await;
    let metrics = get(&world.agent, "/metrics").await.body;
    assert!(metrics.contains("tunnelward_child_restarts_total{channel=\"main\"} 1\n"), "{metrics}");
    world.end().await;
}

/// A program that is slow to be opened, as from storage across the network or under a scanner.
struct Slow {
    lease: tokio::process::Child,
    said: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
}

impl Slow {
    async fn to_open(program: &Path) -> Self {
        let mut command = tokio::process::Command::new("/usr/bin/python3");
        command.args(["-c", LEASE]).arg(program).kill_on_drop(true);
        let pipe = std::process::Stdio::piped;
        let mut lease = command.stdin(pipe()).stdout(pipe()).spawn().unwrap();
        let said = BufReader::new(lease.stdout.take().unwrap()).lines();
        let mut slow = Self { lease, said };
        slow.says("held").await;
        slow
    }

    async fn says(&mut self, what: &str) {
        let line = tokio::time::timeout(SOON, self.said.next_line()).await.expect(what).unwrap();
        assert_eq!(line.as_deref(), Some(what));
    }

    async fn no_more(mut self) {
        drop(self.lease.stdin.take());
        assert!(self.lease.wait().await.unwrap().success());
    }
}

#[tokio::test]
async fn a_stdio_server_whose_program_takes_long_to_load() {
    let manager = Manager::new();
    let servers = crate::place::servers_dir();
    let program = servers.path().join("server.sh");
    std::fs::write(&program, format!("#!/bin/sh\nexec {}\n", stdio_stub(""))).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let command = format!("{{channel: main, command: {program:?}{}}}", may_run_lab());
    let plan = plan("").bindings(format!("  commands: [{command}]\n")).top("restart: {backoff_min: 100ms}");
    let world = plan.start_as(|setup| manager.watches(asking::own(setup))).await;
    until(&world.agent, None).await;
    let mut slow = Slow::to_open(&program).await;
    kill(world.agent.child_with("stub-stdio").expect("no child"), "KILL");
    slow.says("asked").await;
    let ready = until(&world.agent, Some("mcp_starting")).await;
    assert_eq!(ready.body, "the MCP server of channel main is being started");
    assert_eq!(codes(&world.agent).await, ["mcp_starting"]);
    assert_eq!(json(&world.agent, "/status").await["children"][0]["state"], "starting");
    manager.is_told("the MCP server of channel main is being started").await;
    slow.no_more().await;
    until(&world.agent, None).await;
    manager.is_told("polling the control plane").await;
    world.end().await;
}

#[tokio::test]
async fn a_stdio_server_that_ends_again_and_again() {
    let restart = "restart: {times: 1, backoff_min: 10ms, backoff_max: 3s}";
    let world = asking::world(plan("").stdio("", "").top(restart)).await;
    until(&world.agent, None).await;
    for _ in 0..2 {
        let child = eventually(|| world.agent.child_with("stub-stdio")).await.expect("no child");
        kill(child, "KILL");
        eventually(|| (world.agent.child_with("stub-stdio") != Some(child)).then_some(())).await.unwrap();
    }
    until(&world.agent, Some("mcp_failing")).await;
    until(&world.agent, None).await;
    world.end().await;
}

#[tokio::test]
async fn an_audit_log_that_cannot_be_written() {
    let small = crate::audit::small_with("refuse", |plan| {
        plan.top("health: {listen_addr: '127.0.0.1:0', url_file: '@DIR@/url'}")
    })
    .await;
    let world = &small.world;
    until(&world.agent, None).await;
    small.fill();
    for n in 0..20 {
        if world.call(tool(&format!("full{n}"), "echo", r#"{"text":"x"}"#)).await.resp_code != 200 {
            break;
        }
    }
    until(&world.agent, Some("audit_failing")).await;
    assert_eq!(json(&world.agent, "/status").await["audit"]["failing"], true);
    small.free();
    until(&world.agent, None).await;
    assert!(json(&world.agent, "/status").await["audit"]["failures"].as_u64() > Some(0));
    small.world.end().await;
}

#[tokio::test]
async fn a_service_that_stops_says_so_until_it_has() {
    let mut world = asking::world(plan("")).await;
    until(&world.agent, None).await;
    world.plane.enqueue(tool("slow", "sleep", r#"{"ms":3000}"#));
    world.stub.wait_for_requests(1, SOON).await;
    world.agent.signal("TERM");
    let ready = until(&world.agent, Some("stopping")).await;
    assert_eq!(ready.body, "draining");
    assert_eq!(json(&world.agent, "/health").await["runtime"]["lifecycle"], "draining");
    assert_eq!(world.plane.wait_for_response("slow", SOON).await.resp_code, 200);
    assert_eq!(world.agent.ended(SOON).await.and_then(|status| status.code()), Some(0));
}
