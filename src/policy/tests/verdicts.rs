//! The table of verdicts: channel, method and parameters in, verdict and rule out.

use super::*;

/// Channel, method, parameters, what comes of it.
const METHODS: &[(&str, &str, &str, &str)] = &[
    ("main", "initialize", "{}", "ok session"),
    ("files", "initialize", "{}", "ok session"),
    ("docs", "initialize", "{}", "no policy.default"),
    ("other", "initialize", "{}", "no policy.channel"),
    ("", "initialize", "{}", "no policy.channel"),
    ("MAIN", "initialize", "{}", "no policy.channel"),
    ("main", "ping", "{}", "ok session"),
    ("docs", "ping", "{}", "no policy.default"),
    ("main", "tools/list", "{}", "ok session"),
    ("main", "prompts/list", "{}", "ok session"),
    ("main", "resources/list", "{}", "ok session"),
    ("main", "resources/templates/list", "{}", "ok session"),
    ("docs", "tools/list", "{}", "ok stateless"),
    ("docs", "server/discover", "{}", "ok stateless"),
    ("main", "server/discover", "{}", "no policy.default"),
    ("main", "logging/setLevel", r#"{"level":"debug"}"#, "ok session"),
    ("docs", "logging/setLevel", r#"{"level":"debug"}"#, "no policy.default"),
    ("main", "tasks/list", "{}", "no policy.default"),
    ("main", "sampling/createMessage", "{}", "no policy.default"),
    ("main", "Tools/list", "{}", "no policy.default"),
    ("main", "tools/list ", "{}", "no policy.default"),
    ("main", "tools", "{}", "no policy.default"),
    ("main", "tools/list/", "{}", "no policy.default"),
    ("main", "preset:session", "{}", "no policy.default"),
    ("docs", "completion/complete", r#"{"ref":{"type":"ref/prompt","name":"greet"}}"#, "ok stateless"),
    ("docs", "completion/complete", r#"{"ref":{"type":"ref/prompt","name":"other"}}"#, "no policy.default"),
    (
        "docs",
        "completion/complete",
        r#"{"ref":{"type":"ref/resource","uri":"doc://library/open/{x}"}}"#,
        "ok stateless",
    ),
    (
        "docs",
        "completion/complete",
        r#"{"ref":{"type":"ref/resource","uri":"doc://library/{x}"}}"#,
        "no policy.default",
    ),
    ("docs", "completion/complete", r#"{"ref":{"name":"greet","uri":"doc://secret"}}"#, "no policy.default"),
    ("docs", "completion/complete", "{}", "no policy.default"),
    ("main", "completion/complete", r#"{"ref":{"type":"ref/prompt","name":"greet"}}"#, "no policy.default"),
    ("docs", "subscriptions/listen", "{}", "ok stateless"),
    ("docs", "subscriptions/listen", r#"{"notifications":{"toolsListChanged":true}}"#, "ok stateless"),
    (
        "docs",
        "subscriptions/listen",
        r#"{"notifications":{"resourceSubscriptions":["doc://index"]}}"#,
        "ok stateless",
    ),
    (
        "docs",
        "subscriptions/listen",
        r#"{"notifications":{"resourceSubscriptions":["doc://index","doc://x"]}}"#,
        "no policy.default",
    ),
    (
        "docs",
        "subscriptions/listen",
        r#"{"notifications":{"resourceSubscriptions":["doc://library/open/vault/x"]}}"#,
        "no vault",
    ),
    (
        "docs",
        "subscriptions/listen",
        r#"{"notifications":{"resourceSubscriptions":"doc://index"}}"#,
        "no policy.unreadable",
    ),
    (
        "docs",
        "subscriptions/listen",
        r#"{"notifications":{"resourceSubscriptions":[1]}}"#,
        "no policy.unreadable",
    ),
    ("docs", "prompts/get", r#"{"name":"greet"}"#, "ok greeting"),
    ("docs", "prompts/get", r#"{"name":"greet","arguments":{"x":"y"}}"#, "ok greeting"),
    ("docs", "prompts/get", r#"{"name":"Greet"}"#, "no policy.default"),
    ("main", "prompts/get", r#"{"name":"greet"}"#, "no policy.default"),
    ("docs", "prompts/get", "{}", "no policy.unreadable"),
    ("docs", "resources/read", r#"{"uri":"doc://index"}"#, "ok library"),
    ("docs", "resources/read", r#"{"uri":"doc://index/"}"#, "no policy.default"),
    ("docs", "resources/read", r#"{"uri":"doc://library/open/a"}"#, "ok library"),
    ("docs", "resources/read", r#"{"uri":"doc://library/open/a/b.txt?v=1#x"}"#, "ok library"),
    ("docs", "resources/read", r#"{"uri":"doc://library/open/a%20b"}"#, "ok library"),
    ("docs", "resources/read", r#"{"uri":"doc://library/open/"}"#, "ok library"),
    ("docs", "resources/read", r#"{"uri":"doc://library/open"}"#, "no policy.default"),
    ("docs", "resources/read", r#"{"uri":"doc://library/openness"}"#, "no policy.default"),
    ("docs", "resources/read", r#"{"uri":"DOC://library/open/a"}"#, "no policy.default"),
    ("docs", "resources/read", r#"{"uri":"doc://library/open/vault/key"}"#, "no vault"),
    ("docs", "resources/read", r#"{"uri":"doc://library/open/vault/../x"}"#, "no vault"),
    ("docs", "resources/subscribe", r#"{"uri":"doc://library/open/a"}"#, "ok library"),
    ("docs", "resources/unsubscribe", r#"{"uri":"doc://library/open/a"}"#, "ok library"),
    ("docs", "resources/subscribe", r#"{"uri":"doc://library/a"}"#, "no policy.default"),
    ("docs", "resources/read", r#"{"name":"doc://index"}"#, "no policy.unreadable"),
    ("main", "resources/read", r#"{"uri":"doc://index"}"#, "no policy.default"),
];

/// Channel, tool, arguments, what comes of it.
const TOOLS: &[(&str, &str, &str, &str)] = &[
    ("main", "echo", r#"{"text":"x"}"#, "ok plain"),
    ("main", "echo", "null", "ok plain"),
    ("main", "drop", "{}", "ok plain"),
    ("files", "drop", "{}", "no no-drop"),
    ("files", "echo", "{}", "no policy.default"),
    ("docs", "echo", "{}", "no policy.default"),
    ("other", "echo", "{}", "no policy.channel"),
    ("main", "Echo", "{}", "no policy.default"),
    ("main", "echo ", "{}", "no policy.default"),
    ("main", " echo", "{}", "no policy.default"),
    ("main", "", "{}", "no policy.default"),
    ("main", "*", "{}", "no policy.default"),
    ("main", "ech", "{}", "no policy.default"),
    ("main", "echo2", "{}", "no policy.default"),
    ("files", "read_file", r#"{"path":"/srv/shared/a"}"#, "ok read"),
    ("files", "read_file", r#"{"path":"/srv/shared"}"#, "ok read"),
    ("files", "read_file", r#"{"path":"/srv/shared/"}"#, "ok read"),
    ("files", "read_file", r#"{"path":"/srv/shared/a b/ü.txt"}"#, "ok read"),
    ("files", "read_file", r#"{"path":"/srv/sharedness"}"#, "no read"),
    ("files", "read_file", r#"{"path":"/srv"}"#, "no read"),
    ("files", "read_file", r#"{"path":"srv/shared/a"}"#, "no read"),
    ("files", "read_file", r#"{"path":"/srv/shared/../x"}"#, "no read"),
    ("files", "read_file", r#"{"path":"/srv/shared/a/.."}"#, "no read"),
    ("files", "read_file", r#"{"path":"/srv/shared/./a"}"#, "no read"),
    ("files", "read_file", r#"{"path":"/srv/shared//a"}"#, "no read"),
    ("files", "read_file", r#"{"path":"/srv/shared/...hidden"}"#, "ok read"),
    ("files", "read_file", r#"{"path":"/srv/shared/a\u0000b"}"#, "no read"),
    ("files", "read_file", r#"{"path":"/srv/shared/\u002e\u002e/x"}"#, "no read"),
    ("files", "read_file", r#"{"path":"/srv/shared/..\\x"}"#, "no read"),
    ("files", "read_file", r#"{"path":""}"#, "no read"),
    ("files", "read_file", r#"{"path":["/srv/shared/a"]}"#, "no read"),
    ("files", "read_file", r#"{"path":null}"#, "no read"),
    ("files", "read_file", "{}", "no read"),
    ("files", "read_file", "null", "no read"),
    ("files", "read_file", "[]", "no read"),
    ("files", "read_file", r#""/srv/shared/a""#, "no read"),
    ("files", "read_file", r#"{"path":"/srv/shared/a","extra":1}"#, "no read"),
    ("files", "read_file", r#"{"path":"/srv/shared/a","Path":"/etc/shadow"}"#, "no read"),
    ("files", "read_file", r#"{"path":"/srv/shared/a","lines":1}"#, "ok read"),
    ("files", "read_file", r#"{"path":"/srv/shared/a","lines":1000}"#, "ok read"),
    ("files", "read_file", r#"{"path":"/srv/shared/a","lines":1e3}"#, "ok read"),
    ("files", "read_file", r#"{"path":"/srv/shared/a","lines":10.0}"#, "ok read"),
    ("files", "read_file", r#"{"path":"/srv/shared/a","lines":0}"#, "no read"),
    ("files", "read_file", r#"{"path":"/srv/shared/a","lines":-1}"#, "no read"),
    ("files", "read_file", r#"{"path":"/srv/shared/a","lines":1001}"#, "no read"),
    ("files", "read_file", r#"{"path":"/srv/shared/a","lines":1.5}"#, "no read"),
    ("files", "read_file", r#"{"path":"/srv/shared/a","lines":1e-400}"#, "no read"),
    ("files", "read_file", r#"{"path":"/srv/shared/a","lines":1e400}"#, "no read"),
    ("files", "read_file", r#"{"path":"/srv/shared/a","lines":1e99999999999}"#, "no read"),
    ("files", "read_file", r#"{"path":"/srv/shared/a","lines":18446744073709551617}"#, "no read"),
    ("files", "read_file", r#"{"path":"/srv/shared/a","lines":"10"}"#, "no read"),
    ("files", "read_file", r#"{"path":"/srv/shared/a","lines":true}"#, "no read"),
    ("files", "read_file", r#"{"path":"/srv/shared/a","mode":"text"}"#, "ok read"),
    ("files", "read_file", r#"{"path":"/srv/shared/a","mode":"te\u0078t"}"#, "ok read"),
    ("files", "read_file", r#"{"path":"/srv/shared/a","mode":"TEXT"}"#, "no read"),
    ("files", "read_file", r#"{"path":"/srv/shared/a","mode":null}"#, "no read"),
    ("main", "fetch", r#"{"url":"https://api.example.org/x"}"#, "ok fetch"),
    ("main", "fetch", r#"{"url":"HTTPS://API.example.org:443/x?y"}"#, "ok fetch"),
    ("main", "fetch", r#"{"url":"api.example.org"}"#, "ok fetch"),
    ("main", "fetch", r#"{"url":"api.example.org:8080"}"#, "ok fetch"),
    ("main", "fetch", r#"{"url":"https://a.cdn.example.org/"}"#, "ok fetch"),
    ("main", "fetch", r#"{"url":"https://a.b.cdn.example.org/"}"#, "ok fetch"),
    ("main", "fetch", r#"{"url":"https://cdn.example.org/"}"#, "no fetch"),
    ("main", "fetch", r#"{"url":"https://evilcdn.example.org/"}"#, "no fetch"),
    ("main", "fetch", r#"{"url":"https://example.org/"}"#, "no fetch"),
    ("main", "fetch", r#"{"url":"https://api.example.org.evil.net/"}"#, "no fetch"),
    ("main", "fetch", r#"{"url":"https://evil.net/api.example.org"}"#, "no fetch"),
    ("main", "fetch", r#"{"url":"https://api.example.org@evil.net/"}"#, "no fetch"),
    ("main", "fetch", r#"{"url":"https://evil.net@api.example.org/"}"#, "no fetch"),
    ("main", "fetch", r#"{"url":"https://evil.net#@api.example.org/"}"#, "no fetch"),
    ("main", "fetch", r#"{"url":"https://evil.net\\@api.example.org/"}"#, "no fetch"),
    ("main", "fetch", r#"{"url":"https:/\\api.example.org/"}"#, "no fetch"),
    ("main", "fetch", r#"{"url":"//api.example.org/"}"#, "no fetch"),
    ("main", "fetch", r#"{"url":"file://api.example.org/etc/passwd"}"#, "no fetch"),
    ("main", "fetch", r#"{"url":"https://api.example.org.:443/"}"#, "no fetch"),
    ("main", "fetch", r#"{"url":"https://api%2eexample.org/"}"#, "no fetch"),
    ("main", "fetch", r#"{"url":"https://ap\u0456.example.org/"}"#, "no fetch"),
    ("main", "fetch", r#"{"url":"https://api.exa\tmple.org/"}"#, "no fetch"),
    ("main", "fetch", r#"{"url":" https://api.example.org/"}"#, "no fetch"),
    ("main", "fetch", r#"{"url":"https://api.example.org:99999/"}"#, "no fetch"),
    ("main", "fetch", r#"{"url":"https://api.example.org","ratio":0.5}"#, "ok fetch"),
    ("main", "fetch", r#"{"url":"https://api.example.org","ratio":0}"#, "no fetch"),
    ("main", "fetch", r#"{"url":"https://api.example.org","ratio":1}"#, "no fetch"),
    ("main", "fetch", r#"{"url":"https://api.example.org","ratio":-0.0}"#, "no fetch"),
    ("main", "fetch", r#"{"url":"https://api.example.org","ratio":0.99999999999999999999}"#, "no fetch"),
    ("main", "fetch", r#"{"url":"https://api.example.org","ratio":1e-400}"#, "no fetch"),
    ("main", "issue", r#"{"id":"AB-1"}"#, "ok issue"),
    ("main", "issue", r#"{"id":"ABCDE-123456"}"#, "ok issue"),
    ("main", "issue", r#"{"id":"ABCDE-1234567"}"#, "no issue"),
    ("main", "issue", r#"{"id":"A-1"}"#, "no issue"),
    ("main", "issue", r#"{"id":"ab-1"}"#, "no issue"),
    ("main", "issue", r#"{"id":"AB-1\n"}"#, "no issue"),
    ("main", "issue", r#"{"id":"xAB-1"}"#, "no issue"),
    ("main", "issue", r#"{"id":"AB-1","tags":[]}"#, "ok issue"),
    ("main", "issue", r#"{"id":"AB-1","tags":["a","b","c"]}"#, "ok issue"),
    ("main", "issue", r#"{"id":"AB-1","tags":["a","b","c","d"]}"#, "no issue"),
    ("main", "issue", r#"{"id":"AB-1","tags":["a",""]}"#, "no issue"),
    ("main", "issue", r#"{"id":"AB-1","tags":["a",1]}"#, "no issue"),
    ("main", "issue", r#"{"id":"AB-1","tags":"a"}"#, "no issue"),
    ("main", "issue", r#"{"id":"AB-1","who":null}"#, "ok issue"),
    ("main", "issue", r#"{"id":"AB-1","who":"me"}"#, "ok issue"),
    ("main", "issue", r#"{"id":"AB-1","who":"Me"}"#, "no issue"),
    ("main", "issue", r#"{"id":"AB-1","who":1}"#, "no issue"),
    ("main", "issue", r#"{"id":"AB-1","more":{"a":true,"b":false}}"#, "ok issue"),
    ("main", "issue", r#"{"id":"AB-1","more":{"a":1}}"#, "no issue"),
    ("main", "issue", r#"{"id":"AB-1","more":{"n":7.0}}"#, "ok issue"),
    ("main", "issue", r#"{"id":"AB-1","more":{"n":8}}"#, "no issue"),
    ("main", "issue", r#"{"id":"AB-1","more":{"N":true}}"#, "no issue"),
];

/// Names and values.
type Pairs = &'static [(&'static str, &'static str)];

/// Headers and the body's method and parameters.
const HEADERS: &[(Pairs, &str, &str, &str)] = &[
    (&[("mcp-method", "tools/call"), ("mcp-name", "echo")], "tools/call", r#"{"name":"echo"}"#, "ok plain"),
    (&[("mcp-method", "tools/call")], "tools/call", r#"{"name":"echo"}"#, "ok plain"),
    (&[("mcp-name", "=?base64?ZWNobw==?=")], "tools/call", r#"{"name":"echo"}"#, "ok plain"),
    (&[("mcp-name", "=?base64?c3Vt?=")], "tools/call", r#"{"name":"sum"}"#, "ok plain"),
    (&[("mcp-name", "=?base64?c3Vt?=")], "tools/call", r#"{"name":"echo"}"#, "no policy.header-mismatch"),
    (&[("mcp-name", "sum")], "tools/call", r#"{"name":"echo"}"#, "no policy.header-mismatch"),
    (&[("mcp-name", "Echo")], "tools/call", r#"{"name":"echo"}"#, "no policy.header-mismatch"),
    (&[("mcp-name", "")], "tools/call", r#"{"name":"echo"}"#, "no policy.header-mismatch"),
    (&[("mcp-method", "tools/list")], "tools/call", r#"{"name":"echo"}"#, "no policy.header-mismatch"),
    (&[("mcp-method", "tools/call")], "tools/list", "{}", "no policy.header-mismatch"),
    (
        &[("mcp-method", "tools/list"), ("mcp-method", "tools/list")],
        "tools/list",
        "{}",
        "no policy.header-mismatch",
    ),
    (
        &[("mcp-name", "echo"), ("mcp-name", "sum")],
        "tools/call",
        r#"{"name":"echo"}"#,
        "no policy.header-mismatch",
    ),
    (&[("mcp-name", "echo")], "tools/list", "{}", "no policy.header-mismatch"),
    (&[("mcp-method", "tools/list")], "tools/list", "{}", "ok session"),
    (&[("mcp-param-x", "y"), ("authorization", "z")], "tools/list", "{}", "ok session"),
];

#[test]
fn every_method_has_its_verdict_and_rule() {
    let policy = policy(POLICY);
    for (channel, method, params, expected) in METHODS {
        let found = verdict(&policy, channel, request(method, params).as_bytes(), &HeaderMap::new());
        assert_eq!(found, *expected, "{channel} {method} {params}");
    }
}

#[test]
fn every_tool_call_has_its_verdict_and_rule() {
    let policy = policy(POLICY);
    for (channel, name, arguments, expected) in TOOLS {
        let found = verdict(&policy, channel, tool(name, arguments).as_bytes(), &HeaderMap::new());
        assert_eq!(found, *expected, "{channel} {name} {arguments}");
    }
    assert!(METHODS.len() + TOOLS.len() + HEADERS.len() >= 150);
}

#[test]
fn headers_that_disagree_with_the_body_refuse_the_call() {
    let policy = policy(POLICY);
    for (pairs, method, params, expected) in HEADERS {
        let found = verdict(&policy, "main", request(method, params).as_bytes(), &headers(pairs));
        assert_eq!(found, *expected, "{pairs:?} {method}");
    }
}

#[test]
fn a_deny_of_a_method_goes_before_every_rule_about_names() {
    let text = r#"{"version":1,"rules":[
        {"id":"t","tools":["a"]},
        {"id":"stop","effect":"deny","channels":["main"],"methods":["tools/call","ping"]},
        {"id":"p","methods":["ping"]}]}"#;
    let policy = policy(text);
    for (channel, body, expected) in [
        ("main", tool("a", "{}"), "no stop"),
        ("other", tool("a", "{}"), "ok t"),
        ("main", request("ping", "{}"), "no stop"),
        ("other", request("ping", "{}"), "ok p"),
    ] {
        assert_eq!(verdict(&policy, channel, body.as_bytes(), &HeaderMap::new()), expected);
    }
}

#[test]
fn limits_of_bytes_are_those_of_the_rule_and_of_the_channel() {
    let policy = policy(POLICY);
    let none = HeaderMap::new();
    let long = format!(r#"{{"path":"/srv/shared/{}"}}"#, "x".repeat(600));
    assert_eq!(verdict(&policy, "files", tool("read_file", &long).as_bytes(), &none), "no read");
    let longer = format!(r#"{{"text":"{}"}}"#, "x".repeat(20_000));
    assert_eq!(verdict(&policy, "main", tool("echo", &longer).as_bytes(), &none), "no limits.request-bytes");
    let body = tool("read_file", r#"{"path":"/srv/shared/a"}"#);
    let decision = policy.decide(&Call { channel: "files", body: body.as_bytes(), headers: &none });
    assert_eq!(policy.result_bytes(&decision), Some(100));
    let body = tool("echo", "{}");
    let decision = policy.decide(&Call { channel: "main", body: body.as_bytes(), headers: &none });
    assert_eq!(policy.result_bytes(&decision), Some(5000));
}
