//! Control-plane URL and headers, as the control plane sees them.

use crate::agent::SOON;
use crate::cases::{A_WHILE, answer, echo, options, refused, until, world};
use crate::lab::raw::http_answer;
use crate::lab::{Fault, On, Options, Part, RawServer};
use crate::world::{Plan, World};

/// Waits for metadata, poll and one response, and returns the headers of each.
async fn all_three(world: &World) -> Vec<http::HeaderMap> {
    world.plane.enqueue(echo("all-three"));
    let response = answer(world, "all-three").await;
    until("the metadata is fetched", || !world.plane.metadata_requests().is_empty()).await;
    let metadata = world.plane.metadata_requests().remove(0);
    let poll = world.plane.polls().remove(0);
    vec![metadata.headers, poll.seen.headers, response.seen.headers]
}

/// The target of the first poll when the agent is given this base URL.
async fn first_target(base_url: impl FnOnce(String) -> String) -> String {
    let world = world(Plan::new(), options(), |setup, plane| {
        setup.args(&["--control-plane.base-url", &base_url(plane.url())])
    })
    .await;
    world.plane.assert_clean();
    world.plane.polls()[0].seen.target.clone()
}

#[tokio::test]
async fn case_001_the_path_of_the_base_url_is_not_used() {
    let target = first_target(|url| format!("{url}/v1/tunnel")).await;
    assert!(
        target.starts_with(&format!("GET /v1/tunnels/{}/poll?", Options::default().tunnel_id)),
        "{target}"
    );
}

#[tokio::test]
async fn case_002_a_slash_after_the_base_url_gives_no_second_one() {
    let target = first_target(|url| format!("{url}/")).await;
    assert!(target.starts_with("GET /v1/tunnels/tunnel_"), "{target}");
}

#[tokio::test]
async fn case_003_every_request_is_below_the_prefix() {
    let options = Options { prefix: "/gw".into(), ..options() };
    let world = world(Plan::new().control("url_path: /gw/"), options, |setup, _| setup).await;
    all_three(&world).await;
    let id = &world.plane.tunnel_id;
    let target = |rest: &str| format!("/gw/v1/tunnels/{id}{rest}");
    assert_eq!(world.plane.metadata_requests()[0].target, format!("GET {}", target("")));
    assert!(world.plane.polls()[0].seen.target.starts_with(&format!("GET {}?", target("/poll"))));
    assert_eq!(world.plane.responses()[0].seen.target, format!("POST {}", target("/response")));
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_006_a_lone_slash_is_no_prefix() {
    let world = Plan::new().control("url_path: \" / \"").start().await;
    assert!(world.plane.polls()[0].seen.target.starts_with("GET /v1/tunnels/"));
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_007_a_prefix_may_come_from_a_variable_or_a_file() {
    let gateway = || Options { prefix: "/gw".into(), ..options() };
    let by_variable = Plan::new().control("url_path: \"env:TW_PREFIX\"");
    let by_variable = world(by_variable, gateway(), |setup, _| setup.env("TW_PREFIX", "/gw/")).await;
    by_variable.plane.assert_clean();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("prefix");
    std::fs::write(&file, "/gw\n").unwrap();
    let by_file = Plan::new().control(&format!("url_path: \"file:{}\"", file.display()));
    let by_file = world(by_file, gateway(), |setup, _| setup).await;
    by_file.plane.assert_clean();
    assert!(by_file.plane.polls()[0].seen.target.starts_with("GET /gw/v1/tunnels/"));
    // What a reference brings is judged like what stands in the file.
    let by_variable = Plan::new().control("url_path: \"env:TW_PREFIX\"");
    let agent = refused(by_variable, 78, |setup| setup.env("TW_PREFIX", "https://x/y")).await;
    agent.logged(&["invalid control-plane.url-path"]).await;
}

#[tokio::test]
async fn case_013_every_request_says_who_asks() {
    let world = World::new().await;
    for headers in all_three(&world).await {
        let version = env!("CARGO_PKG_VERSION");
        let text = |name: &str| headers.get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap();
        assert_eq!(text("authorization"), format!("Bearer {}", world.plane.api_key));
        assert_eq!(text("accept"), "application/json");
        assert_eq!(text("accept-encoding"), "gzip");
        assert_eq!(text("user-agent"), format!("tunnelward/{version}"));
        assert_eq!(text("x-tunnel-client-name"), "tunnelward");
        assert_eq!(text("x-tunnel-client-version"), version);
        assert_eq!(text("x-tunnel-client-instance-id").len(), 32);
        assert_eq!(text("x-tunnel-mcp-server-info"), r#"{"version":1,"channels":[{"name":"main"}]}"#);
    }
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_014_an_instance_id_is_one_processs_own() {
    let mut ids = Vec::new();
    for _ in 0..2 {
        let world = Plan::new().control("poll_timeout: 20ms").start().await;
        world.plane.wait_for_poll(3, SOON).await;
        let mut all: Vec<String> = world
            .plane
            .polls()
            .iter()
            .map(|p| p.seen.header("x-tunnel-client-instance-id").unwrap().to_owned())
            .collect();
        all.dedup();
        assert_eq!(all.len(), 1, "one process, one id");
        world.plane.assert_clean();
        ids.append(&mut all);
    }
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn case_015_the_organization_is_on_every_request() {
    // The extra header of the same name gives way.
    let plan = Plan::new()
        .control("organization_id: org-lab")
        .control("extra_headers: {openai-organization: org-other, X-Trace: \"1\"}");
    let world = plan.start().await;
    for headers in all_three(&world).await {
        let all: Vec<_> = headers.get_all("openai-organization").iter().collect();
        assert_eq!(all, ["org-lab"]);
        assert_eq!(headers["x-trace"], "1");
    }
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_017_an_extra_header_for_authentication_is_refused() {
    let plan = Plan::new().control("extra_headers: {AuthoriZation: sesame}");
    let agent = refused(plan, 78, |setup| setup).await;
    agent.logged(&["AuthoriZation", "cannot override control-plane authentication"]).await;
    assert_eq!(agent.count("sesame"), 0);
}

#[tokio::test]
async fn case_018_an_extra_header_never_replaces_the_instance_id() {
    for name in ["X-Tunnel-Client-Instance-Id", "X-Tunnel-Client-Wire-Protocol-Version"] {
        let world = Plan::new().control(&format!("extra_headers: {{{name}: forged}}")).start().await;
        for headers in all_three(&world).await {
            let sent: Vec<_> = headers.get_all(name).iter().collect();
            assert_eq!(sent.len(), 1, "{name}");
            assert_ne!(sent[0], "forged");
        }
        let warning = "control-plane extra header cannot override protected header";
        world.agent.logged(&[warning, name]).await;
        assert_eq!(world.agent.count("forged"), 0);
        world.end().await;
    }
}

#[tokio::test]
async fn case_019_spellings_of_a_header_collapse_or_conflict() {
    let world = Plan::new().control("extra_headers: {X-A: \"1\", x-a: \"1\"}").start().await;
    for headers in all_three(&world).await {
        assert_eq!(headers.get_all("x-a").iter().collect::<Vec<_>>(), ["1"]);
    }
    let plan = Plan::new().control("extra_headers: {X-A: \"1\", x-a: \"2\"}");
    let agent = refused(plan, 78, |setup| setup).await;
    agent.logged(&["conflicting values for case-insensitive HTTP header"]).await;
}

#[tokio::test]
async fn case_021_an_unset_variable_is_named() {
    let plan = Plan::new().control("extra_headers: {X-A: \"env:TW_NOT_SET\"}");
    let agent = refused(plan, 78, |setup| setup).await;
    agent.logged(&["control_plane.extra_headers", "TW_NOT_SET", "is not set"]).await;
}

#[tokio::test]
async fn case_022_an_illegal_header_name_is_refused() {
    let agent = refused(Plan::new().control("extra_headers: {\"X A\": \"1\"}"), 78, |setup| setup).await;
    agent.logged(&["extra_headers"]).await;
}

#[tokio::test]
async fn case_023_no_redirect_is_followed_and_the_key_stays_here() {
    let elsewhere =
        RawServer::start(|_| vec![Part::Data(http_answer("204 No Content", "", "").into())]).await;
    let redirect =
        |on, status| Fault { redirect: Some(elsewhere.url()), status: Some(status), ..Fault::on(on) };
    let world = world(Plan::new(), options(), |setup, plane| {
        plane.fault(redirect(On::Poll, 302));
        plane.fault(redirect(On::Poll, 307));
        plane.fault(redirect(On::Metadata, 301));
        plane.fault(redirect(On::Response, 308));
        setup
    })
    .await;
    world.agent.logged(&["poll failed", "302", "redirects are not followed"]).await;
    world.agent.logged(&["poll failed", "307", "redirects are not followed"]).await;
    world.agent.logged(&["tunnel metadata fetch failed", "301"]).await;
    world.plane.enqueue(echo("redirected"));
    world.agent.logged(&["response post failed", "308"]).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(elsewhere.requests().len(), 0, "the other origin must see nothing");
    assert_eq!(world.plane.responses_for("redirected").len(), 1);
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_025_a_key_is_not_sent_in_clear_to_another_machine() {
    let agent =
        refused(Plan::new(), 78, |s| s.args(&["--control-plane.base-url", "http://192.0.2.1:9/"])).await;
    agent.logged(&["control-plane.base-url", "https is required"]).await;
}
