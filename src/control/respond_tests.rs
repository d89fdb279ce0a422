use super::*;
use crate::control::testing::{Lines, Plane, Seen, Step, answer, client_of, logged, worker};

const SECOND: Duration = Duration::from_secs(1);

async fn responder(script: Vec<Vec<Step>>) -> (Plane, Responder, Lines) {
    let plane = Plane::start(script).await;
    let (client, lines) = client_of(&worker(&plane.origin));
    (plane, Responder::new(client), lines)
}

fn statuses(codes: &[u16]) -> Vec<Vec<Step>> {
    codes.iter().map(|code| answer(*code, "", "")).collect()
}

fn response(headers: &HeaderMap) -> Response<'_> {
    Response {
        request_id: "r1",
        shard_token: "Tok:en/1",
        channel: "main",
        resp_type: RespType::Jsonrpc,
        code: 200,
        headers,
        body: Some(br#"{"jsonrpc":"2.0","id":1,"result":{}}"#),
        client_request_id: None,
        too_large: None,
    }
}

fn note(headers: &HeaderMap) -> Response<'_> {
    Response { resp_type: RespType::Notify, ..response(headers) }
}

fn identical(seen: &[Seen]) -> bool {
    seen.windows(2).all(|pair| pair[0].body == pair[1].body && pair[0].head == pair[1].head)
}

fn soon() -> Option<Instant> {
    Some(Instant::now() + 20 * SECOND)
}

#[tokio::test]
async fn case_102_a_response_is_posted() {
    let (plane, responder, _) = responder(vec![]).await;
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    let response = Response { client_request_id: Some("c1"), ..response(&headers) };
    assert_eq!(responder.terminal(response, None).await, Delivered::Yes);
    let seen = &plane.seen()[0];
    assert!(seen.head.starts_with("POST /v1/tunnels/tunnel_"), "{}", seen.head);
    assert!(seen.head.lines().next().unwrap().ends_with("/response HTTP/1.1"));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.header("x-tunnel-shard-token"), Some("Tok:en/1"));
    assert_eq!(seen.header("x-client-request-id"), Some("c1"));
    assert_eq!(seen.header("authorization"), Some("Bearer sk-secret"));
    assert_eq!(
        seen.body,
        concat!(
            r#"{"request_id":"r1","channel":"main","resp_json":{"jsonrpc":"2.0","id":1,"result":{}},"#,
            r#""resp_headers":{"Content-Type":["application/json"]},"resp_code":200,"resp_type":"jsonrpc_response"}"#
        )
    );
}

#[tokio::test]
async fn case_086_without_a_connectors_request_id_none_is_sent() {
    let (plane, responder, _) = responder(vec![]).await;
    let headers = HeaderMap::new();
    responder.terminal(Response { client_request_id: Some("a\nb"), ..response(&headers) }, None).await;
    assert_eq!(plane.seen()[0].header("x-client-request-id"), None);
}

#[tokio::test]
async fn case_103_attempts_are_identical() {
    let (plane, responder, _) = responder(statuses(&[503, 503, 200])).await;
    assert_eq!(responder.terminal(response(&HeaderMap::new()), soon()).await, Delivered::Yes);
    assert_eq!(plane.seen().len(), 3);
    assert!(identical(&plane.seen()));
}

#[tokio::test]
async fn case_105_what_may_pass_is_tried_again() {
    for code in [408, 429, 500, 502, 504] {
        let (plane, responder, _) = responder(statuses(&[code, 200])).await;
        assert_eq!(responder.terminal(response(&HeaderMap::new()), soon()).await, Delivered::Yes, "{code}");
        assert_eq!(plane.seen().len(), 2, "{code}");
    }
    let (plane, responder, _) = responder(vec![vec![Step::Close], answer(200, "", "")]).await;
    assert_eq!(responder.terminal(response(&HeaderMap::new()), soon()).await, Delivered::Yes);
    assert_eq!(plane.seen().len(), 2, "a lost answer may be posted again");
}

#[tokio::test]
async fn case_106_what_does_not_pass_is_not_tried_again() {
    for code in [400, 401, 403, 413, 302, 422] {
        let (plane, responder, lines) = responder(statuses(&[code])).await;
        let delivered = responder.terminal(response(&HeaderMap::new()), soon()).await;
        assert!(matches!(delivered, Delivered::No(_)), "{code}: {delivered:?}");
        assert_eq!(plane.seen().len(), 1, "{code}");
        assert_eq!(logged(&lines, "response post failed").len(), 1);
    }
}

#[tokio::test]
async fn case_107_an_unknown_request_is_done() {
    let (plane, responder, lines) = responder(statuses(&[404])).await;
    assert_eq!(responder.terminal(response(&HeaderMap::new()), None).await, Delivered::Gone);
    assert_eq!(plane.seen().len(), 1);
    assert!(logged(&lines, "response already fulfilled or unknown request")[0].contains("level=WARN"));
}

#[tokio::test]
async fn case_109_any_2xx_is_delivered() {
    for code in [200, 201, 202, 204] {
        let (_plane, responder, _) = responder(statuses(&[code])).await;
        assert_eq!(responder.terminal(response(&HeaderMap::new()), None).await, Delivered::Yes, "{code}");
    }
}

#[tokio::test]
async fn case_110_a_notification_that_was_not_sent_is_tried_again() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (client, lines) = client_of(&worker(&format!("http://{address}")));
    let late = async {
        while logged(&lines, "trying again").is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
        Plane::on(tokio::net::TcpListener::bind(address).await.unwrap(), vec![])
    };
    let headers = HeaderMap::new();
    let responder = Responder::new(client);
    let (delivered, plane) = tokio::join!(responder.notify(note(&headers), soon()), late);
    assert_eq!(delivered, Delivered::Yes);
    assert_eq!(plane.seen().len(), 1);
}

#[tokio::test]
async fn case_111_a_notification_that_may_have_arrived_is_not_tried_again() {
    let (plane, responder, _) = responder(vec![vec![Step::Close]]).await;
    let delivered = responder.notify(note(&HeaderMap::new()), soon()).await;
    assert!(matches!(delivered, Delivered::No(_)), "{delivered:?}");
    for code in [408, 500, 502, 503, 504] {
        let (plane, responder, _) = self::responder(statuses(&[code])).await;
        let delivered = responder.notify(note(&HeaderMap::new()), soon()).await;
        assert!(matches!(delivered, Delivered::No(_)), "{code}: {delivered:?}");
        assert_eq!(plane.seen().len(), 1, "{code}");
    }
    sleep(Duration::from_millis(300)).await;
    assert_eq!(plane.seen().len(), 1);
}

#[tokio::test]
async fn a_notification_that_was_turned_away_is_tried_again() {
    let (plane, responder, _) = responder(statuses(&[429, 200])).await;
    assert_eq!(responder.notify(note(&HeaderMap::new()), soon()).await, Delivered::Yes);
    assert_eq!(plane.seen().len(), 2);
    assert!(identical(&plane.seen()));
}

#[tokio::test]
async fn a_notification_without_a_deadline_is_not_waited_with_for_longer_than_30_s() {
    let (plane, responder, _) = responder(vec![answer(429, "retry-after: 31\r\n", "")]).await;
    let headers = HeaderMap::new();
    let delivered = tokio::time::timeout(5 * SECOND, responder.notify(note(&headers), None)).await;
    assert!(matches!(delivered, Ok(Delivered::No(_))), "{delivered:?}");
    assert_eq!(plane.seen().len(), 1);
}

#[tokio::test]
async fn case_098_a_deadline_within_a_wait_ends_the_trying() {
    let (plane, responder, _) = responder(vec![answer(503, "retry-after: 30\r\n", "")]).await;
    let start = Instant::now();
    let delivered = responder.terminal(response(&HeaderMap::new()), Some(start + SECOND / 2)).await;
    assert_eq!(delivered, Delivered::Expired);
    assert!(start.elapsed() < SECOND, "{:?}", start.elapsed());
    sleep(SECOND).await;
    assert_eq!(plane.seen().len(), 1);
}

#[tokio::test]
async fn a_deadline_within_an_attempt_ends_it() {
    let (plane, responder, _) = responder(vec![vec![Step::Wait(10 * SECOND)]]).await;
    let start = Instant::now();
    let delivered = responder.terminal(response(&HeaderMap::new()), Some(start + SECOND / 5)).await;
    assert_eq!(delivered, Delivered::Expired);
    assert!(start.elapsed() < 2 * SECOND);
    assert_eq!(plane.seen().len(), 1);
}

#[tokio::test]
async fn a_deadline_that_has_passed_posts_nothing() {
    let (plane, responder, _) = responder(vec![]).await;
    let past = Some(Instant::now());
    assert_eq!(responder.terminal(response(&HeaderMap::new()), past).await, Delivered::Expired);
    assert_eq!(responder.notify(note(&HeaderMap::new()), past).await, Delivered::Expired);
    assert!(plane.seen().is_empty());
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let (plane, responder, _) = responder(vec![answer(429, "retry-after: 1\r\n", "")]).await;
    assert_eq!(responder.terminal(response(&HeaderMap::new()), soon()).await, Delivered::Yes);
    let seen = plane.seen();
    assert!(seen[1].at - seen[0].at >= SECOND);
}

#[tokio::test]
async fn case_123_a_response_that_is_too_large_is_replaced_once() {
    let (plane, responder, lines) = responder(statuses(&[413, 503, 200])).await;
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"))]);
    let failure = Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"x"}}"#);
    let large = Response { too_large: Some(failure.clone()), ..response(&headers) };
    assert_eq!(responder.terminal(large.clone(), soon()).await, Delivered::Yes);
    let seen = plane.seen();
    assert_eq!(seen.len(), 3);
    assert_eq!(
        seen[2].body,
        concat!(
            r#"{"request_id":"r1","channel":"main","resp_json":{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"x"}},"#,
            r#""resp_headers":{"Content-Type":["application/json"]},"resp_code":502,"resp_type":"jsonrpc_response"}"#
        )
    );
    assert_eq!(logged(&lines, "posting a failure in its place").len(), 1);

    let (plane, responder, _) = self::responder(statuses(&[413, 413, 200])).await;
    assert!(matches!(responder.terminal(large, soon()).await, Delivered::No(_)));
    assert_eq!(plane.seen().len(), 2);
}

#[tokio::test]
async fn what_the_control_plane_could_not_read_is_not_posted() {
    let (plane, responder, _) = responder(vec![]).await;
    let headers = HeaderMap::new();
    let no_payload = Response { body: None, ..response(&headers) };
    assert!(matches!(responder.terminal(no_payload, None).await, Delivered::No(_)));
    let no_token = Response { shard_token: "", ..response(&headers) };
    assert!(matches!(responder.terminal(no_token, None).await, Delivered::No(_)));
    assert!(plane.seen().is_empty());
}
