use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_second_delivery_is_a_duplicate_before_and_after_the_end() {
    let (mut window, now) = (Window::default(), Instant::now());
    assert_eq!(window.judge("a", now), Verdict::Permit);
    assert_eq!(window.judge("a", now), Verdict::Duplicate);
    window.finish("a", Outcome::Answered, now);
    assert_eq!(window.judge("a", now), Verdict::Duplicate);
    assert_eq!(window.judge("A", now), Verdict::Permit, "ids are compared exactly");
}

#[test]
fn what_a_dead_worker_held_or_could_not_deliver_is_in_doubt() {
    let (mut window, now) = (Window::default(), Instant::now());
    for id in ["held", "undelivered", "expired"] {
        assert_eq!(window.judge(id, now), Verdict::Permit);
    }
    window.abandon("held", now);
    window.finish("undelivered", Outcome::Undelivered, now);
    window.finish("expired", Outcome::Expired, now);
    for _ in 0..2 {
        assert_eq!(window.judge("held", now), Verdict::InDoubt);
        assert_eq!(window.judge("undelivered", now), Verdict::InDoubt);
        assert_eq!(window.judge("expired", now), Verdict::Duplicate);
    }
}

#[test]
fn an_ended_id_is_remembered_for_ten_minutes_after_its_end() {
    let (mut window, start) = (Window::default(), Instant::now());
    assert_eq!(window.judge("a", start), Verdict::Permit);
    let end = start + 300 * SECOND;
    window.finish("a", Outcome::Answered, end);
    assert_eq!(window.judge("a", end + AGE - SECOND), Verdict::Duplicate);
    assert_eq!(window.judge("a", end + AGE), Verdict::Permit);
}

#[test]
fn what_is_in_flight_is_never_forgotten() {
    let (mut window, start) = (Window::default(), Instant::now());
    assert_eq!(window.judge("long", start), Verdict::Permit);
    for n in 1..10 {
        assert_eq!(window.judge("long", start + AGE * n), Verdict::Duplicate);
    }
    for n in 0..CAPACITY + 10 {
        let id = n.to_string();
        assert_eq!(window.judge(&id, start), Verdict::Permit);
        window.finish(&id, Outcome::Answered, start);
    }
    assert_eq!(window.judge("long", start), Verdict::Duplicate);
}

#[test]
fn memory_is_bounded_and_the_oldest_go_first() {
    let (mut window, now) = (Window::default(), Instant::now());
    for n in 0..3 * CAPACITY {
        let id = n.to_string();
        assert_eq!(window.judge(&id, now), Verdict::Permit);
        window.finish(&id, Outcome::Answered, now);
    }
    assert!(window.entries.len() <= CAPACITY, "{}", window.entries.len());
    assert!(window.ring.len() <= 2 * CAPACITY + 2, "{}", window.ring.len());
    assert_eq!(window.judge(&(3 * CAPACITY - 1).to_string(), now), Verdict::Duplicate);
    assert_eq!(window.judge(&(2 * CAPACITY + 2).to_string(), now), Verdict::Duplicate);
    assert_eq!(window.judge("0", now), Verdict::Permit);
}

#[test]
fn even_a_window_full_of_calls_in_flight_ends_its_work() {
    let (mut window, now) = (Window::default(), Instant::now());
    for n in 0..CAPACITY + 3 {
        assert_eq!(window.judge(&n.to_string(), now), Verdict::Permit);
    }
    assert_eq!(window.judge("0", now), Verdict::Duplicate);
}
