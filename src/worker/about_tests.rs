use super::*;
use crate::control::respond::RespType;
use crate::mcp::jsonrpc;
use crate::worker::lane::tests::lane_of_stdio;

fn forward(message: &str, headers: &[(&'static str, &'static str)]) -> Forward {
    let headers =
        headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
    let message = jsonrpc::parse(&message.to_string().into()).unwrap();
    Forward::Message { lane: lane_of_stdio(tokio::sync::mpsc::unbounded_channel().0), message, headers }
}

#[tokio::test]
async fn a_call_is_told_by_names_digests_and_sizes_and_by_nothing_that_is_in_it() {
    let message = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"pay","arguments":{"to":"secret"}}}"#;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let forward = forward(message, &[("mcp-session-id", "credential"), ("traceparent", trace)]);
    let about = about(&forward, None);
    assert_eq!((about.method.as_deref(), about.name.as_deref()), (Some("tools/call"), Some("pay")));
    assert_eq!(about.arguments, Some(sha256_hex(br#"{"to":"secret"}"#)));
    assert_eq!((about.argument_bytes, about.request_bytes), (Some(15), Some(size(message.len()))));
    assert_eq!(about.session, Some(sha256_hex(b"credential")));
    assert_eq!(about.trace.as_deref(), Some("0af7651916cd43dd8448eb211c80319c"));
    assert!(about.is_legal());
    let told = format!("{about:?}");
    assert!(!told.contains("secret") && !told.contains("credential"), "{told}");
}

#[tokio::test]
async fn long_names_are_cut_and_strange_ones_left_out() {
    let long = "é".repeat(1000);
    let message = format!(r#"{{"jsonrpc":"2.0","method":"{long}","params":{{"uri":"{long}"}}}}"#);
    let told = about(&forward(&message, &[("traceparent", "00-zz-1-01")]), None);
    assert_eq!(
        (told.method.map(|m| m.len()), told.name.map(|n| n.len())),
        (Some(MAX_METHOD), Some(MAX_NAME))
    );
    assert_eq!(told.trace, None);
    let told = about(&forward(r#"{"jsonrpc":"2.0","method":"x","params":{"name":{"a":1}}}"#, &[]), None);
    assert_eq!((told.name, told.arguments), (None, None));
}

#[test]
fn an_answer_is_told_by_its_digest_and_size() {
    let reply = |body| Reply { resp_type: RespType::Jsonrpc, code: 200, headers: HeaderMap::new(), body };
    let told = answer(&reply(Some("{}".into())), Some("pins"));
    assert_eq!((told.code, told.bytes, told.sha256), (200, 2, Some(sha256_hex(b"{}"))));
    assert_eq!(told.rule.as_deref(), Some("pins"));
    assert_eq!(answer(&reply(None), None).sha256, None);
}
