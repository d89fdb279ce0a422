use std::time::{Duration, SystemTime};

use http::header::{DATE, HeaderMap, HeaderValue};

use super::PeerClock;
use crate::net::{Cause, Error, Phase};

fn told(clock: &PeerClock) -> String {
    clock.explain(Error::unsent(Phase::Tls, Cause::Tls, "it is too early")).to_string()
}

#[test]
fn what_a_peer_said_of_the_time_is_told() {
    let clock = PeerClock::default();
    assert_eq!(told(&clock), "it is too early");
    let mut headers = HeaderMap::new();
    clock.note(&headers);
    headers.insert(DATE, HeaderValue::from_static("yesterday"));
    clock.note(&headers);
    assert_eq!(told(&clock), "it is too early");
    for (shift, side) in [(7200, "ahead of"), (-7200, "behind")] {
        let now = SystemTime::now();
        let theirs =
            if shift > 0 { now + Duration::from_secs(7200) } else { now - Duration::from_secs(7200) };
        headers.insert(DATE, HeaderValue::from_str(&httpdate::fmt_http_date(theirs)).unwrap());
        clock.note(&headers);
        let text = told(&clock);
        // A date has whole seconds, and the clock went on.
        let near = (7198..=7202).any(|n| {
            text == format!("it is too early; the peer's clock was {n} s {side} ours when it last answered")
        });
        assert!(near, "{text}");
    }
}
