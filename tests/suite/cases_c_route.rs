//! Where commands go, and that nothing keeps others from going there.

use std::time::{Duration, Instant};

use crate::agent::SOON;
use crate::cases::{
    A_WHILE, answer, assert_answered, assert_error, batch, echo, options, tool, until, world,
};
use crate::lab::{Command, ControlPlane, Fault, On, Reply, Stub, StubOptions};
use crate::world::{Plan, World};

/// A second stub, and a plan that binds it as `files` beside the first as `main`.
async fn two_channels(main: &Stub) -> (Stub, Plan) {
    let files = Stub::start(StubOptions::default()).await;
    let yaml = format!(
        "  server_urls: [{{channel: main, url: {:?}}}, {{channel: files, url: {:?}}}]\n",
        main.url(),
        files.url()
    );
    (files, Plan::new().bindings(yaml))
}

/// A world with the stubs of `main` and `files`.
async fn two(change: impl FnOnce(Plan) -> Plan) -> (World, Stub) {
    let stub = Stub::start(StubOptions::default()).await;
    let (files, plan) = two_channels(&stub).await;
    let plane = ControlPlane::start(options()).await;
    let agent = change(plan).setup(&plane, &stub).start();
    plane.wait_for_poll(1, SOON).await;
    (World { plane, stub, agent }, files)
}

#[tokio::test]
async fn case_067_a_channel_is_trimmed_and_lower_cased() {
    let world = World::new().await;
    for (id, channel) in [("r1", r#""  MAIN ""#), ("r2", r#""""#), ("r3", r#"" \t ""#), ("r4", "null")] {
        let record = world.call(echo(id).raw("channel", channel)).await;
        assert_answered(&record);
        assert_eq!(record.channel.as_deref(), Some("main"));
    }
    assert_answered(&world.call(echo("r5").without("channel")).await);
    world.plane.assert_clean();
}

#[tokio::test]
async fn commands_reach_the_server_of_their_channel_and_no_other() {
    let (world, files) = two(|plan| plan).await;
    let record = world.call(echo("f1").channel("files")).await;
    assert_answered(&record);
    assert_eq!(record.channel.as_deref(), Some("files"));
    assert_answered(&world.call(echo("m1")).await);
    assert_eq!((world.stub.request_count(), files.request_count()), (1, 1));
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_070_an_unknown_channel_is_answered_and_never_falls_back_to_main() {
    let world = World::new().await;
    let record = world.call(echo("r1").channel("nope")).await;
    let message = assert_error(&record, 400, -32603);
    assert_eq!(message, r#"Bad Request: unsupported channel "nope""#);
    assert_eq!(record.channel.as_deref(), Some("nope"));
    assert_eq!(record.rpc()["id"], 1);
    assert_eq!(world.stub.request_count(), 0);
    world.plane.assert_clean();
}

#[tokio::test]
async fn a_notification_for_an_unknown_channel_is_answered_without_an_id() {
    let world = World::new().await;
    let note = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let record = world.call(Command::jsonrpc("n1", note).channel("nope")).await;
    assert_error(&record, 400, -32603);
    assert!(!record.rpc().as_object().unwrap().contains_key("id"), "{:?}", record.resp_json);
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_071_the_end_of_a_session_on_an_unknown_channel_is_400_without_a_body() {
    let world = World::new().await;
    let record = world.call(Command::session_termination("t1", "s").channel("nope")).await;
    assert_eq!((record.resp_type.as_str(), record.resp_code), ("session_termination_response", 400));
    assert!(record.resp_json.is_none());
    assert_eq!(world.stub.request_count(), 0);
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_073_the_harpoon_channel_is_not_implemented() {
    let world = World::new().await;
    let record = world.call(echo("h1").channel("harpoon")).await;
    assert_eq!((record.resp_type.as_str(), record.resp_code), ("jsonrpc_response", 501));
    assert_eq!(record.channel.as_deref(), Some("harpoon"));
    let message = assert_error(&record, 501, -32601);
    assert!(message.contains("harpoon"), "{message}");
    let record = world.call(Command::session_termination("h2", "s").channel("harpoon")).await;
    assert_eq!((record.resp_type.as_str(), record.resp_code), ("session_termination_response", 501));
    assert_eq!(world.stub.request_count(), 0);
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_074_oauth_discovery_belongs_to_main_where_it_is_not_implemented() {
    let (world, files) = two(|plan| plan).await;
    let record = world.call(Command::oauth_discovery("o1").channel("files")).await;
    assert_eq!((record.resp_type.as_str(), record.resp_code), ("oauth_discovery_response", 400));
    let expected = r#"{"error":{"code":"unsupported_channel","message":"unsupported channel \"files\"","type":"invalid_request_error"}}"#;
    assert_eq!(record.resp_json.as_deref(), Some(expected));
    let record = world.call(Command::oauth_discovery("o2")).await;
    assert_eq!((record.resp_type.as_str(), record.resp_code), ("oauth_discovery_response", 501));
    assert_eq!(record.rpc()["error"]["code"], "not_implemented");
    assert_eq!((world.stub.request_count(), files.request_count()), (0, 0));
    world.plane.assert_clean();
}

#[tokio::test]
async fn a_stuck_channel_never_starves_another() {
    let (world, files) =
        two(|plan| plan.mcp("max_concurrent_requests: 2").control("max_inflight_requests: 3")).await;
    files.handler(|_| Some(Reply::hang()));
    for n in 0..10 {
        world.plane.enqueue(echo(&format!("stuck{n}")).channel("files"));
    }
    // Two are with the server, three wait, and the rest stays at the control plane.
    until("the lane is full", || world.plane.polls().last().is_some_and(|p| p.channels == ["main"])).await;
    assert_eq!(files.request_count(), 2);
    let mut fastest = SOON;
    for n in 0..5 {
        let began = Instant::now();
        assert_answered(&world.call(echo(&format!("quick{n}"))).await);
        fastest = fastest.min(began.elapsed());
    }
    assert!(fastest < Duration::from_secs(1), "{fastest:?}");
    assert_eq!(files.request_count(), 2);
    assert!(world.plane.queued() > 0, "what cannot be taken is left to others");
    world.plane.assert_clean();
}

#[tokio::test]
async fn a_channel_that_is_free_again_is_polled_for_again() {
    let (world, files) =
        two(|plan| plan.mcp("max_concurrent_requests: 1").control("max_inflight_requests: 1")).await;
    for n in 0..4 {
        files.on_next(
            Reply::json(200, r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#)
                .after(Duration::from_millis(100)),
        );
        world.plane.enqueue(echo(&format!("f{n}")).channel("files"));
    }
    for n in 0..4 {
        assert_answered(&answer(&world, &format!("f{n}")).await);
    }
    assert_eq!(world.plane.most_concurrent_polls(), 1);
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_086_087_token_and_connectors_request_id_come_back_as_they_were() {
    let world = World::new().await;
    let command = echo("r1").shard_token("aB-9_~x.Y=/+").header("x-ReQuest-ID", "r1-from-the-connector");
    let record = world.call(command).await;
    assert_answered(&record);
    assert_eq!(record.seen.header("x-tunnel-shard-token"), Some("aB-9_~x.Y=/+"));
    assert_eq!(record.seen.header("x-client-request-id"), Some("r1-from-the-connector"));
    let record = world.call(echo("r2")).await;
    assert_eq!(record.seen.header("x-tunnel-shard-token"), Some("shard-r2"));
    assert_eq!(record.seen.header("x-client-request-id"), None);
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_089_a_command_delivered_twice_is_forwarded_once() {
    let world = world(Plan::new(), options(), |setup, plane| {
        // Twice in one body, and once more with the next poll.
        plane.fault(Fault { duplicate: true, redeliver: true, ..Fault::on(On::Poll) });
        plane.enqueue(echo("twice"));
        plane.enqueue(echo("also"));
        setup
    })
    .await;
    assert_answered(&answer(&world, "twice").await);
    assert_answered(&answer(&world, "also").await);
    until("all copies are delivered", || world.plane.queued() == 0).await;
    assert_answered(&world.call(echo("after")).await);
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(world.stub.request_count(), 3);
    assert_eq!(world.plane.responses().len(), 3);
    assert_eq!(world.agent.count("command delivered twice; forwarded once"), 4);
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_089_a_command_delivered_again_while_it_runs_is_forwarded_once() {
    let world = World::new().await;
    let command = tool("running", "sleep", r#"{"ms":500}"#);
    world.plane.enqueue(command.clone());
    world.stub.wait_for_requests(1, SOON).await;
    world.plane.enqueue(command.clone());
    assert_answered(&answer(&world, "running").await);
    world.plane.enqueue(command);
    assert_answered(&world.call(echo("after")).await);
    assert_eq!(world.stub.request_count(), 2);
    assert_eq!(world.plane.responses_for("running").len(), 1);
    world.plane.assert_clean();
}

#[tokio::test]
async fn commands_of_one_channel_start_in_the_order_they_came() {
    let plan = Plan::new().mcp("max_concurrent_requests: 1");
    let all: Vec<String> = (0..8).map(|n| echo(&format!("r{n}")).text()).collect();
    let world = batch(plan, &all).await;
    answer(&world, "r7").await;
    let seen: Vec<String> = world
        .stub
        .requests()
        .iter()
        .map(|r| r.json()["params"]["arguments"]["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(seen, ["r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7"]);
    world.plane.assert_clean();
}
