//! Real proxies between the agent and the control plane: credentials, cut polls, and a proxy that dies.

use std::time::{Duration, Instant};

use crate::agent::{Agent, SOON};
use crate::calls::{text_of, tool};
use crate::forward_proxy::{ForwardProxy, Kind, Manner};
use crate::lab::{Ca, ControlPlane, Stub, StubOptions};
use crate::world::{Plan, World};

const BOTH: [Kind; 2] = [Kind::Squid, Kind::Tinyproxy];

/// The ordinary world whose polls go through a proxy with this URL.
async fn through(url: &str, plan: Plan) -> World {
    let plan = plan.control(&format!("http_proxy: {url:?}"));
    plan.start_without_waiting().await
}

async fn works(world: &World, id: &str) {
    assert_eq!(text_of(&world.call(tool(id, "echo", r#"{"text":"here"}"#)).await), "here");
}

fn no_secret(agent: &Agent) {
    let log = agent.log().join("\n");
    for secret in ["pass:word", "pass%", "pass.word", "dXNlcjpwYXNz"] {
        assert!(!log.contains(secret), "{secret} in the log:\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn basic_credentials_open_the_way_and_without_them_407_is_said_and_no_more() {
    for kind in BOTH {
        // Tinyproxy takes no colon in a password.
        let (password, written) = match kind {
            Kind::Squid => ("pass:word", "user:pass%3Aword"),
            Kind::Tinyproxy => ("pass.word", "user:pass%2Eword"),
        };
        let manner = Manner { user: Some(("user", password)), ..Manner::default() };
        let proxy = ForwardProxy::start(kind, manner).await;
        let world = through(&proxy.url_with(written), Plan::new()).await;
        world.plane.wait_for_poll(1, SOON).await;
        works(&world, "r1").await;
        let route = world.agent.logged(&["control-plane route resolved"]).await;
        assert!(route.contains(&format!("proxy={}", proxy.url())), "{route}");
        assert!(route.contains("proxy_source=control-plane.http-proxy"), "{route}");
        world.agent.logged(&["proxy is reachable", &proxy.url()]).await;
        no_secret(&world.agent);
        let addr = format!("CONNECT 127.0.0.1:{}", world.plane.port());
        world.end().await;
        assert!(proxy.log().contains(&addr), "{}", proxy.log());

        // Tinyproxy answers wrong credentials with 401.
        let other = if kind == Kind::Tinyproxy { 401 } else { 407 };
        for (wrong, status) in [(proxy.url(), 407), (proxy.url_with("user:pass"), other)] {
            let world = through(&wrong, Plan::new()).await;
            let line = world.agent.logged(&["poll failed; backing off"]).await;
            assert!(line.contains(&format!("the proxy wants credentials ({status})")), "{line}");
            assert_eq!(world.plane.poll_count(), 0);
            let log = world.agent.log().join("\n");
            assert!(!log.contains("ERR_") && !log.contains("<html"), "no word of the proxy's page: {log}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_https_proxy_is_spoken_to_under_tls_and_must_be_trusted() {
    let ca = Ca::new();
    let identity = ca.server();
    let pem: &'static str = Box::leak((identity.cert_pem + &identity.key_pem).into_boxed_str());
    let manner = Manner { user: Some(("user", "password")), tls: Some(pem), ..Manner::default() };
    let proxy = ForwardProxy::start(Kind::Squid, manner).await;
    for trusted in [true, false] {
        let plane = ControlPlane::start(crate::cases::options()).await;
        let stub = Stub::start(StubOptions::default()).await;
        let plan = Plan::new().control(&format!("http_proxy: {:?}", proxy.url_with("user:password")));
        let setup = plan.setup(&plane, &stub);
        if trusted {
            setup.file("ca.pem", &(plane.ca_pem() + &ca.pem()));
        }
        let world = World { plane, stub, agent: setup.start() };
        if trusted {
            world.plane.wait_for_poll(1, SOON).await;
            works(&world, "r1").await;
            world.agent.logged(&["proxy is reachable", "proxy=https://127.0.0.1"]).await;
            world.end().await;
        } else {
            let why = "the proxy cannot be used: the certificate has an unknown issuer";
            world.agent.logged(&["poll failed", why]).await;
            world.agent.logged(&["proxy is not reachable", why]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_is_not_there_and_one_that_reaches_nobody_are_told_apart() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let world = through(&format!("http://{gone}"), Plan::new()).await;
    world.agent.logged(&["poll failed", "the proxy cannot be used: connection refused"]).await;
    world.agent.logged(&["proxy is not reachable", "level=WARN"]).await;
    for kind in BOTH {
        let proxy = ForwardProxy::start(kind, Manner::default()).await;
        let world = through(&proxy.url(), Plan::new()).await;
        world.plane.wait_for_poll(1, SOON).await;
        world.plane.go_down();
        world.agent.logged(&["poll failed", "the proxy could not reach the target"]).await;
        assert_eq!(world.agent.count("proxy is not reachable"), 0, "the proxy itself is well");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_cut_after_ten_idle_seconds_alarm_nobody_and_become_shorter() {
    let cut = |kind, http2: bool| async move {
        let proxy = ForwardProxy::start(kind, Manner { idle: Some(10), ..Manner::default() }).await;
        let world = through(&proxy.url(), Plan::new().plane(|o| o.http2 = http2)).await;
        let patience = Duration::from_secs(60);
        let until = Instant::now() + patience;
        while world.agent.count("polls are cut off regularly") == 0 {
            assert!(Instant::now() < until, "{kind:?}: {}", world.agent.log().join("\n"));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // One short poll that lasts as long as it asked for, and the next.
        let polls = world.plane.poll_count();
        world.plane.wait_for_poll(polls.saturating_add(2), patience).await;
        works(&world, "after").await;
        let polls = world.plane.polls();
        let asked: Vec<u64> = polls.iter().filter_map(|p| p.timeout_ms).collect();
        assert_eq!(asked[1..4], [30_000; 3], "{asked:?}");
        assert!(asked[4..].iter().all(|ms| (7_000..9_500).contains(ms)), "{kind:?}: {asked:?}");
        assert_eq!(polls[4].answered.map(|(status, _)| status), Some(204), "a short poll lasts");
        for pair in polls[1..5].windows(2) {
            let gap = pair[1].seen.arrived.duration_since(pair[0].seen.arrived);
            assert!(gap < Duration::from_millis(12_500), "{kind:?}: {gap:?} from poll to poll");
        }
        assert_eq!(world.agent.count("poll was cut off on the way; polling again at once"), 1);
        assert_eq!(world.agent.count("polls are cut off regularly"), 1);
        assert_eq!(world.agent.count("level=WARN"), 0, "{}", world.agent.log().join("\n"));
        assert_eq!(world.agent.count("level=ERROR"), 0);
        world.end().await;
    };
    tokio::join!(
        cut(Kind::Squid, true),
        cut(Kind::Squid, false),
        cut(Kind::Tinyproxy, true),
        cut(Kind::Tinyproxy, false)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_killed_in_mid_poll_and_started_again_is_found_again_within_15_seconds() {
    for kind in BOTH {
        let mut proxy = ForwardProxy::start(kind, Manner::default()).await;
        let plan =
            Plan::new().top("proxy: {check_interval: 500ms}").mcp(&format!("http_proxy: {:?}", proxy.url()));
        let world = through(&proxy.url(), plan).await;
        world.plane.wait_for_poll(2, SOON).await;
        works(&world, "before").await;
        let polls = world.plane.poll_count();
        proxy.kill();
        world.agent.logged(&["proxy is not reachable"]).await;
        let failed = world.agent.logged(&["poll failed; backing off", "the proxy cannot be used"]).await;
        assert!(failed.contains("connection refused"), "{failed}");
        // Long enough for the pauses to have grown.
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert_eq!(world.plane.poll_count(), polls);
        proxy.come_back().await;
        let healed = Instant::now();
        world.plane.wait_for_poll(polls.saturating_add(1), Duration::from_secs(15)).await;
        works(&world, "after").await;
        assert!(healed.elapsed() < Duration::from_secs(15), "{:?}", healed.elapsed());
        world.agent.logged(&["poller recovered"]).await;
        let reachable = || world.agent.count("proxy is reachable");
        crate::agent::eventually(|| (reachable() == 2).then_some(())).await.expect("said on change only");
        assert_eq!(world.agent.count("proxy is not reachable"), 1);
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_dies_under_a_call_fails_it_once_and_nothing_is_repeated() {
    for kind in BOTH {
        let mut proxy = ForwardProxy::start(kind, Manner::default()).await;
        let plane = ControlPlane::start(crate::cases::options()).await;
        let stub = Stub::start(StubOptions { tls: true, ..StubOptions::default() }).await;
        let plan = Plan::new().mcp(&format!("http_proxy: {:?}", proxy.url()));
        let setup = plan.setup(&plane, &stub);
        setup.file("ca.pem", &(plane.ca_pem() + &stub.ca.pem()));
        let world = World { plane, stub, agent: setup.start() };
        world.plane.enqueue(tool("held", "silent", "{}"));
        world.stub.wait_for_requests(1, SOON).await;
        proxy.kill();
        let answer = world.plane.wait_for_response("held", SOON).await;
        assert_eq!(answer.resp_code, 502);
        let text = String::from_utf8_lossy(&answer.raw).into_owned();
        assert!(text.contains("transport_closed"), "{text}");
        let refused = world.call(tool("refused", "echo", "{}")).await;
        let text = String::from_utf8_lossy(&refused.raw).into_owned();
        assert!(text.contains("connection_refused"), "{text}");
        proxy.come_back().await;
        works(&world, "after").await;
        assert_eq!(world.stub.request_count(), 2, "one for `held`, one for `after`");
        world.end().await;
    }
}
