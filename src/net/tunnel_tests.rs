//! Proxies of our own on loopback, for what real ones do not do on demand.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

use super::super::sockets::Sockets;
use super::super::test_peer::{Ca, client, echo, get, options, post, read_head};
use super::super::{Cause, Client, Error, Options, Phase, Way, read_body};
use super::{MAX_HEAD, judge};
use crate::config::route::{self, Route, Via};
use crate::config::types::{HttpUrl, Secret};

const BASIC: &str = "Basic dTpwdw==";

fn through(proxy: &str, ca: Option<&Ca>) -> Client {
    let url = HttpUrl::try_from(proxy.to_owned()).unwrap();
    let proxy = route::Proxy { url, authorization: Some(Secret::new(BASIC.into()).into()) };
    let route = Route { via: Via::Proxy(proxy), ..Route::direct() };
    let tls = crate::tls::client_config(ca.map(Ca::pem).as_deref()).unwrap();
    let sockets = Sockets::new(tokio::sync::mpsc::unbounded_channel().0);
    client(ca, Options { way: Way::of(&route, &tls, &sockets), ..options() })
}

/// A proxy that answers every CONNECT with `answer` and passes bytes on when that begins with a 200. What it was
/// asked is sent to the channel.
async fn proxy(
    answer: &'static str,
    tls: Option<tokio_rustls::TlsAcceptor>,
) -> (std::net::SocketAddr, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, asks) = tokio::sync::mpsc::unbounded_channel();
    let asked = Arc::new(asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (asked, tls) = (Arc::clone(&asked), tls.clone());
            tokio::spawn(async move {
                match tls {
                    Some(tls) => serve(tls.accept(stream).await.unwrap(), answer, &asked).await,
                    None => serve(stream, answer, &asked).await,
                }
            });
        }
    });
    (address, asks)
}

async fn serve(
    mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    answer: &str,
    asked: &tokio::sync::mpsc::UnboundedSender<String>,
) {
    let head = read_head(&mut stream).await;
    let target = head.split(' ').nth(1).unwrap().to_owned();
    let _ = asked.send(head);
    if stream.write_all(answer.as_bytes()).await.is_err() || !answer.contains(" 200 ") {
        return;
    }
    let mut far = TcpStream::connect(target).await.unwrap();
    let _ = tokio::io::copy_bidirectional(&mut stream, &mut far).await;
}

async fn body(client: &Client, request: http::Request<bytes::Bytes>) -> String {
    let (_, body) = read_body(client.send(request).await.unwrap(), 1 << 20).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

async fn failure(client: &Client, request: http::Request<bytes::Bytes>) -> Error {
    client.send(request).await.expect_err("a failure")
}

#[tokio::test]
async fn https_goes_through_a_tunnel_with_http2_inside() {
    let ca = Ca::new();
    let (target, seen) = echo("127.0.0.1", Some(ca.acceptor(&["127.0.0.1"], &["h2"], false))).await;
    let (at, mut asks) = proxy("HTTP/1.1 200 Connection established\r\nx: y\r\n\r\n", None).await;
    let client = through(&format!("http://{at}"), Some(&ca));
    for _ in 0..3 {
        assert_eq!(body(&client, post(&format!("https://{target}/"), "hello")).await, "hello");
    }
    assert_eq!(seen.connections(), 1);
    let wanted =
        format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: {BASIC}\r\n\r\n");
    assert_eq!(asks.recv().await.unwrap(), wanted);
    assert!(asks.try_recv().is_err(), "one tunnel for all");
}

#[tokio::test]
async fn tls_goes_inside_tls_through_an_https_proxy() {
    let ca = Ca::new();
    let (target, _) = echo("127.0.0.1", Some(ca.acceptor(&["127.0.0.1"], &["h2"], false))).await;
    let tls = ca.acceptor(&["127.0.0.1"], &["http/1.1"], false);
    let (at, mut asks) = proxy("HTTP/1.1 200 OK\r\n\r\n", Some(tls)).await;
    let client = through(&format!("https://{at}"), Some(&ca));
    assert_eq!(body(&client, post(&format!("https://{target}/"), "hello")).await, "hello");
    assert!(asks.recv().await.unwrap().starts_with("CONNECT "));
    let stranger = through(&format!("https://{at}"), None);
    let error = failure(&stranger, get(&format!("https://{target}/"))).await;
    assert_eq!((error.phase, error.cause, error.sent), (Phase::Proxy, Cause::Tls, false));
    assert!(error.to_string().starts_with("the proxy cannot be used: "), "{error}");
}

#[tokio::test]
async fn http_goes_in_absolute_form_with_the_credentials_in_each_request() {
    let (at, seen) = echo("127.0.0.1", None).await;
    let client = through(&format!("http://{at}"), None);
    for _ in 0..2 {
        let answer = client.send(post("http://far.test:8080/mcp?x=1", "hello")).await.unwrap();
        assert_eq!(answer.headers()["x-target"], "http://far.test:8080/mcp?x=1");
        assert_eq!(answer.headers()["x-host"], "far.test:8080");
        assert_eq!(answer.headers()["x-proxy-authorization"], BASIC);
        read_body(answer, 100).await.unwrap();
    }
    assert_eq!(seen.connections(), 1);
}

#[tokio::test]
async fn refusals_are_told_apart_and_nothing_of_the_body_is_repeated() {
    for (answer, cause, text) in [
        ("HTTP/1.1 407 Auth\r\n\r\ngeheim", Cause::ProxyAuth, "the proxy wants credentials (407)"),
        ("HTTP/1.1 401 Auth\r\n\r\n", Cause::ProxyAuth, "the proxy wants credentials (401)"),
        ("HTTP/1.0 403 no geheim\r\n\r\n", Cause::ProxyRefused, "the proxy refused the connection (403)"),
        ("HTTP/1.1 503 x\r\n\r\n", Cause::ProxyRefused, "the proxy could not reach the target (503)"),
        ("HTTP/1.1 200 OK\r\n\r\ngeheim", Cause::Protocol, "the proxy speaks out of turn"),
        ("220 mail geheim\r\n\r\n", Cause::Protocol, "the proxy does not speak HTTP as it should"),
        ("HTTP/1.1 200", Cause::Eof, "the proxy cannot be used: the peer closed the connection"),
    ] {
        let (at, _) = proxy(answer, None).await;
        let error = failure(&through(&format!("http://{at}"), None), get("https://127.0.0.1:1/")).await;
        assert_eq!((error.phase, error.cause, error.sent), (Phase::Proxy, cause, false), "{answer}");
        assert_eq!(error.to_string(), text);
    }
    let (at, _) = proxy("HTTP/1.1 407 x\r\ncontent-length: 6\r\n\r\ngeheim", None).await;
    let error = failure(&through(&format!("http://{at}"), None), get("http://far.test/")).await;
    assert_eq!((error.phase, error.cause, error.sent), (Phase::Proxy, Cause::ProxyAuth, false));
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_not_taken_for_the_target() {
    for (url, cause) in [
        ("http://127.0.0.1:1", Cause::Refused),
        ("http://no-such-host.invalid:3128", Cause::Dns),
        ("http://169.254.169.254:3128", Cause::Blocked),
    ] {
        for target in ["https://target.test/", "http://target.test/"] {
            let error = failure(&through(url, None), get(target)).await;
            assert_eq!((error.phase, error.cause), (Phase::Proxy, cause), "{url} {target}");
        }
    }
}

#[tokio::test]
async fn an_address_that_is_refused_is_not_asked_of_a_proxy_either() {
    let (at, mut asks) = proxy("HTTP/1.1 200 OK\r\n\r\n", None).await;
    for target in ["https://169.254.169.254/", "http://[fe80::1]/", "http://100.100.100.200/"] {
        let error = failure(&through(&format!("http://{at}"), None), get(target)).await;
        assert_eq!((error.phase, error.cause), (Phase::Connect, Cause::Blocked), "{target}");
    }
    assert!(asks.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let began = tokio::time::Instant::now();
    let error = failure(&through(&format!("http://{at}"), None), get("https://far.test/")).await;
    assert_eq!((error.phase, error.cause), (Phase::Proxy, Cause::Timeout));
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn the_head_of_an_answer_is_bounded() {
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(MAX_HEAD));
    assert_eq!(judge(long.as_bytes()).unwrap_err().cause, Cause::Protocol);
    assert!(judge(&long.as_bytes()[..MAX_HEAD + 1]).unwrap_err().to_string().contains("too large"));
    for broken in
        ["HTTP/2 200 OK", "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 100 Continue", "HTTP/1.1  200"]
    {
        assert_eq!(
            judge(format!("{broken}\r\n\r\n").as_bytes()).unwrap_err().cause,
            Cause::Protocol,
            "{broken}"
        );
    }
    assert!(judge(b"HTTP/1.0 200\r\n\r\n").is_ok());
}
