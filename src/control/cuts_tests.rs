use super::*;

const WANTED: Duration = secs(30);

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A clock that polls advance.
struct Line {
    cuts: Cuts,
    now: Instant,
}

impl Line {
    fn new() -> Self {
        let mut cuts = Cuts::default();
        cuts.succeeded(secs(1));
        Self { cuts, now: Instant::now() }
    }

    fn cut(&mut self, age: Duration) -> Option<Cut> {
        self.now += age;
        self.cuts.cut(age, self.now)
    }

    fn success(&mut self, age: Duration) -> bool {
        self.now += age;
        self.cuts.succeeded(age)
    }

    fn limit(&self) -> Duration {
        self.cuts.limit(WANTED, self.now)
    }
}

#[test]
fn a_cut_is_a_failure_before_anything_worked_and_when_it_comes_early() {
    let now = Instant::now();
    let mut cuts = Cuts::default();
    assert_eq!(cuts.cut(secs(10), now), None);
    cuts.succeeded(secs(1));
    assert_eq!(cuts.cut(secs(2), now), None);
    assert_eq!(cuts.cut(secs(10), now), None, "after a failure something must work first");
    cuts.succeeded(secs(1));
    assert_eq!(cuts.cut(secs(10), now), Some(Cut::First));
    cuts.failed();
    assert_eq!(cuts.cut(secs(10), now), None);
}

#[test]
fn three_cuts_at_nearly_one_age_shorten_polls_to_four_fifths() {
    let mut line = Line::new();
    assert_eq!(line.cut(secs(10)), Some(Cut::First));
    assert_eq!(line.cut(Duration::from_millis(10_400)), Some(Cut::Again));
    assert_eq!(line.limit(), WANTED);
    assert_eq!(line.cut(Duration::from_millis(10_200)), Some(Cut::Bounded(secs(8))));
    assert_eq!(line.limit(), secs(8));
    assert_eq!(line.cuts.limit(secs(1), line.now), secs(1), "it never lengthens a poll");
}

#[test]
fn irregular_cuts_shorten_nothing() {
    let mut line = Line::new();
    for age in [10, 20, 5, 14, 28, 10, 20, 10, 20] {
        assert_eq!(line.cut(secs(age)), Some(Cut::First));
    }
    assert_eq!(line.limit(), WANTED);
}

#[test]
fn a_poll_that_lasts_ends_the_row_and_one_that_brings_commands_early_does_not() {
    let mut line = Line::new();
    line.cut(secs(10));
    line.success(secs(4));
    line.cut(secs(10));
    line.success(secs(25));
    line.cut(secs(10));
    line.cut(secs(10));
    assert_eq!(line.limit(), WANTED);
    assert_eq!(line.cut(secs(10)), Some(Cut::Bounded(secs(8))));
}

#[test]
fn no_poll_is_shortened_below_a_second() {
    assert_eq!(below(Duration::from_millis(1)), SHORTEST);
    assert_eq!(below(secs(3)), Duration::from_millis(2400));
}

#[test]
fn a_bound_that_is_too_long_is_lowered() {
    let mut line = Line::new();
    (0..3).for_each(|_| assert!(line.cut(secs(20)).is_some()));
    assert_eq!(line.limit(), secs(16));
    (0..2).for_each(|_| assert!(line.cut(secs(10)).is_some()));
    assert_eq!(line.cut(secs(10)), Some(Cut::Bounded(secs(8))));
}

#[test]
fn a_long_poll_is_tried_from_time_to_time_and_forgets_the_bound_when_it_lasts() {
    let mut line = Line::new();
    (0..3).for_each(|_| assert!(line.cut(secs(10)).is_some()));
    let mut since = line.now;
    for pause in [FIRST_TRIAL, 2 * FIRST_TRIAL, 4 * FIRST_TRIAL] {
        while line.limit() < WANTED {
            assert!(!line.success(secs(8)));
        }
        assert!((pause..pause + secs(9)).contains(&(line.now - since)), "{:?}", line.now - since);
        assert_eq!(line.cut(secs(10)), Some(Cut::Again));
        assert_eq!(line.limit(), secs(8), "at once, without two more");
        since = line.now;
    }
    while line.limit() < WANTED {
        line.success(secs(8));
    }
    assert!(!line.success(secs(2)), "commands came early: not decided");
    assert_eq!(line.limit(), WANTED);
    assert!(line.success(secs(30)));
    assert_eq!(line.limit(), WANTED);
    assert_eq!(line.cut(secs(10)), Some(Cut::First));
}
