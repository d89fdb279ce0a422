//! The call policy from end to end: what it refuses never reaches a server, and the commands that explain it.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "the binary under test is started as an operator starts it, and helpers fail as loudly as the tests"
)]

use std::process::Command as Process;

use crate::calls::{Record, initialize, initialized, open, plan, text_of, tool};
use crate::lab::{Command, ResponseRecord};
use crate::world::Plan;

/// Allows `echo`, with a text without spaces of at most ten characters, and `sleep`.
const POLICY: &str = r#"policy: {version: 1, limits: {result_bytes: 3000}, rules: [{id: handshake, methods: ["preset:session"]}, {id: talk, tools: [echo], arguments: {type: object, required: [text], properties: {text: {type: string, pattern: "^\\S+$", maxLength: 10}}}}, {id: nap, tools: [sleep], limits: {in_flight: 1}}, {id: bulk, tools: [big]}, {id: never, effect: deny, tools: [fail]}]}"#;

fn guarded() -> Plan {
    plan().top(POLICY)
}

/// The rule that a refusal names; it names nothing else.
#[track_caller]
fn rule_of(answer: &ResponseRecord) -> String {
    let rpc = answer.rpc();
    assert_eq!((answer.resp_type.as_str(), answer.resp_code), ("jsonrpc_response", 200), "{rpc}");
    assert_eq!(rpc["error"]["code"], -32050, "{rpc}");
    let data = rpc["error"]["data"].as_object().unwrap();
    assert_eq!(data["origin"], "tunnelward");
    assert_eq!(data.len(), 2);
    data["rule"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_denied_call_never_reaches_the_server_and_an_allowed_one_does() {
    let world = guarded().start().await;
    let denied = [
        ("r1", "big2", "{}", "policy.default"),
        ("r2", "Echo", r#"{"text":"x"}"#, "policy.default"),
        ("r3", "echo", r#"{"text":"two words"}"#, "talk"),
        ("r4", "echo", r#"{"text":"x","more":1}"#, "talk"),
        ("r5", "echo", r#"{"text":"x","text":"y"}"#, "policy.duplicate-key"),
        ("r6", "fail", r#"{"status":500}"#, "never"),
        ("r7", "\\u0066ail", r#"{"status":500}"#, "never"),
    ];
    for (id, name, arguments, rule) in denied {
        assert_eq!(rule_of(&world.call(tool(id, name, arguments)).await), rule, "{id}");
    }
    let method = Command::call("r8", "8", "tasks/list", "{}");
    assert_eq!(rule_of(&world.call(method).await), "policy.default");
    let mismatch = tool("r9", "echo", r#"{"text":"x"}"#).header("Mcp-Name", "fail");
    assert_eq!(rule_of(&world.call(mismatch).await), "policy.header-mismatch");
    assert_eq!(world.stub.request_count(), 0);
    assert_eq!(text_of(&world.call(tool("r10", "echo", r#"{"text":"x"}"#)).await), "x");
    assert_eq!(world.stub.request_count(), 1);
    world
        .agent
        .logged(&["call refused by the call policy", "rule=talk", "request_id=r3", "arguments.text"])
        .await;
    world.agent.logged(&["call policy in force", "mode=enforce"]).await;
    world.end().await;
}

#[tokio::test]
async fn a_denied_notification_is_acknowledged_and_goes_nowhere() {
    let world = guarded().start().await;
    let note =
        |id: &str, method: &str| Command::jsonrpc(id, format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#));
    let ack = world.call(note("r1", "notifications/roots/other")).await;
    assert_eq!((ack.resp_type.as_str(), ack.resp_code), ("notify_ack", 202));
    let call = r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"echo","arguments":{"text":"x"}}}"#;
    let ack = world.call(Command::jsonrpc("r2", call)).await;
    assert_eq!((ack.resp_type.as_str(), ack.resp_code), ("notify_ack", 202));
    assert_eq!(world.stub.request_count(), 0);
    world.call(initialized("r3")).await;
    assert_eq!(world.stub.request_count(), 1);
    world.end().await;
}

#[tokio::test]
async fn lists_show_what_may_be_called_and_answers_over_the_limit_are_replaced() {
    let world = guarded().start().await;
    let list = world.call(Command::call("r1", "1", "tools/list", "{}")).await.rpc();
    let names: Vec<&str> =
        list["result"]["tools"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["echo", "sleep", "big"]);
    let large = world.call(tool("r2", "big", r#"{"bytes":5000}"#)).await;
    assert_eq!(rule_of(&large), "limits.result-bytes");
    assert_eq!(text_of(&world.call(tool("r3", "big", r#"{"bytes":1000}"#)).await).len(), 1000);
    world.end().await;
}

#[tokio::test]
async fn calls_at_a_time_are_limited_for_the_tool_and_not_for_others() {
    let world = guarded().start().await;
    world.plane.enqueue(tool("r1", "sleep", r#"{"ms":1500}"#));
    world.stub.wait_for_requests(1, crate::agent::SOON).await;
    assert_eq!(rule_of(&world.call(tool("r2", "sleep", r#"{"ms":1}"#)).await), "nap");
    assert_eq!(text_of(&world.call(tool("r3", "echo", r#"{"text":"x"}"#)).await), "x");
    world.plane.wait_for_response("r1", crate::agent::SOON).await;
    assert_eq!(text_of(&world.call(tool("r4", "sleep", r#"{"ms":1}"#)).await), "slept");
    world.end().await;
}

#[tokio::test]
async fn a_child_gets_no_denied_line_either_and_its_capabilities_are_filtered() {
    let record = Record::new();
    let policy =
        POLICY.replace(r#"methods: ["preset:session"]"#, r#"methods: ["preset:session"], channels: [main]"#);
    let world = plan().top(&policy).stdio(&record.flag(), "").start().await;
    open(&world, "a").await;
    assert_eq!(rule_of(&world.call(tool("r1", "fail", "{}")).await), "never");
    assert_eq!(text_of(&world.call(tool("r2", "echo", r#"{"text":"x"}"#)).await), "x");
    record.wait("r2", 1).await;
    assert_eq!(record.count("r1"), 0);
    world.end().await;
    let closed = r#"policy: {version: 1, rules: [{id: handshake, methods: ["preset:session"]}]}"#;
    let world = plan().top(closed).start().await;
    let answer = world.call(initialize("r3")).await.rpc();
    assert_eq!(answer["result"]["capabilities"], serde_json::json!({}));
    world.end().await;
}

#[tokio::test]
async fn monitor_forwards_what_it_would_refuse_and_says_so() {
    let world = plan().top(&POLICY.replacen("version: 1", "version: 1, mode: monitor", 1)).start().await;
    assert_eq!(text_of(&world.call(tool("r1", "echo", r#"{"text":"two words"}"#)).await), "two words");
    world.agent.logged(&["would be refused by the call policy", "rule=talk", "request_id=r1"]).await;
    world.end().await;
}

#[tokio::test]
async fn without_a_policy_the_log_says_that_everything_may_be_called() {
    let world = plan().start().await;
    world.agent.logged(&["no call policy: everything that the MCP servers offer may be called"]).await;
    world.end().await;
}

/// Exit code, stdout and stderr.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = Process::new(crate::place::agent()).args(arguments).env_clear().output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn every_example_policy_passes_the_check() {
    let directory = crate::place::repository().join("policy/calls");
    let mut seen = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let (code, out, err) = run(&["policy", "check", path.to_str().unwrap()]);
        assert_eq!((code, err.as_str()), (0, ""), "{path:?}");
        assert!(out.starts_with("ok: "), "{out}");
        seen += 1;
    }
    assert!(seen >= 4);
}

#[test]
fn the_policy_of_readme_passes_the_check() {
    let readme = std::fs::read_to_string(crate::place::repository().join("README.md")).unwrap();
    let section = readme.split("## Call policy").nth(1).unwrap();
    let example = section.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("profile.yaml");
    std::fs::write(&path, example).unwrap();
    let (code, out, err) = run(&["policy", "check", path.to_str().unwrap()]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
}

#[test]
fn explain_names_verdict_rule_and_reason_and_scripts_can_tell_by_the_exit_code() {
    let file = crate::place::repository().join("policy/calls/read-only-files.yaml");
    let ask =
        |more: &[&str]| run(&[&["policy", "explain", "--config", file.to_str().unwrap()], more].concat());
    let (code, out, _) = ask(&["--tool", "read_text_file", "--args", r#"{"path":"/srv/shared/a"}"#]);
    assert_eq!((code, out.as_str()), (0, "allowed\nrule: reading\nwhy: the rule allows it\n"));
    let (code, out, _) = ask(&["--tool", "read_text_file", "--args", r#"{"path":"/etc/passwd"}"#]);
    let refused = "refused\nrule: reading\nwhy: arguments.path is no path below path_under\n";
    assert_eq!((code, out.as_str()), (1, refused));
    let (code, out, _) = ask(&["--tool", "write_file", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &json["verdict"], &json["rule"]), (1, &"refused".into(), &"policy.default".into()));
    assert_eq!(ask(&["--method", "tools/list"]).0, 0);
    assert_eq!(ask(&["--method", "notifications/initialized"]).0, 0);
    assert_eq!(ask(&["--resource", "file:///etc/passwd"]).0, 1);
    assert_eq!(ask(&["--tool", "x", "--args", "}{"]).0, 64);
    assert_eq!(ask(&["--tool", "x", "--method", "y"]).0, 64);
    assert_eq!(ask(&[]).0, 64);
}

#[test]
fn a_wrong_policy_ends_with_78_and_every_problem_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.yaml");
    std::fs::write(&path, "version: 1\nrules:\n  - {id: a, tools: [x*]}\n  - {id: b, tool: [y]}\n").unwrap();
    let path = path.to_str().unwrap();
    let (code, out, err) = run(&["policy", "check", path]);
    assert_eq!((code, out.as_str()), (78, ""));
    for line in [
        format!("{path}:3: rules[0].tools[0]: a * is not enforced here"),
        format!("{path}:4: rules[1].tool: unknown key \"tool\"; did you mean tools?"),
        format!("{path}:4: rules[1]: must have one of methods, tools, prompts and resources"),
    ] {
        assert!(err.lines().any(|found| found.starts_with(&line)), "{line}\nin\n{err}");
    }
    assert_eq!(err.lines().last(), Some("3 problems in the configuration"));
}

/// `tools/list` of a server whose tool `echo` calls itself read-only, with a description.
fn annotated(stub: &crate::lab::Stub, description: &'static str) {
    stub.handler(move |request| {
        let list = format!(
            r#"{{"jsonrpc":"2.0","id":{},"result":{{"tools":[{{"name":"echo","description":"{description}","annotations":{{"readOnlyHint":true}},"inputSchema":{{"type":"object","properties":{{"text":{{"type":"string"}}}},"required":["text"]}}}},{{"name":"big","inputSchema":{{"type":"object"}}}}]}}}}"#,
            request.json()["id"]
        );
        (request.rpc_method() == "tools/list").then(|| crate::lab::Reply::json(200, &list))
    });
}

/// A configuration file for the two, as the agent would read it, and what it names.
fn profile(plane: &crate::lab::ControlPlane, url: &str, more: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    std::fs::write(&key, "sk-test").unwrap();
    let stdio = crate::world::stdio_stub("");
    let yaml = format!(
        "config_version: 1\n{more}control_plane:\n  base_url: {:?}\n  tunnel_id: {}\n  api_key: \"file:{}\"\nmcp:\n  server_urls: [{{channel: main, url: {url:?}}}]\n  commands: [{{channel: child, command: {stdio:?}}}]\nconfinement: {{user: \"{}\"}}\n",
        plane.url(),
        plane.tunnel_id,
        key.display(),
        crate::agent::SOMEBODY,
    );
    let path = dir.path().join("profile.yaml");
    std::fs::write(&path, yaml).unwrap();
    let path = path.display().to_string();
    (dir, path)
}

async fn run_beside(arguments: &[&str]) -> (i32, String, String) {
    let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
    let run = move || run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test]
async fn what_suggest_writes_passes_the_check_and_diff_tells_what_changed_since() {
    let plane = crate::lab::ControlPlane::start(crate::lab::Options::default()).await;
    let stub = crate::lab::Stub::start(crate::lab::StubOptions::default()).await;
    annotated(&stub, "As approved");
    let (_dir, path) = profile(&plane, &stub.url(), "");
    let (code, text, err) = run_beside(&["policy", "suggest", "--config", &path]).await;
    assert_eq!((code, err.as_str()), (0, ""), "{text}");
    for line in [
        "    tools: [\"echo\"]",
        "    arguments: {\"type\":\"object\",\"properties\":{\"text\":{\"type\":\"string\"}},\"required\":[\"text\"]}",
        "  #   tools: [\"big\"]",
        "  # Channel child",
        "  #   tools: [\"silent\"]",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\nin\n{text}");
    }
    // It met the servers and nobody else.
    assert_eq!(plane.poll_count(), 0);
    let calls = stub.requests().iter().filter(|r| r.rpc_method() == "tools/call").count();
    assert_eq!(calls, 0);

    let policy = std::path::Path::new(&path).with_file_name("policy.yaml");
    std::fs::write(&policy, &text).unwrap();
    let (code, _, err) = run_beside(&["policy", "check", policy.to_str().unwrap()]).await;
    assert_eq!((code, err.as_str()), (0, ""));
    let explain = |tool: &'static str| {
        let policy = policy.display().to_string();
        async move {
            let args =
                ["policy", "explain", "--config", &policy, "--args", r#"{"text":"x"}"#, "--tool", tool];
            run_beside(&args).await.0
        }
    };
    assert_eq!((explain("echo").await, explain("big").await, explain("sleep").await), (0, 1, 1));

    let (_other, path) = profile(&plane, &stub.url(), &format!("policy: \"file:{}\"\n", policy.display()));
    let (code, text, err) = run_beside(&["policy", "diff", "--config", &path]).await;
    assert_eq!((code, err.as_str()), (1, ""), "{text}");
    assert!(text.lines().all(|line| line.starts_with("new ")), "{text}");
    annotated(&stub, "Changed since");
    let (code, text, _) = run_beside(&["policy", "diff", "--config", &path]).await;
    assert_eq!(code, 1);
    assert!(text.lines().any(|line| line.starts_with("changed main: \"echo\" ")), "{text}");
}

/// The digest of what [`annotated`] lists as `echo`.
async fn approved(plane: &crate::lab::ControlPlane, stub: &crate::lab::Stub) -> String {
    let (_dir, path) = profile(plane, &stub.url(), "");
    let (code, text, err) = run_beside(&["policy", "suggest", "--config", &path]).await;
    assert_eq!((code, err.as_str()), (0, ""), "{text}");
    let line = text.lines().find(|line| line.trim_start().starts_with("\"echo\": ")).expect("a definition");
    line.split(": ").nth(1).unwrap().trim_matches('"').to_owned()
}

#[tokio::test]
async fn a_tool_that_nobody_listed_is_looked_at_before_it_is_called_and_refused_when_it_is_another() {
    let plane = crate::lab::ControlPlane::start(crate::cases::options()).await;
    let stub = crate::lab::Stub::start(crate::lab::StubOptions::default()).await;
    annotated(&stub, "As approved");
    let digest = approved(&plane, &stub).await;
    let policy = format!(
        "policy: {{version: 1, pins: enforce, rules: [{{id: talk, tools: [echo]}}], definitions: {{main: {{echo: {digest}}}}}}}"
    );
    let before = stub.request_count();
    let agent = plan().top(&policy).control("poll_timeout: 200ms").setup(&plane, &stub).start();
    let world = crate::world::World { plane, stub, agent };
    let asked = |from: usize| -> Vec<String> {
        world.stub.requests()[from..].iter().map(|r| r.rpc_method().to_owned()).collect()
    };
    let text = r#"{"text":"x"}"#;
    for id in ["r1", "r2"] {
        assert_eq!(text_of(&world.call(tool(id, "echo", text)).await), "x");
    }
    assert_eq!(asked(before), ["tools/list", "tools/call", "tools/call"], "once is enough");
    let list = world.stub.requests()[before].clone();
    assert_eq!(list.json()["id"], "tunnelward:r1:0");

    // Another worker has seen nothing, and meanwhile the tool has become another.
    annotated(&world.stub, "Changed since");
    let at = world.stub.request_count();
    world.agent.signal("HUP");
    world.agent.logged(&["worker ended"]).await;
    assert_eq!(rule_of(&world.call(tool("r3", "echo", text)).await), "policy.definition");
    assert_eq!(asked(at), ["tools/list"]);
    world.agent.logged(&["whose definition is not the approved one is refused"]).await;

    // A server that lists nothing leaves nothing to approve, and its failure is told as one.
    let at = world.stub.request_count();
    world.stub.handler(|request| {
        (request.rpc_method() == "tools/list").then(|| crate::lab::Reply::json(503, "{}"))
    });
    world.agent.signal("HUP");
    let ended = || (world.agent.count("worker ended") >= 2).then_some(());
    crate::agent::eventually(ended).await.expect("the second worker ends");
    let answer = world.call(tool("r4", "echo", text)).await;
    assert_eq!(answer.resp_code, 503, "{:?}", answer.resp_json);
    assert!(asked(at).iter().all(|method| method == "tools/list"), "{:?}", asked(at));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_on_a_unix_socket_is_asked_too_over_connections_that_it_is_given() {
    let plane = crate::lab::ControlPlane::start(crate::lab::Options::default()).await;
    let stub = crate::lab::Stub::start(crate::lab::StubOptions::default()).await;
    annotated(&stub, "As approved");
    let (dir, path) = profile(&plane, "http://tools.internal/mcp", "");
    crate::lab::open(dir.path());
    let socket = dir.path().join("mcp.sock");
    let yaml = std::fs::read_to_string(&path).unwrap();
    let url = "url: \"http://tools.internal/mcp\"";
    std::fs::write(&path, yaml.replace(url, &format!("{url}, unix_socket: {socket:?}"))).unwrap();
    // Nobody listens yet.
    let (code, text, err) = run_beside(&["policy", "suggest", "--config", &path]).await;
    assert_eq!((code, err.as_str()), (0, ""), "{text}");
    assert!(!text.contains("    tools: [\"echo\"]\n"), "{text}");
    let relay = crate::lab::Relay::start(&socket, stub.port());
    let (code, text, err) = run_beside(&["policy", "suggest", "--config", &path]).await;
    assert_eq!((code, err.as_str()), (0, ""), "{text}");
    assert!(text.lines().any(|line| line == "    tools: [\"echo\"]"), "{text}");
    assert!(relay.accepted() >= 1);
}

#[tokio::test]
async fn a_new_worker_counts_for_itself_as_is_written() {
    let limited =
        r#"policy: {version: 1, rules: [{id: talk, tools: [echo], limits: {calls_per_minute: 2}}]}"#;
    let world = plan().top(limited).control("poll_timeout: 200ms").start().await;
    let echo = |id: &str| tool(id, "echo", r#"{"text":"x"}"#);
    for round in ["a", "b"] {
        for n in 0..2 {
            assert_eq!(text_of(&world.call(echo(&format!("{round}{n}"))).await), "x");
        }
        assert_eq!(rule_of(&world.call(echo(&format!("{round}2"))).await), "talk");
        if round == "a" {
            world.agent.signal("HUP");
            world.agent.logged(&["worker ended"]).await;
        }
    }
    world.end().await;
}
