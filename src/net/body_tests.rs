//! Bodies from real sockets on loopback.

use std::io::Write;
use std::time::{Duration, Instant};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::super::test_peer::{Ca, client, get, options, raw};
use super::super::{BodyReader, Cause, ReadError, ReadFailure, read_body, read_body_until};

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn response(head: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{head}\r\n", body.len()).as_bytes(), body].concat()
}

async fn fetch(answer: Vec<u8>) -> http::Response<hyper::body::Incoming> {
    let address = raw(answer, Duration::ZERO).await;
    client(None, options()).send(get(&format!("http://{address}/"))).await.unwrap()
}

async fn read(answer: Vec<u8>, max: usize) -> Result<Bytes, ReadError> {
    read_body(fetch(answer).await, max).await.map(|(_, body)| body)
}

async fn failure(answer: Vec<u8>, max: usize) -> (ReadFailure, Bytes) {
    let error = read(answer, max).await.expect_err("a failure");
    assert_eq!(error.parts.status, 200);
    (error.why, error.partial)
}

#[tokio::test]
async fn a_body_may_be_as_large_as_the_bound_and_no_larger() {
    assert_eq!(read(response("", b"12345"), 5).await.unwrap(), "12345");
    assert_eq!(failure(response("", b"123456"), 5).await, (ReadFailure::TooLarge, "12345".into()));
    assert_eq!(failure(response("", b"1"), 0).await, (ReadFailure::TooLarge, "".into()));
    assert_eq!(read(response("", b""), 0).await.unwrap(), "");
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n";
    assert_eq!(read(chunked.to_vec(), 6).await.unwrap(), "abcdef");
    assert_eq!(failure(chunked.to_vec(), 5).await, (ReadFailure::TooLarge, "abcde".into()));
}

#[tokio::test]
async fn a_body_cut_off_keeps_what_there_was() {
    let short = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345".to_vec();
    assert_eq!(failure(short, 100).await, (ReadFailure::UnexpectedEof, "12345".into()));
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for cut in ["5\r\n12345", "5\r\n12345\r\n", "5\r\n12345\r\n5\r\n", "5\r\n12345\r\n0\r\n"] {
        let (why, partial) = failure(format!("{head}{cut}").into_bytes(), 100).await;
        assert_eq!((why, &partial[..]), (ReadFailure::UnexpectedEof, &b"12345"[..]), "{cut:?}");
    }
}

#[tokio::test]
async fn a_tls_body_that_ends_without_a_farewell_is_cut_off() {
    // Its length is only told by its end: whoever can cut a TCP connection could otherwise shorten it unnoticed.
    let ca = Ca::new();
    let acceptor = ca.acceptor(&["127.0.0.1"], &[], false);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(stream).await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n12345").await.unwrap();
        stream.flush().await.unwrap();
        stream.into_inner().0.shutdown().await.unwrap();
    });
    let response = client(Some(&ca), options()).send(get(&url)).await.unwrap();
    let error = read_body(response, 100).await.unwrap_err();
    assert_eq!((error.why, &error.partial[..]), (ReadFailure::UnexpectedEof, &b"12345"[..]));
}

#[tokio::test]
async fn a_reset_inside_the_body_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        super::super::test_peer::read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345").await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        stream.set_zero_linger().unwrap();
    });
    let response = client(None, options()).send(get(&url)).await.unwrap();
    let error = read_body(response, 100).await.unwrap_err();
    assert_eq!((error.why, &error.partial[..]), (ReadFailure::Unreadable(Cause::Reset), &b"12345"[..]));
}

#[tokio::test]
async fn gzip_is_inflated_and_no_longer_announced() {
    for coding in ["gzip", "x-gzip", "GZip", "identity, gzip"] {
        let answer = fetch(response(&format!("Content-Encoding: {coding}\r\n"), &gzip(b"hello"))).await;
        let (parts, body) = read_body(answer, 5).await.unwrap();
        assert_eq!(body, "hello");
        assert!(!parts.headers.contains_key("content-encoding"));
        assert!(!parts.headers.contains_key("content-length"));
    }
    let answer = fetch(response("Content-Encoding: identity\r\n", b"hello")).await;
    assert_eq!(read_body(answer, 5).await.unwrap().1, "hello");
    // No body at all is no broken compression.
    assert_eq!(read(response("Content-Encoding: gzip\r\n", b""), 5).await.unwrap(), "");
}

#[tokio::test]
async fn gzip_is_bounded_after_inflation() {
    let answer = response("Content-Encoding: gzip\r\n", &gzip(b"123456"));
    assert_eq!(failure(answer, 5).await, (ReadFailure::TooLarge, "12345".into()));
    // 300 MiB in 300 KiB: what lies beyond the bound is never inflated.
    let bomb = gzip(&vec![0; 1 << 20]).repeat(300);
    let began = Instant::now();
    let (why, partial) = failure(response("Content-Encoding: gzip\r\n", &bomb), 1 << 20).await;
    assert_eq!((why, partial.len()), (ReadFailure::TooLarge, 1 << 20));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let (_, mut reader) = BodyReader::new(fetch(response("Content-Encoding: gzip\r\n", &bomb)).await);
    for _ in 0..40 {
        assert!(reader.next().await.unwrap().unwrap().len() <= 64 << 10);
    }
}

#[tokio::test]
async fn gzip_that_is_cut_off_or_broken_is_told_apart() {
    let whole = gzip(b"hello, hello, hello");
    let (why, partial) =
        failure(response("Content-Encoding: gzip\r\n", &whole[..whole.len() - 3]), 100).await;
    assert_eq!((why, &partial[..]), (ReadFailure::UnexpectedEof, &b"hello, hello, hello"[..]));
    let mut broken = whole.clone();
    broken[whole.len() - 8] ^= 1;
    assert_eq!(
        failure(response("Content-Encoding: gzip\r\n", &broken), 100).await.0,
        ReadFailure::BadEncoding
    );
    let plain = response("Content-Encoding: gzip\r\n", b"{\"plain\":1}");
    assert_eq!(failure(plain, 100).await.0, ReadFailure::BadEncoding);
}

#[tokio::test]
async fn other_and_stacked_encodings_are_refused() {
    for coding in ["br", "deflate", "gzip, gzip", "gzip, br", "gzip\r\nContent-Encoding: gzip", "\u{fc}"] {
        let answer = response(&format!("Content-Encoding: {coding}\r\n"), &gzip(b"x"));
        assert_eq!(failure(answer, 100).await, (ReadFailure::BadEncoding, "".into()), "{coding}");
    }
}

#[tokio::test]
async fn a_deadline_keeps_what_there_was() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345".to_vec();
    let address = raw(answer, Duration::from_secs(10)).await;
    let response = client(None, options()).send(get(&format!("http://{address}/"))).await.unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_millis(200);
    let error = read_body_until(response, 100, Some(deadline)).await.unwrap_err();
    assert_eq!((error.why, &error.partial[..]), (ReadFailure::Unreadable(Cause::Timeout), &b"12345"[..]));
}

#[tokio::test]
async fn an_event_stream_arrives_as_it_is_sent_compressed_or_not() {
    for compressed in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            super::super::test_peer::read_head(&mut stream).await;
            let coding = if compressed { "Content-Encoding: gzip\r\n" } else { "" };
            stream.write_all(format!("HTTP/1.1 200 OK\r\n{coding}\r\n").as_bytes()).await.unwrap();
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            for _ in 0..3 {
                let event = if compressed {
                    encoder.write_all(b"data: 1\n\n").unwrap();
                    encoder.flush().unwrap();
                    std::mem::take(encoder.get_mut())
                } else {
                    b"data: 1\n\n".to_vec()
                };
                stream.write_all(&event).await.unwrap();
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            tokio::time::sleep(Duration::from_secs(10)).await;
        });
        let (_, mut reader) = BodyReader::new(client(None, options()).send(get(&url)).await.unwrap());
        let three = async {
            for _ in 0..3 {
                let mut event = Vec::new();
                while event.len() < 9 {
                    event.extend_from_slice(&reader.next().await.unwrap().unwrap());
                }
                assert_eq!(event, b"data: 1\n\n");
            }
        };
        tokio::time::timeout(Duration::from_secs(3), three).await.expect("events in time");
    }
}
