//! The agent's own certificates: to whom they are shown, which are refused before anything starts, and what is said of
//! their end. HAProxy stands in front of the control plane and of an MCP server, as it does in many networks.

use std::process::Command as Process;
use std::time::{Duration, Instant};

use crate::agent::{Agent, SOON, Setup};
use crate::lab::pki::Identity;
use crate::lab::{Ca, Command, ControlPlane, Options, Stub, StubOptions};
use crate::tls_peers::{ID, Program, agent_at, free_port, haproxy, listening, nobody, pin};

/// HAProxy on 127.0.0.1, with TLS in front of two plain servers.
struct Front {
    program: Program,
    /// In front of the control plane; a client certificate is required.
    plane: u16,
    /// In front of the MCP server; who comes without a certificate is let in, and it is said who came.
    mcp: u16,
    dir: tempfile::TempDir,
}

impl Front {
    async fn start(ca: &Ca, clients: &Ca, plane: &ControlPlane, stub: &Stub) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = ca.intermediate().server();
        std::fs::write(dir.path().join("server.pem"), server.cert_pem.clone() + &server.key_pem).unwrap();
        std::fs::write(dir.path().join("clients.pem"), clients.pem()).unwrap();
        let at = dir.path().display();
        let (front_plane, front_mcp) = (free_port(), free_port());
        let port = |url: String| url.split(['/', ':']).nth(4).unwrap().to_string();
        let text = format!(
            "global\n  log stdout format raw local0\n\
             defaults\n  mode http\n  log global\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n\
             frontend control\n  bind 127.0.0.1:{front_plane} ssl crt {at}/server.pem ca-file {at}/clients.pem \
             verify required alpn h2,http/1.1 ssl-min-ver TLSv1.3\n  default_backend lab\n\
             frontend mcp\n  bind 127.0.0.1:{front_mcp} ssl crt {at}/server.pem ca-file {at}/clients.pem \
             verify optional alpn h2,http/1.1 ssl-min-ver TLSv1.3\n  \
             http-request set-header X-Client-Name \"%[ssl_c_s_dn(cn)]\"\n  \
             http-request set-header X-Server-Name \"%[ssl_fc_sni]\"\n  default_backend stub\n\
             backend lab\n  server lab 127.0.0.1:{}\nbackend stub\n  server stub 127.0.0.1:{}\n",
            port(plane.url()),
            port(stub.url()),
        );
        let program = haproxy(&text, dir.path());
        listening(front_plane).await;
        Self { program, plane: front_plane, mcp: front_mcp, dir }
    }

    /// An agent that comes to both through the front; `control` and `mcp` are the rest of these sections.
    fn agent(&self, ca: &Ca, plane: &ControlPlane, control: &str, mcp: &str) -> Agent {
        let setup = Setup::new("");
        let (ca, key) = (setup.file("ca.pem", &ca.pem()), setup.file("key", &plane.api_key));
        let yaml = format!(
            "ca_bundle: {ca:?}\ncontrol_plane:\n  base_url: \"https://127.0.0.1:{}\"\n  tunnel_id: {ID}\n  api_key: \
             \"file:{}\"\n{control}log: {{level: debug, format: struct-text}}\nmcp:\n{mcp}\npoll_grace: 100ms\n",
            self.plane,
            key.display(),
        );
        setup.yaml(yaml).start()
    }

    fn identity(&self, identity: &Identity, name: &str, section: &str) -> String {
        let (certificate, key) = identity.write(self.dir.path(), name);
        format!("{section}client_cert: {certificate:?}\n{section}client_key: {key:?}\n")
    }
}

async fn parts() -> (Ca, Ca, ControlPlane, Stub) {
    let plane = ControlPlane::start(Options::default()).await;
    (Ca::new(), Ca::new(), plane, Stub::start(StubOptions::default()).await)
}

#[tokio::test]
async fn each_peer_is_shown_the_certificate_that_is_meant_for_it_and_no_other() {
    let (ca, clients, plane, stub) = parts().await;
    let front = Front::start(&ca, &clients, &plane, &stub).await;
    // A chain: leaf and intermediate, below the authority that the front knows.
    let control = front.identity(&clients.intermediate().client("the agent"), "agent", "  ");
    let (own, own_key) = clients.client("for one server").write(front.dir.path(), "own");
    let url = format!("https://127.0.0.1:{}/mcp", front.mcp);
    let default = front.identity(&clients.client("for mcp servers"), "mcp", "  ");
    let mcp = format!(
        "{default}  server_urls:\n  - {{url: {url:?}}}\n  - {{channel: own, url: {url:?}, client_cert: {own:?}, \
         client_key: {own_key:?}}}\n  - {{channel: named, url: {url:?}, server_name: localhost}}\n  \
         - {{channel: plain, url: {:?}}}\n",
        stub.url()
    );
    let agent = front.agent(&ca, &plane, &control, &mcp);
    plane.wait_for_poll(1, SOON).await;
    let expected = [
        ("main", Some("for mcp servers"), ""),
        ("own", Some("for one server"), ""),
        ("named", Some("for mcp servers"), "localhost"),
        ("plain", None, ""),
    ];
    for (channel, name, server_name) in expected {
        plane.enqueue(Command::call(channel, "1", "tools/list", "{}").channel(channel));
        assert_eq!(plane.wait_for_response(channel, SOON).await.resp_code, 200, "{channel}");
        let request = stub.requests().pop().unwrap();
        assert_eq!(request.header("x-client-name"), name, "{channel}");
        if name.is_some() {
            assert_eq!(request.header("x-server-name").unwrap_or_default(), server_name, "{channel}");
        }
    }
    agent.stop().await;
    plane.assert_clean();
}

#[tokio::test]
async fn the_certificate_for_the_control_plane_is_shown_to_nobody_else() {
    let (ca, clients, plane, stub) = parts().await;
    let front = Front::start(&ca, &clients, &plane, &stub).await;
    let control = front.identity(&clients.client("the agent"), "agent", "  ");
    let mcp = format!("  server_urls: [{{url: \"https://127.0.0.1:{}/mcp\"}}]\n", front.mcp);
    let agent = front.agent(&ca, &plane, &control, &mcp);
    plane.wait_for_poll(1, SOON).await;
    plane.enqueue(Command::call("r1", "1", "tools/list", "{}"));
    assert_eq!(plane.wait_for_response("r1", SOON).await.resp_code, 200);
    assert_eq!(stub.requests().pop().unwrap().header("x-client-name").unwrap_or_default(), "");
    agent.stop().await;
    plane.assert_clean();
}

#[tokio::test]
async fn haproxy_lets_nobody_in_without_the_right_certificate() {
    let (ca, clients, plane, stub) = parts().await;
    let front = Front::start(&ca, &clients, &plane, &stub).await;
    let stranger = front.identity(&Ca::new().client("stranger"), "stranger", "  ");
    let mcp = format!("  server_urls: [{{url: {:?}}}]\n", stub.url());
    for (control, why) in [
        ("", "the peer requires a client certificate"),
        (stranger.as_str(), "the peer refused the TLS connection"),
    ] {
        let agent = front.agent(&ca, &plane, control, &mcp);
        agent.logged(&["poll failed; backing off", why]).await;
        assert_eq!(plane.poll_count(), 0, "{}", front.program.output());
        agent.stop().await;
    }
    // Pins and certificate together.
    let own = front.identity(&clients.client("the agent"), "agent", "  ");
    let pinned = format!("{own}  pins: ['{}', '{}']\n", nobody(), pin(&ca.spki()));
    let agent = front.agent(&ca, &plane, &pinned, &mcp);
    plane.wait_for_poll(1, SOON).await;
    agent.stop().await;
}

/// How an agent ends that is given this identity for its control plane: code and log.
async fn started(identity: &Identity, more: &str) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    let (certificate, key) = identity.write(dir.path(), "agent");
    let control = format!("  client_cert: {certificate:?}\n  client_key: {key:?}\n{more}");
    let mut agent = agent_at("https://127.0.0.1:9", &Ca::new().pem(), &control, "").start();
    let until = Instant::now() + SOON;
    let status = loop {
        // What is said at the start is said before the worker starts.
        let status = agent.ended(Duration::ZERO).await;
        if status.is_some() || agent.count("worker started") > 0 || Instant::now() > until {
            break status;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    (status.and_then(|s| s.code()), agent.log().join("\n"))
}

#[tokio::test]
async fn an_own_certificate_that_has_expired_or_is_not_the_expected_one_ends_the_start_with_78() {
    let ca = Ca::new();
    let (code, log) = started(&ca.client_for("agent", -10), "").await;
    assert_eq!(code, Some(78), "{log}");
    assert!(log.contains("control_plane.client_cert: the certificate expired on "), "{log}");
    let own = ca.client("agent");
    let fingerprint = pin(own.der());
    let (code, log) = started(&own, &format!("  client_cert_fingerprint: '{}'\n", nobody())).await;
    assert_eq!(code, Some(78), "{log}");
    assert!(log.contains(&format!("not the one of client_cert_fingerprint; found {fingerprint}")), "{log}");
    let (code, log) = started(&own, &format!("  client_cert_fingerprint: '{fingerprint}'\n")).await;
    assert_eq!(code, None, "it runs: {log}");
}

#[tokio::test]
async fn the_end_of_an_own_certificate_is_warned_of_at_the_start() {
    const DAY: i64 = 86_400;
    let ca = Ca::new();
    for (seconds, words) in [(29 * DAY, "30 days"), (6 * DAY, "7 days"), (DAY / 2, "1 day")] {
        let (code, log) = started(&ca.client_for("agent", seconds), "").await;
        assert_eq!(code, None, "it runs: {log}");
        let line = log.lines().find(|l| l.contains("control_plane.client_cert: the certificate expires on "));
        assert!(
            line.is_some_and(|l| l.contains("WARN") && l.contains(&format!("in less than {words}"))),
            "{log}"
        );
    }
    let (_, log) = started(&ca.client_for("agent", 31 * DAY), "").await;
    assert!(!log.contains("expires"), "{log}");
}

#[tokio::test]
async fn keys_are_taken_in_every_form_that_openssl_writes() {
    let dir = tempfile::tempdir().unwrap();
    // PKCS#1, SEC1 with its parameters in front, PKCS#8, Ed25519, and one that needs a passphrase.
    let make = [
        ("pkcs1", "openssl genrsa -traditional -out pkcs1.key 2048"),
        ("sec1", "openssl ecparam -name prime256v1 -genkey -out sec1.key"),
        ("pkcs8", "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out pkcs8.key"),
        ("ed25519", "openssl genpkey -algorithm ed25519 -out ed25519.key"),
        ("locked", "openssl genrsa -aes128 -passout pass:x -out locked.key 2048"),
        ("oldlocked", "openssl genrsa -traditional -aes128 -passout pass:x -out oldlocked.key 2048"),
    ];
    for (name, line) in make {
        let sign = format!(
            "openssl req -x509 -new -key {name}.key -subj /CN=agent -days 90 -out {name}.pem -passin pass:x"
        );
        let mut make = Process::new("sh");
        make.arg("-c").arg(format!("{line} && {sign}")).current_dir(dir.path());
        assert!(make.output().unwrap().status.success(), "{line}");
        let at = |extension: &str| dir.path().join(format!("{name}.{extension}")).display().to_string();
        let output = Process::new(crate::place::agent())
            .args(["config", "check", "--control-plane.client-cert", &at("pem")])
            .args(["--control-plane.client-key", &at("key"), "--mcp.server-url", "https://h/"])
            .args(["--control-plane.tunnel-id", ID])
            .env_clear()
            .env("CONTROL_PLANE_API_KEY", "key")
            .output()
            .unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if name.ends_with("locked") {
            assert_eq!(output.status.code(), Some(78), "{name}: {err}");
            assert!(err.contains("the private key is encrypted"), "{name}: {err}");
        } else {
            assert_eq!((output.status.code(), out.as_ref(), err.as_ref()), (Some(0), "ok\n", ""), "{name}");
        }
    }
}
