use std::time::UNIX_EPOCH;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::*;
use crate::config::peer::Identity;
use crate::config::types::Secret;
use crate::control::testing::worker;

/// 2025-01-01, when the certificate ends.
const END: u64 = 1_735_689_600;
const DAY: u64 = 86_400;

fn config() -> Worker {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    (params.not_before, params.not_after) = (date_time_ymd(2024, 1, 1), date_time_ymd(2025, 1, 1));
    let mut config = worker("https://127.0.0.1:9");
    config.control.peer.identity = Some(Identity {
        name: "control_plane.client_cert".into(),
        certificate: params.self_signed(&key).unwrap().pem(),
        key: Secret::new(key.serialize_pem()).into(),
        fingerprint: None,
    });
    config
}

#[test]
fn a_service_that_runs_for_long_says_once_each_that_the_end_comes_closer() {
    let config = config();
    let at = |before: u64| UNIX_EPOCH + Duration::from_secs(END - before);
    let mut expiry = Expiry { next: Instant::now(), said: look(&config, at(31 * DAY)) };
    for (before, said) in [
        (30 * DAY + 1, None),
        (30 * DAY - 1, Some("less than 30 days")),
        (8 * DAY, None),
        (6 * DAY, Some("less than 7 days")),
        (2 * DAY, None),
        (DAY / 2, Some("less than 1 day")),
        (1, None),
    ] {
        let news = expiry.look_again(&config, at(before));
        match said {
            None => assert_eq!(news, [""; 0], "{before}"),
            Some(words) => assert!(news.len() == 1 && news[0].contains(words), "{before}: {news:?}"),
        }
    }
    let over = expiry.look_again(&config, UNIX_EPOCH + Duration::from_secs(END + 1));
    assert!(over.len() == 1 && over[0].contains("the certificate expired on"), "{over:?}");
}

#[test]
fn it_looks_once_an_hour() {
    let now = Instant::now();
    let config = config();
    let mut expiry = Expiry { next: now, said: Vec::new() };
    assert_eq!(expiry.news(&config, now).len(), 1, "it has expired long ago");
    expiry.said.clear();
    assert_eq!(expiry.news(&config, now + EVERY - Duration::from_secs(1)), [""; 0]);
    assert_eq!(expiry.deadline(), now + EVERY);
    assert_eq!(expiry.news(&config, now + EVERY).len(), 1);
}
