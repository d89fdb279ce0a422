use super::*;

const SELF_CONTAINED: &str = r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}"#;

async fn assert_guarded(rig: &Rig) {
    let (code, body) = rig.call("tools/call", "\"q\"", "{}").answer().await;
    let value: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((code, &value["id"], &value["error"]["code"]), (409, &json!("q"), &json!(-32002)));
    let data = json!({"origin": "tunnel-client", "error_type": "mcp_initialization_required"});
    assert_eq!(value["error"]["data"], data);
}

#[tokio::test]
async fn an_uninitialized_server_never_sees_operational_requests() {
    let mut rig = rig(|_| {});
    let mut server = rig.attach(None);
    assert_guarded(&rig).await;
    let initialize = rig.call("initialize", "1", "{}");
    assert_eq!(server.read().await["method"], "initialize");
    assert_guarded(&rig).await;
    server.send("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n").await;
    assert_eq!(initialize.answer().await.0, 200);
    assert_guarded(&rig).await;
    let ping = rig.call("ping", "2", "{}");
    assert_eq!(server.answer("{}").await["method"], "ping");
    assert_eq!(ping.answer().await.0, 200);
    assert_eq!(rig.notify("notifications/initialized", "{}").await, 200);
    assert_eq!(server.read().await["method"], "notifications/initialized");
    let call = rig.call("tools/call", "3", "{}");
    assert_eq!(server.answer("{}").await["method"], "tools/call");
    assert_eq!(call.answer().await.0, 200);
}

#[tokio::test]
async fn a_failed_initialize_does_not_open_the_guard() {
    let mut rig = rig(|s| s.send_initialized = true);
    let mut server = rig.attach(None);
    let initialize = rig.call("initialize", "1", "{}");
    let id = server.read().await["id"].to_string();
    server
        .send(&format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{{\"code\":1,\"message\":\"\"}}}}\n"))
        .await;
    assert_eq!(initialize.answer().await.0, 200);
    assert_guarded(&rig).await;
    assert_eq!(server.maybe_read().await, None);
}

#[tokio::test]
async fn initializing_again_closes_the_guard_when_it_succeeds() {
    let mut rig = rig(|_| {});
    let mut server = rig.ready().await;
    let again = rig.call("initialize", "1", "{}");
    let request = server.read().await;
    let call = rig.call("tools/call", "2", "{}");
    server.answer("{}").await;
    assert_eq!(call.answer().await.0, 200);
    server.result(&request, "{}").await;
    assert_eq!(again.answer().await.0, 200);
    assert_guarded(&rig).await;
}

#[tokio::test]
async fn a_new_child_has_to_be_initialized_again() {
    let mut rig = rig(|_| {});
    let server = rig.ready().await;
    rig.stdio.gone(server.generation, Duration::ZERO);
    let _new = rig.attach(Some(Era::Session));
    assert_guarded(&rig).await;
}

#[tokio::test]
async fn the_agent_sends_initialized_itself_when_told_to() {
    let mut rig = rig(|s| s.send_initialized = true);
    let mut server = rig.attach(None);
    let initialize = rig.call("initialize", "1", "{}");
    server.answer("{}").await;
    assert_eq!(server.read().await, json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    assert_eq!(initialize.answer().await.0, 200);
    assert_eq!(rig.notify("notifications/initialized", "{}").await, 200);
    let call = rig.call("tools/call", "2", "{}");
    assert_eq!(server.answer("{}").await["method"], "tools/call");
    assert_eq!(call.answer().await.0, 200);
}

#[tokio::test]
async fn a_child_takes_the_era_of_its_first_message_and_the_other_era_gets_another() {
    let mut rig = rig(|_| {});
    let mut first = rig.attach(None);
    let discover = rig.call("server/discover", "1", "{}");
    first.answer("{}").await;
    assert_eq!(discover.answer().await.0, 200);
    let modern = rig.call("tools/call", "2", SELF_CONTAINED);
    first.answer("{}").await;
    assert_eq!(modern.answer().await.0, 200);
    assert!(rig.events.try_recv().is_err());

    let (initialize, ping) = (rig.call("initialize", "3", "{}"), rig.call("ping", "4", "{}"));
    assert_eq!(rig.event().await, StdioEvent::Want { index: 3, era: Era::Session, seen: 1 });
    let mut second = rig.attach(Some(Era::Session));
    assert_eq!(second.answer("{}").await["method"], "initialize");
    assert_eq!(second.answer("{}").await["method"], "ping");
    assert_eq!((initialize.answer().await.0, ping.answer().await.0), (200, 200));
    assert_eq!(first.maybe_read().await, None);
    assert!(rig.events.try_recv().is_err(), "asked for more than one child");
}
