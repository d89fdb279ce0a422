use super::*;
use crate::control::testing::{Lines, Plane, Step, answer, client_of, logged, worker};
use crate::net;

const SECOND: Duration = Duration::from_secs(1);
const ELEMENT: &str = r#"{"request_id":"r","shard_token":"s","command_type":"oauth_discovery"}"#;

async fn poller(script: Vec<Vec<Step>>) -> (Plane, Poller, Lines) {
    let plane = Plane::start(script).await;
    let (client, lines) = client_of(&worker(&plane.origin));
    (plane, Poller::new(client), lines)
}

fn failed(turn: Turn) -> Trouble {
    match turn {
        Turn::Failed(trouble) => trouble,
        other => panic!("{other:?}"),
    }
}

fn commands(turn: Turn) -> usize {
    match turn {
        Turn::Batch(polled) => polled.batch.items.len(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn case_037_no_content_is_success_without_a_wait() {
    let body = format!("{{\"commands\":[{ELEMENT}]}}");
    let (_plane, mut poller, lines) = poller(vec![answer(204, "", ""), answer(200, "", &body)]).await;
    assert_eq!(commands(poller.next(5, SECOND, None).await), 0);
    assert_eq!(commands(poller.next(5, SECOND, None).await), 1);
    assert!(logged(&lines, "backing off").is_empty() && logged(&lines, "recovered").is_empty());
}

#[tokio::test]
async fn case_043_a_failure_is_waited_out_and_the_recovery_is_logged_once() {
    let script =
        vec![answer(500, "x-request-id: req_9\r\n", "oops"), answer(200, "", "{}"), answer(204, "", "")];
    let (_plane, mut poller, lines) = poller(script).await;
    let trouble = failed(poller.next(5, SECOND, None).await);
    assert!(trouble.wait <= Duration::from_millis(200));
    assert_eq!(
        (trouble.class, trouble.reason.as_str()),
        (Class::Status, "poll failed: 500 Internal Server Error: oops")
    );
    commands(poller.next(5, SECOND, None).await);
    commands(poller.next(5, SECOND, None).await);
    assert_eq!(logged(&lines, "poller recovered; polling operational").len(), 1);
    let line = &logged(&lines, "poll failed; backing off")[0];
    for part in
        ["level=WARN", "retry_in_ms=", "tunnel_request_id=req_9", "status_code=500", "error_message=oops"]
    {
        assert!(line.contains(part), "{part}: {line}");
    }
}

#[tokio::test]
async fn case_045_retry_after_is_waited_for() {
    let (_plane, mut poller, _) = poller(vec![answer(429, "retry-after: 3\r\n", "")]).await;
    assert_eq!(failed(poller.next(5, SECOND, None).await).wait, 3 * SECOND);
}

#[tokio::test]
async fn case_053_code_and_mitigation_are_logged() {
    let body = r#"{"error":{"message":"no","code":"tunnel_use_forbidden"}}"#;
    let (_plane, mut poller, lines) = poller(vec![answer(403, "", body)]).await;
    assert_eq!(failed(poller.next(5, SECOND, None).await).class, Class::Refused);
    let line = &logged(&lines, "poll failed; backing off")[0];
    for part in
        ["error_code=tunnel_use_forbidden", "mitigation=\"use a key", "tunnel_request_id=missing_request_id"]
    {
        assert!(line.contains(part), "{part}: {line}");
    }
}

#[tokio::test]
async fn case_054_no_status_ends_the_polling() {
    let script = [404, 401, 400, 410].map(|code| answer(code, "", "")).into();
    let (_plane, mut poller, _) = poller(script).await;
    let mut classes = Vec::new();
    for _ in 0..4 {
        classes.push(failed(poller.next(5, SECOND, None).await).class);
    }
    assert_eq!(classes, [Class::Status, Class::Refused, Class::Status, Class::Status]);
    commands(poller.next(5, SECOND, None).await);
}

#[tokio::test]
async fn case_059_a_timeout_is_logged_as_one_and_the_next_poll_occurs() {
    let plane = Plane::start(vec![vec![Step::Wait(10 * SECOND)]]).await;
    let mut config = worker(&plane.origin);
    config.control.poll_guardrail = Duration::from_millis(50);
    let (client, lines) = client_of(&config);
    let mut poller = Poller::new(client);
    assert_eq!(failed(poller.next(5, Duration::from_millis(50), None).await).class, Class::Timeout);
    let line = &logged(&lines, "poll timed out; backing off")[0];
    assert!(line.contains("poll_timeout_ms=50") && line.contains("poll_deadline_ms=100"), "{line}");
    commands(poller.next(5, SECOND, None).await);
}

#[tokio::test]
async fn a_refusal_is_waited_out_longer_than_an_outage() {
    for (code, refused) in [(401, true), (403, true), (500, false)] {
        let (_plane, mut poller, _) = poller(vec![answer(code, "", ""); 24]).await;
        let mut longest = Duration::ZERO;
        for _ in 0..24 {
            longest = longest.max(failed(poller.next(5, SECOND, None).await).wait);
        }
        // Seventeen of them have a bound of 25 to 60 s.
        assert_eq!(longest > 10 * SECOND, refused, "{code}: {longest:?}");
        assert!(longest <= 60 * SECOND);
    }
}

#[tokio::test]
async fn a_connection_that_is_closed_or_refused_is_a_failure() {
    let (plane, mut poller, _) = poller(vec![vec![Step::Close]]).await;
    let trouble = failed(poller.next(5, SECOND, None).await);
    assert_eq!(trouble.class, Class::Transport);
    assert!(!trouble.reason.contains(&plane.origin), "{}", trouble.reason);
}

#[tokio::test]
async fn a_body_that_is_cut_off_gives_its_complete_commands_and_is_a_failure() {
    let cut = format!("HTTP/1.1 200 X\r\ncontent-length: 900\r\n\r\n{{\"commands\":[{ELEMENT},{{\"req");
    let (_plane, mut poller, lines) = poller(vec![vec![Step::Send(cut.into()), Step::Close]]).await;
    let trouble = failed(poller.next(5, SECOND, None).await);
    assert_eq!(trouble.class, Class::Body);
    assert_eq!(trouble.rescued.unwrap().batch.items.len(), 1);
    assert!(logged(&lines, "poll failed; backing off")[0].contains("commands_rescued=1"));
}

#[tokio::test]
async fn a_body_that_is_not_json_is_a_failure() {
    let (_plane, mut poller, _) = poller(vec![answer(200, "", "<html>")]).await;
    let trouble = failed(poller.next(5, SECOND, None).await);
    assert!(trouble.class == Class::Body && trouble.rescued.is_none());
}

#[tokio::test]
async fn case_039_more_commands_than_asked_for_are_an_error_line_and_all_there() {
    let body = format!("{{\"commands\":[{}]}}", [ELEMENT; 3].join(","));
    let (_plane, mut poller, lines) = poller(vec![answer(200, "", &body)]).await;
    assert_eq!(commands(poller.next(2, SECOND, None).await), 3);
    assert!(logged(&lines, "more commands than asked for")[0].contains("level=ERROR"));
}

#[test]
fn a_reason_is_bounded() {
    let error = super::super::api_error::ApiError::read(
        http::StatusCode::BAD_GATEWAY,
        &http::HeaderMap::new(),
        "é".repeat(3000).as_bytes(),
        std::time::SystemTime::now(),
    );
    let text = reason(&Failure::Status(Box::new(error)));
    assert!(text.len() <= 512 && text.len() > 500);
}

#[tokio::test]
async fn a_key_that_is_not_pinned_is_told_as_such_and_waited_for_up_to_a_minute() {
    let (_plane, mut poller, lines) = poller(Vec::new()).await;
    let failure = Failure::Transport(net::Error::unsent(net::Phase::Tls, net::Cause::Pin, "x"));
    let mut longest = Duration::ZERO;
    for _ in 0..200 {
        let trouble = failed(poller.failed(&failure, SECOND, None));
        assert_eq!(trouble.class, Class::Pin);
        assert_eq!(trouble.reason, "the control plane's key is not one of the pinned ones");
        longest = longest.max(trouble.wait);
    }
    assert!(longest > 30 * SECOND && longest <= 60 * SECOND, "{longest:?}");
    assert!(!logged(&lines, "not one of the pinned ones").is_empty());
}

/// A poll that is not answered within `seconds`, and then never.
fn cut_after(seconds: u64) -> Vec<Step> {
    vec![Step::Wait(Duration::from_secs(seconds)), Step::Close]
}

#[tokio::test(start_paused = true)]
async fn polls_that_are_cut_off_are_sent_again_at_once_and_shortened_when_that_is_regular() {
    let script = vec![answer(204, "", ""), cut_after(10), cut_after(10), cut_after(10), answer(204, "", "")];
    let (plane, mut poller, lines) = poller(script).await;
    commands(poller.next(5, 30 * SECOND, None).await);
    for _ in 0..3 {
        assert!(matches!(poller.next(5, 30 * SECOND, None).await, Turn::Cut));
    }
    commands(poller.next(5, 30 * SECOND, None).await);
    let asked: Vec<bool> = plane.seen().iter().map(|s| s.head.contains("timeout_ms=30000")).collect();
    assert_eq!(asked, [true, true, true, true, false]);
    let last: u64 =
        plane.seen()[4].head.split("timeout_ms=").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!((7900..=8300).contains(&last), "{last}");
    assert!(logged(&lines, "level=WARN").is_empty() && logged(&lines, "recovered").is_empty());
    assert_eq!(logged(&lines, "poll was cut off on the way; polling again at once").len(), 1);
    assert_eq!(logged(&lines, "polls are cut off regularly; asking for shorter ones").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_before_anything_worked_or_early_is_a_failure() {
    let script = vec![cut_after(10), answer(204, "", ""), cut_after(1), cut_after(10)];
    let (_plane, mut poller, _) = poller(script).await;
    assert_eq!(failed(poller.next(5, SECOND * 30, None).await).class, Class::Transport);
    commands(poller.next(5, SECOND * 30, None).await);
    assert_eq!(failed(poller.next(5, SECOND * 30, None).await).class, Class::Transport);
    assert_eq!(failed(poller.next(5, SECOND * 30, None).await).class, Class::Transport);
}
