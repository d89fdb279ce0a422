use super::*;

fn fine() -> State<'static> {
    State { stopping: None, worker: Worker::Serving, audit_refuses: false, poll: Poll::Works }
}

fn codes(state: &State<'_>, servers: &[(&'static str, Server<'static>)]) -> Vec<&'static str> {
    judge(state, servers.iter().copied()).iter().map(|reason| reason.code).collect()
}

#[test]
fn nothing_wrong_is_ready() {
    assert_eq!(judge(&fine(), [("main", Server::Fine)].into_iter()), []);
    assert_eq!(sentence(&[]), "polling the control plane");
}

#[test]
fn every_input_alone_makes_a_reason_of_its_own_and_each_has_a_known_code() {
    let kinds = [
        Trouble::Network,
        Trouble::Unauthorized,
        Trouble::Forbidden,
        Trouble::NotFound,
        Trouble::Pin,
        Trouble::Tls,
        Trouble::Proxy,
        Trouble::Answer,
    ];
    let mut states = vec![
        State { stopping: Some("draining"), ..fine() },
        State { audit_refuses: true, ..fine() },
        State { poll: Poll::NotYet, ..fine() },
    ];
    states.extend(
        [Worker::Starting, Worker::Restarting, Worker::Spent].map(|worker| State { worker, ..fine() }),
    );
    states.extend(kinds.map(|kind| State { poll: Poll::Failing(kind, "why"), ..fine() }));
    let mut seen: Vec<&str> = states.iter().flat_map(|state| codes(state, &[])).collect();
    let servers =
        [Server::Unknown, Server::Unreachable("no"), Server::Starting, Server::Restarting, Server::Spent];
    seen.extend(servers.iter().flat_map(|server| codes(&fine(), &[("a", *server)])));
    seen.push("broker_silent");
    seen.sort_unstable();
    let mut all = CODES.to_vec();
    all.sort_unstable();
    assert_eq!(seen, all);
}

#[test]
fn all_that_is_wrong_is_listed_in_the_order_of_importance() {
    let state = State {
        stopping: Some("draining"),
        worker: Worker::Restarting,
        audit_refuses: true,
        poll: Poll::Failing(Trouble::Pin, "not the pinned key"),
    };
    let servers =
        [("a", Server::Unreachable("connection refused")), ("b", Server::Fine), ("c", Server::Spent)];
    let reasons = judge(&state, servers.into_iter());
    let places: Vec<usize> =
        reasons.iter().map(|r| CODES.iter().position(|code| *code == r.code).unwrap()).collect();
    assert_eq!(reasons.len(), 6);
    assert!(places.is_sorted(), "{reasons:?}");
    assert_eq!(sentence(&reasons), "draining");
    assert!(reasons[4].text.contains("channel a cannot be reached: connection refused"));
    assert_eq!(reasons[5].channel.as_deref(), Some("c"));
}
