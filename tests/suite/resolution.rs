//! Names and addresses in a network of the test's own: /etc/hosts, search domains, changing answers, IPv6 alone.

use std::time::Duration;

use crate::agent::SOON;
use crate::calls::{text_of, tool};
use crate::forward_proxy::{ForwardProxy, Kind, Manner};
use crate::lab::{ControlPlane, Options, Stub, StubOptions};
use crate::name_server::NameServer;
use crate::own_network::{inside, replace, run};
use crate::world::{Plan, World};

const NAMES: &[&str] = &["plane", "plane.test", "127.0.0.1", "::1"];
const RESOLVER: &str = "search corp.test\nnameserver 127.0.0.1\noptions timeout:1 attempts:2\n";

/// A plane for [`NAMES`], stubs at these addresses on one port, and an agent whose `main` is `http://HOST:PORT/mcp`.
/// `base` is the scheme and host of the control plane.
async fn world_of(base: &str, host: &str, more: &str, stubs: &[&str], plan: Plan) -> (World, Vec<Stub>) {
    let own = |a: &str| Some(a.parse().unwrap());
    let at = if stubs[0].contains(':') { own("::1") } else { None };
    let plane =
        ControlPlane::start(Options { tls: true, names: NAMES, host: at, ..Options::default() }).await;
    let stub = Stub::start(StubOptions { host: own(stubs[0]), ..StubOptions::default() }).await;
    let port = stub.port();
    let mut others = Vec::new();
    for address in &stubs[1..] {
        others.push(Stub::start(StubOptions { host: own(address), port, ..StubOptions::default() }).await);
    }
    let plan = plan.bindings(format!("  server_urls: [{{url: 'http://{host}:{port}/mcp'{more}}}]\n"));
    let setup = plan.setup(&plane, &stub);
    let yaml = plan.text(&plane, &stub, setup.dir.path()).replace("https://127.0.0.1:", &format!("{base}:"));
    let world = World { plane, stub, agent: setup.yaml(yaml).start() };
    world.plane.wait_for_poll(1, SOON).await;
    (world, others)
}

async fn works(world: &World, id: &str) {
    assert_eq!(text_of(&world.call(tool(id, "echo", r#"{"text":"here"}"#)).await), "here", "{id}");
}

async fn fails(world: &World, id: &str, words: &[&str]) {
    let answer = world.call(tool(id, "echo", "{}")).await;
    let text = String::from_utf8_lossy(&answer.raw).into_owned();
    assert!(answer.resp_code == 502 && text.contains(r#""transport_error_kind":"dial""#), "{text}");
    world.agent.logged(words).await;
}

/// Longer than a connection to an MCP server is kept.
async fn reconnect() {
    tokio::time::sleep(Duration::from_millis(3500)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_and_search_domains_work_and_names_are_looked_up_anew_for_every_connection() {
    if !inside("resolution::hosts_and_search_domains_work_and_names_are_looked_up_anew_for_every_connection")
    {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    replace("/etc/hosts", dir.path(), "127.0.0.1 localhost plane\n");
    replace("/etc/resolv.conf", dir.path(), RESOLVER);
    let server = NameServer::start("127.0.0.1");
    // The first address refuses.
    server.set("tools.corp.test", &["127.0.0.9", "127.0.0.2"]);
    let (world, others) =
        world_of("https://plane", "tools", "", &["127.0.0.2", "127.0.0.3"], Plan::new()).await;
    works(&world, "search").await;
    assert!(server.asked("tools.corp.test") > 0 && server.asked("plane") == 0);
    // Another answer.
    server.set("tools.corp.test", &["127.0.0.3"]);
    reconnect().await;
    works(&world, "changed").await;
    assert_eq!((world.stub.request_count(), others[0].request_count()), (1, 1));
    // Another resolver.
    let other = NameServer::start("127.0.0.53");
    other.set("tools.corp.test", &["127.0.0.2"]);
    drop(server);
    let path = dir.path().join("etc-resolv.conf");
    std::fs::write(path, RESOLVER.replace("127.0.0.1", "127.0.0.53")).unwrap();
    reconnect().await;
    works(&world, "resolver").await;
    assert_eq!((world.stub.request_count(), others[0].request_count()), (2, 1));
    // No resolver at all, and back.
    drop(other);
    reconnect().await;
    let answer = world.call(tool("none", "echo", "{}")).await;
    assert!(String::from_utf8_lossy(&answer.raw).contains(r#""source":"dns""#));
    let again = NameServer::start("127.0.0.53");
    again.set("tools.corp.test", &["127.0.0.2"]);
    works(&world, "again").await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_addresses_of_allowed_ips_are_connected_to_and_metadata_addresses_never() {
    if !inside("resolution::only_addresses_of_allowed_ips_are_connected_to_and_metadata_addresses_never") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    replace("/etc/resolv.conf", dir.path(), RESOLVER);
    // Somebody answers there, so that a connection would succeed.
    run("ip addr add 169.254.169.254/32 dev lo");
    let server = NameServer::start("127.0.0.1");
    server.set("tools.test", &["127.0.0.2"]);
    let allowed = ", allowed_ips: [127.0.0.2/32, '169.254.0.0/16']";
    let stubs = &["127.0.0.2", "127.0.0.3", "169.254.169.254"];
    let (world, others) = world_of("https://127.0.0.1", "tools.test", allowed, stubs, Plan::new()).await;
    works(&world, "inside").await;
    server.set("tools.test", &["127.0.0.3"]);
    reconnect().await;
    fails(&world, "outside", &["the address is not one of allowed_ips"]).await;
    server.set("tools.test", &["169.254.169.254"]);
    fails(&world, "metadata", &["link-local and metadata addresses are never contacted"]).await;
    assert!(others.iter().all(|stub| stub.server().accepted() == 0));
    server.set("tools.test", &["127.0.0.3", "127.0.0.2"]);
    works(&world, "again").await;
    assert_eq!(others[0].server().accepted(), 0);
    world.end().await;

    // The same holds for the address of a proxy.
    server.set("proxy.test", &["169.254.169.254"]);
    let stub = &others[1];
    let plan = Plan::new().mcp(&format!("http_proxy: 'http://proxy.test:{}'", stub.port()));
    let (world, _others) = world_of("https://127.0.0.1", "127.0.0.2", "", &["127.0.0.2"], plan).await;
    let words = ["the proxy cannot be used: the address is refused"];
    world.agent.logged(&words).await;
    fails(&world, "proxy", &words).await;
    assert_eq!(stub.server().accepted(), 0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_with_ipv6_alone_works_with_names_literals_and_proxies() {
    if !inside("resolution::a_host_with_ipv6_alone_works_with_names_literals_and_proxies") {
        return;
    }
    run("ip addr del 127.0.0.1/8 dev lo");
    assert!(std::net::TcpListener::bind("127.0.0.1:0").is_err(), "IPv4 is gone");
    let dir = tempfile::tempdir().unwrap();
    replace("/etc/hosts", dir.path(), "::1 localhost\n");
    replace("/etc/resolv.conf", dir.path(), &RESOLVER.replace("127.0.0.1", "::1"));
    let server = NameServer::start("::1");
    server.set("plane.test", &["::1"]);
    server.set("tools.test", &["::1"]);
    let (world, _) = world_of("https://plane.test", "tools.test", "", &["::1"], Plan::new()).await;
    works(&world, "names").await;
    world.end().await;
    let (world, _) = world_of("https://[::1]", "[::1]", ", allowed_ips: '::1'", &["::1"], Plan::new()).await;
    works(&world, "literals").await;
    world.end().await;
    let proxy = ForwardProxy::start(Kind::Squid, Manner { v6: true, ..Manner::default() }).await;
    assert!(proxy.url().starts_with("http://[::1]:"));
    for base in ["https://[::1]", "https://plane.test"] {
        let plan = Plan::new().top(&format!("http_proxy: {:?}", proxy.url()));
        let (world, _) = world_of(base, "[::1]", "", &["::1"], plan).await;
        works(&world, "proxy").await;
        world.end().await;
        let ask = format!("CONNECT {}:", base.trim_start_matches("https://"));
        crate::agent::eventually(|| proxy.log().contains(&ask).then_some(())).await.expect("a tunnel");
    }
}
