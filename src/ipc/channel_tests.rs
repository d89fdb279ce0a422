use super::*;
use crate::ipc::msg::{Ask, CallKind, FromWorker, ToWorker, Verdict};
use crate::sys::{fds, pair};

type Broker = Channel<ToWorker, FromWorker>;

fn ask(call: u64, token: usize) -> Ask {
    Ask {
        call,
        request_id: format!("req_{call}"),
        shard_token: "t".repeat(token),
        channel: "main".into(),
        kind: CallKind::Request,
        rpc_id: Some("1".into()),
        ttl_ms: None,
        about: None,
    }
}

fn verdict(call: u64) -> ToWorker {
    ToWorker::Verdict { call, verdict: Verdict::Permit }
}

#[test]
fn a_packed_frame_is_what_encode_writes() {
    let messages: Vec<ToWorker> = (0..3).map(verdict).collect();
    let mut packer = Packer::default();
    for m in &messages {
        assert!(packer.push(&render(m).unwrap()));
    }
    assert_eq!(packer.finish(), msg::encode(&messages).unwrap());
}

#[test]
fn queued_messages_share_frames_and_keep_their_order() {
    let (a, b) = pair::new().unwrap();
    let mut broker = Broker::new(a);
    for call in 0..1000 {
        broker.queue(&verdict(call), vec![]).unwrap();
    }
    assert!(broker.flush().unwrap());
    let mut worker = Channel::<FromWorker, ToWorker>::new(b);
    let (mut frames, mut seen) = (0, Vec::new());
    while let Received::Frame(messages, fds) = worker.recv().unwrap() {
        assert!(fds.is_empty() && messages.len() <= MAX_MESSAGES);
        frames += 1;
        seen.extend(messages);
    }
    assert_eq!(seen, (0..1000).map(verdict).collect::<Vec<_>>());
    assert_eq!(frames, 4);
}

#[test]
fn a_message_with_descriptors_travels_alone() {
    let (a, b) = pair::new().unwrap();
    let mut broker = Broker::new(a);
    let (read, write) = fds::pipe().unwrap();
    broker.queue(&verdict(1), vec![]).unwrap();
    broker
        .queue(&ToWorker::Child { index: 0, era: None, generation: 1, carried: None }, vec![write, read])
        .unwrap();
    broker.queue(&verdict(2), vec![]).unwrap();
    assert!(broker.flush().unwrap());
    let mut worker = Channel::<FromWorker, ToWorker>::new(b);
    let mut shape = Vec::new();
    while let Received::Frame(messages, fds) = worker.recv().unwrap() {
        shape.push((messages.len(), fds.len()));
    }
    assert_eq!(shape, [(1, 0), (1, 2), (1, 0)]);
}

#[test]
fn a_message_larger_than_a_frame_is_refused_and_the_rest_goes_on() {
    let (a, b) = pair::new().unwrap();
    let mut broker = Broker::new(a);
    assert!(matches!(
        broker.queue(&ToWorker::Orphan(ask(1, MAX_FRAME)), vec![]),
        Err(FrameError::TooLong(_))
    ));
    // As large as the bounds allow, and every byte of it escaped.
    let worst = Ask {
        request_id: "\u{1}".repeat(msg::MAX_REQUEST_ID),
        shard_token: "\u{1}".repeat(msg::MAX_SHARD_TOKEN),
        rpc_id: Some("\u{1}".repeat(msg::MAX_RPC_ID)),
        ..ask(2, 0)
    };
    broker.queue(&ToWorker::Orphan(worst.clone()), vec![]).unwrap();
    broker.queue(&ToWorker::Orphan(worst.clone()), vec![]).unwrap();
    assert!(broker.flush().unwrap());
    let mut worker = Channel::<FromWorker, ToWorker>::new(b);
    for _ in 0..2 {
        let Received::Frame(got, _) = worker.recv().unwrap() else { panic!("no frame") };
        assert_eq!(got, [ToWorker::Orphan(worst.clone())]);
    }
}

#[test]
fn garbage_is_an_error_and_a_dead_peer_is_the_end() {
    let (a, b) = pair::new().unwrap();
    let mut broker = Broker::new(a);
    for frame in
        [&b"[]"[..], b"{}", b"[{\"drop\":{}}]", b"[{\"ready\":{}}] x", b"[{\"ready\":{\"a\":1}}]", b"\xff"]
    {
        message::send(&b, frame, &[]).unwrap();
        assert!(matches!(broker.recv(), Err(Error::Frame(_))), "{frame:?}");
    }
    assert!(matches!(broker.recv(), Ok(Received::Nothing)));
    drop(b);
    assert!(matches!(broker.recv(), Ok(Received::Closed)));
    broker.queue(&verdict(1), vec![]).unwrap();
    assert!(broker.flush().is_err());
}

#[tokio::test]
async fn floods_both_ways_lose_nothing_at_the_default_buffer_size() {
    const CALLS: u64 = 20_000;
    let (a, b) = pair::new().unwrap();
    pair::limit_queue(&a);
    pair::limit_queue(&b);
    let mut broker = Broker::new(a);
    let worker = std::sync::Arc::new(AsyncChannel::new(b).unwrap());
    let sending = tokio::spawn({
        let worker = std::sync::Arc::clone(&worker);
        async move {
            let calls: Vec<u64> = (0..CALLS).collect();
            for some in calls.chunks(700) {
                let asks: Vec<FromWorker> = some.iter().map(|c| FromWorker::Ask(ask(*c, 300))).collect();
                worker.send(&asks).await.unwrap();
            }
        }
    });
    let hearing = tokio::spawn(async move {
        let mut next = 0;
        while next < CALLS {
            let (messages, _) = worker.recv::<ToWorker>().await.unwrap().unwrap();
            for message in messages {
                assert_eq!(message, verdict(next));
                next += 1;
            }
        }
    });
    // The broker's loop as it really is: read a little, answer, keep what does not fit.
    let mut expected = 0;
    while !hearing.is_finished() {
        for _ in 0..4 {
            let Received::Frame(messages, _) = broker.recv().unwrap() else { break };
            for message in messages {
                assert_eq!(message, FromWorker::Ask(ask(expected, 300)));
                broker.queue(&verdict(expected), vec![]).unwrap();
                expected += 1;
            }
        }
        broker.flush().unwrap();
        tokio::task::yield_now().await;
    }
    sending.await.unwrap();
    hearing.await.unwrap();
    assert_eq!(expected, CALLS);
}

#[tokio::test]
async fn a_worker_that_does_not_listen_delays_but_loses_nothing() {
    let (a, b) = pair::new().unwrap();
    pair::limit_queue(&a);
    let mut broker = Broker::new(a);
    for call in 0..100_000 {
        broker.queue(&verdict(call), vec![]).unwrap();
    }
    assert!(!broker.flush().unwrap(), "the socket cannot have taken all");
    assert!(broker.queued() > 0);
    let worker = AsyncChannel::new(b).unwrap();
    let mut next = 0;
    while next < 100_000 {
        let (messages, _) = worker.recv::<ToWorker>().await.unwrap().unwrap();
        for message in messages {
            assert_eq!(message, verdict(next));
            next += 1;
        }
        broker.flush().unwrap();
    }
    drop(broker);
    assert!(worker.recv::<ToWorker>().await.unwrap().is_none());
}

#[test]
fn the_most_that_is_said_of_a_child_fits_into_a_frame() {
    let carried = msg::Carried {
        last: u64::MAX,
        retired: vec![u64::MAX; msg::MAX_RETIRED],
        handshake: msg::Handshake::Answered,
        unread: vec![255; msg::MAX_UNREAD],
    };
    let (index, generation, era) = (u8::MAX, u32::MAX, Some(msg::Era::Stateless));
    let returned = FromWorker::Returned { index, generation, era, carried: carried.clone() };
    assert!(render(&returned).is_ok());
    assert!(render(&ToWorker::Child { index, era, generation, carried: Some(carried) }).is_ok());
}
