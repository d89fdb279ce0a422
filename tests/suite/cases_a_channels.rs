//! What the agent declares about its channels, and the revision of the protocol.

use crate::cases::{answer, echo, refused, until};
use crate::world::{Plan, World};

/// The declaration on the first poll.
fn declared(world: &World) -> String {
    world.plane.polls()[0].seen.header("x-tunnel-mcp-server-info").unwrap().to_owned()
}

#[tokio::test]
async fn case_027_one_http_server_is_declared_by_its_name_alone() {
    let world = World::new().await;
    assert_eq!(declared(&world), r#"{"version":1,"channels":[{"name":"main"}]}"#);
    world.plane.assert_clean();
}

#[tokio::test]
async fn a_stdio_server_is_declared_as_bound_to_the_process_and_after_the_http_servers() {
    let bindings = "  commands: [{channel: local, command: /bin/cat}]\n  \
         server_urls: [{channel: main, url: \"http://127.0.0.1:9/\"}]\n";
    let world = Plan::new().bindings(bindings).start().await;
    let expected = r#"{"version":1,"channels":[{"name":"main"},{"name":"local","proc_affinity":true}]}"#;
    assert_eq!(declared(&world), expected);
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_030_channels_that_are_not_polled_for_are_not_declared() {
    let bindings = "  server_urls: [{channel: main, url: \"http://127.0.0.1:9/\"}, \
         {channel: files, url: \"http://127.0.0.1:9/\"}, {channel: apps, url: \"http://127.0.0.1:9/\"}]\n";
    let plan = Plan::new().bindings(bindings).control("poll_channels: [main, files]");
    let world = plan.start().await;
    assert_eq!(declared(&world), r#"{"version":1,"channels":[{"name":"main"},{"name":"files"}]}"#);
    let poll = world.plane.polls().remove(0);
    assert_eq!(poll.channels, ["files", "main"], "the filter is sorted");
    assert!(poll.query.starts_with("channel=files&channel=main&limit="), "{}", poll.query);
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_031_more_channels_than_can_be_declared_are_refused_at_the_start() {
    // 32 can be declared, of which one is kept for the built-in channel.
    let entry = |n: usize| match n {
        0 => "{channel: main, url: \"http://127.0.0.1:9/\"}".to_owned(),
        n => format!("{{channel: c{n}, url: \"http://127.0.0.1:9/\"}}"),
    };
    let bindings = |n| {
        let all: Vec<String> = (0..n).map(entry).collect();
        format!("  server_urls: [{}]\n", all.join(", "))
    };
    let world = Plan::new().bindings(bindings(31)).start().await;
    world.plane.assert_clean();
    let agent = refused(Plan::new().bindings(bindings(32)), 78, |setup| setup).await;
    agent.logged(&["at most 31 channels", "found 32"]).await;
}

#[tokio::test]
async fn case_313_every_request_names_the_revision_of_the_protocol() {
    let world = World::new().await;
    world.plane.enqueue(echo("r1"));
    let response = answer(&world, "r1").await;
    until("the metadata is fetched", || !world.plane.metadata_requests().is_empty()).await;
    for seen in [&world.plane.metadata_requests()[0], &world.plane.polls()[0].seen, &response.seen] {
        let all: Vec<_> = seen.headers.get_all("x-tunnel-client-wire-protocol-version").iter().collect();
        assert_eq!(all, ["2026-08-25"], "{}", seen.target);
    }
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_314_a_stateless_channel_makes_the_declaration_version_2() {
    let bindings = "  server_urls: [{channel: main, url: \"http://127.0.0.1:9/\", stateless: true}, \
         {channel: files, url: \"http://127.0.0.1:9/\"}]\n";
    let world = Plan::new().bindings(bindings).start().await;
    let expected = r#"{"version":2,"channels":[{"name":"main","stateless":true},{"name":"files"}]}"#;
    assert_eq!(declared(&world), expected);
    world.plane.assert_clean();
}
