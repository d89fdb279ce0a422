use std::time::Duration;

use super::*;
use crate::ipc::msg::{About, Carried, Era, MAX_METHOD, MAX_NAME, Outcome, Trouble};

const READY: FromWorker = FromWorker::Ready { landlock: 7, filters: 3 };

fn ask(call: u64, id: &str) -> Ask {
    Ask {
        call,
        request_id: id.into(),
        shard_token: "shard".into(),
        channel: "main".into(),
        kind: CallKind::Request,
        rpc_id: Some("7".into()),
        ttl_ms: Some(1000),
        about: None,
    }
}

fn about(change: impl FnOnce(&mut About)) -> Ask {
    let mut about = About::default();
    change(&mut about);
    Ask { about: Some(Box::new(about)), ..ask(1, "a") }
}

fn nothing() -> Box<Ask> {
    Box::new(ask(0, ""))
}

struct Worker {
    permit: Permit,
    window: Window,
    now: Instant,
}

impl Worker {
    fn new() -> Self {
        let permit = Permit::new(vec![Channel::main()], 2);
        Self { permit, window: Window::default(), now: Instant::now() }
    }

    fn serving() -> Self {
        let mut worker = Self::new();
        assert_eq!(worker.says(READY), Ok(Step::Ready { landlock: 7, filters: 3 }));
        worker
    }

    fn says(&mut self, message: FromWorker) -> Result<Step, Breach> {
        // What is asked and what ended is said elsewhere.
        self.permit.accept(message, &mut self.window, self.now).map(|step| match step {
            Step::Verdict { call, verdict, .. } => Step::Verdict { call, verdict, ask: nothing() },
            Step::Done { .. } => Step::Nothing,
            step => step,
        })
    }
}

fn verdict(call: u64, verdict: Verdict) -> Result<Step, Breach> {
    Ok(Step::Verdict { call, verdict, ask: nothing() })
}

#[test]
fn a_call_is_permitted_once_and_held_until_it_is_done() {
    let mut w = Worker::serving();
    assert_eq!(w.says(FromWorker::Ask(ask(1, "a"))), verdict(1, Verdict::Permit));
    assert_eq!(w.says(FromWorker::Ask(ask(2, "a"))), verdict(2, Verdict::Duplicate));
    assert_eq!(w.permit.held().map(Held::request_id).collect::<Vec<_>>(), ["a"]);
    let done = FromWorker::Done { call: 1, outcome: Outcome::Answered, answer: None };
    assert_eq!(w.says(done.clone()), Ok(Step::Nothing));
    assert_eq!(w.permit.held().len(), 0);
    assert_eq!(w.says(done), Err(Breach::UnknownCall(1)));
}

#[test]
fn a_refused_call_has_no_end() {
    let mut w = Worker::serving();
    w.says(FromWorker::Ask(ask(1, "a"))).unwrap();
    w.says(FromWorker::Ask(ask(2, "a"))).unwrap();
    assert_eq!(
        w.says(FromWorker::Done { call: 2, outcome: Outcome::Answered, answer: None }),
        Err(Breach::UnknownCall(2))
    );
}

#[test]
fn nothing_is_legal_before_ready_or_after_drained() {
    let messages = [
        FromWorker::Ask(ask(9, "x")),
        FromWorker::Done { call: 1, outcome: Outcome::Answered, answer: None },
        FromWorker::PollOk {},
        FromWorker::PollFailing { kind: Trouble::Network, reason: String::new() },
        FromWorker::Spawn { index: 0, era: Era::Session, seen: 0 },
        FromWorker::ChildLost { index: 0, generation: 1 },
        FromWorker::Drained { unfinished: 0 },
    ];
    for message in messages {
        let mut w = Worker::new();
        assert!(matches!(w.says(message.clone()), Err(Breach::OutOfState(_))), "{message:?}");
        let mut w = Worker::serving();
        w.permit.drain();
        w.says(FromWorker::Drained { unfinished: 0 }).unwrap();
        assert!(matches!(w.says(message.clone()), Err(Breach::OutOfState(_))), "{message:?}");
        assert!(matches!(w.says(READY), Err(Breach::OutOfState(_))));
    }
}

#[test]
fn ready_comes_once_and_drained_only_when_asked_for() {
    let mut w = Worker::serving();
    assert_eq!(w.says(READY), Err(Breach::OutOfState("ready")));
    assert_eq!(w.says(FromWorker::Drained { unfinished: 0 }), Err(Breach::OutOfState("drained")));
    w.permit.drain();
    assert_eq!(w.says(FromWorker::Ask(ask(1, "late"))), verdict(1, Verdict::Permit));
    assert_eq!(w.says(FromWorker::Drained { unfinished: 3 }), Ok(Step::Drained { unfinished: 3 }));
}

#[test]
fn a_worker_told_to_drain_before_it_was_ready_drains_when_it_is() {
    let mut w = Worker::new();
    w.permit.drain();
    assert_eq!(w.says(READY), Ok(Step::Ready { landlock: 7, filters: 3 }));
    assert_eq!(w.says(FromWorker::Drained { unfinished: 0 }), Ok(Step::Drained { unfinished: 0 }));
}

#[test]
fn call_numbers_increase() {
    let mut w = Worker::serving();
    w.says(FromWorker::Ask(ask(5, "a"))).unwrap();
    for call in [5, 4, 0] {
        assert_eq!(w.says(FromWorker::Ask(ask(call, "b"))), Err(Breach::CallReused(call)));
    }
}

#[test]
fn parts_of_a_call_have_bounds() {
    let bad = [
        (Ask { request_id: String::new(), ..ask(1, "") }, Breach::BadAsk("request_id")),
        (ask(1, &"i".repeat(MAX_REQUEST_ID + 1)), Breach::BadAsk("request_id")),
        (Ask { shard_token: "s".repeat(MAX_SHARD_TOKEN + 1), ..ask(1, "a") }, Breach::BadAsk("shard_token")),
        (Ask { rpc_id: Some("1".repeat(MAX_RPC_ID + 1)), ..ask(1, "a") }, Breach::BadAsk("rpc_id")),
        (Ask { rpc_id: None, ..ask(1, "a") }, Breach::BadAsk("rpc_id")),
        (Ask { kind: CallKind::Notification, ..ask(1, "a") }, Breach::BadAsk("rpc_id")),
        (Ask { kind: CallKind::Termination, ..ask(1, "a") }, Breach::BadAsk("rpc_id")),
        (about(|about| about.method = Some("m".repeat(MAX_METHOD + 1))), Breach::BadAsk("about")),
        (about(|about| about.name = Some("n".repeat(MAX_NAME + 1))), Breach::BadAsk("about")),
        (about(|about| about.session = Some("a session id".into())), Breach::BadAsk("about")),
        (about(|about| about.arguments = Some("g".repeat(64))), Breach::BadAsk("about")),
        (about(|about| about.trace = Some("0".repeat(33))), Breach::BadAsk("about")),
        (Ask { channel: "other".into(), ..ask(1, "a") }, Breach::UnknownChannel),
        (Ask { channel: "Main".into(), ..ask(1, "a") }, Breach::UnknownChannel),
    ];
    for (ask, breach) in bad {
        let mut w = Worker::serving();
        assert_eq!(w.says(FromWorker::Ask(ask)), Err(breach));
        assert_eq!(w.permit.held().len(), 0);
    }
    let mut w = Worker::serving();
    let reason = "r".repeat(MAX_REASON + 1);
    assert_eq!(w.says(FromWorker::PollFailing { kind: Trouble::Network, reason }), Err(Breach::LongReason));
}

#[test]
fn calls_at_a_time_have_a_bound() {
    let mut w = Worker::serving();
    for call in 1..=12_000 {
        w.says(FromWorker::Ask(ask(call, &call.to_string()))).unwrap();
    }
    assert_eq!(w.says(FromWorker::Ask(ask(12_001, "more"))), Err(Breach::TooManyCalls));
}

#[test]
fn only_configured_commands_and_children_that_were_given_exist() {
    let mut w = Worker::serving();
    let era = Era::Stateless;
    assert_eq!(
        w.says(FromWorker::Spawn { index: 1, era, seen: 7 }),
        Ok(Step::Spawn { index: 1, era, seen: 7 })
    );
    assert_eq!(w.says(FromWorker::Spawn { index: 2, era, seen: 0 }), Err(Breach::UnknownCommand(2)));
    let lost = |index, generation| FromWorker::ChildLost { index, generation };
    assert_eq!(w.says(lost(0, 3)), Err(Breach::UnknownChild(0, 3)));
    assert_eq!(w.says(lost(2, 3)), Err(Breach::UnknownCommand(2)));
    w.permit.give(0, 3);
    w.permit.give(0, 5);
    for generation in 3..=5 {
        assert_eq!(w.says(lost(0, generation)), Ok(Step::ChildLost { index: 0, generation }));
    }
    assert_eq!(w.says(lost(0, 2)), Err(Breach::UnknownChild(0, 2)));
    assert_eq!(w.says(lost(0, 6)), Err(Breach::UnknownChild(0, 6)));
    assert_eq!(w.says(lost(1, 3)), Err(Breach::UnknownChild(1, 3)));
}

#[test]
fn an_orphan_has_the_time_that_is_left_and_none_when_it_is_over() {
    let mut w = Worker::serving();
    w.says(FromWorker::Ask(ask(1, "a"))).unwrap();
    w.says(FromWorker::Ask(Ask { ttl_ms: None, ..ask(2, "b") })).unwrap();
    let later = w.now + Duration::from_millis(400);
    let orphans: Vec<_> = w.permit.held().filter_map(|h| h.orphan(later)).map(|a| a.ttl_ms).collect();
    assert_eq!(orphans, [Some(600), None]);
    let too_late = w.now + Duration::from_millis(1001);
    let orphans: Vec<_> = w.permit.held().filter_map(|h| h.orphan(too_late)).map(|a| a.request_id).collect();
    assert_eq!(orphans, ["b"]);
}

#[test]
fn an_inherited_call_is_held_until_it_is_done_and_stays_in_doubt() {
    let mut w = Worker::new();
    let told: Vec<Ask> = ["a", "b"].map(|id| w.permit.inherit(ask(1, id), None, w.now)).into();
    w.window.abandon("a", w.now);
    w.says(READY).unwrap();
    let [a, b] = told.as_slice() else { panic!() };
    assert_ne!(a.call, b.call);
    assert_eq!(
        w.says(FromWorker::Done { call: a.call, outcome: Outcome::Answered, answer: None }),
        Ok(Step::Nothing)
    );
    assert_eq!(w.window.judge("a", w.now), Verdict::InDoubt);
    let reused = FromWorker::Ask(ask(b.call, "c"));
    assert_eq!(w.says(reused), Err(Breach::CallReused(b.call)));
    let left: Vec<String> = w.permit.into_held().iter().map(|h| h.request_id().to_owned()).collect();
    assert_eq!(left, ["b"], "the next worker answers for it");
}

#[test]
fn connections_are_asked_for_configured_sockets_only_and_so_many_at_a_time() {
    let mut w = Worker::serving();
    let connect = |binding, ticket| FromWorker::Connect { binding, ticket };
    assert_eq!(w.says(connect(0, 1)), Err(Breach::UnknownSocket(0)), "none is configured");
    let mut w = Worker::new();
    w.permit = Permit::new(vec![Channel::main()], 0).with_sockets([2]);
    assert_eq!(w.says(connect(2, 1)), Err(Breach::OutOfState("connect")));
    let mut w = Worker { permit: Permit::new(vec![Channel::main()], 0).with_sockets([2]), ..Worker::new() };
    w.says(FromWorker::Ready { landlock: 4, filters: 2 }).unwrap();
    assert_eq!(w.says(connect(0, 1)), Err(Breach::UnknownSocket(0)));
    assert_eq!(w.says(connect(2, 1)), Ok(Step::Connect { binding: 2, ticket: 1 }));
    assert_eq!(w.says(connect(2, 1)), Err(Breach::BadTicket(1)), "it has no answer yet");
    w.permit.answered(1);
    w.permit.drain();
    for ticket in (0..).take(MAX_TICKETS) {
        assert_eq!(w.says(connect(2, ticket)), Ok(Step::Connect { binding: 2, ticket }));
    }
    assert_eq!(w.says(connect(2, 9999)), Err(Breach::BadTicket(9999)));
}

#[test]
fn only_what_was_given_is_given_back_and_little_is_said_of_it() {
    let mut w = Worker::serving();
    let returned = |generation, carried: &Carried| FromWorker::Returned {
        index: 0,
        generation,
        era: None,
        carried: carried.clone(),
    };
    let fitting =
        Carried { retired: vec![1; MAX_RETIRED], unread: vec![0; MAX_UNREAD], ..Carried::default() };
    assert_eq!(w.says(returned(1, &fitting)), Err(Breach::UnknownChild(0, 1)));
    // A child of the other era that is older may come later.
    w.permit.give(0, 3);
    w.permit.give(0, 2);
    for generation in [2, 3] {
        assert!(matches!(w.says(returned(generation, &fitting)), Ok(Step::Returned { .. })));
    }
    let retired = Carried { retired: vec![1; MAX_RETIRED + 1], ..Carried::default() };
    let unread = Carried { unread: vec![0; MAX_UNREAD + 1], ..Carried::default() };
    for long in [retired, unread] {
        assert_eq!(w.says(returned(2, &long)), Err(Breach::LongCarried));
    }
}

#[test]
fn calls_can_be_inherited_while_others_are_in_progress() {
    let mut w = Worker::serving();
    w.says(FromWorker::Ask(ask(1, "own"))).unwrap();
    let first = w.permit.inherit(ask(9, "a"), None, w.now);
    let second = w.permit.inherit(ask(9, "b"), None, w.now);
    assert_eq!((first.call, second.call), (u64::MAX, u64::MAX - 1));
    assert_eq!(w.permit.held().len(), 3);
    assert_eq!(
        w.says(FromWorker::Done { call: u64::MAX, outcome: Outcome::Answered, answer: None }),
        Ok(Step::Nothing)
    );
    assert_eq!(w.permit.inherit(ask(9, "c"), None, w.now).call, u64::MAX - 2);
}

#[test]
fn a_call_that_may_not_be_forwarded_after_all_is_as_if_it_had_never_come() {
    let mut w = Worker::serving();
    assert_eq!(w.says(FromWorker::Ask(ask(1, "a"))), verdict(1, Verdict::Permit));
    w.permit.refuse(1, &mut w.window);
    assert_eq!(w.permit.held().len(), 0);
    let done = FromWorker::Done { call: 1, outcome: Outcome::Answered, answer: None };
    assert_eq!(w.says(done), Err(Breach::UnknownCall(1)));
    assert_eq!(w.says(FromWorker::Ask(ask(2, "a"))), verdict(2, Verdict::Permit));
}

#[test]
fn a_call_keeps_its_name_in_the_record_beyond_the_death_of_its_worker() {
    let mut w = Worker::serving();
    w.says(FromWorker::Ask(ask(1, "a"))).unwrap();
    w.permit.record(1, "name-1".into());
    let held = w.permit.held().next().unwrap().clone();
    let mut next = Worker::new();
    let orphan = next.permit.inherit(held.orphan(w.now).unwrap(), held.record().map(str::to_owned), w.now);
    let kept = next.permit.held().next().unwrap();
    assert_eq!((kept.record(), kept.was_inherited(), orphan.about), (Some("name-1"), true, None));
}

#[test]
fn the_digest_of_an_answer_is_one() {
    let mut w = Worker::serving();
    w.says(FromWorker::Ask(ask(1, "a"))).unwrap();
    let answer = Some(Answer { code: 200, bytes: 1, sha256: Some("the answer itself".into()), rule: None });
    let done = FromWorker::Done { call: 1, outcome: Outcome::Answered, answer };
    assert_eq!(w.says(done), Err(Breach::BadAnswer));
}

#[test]
fn a_call_is_overdue_from_its_deadline_on_and_never_without_one() {
    let mut w = Worker::serving();
    w.says(FromWorker::Ask(ask(1, "a"))).unwrap();
    w.says(FromWorker::Ask(Ask { ttl_ms: None, ..ask(2, "b") })).unwrap();
    let overdue = |w: &Worker, ms| {
        let at = w.now + Duration::from_millis(ms);
        w.permit.held().map(|call| call.overdue(at).as_millis()).collect::<Vec<_>>()
    };
    assert_eq!(overdue(&w, 1000), [0, 0]);
    assert_eq!(overdue(&w, 1500), [500, 0]);
}
