use super::*;

#[test]
fn counts_are_cumulative_and_the_last_bucket_has_all() {
    let mut times = Histogram::default();
    for ms in [1, 2, 3, 100, 70_000] {
        times.add(Duration::from_millis(ms));
    }
    let mut text = String::new();
    times.write(&mut text, "x_seconds", "a=\"b\"", Unit::Seconds);
    for line in [
        "x_seconds_bucket{a=\"b\",le=\"0.001\"} 1",
        "x_seconds_bucket{a=\"b\",le=\"0.005\"} 3",
        "x_seconds_bucket{a=\"b\",le=\"60\"} 4",
        "x_seconds_bucket{a=\"b\",le=\"+Inf\"} 5",
        "x_seconds_sum{a=\"b\"} 70.106",
        "x_seconds_count{a=\"b\"} 5",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} in {text}");
    }
    let mut text = String::new();
    times.write(&mut text, "x_milliseconds", "", Unit::Milliseconds);
    assert!(
        text.contains("x_milliseconds_bucket{le=\"250\"} 4\n") && text.contains("x_milliseconds_count 5")
    );
}

#[test]
fn percentiles_name_the_bound_that_holds_them() {
    let mut times = Histogram::default();
    assert_eq!(times.percentile(50), None);
    (0..98).for_each(|_| times.add(Duration::from_millis(4)));
    times.add(Duration::from_millis(40));
    times.add(Duration::from_secs(100));
    assert_eq!((times.percentile(50), times.percentile(99)), (Some(5), Some(50)));
    assert_eq!(times.percentile(100), None);
}
