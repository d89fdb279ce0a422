use super::*;

fn success(body: &str, id: &str) -> Result<String, Kind> {
    of_success(&Bytes::from(body.to_string()), id).map(|b| String::from_utf8(b.to_vec()).unwrap())
}

fn error(body: &[u8], id: &str) -> Result<Bytes, Kind> {
    of_error(&Bytes::copy_from_slice(body), Some(id))
}

#[test]
fn a_response_passes_byte_for_byte() {
    let body = " {\"result\" : {\"n\":1.50, \"t\":\"<&>\\u0041\"}, \"id\":9007199254740993,\"extra\":[ ] ,\"jsonrpc\":\"2.0\"}\n";
    assert_eq!(success(body, "9007199254740993").unwrap(), body);
    let body = "{\"jsonrpc\":\"2.0\",\"id\":\"\",\"error\":{\"code\":-32003,\"message\":\"m\",\"data\":[1]}}";
    assert_eq!(success(body, "\"\"").unwrap(), body);
}

#[test]
fn an_id_spelled_differently_gets_the_requests_spelling_back() {
    assert_eq!(
        success(r#"{"jsonrpc":"2.0", "id": "ab", "result":{}}"#, r#""a\u0062""#).unwrap(),
        r#"{"jsonrpc":"2.0", "id": "a\u0062", "result":{}}"#
    );
}

#[test]
fn case_142_143_a_body_that_is_not_one_json_object_is_malformed() {
    for body in [
        "<html>",
        "{\"jsonrpc\":\"2.0\",\"id\":1,",
        "[{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}]",
        "1",
        "\u{feff}{}",
    ] {
        assert_eq!(success(body, "1"), Err(Kind::MalformedJson), "{body}");
    }
    assert_eq!(
        of_success(&Bytes::from_static(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"\xff\"}"), "1"),
        Err(Kind::MalformedJson)
    );
}

#[test]
fn another_message_than_the_response_is_a_protocol_violation() {
    for body in [
        r#"{"jsonrpc":"2.0","id":2,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":"1","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"m"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/progress"}"#,
    ] {
        assert_eq!(success(body, "1"), Err(Kind::InvalidProtocolResponse), "{body}");
    }
}

#[test]
fn case_139_an_empty_body_is_no_answer() {
    for body in ["", " \r\n"] {
        assert_eq!(success(body, "1"), Err(Kind::NonProtocolResponse));
    }
}

#[test]
fn case_149_an_error_with_unknown_members_and_odd_spacing_is_kept() {
    for body in [
        &b" { \"x\":1, \"jsonrpc\":\"2.0\" , \"id\":1, \"error\":{\"code\":-32003,\"message\":\"<no>\",\"data\":{\"a\":[ ]},\"y\":2}}\r\n"[..],
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"message\":\"\",\"code\":0}}",
    ] {
        assert_eq!(error(body, "1").unwrap(), body);
    }
}

#[test]
fn case_150_151_153_what_is_not_the_error_of_this_request_is_replaced() {
    for body in [
        r#"{"jsonrpc":"2.0","id":2,"error":{"code":1,"message":"m"}}"#,
        r#"{"jsonrpc":"2.0","error":{"code":1,"message":"m"}}"#,
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"m"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":null,"error":{"code":1,"message":"m"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"m","error":{"code":1,"message":"m"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":null,"error":{"code":1,"message":"m"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":1}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":1.5,"message":"m"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":"1","message":"m"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":null}}"#,
        r#"{"jsonrpc":"1.0","id":1,"error":{"code":1,"message":"m"}}"#,
        r#"{"id":1,"error":{"code":1,"message":"m"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"id":1,"error":{"code":1,"message":"m"}}"#,
        r#"[{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m"}}]"#,
        r#"["2.0",1,null,null,{"code":1,"message":"m"}]"#,
        r#"{"jsonrpc":"2.0","id":1,"error":[1,"m"]}"#,
        r#"{"detail":"no"}"#,
        "null",
    ] {
        assert_eq!(error(body.as_bytes(), "1"), Err(Kind::InvalidMcpError), "{body}");
    }
}

#[test]
fn case_154_an_error_page_is_malformed() {
    for body in [&b"<html>no</html>"[..], b"{\"jsonrpc\":", b"{} {}", b"{\"a\":\"\xff\"}"] {
        assert_eq!(error(body, "1"), Err(Kind::MalformedJson));
    }
    assert_eq!(error(b" \n", "1"), Err(Kind::ResponseBodyMissing));
}

#[test]
fn case_158_a_notification_has_no_error_of_its_own() {
    let body = Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m"}}"#);
    assert_eq!(of_error(&body, None), Err(Kind::InvalidMcpError));
}
