//! Attempts to get something past the rules: each is refused, or means what it says.

use super::*;

#[track_caller]
fn refused(body: &[u8], expected: &str) {
    let policy = policy(POLICY);
    for channel in ["main", "files", "docs"] {
        let found = verdict(&policy, channel, body, &HeaderMap::new());
        assert!(found.starts_with("no "), "{channel}: {found}");
    }
    assert_eq!(verdict(&policy, "main", body, &HeaderMap::new()), expected);
}

#[test]
fn names_that_only_look_like_allowed_ones_are_others() {
    // Letter case, Cyrillic е, fullwidth, combining, zero width, long s, trailing NUL.
    for name in
        ["ECHO", "\u{435}cho", "\u{ff45}cho", "e\u{301}cho", "echo\u{200b}", "\u{17f}um", "echo\\u0000"]
    {
        refused(tool(name, "{}").as_bytes(), "no policy.default");
    }
}

#[test]
fn an_escaped_name_is_the_name_that_it_spells() {
    let policy = policy(POLICY);
    let none = HeaderMap::new();
    let spelt = |name: &str| tool(name, "{}");
    assert_eq!(verdict(&policy, "files", spelt("\\u0064rop").as_bytes(), &none), "no no-drop");
    assert_eq!(verdict(&policy, "main", spelt("\\u0065cho").as_bytes(), &none), "ok plain");
    let method =
        r#"{"jsonrpc":"2.0","id":1,"\u006dethod":"tools\/c\u0061ll","params":{"n\u0061me":"fdrop"}}"#;
    assert_eq!(verdict(&policy, "main", method.as_bytes(), &none), "no policy.default");
    refused(spelt("\\ud800drop").as_bytes(), "no policy.unreadable");
}

#[test]
fn a_key_given_twice_refuses_the_call_wherever_it_stands() {
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call","params":{"name":"x"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","name":"drop"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","n\u0061me":"drop"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"a":{"b":1,"b":2}}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"},"params":{"name":"drop"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":[{"k":1},{"k":1,"k":1}]}}"#,
    ] {
        refused(body.as_bytes(), "no policy.duplicate-key");
    }
    let many: Vec<String> = (0..50).map(|n| format!("\"k{}\":1", n % 49)).collect();
    refused(tool("echo", &format!("{{{}}}", many.join(","))).as_bytes(), "no policy.duplicate-key");
}

#[test]
fn a_member_in_other_letter_case_refuses_the_call() {
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","Method":"x","params":{"name":"echo"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","Params":{"name":"drop"},"params":{"name":"echo"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","Name":"drop"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","Argument\u017f":{}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"NAME":"echo"}}"#,
    ] {
        refused(body.as_bytes(), "no policy.unreadable");
    }
}

#[test]
fn batches_and_what_is_no_message_are_refused() {
    let call = tool("echo", "{}");
    refused(format!("[{call}]").as_bytes(), "no policy.batch");
    refused(format!("[[{call}]]").as_bytes(), "no policy.batch");
    refused(b"[]", "no policy.batch");
    for body in
        ["", " ", "{", "null", "1", "\"x\"", "{}{}", "{\"method\":1}", "{\"method\":\"\"}", "{}", "{'a':1}"]
    {
        refused(body.as_bytes(), "no policy.unreadable");
    }
    for body in
        ["{\"method\":\"ping\",}", "{\"a\":01}", "{\"a\":+1}", "{\"a\":.5}", "{\"a\":NaN}", "{\"a\":\"\t\"}"]
    {
        refused(body.as_bytes(), "no policy.unreadable");
    }
    refused(format!("\u{feff}{call}").as_bytes(), "no policy.unreadable");
    refused(format!("{call}//").as_bytes(), "no policy.unreadable");
}

#[test]
fn bytes_that_are_no_utf_8_are_refused() {
    let mut body = tool("echo", r#"{"t":"?"}"#).into_bytes();
    for bytes in [&[0xff][..], &[0xc0, 0xaf], &[0xed, 0xa0, 0x80]] {
        let at = body.iter().position(|b| *b == b'?').unwrap();
        let mut broken = body.clone();
        broken.splice(at..=at, bytes.iter().copied());
        refused(&broken, "no policy.unreadable");
    }
    body.retain(|b| *b != b'?');
    assert_eq!(verdict(&policy(POLICY), "main", &body, &HeaderMap::new()), "ok plain");
}

#[test]
fn a_request_sent_as_a_notification_is_refused_and_so_is_the_reverse() {
    for body in [
        r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"echo"}}"#,
        r#"{"jsonrpc":"2.0","method":"tools/call","id":null,"params":{"name":"echo"}}"#,
        r#"{"jsonrpc":"2.0","method":"tools/list"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"notifications/initialized"}"#,
    ] {
        refused(body.as_bytes(), "no policy.notification");
    }
    let note = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    assert_eq!(verdict(&policy(POLICY), "main", note.as_bytes(), &HeaderMap::new()), "ok session");
    refused(br#"{"jsonrpc":"2.0","method":"notifications/other"}"#, "no policy.default");
}

#[test]
fn size_and_depth_cost_nothing_but_a_refusal() {
    let text = POLICY.replace(r#""request_bytes": 20000, "#, "");
    let policy = policy(&text);
    let none = HeaderMap::new();
    let ten = "x".repeat(10 << 20);
    assert_eq!(verdict(&policy, "main", tool(&ten, "{}").as_bytes(), &none), "no policy.default");
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        assert_eq!(verdict(&policy, "main", tool("echo", &deep).as_bytes(), &none), "no policy.unreadable");
        assert_eq!(
            verdict(&policy, "main", open.repeat(100_000).as_bytes(), &none).split(' ').next(),
            Some("no")
        );
    }
    let many = format!("[{}1]", "1,".repeat(200_000));
    assert_eq!(verdict(&policy, "main", tool("echo", &many).as_bytes(), &none), "no policy.unreadable");
}

#[test]
fn a_uri_in_another_spelling_is_not_below_its_prefix() {
    let policy = policy(POLICY);
    for rest in [
        "../secret",
        "./a",
        "a/../../x",
        "a/..",
        "%2e%2e/x",
        "%2E%2e/x",
        ".%2e/x",
        "..%2fx",
        "a%2fb",
        "a%5cb",
        "a\\\\b",
        "%252e%252e/x",
        "a//b",
        "/a",
        "%76ault/key",
        "v%61ult/key",
        "a%00",
        "a%0ab",
        "a b",
        "a%",
        "a%2",
        "a%zz",
        "..;/x",
        "..;a=b/x",
        "a\\u0000",
        "a\\nb",
        "x/..?y",
        "x/..#y",
        "..?",
        "a%3b",
        "%7Euser",
    ] {
        let body = request("resources/read", &format!(r#"{{"uri":"doc://library/open/{rest}"}}"#));
        let found = verdict(&policy, "docs", body.as_bytes(), &HeaderMap::new());
        assert_eq!(found, "no policy.default", "{rest}");
    }
}
