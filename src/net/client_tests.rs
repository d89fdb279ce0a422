//! Requests against real sockets on loopback.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::super::test_peer::{Ca, client, echo, get, options, post, raw, read_head};
use super::super::{Cause, Client, Error, Options, Phase, read_body};

const NO_WAIT: Duration = Duration::ZERO;

async fn failure(client: &Client, request: http::Request<Bytes>) -> Error {
    client.send(request).await.expect_err("a failure")
}

async fn text(client: &Client, request: http::Request<Bytes>) -> (http::response::Parts, String) {
    let (parts, body) = read_body(client.send(request).await.unwrap(), 1 << 20).await.unwrap();
    (parts, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_post_over_plain_http_has_host_length_and_origin_form() {
    let (address, _) = echo("127.0.0.1", None).await;
    let client = client(None, options());
    let (parts, body) = text(&client, post(&format!("http://{address}/mcp?x=%2F"), "hello")).await;
    assert_eq!(body, "hello");
    assert_eq!(parts.headers["x-version"], "HTTP/1.1");
    assert_eq!(parts.headers["x-target"], "/mcp?x=%2F");
    assert_eq!(parts.headers["x-host"], address.to_string());
    assert_eq!(parts.headers["x-length"], "5");
}

#[tokio::test]
async fn a_get_announces_no_body() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let head = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        head
    });
    assert_eq!(client(None, options()).send(get(&url)).await.unwrap().status(), 204);
    let head = head.await.unwrap().to_ascii_lowercase();
    assert!(head.starts_with("get / http/1.1\r\nhost: 127.0.0.1:"), "{head}");
    assert!(!head.contains("content-length") && !head.contains("transfer-encoding"), "{head}");
}

#[tokio::test]
async fn ipv6_literals_work() {
    let (address, _) = echo("::1", None).await;
    let (parts, _) = text(&client(None, options()), get(&format!("http://[::1]:{}/", address.port()))).await;
    assert_eq!(parts.headers["x-host"], format!("[::1]:{}", address.port()));
}

#[tokio::test]
async fn names_are_resolved() {
    let (address, _) = echo("127.0.0.1", None).await;
    let url = format!("http://localhost:{}/", address.port());
    assert_eq!(text(&client(None, options()), post(&url, "x")).await.1, "x");
}

#[tokio::test]
async fn http2_is_used_when_both_sides_offer_it() {
    let ca = Ca::new();
    let (both, _) = echo("127.0.0.1", Some(ca.acceptor(&["127.0.0.1"], &["h2", "http/1.1"], false))).await;
    let (old, _) = echo("127.0.0.1", Some(ca.acceptor(&["127.0.0.1"], &["http/1.1"], false))).await;
    let (none, _) = echo("127.0.0.1", Some(ca.acceptor(&["127.0.0.1"], &[], false))).await;
    let modern = client(Some(&ca), options());
    let plain = client(Some(&ca), Options { http2: false, ..options() });
    for (client, address, version) in [
        (&modern, both, "HTTP/2.0"),
        (&modern, old, "HTTP/1.1"),
        (&modern, none, "HTTP/1.1"),
        (&plain, both, "HTTP/1.1"),
    ] {
        let (parts, body) = text(client, post(&format!("https://{address}/"), "hello")).await;
        assert_eq!((parts.headers["x-version"].to_str().unwrap(), body.as_str()), (version, "hello"));
    }
}

#[tokio::test]
async fn case_166_sequential_http1_requests_share_connections() {
    let (address, seen) = echo("127.0.0.1", None).await;
    let client = client(None, options());
    for _ in 0..100 {
        text(&client, post(&format!("http://{address}/"), "x")).await;
    }
    assert!(seen.connections() <= 3, "{} connections", seen.connections());
}

#[tokio::test]
async fn http2_requests_share_one_connection() {
    let ca = Ca::new();
    let (address, seen) = echo("127.0.0.1", Some(ca.acceptor(&["127.0.0.1"], &["h2"], false))).await;
    let client = client(Some(&ca), options());
    for _ in 0..100 {
        text(&client, post(&format!("https://{address}/"), "x")).await;
    }
    assert_eq!(seen.connections(), 1);
}

#[tokio::test]
async fn many_requests_at_once_on_a_cold_pool_all_succeed_or_all_say_why() {
    let (ca, other) = (Ca::new(), Ca::new());
    for alpn in ["h2", "http/1.1"] {
        let (address, seen) = echo("127.0.0.1", Some(ca.acceptor(&["127.0.0.1"], &[alpn], false))).await;
        let url = format!("https://{address}/");
        let mut requests = tokio::task::JoinSet::new();
        for trusting in [&ca, &other].map(|ca| client(Some(ca), options())) {
            for _ in 0..30 {
                let (client, request) = (trusting.clone(), post(&url, "x"));
                requests.spawn(async move { client.send(request).await });
            }
        }
        let (good, bad): (Vec<_>, Vec<_>) = requests.join_all().await.into_iter().partition(Result::is_ok);
        assert_eq!((good.len(), bad.len(), seen.requests.load(Ordering::SeqCst)), (30, 30, 30));
        for error in bad.into_iter().filter_map(Result::err) {
            assert_eq!((error.phase, error.cause, error.sent), (Phase::Tls, Cause::Tls, false), "{error}");
        }
    }
}

#[tokio::test]
async fn a_connection_idle_for_too_long_is_not_reused() {
    let (address, seen) = echo("127.0.0.1", None).await;
    let client = client(None, Options { idle: Duration::from_millis(150), ..options() });
    let url = format!("http://{address}/");
    text(&client, get(&url)).await;
    text(&client, get(&url)).await;
    assert_eq!(seen.connections(), 1);
    tokio::time::sleep(Duration::from_millis(400)).await;
    text(&client, get(&url)).await;
    assert_eq!(seen.connections(), 2);
}

#[tokio::test]
async fn a_pooled_connection_that_the_peer_closed_costs_a_new_one_and_no_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        for _ in 0..20 {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        }
    });
    let client = client(None, options());
    for _ in 0..20 {
        assert_eq!(client.send(get(&url)).await.unwrap().status(), 200);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.await.unwrap();
}

#[tokio::test]
async fn case_159_a_refused_port_is_told_apart_and_nothing_was_sent() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let error = failure(&client(None, options()), post(&format!("http://127.0.0.1:{port}/"), "x")).await;
    assert_eq!((error.phase, error.cause, error.sent), (Phase::Connect, Cause::Refused, false));
    assert_eq!(error.to_string(), "connection refused");
}

#[tokio::test]
async fn an_unknown_name_is_a_dns_failure() {
    let error = failure(&client(None, options()), get("http://does-not-exist.invalid/secret-path")).await;
    assert_eq!((error.phase, error.cause, error.sent), (Phase::Dns, Cause::Dns, false));
    assert!(
        !error.to_string().contains("invalid/") && !error.to_string().contains("does-not-exist"),
        "{error}"
    );
}

#[tokio::test]
async fn case_161_certificates_that_do_not_fit_are_tls_failures_that_say_why() {
    let (ours, other) = (Ca::new(), Ca::new());
    let (unknown, _) = echo("127.0.0.1", Some(other.acceptor(&["127.0.0.1"], &[], false))).await;
    let (foreign, _) = echo("127.0.0.1", Some(ours.acceptor(&["private.example"], &[], false))).await;
    let (expired, _) = echo("127.0.0.1", Some(ours.acceptor(&["127.0.0.1"], &[], true))).await;
    let client = client(Some(&ours), options());
    for (address, why) in [
        (unknown, "the certificate has an unknown issuer"),
        (foreign, "the certificate is not valid for the name"),
        (expired, "the certificate has expired"),
    ] {
        let error = failure(&client, post(&format!("https://{address}/path?token=t0p"), "x")).await;
        assert_eq!((error.phase, error.cause, error.sent), (Phase::Tls, Cause::Tls, false));
        assert!(error.to_string().starts_with(why), "{error}");
    }
}

#[tokio::test]
async fn tls_to_a_plain_server_is_a_tls_failure() {
    let address = raw("HTTP/1.1 400 Bad Request\r\n\r\n", NO_WAIT).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let talker = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"220 mail.example ESMTP, ready\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
    });
    let error = failure(&client(None, options()), get(&format!("https://{talker}/"))).await;
    assert_eq!((error.phase, error.cause, error.sent), (Phase::Tls, Cause::Tls, false));
    let quick = Options { tls_timeout: Duration::from_millis(200), ..options() };
    let error = failure(&client(None, quick), get(&format!("https://{address}/"))).await;
    assert_eq!((error.phase, error.cause, error.sent), (Phase::Tls, Cause::Timeout, false));
}

#[tokio::test]
async fn a_peer_that_closes_without_an_answer_is_an_eof_after_sending() {
    let address = raw("", NO_WAIT).await;
    let error = failure(&client(None, options()), get(&format!("http://{address}/"))).await;
    assert_eq!((error.phase, error.cause, error.sent), (Phase::Exchange, Cause::Eof, true));
}

#[tokio::test]
async fn a_peer_that_resets_after_the_request_is_a_reset_after_sending() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await;
        stream.set_zero_linger().unwrap();
    });
    let error = failure(&client(None, options()), post(&url, "x")).await;
    assert_eq!((error.phase, error.cause, error.sent), (Phase::Exchange, Cause::Reset, true));
}

#[tokio::test]
async fn a_peer_that_speaks_no_http_is_a_protocol_failure() {
    let address = raw("SSH-2.0-OpenSSH_9.2\r\n\r\n", NO_WAIT).await;
    let error = failure(&client(None, options()), post(&format!("http://{address}/"), "x")).await;
    assert_eq!((error.phase, error.cause, error.sent), (Phase::Exchange, Cause::Protocol, true));
}

#[tokio::test]
async fn the_head_of_a_response_is_bounded() {
    let mut answer = b"HTTP/1.1 200 OK\r\nx-filler: ".to_vec();
    answer.resize(200 << 10, b'a');
    let address = raw(answer, Duration::from_secs(2)).await;
    let error = failure(&client(None, options()), get(&format!("http://{address}/"))).await;
    assert_eq!((error.phase, error.cause), (Phase::Exchange, Cause::Protocol));
}

#[tokio::test]
async fn redirects_are_handed_back() {
    let (target, seen) = echo("127.0.0.1", None).await;
    let answer = format!("HTTP/1.1 307 See There\r\nLocation: http://{target}/\r\nContent-Length: 0\r\n\r\n");
    let address = raw(answer, NO_WAIT).await;
    let response = client(None, options()).send(post(&format!("http://{address}/"), "x")).await.unwrap();
    assert_eq!((response.status().as_u16(), seen.connections()), (307, 0));
}

#[tokio::test]
async fn metadata_addresses_are_refused_without_a_packet() {
    let client = client(None, options());
    for host in
        ["169.254.169.254", "[::ffff:169.254.169.254]", "[fe80::1]", "[fd00:ec2::254]", "100.100.100.200"]
    {
        let began = Instant::now();
        let error = failure(&client, get(&format!("http://{host}/latest/meta-data/"))).await;
        assert_eq!((error.phase, error.cause, error.sent), (Phase::Connect, Cause::Blocked, false), "{host}");
        assert!(began.elapsed() < Duration::from_secs(1));
    }
}

#[tokio::test]
async fn case_167_an_answer_before_the_whole_request_was_read_is_no_deadlock() {
    let ca = Ca::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno").await.unwrap();
        // The body, 32 MiB, is never read.
        tokio::time::sleep(Duration::from_secs(10)).await;
    });
    let client = client(Some(&ca), options());
    let answer = async {
        let response = client.send(post(&url, vec![0; 32 << 20])).await.unwrap();
        (response.status().as_u16(), read_body(response, 100).await.unwrap().1)
    };
    let (status, body) = tokio::time::timeout(Duration::from_secs(5), answer).await.expect("no deadlock");
    assert_eq!((status, &body[..]), (413, &b"no"[..]));
}

#[tokio::test]
async fn large_bodies_go_both_ways_over_both_versions() {
    let ca = Ca::new();
    let body = Bytes::from((0..6_000_000_u32).map(|n| n.to_le_bytes()[0]).collect::<Vec<u8>>());
    for alpn in ["h2", "http/1.1"] {
        let (address, _) = echo("127.0.0.1", Some(ca.acceptor(&["127.0.0.1"], &[alpn], false))).await;
        let response = client(Some(&ca), options())
            .send(post(&format!("https://{address}/"), body.clone()))
            .await
            .unwrap();
        assert!(read_body(response, 6_000_000).await.unwrap().1 == body, "{alpn}");
    }
}

#[tokio::test]
async fn a_url_that_cannot_be_requested_is_an_error_and_no_panic() {
    let client = client(None, options());
    for url in ["/relative", "ftp://127.0.0.1/", "http://[::1"] {
        let Ok(uri) = url.parse::<http::Uri>() else { continue };
        let mut request = get("http://127.0.0.1/");
        *request.uri_mut() = uri;
        assert!(!failure(&client, request).await.sent, "{url}");
    }
}

#[tokio::test]
async fn forgotten_connections_are_not_used_again_and_what_is_under_way_goes_on() {
    let (address, seen) = echo("127.0.0.1", None).await;
    let client = client(None, options());
    let url = format!("http://{address}/");
    text(&client, post(&url, "x")).await;
    text(&client, post(&url, "x")).await;
    assert_eq!(seen.connections(), 1);
    let open = client.send(post(&url, "under way")).await.unwrap();
    client.clone().forget_connections();
    text(&client, post(&url, "x")).await;
    assert_eq!(seen.connections(), 2, "clones share the pool");
    assert_eq!(read_body(open, 100).await.unwrap().1, "under way");
}
