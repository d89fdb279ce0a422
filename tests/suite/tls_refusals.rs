//! Peers that are not the right ones: each is refused with its own words, and hears nothing.

use std::time::{Duration, Instant};

use rustls::crypto::aws_lc_rs::kx_group::X25519;
use rustls::version::TLS12;

use crate::agent::{SOON, eventually};
use crate::cases::A_WHILE;
use crate::lab::pki::Identity;
use crate::lab::{Ca, Command, ControlPlane, Fault, On, Options, Stub, StubOptions};
use crate::tls_peers::{KEY, Program, Recorder, agent_at, free_port, listening, nobody, pin};
use crate::world::Plan;

const FAILED: &str = "poll failed; backing off";

/// An agent that believes `ca` meets a control plane that presents `identity`; the poll fails with these words, and
/// nothing was said. Returns the log.
async fn refused(identity: &Identity, ca: &Ca, control: &str, words: &[&str]) -> Vec<String> {
    let peer = Recorder::start(identity.server_config(false, None)).await;
    let agent = agent_at(&peer.url(), &ca.pem(), control, "").start();
    agent.logged(&[&[FAILED], words].concat()).await;
    // The other request of every start fails too.
    agent.logged(&[&["tunnel metadata fetch failed"], words].concat()).await;
    tokio::time::sleep(A_WHILE).await;
    peer.assert_heard_nothing();
    let log = agent.stop().await;
    assert!(!log.join("\n").contains(KEY));
    log
}

#[tokio::test]
async fn the_recorder_hears_the_key_of_an_agent_that_believes_it() {
    let ca = Ca::new();
    let peer = Recorder::start(ca.server().server_config(false, None)).await;
    let agent = agent_at(&peer.url(), &ca.pem(), "", "").start();
    let heard = eventually(|| peer.plain().contains(KEY).then_some(())).await;
    assert!(heard.is_some(), "what the others are asserted not to hear can be heard");
    agent.stop().await;
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let ca = Ca::new();
    let words = ["the certificate has expired: it ended on Mon, 01 Jan 2001 00:00:00 GMT"];
    refused(&ca.server_expired(), &ca, "", &words).await;
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_yet_is_refused_and_tried_again() {
    let ca = Ca::new();
    let early = ca.server_between(2090, 2091);
    let peer = Recorder::start(early.server_config(false, None)).await;
    let (port, url) = (peer.addr.port(), peer.url());
    let agent = agent_at(&url, &ca.pem(), "", "").start();
    agent
        .logged(&[FAILED, "the certificate is not valid yet: it begins on Sun, 01 Jan 2090", "behind"])
        .await;
    peer.assert_heard_nothing();
    drop(peer);
    // The clock is set, as far as this can be played: the certificate is valid now.
    let peer = Recorder::start_at(ca.server().server_config(false, None), port).await;
    let heard = eventually(|| peer.plain().contains(KEY).then_some(())).await;
    assert!(heard.is_some(), "it is tried again");
    agent.logged(&["poller recovered"]).await;
    agent.stop().await;
}

#[tokio::test]
async fn what_the_peer_said_of_the_time_is_told_when_its_certificate_is_out_of_time() {
    let ca = Ca::new();
    let options = Options { tls: true, api_key: KEY.into(), ..Options::default() };
    let plane = ControlPlane::start(options).await;
    let port: u16 = plane.url().rsplit(':').next().unwrap().parse().unwrap();
    let both = format!("{}{}", plane.ca_pem(), ca.pem());
    let agent = agent_at(&plane.url(), &both, "", "").start();
    plane.wait_for_poll(1, SOON).await;
    agent.logged(&["tunnel metadata fetched"]).await;
    drop(plane);
    let peer = Recorder::start_at(ca.server_between(2090, 2091).server_config(false, None), port).await;
    // The lab's answers carry the date of this machine.
    agent.logged(&[FAILED, "not valid yet", "clock agreed with ours when it last answered"]).await;
    peer.assert_heard_nothing();
    agent.stop().await;
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    let ca = Ca::new();
    let other = ca.server_for(&["control.example", "192.0.2.1"]);
    refused(&other, &ca, "", &["the certificate is not valid for the name"]).await;
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused() {
    let words = ["the certificate has an unknown issuer"];
    refused(&Ca::new().server(), &Ca::new(), "", &words).await;
}

#[tokio::test]
async fn a_certificate_that_only_signed_itself_is_refused() {
    let words = ["the certificate was signed by nobody but itself"];
    refused(&Identity::self_signed(), &Ca::new(), "", &words).await;
}

#[tokio::test]
async fn a_control_plane_over_plain_http_is_refused_before_anything_starts() {
    // An address for documentation: nobody is there, and nobody is asked.
    let mut agent = agent_at("http://192.0.2.1:9", &Ca::new().pem(), "", "").start();
    assert_eq!(agent.ended(SOON).await.and_then(|s| s.code()), Some(78));
    let log = agent.log().join("\n");
    assert!(
        log.contains("control_plane.base_url") && log.contains("plain http would send the API key"),
        "{log}"
    );
    assert!(!log.contains(KEY));
}

#[tokio::test]
async fn a_key_that_is_not_pinned_is_refused_and_named() {
    let ca = Ca::new();
    let below = ca.intermediate();
    let server = below.server();
    let control = format!("  pins: ['{}', '{}']\n", nobody(), pin(Ca::new().server().spki()));
    let words = ["the control plane's key is not one of the pinned ones"];
    let began = Instant::now();
    let log = refused(&server, &ca, &control, &words).await;
    let seen = [pin(server.spki()), pin(&below.spki()), pin(&ca.spki())].join(" ");
    let own =
        log.iter().find(|l| l.contains("msg=\"the peer's key is not one of the pinned ones\"")).unwrap();
    for part in ["component=tls", "level=ERROR", "peer=\"control plane\"", &format!("pins_seen=\"{seen}\"")] {
        assert!(own.contains(part), "{part} in {own}");
    }
    // Full jitter from 200 ms on, doubled each time: no tight loop.
    let polls = log.iter().filter(|l| l.contains(FAILED)).count();
    let most = 3 + 8 * usize::try_from(began.elapsed().as_secs() + 1).unwrap();
    assert!(polls <= most, "{polls} polls in {:?}", began.elapsed());
}

#[tokio::test]
async fn a_pin_fits_the_key_of_leaf_intermediate_or_root() {
    let ca = Ca::new();
    let below = ca.intermediate();
    let server = below.server();
    for fits in [pin(server.spki()), pin(&below.spki()), pin(&ca.spki())] {
        let peer = Recorder::start(server.server_config(false, None)).await;
        let control = format!("  pins: ['{}', '{fits}']\n", nobody());
        let agent = agent_at(&peer.url(), &ca.pem(), &control, "").start();
        let heard = eventually(|| peer.plain().contains(KEY).then_some(())).await;
        assert!(heard.is_some(), "{fits}");
        agent.stop().await;
    }
}

#[tokio::test]
async fn the_right_pin_on_an_untrusted_chain_is_refused() {
    let foreign = Ca::new();
    let server = foreign.server();
    let control = format!("  pins: ['{}', '{}']\n", pin(server.spki()), pin(&foreign.spki()));
    refused(&server, &Ca::new(), &control, &["the certificate has an unknown issuer"]).await;
}

#[tokio::test]
async fn a_pinned_certificate_that_was_appended_to_another_chain_is_refused() {
    let (expected, other) = (Ca::new(), Ca::new());
    let pinned = expected.server();
    let mut impostor = other.server();
    impostor.append(pinned.der());
    impostor.append(&expected.der());
    let peer = Recorder::start(impostor.server_config(false, None)).await;
    let control = format!("  pins: ['{}', '{}']\n", pin(pinned.spki()), pin(&expected.spki()));
    // Both authorities are believed; only the pins tell the two apart.
    let both = format!("{}{}", expected.pem(), other.pem());
    let agent = agent_at(&peer.url(), &both, &control, "").start();
    agent.logged(&[FAILED, "the control plane's key is not one of the pinned ones"]).await;
    peer.assert_heard_nothing();
    agent.stop().await;
}

#[tokio::test]
async fn a_control_plane_that_wants_a_certificate_says_so_and_hears_nothing() {
    let ca = Ca::new();
    let words = ["the peer requires a client certificate"];
    let peer = Recorder::start(ca.server().server_config(false, Some(&ca))).await;
    let agent = agent_at(&peer.url(), &ca.pem(), "", "").start();
    agent.logged(&[&[FAILED], &words[..]].concat()).await;
    peer.assert_heard_nothing();
    agent.stop().await;
}

#[tokio::test]
async fn the_key_of_another_certificate_is_refused_before_anything_starts() {
    let ca = Ca::new();
    let peer = Recorder::start(ca.server().server_config(false, Some(&ca))).await;
    let dir = tempfile::tempdir().unwrap();
    let (certificate, _) = ca.client("agent").write(dir.path(), "agent");
    let (_, key) = ca.client("other").write(dir.path(), "other");
    let control = format!("  client_cert: {certificate:?}\n  client_key: {key:?}\n");
    let mut agent = agent_at(&peer.url(), &ca.pem(), &control, "").start();
    let status = agent.ended(SOON).await;
    assert_eq!(status.and_then(|s| s.code()), Some(78));
    let log = agent.log().join("\n");
    assert!(
        log.contains("control_plane.client_cert: the private key does not belong to the first certificate")
    );
    assert_eq!(peer.connections(), 0);
}

#[tokio::test]
async fn tls_1_2_is_refused_unless_the_configuration_allows_it() {
    let ca = Ca::new();
    let old = || ca.server().narrow_config(&[&TLS12], &[X25519]);
    let peer = Recorder::start(old()).await;
    let agent = agent_at(&peer.url(), &ca.pem(), "", "").start();
    agent.logged(&[FAILED, "the peer supports no version of TLS that is allowed here"]).await;
    peer.assert_heard_nothing();
    agent.stop().await;
    let peer = Recorder::start(old()).await;
    let agent = agent_at(&peer.url(), &ca.pem(), "", "tls: {min_version: \"1.2\"}\n").start();
    assert!(eventually(|| peer.plain().contains(KEY).then_some(())).await.is_some());
    agent.stop().await;
}

/// `openssl s_server` with a certificate for 127.0.0.1 and these arguments.
async fn openssl(ca: &Ca, dir: &std::path::Path, arguments: &[&str]) -> (Program, u16) {
    let (certificate, key) = ca.server().write(dir, "server");
    let port = free_port();
    let (accept, certificate, key) =
        (format!("127.0.0.1:{port}"), certificate.display().to_string(), key.display().to_string());
    let fixed = ["s_server", "-accept", &accept, "-cert", &certificate, "-key", &key, "-msg"];
    let program = Program::start("openssl", &[&fixed, arguments].concat(), dir);
    listening(port).await;
    (program, port)
}

#[tokio::test]
async fn tls_1_1_is_refused_whatever_the_configuration_allows() {
    let ca = Ca::new();
    for top in ["", "tls: {min_version: \"1.2\"}\n"] {
        let dir = tempfile::tempdir().unwrap();
        let arguments = ["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"];
        let (peer, port) = openssl(&ca, dir.path(), &arguments).await;
        let agent = agent_at(&format!("https://127.0.0.1:{port}"), &ca.pem(), "", top).start();
        agent.logged(&[FAILED, "the peer supports no version of TLS that is allowed here"]).await;
        let output = peer.output();
        assert!(output.contains("ClientHello"), "{output}");
        assert!(!output.contains("Finished") && !output.contains(KEY), "{output}");
        agent.stop().await;
    }
}

#[tokio::test]
async fn openssl_is_heard_when_it_is_the_right_peer_and_not_when_it_is_the_wrong_one() {
    let ca = Ca::new();
    let dir = tempfile::tempdir().unwrap();
    let (peer, port) = openssl(&ca, dir.path(), &["-tls1_3"]).await;
    let url = format!("https://127.0.0.1:{port}");
    let control = format!("  pins: ['{}', '{}']\n", nobody(), pin(Ca::new().server().spki()));
    let agent = agent_at(&url, &ca.pem(), &control, "").start();
    agent.logged(&[FAILED, "not one of the pinned ones"]).await;
    agent.stop().await;
    assert!(!peer.output().contains(KEY), "{}", peer.output());
    // The same peer without pins: what it gets is printed, and the key is there.
    let agent = agent_at(&url, &ca.pem(), "", "").start();
    let heard = eventually(|| peer.output().contains(KEY).then_some(())).await;
    assert!(heard.is_some(), "{}", peer.output());
    agent.stop().await;
}

#[tokio::test]
async fn a_redirect_to_a_peer_that_would_be_believed_is_not_followed() {
    let ca = Ca::new();
    let elsewhere = Recorder::start(ca.server().server_config(false, None)).await;
    let plan = Plan::new();
    let plane = ControlPlane::start(Options { tls: true, ..Options::default() }).await;
    let stub = Stub::start(StubOptions::default()).await;
    plane.fault(Fault { redirect: Some(elsewhere.url()), status: Some(307), ..Fault::on(On::Poll) });
    let setup = plan.setup(&plane, &stub);
    setup.file("ca.pem", &format!("{}{}", plane.ca_pem(), ca.pem()));
    let agent = setup.start();
    agent.logged(&["poll failed", "307", "redirects are not followed"]).await;
    plane.wait_for_poll(2, SOON).await;
    assert_eq!(elsewhere.connections(), 0);
    agent.stop().await;
}

#[tokio::test]
async fn wrong_mcp_servers_get_neither_header_nor_call() {
    let ca = Ca::new();
    let mut appended = Ca::new().server();
    appended.append(ca.server().der());
    let pins = format!(", pins: ['{}', '{}']", nobody(), pin(Ca::new().server().spki()));
    let wrong = [
        ("expired", ca.server_expired(), ""),
        ("early", ca.server_between(2090, 2091), ""),
        ("host", ca.server_for(&["mcp.example"]), ""),
        ("unknown", Ca::new().server(), ""),
        ("selfsigned", Identity::self_signed(), ""),
        ("appended", appended, ""),
        ("pinned", ca.server(), pins.as_str()),
        ("name", ca.server(), ", server_name: mcp.example"),
    ];
    let mut peers = Vec::new();
    let mut entries = String::new();
    for (channel, identity, more) in &wrong {
        let peer = Recorder::start(identity.server_config(false, None)).await;
        entries += &format!("  - {{channel: {channel}, url: \"{}/mcp\"{more}}}\n", peer.url());
        peers.push(peer);
    }
    let wants = Recorder::start(ca.server().server_config(false, Some(&ca))).await;
    entries += &format!("  - {{channel: wants, url: \"{}/mcp\"}}\n", wants.url());
    let plane = ControlPlane::start(Options { tls: true, ..Options::default() }).await;
    let stub = Stub::start(StubOptions::default()).await;
    let bindings = format!("  server_urls:\n  - {{url: {:?}}}\n{entries}", stub.url());
    let plan = Plan::new().bindings(bindings).mcp("extra_headers: {X-Api-Key: header-sesame}");
    let setup = plan.setup(&plane, &stub);
    setup.file("ca.pem", &format!("{}{}", plane.ca_pem(), ca.pem()));
    let agent = setup.start();
    plane.wait_for_poll(1, SOON).await;
    for (channel, peer) in wrong.iter().map(|(c, ..)| *c).zip(&peers).chain([("wants", &wants)]) {
        let call = Command::call(channel, "1", "tools/list", "{}");
        plane.enqueue(call.channel(channel).header("Authorization", "Bearer caller-sesame"));
        let answer = plane.wait_for_response(channel, SOON).await;
        assert_eq!(answer.resp_code, 502, "{channel}");
        let (source, kind) = answer.failure_kind();
        assert_eq!((source.as_str(), kind.as_str()), ("tls", "tls"), "{channel}");
        peer.assert_heard_nothing();
    }
    let said = "msg=\"the peer's key is not one of the pinned ones\"";
    agent.logged(&[said, "peer=\"channel pinned\"", &pin(wrong[6].1.spki())]).await;
    // The right one is served all the same.
    plane.enqueue(Command::call("main", "1", "tools/list", "{}"));
    assert_eq!(plane.wait_for_response("main", Duration::from_secs(20)).await.resp_code, 200);
    agent.stop().await;
    plane.assert_clean();
}
