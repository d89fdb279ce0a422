use proptest::prelude::*;

use super::*;

fn ask(text: &str) -> Option<Duration> {
    ask_at(text, SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777))
}

fn ask_at(text: &str, now: SystemTime) -> Option<Duration> {
    let mut headers = HeaderMap::new();
    headers.insert(RETRY_AFTER, text.parse().unwrap());
    retry_after(&headers, now)
}

const S: Duration = Duration::from_secs(1);

#[test]
fn case_043_waits_are_uniform_from_zero_and_the_first_is_at_most_200_ms() {
    let mut bounds = Vec::new();
    let mut backoff = Backoff::default();
    for _ in 0..9 {
        let wait = backoff.next(Class::Ordinary, None, |bound| {
            bounds.push(bound);
            0
        });
        assert_eq!(wait, Duration::ZERO, "nothing is added to what chance gives");
    }
    assert_eq!(bounds, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000]);
}

#[test]
fn a_refusal_waits_up_to_a_minute() {
    let mut backoff = Backoff::default();
    let waits: Vec<u128> =
        (0..12).map(|_| backoff.next(Class::Refused, None, |bound| bound).as_millis()).collect();
    assert_eq!(waits[..4], [200, 400, 800, 1600]);
    assert_eq!(waits[9..], [60_000; 3]);
}

#[test]
fn an_outage_without_end_does_not_overflow() {
    let mut backoff = Backoff { failures: u32::MAX };
    assert_eq!(backoff.next(Class::Ordinary, None, |bound| bound), 10 * S);
}

#[test]
fn a_success_ends_the_row_and_is_noticed_once() {
    let mut backoff = Backoff::default();
    assert!(!backoff.reset());
    backoff.next(Class::Ordinary, None, |_| 0);
    backoff.next(Class::Ordinary, None, |_| 0);
    assert!(backoff.reset());
    assert!(!backoff.reset());
    assert_eq!(backoff.next(Class::Ordinary, None, |bound| bound), Duration::from_millis(200));
}

#[test]
fn case_045_seconds_are_read() {
    assert_eq!(ask("3"), Some(3 * S));
    assert_eq!(ask(" 007 "), Some(7 * S));
}

#[test]
fn case_046_retry_after_is_capped_at_60_s() {
    assert_eq!(ask("60"), Some(60 * S));
    assert_eq!(ask("61"), Some(60 * S));
    assert_eq!(ask("3600"), Some(60 * S));
    assert_eq!(ask("Sun, 06 Nov 1994 09:49:37 GMT"), Some(60 * S));
}

#[test]
fn case_047_a_number_of_any_length_is_capped() {
    assert_eq!(ask("99999999999999999999"), Some(60 * S));
    assert_eq!(ask(&"9".repeat(5000)), Some(60 * S));
}

#[test]
fn case_049_zero_changes_nothing() {
    assert_eq!(ask("0"), Some(Duration::ZERO));
    let wait = Backoff::default().next(Class::Ordinary, Some(Duration::ZERO), |_| 150);
    assert_eq!(wait, Duration::from_millis(150));
}

#[test]
fn case_050_all_three_date_formats_are_read() {
    // 5 s before the example date of RFC 9110.
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_772);
    for date in
        ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
    {
        assert_eq!(ask_at(date, now), Some(5 * S), "{date}");
        assert_eq!(ask_at(date, now + 10 * S), None, "past: {date}");
    }
}

#[test]
fn what_is_malformed_is_ignored() {
    for text in ["", "-1", "+1", "1.5", "1s", "soon", "0x10", "Sun, 06 Nov 1994 08:49:37 CET"] {
        assert_eq!(ask(text), None, "{text}");
    }
    assert_eq!(retry_after(&HeaderMap::new(), SystemTime::now()), None);
}

#[test]
fn case_051_the_longer_of_both_waits_wins() {
    assert_eq!(Backoff::default().next(Class::Ordinary, Some(3 * S), |bound| bound), 3 * S);
    let mut backoff = Backoff { failures: 9 };
    assert_eq!(backoff.next(Class::Ordinary, Some(3 * S), |bound| bound), 10 * S);
}

proptest! {
    #[test]
    fn any_retry_after_is_survived_and_capped(text in "[ -~]{0,40}") {
        prop_assert!(ask(&text).is_none_or(|wait| wait <= 60 * S));
    }

    #[test]
    fn random_numbers_keep_their_bound(bound: u64) {
        prop_assert!(crate::control::random::up_to(bound) <= bound);
    }
}

#[test]
fn random_numbers_reach_both_ends() {
    let seen: std::collections::BTreeSet<u64> = (0..200).map(|_| crate::control::random::up_to(3)).collect();
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
}
