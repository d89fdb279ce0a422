//! MCP servers on Unix sockets: connected by the broker, spoken to by the worker.

use std::os::unix::net::UnixListener;
use std::time::Duration;

use crate::agent::SOON;
use crate::calls::{text_of, tool};
use crate::lab::{ControlPlane, Relay, Stub, StubOptions, open};
use crate::world::{Plan, World};

/// A world whose `main` is a stub behind a socket that nobody listens on yet.
async fn world(options: StubOptions, url: &str) -> World {
    let plane = ControlPlane::start(crate::cases::options()).await;
    let stub = Stub::start(options).await;
    let plan = Plan::new();
    let setup = plan.setup(&plane, &stub);
    setup.file("ca.pem", &(plane.ca_pem() + &stub.ca.pem()));
    open(setup.dir.path());
    let socket = setup.dir.path().join("mcp.sock");
    let plan = plan.bindings(format!("  server_urls: [{{url: {url:?}, unix_socket: {socket:?}}}]\n"));
    let yaml = plan.text(&plane, &stub, setup.dir.path());
    let world = World { plane, stub, agent: setup.yaml(yaml).start() };
    world.plane.wait_for_poll(1, SOON).await;
    world
}

async fn works(world: &World, id: &str) {
    assert_eq!(text_of(&world.call(tool(id, "echo", r#"{"text":"here"}"#)).await), "here");
}

async fn fails(world: &World, id: &str, word: &str) {
    let answer = world.call(tool(id, "echo", "{}")).await;
    let text = String::from_utf8_lossy(&answer.raw).into_owned();
    assert!(answer.resp_code == 502 && text.contains(word), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_163_the_socket_is_dialled_and_the_url_gives_host_and_path() {
    let world = world(StubOptions::default(), "http://tools.internal:8123/mcp?x=1").await;
    let socket = world.agent.dir.path().join("mcp.sock");
    fails(&world, "missing", r#""transport_error_kind":"dial""#).await;
    let dead = UnixListener::bind(&socket).unwrap();
    open(&socket);
    drop(dead);
    fails(&world, "dead", "connection_refused").await;
    std::fs::remove_file(&socket).unwrap();
    let relay = Relay::start(&socket, world.stub.port());
    for n in 0..5 {
        works(&world, &format!("r{n}")).await;
    }
    assert_eq!(relay.accepted(), 1, "connections are kept");
    let request = world.stub.requests().remove(0);
    assert_eq!((request.header("host"), request.path.as_str()), (Some("tools.internal:8123"), "/mcp?x=1"));
    let route = world.agent.logged(&["mcp channel route resolved"]).await;
    assert!(route.contains("unix_socket=true") && route.contains("proxy_source=ignored"), "{route}");
    // Many at a time: each needs a connection of its own.
    for n in 0..40 {
        world.plane.enqueue(tool(&format!("m{n}"), "sleep", r#"{"ms":50}"#));
    }
    for n in 0..40 {
        assert_eq!(world.plane.wait_for_response(&format!("m{n}"), SOON).await.resp_code, 200);
    }
    assert!(relay.accepted() > 1);
    drop(relay);
    fails(&world, "gone", "\"tunnel_failure\"").await;
    let _relay = Relay::start(&socket, world.stub.port());
    works(&world, "again").await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_over_the_socket_when_the_url_is_https() {
    let options = StubOptions { tls: true, names: &["tools.internal"], ..StubOptions::default() };
    let world = world(options, "https://tools.internal/mcp").await;
    let _relay = Relay::start(&world.agent.dir.path().join("mcp.sock"), world.stub.port());
    works(&world, "r1").await;
    assert_eq!(world.stub.server().connections()[0].server_name.as_deref(), Some("tools.internal"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_accept_is_given_up_and_the_broker_goes_on_meanwhile() {
    let world = world(StubOptions::default(), "http://tools.internal/mcp").await;
    let path = world.agent.dir.path().join("mcp.sock");
    let address = rustix::net::SocketAddrUnix::new(&path).unwrap();
    let listener =
        rustix::net::socket(rustix::net::AddressFamily::UNIX, rustix::net::SocketType::STREAM, None).unwrap();
    rustix::net::bind(&listener, &address).unwrap();
    open(&path);
    rustix::net::listen(&listener, 0).unwrap();
    let _full = std::os::unix::net::UnixStream::connect(&path).unwrap();
    world.plane.enqueue(tool("held", "echo", "{}"));
    // The permit of this one comes from the broker too.
    let began = std::time::Instant::now();
    world.plane.enqueue(crate::lab::Command::call("other", "9", "tools/list", "{}").channel("nobody"));
    world.plane.wait_for_response("other", SOON).await;
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    let answer = world.plane.wait_for_response("held", SOON).await;
    assert!((4..9).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    assert!(String::from_utf8_lossy(&answer.raw).contains(r#""source":"timeout""#));
    world.end().await;
}
