use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};

use super::*;

#[test]
fn a_socket_is_connected_at_once_and_does_not_wait() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    assert_eq!(connect(&path).unwrap_err().kind(), ErrorKind::NotFound);
    let listener = UnixListener::bind(&path).unwrap();
    let mut ours = UnixStream::from(connect(&path).unwrap());
    let (mut theirs, _) = listener.accept().unwrap();
    assert_eq!(ours.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    theirs.write_all(b"x").unwrap();
    assert_eq!(ours.read(&mut [0]).unwrap(), 1);
    drop(listener);
    assert_eq!(connect(&path).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_full_queue_would_block() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let address = SocketAddrUnix::new(&path).unwrap();
    let listener = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&listener, &address).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let _first = connect(&path).unwrap();
    assert_eq!(connect(&path).unwrap_err().kind(), ErrorKind::WouldBlock);
}
