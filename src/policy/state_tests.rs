use http::HeaderMap;

use super::*;
use crate::policy::{Call, load};

const TEXT: &str = r#"{"version":1,"limits":{"calls_per_minute":4,"in_flight":3},"rules":[
    {"id":"few","tools":["a","b"],"limits":{"calls_per_minute":2,"in_flight":1}},
    {"id":"notes","methods":["ping","notifications/x"]}]}"#;

struct Rig {
    policy: Policy,
    state: State,
}

impl Rig {
    fn new() -> Self {
        Self { policy: load(TEXT, None).unwrap(), state: State::default() }
    }

    fn admit(&mut self, channel: &str, body: &str, now: u64) -> Result<Ticket, String> {
        let headers = HeaderMap::new();
        let call = Call { channel, body: body.as_bytes(), headers: &headers };
        let decision = self.policy.decide(&call);
        assert!(decision.allowed);
        self.state.admit(&self.policy, channel, &decision, now).map_err(|(rule, _)| rule.to_owned())
    }
}

const A: &str = r#"{"id":1,"method":"tools/call","params":{"name":"a"}}"#;
const B: &str = r#"{"id":1,"method":"tools/call","params":{"name":"b"}}"#;
const PING: &str = r#"{"id":1,"method":"ping"}"#;
const NOTE: &str = r#"{"method":"notifications/x"}"#;

#[test]
fn calls_at_a_time_are_bounded_for_each_name_and_for_the_channel() {
    let mut rig = Rig::new();
    let first = rig.admit("main", A, 0).unwrap();
    assert_eq!(rig.admit("main", A, 0).unwrap_err(), "few");
    let _b = rig.admit("main", B, 0).unwrap();
    let ping = rig.admit("main", PING, 0).unwrap();
    assert_eq!(rig.admit("main", PING, 0).unwrap_err(), "limits.in-flight");
    // Another channel counts for itself, and notifications do not count.
    let _other = rig.admit("other", A, 0).unwrap();
    let _note = rig.admit("main", NOTE, 0).unwrap();
    rig.state.release(ping);
    rig.state.release(first);
    let _again = rig.admit("main", A, 0).unwrap();
}

#[test]
fn no_minute_has_more_calls_than_allowed() {
    let mut rig = Rig::new();
    let mut at = |body: &str, now| match rig.admit("main", body, now) {
        Ok(ticket) => {
            rig.state.release(ticket);
            "ok".to_owned()
        }
        Err(rule) => rule,
    };
    assert_eq!(at(A, 0), "ok");
    assert_eq!(at(A, 30_000), "ok");
    assert_eq!(at(A, 59_999), "few");
    assert_eq!(at(A, 60_000), "ok");
    assert_eq!(at(A, 89_999), "few");
    assert_eq!(at(PING, 89_000), "ok");
    assert_eq!(at(PING, 89_000), "ok");
    assert_eq!(at(PING, 89_000), "limits.calls-per-minute");
    assert_eq!(at(PING, 90_000), "ok");
}
