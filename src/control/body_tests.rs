use http::header::{CONTENT_TYPE, HeaderValue};

use super::*;

fn response<'a>(headers: &'a HeaderMap, resp_type: RespType, body: Option<&'a [u8]>) -> Response<'a> {
    Response {
        request_id: "r\"1",
        shard_token: "s",
        channel: "main",
        resp_type,
        code: 200,
        headers,
        body,
        client_request_id: None,
        too_large: None,
    }
}

fn written(response: &Response<'_>) -> String {
    String::from_utf8(write(response).unwrap().to_vec()).unwrap()
}

#[test]
fn case_102_keys_come_in_their_order_and_the_payload_as_it_is() {
    let mut headers = HeaderMap::new();
    headers.insert("mcp-session-id", HeaderValue::from_bytes("é".as_bytes()).unwrap());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let payload = br#"{ "jsonrpc":"2.0","id":9007199254740993,"result":{"x":1.0,"y":"<script>&"} }"#;
    assert_eq!(
        written(&response(&headers, RespType::Jsonrpc, Some(payload))),
        concat!(
            r#"{"request_id":"r\"1","channel":"main","#,
            r#""resp_json":{ "jsonrpc":"2.0","id":9007199254740993,"result":{"x":1.0,"y":"<script>&"} },"#,
            r#""resp_headers":{"Content-Type":["application/json"],"Mcp-Session-Id":["é"]},"#,
            r#""resp_code":200,"resp_type":"jsonrpc_response"}"#,
        )
    );
}

#[test]
fn case_114_an_acknowledgement_has_no_payload_and_no_empty_members() {
    let headers = HeaderMap::new();
    assert_eq!(
        written(&Response { code: 202, ..response(&headers, RespType::NotifyAck, None) }),
        r#"{"request_id":"r\"1","channel":"main","resp_code":202,"resp_type":"notify_ack"}"#
    );
}

#[test]
fn case_115_a_session_termination_has_no_payload() {
    let headers = HeaderMap::new();
    let text = written(&Response { code: 204, ..response(&headers, RespType::SessionTermination, None) });
    assert!(text.ends_with(r#""resp_code":204,"resp_type":"session_termination_response"}"#), "{text}");
    assert!(!text.contains("resp_json"));
}

#[test]
fn type_and_payload_must_fit() {
    let headers = HeaderMap::new();
    for resp_type in [RespType::NotifyAck, RespType::SessionTermination] {
        assert_eq!(write(&response(&headers, resp_type, Some(b"{}"))), Err(Invalid::Payload));
    }
    for resp_type in [RespType::Jsonrpc, RespType::Notify, RespType::OauthDiscovery] {
        assert_eq!(write(&response(&headers, resp_type, None)), Err(Invalid::NoPayload));
        assert_eq!(write(&response(&headers, resp_type, Some(b""))), Err(Invalid::NoPayload));
        write(&response(&headers, resp_type, Some(b"{}"))).unwrap();
    }
    let odd = Response { channel: "a b", ..response(&headers, RespType::NotifyAck, None) };
    assert_eq!(write(&odd), Err(Invalid::Channel));
}

#[test]
fn case_122_the_body_is_json_that_means_what_the_payload_means() {
    let headers = HeaderMap::new();
    let payload = "{\"result\":\"<script>&\u{2028}\"}";
    let body = write(&response(&headers, RespType::Notify, Some(payload.as_bytes()))).unwrap();
    let read: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(read["resp_json"]["result"], "<script>&\u{2028}");
    assert_eq!(read["resp_type"], "jsonrpc_notify");
}
