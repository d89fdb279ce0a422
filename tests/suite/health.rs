//! The health listener: what it answers to whom, and that nobody who may not be answered harms those who may.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, symlink};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::agent::{Agent, SOON, Setup, eventually, kill};
use crate::asking::{self, address, get, get_with, got, json, raw, raw_unix, until};
use crate::lab::Command;
use crate::world::World;

#[tokio::test]
async fn every_page_answers_and_says_nothing_that_is_secret() {
    let world = asking::world(asking::plan("")).await;
    until(&world.agent, None).await;
    world
        .call(Command::call(
            "one",
            "1",
            "tools/call",
            r#"{"name":"echo","arguments":{"text":"precious-argument"}}"#,
        ))
        .await;
    assert_eq!(get(&world.agent, "/healthz").await.body, "live");
    assert_eq!(get(&world.agent, "/readyz").await.body, "ready");
    let health = json(&world.agent, "/health?details=true").await;
    assert_eq!((&health["ready"], &health["runtime"]["lifecycle"]), (&true.into(), &"running".into()));
    assert_eq!(health["components"]["mcp"]["status"], "ok");
    assert_eq!(json(&world.agent, "/health/control-plane").await["status"], "ok");
    let status = json(&world.agent, "/status").await;
    assert_eq!(status["totals"]["calls"], 1);
    assert_eq!(status["recent"][0]["name"], "echo");
    assert_eq!(status["recent"][0]["outcome"], "answered");
    assert_eq!(status["channels"][0]["reachable"], true);
    assert!(status["confinement"]["worker"]["seccomp_filters"].as_u64() > Some(0), "{status}");
    for page in ["/health?details=true", "/status", "/metrics"] {
        let got = get(&world.agent, page).await;
        assert!(got.head.contains("Cache-Control: no-store"), "{}", got.head);
        for secret in [world.plane.api_key.as_str(), "precious-argument", &world.plane.tunnel_id] {
            assert!(!got.body.contains(secret), "{page} has {secret}");
        }
    }
    world.end().await;
}

#[tokio::test]
async fn other_hosts_origins_methods_and_pages_are_refused() {
    let world = asking::world(asking::plan("")).await;
    let at = address(&world.agent).await;
    for (request, status) in [
        ("GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_string(), 421),
        ("GET /healthz HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\r\n".into(), 403),
        ("GET /healthz HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n\r\n".into(), 403),
        ("GET /healthz HTTP/1.1\r\n\r\n".into(), 400),
        ("POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc".into(), 405),
        ("GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n".into(), 404),
        ("nonsense\r\n\r\n".into(), 400),
        (format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nA: {}\r\n\r\n", "x".repeat(20_000)), 431),
        (format!("GET /healthz HTTP/1.1\r\n{}", "A: b\r\n".repeat(500)), 431),
    ] {
        assert_eq!(got(&raw(&at, request.as_bytes()).await.unwrap()).status, status, "{request:.60}");
    }
    assert_eq!(get_with(&at, "/healthz", &format!("Origin: http://{at}\r\n")).await.status, 200);
    let head = raw(&at, format!("HEAD /healthz HTTP/1.1\r\nHost: {at}\r\n\r\n").as_bytes()).await.unwrap();
    assert!(head.ends_with(b"\r\n\r\n") && got(&head).status == 200);
    world.end().await;
}

#[tokio::test]
async fn slow_and_silent_connections_are_cut_and_harm_nobody() {
    let world = asking::world(asking::plan("")).await;
    let at = address(&world.agent).await;
    let mut slow = Vec::new();
    for n in 0..15 {
        let mut one = TcpStream::connect(&at).await.unwrap();
        if n % 2 == 0 {
            one.write_all(b"GET /healthz HTT").await.unwrap();
        }
        slow.push(one);
    }
    // One place is left, and is enough.
    for _ in 0..20 {
        assert_eq!(get(&world.agent, "/healthz").await.status, 200);
    }
    let one = world.call(Command::call("one", "1", "ping", "{}")).await;
    assert_eq!(one.resp_code, 200);
    let began = Instant::now();
    let mut rest = Vec::new();
    slow[0].read_to_end(&mut rest).await.unwrap();
    assert_eq!(got(&rest).status, 408);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    world.end().await;
}

/// Stops it and looks before its directory goes.
async fn ends(mut agent: Agent, look: impl FnOnce()) {
    agent.signal("TERM");
    assert_eq!(agent.ended(SOON).await.and_then(|status| status.code()), Some(0));
    look();
}

#[tokio::test]
async fn a_unix_socket_is_private_and_goes_with_the_agent() {
    let World { plane, agent, .. } =
        asking::plan(", unix_socket: '@DIR@/run/health.sock'").start_as(asking::own).await;
    let (socket, url) = (agent.dir.path().join("run/health.sock"), agent.dir.path().join("url"));
    let found = socket.metadata().unwrap();
    assert!(found.file_type().is_socket() && found.mode() & 0o117 == 0, "{:o}", found.mode());
    // Any host will do.
    let answer = raw_unix(&socket, b"GET /healthz HTTP/1.1\r\nHost: whatever\r\n\r\n").await.unwrap();
    assert_eq!(got(&answer).body, "live");
    assert!(std::fs::read_to_string(&url).unwrap().starts_with("http+unix://L"));
    ends(agent, || assert!(!socket.exists() && !url.exists(), "left behind")).await;
    drop(plane);
}

#[tokio::test]
async fn the_files_follow_no_link_and_are_removed_at_the_end() {
    let plan = asking::plan("").top("process: {pid_file: '@DIR@/pid'}");
    let links = |setup: Setup| {
        let victim = setup.dir.path().join("victim");
        std::fs::write(&victim, "untouched").unwrap();
        for name in ["url", "pid"] {
            symlink(&victim, setup.dir.path().join(name)).unwrap();
        }
        asking::own(setup)
    };
    let World { plane, agent, .. } = plan.start_as(links).await;
    let dir = agent.dir.path().to_path_buf();
    let (victim, pid) = (dir.join("victim"), dir.join("pid"));
    assert_eq!(std::fs::read_to_string(&pid).unwrap(), format!("{}\n", agent.pid()));
    assert_eq!(pid.symlink_metadata().unwrap().mode() & 0o7777, 0o644);
    assert_eq!(dir.join("url").symlink_metadata().unwrap().mode() & 0o7777, 0o600);
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "untouched");
    ends(agent, || {
        assert!(!pid.exists() && !dir.join("url").exists(), "left behind");
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "untouched");
    })
    .await;
    drop(plane);
}

#[tokio::test]
async fn an_address_in_use_ends_the_start_with_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let plan = crate::world::Plan::new().top(&format!("health: {{listen_addr: '{address}'}}"));
    let mut world = plan.start_without_waiting().await;
    let status = world.agent.ended(SOON).await.expect("it goes on");
    assert_eq!(status.code(), Some(71));
    let line = world.agent.logged(&[&address.to_string(), "health.listen_addr"]).await;
    assert!(line.contains("health: {enabled: false}"), "{line}");
}

#[tokio::test]
async fn health_answers_while_the_control_plane_is_down() {
    let setup = Setup::new("");
    let key = setup.file("key", "k");
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let yaml = format!(
        "config_version: 1\nhealth: {{listen_addr: '127.0.0.1:0', url_file: '@DIR@/url'}}\ncontrol_plane: {{base_url: \
         'http://{nowhere}', tunnel_id: tunnel_00000000000000000000000000000000, api_key: 'file:{}'}}\nmcp: {{server_urls: \
         [{{channel: main, url: 'http://{nowhere}/mcp'}}]}}\n",
        key.display()
    );
    let agent = asking::own(setup.yaml(yaml)).start();
    let ready = until(&agent, Some("control_plane_network")).await;
    assert!(ready.body.contains("connection refused"), "{}", ready.body);
    until(&agent, Some("mcp_unreachable")).await;
    assert_eq!(get(&agent, "/healthz").await.status, 200);
    assert_eq!(json(&agent, "/health").await["runtime"]["lifecycle"], "running");
    agent.stop().await;
}

#[tokio::test]
async fn a_reload_leaves_no_request_unanswered() {
    let world = asking::world(asking::plan("").plane(|o| o.tls = true)).await;
    until(&world.agent, None).await;
    let at = address(&world.agent).await;
    for n in 0..200 {
        if n % 50 == 25 {
            world.agent.signal("HUP");
        }
        let got = get_with(&at, "/healthz", "").await;
        assert_eq!((got.status, got.body.as_str()), (200, "live"), "request {n}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    eventually(|| (world.agent.count("reloaded; the old worker finishes") >= 2).then_some(())).await.unwrap();
    until(&world.agent, None).await;
    assert!(world.agent.count("worker started") >= 3);
    world.end().await;
}

#[tokio::test]
async fn a_listener_cannot_be_moved_without_a_restart() {
    let world = asking::world(asking::plan("")).await;
    until(&world.agent, None).await;
    let path = world.agent.dir.path().join("tunnelward.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("127.0.0.1:0", "127.0.0.1:1")).unwrap();
    world.agent.signal("HUP");
    world.agent.logged(&["needs a restart: health.listen_addr"]).await;
    let until_counted = async {
        while json(&world.agent, "/status").await["reloads"]["refused"] != 1 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(SOON, until_counted).await.expect("it is not counted");
    until(&world.agent, None).await;
    world.end().await;
}

#[tokio::test]
async fn a_broker_that_is_stopped_makes_the_worker_say_so() {
    let world: World = asking::world(asking::plan("")).await;
    until(&world.agent, None).await;
    // An answer of the broker counts for a moment.
    tokio::time::sleep(Duration::from_millis(100)).await;
    kill(world.agent.pid(), "STOP");
    let ready = get(&world.agent, "/readyz").await;
    assert_eq!((ready.status, ready.body.as_str()), (503, "the broker does not answer"));
    assert_eq!(get(&world.agent, "/healthz").await.status, 200);
    assert_eq!(asking::codes(&world.agent).await, ["broker_silent"]);
    kill(world.agent.pid(), "CONT");
    until(&world.agent, None).await;
    world.end().await;
}
