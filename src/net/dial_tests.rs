use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustix::net::sockopt;
use tokio::net::TcpListener;

use super::{Dialer, Host, race};
use crate::net::{Cause, Phase};

/// A listener whose queue is full: connecting to it hangs, as to a host that drops packets.
async fn silent() -> (SocketAddr, Vec<tokio::net::TcpStream>, TcpListener) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut held = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(200), tokio::net::TcpStream::connect(address)).await
    {
        held.push(stream);
    }
    (address, held, listener)
}

async fn refusing() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn the_next_address_is_tried_at_once_after_a_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let good = listener.local_addr().unwrap();
    let began = Instant::now();
    let stream = race(&[refusing().await, refusing().await, good]).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), good);
    assert!(began.elapsed() < Duration::from_millis(240), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_silent_address_holds_the_next_one_back_for_a_quarter_of_a_second() {
    let (dead, _held, _listener) = silent().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let good = listener.local_addr().unwrap();
    let began = Instant::now();
    let stream = race(&[dead, good]).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), good);
    assert!((Duration::from_millis(240)..Duration::from_millis(900)).contains(&began.elapsed()));
}

#[tokio::test]
async fn the_first_failure_is_reported_when_all_fail() {
    let error = race(&[refusing().await, refusing().await]).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn connecting_is_bounded_in_time() {
    let (dead, _held, _listener) = silent().await;
    let dialer = Dialer::new(Duration::from_millis(300), None);
    let began = Instant::now();
    let error = dialer.dial(&Host::Address(dead.ip()), dead.port(), None).await.unwrap_err();
    assert_eq!((error.phase, error.cause, error.sent), (Phase::Connect, Cause::Timeout, false));
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn connections_are_tuned() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stream = Dialer::new(Duration::from_secs(5), None)
        .dial(&Host::Address(address.ip()), address.port(), None)
        .await
        .unwrap();
    assert!(stream.nodelay().unwrap());
    assert!(sockopt::socket_keepalive(&stream).unwrap());
    assert_eq!(sockopt::tcp_keepidle(&stream).unwrap(), Duration::from_secs(30));
}

#[tokio::test]
async fn a_lost_peer_is_noticed_as_soon_as_is_asked() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let dialer = Dialer::new(Duration::from_secs(5), Some(Duration::from_secs(20)));
    let stream = dialer.dial(&Host::Address(address.ip()), address.port(), None).await.unwrap();
    assert_eq!(sockopt::tcp_keepidle(&stream).unwrap(), Duration::from_secs(10));
    assert_eq!(sockopt::tcp_keepintvl(&stream).unwrap(), Duration::from_secs(4));
    assert_eq!(sockopt::tcp_user_timeout(&stream).unwrap(), 20_000);
}
