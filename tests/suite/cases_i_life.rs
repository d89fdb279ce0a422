//! Stdio servers: how they are stopped, that nothing of them remains, and what happens when they end by themselves.

use std::time::{Duration, Instant};

use crate::agent::{SOON, alive, eventually, kill};
use crate::calls::{Record, descriptors_of, group_of, initialize, members_of, open, plan, text_of, tool};
use crate::world::World;

/// The pid of the only server, which is the number of its group.
async fn server(world: &World) -> u32 {
    let pid = text_of(&world.call(tool("pid", "pid", "{}")).await).parse().unwrap();
    assert_eq!(group_of(pid), Some(pid));
    pid
}

/// A world whose server has started a grandchild.
async fn family(args: &str) -> (World, u32, u32) {
    let world = plan().stdio(&format!("--grandchild {args}"), "").start().await;
    open(&world, "o").await;
    let line = world.agent.logged(&["grandchild "]).await;
    let grandchild = line.split("grandchild ").nth(1).unwrap();
    let grandchild = grandchild.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap();
    let server = server(&world).await;
    assert_eq!(group_of(grandchild), Some(server));
    (world, server, grandchild)
}

/// Stops the agent; how long that took.
async fn stop(world: World, server: u32) -> Duration {
    let began = Instant::now();
    world.end().await;
    let took = began.elapsed();
    let gone = eventually(|| members_of(server).is_empty().then_some(())).await;
    assert!(gone.is_some(), "{:?} outlived the agent", members_of(server));
    took
}

#[tokio::test]
async fn a_server_that_ends_with_its_stdin_needs_no_signal() {
    let record = Record::new();
    let world = plan().stdio(&record.flag(), "").start().await;
    open(&world, "o").await;
    let server = server(&world).await;
    let worker = world.agent.worker_pid();
    world.agent.signal("TERM");
    // What the broker says about its end is the status that the server chose.
    world.agent.logged(&["mcp child exited", "exit_code=0"]).await;
    assert!(stop_signalled(world).await < Duration::from_secs(3));
    assert!(!alive(worker) && !alive(server));
}

async fn stop_signalled(mut world: World) -> Duration {
    let began = Instant::now();
    let status = world.agent.ended(SOON).await;
    assert_eq!(status.and_then(|s| s.code()), Some(0));
    world.plane.assert_clean();
    began.elapsed()
}

#[tokio::test]
async fn a_grandchild_does_not_outlive_a_server_that_ends_politely() {
    let (world, server, grandchild) = family("").await;
    assert!(stop(world, server).await < Duration::from_secs(5));
    assert!(!alive(grandchild));
}

#[tokio::test]
async fn a_grandchild_that_holds_the_pipes_of_a_dead_server_delays_nothing_and_does_not_outlive_it() {
    let (world, server, grandchild) = family("").await;
    world.plane.enqueue(tool("held", "silent", "{}"));
    tokio::time::sleep(Duration::from_millis(300)).await;
    kill(server, "KILL");
    let answer = world.plane.wait_for_response("held", Duration::from_secs(5)).await;
    assert_eq!((answer.resp_code, answer.failure_kind().0.as_str()), (502, "transport_closed"));
    open(&world, "again").await;
    assert!(!alive(grandchild), "the grandchild outlived its server");
    stop(world, server).await;
}

#[tokio::test]
async fn a_server_that_ignores_the_end_of_its_stdin_gets_sigterm() {
    let (world, server, _) = family("--ignore-eof").await;
    assert!(stop(world, server).await < Duration::from_secs(4), "it was only killed");
}

#[tokio::test]
async fn a_server_that_ignores_everything_is_killed_with_its_group() {
    let (world, server, grandchild) = family("--ignore-eof --ignore-term").await;
    let took = stop(world, server).await;
    assert!(took > Duration::from_secs(2) && took < Duration::from_secs(12), "{took:?}");
    assert!(!alive(grandchild));
}

#[tokio::test]
async fn a_second_signal_ends_everything_at_once() {
    let (mut world, server, _) = family("--ignore-eof --ignore-term").await;
    world.plane.enqueue(tool("r1", "silent", "{}"));
    tokio::time::sleep(Duration::from_millis(300)).await;
    world.agent.signal("TERM");
    world.agent.logged(&["stopping"]).await;
    assert!(
        world.agent.ended(Duration::from_millis(300)).await.is_none(),
        "the call in progress is waited for"
    );
    world.agent.signal("TERM");
    let status = world.agent.ended(Duration::from_secs(3)).await.expect("the second signal did not end it");
    assert_ne!(status.code(), Some(0));
    let gone = eventually(|| members_of(server).is_empty().then_some(())).await;
    assert!(gone.is_some(), "{:?} outlived the agent", members_of(server));
    world.plane.assert_clean();
}

#[tokio::test]
async fn nothing_survives_a_broker_that_is_killed() {
    let world = plan().stdio("--ignore-eof --ignore-term", "").start().await;
    open(&world, "o").await;
    let (server, worker) = (server(&world).await, world.agent.worker_pid());
    world.agent.signal("KILL");
    let began = Instant::now();
    let gone = eventually(|| (!alive(server) && !alive(worker)).then_some(())).await;
    assert!(gone.is_some() && began.elapsed() < Duration::from_secs(2), "after {:?}", began.elapsed());
    world.plane.assert_clean();
}

#[tokio::test]
async fn a_server_that_ends_at_once_is_started_at_a_bounded_pace_and_calls_are_answered() {
    let restart = "restart: {times: 2, window: 10s, backoff_min: 50ms, backoff_max: 400ms}";
    let world = plan().stdio("--exit-now", "").top(restart).start().await;
    let began = Instant::now();
    let answer = world.call(initialize("r1").response_timeout("30s")).await;
    assert_eq!((answer.resp_code, answer.failure_kind().0.as_str()), (502, "transport_closed"));
    world.agent.logged(&["mcp child ends again and again", "retry_in_ms=400"]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let bound = 4 + began.elapsed().as_millis() / 400;
    let started = world.agent.count("mcp child started");
    assert!(u128::try_from(started).unwrap() <= bound, "{started} starts");
    world.end().await;
}

#[tokio::test]
async fn a_server_that_ends_is_replaced_and_the_agent_stays_without_keeping_anything_of_it() {
    let restart = "restart: {times: 2, window: 60s, backoff_min: 20ms, backoff_max: 300ms}";
    let world = plan().stdio("", "").top(restart).start().await;
    let (broker, worker) = (world.agent.pid(), world.agent.worker_pid());
    let mut open_files = Vec::new();
    for n in 0..4 {
        open(&world, &format!("o{n}")).await;
        let pid = text_of(&world.call(tool(&format!("pid{n}"), "pid", "{}")).await).parse().unwrap();
        open_files.push((descriptors_of(broker), descriptors_of(worker)));
        kill(pid, "KILL");
        assert!(eventually(|| (!alive(pid)).then_some(())).await.is_some());
    }
    open(&world, "last").await;
    assert_eq!((world.agent.pid(), world.agent.worker_pid()), (broker, worker));
    assert_eq!(world.agent.count("mcp child exited"), 4);
    assert!(open_files[3].0 <= open_files[0].0 && open_files[3].1 <= open_files[0].1, "{open_files:?}");
    world.end().await;
}

#[tokio::test]
async fn a_call_in_progress_is_answered_before_its_server_is_stopped() {
    let mut world = plan().stdio("", "").start().await;
    open(&world, "o").await;
    world.plane.enqueue(tool("r1", "sleep", r#"{"ms":1000}"#));
    tokio::time::sleep(Duration::from_millis(300)).await;
    world.agent.signal("TERM");
    assert_eq!(text_of(&world.plane.wait_for_response("r1", SOON).await), "slept");
    let status = world.agent.ended(Duration::from_secs(5)).await;
    assert_eq!(status.and_then(|s| s.code()), Some(0));
    world.agent.logged(&["mcp child exited", "exit_code=0"]).await;
    world.plane.assert_clean();
}

#[tokio::test]
async fn a_server_that_closed_its_pipes_is_replaced_by_one_server_only() {
    let command = "sh -c 'read line; exec 0<&-; exec sleep 60'";
    let restart = "restart: {backoff_min: 20ms}";
    let world =
        plan().bindings(format!("  commands: [{{command: {command:?}}}]\n")).top(restart).start().await;
    let answer = world.call(initialize("r1")).await;
    assert_eq!(answer.failure_kind(), ("transport_closed".into(), "closed_pipe".into()));
    // Asks for another while the first is being stopped.
    let answer = world.call(initialize("r2").response_timeout("15s")).await;
    assert_eq!(answer.failure_kind(), ("transport_closed".into(), "closed_pipe".into()));
    let started = world.agent.count("mcp child started");
    assert_eq!(started, 2, "a server of an era that nobody asked for was started");
    world.end().await;
}
