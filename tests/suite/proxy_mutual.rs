//! A forward proxy that lets in only who shows a certificate: HAProxy's TLS before tinyproxy. And `pin` by such ways.

use std::path::Path;

use crate::agent::SOON;
use crate::calls::{text_of, tool};
use crate::forward_proxy::{ForwardProxy, Kind, Manner};
use crate::lab::pki::Identity;
use crate::lab::{Ca, ControlPlane, Stub, StubOptions};
use crate::tls_peers::{Program, Recorder, free_port, haproxy, listening, look};
use crate::world::{Plan, World};

/// HAProxy on `port` of 127.0.0.1.
struct Front {
    _program: Program,
    port: u16,
    dir: tempfile::TempDir,
}

impl Front {
    /// Before the proxy at `behind`; clients come from `clients`.
    async fn start(ca: &Ca, clients: &Ca, behind: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = ca.server();
        std::fs::write(dir.path().join("server.pem"), server.cert_pem.clone() + &server.key_pem).unwrap();
        std::fs::write(dir.path().join("clients.pem"), clients.pem()).unwrap();
        let (at, port) = (dir.path().display(), free_port());
        let behind = behind.trim_start_matches("http://");
        let text = format!(
            "global\n  log stdout format raw local0\n\
             defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n\
             frontend proxy\n  bind 127.0.0.1:{port} ssl crt {at}/server.pem ca-file {at}/clients.pem verify required\n  \
             default_backend behind\nbackend behind\n  server behind {behind}\n"
        );
        let program = haproxy(&text, dir.path());
        listening(port).await;
        Self { _program: program, port, dir }
    }

    fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The `proxy` section that shows `identity`.
    fn section(&self, identity: &Identity) -> String {
        let (certificate, key) = identity.write(self.dir.path(), "client");
        section(&certificate, &key)
    }
}

fn section(certificate: &Path, key: &Path) -> String {
    format!("proxy: {{client_cert: {certificate:?}, client_key: {key:?}}}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_wants_a_certificate_is_shown_ours() {
    let (ca, clients) = (Ca::new(), Ca::new());
    let proxy = ForwardProxy::start(Kind::Tinyproxy, Manner::default()).await;
    let front = Front::start(&ca, &clients, &proxy.url()).await;
    let plane = ControlPlane::start(crate::cases::options()).await;
    let stub = Stub::start(StubOptions { tls: true, ..StubOptions::default() }).await;
    let plan = Plan::new()
        .top(&format!("http_proxy: {:?}", front.url()))
        .top(&front.section(&clients.client("the agent")));
    let setup = plan.setup(&plane, &stub);
    setup.file("ca.pem", &(plane.ca_pem() + &stub.ca.pem() + &ca.pem()));
    let world = World { plane, stub, agent: setup.start() };
    world.plane.wait_for_poll(1, SOON).await;
    assert_eq!(text_of(&world.call(tool("r1", "echo", r#"{"text":"here"}"#)).await), "here");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_wants_a_certificate_is_of_no_use_without_the_right_one() {
    let (ca, clients) = (Ca::new(), Ca::new());
    let proxy = ForwardProxy::start(Kind::Tinyproxy, Manner::default()).await;
    let front = Front::start(&ca, &clients, &proxy.url()).await;
    for wrong in [None, Some(Ca::new().client("somebody"))] {
        let plane = ControlPlane::start(crate::cases::options()).await;
        let stub = Stub::start(StubOptions::default()).await;
        let mut plan = Plan::new().control(&format!("http_proxy: {:?}", front.url()));
        if let Some(wrong) = &wrong {
            plan = plan.top(&front.section(wrong));
        }
        let setup = plan.setup(&plane, &stub);
        setup.file("ca.pem", &(plane.ca_pem() + &ca.pem()));
        let agent = setup.start();
        agent.logged(&["poll failed; backing off", "the proxy"]).await;
        assert_eq!(plane.poll_count(), 0);
        agent.stop().await;
    }
}

#[tokio::test]
async fn pin_goes_the_way_that_is_configured() {
    let (ca, clients) = (Ca::new(), Ca::new());
    let server = ca.server();
    let peer = Recorder::start(server.server_config(false, None)).await;
    let squid = ForwardProxy::start(Kind::Squid, Manner::default()).await;
    let tinyproxy = ForwardProxy::start(Kind::Tinyproxy, Manner::default()).await;
    let front = Front::start(&ca, &clients, &tinyproxy.url()).await;
    let dir = tempfile::tempdir().unwrap();
    let bundle = dir.path().join("bundle.pem");
    std::fs::write(&bundle, ca.pem()).unwrap();
    let mutual = format!("http_proxy: {:?}\n{}", front.url(), front.section(&clients.client("the agent")));
    let control = format!("control_plane: {{base_url: {:?}, http_proxy: {:?}}}", peer.url(), squid.url());
    for (yaml, proxy) in [
        (format!("http_proxy: {:?}", squid.url()), &squid),
        (format!("mcp: {{http_proxy: {:?}}}", squid.url()), &squid),
        (format!("{control}\nhttp_proxy: 'http://127.0.0.1:9'"), &squid),
        (mutual, &tinyproxy),
    ] {
        let config = dir.path().join("profile.yaml");
        std::fs::write(&config, format!("ca_bundle: {bundle:?}\n{yaml}\n")).unwrap();
        let asked = |log: String| log.matches(&format!("CONNECT {}", peer.addr)).count();
        let before = asked(proxy.log());
        let ran = look(&peer.addr.to_string(), &["--config", config.to_str().unwrap()]).await;
        assert_eq!(ran.code, Some(0), "{yaml}: {}", ran.err);
        assert!(ran.out.contains("# its own: CN=localhost"), "{}", ran.out);
        crate::agent::eventually(|| (asked(proxy.log()) > before).then_some(())).await.expect("a tunnel");
    }
    let config = dir.path().join("profile.yaml");
    std::fs::write(&config, format!("ca_bundle: {bundle:?}\nhttp_proxy: 'http://127.0.0.1:9'\n")).unwrap();
    let ran = look(&peer.addr.to_string(), &["--config", config.to_str().unwrap()]).await;
    assert_eq!(ran.code, Some(75), "{}", ran.err);
    assert!(ran.err.contains("the proxy cannot be used"), "{}", ran.err);
}
