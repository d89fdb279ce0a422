use std::fmt::Write as _;

use serde_json::{Value, json};

use super::*;

fn body(elements: &[Value]) -> Bytes {
    json!({ "commands": elements }).to_string().into()
}

fn good(id: &str) -> Value {
    json!({
        "request_id": id, "shard_token": "st", "command_type": "jsonrpc", "channel": "main",
        "created_at": "2026-01-01T00:00:00Z",
        "jsonrpc": {"jsonrpc": "2.0", "id": 7, "method": "tools/list"},
    })
}

/// The well-formed command with a member replaced (or, by null, taken away).
fn with(member: &str, value: Value) -> Value {
    let mut command = good("r");
    match value {
        Value::Null => command.as_object_mut().unwrap().remove(member),
        value => command.as_object_mut().unwrap().insert(member.into(), value),
    };
    command
}

fn one(element: &Value) -> Item {
    one_text(&element.to_string())
}

fn one_text(element: &str) -> Item {
    let batch = parse(&Bytes::from(format!("{{\"commands\":[{element}]}}")), true);
    assert_eq!((batch.items.len(), batch.cut), (1, None));
    batch.items.into_iter().next().unwrap()
}

fn command(item: Item) -> Command {
    match item {
        Item::Command(command) => command,
        other => panic!("{other:?}"),
    }
}

fn malformed(item: Item) -> Malformed {
    match item {
        Item::Malformed(malformed) => malformed,
        other => panic!("{other:?}"),
    }
}

fn dropped(item: Item) -> &'static str {
    match item {
        Item::Dropped(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_command_is_read_and_its_payload_is_a_piece_of_the_body() {
    let raw = r#"{ "jsonrpc":"2.0", "id":9007199254740993,"method":"m","params":{"x":1e400} }"#;
    let text = format!(
        r#"{{"commands":[{{"request_id":"r1","shard_token":"s1","command_type":"jsonrpc",
        "headers":{{"A":["1","2"],"b":[]}},"response_timeout":"30s","extra":{{"deep":[]}},"jsonrpc":{raw}}}]}}"#
    );
    let body = Bytes::from(text);
    let read = command(parse(&body, true).items.into_iter().next().unwrap());
    assert_eq!(
        (read.request_id.as_str(), read.shard_token.as_str(), read.channel.as_str()),
        ("r1", "s1", "main")
    );
    assert_eq!(read.headers, [("A".into(), vec!["1".into(), "2".into()]), ("b".into(), vec![])]);
    assert_eq!(read.timeout, Some(Duration::from_secs(30)));
    let Kind::Jsonrpc(payload) = read.kind else { panic!() };
    assert_eq!(payload, raw);
    assert!(body.as_ptr_range().contains(&payload.as_ptr()), "not a copy");
}

#[test]
fn a_small_payload_does_not_keep_a_large_body_alive() {
    let mut large = good("large");
    large["jsonrpc"]["params"] = json!("x".repeat(200_000));
    let body = body(&[good("small"), large]);
    let payloads: Vec<(bool, usize, usize)> = parse(&body, true)
        .items
        .into_iter()
        .map(|item| {
            let command = command(item);
            let Kind::Jsonrpc(payload) = &command.kind else { panic!() };
            (body.as_ptr_range().contains(&payload.as_ptr()), payload.len(), command.size)
        })
        .collect();
    assert!(!payloads[0].0 && payloads[1].0, "{payloads:?}");
    assert!(payloads[1].2 >= body.len(), "a shared body is accounted for: {payloads:?}");
}

#[test]
fn case_038_an_empty_list_is_success() {
    for text in ["{}", r#"{"commands":[]}"#, r#"{"commands":null}"#] {
        let batch = parse(&Bytes::from(text), true);
        assert!(batch.items.is_empty() && batch.cut.is_none(), "{text}");
    }
    assert!(parse(&Bytes::from("[]"), true).cut.is_some());
    assert!(parse(&Bytes::new(), true).cut.is_some());
}

#[test]
fn case_039_more_commands_than_a_poll_may_ask_for_are_all_read() {
    let many: Vec<Value> = (0..60).map(|n| good(&format!("r{n}"))).collect();
    let items = parse(&body(&many), true).items;
    assert_eq!(items.into_iter().map(command).count(), 60);
}

#[test]
fn case_041_a_malformed_element_costs_only_itself() {
    let bad = [
        r#"{"request_id":"x","shard_token":"s","command_type":"jsonrpc","jsonrpc":{"id":1,}}"#,
        "nonsense",
        r#"{"a":[}"#,
        "\"\u{fffd}\"",
        "17",
        "{}",
    ];
    for bad in bad {
        let text = format!("{{\"commands\":[{},{bad},{}]}}", good("r1"), good("r2"));
        let items = parse(&Bytes::from(text), true).items;
        let ids: Vec<String> = items
            .into_iter()
            .filter_map(|item| if let Item::Command(c) = item { Some(c.request_id) } else { None })
            .collect();
        assert_eq!(ids, ["r1", "r2"], "{bad}");
    }
}

#[test]
fn a_cut_body_loses_only_what_is_missing() {
    let whole = body(&[good("r1"), good("r2"), good("r3")]);
    let cut = whole.slice(..whole.len() - 20);
    let batch = parse(&cut, false);
    assert_eq!(batch.items.len(), 2);
    assert!(batch.cut.is_some());
    assert_eq!(parse(&whole, false).items.len(), 3);
    assert!(parse(&whole, false).cut.is_some(), "the transport knows that something is missing");
}

#[test]
fn case_065_an_unknown_command_type_is_answered() {
    let read = malformed(one(&with("command_type", json!("reboot"))));
    assert_eq!((read.code, read.rpc_id.as_deref(), read.resp_type), (-32601, Some("7"), RespType::Jsonrpc));
    assert_eq!(malformed(one(&with("command_type", Value::Null))).code, -32600);
    assert_eq!(malformed(one(&with("command_type", json!(3)))).code, -32600);
}

#[test]
fn case_066_without_ids_nothing_can_be_answered() {
    assert_eq!(dropped(one(&with("shard_token", Value::Null))), "shard_token is missing");
    assert_eq!(dropped(one(&with("shard_token", json!("")))), "shard_token is empty");
    assert_eq!(
        dropped(one(&with("shard_token", json!("a\r\nb")))),
        "shard_token is not a legal header value"
    );
    assert_eq!(dropped(one(&with("shard_token", json!(" a")))), "shard_token is not a legal header value");
    assert_eq!(dropped(one(&with("shard_token", json!("x".repeat(4097))))), "shard_token is too long");
    assert_eq!(dropped(one(&with("request_id", Value::Null))), "request_id is missing");
    assert_eq!(dropped(one(&with("request_id", json!("")))), "request_id is empty");
    assert_eq!(dropped(one(&with("request_id", json!(5)))), "request_id is not a string");
    assert_eq!(dropped(one(&with("request_id", json!("x".repeat(513))))), "request_id is too long");
    command(one(&with("request_id", json!("x".repeat(512)))));
    command(one(&with("shard_token", json!("x".repeat(4096)))));
}

#[test]
fn case_067_a_channel_is_trimmed_and_lower_cased() {
    assert_eq!(command(one(&with("channel", json!("  MAIN ")))).channel, "main");
    for blank in [json!(""), json!("  "), Value::Null] {
        assert_eq!(command(one(&with("channel", blank))).channel, "main");
    }
    assert_eq!(command(one(&with("channel", json!("Team_2-b")))).channel, "team_2-b");
}

#[test]
fn case_069_a_bad_channel_is_answered_on_main() {
    for bad in [json!("a b"), json!("x".repeat(65)), json!(5), json!({})] {
        let read = malformed(one(&with("channel", bad)));
        assert_eq!((read.code, read.channel.as_str(), read.rpc_id.as_deref()), (-32600, "main", Some("7")));
    }
}

#[test]
fn case_075_a_batch_or_a_scalar_is_answered_as_unparsable() {
    for payload in [json!([{"jsonrpc": "2.0"}]), json!("x"), json!(1), json!(true)] {
        let read = malformed(one(&with("jsonrpc", payload)));
        assert_eq!((read.code, read.rpc_id), (-32700, None));
    }
    assert_eq!(malformed(one(&with("jsonrpc", Value::Null))).code, -32600);
}

#[test]
fn case_078_an_id_in_an_error_keeps_its_digits() {
    for (id, expected) in [
        ("9007199254740993", Some("9007199254740993")),
        ("1.50", Some("1.50")),
        ("\"\\u0061\"", Some("\"\\u0061\"")),
        ("\"\"", Some("\"\"")),
        ("-5", Some("-5")),
        ("null", None),
        ("true", None),
        ("{}", None),
        ("7,\"id\":8", None),
    ] {
        let text = format!(
            r#"{{"request_id":"r","shard_token":"s","command_type":"?","jsonrpc":{{"ID":3,"id":{id},"method":"m"}}}}"#
        );
        assert_eq!(malformed(one_text(&text)).rpc_id.as_deref(), expected, "{id}");
    }
}

#[test]
fn case_085_headers_of_a_wrong_shape_are_answered() {
    for fine in [Value::Null, json!({}), json!({"A": []}), json!({"A": ["x"]})] {
        command(one(&with("headers", fine)));
    }
    let null = good("r").to_string().replacen('{', "{\"headers\":null,", 1);
    command(one_text(&null));
    for bad in [json!({"A": "x"}), json!([]), json!({"A": [1]}), json!("x"), json!({"A": {"b": []}})] {
        let read = malformed(one(&with("headers", bad)));
        assert_eq!((read.code, read.message), (-32600, "headers is not an object of string arrays"));
    }
}

#[test]
fn headers_are_bounded() {
    let values = |n: usize| json!({ "A": vec!["v"; n] });
    command(one(&with("headers", values(255))));
    assert_eq!(malformed(one(&with("headers", values(256)))).message, "headers are too large");
    let bytes = |n: usize| json!({ "A": ["x".repeat(n)] });
    command(one(&with("headers", bytes(65_535))));
    assert_eq!(malformed(one(&with("headers", bytes(65_536)))).message, "headers are too large");
    let mut names = String::new();
    (0..257).for_each(|n| write!(names, "{}\"h{n}\":[]", if n == 0 { "" } else { "," }).unwrap());
    let text = good("r").to_string().replacen('{', &format!("{{\"headers\":{{{names}}},"), 1);
    assert_eq!(malformed(one_text(&text)).message, "headers are too large");
}

#[test]
fn case_086_the_shard_token_is_kept_as_it_is() {
    let token = "aZ09+/=_-.~:é";
    assert_eq!(command(one(&with("shard_token", json!(token)))).shard_token, token);
}

#[test]
fn case_087_the_connectors_request_id_is_found() {
    let of = |headers| command(one(&with("headers", headers)));
    assert_eq!(of(json!({"X-Request-Id": ["r1"]})).client_request_id(), Some("r1"));
    assert_eq!(of(json!({"x-request-ID": ["", "r2"]})).client_request_id(), Some("r2"));
    assert_eq!(of(json!({"Y": ["r"]})).client_request_id(), None);
}

#[test]
fn created_at_must_be_a_text_and_is_not_interpreted() {
    for fine in [json!("yesterday"), Value::Null] {
        command(one(&with("created_at", fine)));
    }
    assert_eq!(malformed(one(&with("created_at", json!(1)))).code, -32600);
}

#[test]
fn member_names_of_the_envelope_have_no_case_but_must_not_repeat() {
    let text = r#"{"Request_ID":"r","SHARD_TOKEN":"s","Command_Type":"jsonrpc","JsonRpc":{}}"#;
    command(one_text(text));
    let twice = text.replacen('{', "{\"channel\":\"main\",\"CHANNEL\":\"other\",", 1);
    assert_eq!(malformed(one_text(&twice)).code, -32600);
    let ids = text.replacen('{', "{\"request_id\":\"q\",", 1);
    assert_eq!(dropped(one_text(&ids)), "request_id occurs twice");
}

#[test]
fn a_session_termination_needs_a_session() {
    let end = |headers: &str| {
        format!(
            r#"{{"request_id":"r","shard_token":"s","command_type":"session_termination","headers":{headers}}}"#
        )
    };
    assert_eq!(command(one_text(&end(r#"{"mcp-SESSION-id":["x"]}"#))).kind, Kind::SessionTermination);
    for headers in ["null", "{}", r#"{"Mcp-Session-Id":[]}"#, r#"{"Mcp-Session-Id":[" "]}"#] {
        let read = malformed(one_text(&end(headers)));
        assert_eq!((read.resp_type, read.rpc_id), (RespType::SessionTermination, None), "{headers}");
    }
}

#[test]
fn oauth_discovery_is_read() {
    let text = r#"{"request_id":"r","shard_token":"s","command_type":"oauth_discovery"}"#;
    assert_eq!(command(one_text(text)).kind, Kind::OauthDiscovery);
}

#[test]
fn what_was_read_before_a_syntax_error_is_enough_for_an_answer() {
    let text = r#"{"request_id":"r","shard_token":"s","command_type":"jsonrpc","jsonrpc":{"id":1},"x":tru}"#;
    let read = malformed(one_text(text));
    assert_eq!((read.code, read.rpc_id.as_deref()), (-32700, Some("1")));
}

#[test]
fn a_command_that_is_nested_too_deeply_is_answered() {
    let nested = |n: usize| {
        let text = good("r").to_string();
        text.replace("\"tools/list\"", &format!("\"x\",\"params\":{}{}", "[".repeat(n), "]".repeat(n)))
    };
    command(one_text(&nested(127)));
    for depth in [128, 100_000] {
        let read = malformed(one_text(&nested(depth)));
        assert_eq!((read.code, read.message), (-32600, "command is nested too deeply"));
    }
}

#[test]
fn a_timeout_that_cannot_be_read_is_none() {
    assert_eq!(command(one(&with("response_timeout", json!("9223372036854775808ns")))).timeout, None);
    for odd in [json!(30), json!({}), json!("soon")] {
        assert_eq!(command(one(&with("response_timeout", odd))).timeout, None);
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_survived(body: Vec<u8>, complete: bool) {
        let _ = parse(&Bytes::from(body), complete);
    }

    #[test]
    fn any_damage_to_a_command_is_survived(at in 0usize..200, byte: u8) {
        let mut text = body(&[good("r1"), good("r2")]).to_vec();
        text[at] = byte;
        let _ = parse(&Bytes::from(text), true);
    }
}
