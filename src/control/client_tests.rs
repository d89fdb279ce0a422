use super::*;
use crate::control::testing::{Plane, Seen, Step, answer, client_of, logged, worker};

const SECOND: Duration = Duration::from_secs(1);
const TUNNEL: &str = "tunnel_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn url(origin: &str, prefix: &str) -> String {
    let mut config = worker(origin);
    config.control.path_prefix = prefix.into();
    let query = poll_query(20, 30 * SECOND, None);
    client_of(&config).0.request(Method::GET, &query, Bytes::new()).unwrap().uri().to_string()
}

fn status(failure: Failure) -> ApiError {
    match failure {
        Failure::Status(error) => *error,
        other => panic!("{other:?}"),
    }
}

fn target(seen: &Seen) -> &str {
    seen.head.split(' ').nth(1).unwrap()
}

#[test]
fn case_001_only_the_origin_of_the_base_url_counts() {
    let expected = format!("https://h/v1/tunnels/{TUNNEL}/poll?limit=20&timeout_ms=30000");
    assert_eq!(url("https://h/v1/tunnel", ""), expected);
    assert_eq!(url("https://h", ""), expected);
}

#[test]
fn case_002_there_is_one_slash_before_the_version() {
    assert_eq!(
        url("https://h:8443/", ""),
        format!("https://h:8443/v1/tunnels/{TUNNEL}/poll?limit=20&timeout_ms=30000")
    );
}

#[test]
fn case_003_a_prefix_is_joined_by_one_slash() {
    for prefix in ["/gw", "/gw/"] {
        assert_eq!(
            url("https://h", prefix),
            format!("https://h/gw/v1/tunnels/{TUNNEL}/poll?limit=20&timeout_ms=30000")
        );
    }
}

#[test]
fn case_035_less_than_a_millisecond_is_one() {
    let of = |timeout| poll_query(5, timeout, None);
    assert_eq!(of(Duration::from_micros(500)), "/poll?limit=5&timeout_ms=1");
    assert_eq!(of(Duration::from_micros(1500)), "/poll?limit=5&timeout_ms=2");
    assert_eq!(of(Duration::ZERO), "/poll?limit=5&timeout_ms=30000");
}

#[test]
fn case_033_a_poll_asks_for_1_to_25_commands() {
    for (limit, asked) in [(0, 1), (1, 1), (20, 20), (100, 25)] {
        assert_eq!(poll_query(limit, SECOND, None), format!("/poll?limit={asked}&timeout_ms=1000"));
    }
}

#[test]
fn channels_come_first_and_sorted() {
    let channels = [Channel::normalise("web").unwrap(), Channel::main()];
    assert_eq!(
        poll_query(2, SECOND, Some(&channels)),
        "/poll?channel=main&channel=web&limit=2&timeout_ms=1000"
    );
}

#[test]
fn deadlines_are_capped_at_ten_minutes() {
    let mut config = worker("https://h");
    assert_eq!(client_of(&config).0.deadline(), 35 * SECOND);
    config.control.poll_timeout = 3600 * SECOND;
    assert_eq!(client_of(&config).0.deadline(), 600 * SECOND);
}

#[test]
fn the_start_is_logged_without_the_tunnel_or_the_key() {
    let mut config = worker("https://h:8443");
    config.control.extra_headers =
        vec![("Accept".into(), crate::config::types::Secret::new("hush".into()).into())];
    let (_, lines) = client_of(&config);
    assert_eq!(logged(&lines, "TunnelServiceClient created").len(), 1);
    assert!(logged(&lines, "control-plane route resolved")[0].contains("https://h:8443"));
    assert!(logged(&lines, "cannot override protected header")[0].contains("header=Accept"));
    assert!(
        lines
            .lock()
            .unwrap()
            .iter()
            .all(|l| !l.contains("sk-secret") && !l.contains("hush") && !l.contains("tunnel_a"))
    );
}

#[tokio::test]
async fn case_014_two_polls_of_a_process_carry_the_same_headers() {
    let plane = Plane::start(vec![]).await;
    let (client, _) = client_of(&worker(&plane.origin));
    client.poll(1, SECOND, None).await.unwrap();
    client.poll(1, SECOND, None).await.unwrap();
    let seen = plane.seen();
    assert_eq!(seen[0].head, seen[1].head);
    assert_eq!(seen[0].header("x-tunnel-client-instance-id"), Some("0123456789abcdef0123456789abcdef"));
    assert_eq!(seen[0].header("authorization"), Some("Bearer sk-secret"));
    assert_eq!(target(&seen[0]), format!("/v1/tunnels/{TUNNEL}/poll?limit=1&timeout_ms=1000"));
}

#[tokio::test]
async fn case_015_the_organization_is_on_every_request() {
    let plane = Plane::start(vec![]).await;
    let mut config = worker(&plane.origin);
    config.control.organization = Some("org-1".into());
    let (client, _) = client_of(&config);
    client.poll(1, SECOND, None).await.unwrap();
    let _ = client.metadata().await;
    client.post("{}".into(), &HeaderValue::from_static("s"), None, SECOND).await.unwrap();
    let seen = plane.seen();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|s| s.header("openai-organization") == Some("org-1")), "{seen:?}");
}

#[tokio::test]
async fn case_023_a_redirect_is_not_followed() {
    let other = Plane::start(vec![]).await;
    for code in [301, 302, 303, 307, 308] {
        let to_other = format!("location: {}/x\r\n", other.origin);
        let plane = Plane::start(vec![answer(code, &to_other, "")]).await;
        let (client, _) = client_of(&worker(&plane.origin));
        let error = status(client.poll(1, SECOND, None).await.unwrap_err());
        assert_eq!((error.status.as_u16(), error.message.as_str()), (code, "redirects are not followed"));
        assert_eq!(plane.seen().len(), 1);
    }
    assert!(other.seen().is_empty(), "the key went elsewhere");
}

#[tokio::test]
async fn case_042_only_200_and_204_are_successful_polls() {
    for code in [201, 202, 206, 400, 404, 500] {
        let plane = Plane::start(vec![answer(code, "", r#"{"commands":[]}"#)]).await;
        let (client, _) = client_of(&worker(&plane.origin));
        assert_eq!(status(client.poll(1, SECOND, None).await.unwrap_err()).status.as_u16(), code);
    }
}

#[tokio::test]
async fn case_055_an_endless_error_body_is_not_read() {
    let head = b"HTTP/1.1 500 X\r\ncontent-length: 67108864\r\n\r\n".to_vec();
    let plane = Plane::start(vec![vec![Step::Send(head), Step::Send(vec![b'x'; 64 << 20])]]).await;
    let (client, _) = client_of(&worker(&plane.origin));
    let error = status(client.poll(1, SECOND, None).await.unwrap_err());
    assert_eq!(error.message.len(), 1027);
    drop(client);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(plane.written() < 32 << 20, "{} bytes were taken", plane.written());
}

#[tokio::test]
async fn case_059_a_poll_that_hangs_or_drips_ends_at_its_deadline() {
    let head = std::iter::once(Step::Send(b"HTTP/1.1 200 X\r\nx-a: ".to_vec()));
    let drip = head
        .chain((0..100).flat_map(|_| [Step::Wait(Duration::from_millis(20)), Step::Send(b"x".to_vec())]))
        .collect();
    let slow_body = vec![
        Step::Send(b"HTTP/1.1 200 X\r\ncontent-length: 100\r\n\r\n{\"commands\":[".to_vec()),
        Step::Wait(10 * SECOND),
    ];
    for script in [vec![Step::Wait(10 * SECOND)], drip, slow_body] {
        let plane = Plane::start(vec![script]).await;
        let mut config = worker(&plane.origin);
        config.control.poll_guardrail = Duration::from_millis(150);
        let (client, _) = client_of(&config);
        let start = Instant::now();
        let failure = client.poll(1, Duration::from_millis(50), None).await.unwrap_err();
        assert!(matches!(failure, Failure::Timeout), "{failure:?}");
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(190) && took < 2 * SECOND, "{took:?}");
    }
}

#[tokio::test]
async fn case_061_headers_that_drip_for_ever_are_bounded() {
    let drip = [Step::Wait(Duration::from_millis(20)), Step::Send(b"x-a: b\r\n".to_vec())];
    let head = std::iter::once(Step::Send(b"HTTP/1.1 200 X\r\n".to_vec()));
    let plane = Plane::start(vec![head.chain((0..400).flat_map(|_| drip.clone())).collect()]).await;
    let mut config = worker(&plane.origin);
    config.control.poll_guardrail = Duration::from_millis(150);
    let (client, _) = client_of(&config);
    let start = Instant::now();
    let failure = client.poll(1, Duration::from_millis(50), None).await.unwrap_err();
    assert!(matches!(failure, Failure::Timeout), "{failure:?}");
    assert!(start.elapsed() < 2 * SECOND);
}

#[tokio::test]
async fn what_follows_the_status_is_not_waited_for_long() {
    let start = Instant::now();
    for code in [200, 503] {
        let head = format!("HTTP/1.1 {code} X\r\ncontent-length: 9\r\n\r\n");
        let plane = Plane::start(vec![vec![Step::Send(head.into()), Step::Wait(60 * SECOND)]]).await;
        let (client, _) = client_of(&worker(&plane.origin));
        let posted = client.post("{}".into(), &HeaderValue::from_static("s"), None, 60 * SECOND).await;
        assert_eq!(posted.is_ok(), code == 200);
    }
    assert!(start.elapsed() < 6 * SECOND, "{:?}", start.elapsed());
}

#[tokio::test]
async fn receipt_is_when_the_head_arrived() {
    let body = r#"{"commands":[]}"#;
    let steps = vec![
        Step::Send(format!("HTTP/1.1 200 X\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes()),
        Step::Wait(Duration::from_millis(300)),
        Step::Send(body.into()),
    ];
    let plane = Plane::start(vec![steps]).await;
    let (client, _) = client_of(&worker(&plane.origin));
    let polled = client.poll(1, SECOND, None).await.unwrap();
    assert!(polled.received.elapsed() >= Duration::from_millis(250));
}

#[tokio::test]
async fn a_poll_body_is_bounded_and_keeps_what_fits() {
    let element = r#"{"request_id":"r","shard_token":"s","command_type":"oauth_discovery"}"#;
    let body = format!("{{\"commands\":[{element},{element},{}]}}", " ".repeat(4096));
    let plane = Plane::start(vec![answer(200, "", &body)]).await;
    let mut config = worker(&plane.origin);
    config.limits.poll_body_bytes = 1024;
    let (client, _) = client_of(&config);
    let batch = client.poll(1, SECOND, None).await.unwrap().batch;
    assert_eq!((batch.items.len(), batch.cut), (2, Some("body is too large")));
}

#[tokio::test]
async fn metadata_is_logged_either_way() {
    let good = format!(r#"{{"id":"{TUNNEL}","name":"n 1","description":"d","more":[]}}"#);
    let bad = r#"{"error":{"code":"tunnel_use_forbidden","message":"no"}}"#;
    let plane = Plane::start(vec![answer(200, "", &good), answer(403, "", bad), answer(200, "", "[]")]).await;
    let (client, lines) = client_of(&worker(&plane.origin));
    for _ in 0..3 {
        crate::control::metadata::fetch(&client).await;
    }
    let fetched = logged(&lines, "tunnel metadata fetched");
    assert!(fetched[0].contains("name=\"n 1\"") && fetched[0].contains(TUNNEL), "{fetched:?}");
    let failed = logged(&lines, "tunnel metadata fetch failed");
    for part in ["level=WARN", "status_code=403", "error_code=tunnel_use_forbidden", "mitigation="] {
        assert!(failed[0].contains(part), "{part}: {failed:?}");
    }
    assert_eq!((fetched.len(), failed.len(), plane.seen().len()), (1, 2, 3));
    assert_eq!(target(&plane.seen()[0]), format!("/v1/tunnels/{TUNNEL}"));
}
