//! A child that goes from one worker to the next.

use super::*;
use crate::ipc::msg::{Carried, Handshake};

/// A child of the session era, initialized, with the broker's own ends of its pipes.
async fn ready(rig: &mut Rig) -> (Server, ChildPipes) {
    let (mut server, kept) = rig.attach_keeping(None);
    let call = rig.call("initialize", "0", "{}");
    server.answer("{}").await;
    assert_eq!(call.answer().await.0, 200);
    assert_eq!(rig.notify("notifications/initialized", "{}").await, 200);
    server.read().await;
    (server, kept)
}

async fn returned(rig: &mut Rig) -> (Option<Era>, Carried) {
    match rig.event().await {
        StdioEvent::Returned { index: 3, generation: 1, era, carried } => (era, carried),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_child_is_given_back_when_what_was_written_is_answered_and_the_next_worker_goes_on() {
    let (mut old, new) = (rig(|_| {}), rig(|_| {}));
    let (mut server, mut kept) = ready(&mut old).await;
    let abandoned = old.call_until("m", "1", "{}", Some(Duration::from_millis(80)));
    let late = server.read().await;
    assert!(matches!(abandoned.end().await, End::DeadlinePassed));
    let slow = old.call("m", "2", "{}");
    let request = server.read().await;
    old.stdio.give_back(1);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let waits = old.call("m", "3", "{}");
    assert_eq!(old.event().await, StdioEvent::Want { index: 3, era: Era::Session, seen: 1 });
    assert_eq!(server.maybe_read().await, None, "nothing is written any more");
    // A line that has only begun goes with the child.
    server.result(&request, "{\"slow\":1}").await;
    server.send("{\"jsonrpc\":\"2.0\",\"id\":").await;
    assert!(slow.answer().await.1.contains("slow"));
    let (era, carried) = returned(&mut old).await;
    assert_eq!(era, Some(Era::Session));
    assert_eq!((carried.last, carried.handshake), (3, Handshake::Ready));
    assert_eq!(carried.retired, [late["id"].as_u64().unwrap()]);
    assert_eq!(carried.unread, b"{\"jsonrpc\":\"2.0\",\"id\":");

    (kept.era, kept.carried) = (era, Some(carried));
    let again = ChildPipes {
        stdin: kept.stdin.try_clone().unwrap(),
        stdout: kept.stdout.try_clone().unwrap(),
        carried: None,
        ..kept
    };
    new.stdio.attach(kept);
    let call = new.call("m", "1", "{}");
    let request = server.read().await;
    assert_eq!(request["id"], 4, "numbers go on");
    // The answer that nobody waits for any more, to its end, and the one that somebody waits for.
    server.send(&format!("{},\"result\":{{}}}}\n", late["id"])).await;
    server.result(&request, "{}").await;
    assert_eq!(call.answer().await.0, 200);
    assert_eq!(new.logged("late answer of a stdio server dropped"), 1);

    // It comes back to the worker that still has a call for it.
    new.stdio.finish().await;
    let carried = Carried { last: 4, handshake: Handshake::Ready, ..Carried::default() };
    old.stdio.attach(ChildPipes { carried: Some(carried), ..again });
    assert_eq!(server.answer("{}").await["id"], 5);
    assert_eq!(waits.answer().await.0, 200);
}

#[tokio::test]
async fn calls_that_waited_for_a_child_are_let_in_before_it_is_given_back() {
    let mut rig = rig(|_| {});
    let waits = rig.call("server/discover", "1", "{}");
    assert!(matches!(rig.event().await, StdioEvent::Want { .. }));
    let mut server = rig.attach(None);
    rig.stdio.give_back(1);
    server.answer("{}").await;
    assert_eq!(waits.answer().await.0, 200);
    assert_eq!(returned(&mut rig).await.0, Some(Era::Stateless));
}

#[tokio::test]
async fn a_child_that_need_not_be_given_back_stays() {
    let mut rig = rig(|_| {});
    let (mut server, _kept) = ready(&mut rig).await;
    let slow = rig.call("m", "1", "{}");
    let request = server.read().await;
    rig.stdio.give_back(1);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let waits = rig.call("m", "2", "{}");
    assert!(matches!(rig.event().await, StdioEvent::Want { .. }));
    rig.stdio.keep(1);
    server.answer("{}").await;
    assert_eq!(waits.answer().await.0, 200);
    server.result(&request, "{}").await;
    assert_eq!(slow.answer().await.0, 200);
    settle().await;
    assert!(rig.events.try_recv().is_err());
}

#[tokio::test]
async fn at_the_end_every_child_is_given_back_and_later_calls_fail() {
    let mut rig = rig(|_| {});
    let (server, _kept) = ready(&mut rig).await;
    let [StdioEvent::Returned { era, carried, .. }] = &rig.stdio.finish().await[..] else { panic!() };
    assert_eq!((*era, carried.last, carried.handshake), (Some(Era::Session), 1, Handshake::Ready));
    assert_eq!(rig.call("ping", "2", "{}").failure("2").await.1, "connection_closed");
    drop(server);
    settle().await;
    assert!(rig.events.try_recv().is_err());
}

#[tokio::test]
async fn a_child_with_a_call_in_progress_is_not_given_back_at_the_end() {
    let mut rig = rig(|_| {});
    let (mut server, _kept) = ready(&mut rig).await;
    let _call = rig.call("m", "1", "{}");
    server.read().await;
    assert_eq!(rig.stdio.finish().await, []);
}

#[tokio::test]
async fn a_child_that_ends_while_it_is_asked_back_is_lost() {
    let mut rig = rig(|_| {});
    let (mut server, _kept) = ready(&mut rig).await;
    let call = rig.call("m", "1", "{}");
    server.read().await;
    rig.stdio.give_back(1);
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(server);
    assert_eq!(call.failure("1").await.1, "eof");
    assert_eq!(rig.event().await, StdioEvent::Lost { index: 3, generation: 1 });
}

#[tokio::test]
async fn a_child_that_is_elsewhere_is_waited_for_longer() {
    let mut rig = rig(|_| {});
    let waits = rig.call("ping", "1", "{}");
    assert!(matches!(rig.event().await, StdioEvent::Want { .. }));
    rig.stdio.elsewhere(Duration::from_millis(600));
    tokio::time::sleep(Duration::from_millis(700)).await;
    let mut server = rig.attach(Some(Era::Session));
    server.answer("{}").await;
    assert_eq!(waits.answer().await.0, 200);
}
