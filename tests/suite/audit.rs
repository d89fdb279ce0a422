//! The audit log of a real agent: every call that was forwarded has its decision, whatever is killed and however full the
//! disk is, and what the commands say of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

use crate::agent::{SOMEBODY, SOON, eventually, kill};
use crate::calls::{plan, received, text_of, tool};
use crate::kill::is_failure;
use crate::lab::{ControlPlane, Options, Stub, StubOptions};
use crate::place::{agent, servers_dir};
use crate::world::{Plan, World};

/// The directory of a log that is begun, and its key elsewhere.
pub struct Log {
    dir: tempfile::TempDir,
}

/// The agent's program as a command.
pub fn tunnelward(args: &[&str]) -> Output {
    Command::new(agent()).args(args).output().unwrap()
}

impl Log {
    pub fn begin() -> Self {
        let log = Self { dir: servers_dir() };
        let (path, key) = (log.path(), log.key());
        let mut args = vec!["audit", "init", path.to_str().unwrap(), "--export", key.to_str().unwrap()];
        let owner = SOMEBODY.to_string();
        if rustix::process::geteuid().is_root() {
            args.extend(["--owner", &owner]);
        }
        let made = tunnelward(&args);
        assert!(made.status.success() && made.stdout.is_empty(), "{made:?}");
        log
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("audit")
    }

    pub fn key(&self) -> PathBuf {
        self.dir.path().join("key")
    }

    /// With these members more in the section.
    pub fn plan(&self, more: &str) -> Plan {
        plan().top(&format!("audit: {{path: {:?}{more}}}", self.path().display().to_string()))
    }

    fn verify(&self, more: &[&str]) -> (Option<i32>, Value) {
        let (path, key) = (self.path(), self.key());
        let mut args =
            vec!["audit", "verify", path.to_str().unwrap(), "--json", "--key", key.to_str().unwrap()];
        args.extend(more);
        let output = tunnelward(&args);
        (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
    }

    /// Nothing is wrong with it.
    #[track_caller]
    pub fn is_good(&self) -> Value {
        let (code, report) = self.verify(&[]);
        assert_eq!(code, Some(0), "{report:#}");
        assert_eq!(report["records"], report["authentic"]);
        report
    }

    pub fn records(&self) -> Vec<Value> {
        records(&self.path())
    }
}

fn records(directory: &Path) -> Vec<Value> {
    let output = tunnelward(&["audit", "show", directory.to_str().unwrap(), "--json"]);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

pub fn of<'a>(records: &'a [Value], event: &str) -> Vec<&'a Value> {
    records.iter().filter(|r| r["event"] == event).collect()
}

#[tokio::test]
async fn a_call_leaves_a_decision_and_an_end_with_one_id_and_nothing_of_what_was_said() {
    let log = Log::begin();
    let world = log.plan(", durability: each, checkpoints: 1h").start().await;
    let answer = world.call(tool("pay-1", "echo", r#"{"text":"a secret word"}"#)).await;
    assert_eq!(text_of(&answer), "a secret word");
    let told = world.end().await;
    let report = log.is_good();
    assert_eq!(report["calls"], serde_json::json!({"permitted": 1, "finished": 1, "open": []}));

    let records = log.records();
    let (decided, finished) = (of(&records, "call_decided"), of(&records, "call_finished"));
    assert_eq!((decided.len(), finished.len()), (1, 1));
    assert_eq!(decided[0]["call"], finished[0]["call"]);
    assert!(decided[0]["seq"].as_u64() < finished[0]["seq"].as_u64());
    for (member, value) in [
        ("decision", "permit"),
        ("request_id", "pay-1"),
        ("channel", "main"),
        ("kind", "request"),
        ("method", "tools/call"),
        ("name", "echo"),
    ] {
        assert_eq!(decided[0][member], value, "{:#}", decided[0]);
    }
    assert_eq!(decided[0]["argument_bytes"], r#"{"text":"a secret word"}"#.len());
    assert_eq!((&finished[0]["outcome"], &finished[0]["status"]), (&"answered".into(), &200.into()));
    assert!(finished[0]["result_bytes"].as_u64() > Some(10));
    let events: BTreeSet<&str> = records.iter().filter_map(|r| r["event"].as_str()).collect();
    let expected = [
        "call_decided",
        "call_finished",
        "checkpoint",
        "child_exit",
        "child_start",
        "confinement",
        "poll_authorised",
        "start",
        "stop",
    ];
    assert_eq!(events, BTreeSet::from(expected));
    assert_eq!(of(&records, "start")[0]["config_sha256"].as_str().map(str::len), Some(64));
    let all = serde_json::to_string(&records).unwrap();
    for secret in ["secret", Options::default().api_key.as_str()] {
        assert!(!all.contains(secret), "{secret}");
    }

    // The checkpoint that went to the log of the service fits, and another one does not.
    let line = told.iter().find(|l| l.contains("component=audit") && l.contains("msg=checkpoint")).unwrap();
    let field = |name: &str| line.split_whitespace().find_map(|w| w.strip_prefix(name)).unwrap().to_string();
    let checkpoint = format!("{}:{}", field("sequence="), field("hash="));
    assert_eq!(log.verify(&["--checkpoint", &checkpoint]).0, Some(0));
    assert_eq!(log.verify(&["--checkpoint", &checkpoint.replacen(char::is_numeric, "99", 1)]).0, Some(65));
}

#[tokio::test]
async fn what_the_policy_refuses_or_would_refuse_is_recorded_with_its_rule_and_so_is_a_reload() {
    let policy = |mode: &str| {
        format!(
            "policy: {{version: 1, mode: {mode}, rules: [{{id: talk, tools: [echo]}}, {{id: no, effect: deny, tools: [big]}}]}}"
        )
    };
    let log = Log::begin();
    let plan = log.plan("").top(&policy("enforce")).control("poll_timeout: 200ms");
    let world = plan.start().await;
    world.call(tool("r-1", "big", r#"{"bytes":1}"#)).await;
    world.call(tool("r-2", "sleep", "{}")).await;
    assert_eq!(world.stub.request_count(), 0);
    let path = world.agent.dir.path().join("tunnelward.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("mode: enforce", "mode: monitor")).unwrap();
    world.agent.signal("HUP");
    world.agent.logged(&["reloaded; the old worker finishes"]).await;
    // Its outstanding poll still brings calls to the old worker.
    world.agent.logged(&["worker ended"]).await;
    world.call(tool("r-3", "big", r#"{"bytes":1}"#)).await;
    std::fs::write(&path, text.replace("version: 1, mode", "version: 2, mode")).unwrap();
    world.agent.signal("HUP");
    world.agent.logged(&["reload refused; everything goes on as before"]).await;
    world.end().await;
    log.is_good();
    let records = log.records();
    let decided: Vec<_> = of(&records, "call_decided")
        .iter()
        .map(|r| (r["request_id"].as_str(), r["decision"].as_str(), r["rule"].as_str()))
        .collect();
    assert_eq!(
        decided,
        [
            (Some("r-1"), Some("deny"), Some("no")),
            (Some("r-2"), Some("deny"), Some("policy.default")),
            (Some("r-3"), Some("permit"), Some("no")),
        ]
    );
    let reloads = of(&records, "reload");
    let digest = |record: &Value| record["policy"].as_str().unwrap().to_string();
    assert!(reloads[0]["refused"].is_null() && digest(reloads[0]).len() == 64);
    assert_ne!(digest(reloads[0]), digest(of(&records, "start")[0]));
    // A record for each reason, and nothing has changed.
    let refused: Vec<&str> = reloads[1..].iter().map(|record| record["refused"].as_str().unwrap()).collect();
    assert!(
        refused.iter().any(|reason| reason.contains("policy") && reason.contains("version")),
        "{refused:?}"
    );
    assert!(reloads[1..].iter().all(|record| digest(record) == digest(reloads[0])));
}

#[tokio::test]
async fn an_answer_that_the_policy_replaces_is_recorded_with_the_rule() {
    let log = Log::begin();
    let plan = log
        .plan(", durability: each")
        .top("policy: {version: 1, rules: [{id: talk, tools: [echo]}], limits: {result_bytes: 64}}");
    let world = plan.start().await;
    let answer = world.call(tool("long", "echo", &format!(r#"{{"text":"{}"}}"#, "x".repeat(100)))).await;
    let said = answer.resp_json.as_deref().unwrap_or_default();
    assert!(said.contains("limits.result-bytes"), "{answer:?}");
    world.end().await;
    log.is_good();
    let records = log.records();
    let (decided, finished) = (of(&records, "call_decided"), of(&records, "call_finished"));
    assert_eq!((&decided[0]["decision"], &decided[0]["rule"]), (&"permit".into(), &Value::Null));
    assert_eq!(finished[0]["rule"], "limits.result-bytes", "{:#}", finished[0]);
}

#[tokio::test]
async fn the_commands_show_what_happened_and_obey_no_name_in_it() {
    let log = Log::begin();
    let world = log.plan("").start().await;
    world.call(tool("r-1", "echo", "{}")).await;
    world.call(tool("r-2", r"no\u001b[2Jtool", "{}")).await;
    world.end().await;
    let path = log.path();
    let path = path.to_str().unwrap();
    let text = |args: &[&str]| {
        let output = tunnelward(&[&["audit"], args].concat());
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.contains('\u{1b}'), "{text}");
        text
    };
    assert_eq!(text(&["show", path, "--tool", "echo"]).lines().count(), 2);
    assert_eq!(text(&["show", path, "--call", "r-2"]).lines().count(), 2);
    assert_eq!(text(&["show", path, "--until", "2001"]), "");
    let stats = text(&["stats", path]);
    assert!(stats.contains("main tools/call echo") && stats.contains("2 calls, 0 without an end"), "{stats}");
    for format in ["ecs", "ocsf", "cef"] {
        assert_eq!(text(&["export", path, "--format", format]).lines().count(), 2, "{format}");
    }
    assert!(text(&["verify", path]).contains("nothing is wrong"));
}

#[tokio::test]
async fn calls_of_a_killed_worker_are_in_doubt_and_their_end_is_recorded_all_the_same() {
    let log = Log::begin();
    let world = log.plan(", durability: os").start().await;
    let ids: Vec<String> = (0..4).map(|n| format!("held{n}")).collect();
    for id in &ids {
        world.plane.enqueue(tool(id, "silent", "{}"));
    }
    assert!(eventually(|| ids.iter().all(|id| received(&world.stub, id) == 1).then_some(())).await.is_some());
    kill(world.agent.worker_pid(), "KILL");
    for id in &ids {
        is_failure(&world.plane.wait_for_response(id, SOON).await, &["client_internal"]);
    }
    world.end().await;
    assert_eq!(log.is_good()["calls"]["open"], serde_json::json!([]));
    let records = log.records();
    let in_doubt: BTreeSet<_> = of(&records, "call_in_doubt").iter().map(|r| r["call"].to_string()).collect();
    let ended = of(&records, "call_finished").into_iter().filter(|r| r["in_doubt"] == true);
    assert_eq!(in_doubt.len(), 4);
    assert_eq!(in_doubt, ended.map(|r| r["call"].to_string()).collect());
    let killed = of(&records, "child_exit").into_iter().filter(|r| r["signal"] == 9).count();
    assert_eq!(killed, 1);
}

/// Keeps the agent busy until so many calls have reached the server.
async fn busy(plane: &ControlPlane, stub: &Stub, from: usize, reach: usize) {
    for n in from..from + 2 * reach {
        plane.enqueue(tool(&format!("call{n}"), "echo", r#"{"text":"x"}"#));
    }
    let before = stub.requests().len();
    let reached = eventually(|| (stub.requests().len() >= before + reach).then_some(())).await;
    assert!(reached.is_some(), "{} requests", stub.requests().len() - before);
}

#[tokio::test]
async fn no_call_is_forwarded_without_its_decision_when_the_broker_is_killed() {
    let log = Log::begin();
    let plan = log.plan(", durability: each, rotation: {size: 65536}");
    let plane = ControlPlane::start(Options::default()).await;
    let stub = Stub::start(StubOptions::default()).await;
    let mut starts = 0;
    for round in 0..3 {
        let mut agent = plan.setup(&plane, &stub).start();
        starts += 1;
        busy(&plane, &stub, round * 1000, 150).await;
        agent.signal("KILL");
        agent.ended(SOON).await.unwrap();
        // As it was left, and as the next start finds it.
        log.is_good();
        let decided: BTreeSet<String> = of(&log.records(), "call_decided")
            .iter()
            .filter(|r| r["decision"] == "permit")
            .map(|r| r["request_id"].as_str().unwrap().to_owned())
            .collect();
        let calls = stub.requests().len();
        assert!(calls >= 150 * (round + 1));
        for request in stub.requests() {
            let text = request.text();
            let tag = text.split("\"tag\":\"").nth(1).and_then(|rest| rest.split('"').next());
            assert!(tag.is_none_or(|tag| decided.contains(tag)), "{text} was forwarded without a decision");
        }
    }
    let mut agent = plan.setup(&plane, &stub).start();
    agent.logged(&["tunnel-client started"]).await;
    agent.signal("TERM");
    assert_eq!(agent.ended(Duration::from_secs(60)).await.and_then(|s| s.code()), Some(0));
    log.is_good();
    let records = log.records();
    assert_eq!(of(&records, "start").len(), starts + 1);
    assert!(of(&records, "rotation").len() > 1);
}

#[tokio::test]
async fn a_log_that_cannot_be_opened_ends_the_start_with_73() {
    let log = Log::begin();
    std::fs::remove_file(log.path().join("state")).unwrap();
    for (path, says) in [
        (log.path(), "tunnelward audit init"),
        (log.dir.path().join("absent"), "No such file"),
        ("/proc/1".into(), "audit"),
    ] {
        let plan = plan().top(&format!("audit: {{path: {:?}}}", path.display().to_string()));
        let mut world = plan.start_without_waiting().await;
        assert_eq!(world.agent.ended(SOON).await.and_then(|s| s.code()), Some(73), "{}", path.display());
        world.agent.logged(&["the audit log cannot be opened", says]).await;
        assert_eq!(world.plane.poll_count(), 0);
    }
}

#[tokio::test]
async fn without_the_section_the_start_says_that_nothing_is_recorded() {
    let world = plan().start().await;
    world.agent.logged(&["calls are not recorded"]).await;
    world.end().await;
}

/// An agent whose log is on a file system of 128 KiB, which only it sees.
pub struct Small {
    pub world: World,
    _log: Log,
    seen_from_here: PathBuf,
}

async fn small(on_failure: &str) -> Small {
    small_with(on_failure, |plan| plan).await
}

pub async fn small_with(on_failure: &str, change: impl FnOnce(Plan) -> Plan) -> Small {
    use std::os::unix::fs::PermissionsExt as _;
    let log = Log::begin();
    let path = log.path();
    let script = log.dir.path().join("agent");
    let inside = format!(
        "mount -t tmpfs -o size=128k,mode=0700 small {path} && {agent} audit init {path} --owner {SOMEBODY} && exec {agent} \"$@\"",
        path = path.display(),
        agent = agent().display()
    );
    let text = format!("#!/bin/sh\nexec unshare --mount sh -c '{inside}' sh \"$@\"\n");
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let plan = change(log.plan(&format!(", durability: each, on_failure: {on_failure}")));
    let plane = ControlPlane::start(Options::default()).await;
    let stub = Stub::start(StubOptions::default()).await;
    let agent = crate::asking::own(plan.setup(&plane, &stub)).program(script).start();
    plane.wait_for_poll(1, SOON).await;
    let seen_from_here = PathBuf::from(format!("/proc/{}/root{}", agent.pid(), path.display()));
    Small { world: World { plane, stub, agent }, _log: log, seen_from_here }
}

impl Small {
    /// Leaves no block free. The last one of the log has room for some records yet.
    pub fn fill(&self) {
        let filled = std::fs::write(self.seen_from_here.join("filler"), vec![0; 1 << 20]);
        assert_eq!(filled.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    }

    pub fn free(&self) {
        std::fs::remove_file(self.seen_from_here.join("filler")).unwrap();
    }
}

#[tokio::test]
async fn on_a_full_disk_calls_are_refused_and_with_room_they_are_forwarded_again() {
    let small = small("refuse").await;
    let world = &small.world;
    assert_eq!(text_of(&world.call(tool("before", "echo", r#"{"text":"1"}"#)).await), "1");
    small.fill();
    let (mut recorded, mut refused) = (0, None);
    for n in 0..20 {
        let id = format!("full{n}");
        let answer = world.call(tool(&id, "echo", r#"{"text":"x"}"#)).await;
        if answer.resp_code == 200 {
            recorded += 1;
            continue;
        }
        is_failure(&answer, &["client_internal"]);
        assert_eq!(received(&world.stub, &id), 0, "{id} was refused and forwarded");
        refused = Some(id);
        break;
    }
    let refused = refused.expect("no call was refused");
    world.agent.logged(&["the audit log cannot be written; calls are refused", "No space left"]).await;
    small.free();
    let again = eventually(|| (world.agent.count("the audit log is written again") > 0).then_some(())).await;
    assert!(again.is_some());
    // Refused is as if it had never come: delivered again, it is forwarded.
    world.plane.enqueue(tool(&refused, "echo", r#"{"text":"y"}"#));
    let both = world.plane.wait_for_responses(&refused, 2, SOON).await;
    assert_eq!(text_of(&both[1]), "y");

    // The record of an end follows the answer.
    let finished = || of(&records(&small.seen_from_here), "call_finished").len();
    eventually(|| (finished() == recorded + 2).then_some(())).await.expect("the ends are recorded");
    let output = tunnelward(&["audit", "verify", small.seen_from_here.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let records = records(&small.seen_from_here);
    let outage = of(&records, "outage");
    assert_eq!(outage.len(), 1);
    assert!(outage[0]["refused"].as_u64() >= Some(1), "{:#}", outage[0]);
    small.world.end().await;
}

#[tokio::test]
async fn on_a_full_disk_the_agent_stops_with_73_if_it_is_told_to() {
    let mut small = small("stop").await;
    small.fill();
    for n in 0..20 {
        small.world.plane.enqueue(tool(&format!("full{n}"), "echo", "{}"));
    }
    let ended = small.world.agent.ended(Duration::from_secs(60)).await;
    assert_eq!(ended.and_then(|s| s.code()), Some(73));
}

#[tokio::test]
async fn on_a_full_disk_calls_go_on_unrecorded_if_they_are_told_to() {
    let small = small("continue").await;
    small.fill();
    for n in 0..20 {
        let answer = small.world.call(tool(&format!("full{n}"), "echo", r#"{"text":"x"}"#)).await;
        assert_eq!(text_of(&answer), "x");
    }
    let world = &small.world;
    world.agent.logged(&["the audit log cannot be written; calls are not recorded"]).await;
    small.free();
    let again = eventually(|| (world.agent.count("the audit log is written again") > 0).then_some(())).await;
    assert!(again.is_some());
    // What is kept in memory is written as soon as there is room.
    let records = records(&small.seen_from_here);
    assert_eq!((of(&records, "call_decided").len(), of(&records, "outage").len()), (20, 1));
    small.world.end().await;
}
