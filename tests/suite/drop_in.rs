//! What operators of `tunnel-client` have runs as it is: a profile in its directory, an environment file, a command line.
//!
//! The files are the published examples. What differs from machine to machine (where the control plane is, which tunnel,
//! which server) is put in by variables and flags, as an operator does it; or names, address and proxy of the example are
//! made real in a network of the test's own. Only two certificates lie below `/run` that the example has at the very top.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::agent::{SOON, Setup, eventually};
use crate::asking::get_with;
use crate::calls::{text_of, tool};
use crate::forward_proxy::{ForwardProxy, Kind, Manner};
use crate::lab::server::Conn;
use crate::lab::{ControlPlane, Options, Stub, StubOptions};
use crate::own_network;
use crate::world::World;

/// `init --sample sample_mcp_with_dcr` writes this.
const WITH_DCR: &str = r#"config_version: 1
control_plane:
  base_url: "https://api.openai.com"
  tunnel_id: "tunnel_0123456789abcdefghijklmnopqrstuv"
  api_key: "env:CONTROL_PLANE_API_KEY"
health:
  listen_addr: "127.0.0.1:8080"
admin_ui:
  open_browser: false
log:
  level: info
  format: json
mcp:
  server_urls:
    - channel: main
      url: "http://127.0.0.1:3000/mcp"
"#;

/// Every section that the narrow runtime takes.
const EVERY_SECTION: &str = r#"config_version: 1
ca_bundle: env:CA_BUNDLE_PATH
http_proxy: env:HTTPS_PROXY
control_plane: {base_url: "https://api.openai.com", tunnel_id: "tunnel_0123456789abcdefghijklmnopqrstuv", api_key: "env:CONTROL_PLANE_API_KEY",
  poll_timeout: 30s, poll_deadline_guardrail: 5s, max_inflight_requests: 20, poll_channels: [main],
  extra_headers: {X-Trace: "env:TRACE"}}
log: {level: info, format: json, file: /var/log/agent.log, http_raw_unsafe: false}
health: {listen_addr: "127.0.0.1:8080", url_file: /run/agent.url}
process: {pid_file: /run/agent.pid}
mcp:
  server_urls: [{channel: main, url: "https://mcp.internal/mcp", client_cert: /c.pem, client_key: /k.pem}]
  commands: [{channel: local, command: "python3 -m srv"}]
  extra_headers: {X-Api-Key: "file:/run/secrets/k"}
  connection_max_ttl: 10m
  max_concurrent_requests: 10
harpoon:
  targets: [{label: idp-token, url: "https://idp.internal/oauth/token", description: "token endpoint"}]
"#;

/// A control plane, a server, and what will be the agent between them.
struct Place {
    plane: ControlPlane,
    stub: Stub,
    setup: Setup,
    ca: String,
}

async fn place() -> Place {
    let plane = ControlPlane::start(Options { tls: true, ..Options::default() }).await;
    let stub = Stub::start(StubOptions::default()).await;
    let setup = Setup::new("").without_file();
    let ca = setup.file("ca.pem", &plane.ca_pem()).display().to_string();
    Place { plane, stub, setup, ca }
}

/// Writes a profile where `tunnel-client` has it.
fn profile(setup: &Setup, name: &str, text: &str) -> String {
    let home = setup.dir.path().join("home");
    let directory = home.join(".config/tunnel-client");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join(format!("{name}.yaml")), text).unwrap();
    home.display().to_string()
}

/// Starts the agent and makes a call through it.
async fn works(place: Place, change: impl FnOnce(Setup, &ControlPlane, &Stub, &str) -> Setup) -> World {
    let Place { plane, stub, setup, ca } = place;
    // Other tests run beside this one.
    let setup = setup.env("HEALTH_LISTEN_ADDR", "127.0.0.1:0");
    let setup = change(setup, &plane, &stub, &ca);
    let world = World { plane, stub, agent: setup.start() };
    world.plane.wait_for_poll(1, SOON).await;
    let answer = world.call(tool("drop-in", "echo", r#"{"text":"as it was"}"#)).await;
    assert_eq!(text_of(&answer), "as it was");
    world
}

#[tokio::test]
async fn a_profile_in_the_directory_of_tunnel_client_runs_unchanged() {
    let place = place().await;
    let home = profile(&place.setup, "site", WITH_DCR);
    let world = works(place, |setup, plane, stub, ca| {
        setup
            .env("HOME", &home)
            .env("CONTROL_PLANE_API_KEY", &plane.api_key)
            .env("CONTROL_PLANE_BASE_URL", &plane.url())
            .env("CONTROL_PLANE_TUNNEL_ID", &plane.tunnel_id)
            .env("MCP_SERVER_URL", &stub.url())
            .env("CA_BUNDLE", ca)
            .args(&["--profile", "site"])
    })
    .await;
    // The format that the profile asks for.
    let log = world.end().await;
    assert!(log.iter().any(|line| line.starts_with('{') && line.contains("\"level\"")), "{log:#?}");
}

/// Where the two names are; nobody but the proxy knows.
const HOSTS: &str = "127.0.0.2 api.openai.com\n127.0.0.3 mcp.internal\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_with_every_section_runs_unchanged() {
    if !own_network::inside("drop_in::a_profile_with_every_section_runs_unchanged") {
        return;
    }
    let plane = ControlPlane::start(Options {
        tls: true,
        tunnel_id: "tunnel_0123456789abcdefghijklmnopqrstuv".into(),
        names: &["api.openai.com"],
        host: Some([127, 0, 0, 2].into()),
        port: 443,
        ..Options::default()
    });
    let stub = Stub::start(StubOptions {
        tls: true,
        require_client_cert: true,
        names: &["mcp.internal"],
        host: Some([127, 0, 0, 3].into()),
        port: 443,
        ..StubOptions::default()
    });
    let (plane, stub) = (plane.await, stub.await);
    let proxy = ForwardProxy::start(Kind::Squid, Manner { hosts: Some(HOSTS), ..Manner::default() }).await;
    // Whom the agent becomes when root starts it, as no profile of `tunnel-client` says who.
    let user = if rustix::process::geteuid().is_root() { "tunnelward" } else { "" };
    let user = own_network::run(&format!("id -u {user}"));
    // In the mounts of this test only: what the profile names belongs to the agent's user, and nothing there is the machine's.
    for place in ["/run", "/var/log", "/usr/lib/python3/dist-packages"] {
        own_network::run(&format!("mount -t tmpfs -o mode=755,uid={user} tmpfs {place}"));
    }
    std::fs::create_dir("/run/secrets").unwrap();
    let identity = stub.ca.client("the agent");
    for (path, text) in [
        ("/run/c.pem", identity.cert_pem.as_str()),
        ("/run/k.pem", &identity.key_pem),
        ("/run/secrets/k", "k-of-the-server\n"),
        ("/run/secrets/ca.pem", &(plane.ca_pem() + &stub.ca.pem())),
        ("/usr/lib/python3/dist-packages/srv.py", "import sys\nsys.stdin.read()\n"),
    ] {
        std::fs::write(path, text).unwrap();
        own_network::run(&format!("chmod 400 {path}"));
        own_network::run(&format!("chown {user} {path}"));
    }
    let setup = Setup::new("").without_file();
    // Nobody makes files at the top of a machine for a test.
    let text = EVERY_SECTION.replace("/c.pem", "/run/c.pem").replace("/k.pem", "/run/k.pem");
    let home = profile(&setup, "every", &text);
    let agent = setup
        .env("XDG_CONFIG_HOME", &format!("{home}/.config"))
        .env("TUNNEL_CLIENT_PROFILE", "every")
        .env("CONTROL_PLANE_API_KEY", &plane.api_key)
        .env("TRACE", "trace-1")
        .env("CA_BUNDLE_PATH", "/run/secrets/ca.pem")
        .env("HTTPS_PROXY", &proxy.url())
        .log_file("/var/log/agent.log".into())
        .start();
    let world = World { plane, stub, agent };
    world.plane.wait_for_poll(1, SOON).await;
    let answer = world.call(tool("drop-in", "echo", r#"{"text":"as it was"}"#)).await;
    assert_eq!(text_of(&answer), "as it was");

    let poll = world.plane.polls().swap_remove(0).seen;
    assert!(poll.target.contains("channel=main&limit=20"), "{}", poll.target);
    assert_eq!(poll.headers["x-trace"], "trace-1");
    let call = world.stub.requests().swap_remove(0);
    assert_eq!(call.header("x-api-key"), Some("k-of-the-server"));
    let shown = |conn: &Arc<Conn>| conn.client_cert.as_deref() == Some(&**identity.der());
    assert!(world.stub.server().connections().iter().all(shown), "it shows its certificate");

    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(read("/run/agent.url"), "http://127.0.0.1:8080");
    assert_eq!(read("/run/agent.pid").trim(), world.agent.pid().to_string());
    let end = Instant::now() + SOON;
    while get_with("127.0.0.1:8080", "/readyz", "").await.body != "ready" {
        assert!(Instant::now() < end, "{}", get_with("127.0.0.1:8080", "/readyz", "").await.body);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(world.agent.child_with("python3 -m srv").is_some(), "the server of channel local runs");

    world.end().await;
    for path in ["/run/agent.url", "/run/agent.pid"] {
        assert!(!std::path::Path::new(path).exists(), "{path} is still there");
    }
    let log = read("/var/log/agent.log");
    assert!(log.lines().count() > 5 && log.lines().all(|line| line.starts_with('{')), "{log}");
    // Squid writes its line when a tunnel has ended.
    for asked in ["CONNECT api.openai.com:443", "CONNECT mcp.internal:443"] {
        eventually(|| proxy.log().contains(asked).then_some(())).await.expect(asked);
    }
}

#[tokio::test]
async fn an_environment_file_is_enough() {
    let world = works(place().await, |setup, plane, stub, ca| {
        let text = format!(
            "CONTROL_PLANE_BASE_URL={}\nCONTROL_PLANE_TUNNEL_ID={}\nOPENAI_API_KEY={}\nMCP_SERVER_URL=channel=main,url={}\n\
             CA_BUNDLE={ca}\nLOG_LEVEL=info\nLOG_FORMAT=json\nCONTROL_PLANE_POLL_TIMEOUT=30s\n\
             CONTROL_PLANE_EXTRA_HEADERS=X-Trace: trace-2\nMCP_MAX_CONCURRENT_REQUESTS=10\n",
            plane.url(),
            plane.tunnel_id,
            plane.api_key,
            stub.url()
        );
        text.lines().filter_map(|line| line.split_once('=')).fold(setup, |setup, (name, value)| setup.env(name, value))
    })
    .await;
    assert_eq!(world.plane.polls()[0].seen.headers["x-trace"], "trace-2");
    world.end().await;
}

#[tokio::test]
async fn a_command_line_is_enough_with_dots_or_with_hyphens() {
    for spelled in [|name: &str| format!("--{name}"), |name: &str| format!("--{}", name.replace('.', "-"))] {
        let world = works(place().await, |setup, plane, stub, ca| {
            let joined = format!("{}={}", spelled("control-plane.base-url"), plane.url());
            let key = spelled("control-plane.api-key");
            let id = spelled("control-plane.tunnel-id");
            let (url, headers) = (spelled("mcp.server-url"), spelled("mcp.extra-headers"));
            let (address, more) = (spelled("health.listen-addr"), spelled("control-plane.extra-headers"));
            setup.env("AGENT_KEY", &plane.api_key).args(&[
                &joined,
                &key,
                "env:AGENT_KEY",
                &id,
                &plane.tunnel_id,
                &url,
                &stub.url(),
                &headers,
                "X-One: 1",
                &more,
                "X-Trace: trace-3",
                &address,
                "127.0.0.1:0",
                "--ca-bundle",
                ca,
            ])
        })
        .await;
        assert_eq!(world.plane.polls()[0].seen.headers["x-trace"], "trace-3");
        world.end().await;
    }
}
