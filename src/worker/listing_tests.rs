use super::*;
use crate::ipc::msg::Era;

fn message(text: &str) -> Message {
    jsonrpc::parse(&Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

fn text(called: &str, cursor: &str) -> String {
    let list = list(&message(called), "tunnelward:r\"1:0", cursor).unwrap();
    assert_eq!(list.method(), "tools/list");
    String::from_utf8(list.raw().to_vec()).unwrap()
}

#[test]
fn a_list_is_asked_for_in_the_era_of_the_call() {
    let session =
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"a","_meta":{"progressToken":1}}}"#;
    let asked = r#"{"jsonrpc":"2.0","method":"tools/list","id":"tunnelward:r\"1:0","params":{}}"#;
    assert_eq!(text(session, ""), asked);
    assert!(text(session, "a\"b").ends_with(r#""params":{"cursor":"a\"b"}}"#));
    let meta = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
    let stateless = format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"a","_meta":{meta},"arguments":{{}}}}}}"#
    );
    for cursor in ["", "next"] {
        let asked = text(&stateless, cursor);
        assert!(asked.ends_with(&format!("\"_meta\":{meta}}}}}")), "{asked}");
        assert_eq!(message(&asked).era(), Era::Stateless);
        assert_eq!(asked.contains("\"cursor\":\"next\""), !cursor.is_empty());
    }
}

#[test]
fn the_headers_of_a_call_stay_but_for_what_names_the_call() {
    let value = HeaderValue::from_static;
    let called = HeaderMap::from_iter([
        (METHOD, value("tools/call")),
        (NAME, value("a")),
        (HeaderName::from_static("mcp-param-x"), value("1")),
        (HeaderName::from_static("mcp-session-id"), value("s")),
        (HeaderName::from_static("authorization"), value("Bearer t")),
    ]);
    let found = as_list(&called);
    assert_eq!(found.get(METHOD), Some(&value("tools/list")));
    assert_eq!(found.get("mcp-session-id"), Some(&value("s")));
    assert_eq!(found.get("authorization"), Some(&value("Bearer t")));
    assert_eq!(found.len(), 3);
    assert!(as_list(&HeaderMap::new()).is_empty());
}
