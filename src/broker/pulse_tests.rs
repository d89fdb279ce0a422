use super::*;
use crate::broker::service::tests::House;
use crate::broker::testing::shell;

fn wedged(pulse: &Pulse, overdue: &[Duration], now: Instant) -> Option<&'static str> {
    pulse.wedged(overdue.iter().copied(), now)
}

const MS: Duration = Duration::from_millis(1);

#[test]
fn a_loop_is_wedged_when_it_is_later_than_it_announced_and_not_before() {
    let now = Instant::now();
    let mut pulse = Pulse::new(now);
    let due = BEAT_EVERY + PATIENCE;
    assert_eq!(wedged(&pulse, &[], now + due), None);
    assert_eq!(wedged(&pulse, &[], now + due + MS), Some("its event loop does not move"));
    pulse.beat(PATIENCE, now + due);
    assert_eq!(wedged(&pulse, &[], now + due + due), None);
    pulse.beat(PATIENCE + MS, now + due);
    assert_eq!(wedged(&pulse, &[], now + due), Some("its poll loop does not move"));
    pulse.excuse(now + due);
    assert_eq!(wedged(&pulse, &[], now + due), None);
}

#[test]
fn a_call_may_take_as_long_as_it_has_and_a_little_for_its_end() {
    let now = Instant::now();
    let pulse = Pulse::new(now);
    assert_eq!(wedged(&pulse, &[Duration::ZERO, PATIENCE], now), None);
    let why = "a call does not end although its deadline has passed";
    assert_eq!(wedged(&pulse, &[Duration::ZERO, PATIENCE + MS], now), Some(why));
}

#[test]
fn a_wedged_worker_is_killed_and_replaced() {
    for (part, reason) in [
        ("late", "its poll loop does not move"),
        ("overdue", "a call does not end although its deadline has passed"),
        ("wedged", "its event loop does not move"),
    ] {
        let mut house = House::start(part, vec![shell("exec cat")]);
        house.until("worker started", 2);
        let log = house.log();
        let killed: Vec<_> = log.iter().filter(|l| l.contains("killing the worker")).collect();
        assert!(killed.len() == 1 && killed[0].contains(reason), "{part}: {log:#?}");
        assert!(log.iter().any(|l| l.contains("worker died") && l.contains("signal=9")), "{part}: {log:#?}");
    }
}
