//! What is left of lists, page by page.

use super::*;

#[track_caller]
fn filtered(policy: &Policy, channel: &str, list: List, body: &str) -> String {
    let found = policy.filter(&mut State::default(), channel, list, body.as_bytes()).unwrap();
    found.body.map_or_else(|| body.to_owned(), |bytes| String::from_utf8(bytes).unwrap())
}

#[test]
fn lists_keep_what_may_be_called_and_everything_else_byte_for_byte() {
    let policy = policy(POLICY);
    for (channel, list, body, expected) in [
        (
            "main",
            List::Tools,
            "{\"jsonrpc\":\"2.0\",\"id\":1, \"result\":{\"nextCursor\":\"b3Bh\\u0041\",\"tools\":[ {\"name\":\"echo\", \"x\":1.50},{\"name\":\"rm\"} , {\"name\":\"sum\"}],\"ttlMs\":6e4}}",
            "{\"jsonrpc\":\"2.0\",\"id\":1, \"result\":{\"nextCursor\":\"b3Bh\\u0041\",\"tools\":[{\"name\":\"echo\", \"x\":1.50},{\"name\":\"sum\"}],\"ttlMs\":6e4}}",
        ),
        (
            "main",
            List::Tools,
            r#"{"result":{"tools":[{"name":"rm"}],"nextCursor":"c"}}"#,
            r#"{"result":{"tools":[],"nextCursor":"c"}}"#,
        ),
        (
            "files",
            List::Tools,
            r#"{"result":{"tools":[{"name":"drop"},{"name":"read_file"}]}}"#,
            r#"{"result":{"tools":[{"name":"read_file"}]}}"#,
        ),
        ("docs", List::Tools, r#"{"result":{"tools":[{"name":"echo"}]}}"#, r#"{"result":{"tools":[]}}"#),
        (
            "main",
            List::Tools,
            r#"{"result":{"tools":[{"name":"\u0065cho"},{"name":"Echo"},{"name":1},{},7]}}"#,
            r#"{"result":{"tools":[{"name":"\u0065cho"}]}}"#,
        ),
        (
            "main",
            List::Tools,
            r#"{"result":{"tools":[{"name":"echo","Name":"rm"}]}}"#,
            r#"{"result":{"tools":[]}}"#,
        ),
        ("main", List::Tools, r#"{"result":{"tools":[]}}"#, r#"{"result":{"tools":[]}}"#),
        ("main", List::Tools, r#"{"result":{}}"#, r#"{"result":{}}"#),
        (
            "main",
            List::Tools,
            r#"{"error":{"code":1,"message":"x"}}"#,
            r#"{"error":{"code":1,"message":"x"}}"#,
        ),
        (
            "docs",
            List::Prompts,
            r#"{"result":{"prompts":[{"name":"greet"},{"name":"x"}]}}"#,
            r#"{"result":{"prompts":[{"name":"greet"}]}}"#,
        ),
        (
            "docs",
            List::Resources,
            r#"{"result":{"resources":[{"uri":"doc://index"},{"uri":"doc://library/open/a"},{"uri":"doc://library/open/vault/b"},{"uri":"doc://library/open/../c"}]}}"#,
            r#"{"result":{"resources":[{"uri":"doc://index"},{"uri":"doc://library/open/a"}]}}"#,
        ),
        (
            "docs",
            List::Templates,
            r#"{"result":{"resourceTemplates":[{"uriTemplate":"doc://library/open/{id}"},{"uriTemplate":"doc://library/open/vault/{id}"},{"uriTemplate":"doc://{any}"}]}}"#,
            r#"{"result":{"resourceTemplates":[{"uriTemplate":"doc://library/open/{id}"}]}}"#,
        ),
        (
            "docs",
            List::Capabilities,
            r#"{"result":{"capabilities":{"tools":{"listChanged":true},"prompts":{},"resources":{},"completions":{},"logging":{},"x":1},"serverInfo":{}}}"#,
            r#"{"result":{"capabilities":{"prompts":{},"resources":{},"completions":{},"x":1},"serverInfo":{}}}"#,
        ),
        (
            "main",
            List::Capabilities,
            r#"{"result":{"capabilities":{"tools":{},"prompts":{},"logging":{}}}}"#,
            r#"{"result":{"capabilities":{"tools":{},"logging":{}}}}"#,
        ),
    ] {
        assert_eq!(filtered(&policy, channel, list, body), expected, "{channel} {list:?}");
    }
}

#[test]
fn an_answer_that_is_no_list_is_not_passed_on() {
    let policy = policy(POLICY);
    for body in [
        "",
        "[]x",
        r#"{"result":{"tools":[{"name":"echo","name":"rm"}]}}"#,
        r#"{"result":{"tools":{"name":"rm"}}}"#,
        r#"{"result":{"Tools":[{"name":"rm"}]}}"#,
        r#"{"Result":{"tools":[{"name":"rm"}]}}"#,
        r#"{"result":[{"name":"rm"}]}"#,
        r#"{"result":"rm"}"#,
    ] {
        let found = policy.filter(&mut State::default(), "main", List::Tools, body.as_bytes());
        assert_eq!(found, Err(builtin::ANSWER), "{body}");
    }
}

const ECHO: &str = r#"{"name":"echo","description":"Says it","inputSchema":{"type":"object"}}"#;

fn pinned(pins: &str) -> Policy {
    let node = super::super::json::read(ECHO.as_bytes(), 100).unwrap();
    let digest = super::super::definition(&node).unwrap();
    policy(&format!(
        r#"{{"version":1,"pins":"{pins}","rules":[{{"id":"t","tools":["echo"]}},{{"id":"l","methods":["tools/list"]}}],"definitions":{{"main":{{"echo":"{digest}"}}}}}}"#
    ))
}

#[test]
fn a_tool_that_drifts_is_hidden_and_refused_until_it_is_as_approved_again() {
    let policy = pinned("enforce");
    let mut state = State::default();
    let headers = HeaderMap::new();
    let list = |state: &mut State, tool: &str| {
        let body = format!(r#"{{"result":{{"tools":[{tool}]}}}}"#);
        policy.filter(state, "main", List::Tools, body.as_bytes()).unwrap()
    };
    let may = |state: &mut State, channel: &str| {
        let body = tool("echo", "{}");
        let decision = policy.decide(&Call { channel, body: body.as_bytes(), headers: &headers });
        state.admit(&policy, channel, &decision, 0).map(|_| ()).map_err(|(rule, _)| rule)
    };
    assert_eq!(may(&mut state, "main"), Ok(()));
    assert_eq!(list(&mut state, ECHO).hidden, 0);
    // Order of members and space do not count, title does not either.
    let same =
        r#"{"inputSchema":{"type":"object"}, "title":"t", "name":"echo","description":"S\u0061ys it"}"#;
    assert_eq!(list(&mut state, same).hidden, 0);
    for change in [
        ECHO.replace("Says", "Steals"),
        ECHO.replace(r#"{"type":"object"}"#, r#"{"type":"object","required":["x"]}"#),
        ECHO.replace("\"inputSchema\"", "\"annotations\":{},\"inputSchema\""),
    ] {
        let found = list(&mut state, &change);
        assert_eq!((found.hidden, found.drifted), (1, vec!["echo".to_owned()]));
        assert_eq!(may(&mut state, "main"), Err(builtin::DRIFT));
        list(&mut state, ECHO);
        assert_eq!(may(&mut state, "main"), Ok(()));
    }
    // On a channel without an approved definition there is none.
    assert_eq!(may(&mut state, "other"), Err(builtin::DRIFT));
}

#[test]
fn warn_shows_a_drifted_tool_and_says_so_and_off_does_not_look() {
    let changed = format!(r#"{{"result":{{"tools":[{}]}}}}"#, ECHO.replace("Says", "Steals"));
    for (pins, drifted) in [("warn", 1), ("off", 0)] {
        let policy = pinned(pins);
        let found = policy.filter(&mut State::default(), "main", List::Tools, changed.as_bytes()).unwrap();
        assert_eq!((found.body, found.drifted.len()), (None, drifted));
    }
}
