use std::os::unix::net::UnixListener;

use super::*;

fn at(dir: &tempfile::TempDir) -> (Sockets, PathBuf) {
    let path = dir.path().join("s");
    (Sockets::new(BTreeMap::from([(3, path.clone())])), path)
}

#[test]
fn a_server_that_listens_is_connected_to_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (mut sockets, path) = at(&dir);
    let listener = UnixListener::bind(path).unwrap();
    let mut answers = Vec::new();
    sockets.want(3, 7, Instant::now(), &mut answers);
    assert!(matches!(answers.as_slice(), [Answer { ticket: 7, result: Ok(_) }]), "{answers:?}");
    listener.accept().unwrap();
    assert_eq!(sockets.deadline(), None);
}

#[test]
fn a_missing_or_dead_server_is_an_error_with_its_number() {
    let dir = tempfile::tempdir().unwrap();
    let (mut sockets, path) = at(&dir);
    let mut answers = Vec::new();
    sockets.want(3, 1, Instant::now(), &mut answers);
    drop(UnixListener::bind(path).unwrap());
    sockets.want(3, 2, Instant::now(), &mut answers);
    sockets.want(4, 3, Instant::now(), &mut answers);
    let errors: Vec<_> = answers.into_iter().map(|a| (a.ticket, a.result.unwrap_err())).collect();
    let (missing, refused) = (rustix::io::Errno::NOENT, rustix::io::Errno::CONNREFUSED);
    assert_eq!(
        errors,
        [(1, missing.raw_os_error()), (2, refused.raw_os_error()), (3, missing.raw_os_error())]
    );
}

#[test]
fn a_full_queue_is_waited_for_and_not_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let (mut sockets, path) = at(&dir);
    let address = rustix::net::SocketAddrUnix::new(&path).unwrap();
    let listener =
        rustix::net::socket(rustix::net::AddressFamily::UNIX, rustix::net::SocketType::STREAM, None).unwrap();
    rustix::net::bind(&listener, &address).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let begin = Instant::now();
    let mut answers = Vec::new();
    for ticket in 1..=3 {
        sockets.want(3, ticket, begin, &mut answers);
    }
    assert_eq!(answers.iter().map(|a| a.ticket).collect::<Vec<_>>(), [1]);
    sockets.tick(begin, &mut answers);
    assert_eq!(sockets.deadline(), Some(begin + PACE), "not before its time");
    rustix::net::accept(&listener).unwrap();
    sockets.tick(begin + PACE, &mut answers);
    assert_eq!(answers.iter().map(|a| a.ticket).collect::<Vec<_>>(), [1, 2]);
    sockets.tick(begin + LIMIT, &mut answers);
    assert!(matches!(answers.last(), Some(Answer { ticket: 3, result: Err(TIMED_OUT) })), "{answers:?}");
    assert_eq!(sockets.deadline(), None);
}
