//! SIGKILL in the middle of calls: the worker, an HTTP server, the control plane. The agent recovers by itself, answers
//! what can be answered, and forwards nothing twice.

use std::time::{Duration, Instant};

use crate::agent::{SOON, eventually, kill};
use crate::calls::{descriptors_of, initialized, plan, received, text_of, tool};
use crate::lab::{Command, ControlPlane, Fault, On, Options, Reply, ResponseRecord, Stub, StubOptions};
use crate::world::World;

/// Within which the agent works again after anything was killed.
pub const RECOVERY: Duration = Duration::from_secs(8);

/// Several calls in progress at a time.
pub const MANY: usize = 6;

pub fn ids(name: &str) -> Vec<String> {
    (0..MANY).map(|n| format!("{name}{n}")).collect()
}

/// Puts a call of this tool for each id on its way and waits until the HTTP server has them all.
async fn begin(world: &World, ids: &[String], name: &str, arguments: &str) {
    for id in ids {
        world.plane.enqueue(tool(id, name, arguments));
    }
    let all = eventually(|| ids.iter().all(|id| received(&world.stub, id) == 1).then_some(())).await;
    assert!(all.is_some(), "not all calls reached the server");
}

#[track_caller]
pub fn is_failure(answer: &ResponseRecord, sources: &[&str]) {
    assert_eq!(answer.resp_code, 502, "{:?}", answer.resp_json);
    assert_eq!(answer.rpc()["id"], answer.request_id.as_str());
    let (source, kind) = answer.failure_kind();
    assert!(sources.contains(&source.as_str()), "{} failed by {source} {kind}", answer.request_id);
}

/// Every one is answered once, by a failure of one of these sources.
pub async fn all_failed(world: &World, ids: &[String], sources: &[&str]) {
    for id in ids {
        is_failure(&world.plane.wait_for_response(id, SOON).await, sources);
        assert_eq!(world.plane.responses_for(id).len(), 1, "{id} was answered more than once");
    }
}

pub fn once(world: &World, ids: &[String]) {
    for id in ids {
        assert_eq!(received(&world.stub, id), 1, "{id} was forwarded more than once");
    }
}

/// A call that must work, soon.
pub async fn works(world: &World, id: &str) {
    let began = Instant::now();
    let text = text_of(&world.call(tool(id, "echo", &format!("{{\"text\":\"{id}\"}}"))).await);
    assert_eq!(text, id);
    assert!(began.elapsed() < RECOVERY, "it took {:?}", began.elapsed());
    assert_eq!(received(&world.stub, id), 1);
}

async fn new_worker(world: &World, old: u32) -> u32 {
    let began = Instant::now();
    let new = eventually(|| world.agent.child_with("worker").filter(|pid| *pid != old)).await;
    assert!(began.elapsed() < RECOVERY, "it took {:?}", began.elapsed());
    new.expect("no new worker")
}

#[tokio::test]
async fn a_killed_workers_calls_are_answered_by_the_next_and_never_forwarded_again() {
    let world = plan().start().await;
    let held = ids("held");
    begin(&world, &held, "silent", "{}").await;
    let worker = world.agent.worker_pid();
    kill(worker, "KILL");
    all_failed(&world, &held, &["client_internal"]).await;
    works(&world, "after").await;
    assert_ne!(new_worker(&world, worker).await, worker);
    let line = world.agent.logged(&["worker died", "signal=9"]).await;
    assert!(line.contains(&format!("calls_held={MANY}")), "{line}");
    assert!(held.iter().all(|id| line.contains(id.as_str())), "{line}");

    // The control plane, which may have lost the answers, delivers the calls again.
    for id in &held {
        world.plane.enqueue(tool(id, "silent", "{}"));
    }
    for id in &held {
        let both = world.plane.wait_for_responses(id, 2, SOON).await;
        is_failure(&both[1], &["client_internal"]);
    }
    once(&world, &held);
    world.end().await;
}

#[tokio::test]
async fn commands_that_are_delivered_again_while_the_worker_is_dead_are_not_forwarded_again() {
    let world = plan().start().await;
    // Every batch that is delivered here is delivered again by the poll after it.
    world.plane.fault(Fault { redeliver: true, times: MANY, ..Fault::on(On::Poll) });
    let held = ids("held");
    begin(&world, &held, "sleep", r#"{"ms":60000}"#).await;
    for id in &held {
        world.plane.enqueue(tool(id, "silent", "{}"));
    }
    kill(world.agent.worker_pid(), "KILL");
    for id in &held {
        world.plane.enqueue(tool(id, "silent", "{}"));
        is_failure(&world.plane.wait_for_response(id, SOON).await, &["client_internal"]);
    }
    works(&world, "after").await;
    once(&world, &held);
    world.end().await;
}

#[tokio::test]
async fn orphans_survive_a_worker_that_dies_before_it_could_answer_them() {
    let world = plan().top("restart: {backoff_min: 20ms}").start().await;
    let held = ids("held");
    begin(&world, &held, "silent", "{}").await;
    // The next workers cannot post anything.
    world.plane.fault(Fault { hang: true, times: 1000, ..Fault::on(On::Response) });
    let mut worker = world.agent.worker_pid();
    kill(worker, "KILL");
    worker = new_worker(&world, worker).await;
    kill(worker, "KILL");
    new_worker(&world, worker).await;
    world.plane.clear_faults();
    works(&world, "after").await;
    once(&world, &held);
    assert_eq!(world.agent.count("worker died"), 2);
    world.end().await;
}

#[tokio::test]
async fn a_worker_that_dies_again_and_again_is_started_slowly_and_still_serves() {
    let restart = "restart: {times: 2, window: 10s, backoff_min: 50ms, backoff_max: 500ms}";
    let world = plan().top(restart).start().await;
    let open_files = descriptors_of(world.agent.pid());
    for n in 0..5 {
        let worker = world.agent.worker_pid();
        kill(worker, "KILL");
        new_worker(&world, worker).await;
        works(&world, &format!("after{n}")).await;
    }
    assert_eq!(world.agent.count("worker died"), 5);
    assert!(descriptors_of(world.agent.pid()) <= open_files, "descriptors of dead workers were kept");
    let slow = world.agent.logged(&["the worker dies again and again"]).await;
    assert!(slow.contains("retry_in_ms=500"), "{slow}");
    assert_eq!(world.agent.count("the worker dies again and again"), 3);
    world.end().await;
}

/// Waits until the control plane has noticed that whoever sent so many polls has gone, or somebody polls anew.
pub async fn left(world: &World, polls: usize) {
    let noticed = || (world.plane.server().open() == 0 || world.plane.poll_count() > polls).then_some(());
    assert!(eventually(noticed).await.is_some());
}

#[tokio::test]
async fn a_killed_http_server_fails_its_calls_and_is_found_again() {
    let mut world = plan().start().await;
    let held = ids("held");
    begin(&world, &held, "silent", "{}").await;
    world.stub.go_down();
    all_failed(&world, &held, &["transport_closed"]).await;
    let during = ids("during");
    for id in &during {
        world.plane.enqueue(tool(id, "echo", "{}"));
    }
    all_failed(&world, &during, &["connect", "transport_closed"]).await;
    world.stub.come_back().await;
    works(&world, "after").await;
    once(&world, &held);
    assert!(during.iter().all(|id| received(&world.stub, id) == 0), "a failed call was sent later");
    world.end().await;
}

#[tokio::test]
async fn a_killed_server_over_http_2_fails_its_calls_and_is_found_again() {
    let plane = ControlPlane::start(Options::default()).await;
    let mut stub = Stub::start(StubOptions { tls: true, ..StubOptions::default() }).await;
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, stub.ca.pem()).unwrap();
    let agent =
        plan().top(&format!("ca_bundle: {:?}", ca.display().to_string())).setup(&plane, &stub).start();
    let held = ids("held");
    for id in &held {
        plane.enqueue(tool(id, "silent", "{}"));
    }
    let seen = stub.wait_for_requests(MANY, SOON).await;
    assert!(seen.iter().all(|r| r.version == http::Version::HTTP_2));
    stub.go_down();
    stub.come_back().await;
    let world = World { plane, stub, agent };
    all_failed(&world, &held, &["transport_closed"]).await;
    works(&world, "after").await;
    once(&world, &held);
    world.end().await;
}

#[tokio::test]
async fn answers_outlive_a_killed_control_plane() {
    let mut world = plan().start().await;
    let held = ids("held");
    begin(&world, &held, "sleep", r#"{"ms":700}"#).await;
    world.plane.go_down();
    // Long enough for the answers to be there before the control plane is.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(world.plane.responses().is_empty());
    world.plane.come_back().await;
    let began = Instant::now();
    for id in &held {
        assert_eq!(text_of(&world.plane.wait_for_response(id, SOON).await), "slept");
    }
    works(&world, "after").await;
    assert!(began.elapsed() < RECOVERY, "it took {:?}", began.elapsed());
    for id in &held {
        let accepted = world.plane.responses_for(id).iter().filter(|r| r.status == 200).count();
        assert_eq!(accepted, 1, "{id}");
    }
    once(&world, &held);
    world.end().await;
}

#[tokio::test]
async fn connections_of_the_control_plane_that_break_again_and_again_lose_nothing() {
    for (tls, http2) in [(true, true), (true, false), (false, false)] {
        breaks_again_and_again(plan().plane(|o| (o.tls, o.http2) = (tls, http2)).start().await).await;
    }
}

async fn breaks_again_and_again(world: World) {
    let calls = ids("call");
    for id in &calls {
        world.plane.enqueue(tool(id, "sleep", r#"{"ms":300}"#));
    }
    let mut polls = 0;
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        polls = world.plane.poll_count();
        world.plane.cut_connections();
    }
    left(&world, polls).await;
    for id in &calls {
        assert_eq!(text_of(&world.plane.wait_for_response(id, SOON).await), "slept");
    }
    once(&world, &calls);
    works(&world, "after").await;
    world.end().await;
}

#[tokio::test]
async fn what_a_dead_worker_held_is_answered_in_its_own_way_and_in_time_or_not_at_all() {
    let world = plan().top("restart: {backoff_min: 700ms}").start().await;
    (0..4).for_each(|_| world.stub.on_next(Reply::hang()));
    world.plane.enqueue(initialized("notification"));
    world.plane.enqueue(Command::session_termination("termination", "s-1"));
    world.plane.enqueue(tool("patient", "echo", "{}").response_timeout("30s"));
    world.plane.enqueue(tool("hasty", "echo", "{}").response_timeout("600ms"));
    world.stub.wait_for_requests(4, SOON).await;
    kill(world.agent.worker_pid(), "KILL");
    let answer = world.plane.wait_for_response("notification", SOON).await;
    assert_eq!((answer.resp_type.as_str(), answer.resp_code), ("notify_ack", 502));
    let answer = world.plane.wait_for_response("termination", SOON).await;
    assert_eq!((answer.resp_type.as_str(), answer.resp_code), ("session_termination_response", 502));
    is_failure(&world.plane.wait_for_response("patient", SOON).await, &["client_internal"]);
    works(&world, "after").await;
    assert!(world.plane.responses_for("hasty").is_empty());
    assert_eq!(world.stub.request_count(), 5);
    world.end().await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_worker_that_is_dead() {
    let mut world = plan().top("restart: {backoff_min: 30s}").start().await;
    begin(&world, &ids("held"), "silent", "{}").await;
    kill(world.agent.worker_pid(), "KILL");
    world.agent.logged(&["worker died"]).await;
    world.agent.signal("TERM");
    assert!(world.agent.ended(Duration::from_secs(5)).await.is_some());
    world.plane.assert_clean();

    // Nor for one that dies while it finishes.
    let mut world = plan().start().await;
    begin(&world, &ids("held"), "silent", "{}").await;
    let worker = world.agent.worker_pid();
    world.agent.signal("TERM");
    world.agent.logged(&["stopping"]).await;
    kill(worker, "KILL");
    assert!(world.agent.ended(Duration::from_secs(5)).await.is_some());
    world.agent.logged(&["worker died", &format!("calls_held={MANY}")]).await;
    assert_eq!(world.agent.count("worker started"), 1);
    world.plane.assert_clean();
}
