use super::*;

#[test]
fn pauses_double_within_the_budget_and_stay_long_beyond_it() {
    let mut budget = Budget::new(&Restart::default());
    let start = Instant::now();
    let pauses: Vec<u128> = (0..5).map(|_| budget.next(start).wait.as_millis()).collect();
    assert_eq!(pauses, [200, 400, 800, 1600, 3200]);
    for n in 0..1000 {
        let pause = budget.next(start + Duration::from_secs(n));
        assert_eq!(pause, Pause { wait: Duration::from_secs(60), spent: true });
    }
    assert!(budget.starts.len() <= 5);
}

#[test]
fn quiet_time_restores_the_budget() {
    let mut budget = Budget::new(&Restart::default());
    let start = Instant::now();
    for _ in 0..9 {
        budget.next(start);
    }
    let later = start + Duration::from_secs(600);
    assert_eq!(budget.next(later), Pause { wait: Duration::from_millis(200), spent: false });
}

#[test]
fn a_budget_of_none_is_the_slow_pace_at_once() {
    let mut budget = Budget::new(&Restart { times: 0, ..Restart::default() });
    assert!(budget.next(Instant::now()).spent);
    let mut huge = Budget::new(&Restart { times: 200, ..Restart::default() });
    let now = Instant::now();
    assert!((0..200).all(|_| huge.next(now).wait <= Duration::from_secs(60)));
}
