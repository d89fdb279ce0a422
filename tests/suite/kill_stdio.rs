//! SIGKILL in the middle of calls over stdio: the server, the worker, everything.

use std::time::{Duration, Instant};

use crate::agent::{SOON, alive, eventually, kill};
use crate::calls::{Record, modern_tool, open, plan, tag, text_of, tool};
use crate::kill::{MANY, RECOVERY, all_failed, ids, is_failure, left};
use crate::lab::Command;
use crate::world::{Plan, World, stdio_stub};

fn stdio(record: &Record) -> Plan {
    plan().stdio(&record.flag(), "").top("restart: {backoff_min: 50ms}")
}

/// Puts calls that are never answered on their way to the stdio server.
async fn begin_stdio(world: &World, record: &Record, ids: &[String]) -> u32 {
    open(world, "o").await;
    let pid = text_of(&world.call(tool("pid", "pid", "{}")).await).parse().unwrap();
    for id in ids {
        world.plane.enqueue(tool(id, "silent", "{}"));
    }
    for id in ids {
        record.wait(&tag(id), 1).await;
    }
    pid
}

async fn stdio_works(world: &World, record: &Record, held: &[String]) {
    let began = Instant::now();
    open(world, "again").await;
    assert_eq!(text_of(&world.call(tool("after", "echo", r#"{"text":"back"}"#)).await), "back");
    assert!(began.elapsed() < RECOVERY, "it took {:?}", began.elapsed());
    for id in held {
        assert_eq!(record.count(&tag(id)), 1, "{id} was forwarded more than once");
    }
}

#[tokio::test]
async fn a_killed_stdio_server_fails_its_calls_and_only_them() {
    let record = Record::new();
    let world = stdio(&record).start().await;
    let held = ids("held");
    let pid = begin_stdio(&world, &record, &held).await;
    let worker = world.agent.worker_pid();
    kill(pid, "KILL");
    all_failed(&world, &held, &["transport_closed"]).await;
    stdio_works(&world, &record, &held).await;
    world.agent.logged(&["mcp child exited", "signal=9"]).await;
    assert_eq!(world.agent.worker_pid(), worker, "the worker went with it");
    world.end().await;
}

#[tokio::test]
async fn a_killed_stdio_server_costs_no_other_channel_anything() {
    let (one, two) = (stdio_stub(""), stdio_stub(""));
    let bindings = format!("  commands: [{{command: {one:?}}}, {{channel: other, command: {two:?}}}]\n");
    let world = plan().bindings(bindings).start().await;
    let on_other = |id: &str, name: &str, arguments: &str| modern_tool(id, name, arguments).channel("other");
    let before = text_of(&world.call(on_other("before", "pid", "{}")).await);
    let killed = text_of(&world.call(modern_tool("pid", "pid", "{}")).await);
    world.plane.enqueue(on_other("slow", "sleep", r#"{"ms":1200}"#));
    world.plane.enqueue(modern_tool("held", "silent", "{}"));
    tokio::time::sleep(Duration::from_millis(300)).await;
    kill(killed.parse().unwrap(), "KILL");
    is_failure(&world.plane.wait_for_response("held", SOON).await, &["transport_closed"]);
    assert!(world.plane.responses_for("slow").is_empty());
    assert_eq!(text_of(&world.plane.wait_for_response("slow", SOON).await), "slept");
    assert_eq!(text_of(&world.call(on_other("after", "pid", "{}")).await), before);
    world.end().await;
}

#[tokio::test]
async fn a_killed_workers_stdio_server_is_replaced() {
    let record = Record::new();
    let world = stdio(&record).start().await;
    let held = ids("held");
    let pid = begin_stdio(&world, &record, &held).await;
    kill(world.agent.worker_pid(), "KILL");
    all_failed(&world, &held, &["client_internal"]).await;
    stdio_works(&world, &record, &held).await;
    assert!(eventually(|| (!alive(pid)).then_some(())).await.is_some(), "the old server was left over");
    let now: u32 = text_of(&world.call(tool("pid2", "pid", "{}")).await).parse().unwrap();
    assert_ne!(now, pid);
    world.end().await;
}

#[tokio::test]
async fn calls_that_come_while_worker_and_stdio_server_start_again_all_reach_one_server() {
    let record = Record::new();
    let world = stdio(&record).start().await;
    open(&world, "o").await;
    for round in 0..3 {
        let worker = world.agent.worker_pid();
        // Waiting at the control plane when the new worker polls for the first time; not given to the dead one.
        let polls = world.plane.poll_count();
        kill(worker, "KILL");
        left(&world, polls).await;
        let early = ids(&format!("early{round}-"));
        for id in &early {
            world.plane.enqueue(Command::call(id, &format!("\"{id}\""), "ping", "{}"));
        }
        for id in &early {
            let answer = world.plane.wait_for_response(id, SOON).await;
            assert_eq!(answer.resp_code, 200, "{:?}", answer.resp_json);
        }
        let pings: Vec<_> = record.lines().into_iter().filter(|(_, l)| l.contains("ping")).collect();
        let last = &pings[pings.len() - MANY..];
        assert!(last.iter().all(|(pid, _)| *pid == last[0].0), "they went to different servers");
    }
    world.end().await;
}

#[tokio::test]
async fn everything_killed_at_once_comes_back() {
    let record = Record::new();
    let mut world = stdio(&record).start().await;
    let held = ids("held");
    let pid = begin_stdio(&world, &record, &held).await;
    world.plane.go_down();
    kill(pid, "KILL");
    kill(world.agent.worker_pid(), "KILL");
    tokio::time::sleep(Duration::from_millis(300)).await;
    world.plane.come_back().await;
    for id in &held {
        is_failure(&world.plane.wait_for_response(id, SOON).await, &["client_internal", "transport_closed"]);
    }
    stdio_works(&world, &record, &held).await;
    world.end().await;
}
