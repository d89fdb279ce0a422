//! Polls that succeed: what they ask for, when the next one comes, and what they may bring.

use std::time::{Duration, Instant};

use crate::agent::SOON;
use crate::cases::{
    A_WHILE, answer, assert_answered, batch, body_of, echo, exact, options, sleep, tool, until, world,
};
use crate::lab::{Fault, On, Reply};
use crate::world::{Plan, World};

#[tokio::test]
async fn case_033_the_limit_is_the_free_room_and_at_most_25() {
    let world = World::new().await;
    assert_eq!(world.plane.polls()[0].limit, Some(20), "the default");
    world.plane.assert_clean();
    for (room, limit) in [(1, 1), (25, 25), (100, 25)] {
        let world = Plan::new().control(&format!("max_inflight_requests: {room}")).start().await;
        assert_eq!(world.plane.polls()[0].limit, Some(limit));
        world.plane.assert_clean();
    }
}

#[tokio::test]
async fn case_034_the_limit_shrinks_with_the_queue_and_a_full_queue_is_not_polled_for() {
    let plan = Plan::new().mcp("max_concurrent_requests: 1");
    // One is being answered and 18 wait.
    let world = batch(plan, &[tool("first", "silent", "{}").text()]).await;
    world.stub.wait_for_requests(1, SOON).await;
    for n in 0..18 {
        world.plane.enqueue(tool(&format!("w{n}"), "silent", "{}"));
    }
    until("a poll for what is left", || world.plane.polls().last().and_then(|p| p.limit) == Some(2)).await;
    // Two more fill it.
    world.plane.enqueue(tool("w18", "silent", "{}"));
    world.plane.enqueue(tool("w19", "silent", "{}"));
    until("both are taken", || world.plane.queued() == 0).await;
    until("nothing is polled for", || world.plane.polls().iter().all(|p| p.answered.is_some())).await;
    let polls = world.plane.poll_count();
    world.plane.enqueue(echo("beyond"));
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(world.plane.poll_count(), polls, "a full queue must not poll");
    assert_eq!(world.plane.queued(), 1);
    assert!(world.plane.polls().iter().all(|p| (1..=20).contains(&p.limit.unwrap())));
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_034_a_place_that_becomes_free_is_polled_for_at_once() {
    let plan = Plan::new().mcp("max_concurrent_requests: 1").control("max_inflight_requests: 1");
    let world = batch(plan, &[sleep("first", 700).text()]).await;
    // `first` is being answered, `second` waits: full.
    world.plane.enqueue(tool("second", "silent", "{}"));
    world.stub.wait_for_requests(1, SOON).await;
    until("the second is taken", || world.plane.queued() == 0).await;
    world.plane.enqueue(echo("third"));
    let done = answer(&world, "first").await;
    let polls = world.plane.poll_count();
    world.plane.wait_for_poll(polls.max(3), SOON).await;
    let last = world.plane.polls().pop().unwrap();
    assert_eq!(last.limit, Some(1));
    let gap = last.seen.arrived.saturating_duration_since(done.seen.arrived);
    assert!(gap < Duration::from_millis(500), "{gap:?} between the free place and the poll");
    assert_eq!(world.plane.polls().len(), 3, "no polls while it was full");
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_035_less_than_a_millisecond_is_asked_for_as_one() {
    let world = Plan::new().control("poll_timeout: 500us").start().await;
    world.plane.wait_for_poll(2, SOON).await;
    assert!(world.plane.polls().iter().all(|p| p.timeout_ms == Some(1)));
    world.plane.assert_clean();
}

#[tokio::test]
async fn the_first_poll_is_short_and_the_next_asks_for_the_configured_time() {
    let world = Plan::new().control("poll_timeout: 7s").start().await;
    world.plane.enqueue(echo("r1"));
    answer(&world, "r1").await;
    world.plane.wait_for_poll(2, SOON).await;
    let asked: Vec<_> = world.plane.polls().iter().map(|p| p.timeout_ms).collect();
    assert_eq!(asked, [Some(1000), Some(7000)]);
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_037_after_an_empty_poll_the_next_comes_at_once() {
    let world = Plan::new().control("poll_timeout: 10ms").start().await;
    world.plane.wait_for_poll(12, SOON).await;
    let polls = world.plane.polls();
    assert!(polls.iter().take(11).all(|p| p.answered.is_some_and(|(status, _)| status == 204)));
    let mut gaps: Vec<Duration> = polls
        .windows(2)
        .take(11)
        .filter_map(|w| Some(w[1].seen.arrived.saturating_duration_since(w[0].answered?.1)))
        .collect();
    gaps.sort();
    assert!(gaps[5] < Duration::from_millis(50), "half of the gaps are longer: {gaps:?}");
    assert_eq!(world.agent.count("backing off"), 0);
    assert_eq!(world.plane.most_concurrent_polls(), 1, "one poll at a time");
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_038_an_empty_list_or_none_at_all_is_success() {
    let world = world(Plan::new(), options(), |setup, plane| {
        for body in [r#"{"commands":[]}"#, "{}", r#"{"commands":null}"#, r#"{"commands":[],"later":1}"#] {
            plane.serve_poll_raw(Reply::json(200, body));
        }
        setup
    })
    .await;
    assert_answered(&world.call(echo("after")).await);
    assert!(world.plane.poll_count() >= 5);
    assert_eq!(world.agent.count("backing off"), 0);
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_039_more_commands_than_asked_for_are_all_executed() {
    let all: Vec<String> = (0..3).map(|n| echo(&format!("r{n}")).text()).collect();
    let plan = Plan::new().control("max_inflight_requests: 1");
    let world = exact(plan, &all, 3, Reply::json(200, body_of(&all))).await;
    for n in 0..3 {
        assert_answered(&answer(&world, &format!("r{n}")).await);
    }
    assert!(world.plane.polls().iter().all(|p| p.limit == Some(1)));
    let line = world.agent.logged(&["poll brought more commands than asked for"]).await;
    assert!(line.contains("level=ERROR"), "{line}");
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_041_a_malformed_element_costs_its_neighbours_nothing() {
    let odd = [
        "17",
        "null",
        "[]",
        "{}",
        r#""text""#,
        r#"{"request_id":7,"shard_token":"s","command_type":"jsonrpc"}"#,
        r#"{"request_id":"odd","shard_token":"t","command_type":"jsonrpc","channel":[1]}"#,
        r#"{"request_id":"\ud800","shard_token":"t","command_type":"jsonrpc"}"#,
    ];
    let mut all = vec![echo("before").text()];
    all.extend(odd.iter().map(|text| (*text).to_owned()));
    all.push(echo("after").text());
    let world = batch(Plan::new(), &all).await;
    assert_answered(&answer(&world, "before").await);
    assert_answered(&answer(&world, "after").await);
    assert_eq!(answer(&world, "odd").await.resp_code, 400);
    assert_eq!(world.stub.request_count(), 2);
    world.plane.assert_clean();
}

#[tokio::test]
async fn a_body_that_ends_early_loses_only_what_is_missing() {
    for http2 in [true, false] {
        let all: Vec<String> = ["a", "b", "c"].iter().map(|id| echo(id).text()).collect();
        let keep = body_of(&all).len() - all[2].len() / 2;
        let cut = Fault { cut_after: Some(keep), ..Fault::on(On::Poll) };
        let world = world(Plan::new(), lab_options(http2), |setup, plane| {
            all.iter().for_each(|text| plane.enqueue_raw(text));
            plane.fault(cut);
            setup
        })
        .await;
        assert_answered(&answer(&world, "a").await);
        assert_answered(&answer(&world, "b").await);
        world.agent.logged(&["poll failed", "commands_rescued=2"]).await;
        assert_answered(&world.call(echo("d")).await);
        assert!(world.plane.responses_for("c").is_empty());
        world.plane.assert_clean();
    }
}

fn lab_options(http2: bool) -> crate::lab::Options {
    crate::lab::Options { http2, ..options() }
}

#[tokio::test]
async fn a_body_that_turns_into_nonsense_loses_only_what_comes_then() {
    let all = [echo("a").text(), echo("b").text()];
    let whole = body_of(&all);
    let spoilt = format!("{}{}", &whole[..whole.len() - all[1].len() / 2], "\u{1}}{]]");
    let world = exact(Plan::new(), &all, 1, Reply::json(200, spoilt)).await;
    assert_answered(&answer(&world, "a").await);
    world.agent.logged(&["poll failed", "commands_rescued=1"]).await;
    assert_answered(&world.call(echo("later")).await);
    assert!(world.plane.responses_for("b").is_empty());
    world.plane.assert_clean();
}

#[tokio::test]
async fn http_2_is_spoken_where_it_is_offered_and_http_1_otherwise() {
    for (http2, version) in [(true, http::Version::HTTP_2), (false, http::Version::HTTP_11)] {
        let world = world(Plan::new(), lab_options(http2), |setup, _| setup).await;
        assert_answered(&world.call(echo("r1")).await);
        assert!(world.plane.polls().iter().all(|p| p.seen.version == version));
        assert!(world.plane.responses().iter().all(|r| r.seen.version == version));
        let connections = world.plane.connections();
        assert!(connections.iter().all(|c| c.alpn.as_deref() == Some(if http2 { "h2" } else { "http/1.1" })));
        if http2 {
            // Metadata and poll may race for the first connection.
            assert!(connections.len() <= 2, "{} connections", connections.len());
        }
        world.plane.assert_clean();
    }
}

#[tokio::test]
async fn a_compressed_body_is_understood() {
    let world = world(Plan::new(), options(), |setup, plane| {
        plane.enqueue(echo("r1"));
        plane.fault(Fault { gzip: true, ..Fault::on(On::Poll) });
        setup
    })
    .await;
    assert_answered(&answer(&world, "r1").await);
    assert_eq!(world.agent.count("poll failed"), 0);
    world.plane.assert_clean();
}

#[tokio::test]
async fn a_body_that_inflates_without_end_is_bounded() {
    let world = world(Plan::new(), options(), |setup, plane| {
        plane.fault(Fault { gzip_bomb: Some(1 << 30), ..Fault::on(On::Poll) });
        plane.fault(Fault { gzip_bomb: Some(1 << 30), status: Some(500), ..Fault::on(On::Poll) });
        setup
    })
    .await;
    world.agent.logged(&["poll failed", "body is too large"]).await;
    world.agent.logged(&["poll failed", "500"]).await;
    assert_answered(&world.call(echo("after")).await);
    let most = high_water(world.agent.worker_pid());
    assert!(most < 120 << 10, "{most} KiB resident at the most");
    world.plane.assert_clean();
}

/// The most memory that a process ever had, in KiB.
fn high_water(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn a_poll_that_is_answered_late_is_not_sent_twice() {
    let world = world(Plan::new(), options(), |setup, plane| {
        plane.fault(Fault { delay_ms: 600, ..Fault::on(On::Poll) });
        setup
    })
    .await;
    let began = Instant::now();
    assert_answered(&world.call(echo("r1")).await);
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert_eq!(world.plane.polls().iter().filter(|p| p.seen.arrived < began).count(), 1);
    world.plane.assert_clean();
}
