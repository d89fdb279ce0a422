//! The configuration is read again while the agent serves: what changes, what stays, and what is refused.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use crate::agent::{Agent, SOMEBODY, SOON, Setup, alive, eventually, kill};
use crate::calls::{Record, open, plan, received, text_of, tool};
use crate::kill::{MANY, all_failed, ids, is_failure, left};
use crate::world::{Plan, World, stdio_stub};

/// The directory of the configuration belongs to whom the agent becomes, as it must for a reload.
pub fn own(setup: Setup) -> Setup {
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(setup.dir.path(), Some(SOMEBODY), Some(SOMEBODY)).unwrap();
    }
    setup
}

pub fn config(agent: &Agent) -> PathBuf {
    agent.dir.path().join("tunnelward.yaml")
}

/// Puts a file in the place of another one, as careful programs do.
pub fn replace(path: &std::path::Path, content: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, content).unwrap();
    std::fs::rename(&new, path).unwrap();
}

/// Replaces a part of the configuration.
pub fn edit(agent: &Agent, from: &str, to: &str) {
    let path = config(agent);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    replace(&path, &text.replace(from, to));
}

/// Sends SIGHUP and waits until a new worker follows, for the nth time.
pub async fn reload(agent: &Agent, times: usize) {
    agent.signal("HUP");
    reloaded(agent, times).await;
}

pub async fn reloaded(agent: &Agent, times: usize) {
    let done = eventually(|| (agent.count("reloaded; the old worker finishes") >= times).then_some(())).await;
    assert!(done.is_some(), "not reloaded");
}

/// Sends SIGHUP and waits until that is refused with a reason.
async fn refused(agent: &Agent, reason: &str) {
    agent.signal("HUP");
    agent.logged(&["reload refused", reason]).await;
    agent.logged(&["everything goes on as before"]).await;
}

async fn works(world: &World, id: &str) {
    let text = text_of(&world.call(tool(id, "echo", &format!("{{\"text\":\"{id}\"}}"))).await);
    assert_eq!(text, id);
}

async fn pid_of_server(world: &World, id: &str) -> u32 {
    text_of(&world.call(tool(id, "pid", "{}")).await).parse().unwrap()
}

fn stdio(record: &Record) -> Plan {
    plan().stdio(&record.flag(), "").top("drain_timeout: 20s")
}

#[tokio::test]
async fn a_new_key_is_used_and_the_old_worker_finishes_what_it_has_accepted() {
    let world = plan().control("poll_timeout: 2s").start_as(own).await;
    world.plane.accept_key("sk-next");
    let slow = ids("slow");
    for id in &slow {
        world.plane.enqueue(tool(id, "sleep", r#"{"ms":1500}"#));
    }
    eventually(|| slow.iter().all(|id| received(&world.stub, id) == 1).then_some(())).await.unwrap();
    let old = world.agent.worker_pid();
    replace(&world.agent.dir.path().join("key"), "sk-next");
    reload(&world.agent, 1).await;
    for id in &slow {
        assert_eq!(text_of(&world.plane.wait_for_response(id, SOON).await), "slept");
    }
    works(&world, "after").await;
    eventually(|| (!alive(old)).then_some(())).await.expect("the old worker did not end");
    works(&world, "alone").await;
    let last = world.plane.polls().pop().unwrap();
    assert_eq!(last.seen.header("authorization"), Some("Bearer sk-next"));
    assert_eq!((world.agent.count("worker started"), world.agent.count("worker died")), (2, 0));
    world.end().await;
}

#[tokio::test]
async fn the_outstanding_poll_of_the_old_worker_is_not_aborted() {
    let world = plan().control("poll_timeout: 3s").start_as(own).await;
    works(&world, "before").await;
    reload(&world.agent, 1).await;
    // All polls end with an answer, also the one that was under way.
    tokio::time::sleep(Duration::from_millis(3500)).await;
    let polls = world.plane.polls();
    let cut = polls.iter().filter(|p| p.answered.is_none()).count();
    assert!(cut <= 1, "{cut} polls were cut");
    assert!(world.plane.most_concurrent_polls() <= 2);
    world.agent.logged(&["worker ended"]).await;
    world.end().await;
}

#[tokio::test]
async fn what_is_broken_or_missing_changes_nothing() {
    let world = plan().start_as(own).await;
    let worker = world.agent.worker_pid();
    let (path, key) = (config(&world.agent), world.agent.dir.path().join("key"));
    let (good, secret) = (std::fs::read_to_string(&path).unwrap(), std::fs::read_to_string(&key).unwrap());

    replace(&path, "mcp: [");
    refused(&world.agent, "parse config file").await;
    replace(&path, &format!("{good}\nnonsense: 1\n"));
    refused(&world.agent, "nonsense").await;
    replace(&path, &good);
    std::fs::remove_file(&key).unwrap();
    refused(&world.agent, "no such file").await;
    replace(&key, "not a key");
    refused(&world.agent, "malformed").await;
    replace(&key, &secret);
    let ca = world.agent.dir.path().join("ca.pem");
    let bundle = std::fs::read_to_string(&ca).unwrap();
    replace(&ca, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    refused(&world.agent, "reason=\"ca_bundle: ").await;
    replace(&ca, &bundle);

    assert_eq!(world.agent.worker_pid(), worker);
    assert_eq!(world.agent.count("worker started"), 1);
    works(&world, "still").await;
    reload(&world.agent, 1).await;
    works(&world, "again").await;
    world.end().await;
}

#[tokio::test]
async fn what_lies_outside_the_domain_needs_a_restart_and_is_named() {
    let world = plan().start_as(own).await;
    let worker = world.agent.worker_pid();
    let path = config(&world.agent);
    let good = std::fs::read_to_string(&path).unwrap();
    let stub = world.stub.url();
    let other = |new: &str| good.replace(&stub, new);
    replace(&path, &other("http://127.0.0.1:9/mcp"));
    refused(&world.agent, "needs a restart: to connect to TCP port 9").await;
    replace(&path, &good.replace(&world.plane.tunnel_id, "tunnel_ffffffffffffffffffffffffffffffff"));
    refused(&world.agent, "needs a restart: control_plane.tunnel_id").await;
    replace(&path, &good.replace("level: debug", "level: info"));
    refused(&world.agent, "needs a restart: log").await;
    replace(&path, &good.replace("confinement: {", "confinement: {require: 1, "));
    if good.contains("confinement: {") {
        refused(&world.agent, "needs a restart: confinement.require").await;
    }
    let command = format!("  commands: [{{channel: other, command: {:?}}}]\n", stdio_stub(""));
    replace(&path, &format!("{}\n", good.replace("mcp:\n", &format!("mcp:\n{command}"))));
    refused(&world.agent, "needs a restart: mcp.commands").await;
    replace(&path, &good);
    assert_eq!((world.agent.worker_pid(), world.agent.count("worker started")), (worker, 1));
    works(&world, "still").await;
    world.end().await;
}

#[tokio::test]
async fn a_stdio_server_that_is_unchanged_survives_with_its_state() {
    let record = Record::new();
    let world = stdio(&record).start_as(own).await;
    open(&world, "o").await;
    let server = pid_of_server(&world, "before").await;
    for round in 1..=3 {
        let slow = format!("slow{round}");
        world.plane.enqueue(tool(&slow, "sleep", r#"{"ms":700}"#));
        record.wait(&crate::calls::tag(&slow), 1).await;
        edit(&world.agent, "drain_timeout: 20s", "drain_timeout: 20000ms");
        edit(&world.agent, "drain_timeout: 20000ms", "drain_timeout: 20s");
        reload(&world.agent, round).await;
        // Without a new handshake, by the same process.
        // The old worker's poll waits longest and gets the first; the second has to wait for the server.
        assert_eq!(pid_of_server(&world, &format!("after{round}")).await, server);
        assert_eq!(pid_of_server(&world, &format!("later{round}")).await, server);
        assert_eq!(text_of(&world.plane.wait_for_response(&slow, SOON).await), "slept");
    }
    assert_eq!(record.count("\"initialize\""), 1);
    assert_eq!((world.agent.count("mcp child started"), world.agent.count("mcp child exited")), (1, 0));
    let log = world.end().await;
    assert!(!log.iter().any(|line| line.contains("killing") || line.contains("worker died")), "{log:#?}");
}

#[tokio::test]
async fn a_stdio_server_that_is_changed_is_replaced_and_the_old_one_finishes() {
    let record = Record::new();
    let world = stdio(&record).control("poll_timeout: 2s").start_as(own).await;
    open(&world, "o").await;
    let server = pid_of_server(&world, "before").await;
    world.plane.enqueue(tool("slow", "sleep", r#"{"ms":1500}"#));
    record.wait(&crate::calls::tag("slow"), 1).await;
    edit(&world.agent, "channel: main, ", "channel: main, env: {NEW: thing}, ");
    reload(&world.agent, 1).await;
    assert_eq!(text_of(&world.plane.wait_for_response("slow", SOON).await), "slept");
    eventually(|| (!alive(server)).then_some(())).await.expect("the old server was left over");
    open(&world, "again").await;
    assert_ne!(pid_of_server(&world, "after").await, server);
    assert!(text_of(&world.call(tool("env", "env", "{}")).await).contains("NEW=thing"));
    world.end().await;
}

#[tokio::test]
async fn a_new_stdio_server_that_cannot_start_refuses_the_reload() {
    let record = Record::new();
    let world = stdio(&record).start_as(own).await;
    open(&world, "o").await;
    let server = pid_of_server(&world, "before").await;
    // It may be executed as far as the configuration can see, and not by the kernel.
    let broken = world.agent.dir.path().join("broken");
    std::fs::write(&broken, "\x7fELF").unwrap();
    std::fs::set_permissions(&broken, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let text = std::fs::read_to_string(config(&world.agent)).unwrap();
    let command = format!("commands: [{{channel: broken, command: {:?}}}, ", broken.display().to_string());
    replace(&config(&world.agent), &text.replace("commands: [", &command));
    world.agent.signal("HUP");
    world.agent.logged(&["everything goes on as before"]).await;
    assert_eq!(pid_of_server(&world, "after").await, server);
    world.end().await;
}

#[tokio::test]
async fn workers_that_die_during_a_reload_lose_nothing_and_forward_nothing_twice() {
    let world = plan().top("restart: {backoff_min: 20ms}").control("poll_timeout: 1s").start_as(own).await;
    let held = ids("held");
    for id in &held {
        world.plane.enqueue(tool(id, "silent", "{}"));
    }
    eventually(|| held.iter().all(|id| received(&world.stub, id) == 1).then_some(())).await.unwrap();
    let old = world.agent.worker_pid();
    reload(&world.agent, 1).await;
    // The old one, while it finishes: it polls no more, so that nothing is given to the dead.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    kill(old, "KILL");
    all_failed(&world, &held, &["client_internal"]).await;
    works(&world, "one").await;
    let line = world.agent.logged(&["worker died", "signal=9"]).await;
    assert!(line.contains(&format!("calls_held={MANY}")), "{line}");
    // The new one, while nobody finishes.
    let (new, polls) = (world.agent.worker_pid(), world.plane.poll_count());
    kill(new, "KILL");
    left(&world, polls).await;
    works(&world, "two").await;
    for id in &held {
        world.plane.enqueue(tool(id, "silent", "{}"));
        is_failure(&world.plane.wait_for_responses(id, 2, SOON).await[1], &["client_internal"]);
        assert_eq!(received(&world.stub, id), 1, "{id} was forwarded more than once");
    }
    world.end().await;
}

#[tokio::test]
async fn a_stdio_server_of_a_worker_that_dies_while_it_finishes_is_replaced() {
    let record = Record::new();
    let world =
        stdio(&record).top("restart: {backoff_min: 20ms}").control("poll_timeout: 1s").start_as(own).await;
    open(&world, "o").await;
    let server = pid_of_server(&world, "before").await;
    world.plane.enqueue(tool("held", "silent", "{}"));
    record.wait(&crate::calls::tag("held"), 1).await;
    let old = world.agent.worker_pid();
    reload(&world.agent, 1).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    kill(old, "KILL");
    is_failure(&world.plane.wait_for_response("held", SOON).await, &["client_internal"]);
    open(&world, "again").await;
    assert_ne!(pid_of_server(&world, "after").await, server);
    assert_eq!(record.count(&crate::calls::tag("held")), 1);
    world.end().await;
}

#[tokio::test]
async fn reloads_during_a_reload_end_with_the_last_configuration() {
    let world = plan().start_as(own).await;
    for n in 0..12 {
        world.plane.accept_key(&format!("sk-{n}"));
        replace(&world.agent.dir.path().join("key"), &format!("sk-{n}"));
        world.agent.signal("HUP");
        tokio::time::sleep(Duration::from_millis(20)).await;
        works(&world, &format!("call{n}")).await;
    }
    let uses_last = || {
        let last = world.plane.polls().pop()?;
        (last.seen.header("authorization") == Some("Bearer sk-11")).then_some(())
    };
    let found = tokio::time::timeout(Duration::from_secs(60), async {
        while uses_last().is_none() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    found.await.expect("the last key is not used");
    works(&world, "after").await;
    assert_eq!(world.agent.count("worker died"), 0);
    world.end().await;
}

#[tokio::test]
async fn a_reload_right_after_the_start_does_not_wait_for_a_worker_that_never_served() {
    let world = plan().control("poll_timeout: 1s").start_as(own).await;
    for n in 0..6 {
        let worker = eventually(|| world.agent.child_with("worker")).await.unwrap();
        kill(worker, "KILL");
        eventually(|| (world.agent.count("worker died") > n).then_some(())).await.unwrap();
        world.agent.signal("HUP");
        tokio::time::sleep(Duration::from_millis(40 * u64::try_from(n).unwrap())).await;
    }
    let began = std::time::Instant::now();
    eventually(|| (crate::agent::children_of(world.agent.pid()).len() == 1).then_some(())).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(15));
    // What the dead ones had asked for is forgotten by then.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    works(&world, "after").await;
    assert_eq!(world.agent.count("killing the worker"), 0);
    world.end().await;
}

#[tokio::test]
async fn a_stop_during_a_reload_finishes_everything() {
    for pause in [0, 10, 60, 200] {
        let mut world = plan().start_as(own).await;
        world.plane.enqueue(tool("slow", "sleep", r#"{"ms":600}"#));
        eventually(|| (received(&world.stub, "slow") == 1).then_some(())).await.unwrap();
        world.agent.signal("HUP");
        tokio::time::sleep(Duration::from_millis(pause)).await;
        world.agent.signal("TERM");
        let status = world.agent.ended(Duration::from_secs(15)).await;
        assert_eq!(status.and_then(|s| s.code()), Some(0), "{:#?}", world.agent.log());
        assert_eq!(text_of(&world.plane.wait_for_response("slow", SOON).await), "slept");
        world.plane.assert_clean();
    }
}

#[tokio::test]
async fn the_service_manager_hears_of_the_beginning_and_the_end_of_a_reload() {
    let dir = crate::place::servers_dir();
    let path = dir.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    manager.set_nonblocking(true).unwrap();
    let world = plan().start_as(|setup| own(setup).env("NOTIFY_SOCKET", path.to_str().unwrap())).await;
    let mut heard = String::new();
    let mut hear = |what: &str| {
        let mut buffer = [0; 4096];
        while let Ok(n) = manager.recv(&mut buffer) {
            heard += std::str::from_utf8(&buffer[..n]).unwrap();
        }
        let at = heard.find(what)?;
        Some(heard.drain(..at + what.len()).collect::<String>())
    };
    eventually(|| hear("READY=1\n")).await.expect("not ready");
    world.agent.signal("HUP");
    let said = eventually(|| hear("RELOADING=1\nMONOTONIC_USEC=")).await.expect("not reloading");
    assert!(!said.contains("READY=1"), "{said}");
    eventually(|| hear("\nREADY=1\n")).await.expect("the reload does not end");
    replace(&config(&world.agent), "mcp: [");
    world.agent.signal("HUP");
    eventually(|| hear("RELOADING=1\n")).await.expect("not reloading");
    eventually(|| hear("READY=1\n")).await.expect("the refusal does not end");
    eventually(|| hear("STATUS=reload refused")).await.expect("no word of the refusal");
    world.end().await;
}

#[tokio::test]
async fn files_that_change_are_found_without_a_signal_and_touched_ones_are_left_alone() {
    let world = plan().top("reload_interval: 1s").start_as(own).await;
    let key = world.agent.dir.path().join("key");
    let same = std::fs::read_to_string(&key).unwrap();
    replace(&key, &same);
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(world.agent.count("reloading"), 0, "nothing has changed");
    world.plane.accept_key("sk-next");
    replace(&key, "sk-next");
    reloaded(&world.agent, 1).await;
    let ca = world.agent.dir.path().join("ca.pem");
    let bundle = std::fs::read_to_string(&ca).unwrap();
    replace(&ca, &format!("# the same\n{bundle}"));
    reloaded(&world.agent, 2).await;
    edit(&world.agent, "reload_interval: 1s", "reload_interval: 0");
    reloaded(&world.agent, 3).await;
    replace(&key, "sk-never");
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(world.agent.count("reloading"), 3, "it is off");
    works(&world, "after").await;
    world.end().await;
}
