//! The audit log under fire: 10000 calls during which worker and broker are killed again and again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::agent::{Agent, SOON, eventually, kill};
use crate::audit::{Log, of};
use crate::calls::tool;
use crate::lab::{ControlPlane, Options, Stub, StubOptions};

/// Calls that reach the server.
const CALLS: usize = 10_000;
/// How many of them from one death to the next. The third is the broker's each time, the others are the worker's.
const BETWEEN: usize = 400;

/// The names of the calls that the server got.
type Forwarded = Arc<Mutex<BTreeSet<String>>>;

/// Takes down what the server gets.
fn watch(stub: &Stub) -> Forwarded {
    let forwarded = Forwarded::default();
    let seen = forwarded.clone();
    stub.handler(move |request| {
        let text = request.text();
        let name = text.split("\"tag\":\"").nth(1).and_then(|rest| rest.split('"').next());
        seen.lock().unwrap().insert(name.expect("every call has a name").to_owned());
        None
    });
    forwarded
}

/// The log, as it was left: nothing is wrong with it, it has the decision about every call that was forwarded, and what it
/// says is open is what has a decision and no end.
fn check(log: &Log, forwarded: &Forwarded) {
    let report = log.is_good();
    let records = log.records();
    let text = |record: &serde_json::Value, member: &str| record[member].as_str().map(str::to_owned);
    let mut open = BTreeMap::new();
    let mut decided = BTreeSet::new();
    for record in of(&records, "call_decided") {
        if record["decision"] == "permit" {
            open.insert(text(record, "call").unwrap(), record["seq"].as_u64().unwrap());
            decided.insert(text(record, "request_id").unwrap());
        }
    }
    let permitted = open.len();
    for record in of(&records, "call_finished") {
        assert!(
            open.remove(&text(record, "call").unwrap()).is_some(),
            "an end without a beginning: {record:#}"
        );
    }
    let missing: Vec<String> = forwarded.lock().unwrap().difference(&decided).cloned().collect();
    assert!(missing.is_empty(), "forwarded without a decision: {missing:?}");
    let calls = &report["calls"];
    assert_eq!(calls["permitted"], permitted);
    assert_eq!(calls["finished"], permitted - open.len());
    let said: BTreeMap<String, u64> = calls["open"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| (text(call, "call").unwrap(), call["sequence"].as_u64().unwrap()))
        .collect();
    assert_eq!(said, open, "the calls in doubt are told exactly");
}

#[tokio::test(flavor = "multi_thread")]
async fn during_ten_thousand_calls_no_death_takes_a_decision_with_it() {
    let log = Log::begin();
    let restart = "restart: {times: 100, window: 1s, backoff_min: 10ms, backoff_max: 50ms}";
    let plan = log.plan(", durability: each, rotation: {size: 1048576, files: 100}").top(restart);
    let plane = ControlPlane::start(Options::default()).await;
    let stub = Stub::start(StubOptions::default()).await;
    let forwarded = watch(&stub);
    let mut agent = plan.setup(&plane, &stub).start();
    let (mut fed, mut deaths) = (0, [0; 2]);
    while stub.request_count() < CALLS {
        let goal = stub.request_count() + BETWEEN;
        // More than are needed: those that a broker held when it was killed are lost with it.
        for n in fed..fed + BETWEEN + 100 {
            plane.enqueue(tool(&format!("call{n}"), "echo", r#"{"text":"x"}"#));
        }
        fed += BETWEEN + 100;
        let reached = eventually(|| (stub.request_count() >= goal).then_some(())).await;
        assert!(reached.is_some(), "{} of {goal} requests: {}", stub.request_count(), agent.log().join("\n"));
        if (deaths[0] + deaths[1]) % 3 == 2 {
            deaths[1] += 1;
            agent.signal("KILL");
            agent.ended(SOON).await.unwrap();
            check(&log, &forwarded);
            agent = plan.setup(&plane, &stub).start();
        } else {
            deaths[0] += 1;
            replaced(&agent).await;
        }
    }
    assert!(deaths[0] >= 10 && deaths[1] >= 5, "{deaths:?}");
    agent.logged(&["tunnel-client started"]).await;
    agent.signal("TERM");
    assert_eq!(agent.ended(Duration::from_secs(60)).await.and_then(|s| s.code()), Some(0));
    check(&log, &forwarded);
    let names = forwarded.lock().unwrap().len();
    assert_eq!(names, stub.request_count(), "something was forwarded twice");
    let records = log.records();
    assert_eq!(of(&records, "start").len(), deaths[1] + 1);
    let killed = of(&records, "child_exit").into_iter().filter(|r| r["signal"] == 9).count();
    assert_eq!(killed, deaths[0]);
    assert!(of(&records, "rotation").len() > 2);
    eprintln!("{names} calls forwarded, {} records, deaths of worker and broker: {deaths:?}", records.len());
}

/// Kills the worker, and waits for another.
async fn replaced(agent: &Agent) {
    let old = eventually(|| agent.child_with("worker")).await.expect("a worker runs");
    kill(old, "KILL");
    eventually(|| agent.child_with("worker").filter(|pid| *pid != old)).await.expect("a new worker runs");
}
