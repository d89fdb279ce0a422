//! HTTP/2 peers that break off, made by hand frame by frame.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::server::TlsStream;

use super::super::test_peer::{Ca, client, get, options, post};
use super::super::{Cause, Phase, ReadFailure, read_body};

/// `:status: 200` for stream 1; the stream goes on.
const HEAD: [u8; 10] = [0, 0, 1, 1, 4, 0, 0, 0, 1, 0x88];
/// The same, and the stream ends.
const HEAD_ONLY: [u8; 10] = [0, 0, 1, 1, 5, 0, 0, 0, 1, 0x88];

/// RST_STREAM for stream 1.
fn reset(reason: u8) -> Vec<u8> {
    vec![0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, reason]
}

/// GOAWAY, without an error.
fn go_away(last_stream: u8) -> Vec<u8> {
    vec![0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, last_stream, 0, 0, 0, 0]
}

/// A server whose n-th connection sends its settings, waits for a request, sends the n-th of `answers` (the last one
/// ever after), and stays open. Returns its URL.
async fn server(ca: &Ca, answers: Vec<Vec<u8>>) -> String {
    let acceptor = ca.acceptor(&["127.0.0.1"], &["h2"], false);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut number = 0;
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = acceptor.accept(stream).await.unwrap();
            let answer = answers[number.min(answers.len() - 1)].clone();
            number += 1;
            tokio::spawn(async move {
                begin(&mut stream, &answer).await;
                let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
            });
        }
    });
    url
}

/// Sends settings, lets a request arrive, and sends `answer`.
async fn begin(stream: &mut TlsStream<TcpStream>, answer: &[u8]) {
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    stream.flush().await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let _ = stream.read(&mut [0; 4096]).await;
    stream.write_all(answer).await.unwrap();
    stream.flush().await.unwrap();
}

#[tokio::test]
async fn a_stream_that_the_peer_resets_is_a_reset_and_not_repeated() {
    let ca = Ca::new();
    let url = server(&ca, vec![reset(8), HEAD_ONLY.to_vec()]).await;
    let error = client(Some(&ca), options()).send(post(&url, "x")).await.unwrap_err();
    assert_eq!((error.phase, error.cause, error.sent), (Phase::Exchange, Cause::Reset, true));
}

#[tokio::test]
async fn a_stream_that_the_peer_refuses_without_end_was_never_sent() {
    let ca = Ca::new();
    let refusals = [reset(7), go_away(1)].concat();
    let url = server(&ca, vec![refusals]).await;
    let error = client(Some(&ca), options()).send(post(&url, "x")).await.unwrap_err();
    assert_eq!((error.phase, error.cause, error.sent), (Phase::Exchange, Cause::Reset, false));
}

#[tokio::test]
async fn a_request_that_the_peer_hands_back_is_offered_to_a_new_connection() {
    let ca = Ca::new();
    let url = server(&ca, vec![go_away(0), HEAD_ONLY.to_vec()]).await;
    let response = client(Some(&ca), options()).send(post(&url, "x")).await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn a_graceful_end_of_a_connection_costs_a_new_one_and_no_failure() {
    let ca = Ca::new();
    let url = server(&ca, vec![[&HEAD_ONLY[..], &go_away(1)].concat()]).await;
    let client = client(Some(&ca), options());
    for _ in 0..5 {
        assert_eq!(client.send(post(&url, "x")).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_body_cut_off_keeps_what_there_was() {
    // The connection ends inside the body, with and without a farewell of TLS.
    for farewell in [true, false] {
        let ca = Ca::new();
        let acceptor = ca.acceptor(&["127.0.0.1"], &["h2"], false);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = acceptor.accept(stream).await.unwrap();
            let body = [0, 0, 5, 0, 0, 0, 0, 0, 1, b'1', b'2', b'3', b'4', b'5'];
            begin(&mut stream, &[&HEAD[..], &body].concat()).await;
            if farewell {
                stream.shutdown().await.unwrap();
            } else {
                stream.get_mut().0.shutdown().await.unwrap();
            }
            while matches!(stream.read(&mut [0; 4096]).await, Ok(1..)) {}
        });
        let response = client(Some(&ca), options()).send(get(&url)).await.unwrap();
        let error = read_body(response, 100).await.unwrap_err();
        assert_eq!(
            (error.why, &error.partial[..]),
            (ReadFailure::UnexpectedEof, &b"12345"[..]),
            "{farewell}"
        );
    }
}
