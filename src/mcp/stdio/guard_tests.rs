use super::*;

fn request(method: &str, params: &str) -> Message {
    let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
    jsonrpc::parse(&Bytes::from(text)).unwrap()
}

#[test]
fn only_what_needs_no_session_passes_a_closed_guard() {
    let meta = r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",
        "io.modelcontextprotocol/clientCapabilities":{}}}"#;
    for guard in [Guard(Handshake::Fresh), Guard(Handshake::Answered)] {
        for method in ["initialize", "ping", "server/discover"] {
            assert!(guard.admits(&request(method, "{}")), "{method}");
        }
        assert!(guard.admits(&request("tools/call", meta)));
        assert!(!guard.admits(&request("tools/call", "{}")));
    }
    assert!(Guard(Handshake::Ready).admits(&request("tools/call", "{}")));
}

#[test]
fn it_opens_in_order_and_closes_on_a_new_initialize() {
    let mut guard = Guard::default();
    guard.announced();
    assert_eq!(guard, Guard(Handshake::Fresh));
    guard.answered();
    guard.announced();
    assert_eq!(guard, Guard(Handshake::Ready));
    guard.answered();
    assert_eq!(guard, Guard(Handshake::Answered));
}
