use super::*;
use proptest::prelude::*;

fn read(text: &str) -> Result<Message, Invalid> {
    parse(&Bytes::copy_from_slice(text.as_bytes()))
}

fn refused(text: &str) -> (i32, Option<String>) {
    let invalid = read(text).expect_err(text);
    (invalid.code(), invalid.id().map(str::to_owned))
}

fn with_id(id: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#)
}

#[test]
fn case_077_ids_of_every_legal_kind_are_kept() {
    for id in [r#""abc""#, r#""""#, "0", "-5", r#""\u0061""#] {
        assert_eq!(read(&with_id(id)).unwrap().id(), Some(id));
    }
}

#[test]
fn case_078_an_id_above_2_to_the_53_keeps_its_digits() {
    let message = read(&with_id("9007199254740993")).unwrap();
    assert_eq!(message.id(), Some("9007199254740993"));
    assert_eq!(&message.raw()[message.id_span().unwrap()], b"9007199254740993");
}

#[test]
fn case_079_fractions_and_exponents_are_kept_as_written() {
    for id in ["1.5", "1e2", "1E+2", "-0.0", "123456789012345678901234567890"] {
        assert_eq!(read(&with_id(id)).unwrap().id(), Some(id));
    }
}

#[test]
fn case_081_an_id_of_another_type_is_refused_without_echo() {
    for id in ["true", "false", "{}", "[]", "[1]", r#"{"a":1}"#, r#""\ud800""#] {
        assert_eq!(refused(&with_id(id)), (-32600, None), "{id}");
    }
    let longest = format!("\"{}\"", "a".repeat(MAX_RPC_ID - 2));
    assert_eq!(read(&with_id(&longest)).unwrap().id(), Some(longest.as_str()));
    assert_eq!(refused(&with_id(&format!("\"{}\"", "a".repeat(MAX_RPC_ID - 1)))), (-32600, None));
}

#[test]
fn case_082_params_are_the_bytes_that_came() {
    let params = r#"{ "a":1.0,"b":1e400, "c":12345678901234567890 }"#;
    let text = format!(r#" {{"params": {params} ,"jsonrpc":"2.0","id":1,"method":"m"}} "#);
    let message = read(&text).unwrap();
    assert_eq!(message.params(), Some(params));
    assert_eq!(message.raw(), &text);
}

#[test]
fn case_083_unknown_members_stay_where_they_are() {
    let text = r#"{"jsonrpc":"2.0","trace":{"id":[1,{"method":2}]},"method":"m","trace":2}"#;
    let message = read(text).unwrap();
    assert_eq!((message.raw().as_ref(), message.id(), message.params()), (text.as_bytes(), None, None));
}

#[test]
fn case_075_a_batch_is_no_message() {
    let one = with_id("1");
    for text in [format!("[{one}]"), format!("\n [{one},{one}]"), "[]".into()] {
        assert_eq!(refused(&text), (-32700, None));
    }
}

#[test]
fn what_is_no_object_is_a_parse_error() {
    for text in [
        "",
        "null",
        "1",
        "\"x\"",
        "{",
        r#"{"jsonrpc":"2.0","method":"m"} x"#,
        r#"{"a":01}"#,
        "{\"a\":\"\n\"}",
    ] {
        assert_eq!(refused(text), (-32700, None), "{text}");
    }
    let not_text = b"{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"x\":\"\xff\"}";
    assert_eq!(parse(&Bytes::from_static(not_text)).unwrap_err().code(), -32700);
}

#[test]
fn an_object_that_is_no_request_is_refused_with_its_id() {
    for rest in [
        r#""method":"m""#,
        r#""jsonrpc":"1.0","method":"m""#,
        r#""jsonrpc":2.0,"method":"m""#,
        r#""jsonrpc":"2.0""#,
        r#""jsonrpc":"2.0","method":"""#,
        r#""jsonrpc":"2.0","method":null"#,
        r#""jsonrpc":"2.0","method":7"#,
        r#""jsonrpc":"2.0","method":"m","result":1"#,
        r#""jsonrpc":"2.0","method":"m","Params":{}"#,
        r#""jsonrpc":"2.0","method":"m","param\u017f":{}"#,
    ] {
        assert_eq!(refused(&format!("{{\"id\":\"q\",{rest}}}")), (-32600, Some("\"q\"".into())), "{rest}");
    }
}

#[test]
fn a_response_is_told_apart() {
    for rest in [r#""result":{}"#, r#""result":null"#, r#""error":{}"#] {
        let invalid = read(&format!(r#"{{"jsonrpc":"2.0","id":7,{rest}}}"#)).unwrap_err();
        assert_eq!(invalid, Invalid::IsResponse(Some("7".into())));
        assert_eq!(invalid.code(), -32600);
    }
}

#[test]
fn a_known_member_given_twice_is_refused() {
    for twice in
        [r#""method":"a","method":"b""#, r#""method":"a","m\u0065thod":"b""#, r#""method":"a","id":1,"id":1"#]
    {
        assert_eq!(refused(&format!(r#"{{"jsonrpc":"2.0",{twice}}}"#)), (-32600, None));
    }
    for params in [r#"{"_meta":{},"_meta":{}}"#, r#"{"_meta":{"progressToken":1,"progressToken":2}}"#] {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{params}}}"#);
        assert_eq!(refused(&text), (-32600, Some("1".into())));
    }
}

#[test]
fn depth_is_bounded_and_costs_no_stack() {
    let nested = |n: usize| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"m","x":"[[\"[","params":{}{}}}"#,
            "[".repeat(n),
            "]".repeat(n)
        )
    };
    assert!(read(&nested(MAX_DEPTH - 1)).is_ok());
    assert_eq!(refused(&nested(MAX_DEPTH)), (-32600, Some("1".into())));
    assert_eq!(refused(&nested(1_000_000)), (-32600, Some("1".into())));
}

#[test]
fn a_null_id_makes_a_notification_and_is_taken_out() {
    let message = read(r#"{"id":null,"jsonrpc":"2.0","method":"a\"b","params":{"x": 1e400}}"#).unwrap();
    assert_eq!((message.id(), message.method()), (None, "a\"b"));
    assert_eq!(message.raw(), r#"{"jsonrpc":"2.0","method":"a\"b","params":{"x": 1e400}}"#);
}

#[test]
fn a_request_is_self_contained_only_with_a_late_date_and_capabilities() {
    let era = |version: &str, capabilities: &str| {
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"_meta":{{
            "io.modelcontextprotocol/protocolVersion":{version},
            "io.modelcontextprotocol/clientCapabilities":{capabilities}}}}}}}"#
        );
        read(&text).unwrap().era()
    };
    assert_eq!(era(r#""2026-07-28""#, "{}"), Era::Stateless);
    assert_eq!(era(r#""2027-01-01""#, r#"{"x":1}"#), Era::Stateless);
    for (version, capabilities) in [
        (r#""2026-07-27""#, "{}"),
        (r#""2025-11-25""#, "{}"),
        (r#""9""#, "{}"),
        (r#""2026-7-280""#, "{}"),
        ("20260728", "{}"),
        (r#""2026-07-28""#, "[]"),
        (r#""2026-07-28""#, "null"),
    ] {
        assert_eq!(era(version, capabilities), Era::Session, "{version} {capabilities}");
    }
    assert_eq!(read(&with_id("1").replace("ping", "server/discover")).unwrap().era(), Era::Stateless);
    assert_eq!(read(&with_id("1")).unwrap().era(), Era::Session);
}

#[test]
fn the_progress_token_is_found_where_it_stands() {
    let text = r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"progressToken":1,"_meta":{"progressToken": "t\n" }}}"#;
    let message = read(text).unwrap();
    assert_eq!(message.progress_token(), Some(r#""t\n""#));
    let replaced = splice(message.raw(), &[(message.progress_token_span().unwrap(), "42")]);
    assert_eq!(replaced, text.replace(r#""t\n""#, "42").as_bytes());
}

#[test]
fn a_message_is_shown_without_its_payload() {
    let shown = format!("{:?}", read(r#"{"jsonrpc":"2.0","method":"m","params":["secret"]}"#).unwrap());
    assert!(!shown.contains("secret"), "{shown}");
}

fn from_server(text: &str) -> Result<Incoming, Invalid> {
    incoming(&Bytes::copy_from_slice(text.as_bytes()))
}

#[test]
fn a_response_gets_another_id_and_keeps_the_rest() {
    let text = r#"{"result":{"id":7, "n":1e400},"id": 7 ,"x":1,"jsonrpc":"2.0"}"#;
    let Incoming::Response(response) = from_server(text).unwrap() else { panic!("not a response") };
    assert_eq!((response.id(), response.failed()), (Some("7"), false));
    let expected = r#"{"result":{"id":7, "n":1e400},"id": "call-9007199254740993" ,"x":1,"jsonrpc":"2.0"}"#;
    assert_eq!(response.with_id("\"call-9007199254740993\""), expected);
}

#[test]
fn server_messages_are_told_apart() {
    let error = r#"{"jsonrpc":"2.0","id":1,"result":null,"error":{"code":1,"message":""}}"#;
    assert!(matches!(from_server(error), Ok(Incoming::Response(r)) if r.failed()));
    let no_id = r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":""}}"#;
    assert!(
        matches!(from_server(no_id), Ok(Incoming::Response(r)) if r.id().is_none() && r.with_id("1") == no_id)
    );
    assert!(matches!(from_server(&with_id("1")), Ok(Incoming::Request(m)) if m.id() == Some("1")));
    assert!(matches!(from_server(r#"{"jsonrpc":"2.0","method":"n"}"#), Ok(Incoming::Notification(_))));
    for bad in [
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":1,"error":{}}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":{},"result":1}"#,
        r#"[{"jsonrpc":"2.0","id":1,"result":1}]"#,
        "Server listening on stdio",
    ] {
        assert!(from_server(bad).is_err(), "{bad}");
    }
}

#[test]
fn only_the_servers_own_error_for_the_request_is_relayed() {
    let is = |text: &str| is_mcp_error(&Bytes::copy_from_slice(text.as_bytes()), "1");
    assert!(is(r#" {"jsonrpc":"2.0","id":1.0,"error":{"code":-32003,"message":"<&>","data":{}},"x":1}"#));
    for text in [
        r#"{"jsonrpc":"2.0","id":2,"error":{"code":1,"message":""}}"#,
        r#"{"jsonrpc":"2.0","id":"1","error":{"code":1,"message":""}}"#,
        r#"{"jsonrpc":"2.0","error":{"code":1,"message":""}}"#,
        r#"{"id":1,"error":{"code":1,"message":""}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":null,"error":{"code":1,"message":""}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"m","error":{"code":1,"message":""}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":1.5,"message":""}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":"1","message":""}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":1}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":[1,""]}"#,
        r#"[{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}}]"#,
        "<html>",
    ] {
        assert!(!is(text), "{text}");
    }
}

#[test]
fn written_messages_are_what_the_reader_expects() {
    let body = error_body(Some("1.50"), -32002, "say \"hi\"", Some(r#"{"a":1}"#));
    let expected =
        r#"{"jsonrpc":"2.0","id":1.50,"error":{"code":-32002,"message":"say \"hi\"","data":{"a":1}}}"#;
    assert_eq!(body, expected);
    assert!(is_mcp_error(&body, "1.5"));
    assert_eq!(error_body(None, 1, "m", None), r#"{"jsonrpc":"2.0","error":{"code":1,"message":"m"}}"#);
    assert_eq!(result_body("\"x\"", "{}"), r#"{"jsonrpc":"2.0","id":"x","result":{}}"#);
}

#[test]
fn splice_ignores_spans_that_make_no_sense() {
    let reversed = Range { start: 3, end: 1 };
    assert_eq!(splice(b"abcdef", &[(reversed, "x"), (1..2, "-"), (0..1, "y"), (5..9, "z")]), b"a-cdef");
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        "\\PC{0,8}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::vec(("\\PC{0,6}", inner), 0..4)
                .prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let raw = Bytes::from(bytes);
        let _ = parse(&raw);
        let _ = incoming(&raw);
        let _ = is_mcp_error(&raw, "1");
    }

    #[test]
    fn spans_name_the_values(params in json(), id in "0|[1-9][0-9]{0,30}|\"[a-z]{0,9}\"", method in "\\PC{1,9}", pretty in any::<bool>()) {
        let value = serde_json::json!({"jsonrpc": "2.0", "method": method, "params": params, "id": "@ID@"});
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let text = text.replace("\"@ID@\"", &id);
        let message = read(&text).unwrap();
        prop_assert_eq!(message.id(), Some(id.as_str()));
        prop_assert_eq!(message.method(), method);
        let again: serde_json::Value = serde_json::from_str(message.params().unwrap()).unwrap();
        prop_assert_eq!(again, params);
        let mut line = splice(message.raw(), &[(message.id_span().unwrap(), "\"@ID@\"")]);
        one_line(&mut line);
        prop_assert!(!line.contains(&b'\n'));
        prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&line).unwrap(), value);
    }
}
