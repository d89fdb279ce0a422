use super::*;

#[test]
fn the_wait_grows_by_half_with_up_to_its_own_length_on_top() {
    let waits = |chance| {
        let mut pace = Pace::default();
        std::iter::from_fn(move || pace.next(chance)).map(|w| w.as_millis()).collect::<Vec<_>>()
    };
    assert_eq!(waits(0), [1000, 1500, 2250, 3375, 5062]);
    // 999 of a thousand, and the same number within the longer waits.
    assert_eq!(waits(999), [1999, 2499, 3249, 4374, 6061]);
}

#[test]
fn the_servers_wish_is_bounded_both_ways() {
    for (asked, wait) in [(0, 100), (250, 250), (86_400_000, 30_000)] {
        let mut pace = Pace::default();
        pace.server_says(Duration::from_millis(asked));
        assert_eq!(pace.next(7), Some(Duration::from_millis(wait)));
    }
}

#[test]
fn five_tries_in_vain_are_enough_and_progress_counts_anew() {
    let mut pace = Pace::default();
    for _ in 0..MAX_TRIES {
        assert!(pace.next(0).is_some());
    }
    assert!(pace.next(0).is_none());
    pace.progress();
    assert_eq!(pace.next(0), Some(FIRST_WAIT));
}
