//! Key, client certificate, trust anchors and configuration are replaced under load: nothing is lost, nothing forwarded
//! twice, nothing fails.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::agent::SOON;
use crate::calls::{Record, open, plan, tag, text_of, tool};
use crate::lab::pki::Ca;
use crate::lab::{Command, ResponseRecord};
use crate::reload::{edit, own, reload, replace};
use crate::world::{Plan, World};

const CALLS: usize = 2000;
const CONCURRENCY: usize = 20;

fn id(n: usize) -> String {
    format!("c{n}")
}

/// A control plane that lets in only who shows a certificate of its authority.
fn mutual() -> Plan {
    plan().plane(|options| (options.tls, options.require_client_cert) = (true, true))
}

/// The ordinary call: it is answered with its own number.
fn echo(n: usize) -> Command {
    tool(&id(n), "echo", &format!("{{\"text\":\"{n}\"}}"))
}

fn echoed(n: usize, answer: &ResponseRecord) {
    assert_eq!(text_of(answer), n.to_string());
}

/// Makes all calls while everything is replaced.
async fn rotate(world: World, call: fn(usize) -> Command, check: fn(usize, &ResponseRecord)) -> World {
    let world = Arc::new(world);
    let next = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..CONCURRENCY)
        .map(|_| {
            let (world, next) = (Arc::clone(&world), Arc::clone(&next));
            tokio::spawn(async move {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= CALLS {
                        return;
                    }
                    let mut answers = world.plane.enqueue_watched(call(n));
                    let answer = tokio::time::timeout(SOON * 3, answers.recv()).await.expect("lost").unwrap();
                    check(n, &answer);
                }
            })
        })
        .collect();
    let reached = |share: usize| {
        let next = Arc::clone(&next);
        async move {
            let until = std::time::Instant::now() + SOON;
            while next.load(Ordering::Relaxed) < CALLS * share / 100 {
                assert!(std::time::Instant::now() < until, "calls are stuck");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    };
    let dir = world.agent.dir.path().to_path_buf();
    reached(10).await;
    world.plane.accept_key("sk-next");
    replace(&dir.join("key"), "sk-next");
    reload(&world.agent, 1).await;
    reached(30).await;
    let bundle = std::fs::read_to_string(dir.join("ca.pem")).unwrap();
    replace(&dir.join("ca.pem"), &format!("{}{bundle}", Ca::new().pem()));
    reload(&world.agent, 2).await;
    reached(50).await;
    edit(&world.agent, "poll_grace: 50ms", "poll_grace: 60ms");
    reload(&world.agent, 3).await;
    reached(70).await;
    let identity = world.plane.ca.client("the next");
    replace(&dir.join("client.pem"), &identity.cert_pem);
    replace(&dir.join("client.key"), &identity.key_pem);
    reload(&world.agent, 4).await;
    assert!(next.load(Ordering::Relaxed) < CALLS, "the load ended before the last reload");
    for caller in callers {
        caller.await.unwrap();
    }
    let shown: BTreeSet<_> =
        world.plane.connections().iter().map(|c| c.client_cert.clone().unwrap()).collect();
    assert_eq!(shown.len(), 2, "the old certificate and the new one");
    Arc::try_unwrap(world).unwrap_or_else(|_| panic!("a caller is left"))
}

/// Asserts that every call is there exactly once, given how often each was seen.
#[track_caller]
fn once(what: &str, texts: impl Iterator<Item = String>) {
    let mut seen: BTreeMap<usize, usize> = BTreeMap::new();
    for text in texts {
        let tagged = text.split(r#""tag":"c"#).nth(1).and_then(|rest| rest.split('"').next());
        if let Some(n) = tagged.and_then(|n| n.parse().ok()) {
            *seen.entry(n).or_default() += 1;
        }
    }
    let wrong: Vec<_> = (0..CALLS).filter(|n| seen.get(n) != Some(&1)).map(|n| (n, seen.get(&n))).collect();
    assert!(wrong.is_empty(), "{what}: {wrong:?} (tags look like {})", tag("c0"));
}

/// Every call was answered once.
fn answered(world: &World) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for response in world.plane.responses() {
        assert_eq!(response.status, 200, "{}", response.request_id);
        *seen.entry(response.request_id).or_default() += 1;
    }
    assert!((0..CALLS).all(|n| seen.get(&id(n)) == Some(&1)), "not every call was answered once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotation_under_load_over_http_loses_doubles_and_fails_nothing() {
    let world = rotate(mutual().start_as(own).await, echo, echoed).await;
    answered(&world);
    once("forwarded", world.stub.requests().iter().map(|request| request.text().to_string()));
    assert_eq!((world.agent.count("worker started"), world.agent.count("worker died")), (5, 0));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotation_under_load_over_stdio_loses_doubles_and_fails_nothing_and_keeps_the_server() {
    let record = Record::new();
    let world = mutual().stdio(&record.flag(), "").start_as(own).await;
    open(&world, "o").await;
    let world = rotate(world, echo, echoed).await;
    answered(&world);
    once("forwarded", record.lines().into_iter().map(|(_, line)| line));
    let servers: BTreeSet<u64> = record.lines().into_iter().map(|(pid, _)| pid).collect();
    assert_eq!(servers.len(), 1, "the server was replaced");
    assert_eq!(record.count("\"initialize\""), 1);
    world.end().await;
}

/// A real server with state: every call adds an entity to its graph and is told that it was new, which it is once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotation_under_load_over_a_real_server_keeps_its_state() {
    let packages =
        std::env::var("TUNNELWARD_INTEROP").expect("run `scripts/test --prepare` and set TUNNELWARD_INTEROP");
    let dir = crate::place::servers_dir();
    let (dir, graph) = (dir.path().display(), dir.path().join("graph.json"));
    // It reads and writes its file for every call, one after the other only.
    let binding = format!(
        "  commands:\n  - channel: main\n    command: /usr/bin/node {packages}/node/node_modules/@modelcontextprotocol/\
         server-memory/dist/index.js\n    serialize: true\n    env: {{MEMORY_FILE_PATH: {graph:?}}}\n    \
         confinement: {{write: ['{dir}']}}\n"
    );
    let world = mutual().bindings(binding).start_as(own).await;
    open(&world, "o").await;
    let create = |n: usize| {
        let entity = format!(r#"{{"name":"e{n}","entityType":"x","observations":[]}}"#);
        tool(&id(n), "create_entities", &format!(r#"{{"entities":[{entity}]}}"#))
    };
    let created = |n: usize, answer: &ResponseRecord| {
        assert!(text_of(answer).contains(&format!("\"e{n}\"")), "{}", text_of(answer));
    };
    let world = rotate(world, create, created).await;
    answered(&world);
    let all = text_of(&world.call(tool("all", "read_graph", "{}")).await);
    assert_eq!(all.matches("\"entityType\"").count(), CALLS);
    assert_eq!((world.agent.count("mcp child started"), world.agent.count("mcp child exited")), (1, 0));
    world.end().await;
}
