use super::*;
use crate::config::types::Limits;
use crate::control::respond::Responder;
use crate::control::testing::{Plane, Step, answer, client_of, worker};
use crate::control::wire;
use crate::ipc::channel::AsyncChannel;
use crate::sys::pair;
use crate::worker::drain::{Drain, Order};
use crate::worker::lane::Lane;
use crate::worker::lane::tests::{lane_of_stdio, lane_to};
use crate::worker::link;

/// A dispatcher with a lane for `main`, a control plane that takes answers, and the broker's end of the socket.
struct Rig {
    dispatch: Dispatch,
    drain: Drain,
    plane: Plane,
    broker: AsyncChannel,
    link: Link,
}

async fn rig(server: Vec<Step>) -> Rig {
    let server = Plane::start(vec![server]).await;
    rig_of(lane_to(&server.origin)).await
}

async fn rig_of(lane: Arc<Lane>) -> Rig {
    let plane = Plane::start(Vec::new()).await;
    let (client, _) = client_of(&worker(&plane.origin));
    let (ours, theirs) = pair::new().unwrap();
    let broker = AsyncChannel::new(theirs).unwrap();
    let (link, uplink) = link::pair(Arc::new(AsyncChannel::new(ours).unwrap()));
    tokio::spawn(uplink.run());
    let drain = Drain::new();
    let lanes = Arc::new(Lanes::new(vec![lane], None, &Limits::default()));
    let log = Log::memory().0;
    let carrier = Carrier::new(
        Responder::new(client),
        link.clone(),
        drain.clone(),
        crate::worker::stats::Stats::new([]),
        log.clone(),
    );
    let dispatch = Dispatch::new(lanes, Guard::default(), Arc::new(carrier), link.clone(), log);
    Rig { dispatch, drain, plane, broker, link }
}

impl Rig {
    fn poll(&self, commands: &str) {
        let batch = wire::parse(&format!("{{\"commands\":[{commands}]}}").into(), true);
        self.dispatch.accept(Polled { received: Instant::now(), batch });
    }

    /// The next frame that the broker gets.
    async fn heard(&self) -> Vec<FromWorker> {
        let (messages, _) = self.broker.recv().await.unwrap().unwrap();
        messages
    }
}

fn command(message: &str) -> String {
    format!(r#"{{"request_id":"r1","shard_token":"t","command_type":"jsonrpc","jsonrpc":{message}}}"#)
}

const NOTIFICATION: &str = r#"{"jsonrpc":"2.0","method":"notifications/x"}"#;
const REQUEST: &str = r#"{"jsonrpc":"2.0","id":7,"method":"x"}"#;

#[tokio::test]
async fn a_command_in_doubt_is_answered_and_its_end_is_not_booked() {
    let rig = rig(answer(202, "", "")).await;
    rig.poll(&command(NOTIFICATION));
    let asked = rig.heard().await;
    let [FromWorker::Ask(ask)] = asked.as_slice() else { panic!("{asked:?}") };
    rig.dispatch.verdict(ask.call, Verdict::InDoubt);
    rig.drain.order(Order { abort_poll: None, deadline: Instant::now() + Duration::from_secs(20) });
    assert_eq!(rig.drain.finish().await, 0);
    let seen = rig.plane.seen();
    assert_eq!(seen.len(), 1);
    assert!(seen[0].body.contains(r#""request_id":"r1""#) && seen[0].body.contains("502"), "{seen:?}");
    // The broker would take a `Done` for a breach.
    rig.link.tell(FromWorker::PollOk {});
    assert_eq!(rig.heard().await, [FromWorker::PollOk {}]);
}

#[tokio::test]
async fn the_end_of_a_dead_workers_call_is_booked() {
    let rig = rig(Vec::new()).await;
    rig.poll(&command(REQUEST));
    let asked = rig.heard().await;
    let [FromWorker::Ask(ask)] = asked.as_slice() else { panic!("{asked:?}") };
    rig.dispatch.orphan(Ask { call: u64::MAX, ..ask.clone() });
    assert_eq!(
        rig.heard().await,
        [FromWorker::Done { call: u64::MAX, outcome: Outcome::Answered, answer: None }]
    );
    assert!(rig.plane.seen()[0].body.contains("tunnel_failure"));
}

#[tokio::test]
async fn a_drain_waits_for_a_command_without_a_verdict_yet() {
    let rig = rig(answer(202, "", "")).await;
    rig.poll(&command(NOTIFICATION));
    rig.drain.order(Order { abort_poll: None, deadline: Instant::now() + Duration::from_secs(20) });
    let finished = tokio::spawn({
        let drain = rig.drain.clone();
        async move { drain.finish().await }
    });
    let asked = rig.heard().await;
    assert!(!finished.is_finished(), "the command was given up before the broker could say anything");
    let [FromWorker::Ask(ask)] = asked.as_slice() else { panic!("{asked:?}") };
    rig.dispatch.verdict(ask.call, Verdict::Permit);
    assert_eq!(finished.await.unwrap(), 0);
    assert_eq!(rig.plane.seen().len(), 1, "answered before the end");
    assert_eq!(
        rig.heard().await,
        [FromWorker::Done { call: ask.call, outcome: Outcome::Answered, answer: None }]
    );
}

#[tokio::test]
async fn at_the_bound_a_call_is_answered_with_a_failure_in_json() {
    let rig = rig(vec![Step::Wait(Duration::from_secs(60))]).await;
    rig.poll(&command(REQUEST));
    let asked = rig.heard().await;
    let [FromWorker::Ask(ask)] = asked.as_slice() else { panic!("{asked:?}") };
    rig.dispatch.verdict(ask.call, Verdict::Permit);
    rig.drain.order(Order { abort_poll: None, deadline: Instant::now() + Duration::from_millis(200) });
    assert_eq!(rig.drain.finish().await, 1);
    let body: serde_json::Value = serde_json::from_str(&rig.plane.seen()[0].body).unwrap();
    assert_eq!(body["resp_type"], "jsonrpc_response");
    assert_eq!(body["resp_headers"]["Content-Type"][0], "application/json");
    assert_eq!(body["resp_json"]["id"], 7);
    assert_eq!(body["resp_json"]["error"]["data"]["tunnel_failure"]["source"], "client_internal");
}

#[tokio::test]
async fn a_verdict_after_the_bound_starts_nothing_and_is_answered_with_a_failure() {
    let (events, mut wanted) = tokio::sync::mpsc::unbounded_channel();
    let rig = rig_of(lane_of_stdio(events)).await;
    rig.poll(&command(REQUEST));
    let asked = rig.heard().await;
    let [FromWorker::Ask(ask)] = asked.as_slice() else { panic!("{asked:?}") };
    rig.drain.order(Order { abort_poll: None, deadline: Instant::now() });
    let finished = tokio::spawn({
        let drain = rig.drain.clone();
        async move { drain.finish().await }
    });
    rig.drain.given_up().await;
    rig.dispatch.verdict(ask.call, Verdict::Permit);
    assert_eq!(finished.await.unwrap(), 1);
    assert!(rig.plane.seen()[0].body.contains("tunnel_failure"), "{:?}", rig.plane.seen());
    assert!(wanted.try_recv().is_err(), "a server was asked for");
}

#[tokio::test]
async fn nothing_is_said_after_the_last_word_and_all_before_it() {
    let (ours, theirs) = pair::new().unwrap();
    let broker = AsyncChannel::new(theirs).unwrap();
    let (link, uplink) = link::pair(Arc::new(AsyncChannel::new(ours).unwrap()));
    done(&link, 1, Outcome::Answered, None);
    link.tell(FromWorker::Drained { unfinished: 1 });
    done(&link, 2, Outcome::Answered, None);
    uplink.run().await.unwrap();
    let (heard, _) = broker.recv::<FromWorker>().await.unwrap().unwrap();
    let before = FromWorker::Done { call: 1, outcome: Outcome::Answered, answer: None };
    assert_eq!(heard, [before, FromWorker::Drained { unfinished: 1 }]);
}
