use super::*;

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
