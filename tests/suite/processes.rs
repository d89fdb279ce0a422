//! What each process is and has, read from `/proc` of a running agent.

use std::collections::BTreeSet;
use std::fs;

use crate::agent::{SOON, children_of, eventually};
use crate::lab::{ControlPlane, Options, Stub, StubOptions};
use crate::world::{Plan, World};

/// The inodes of local SEQPACKET sockets, from `/proc/net/unix` (type 0005).
fn seqpackets() -> BTreeSet<String> {
    let table = fs::read_to_string("/proc/net/unix").unwrap();
    let fields = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    fields.filter(|f| f.get(4) == Some(&"0005")).map(|f| format!("socket:[{}]", f[6])).collect()
}

fn descriptors(pid: u32) -> Vec<(String, String)> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let mut all: Vec<_> = entries
        .map(|e| {
            let target = fs::read_link(e.path()).unwrap_or_default();
            (e.file_name().to_string_lossy().into_owned(), target.to_string_lossy().into_owned())
        })
        .collect();
    all.sort();
    all
}

fn status(pid: u32, field: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with(field)).unwrap();
    line[field.len()..].trim_start_matches(':').trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_inherits_a_socket_to_the_broker_and_nothing_else() {
    let world = World::new().await;
    let worker = world.agent.worker_pid();
    assert_eq!(fs::read(format!("/proc/{worker}/environ")).unwrap(), b"");
    assert_eq!(fs::read_link(format!("/proc/{worker}/cwd")).unwrap().to_str(), Some("/"));
    assert_eq!(status(worker, "Threads"), "1");
    let own = seqpackets();
    let mut sockets_to_broker = 0;
    for (number, target) in descriptors(worker) {
        match number.as_str() {
            "0" | "1" => assert_eq!(target, "/dev/null"),
            "2" => assert!(target.starts_with("pipe:"), "{target}"),
            _ if own.contains(&target) => sockets_to_broker += 1,
            // What the runtime opens for itself, and TCP.
            _ => assert!(
                target.starts_with("socket:") || target.starts_with("anon_inode:[event"),
                "descriptor {number} is {target}"
            ),
        }
    }
    assert_eq!(sockets_to_broker, 1);
    assert!(children_of(worker).is_empty());
    world.end().await;
}

/// The lines of `/proc/<pid>/task/*/status` that start with these fields, for every thread.
fn of_every_thread(pid: u32, field: &str) -> BTreeSet<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    tasks
        .map(|task| {
            let status = fs::read_to_string(task.path().join("status")).unwrap();
            let line = status.lines().find(|l| l.starts_with(field)).unwrap();
            line[field.len()..].split_whitespace().collect::<Vec<_>>().join(" ")
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_thread_of_every_process_is_confined_and_without_privileges() {
    let world = Plan::new().stdio("", "").start().await;
    let broker = world.agent.pid();
    let children = eventually(|| Some(children_of(broker)).filter(|c| c.len() == 2)).await.unwrap();
    let root = rustix::process::geteuid().is_root();
    let filters =
        |pid| of_every_thread(pid, "Seccomp_filters:").into_iter().map(|n| n.parse::<u32>().unwrap());
    let of_broker = filters(broker).max().unwrap();
    for pid in children.into_iter().chain([broker]) {
        for (field, expected) in [
            ("Seccomp:", "2"),
            ("NoNewPrivs:", "1"),
            ("CapInh:", "0000000000000000"),
            ("CapPrm:", "0000000000000000"),
            ("CapEff:", "0000000000000000"),
            ("CapAmb:", "0000000000000000"),
        ] {
            assert_eq!(of_every_thread(pid, field), [expected.to_string()].into(), "{pid}: {field}");
        }
        for field in ["Uid:", "Gid:"] {
            for ids in of_every_thread(pid, field) {
                assert!(ids.split(' ').all(|id| id != "0"), "{pid}: {field} {ids}");
            }
        }
        if root {
            // An ordinary user cannot empty it, and cannot use it either.
            assert_eq!(of_every_thread(pid, "CapBnd:"), ["0000000000000000".to_string()].into());
            assert_eq!(of_every_thread(pid, "Groups:"), [String::new()].into());
        }
        assert!(pid == broker || filters(pid).all(|n| n > of_broker), "{pid} adds filters to the broker's");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_environment_is_left_in_the_broker() {
    let plane = ControlPlane::start(Options { tls: true, ..Options::default() }).await;
    let stub = Stub::start(StubOptions::default()).await;
    let agent = Plan::new().setup(&plane, &stub).env("CONTROL_PLANE_ORGANIZATION_ID", "org-wiped").start();
    plane.wait_for_poll(1, SOON).await;
    let environment = fs::read(format!("/proc/{}/environ", agent.pid())).unwrap();
    assert!(environment.iter().all(|b| *b == 0), "{}", String::from_utf8_lossy(&environment));
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_is_the_process_that_was_started_and_has_one_thread_and_no_network() {
    let world = Plan::new().stdio("", "").start().await;
    let broker = world.agent.pid();
    let children = eventually(|| Some(children_of(broker)).filter(|c| c.len() == 2)).await;
    assert!(children.is_some_and(|c| c.contains(&world.agent.worker_pid())), "worker and server");
    assert_eq!(status(broker, "Threads"), "1");
    let own = seqpackets();
    for (number, target) in descriptors(broker) {
        let is_foreign = target.starts_with("socket:") && !own.contains(&target);
        assert!(!is_foreign, "descriptor {number} is {target}");
    }
    world.end().await;
}
