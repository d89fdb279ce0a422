use std::os::unix::net::UnixStream as Std;
use std::time::Duration;

use super::*;

fn pair() -> (Sockets, mpsc::UnboundedReceiver<Wanted>) {
    let (send, receive) = mpsc::unbounded_channel();
    (Sockets::new(send), receive)
}

fn connected() -> (OwnedFd, Std) {
    let (ours, theirs) = Std::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    (ours.into(), theirs)
}

#[tokio::test]
async fn an_answer_finds_the_request_with_its_ticket() {
    let (sockets, mut wanted) = pair();
    let (one, two) = (sockets.clone(), sockets.clone());
    let one = tokio::spawn(async move { one.open(1).await });
    let first = wanted.recv().await.unwrap();
    let two = tokio::spawn(async move { two.open(2).await });
    let second = wanted.recv().await.unwrap();
    assert_eq!((first.binding, second.binding), (1, 2));
    assert_ne!(first.ticket, second.ticket);
    let (socket, _held) = connected();
    sockets.answer(second.ticket, Ok(socket));
    sockets.answer(first.ticket, Err(io::Error::from_raw_os_error(2)));
    assert!(two.await.unwrap().is_ok());
    let error = one.await.unwrap().unwrap_err();
    assert_eq!((error.phase, error.cause, error.sent), (Phase::Connect, Cause::Dial, false));
    assert_eq!(error.to_string(), "no such socket");
}

#[tokio::test]
async fn an_answer_that_nobody_waits_for_is_closed() {
    let (sockets, mut wanted) = pair();
    let asker = sockets.clone();
    let asked = tokio::spawn(async move { asker.open(1).await });
    let ticket = wanted.recv().await.unwrap().ticket;
    asked.abort();
    assert!(asked.await.unwrap_err().is_cancelled());
    for ticket in [ticket, ticket, 77] {
        let (socket, theirs) = connected();
        sockets.answer(ticket, Ok(socket));
        assert_eq!(io::Read::read(&mut &theirs, &mut [0]).unwrap(), 0, "the other end sees the end");
    }
}

#[tokio::test]
async fn requests_without_an_answer_are_bounded_even_if_nobody_waits_for_them() {
    let (sockets, mut wanted) = pair();
    let mut tickets = Vec::new();
    for _ in 0..MAX_OUTSTANDING {
        let asker = sockets.clone();
        let asked = tokio::spawn(async move { asker.open(0).await });
        tickets.push(wanted.recv().await.unwrap().ticket);
        asked.abort();
    }
    let asker = sockets.clone();
    let _asked = tokio::spawn(async move { asker.open(0).await });
    assert!(tokio::time::timeout(Duration::from_millis(100), wanted.recv()).await.is_err());
    sockets.answer(tickets[5], Err(io::ErrorKind::Other.into()));
    wanted.recv().await.unwrap();
}
