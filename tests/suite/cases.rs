//! What the tests of single cases share: commands, worlds that begin with a full queue, and looks at what came back.

use std::time::Duration;

use serde_json::value::RawValue;

use crate::agent::{Agent, SOON, Setup, eventually};
use crate::lab::{Command, ControlPlane, Fault, On, Options, Reply, ResponseRecord, Stub, StubOptions};
use crate::world::{Plan, World};

/// A call of a tool of the stub, with the JSON-RPC id 1.
pub fn tool(request_id: &str, name: &str, arguments: &str) -> Command {
    Command::call(request_id, "1", "tools/call", &format!(r#"{{"name":"{name}","arguments":{arguments}}}"#))
}

/// A call that is answered at once.
pub fn echo(request_id: &str) -> Command {
    tool(request_id, "echo", &format!(r#"{{"text":"{request_id}"}}"#))
}

/// A call that is answered after so many milliseconds.
pub fn sleep(request_id: &str, ms: u64) -> Command {
    tool(request_id, "sleep", &format!(r#"{{"ms":{ms}}}"#))
}

/// A control plane over TLS that offers HTTP/2.
pub fn options() -> Options {
    Options { tls: true, ..Options::default() }
}

/// Starts everything; `before` may fill the queue and set faults before the agent runs, so that its first poll meets
/// them. Returns once the agent has polled.
pub async fn world(
    plan: Plan,
    options: Options,
    before: impl FnOnce(Setup, &ControlPlane) -> Setup,
) -> World {
    let plane = ControlPlane::start(options).await;
    let stub = Stub::start(StubOptions::default()).await;
    let setup = before(plan.setup(&plane, &stub), &plane);
    let world = World { plane, stub, agent: setup.start() };
    world.plane.wait_for_poll(1, SOON).await;
    world
}

/// A world in which the first poll brings all of these elements of `commands`, in one body.
pub async fn batch(plan: Plan, elements: &[String]) -> World {
    world(plan, options(), |setup, plane| {
        elements.iter().for_each(|text| plane.enqueue_raw(text));
        setup
    })
    .await
}

/// A world in which a poll brings exactly this body, whatever was asked for. The control plane knows the elements as
/// delivered, so that it can judge their answers. `polls` says how many polls it takes to take them from the queue.
pub async fn exact(plan: Plan, elements: &[String], polls: usize, reply: Reply) -> World {
    world(plan, options(), |setup, plane| {
        elements.iter().for_each(|text| plane.enqueue_raw(text));
        let swallow =
            Fault { body: Some("{}".into()), process: Some(true), times: polls, ..Fault::on(On::Poll) };
        plane.fault(swallow);
        plane.serve_poll_raw(reply);
        setup
    })
    .await
}

/// The body of a poll with these elements.
pub fn body_of(elements: &[String]) -> String {
    format!("{{\"commands\":[{}]}}", elements.join(","))
}

/// Starts an agent that must end by itself with this code before it sends anything.
pub async fn refused(plan: Plan, code: i32, change: impl FnOnce(Setup) -> Setup) -> Agent {
    let plane = ControlPlane::start(options()).await;
    let stub = Stub::start(StubOptions::default()).await;
    let mut agent = change(plan.setup(&plane, &stub)).start();
    let status = agent.ended(SOON).await;
    assert_eq!(status.and_then(|s| s.code()), Some(code), "log:\n{}", agent.log().join("\n"));
    assert_eq!(plane.server().accepted() + stub.server().accepted(), 0, "nothing may be contacted");
    agent
}

/// Waits until something is true.
pub async fn until(what: &str, mut look: impl FnMut() -> bool) {
    assert!(eventually(|| look().then_some(())).await.is_some(), "not within {SOON:?}: {what}");
}

/// The number after `name=` in a log line.
pub fn number(line: &str, name: &str) -> u64 {
    let (_, rest) = line.split_once(&format!("{name}=")).unwrap_or_else(|| panic!("no {name} in {line}"));
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("no number {name} in {line}"))
}

/// A member of an object as raw text.
pub fn raw_member(json: &str, name: &str) -> String {
    let all: std::collections::BTreeMap<String, &RawValue> = serde_json::from_str(json).unwrap();
    all.get(name).unwrap_or_else(|| panic!("no {name} in {json}")).get().to_owned()
}

/// Asserts that the answer is that of the stub's tool, not a failure.
#[track_caller]
pub fn assert_answered(record: &ResponseRecord) {
    assert_eq!((record.resp_type.as_str(), record.resp_code), ("jsonrpc_response", 200));
    assert!(record.rpc()["result"]["content"].is_array(), "{:?}", record.resp_json);
}

/// Asserts that the answer is the JSON-RPC error with this HTTP code, and returns its message.
#[track_caller]
pub fn assert_error(record: &ResponseRecord, http: u16, rpc: i64) -> String {
    assert_eq!((record.resp_type.as_str(), record.resp_code), ("jsonrpc_response", http));
    assert_eq!(record.rpc()["error"]["code"], rpc, "{:?}", record.resp_json);
    record.rpc()["error"]["message"].as_str().unwrap().to_owned()
}

/// Waits for the terminal answer to a command that is already queued.
pub async fn answer(world: &World, request_id: &str) -> ResponseRecord {
    world.plane.wait_for_response(request_id, SOON).await
}

/// How long something that must not happen is waited for.
pub const A_WHILE: Duration = Duration::from_millis(400);
