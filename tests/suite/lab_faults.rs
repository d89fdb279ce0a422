//! The lab's faults: what a test asks for is what an agent meets.

use std::time::{Duration, Instant};

use http::Request;

use super::{SOON, agent, open, poll, poll_url, post, send, terminal};
use crate::lab::{Command, ControlPlane, Drip, Fault, On, Options, Part, Reply};

#[tokio::test]
async fn faults_hit_the_requests_they_are_for() {
    let plane = ControlPlane::start(Options::default()).await;
    let fault = r#"{"on":"poll","status":429,"retry_after":"7","times":2}"#;
    let set = Request::post("/");
    assert_eq!(send(&format!("{}/lab/faults", plane.lab_url()), set, fault).await.0.status, 200);
    let url = poll_url(&plane, "limit=1&timeout_ms=50");
    for _ in 0..2 {
        let (head, _, _) = send(&url, agent(&plane, "GET"), "").await;
        assert_eq!((head.status.as_u16(), &head.headers["retry-after"]), (429, &"7".parse().unwrap()));
    }
    assert_eq!(poll(&plane, "limit=1&timeout_ms=50").await.0, 204);

    plane.fault(Fault { redirect: Some("http://127.0.0.1:1/".into()), ..Fault::on(On::Poll) });
    let (head, _, _) = send(&url, agent(&plane, "GET"), "").await;
    assert_eq!(
        (head.status.as_u16(), &head.headers["location"]),
        (307, &"http://127.0.0.1:1/".parse().unwrap())
    );

    plane.fault(Fault { cut: true, ..Fault::on(On::Poll) });
    assert!(open(&url, agent(&plane, "GET"), "").await.is_err());
    plane.fault(Fault { cut: true, reset: true, ..Fault::on(On::Any) });
    assert!(open(&url, agent(&plane, "GET"), "").await.is_err());

    plane.serve_poll_raw(Reply::json(200, "{\"commands\":[").header("x-test", "1"));
    let (head, body, _) = send(&url, agent(&plane, "GET"), "").await;
    assert_eq!((&head.headers["x-test"], &body[..]), (&"1".parse().unwrap(), &b"{\"commands\":["[..]));
    plane.assert_clean();
}

#[tokio::test]
async fn faults_spoil_the_body_of_a_poll() {
    let plane = ControlPlane::start(Options::default()).await;
    let url = poll_url(&plane, "limit=1&timeout_ms=50");
    let spoil = |fault: Fault| {
        plane.enqueue(Command::call("r1", "1", "ping", "{}"));
        plane.fault(fault);
        send(&url, agent(&plane, "GET"), "")
    };
    let (_, body, whole) = spoil(Fault { cut_after: Some(20), ..Fault::on(On::Poll) }).await;
    assert_eq!((body.len(), whole), (20, false));
    let (_, body, whole) = spoil(Fault { truncate: Some(20), ..Fault::on(On::Poll) }).await;
    assert_eq!((body.len(), whole), (20, true));
    let (head, _, whole) = spoil(Fault { content_length: Some(9999), ..Fault::on(On::Poll) }).await;
    assert_eq!((&head.headers["content-length"], whole), (&"9999".parse().unwrap(), false));
    let (_, body, _) = spoil(Fault { duplicate: true, ..Fault::on(On::Poll) }).await;
    assert_eq!(String::from_utf8_lossy(&body).matches("\"r1\"").count(), 2);
    let (_, body, _) = spoil(Fault { redeliver: true, ..Fault::on(On::Poll) }).await;
    assert_eq!(body, send(&url, agent(&plane, "GET"), "").await.1);
    let began = Instant::now();
    spoil(Fault { drip: Some(Drip { bytes: 50, every_ms: 20 }), ..Fault::on(On::Poll) }).await;
    assert!(began.elapsed() >= Duration::from_millis(40));
    let (head, body, _) = spoil(Fault { gzip: true, ..Fault::on(On::Poll) }).await;
    assert_eq!(head.headers["content-encoding"], "gzip");
    assert!(inflate(&body).starts_with(b"{\"commands\":["));
    let (_, body, _) = spoil(Fault { gzip_bomb: Some(8 << 20), ..Fault::on(On::Poll) }).await;
    assert!(body.len() < 64 << 10);
    assert_eq!(inflate(&body), vec![b' '; 8 << 20]);
}

fn inflate(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(body), &mut out)
        .expect("one whole gzip member");
    out
}

#[tokio::test]
async fn a_response_can_be_refused_or_its_acknowledgement_lost() {
    let plane = ControlPlane::start(Options::default()).await;
    plane.enqueue(Command::call("r1", "1", "ping", "{}"));
    poll(&plane, "limit=1&timeout_ms=50").await;
    let body = terminal("r1", r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    plane.fault(Fault::status(On::Response, 503, 1));
    assert_eq!(post(&plane, "shard-r1", &body).await, 503);
    assert!(plane.try_wait_for_response("r1", Duration::from_millis(20)).await.is_none());
    // It takes effect, but the one who posted it sees only a cut connection.
    plane.fault(Fault { cut: true, process: Some(true), ..Fault::on(On::Response) });
    let url = format!("{}/v1/tunnels/{}/response", plane.url(), plane.tunnel_id);
    let request = agent(&plane, "POST")
        .header("content-type", "application/json")
        .header("x-tunnel-shard-token", "shard-r1");
    assert!(open(&url, request, &body).await.is_err());
    plane.wait_for_response("r1", SOON).await;
    assert_eq!(post(&plane, "shard-r1", &body).await, 404);
    let attempts = plane.wait_for_responses("r1", 3, SOON).await;
    assert_eq!(
        attempts.iter().map(|a| (a.status, a.accepted)).collect::<Vec<_>>(),
        [(503, false), (0, true), (404, false)]
    );
    plane.assert_clean();
}

#[tokio::test]
async fn an_answer_after_the_deadline_is_refused_and_noted() {
    let plane = ControlPlane::start(Options::default()).await;
    plane.enqueue(Command::call("r1", "1", "ping", "{}").response_timeout("0s"));
    poll(&plane, "limit=1&timeout_ms=50").await;
    assert_eq!(
        post(&plane, "shard-r1", &terminal("r1", r#"{"jsonrpc":"2.0","id":1,"result":{}}"#)).await,
        404
    );
    assert!(plane.violations()[0].contains("after the response deadline"));
}

#[tokio::test]
async fn a_connection_can_be_retired_politely_while_a_poll_waits() {
    let plane = std::sync::Arc::new(ControlPlane::start(Options::default()).await);
    let waiting = tokio::spawn({
        let plane = plane.clone();
        async move { send(&poll_url(&plane, "limit=1&timeout_ms=5000"), agent(&plane, "GET"), "").await }
    });
    plane.wait_for_poll(1, SOON).await;
    plane.retire_connections();
    plane.enqueue(Command::call("r1", "1", "ping", "{}"));
    let (head, _, whole) = waiting.await.unwrap();
    assert_eq!(
        (head.status.as_u16(), &head.headers["connection"], whole),
        (200, &"close".parse().unwrap(), true)
    );
}

#[tokio::test]
async fn a_body_can_break_off() {
    let plane = ControlPlane::start(Options::default()).await;
    plane.serve_poll_raw(Reply::json(200, "{").then(Part::Fail));
    let (_, body, whole) = send(&poll_url(&plane, "limit=1&timeout_ms=50"), agent(&plane, "GET"), "").await;
    assert_eq!((&body[..], whole), (&b"{"[..], false));
}
