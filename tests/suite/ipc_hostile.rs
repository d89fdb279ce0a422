//! A worker that is somebody else: whatever comes over the socket, the broker refuses what is not legal, and says why.

use std::os::fd::AsFd as _;
use std::time::Instant;

use tunnelward::broker::permit::{Breach, Permit, Step};
use tunnelward::broker::window::Window;
use tunnelward::config::types::Channel;
use tunnelward::ipc::channel::{Channel as Socket, Error, Received};
use tunnelward::ipc::msg::{FrameError, FromWorker, MAX_FRAME, MAX_MESSAGES, ToWorker, Verdict};
use tunnelward::sys::{fds, message, pair};

type Broker = Socket<ToWorker, FromWorker>;

const ASK: &str = r#"{"ask":{"call":1,"request_id":"r","shard_token":"s","channel":"main","kind":"request","rpc_id":"1","ttl_ms":null}}"#;

/// What the broker makes of these bytes.
fn heard(frame: &[u8]) -> Result<Received<FromWorker>, Error> {
    let (ours, theirs) = pair::new().unwrap();
    message::send(&theirs, frame, &[]).unwrap();
    Broker::new(ours).recv()
}

/// What a permit table makes of the frames of one worker: the first breach, or the last step.
fn judged(frames: &[String]) -> Result<Step, Breach> {
    let (mut permit, mut window) = (Permit::new(vec![Channel::main()], 1), Window::default());
    let mut last = Ok(Step::Nothing);
    for frame in frames {
        let Received::Frame(messages, _) = heard(frame.as_bytes()).unwrap() else { panic!("no frame") };
        for message in messages {
            last = permit.accept(message, &mut window, Instant::now());
            last.as_ref().map_err(|b| *b)?;
        }
    }
    last
}

#[test]
fn an_unknown_or_malformed_message_is_no_frame() {
    let frames = [
        r#"[{"exec":{"path":"/bin/sh"}}]"#,
        r#"[{"ready":{"please":true}}]"#,
        r#"[{"verdict":{"call":1,"verdict":"permit"}}]"#,
        r#"[{"spawn":{"index":256,"era":"session","seen":0}}]"#,
        r#"[{"spawn":{"index":-1,"era":"session","seen":0}}]"#,
        r#"[{"spawn":{"index":0,"era":"stone","seen":0}}]"#,
        r#"[{"done":{"call":1}}]"#,
        r#"[{"connect":{"binding":0,"ticket":1,"path":"/run/docker.sock"}}]"#,
        r#"[{"done":{"call":1.5,"outcome":"answered"}}]"#,
        r#"[{"ready":{"landlock":7,"filters":3}},]"#,
        r#"[{"ready":{"landlock":7,"filters":3}}"#,
        r#"[{"ready":{"landlock":7,"filters":3}}]["#,
        r#"{"ready":{"landlock":7,"filters":3}}"#,
        "[]",
        "null",
        "\0",
    ];
    for frame in frames {
        assert!(
            matches!(
                heard(frame.as_bytes()),
                Err(Error::Frame(FrameError::Malformed(_) | FrameError::Count(_)))
            ),
            "{frame}"
        );
    }
}

#[test]
fn a_truncated_message_is_no_frame_wherever_it_is_cut() {
    let whole = format!("[{ASK}]");
    for end in 1..whole.len() {
        assert!(matches!(heard(&whole.as_bytes()[..end]), Err(Error::Frame(_))), "{end}");
    }
    assert!(matches!(heard(whole.as_bytes()), Ok(Received::Frame(..))));
}

#[test]
fn deep_nesting_does_not_exhaust_the_stack() {
    let deep = "[".repeat(MAX_FRAME);
    assert!(matches!(heard(deep.as_bytes()), Err(Error::Frame(FrameError::Malformed(_)))));
}

#[test]
fn too_many_messages_or_bytes_are_no_frame() {
    let many = format!("[{}]", vec![r#"{"poll_ok":{}}"#; MAX_MESSAGES + 1].join(","));
    assert!(matches!(heard(many.as_bytes()), Err(Error::Frame(FrameError::Count(_)))));
    let most = format!("[{}]", vec![r#"{"poll_ok":{}}"#; MAX_MESSAGES].join(","));
    assert!(matches!(heard(most.as_bytes()), Ok(Received::Frame(..))));
    assert!(matches!(heard(&vec![b' '; MAX_FRAME + 1]), Err(Error::Socket(_))));
}

#[test]
fn descriptors_are_seen_with_the_frame_and_too_many_of_them_are_an_error() {
    let (ours, theirs) = pair::new().unwrap();
    let (read, _write) = fds::pipe().unwrap();
    let mut broker = Broker::new(ours);
    message::send(&theirs, br#"[{"poll_ok":{}}]"#, &[read.as_fd()]).unwrap();
    assert!(matches!(broker.recv(), Ok(Received::Frame(_, fds)) if fds.len() == 1));
}

#[test]
fn a_message_out_of_state_is_a_breach() {
    let ready = r#"[{"ready":{"landlock":7,"filters":3}}]"#.to_string();
    let ask = format!("[{ASK}]");
    assert!(matches!(judged(std::slice::from_ref(&ask)), Err(Breach::OutOfState("ask"))));
    assert!(matches!(judged(&[ready.clone(), ready.clone()]), Err(Breach::OutOfState("ready"))));
    let drained = r#"[{"drained":{"unfinished":0}}]"#.to_string();
    assert!(matches!(judged(&[ready.clone(), drained]), Err(Breach::OutOfState("drained"))));
    assert!(matches!(judged(&[ready, ask]), Ok(Step::Verdict { call: 1, verdict: Verdict::Permit, .. })));
}

#[test]
fn a_replayed_call_is_a_breach() {
    let ready = r#"[{"ready":{"landlock":7,"filters":3}}]"#.to_string();
    assert!(matches!(judged(&[ready.clone(), format!("[{ASK},{ASK}]")]), Err(Breach::CallReused(1))));
    let done = r#"{"done":{"call":1,"outcome":"answered"}}"#;
    let again = judged(&[ready.clone(), format!("[{ASK},{done},{done}]")]);
    assert!(matches!(again, Err(Breach::UnknownCall(1))));
    let other = ASK.replace(r#""call":1"#, r#""call":2"#);
    let second = judged(&[ready, format!("[{ASK},{done},{other}]")]);
    assert!(matches!(second, Ok(Step::Verdict { call: 2, verdict: Verdict::Duplicate, .. })));
}

#[test]
fn what_is_said_of_servers_and_asked_of_the_broker_is_bounded() {
    let ready = r#"[{"ready":{"landlock":7,"filters":3}}]"#.to_string();
    let reach =
        |binding: u8, reason: &str| format!(r#"[{{"reach":{{"binding":{binding},"reason":{reason}}}}}]"#);
    let facts = r#"[{"facts":{}}]"#.to_string();
    assert!(matches!(judged(std::slice::from_ref(&facts)), Err(Breach::OutOfState("facts"))));
    assert!(matches!(judged(&[reach(0, "null")]), Err(Breach::OutOfState("reach"))));
    assert_eq!(judged(&[ready.clone(), facts.clone()]), Ok(Step::Facts));
    assert_eq!(judged(&[ready.clone(), facts.clone(), facts]), Err(Breach::OutOfState("facts")));
    let fine = Ok(Step::Reach { binding: 0, reason: Some("no route".into()) });
    assert_eq!(judged(&[ready.clone(), reach(0, r#""no route""#)]), fine);
    for (binding, reason) in
        [(1, "null".to_string()), (0, format!("{:?}", "x".repeat(257))), (0, r#""a\nREADY=1""#.into())]
    {
        assert_eq!(
            judged(&[ready.clone(), reach(binding, &reason)]),
            Err(Breach::BadReach(binding)),
            "{reason}"
        );
    }
    let flood: Vec<String> = std::iter::once(ready).chain((0..10_000).map(|_| reach(0, "null"))).collect();
    assert_eq!(judged(&flood), Err(Breach::TooOften));
}

#[test]
fn a_child_or_command_that_is_not_there_is_a_breach() {
    let ready = r#"[{"ready":{"landlock":7,"filters":3}}]"#.to_string();
    for (message, breach) in [
        (r#"[{"spawn":{"index":1,"era":"session","seen":0}}]"#, Breach::UnknownCommand(1)),
        (r#"[{"child_lost":{"index":0,"generation":1}}]"#, Breach::UnknownChild(0, 1)),
        (r#"[{"child_lost":{"index":9,"generation":1}}]"#, Breach::UnknownCommand(9)),
        (r#"[{"connect":{"binding":0,"ticket":1}}]"#, Breach::UnknownSocket(0)),
        (
            r#"[{"returned":{"index":0,"generation":1,"era":null,"carried":{"last":1,"retired":[],"handshake":"ready","unread":[]}}}]"#,
            Breach::UnknownChild(0, 1),
        ),
    ] {
        assert_eq!(judged(&[ready.clone(), message.into()]), Err(breach));
    }
}
