use super::*;
use crate::mcp::failure::{Failure, Kind as FailureKind};

const POLICY: &str = r#"{"version":1,"channels":["main"],
    "limits":{"result_bytes":200,"in_flight":1},
    "headers":{"request":["X-Kept"],"answer":["mcp-session-id"]},
    "rules":[{"id":"t","tools":["echo"]},{"id":"l","methods":["tools/list","notifications/x"]}]}"#;

fn guard(text: &str) -> (Guard, Arc<Mutex<Vec<String>>>) {
    let (log, lines) = Log::memory();
    (Guard::new(Some(text), &log).unwrap(), lines)
}

fn message(text: &str) -> jsonrpc::Message {
    jsonrpc::parse(&Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

fn call(name: &str) -> jsonrpc::Message {
    message(&format!(r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"{name}"}}}}"#))
}

fn list() -> jsonrpc::Message {
    message(r#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#)
}

fn headers(names: &[&'static str]) -> HeaderMap {
    names
        .iter()
        .map(|name| (http::HeaderName::from_static(name), http::HeaderValue::from_static("v")))
        .collect()
}

fn answer(body: &str) -> Answer {
    let headers = headers(&["content-type", "mcp-session-id", "www-authenticate"]);
    Answer { code: 200, headers, body: Some(Bytes::copy_from_slice(body.as_bytes())), failure: None }
}

fn text(answer: &Answer) -> &str {
    std::str::from_utf8(answer.body.as_ref().unwrap()).unwrap()
}

#[test]
fn a_refusal_names_the_rule_and_is_logged_with_the_reason() {
    let (guard, lines) = guard(POLICY);
    let found = guard.message("r1", "main", &call("rm"), &mut HeaderMap::new());
    assert_eq!(found.err().as_deref(), Some("policy.default"));
    let line = lines.lock().unwrap().last().cloned().unwrap();
    for part in ["call refused", "request_id=r1", "rule=policy.default", "name=rm", "no rule allows it"] {
        assert!(line.contains(part), "{line}");
    }
    let long = "x".repeat(100_000);
    assert!(guard.message("r1", "main", &call(&long), &mut HeaderMap::new()).is_err());
    assert!(lines.lock().unwrap().last().unwrap().len() < 1000);
    let reply = answers::refused(Some("7"), "policy.default");
    let expected = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32050,"message":"Refused by the call policy","data":{"origin":"tunnelward","rule":"policy.default"}}}"#;
    assert_eq!((reply.code, reply.body.as_deref()), (200, Some(expected.as_bytes())));
    let ack = answers::refused(None, "policy.default");
    assert_eq!((ack.code, ack.body), (202, None));
}

#[test]
fn a_call_counts_as_in_flight_until_its_pass_is_dropped() {
    let (guard, _) = guard(POLICY);
    let mut none = HeaderMap::new();
    let first = guard.message("r1", "main", &call("echo"), &mut none).unwrap();
    assert_eq!(
        guard.message("r2", "main", &call("echo"), &mut none).err().as_deref(),
        Some("limits.in-flight")
    );
    drop(first);
    assert!(guard.message("r3", "main", &call("echo"), &mut none).is_ok());
}

#[test]
fn headers_are_narrowed_both_ways_and_mcps_own_stay() {
    let (guard, _) = guard(POLICY);
    let mut sent =
        headers(&["authorization", "x-kept", "x-other", "mcp-session-id", "mcp-param-a", "accept"]);
    let pass = guard.message("r1", "main", &call("echo"), &mut sent).unwrap();
    assert_eq!(sent, headers(&["x-kept", "mcp-session-id", "mcp-param-a", "accept"]));
    let answered = pass.answer(answer("{}"), Some("7"));
    assert_eq!(answered.headers, headers(&["content-type", "mcp-session-id"]));
    let mut ends = headers(&["authorization", "mcp-session-id"]);
    assert!(guard.termination("main", &mut ends).is_ok());
    assert_eq!(ends, headers(&["mcp-session-id"]));
    assert_eq!(guard.termination("other", &mut ends).err().as_deref(), Some("policy.channel"));
}

#[test]
fn answers_are_filtered_and_replaced_when_too_large_or_no_list() {
    let (guard, _) = guard(POLICY);
    let pass = guard.message("r1", "main", &list(), &mut HeaderMap::new()).unwrap();
    let filtered =
        pass.answer(answer(r#"{"id":7,"result":{"tools":[{"name":"rm"},{"name":"echo"}]}}"#), Some("7"));
    assert_eq!(text(&filtered), r#"{"id":7,"result":{"tools":[{"name":"echo"}]}}"#);
    let broken = pass.answer(answer(r#"{"id":7,"result":{"tools":7}}"#), Some("7"));
    assert!(text(&broken).contains(r#""rule":"policy.answer""#));
    drop(pass);
    let pass = guard.message("r2", "main", &call("echo"), &mut HeaderMap::new()).unwrap();
    let large = pass.answer(answer(&"x".repeat(201)), Some("7"));
    assert!(text(&large).contains(r#""rule":"limits.result-bytes""#) && large.code == 200);
    assert_eq!(text(&pass.answer(answer(&"x".repeat(200)), Some("7"))).len(), 200);
    let note = |n: usize| Note { code: 200, headers: HeaderMap::new(), body: vec![b'x'; n].into() };
    assert!(pass.note(note(200)).is_some() && pass.note(note(201)).is_none());
    // A failure of the agent's own passes whole.
    let failure = Failure::protocol(FailureKind::ResponseBodyTooLarge);
    let own = Answer { failure: Some(failure), ..answer(&"x".repeat(300)) };
    assert_eq!(text(&pass.answer(own, Some("7"))).len(), 300);
}

#[test]
fn monitor_says_everything_and_changes_nothing() {
    let (guard, lines) = guard(&POLICY.replacen("\"version\":1", "\"version\":1,\"mode\":\"monitor\"", 1));
    let mut sent = headers(&["authorization"]);
    let pass = guard.message("r1", "main", &call("rm"), &mut sent).unwrap();
    assert_eq!(sent, headers(&["authorization"]));
    let large = "x".repeat(300);
    assert_eq!(text(&pass.answer(answer(&large), Some("7"))), large);
    let listing = guard.message("r2", "main", &list(), &mut HeaderMap::new()).unwrap();
    let body = r#"{"result":{"tools":[{"name":"rm"}]}}"#;
    assert_eq!(text(&listing.answer(answer(body), Some("7"))), body);
    assert!(guard.termination("other", &mut HeaderMap::new()).is_ok());
    let lines = lines.lock().unwrap().join("\n");
    for part in ["would be refused", "rule=policy.default", "larger than the call policy allows", "hidden=1"]
    {
        assert!(lines.contains(part), "{lines}");
    }
}

#[test]
fn without_a_policy_nothing_is_refused_and_the_log_says_so() {
    let (log, lines) = Log::memory();
    let guard = Guard::new(None, &log).unwrap();
    assert!(guard.message("r1", "any", &call("rm"), &mut HeaderMap::new()).is_ok());
    assert!(lines.lock().unwrap().join("\n").contains("no call policy: everything"));
}

#[test]
fn a_definition_is_to_be_seen_before_the_call_and_anew_when_the_server_says_so() {
    let echo = r#"{"name":"echo","description":"approved"}"#;
    let digest = crate::policy::definition(&crate::policy::json::read(echo.as_bytes(), 9).unwrap()).unwrap();
    let (guard, _) = guard(&format!(
        r#"{{"version":1,"pins":"enforce","rules":[{{"id":"t","tools":["echo"]}}],"definitions":{{"main":{{"echo":"{digest}"}}}}}}"#
    ));
    let pass = guard.message("r1", "main", &call("echo"), &mut HeaderMap::new()).unwrap();
    let page = |tools: &str, more: &str| {
        pass.look(format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":[{tools}]{more}}}}}"#).as_bytes())
    };
    assert_eq!(pass.is_approved(), None);
    assert_eq!(page(r#"{"name":"other"}"#, r#","nextCursor":"c\"2""#).as_deref(), Some("c\"2"));
    assert_eq!(pass.is_approved(), None, "it is on another page");
    assert_eq!(page(echo, ""), None);
    assert_eq!(pass.is_approved(), Some(true));
    let note = |method: &str| {
        let body = Bytes::from(format!(r#"{{"jsonrpc":"2.0","method":"notifications/{method}"}}"#));
        assert!(pass.note(Note { code: 200, headers: HeaderMap::new(), body }).is_some());
    };
    note("progress");
    assert_eq!(pass.is_approved(), Some(true));
    note("tools/list_changed");
    assert_eq!(pass.is_approved(), None);
    assert_eq!(page(r#"{"name":"echo","description":"another"}"#, ""), None);
    assert_eq!(pass.is_approved(), Some(false));
    assert_eq!(pass.refused_as_drifted(), "policy.definition");
    assert!(guard.message("r2", "main", &call("echo"), &mut HeaderMap::new()).is_err());
    // Where nothing is pinned, nothing needs to be seen.
    assert_eq!(Pass::default().is_approved(), Some(true));
}
