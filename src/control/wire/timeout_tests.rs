use super::*;

#[test]
fn case_091_zero_is_a_timeout_that_has_passed() {
    assert_eq!(parse("0s"), Some(Duration::ZERO));
}

#[test]
fn case_093_an_overflow_is_no_timeout() {
    assert_eq!(parse("9223372036854775807ns"), Some(Duration::from_nanos(9_223_372_036_854_775_807)));
    for text in ["9223372036854775808ns", "99999999999999999999s", "2562048h", "18446744073709551616ns"] {
        assert_eq!(parse(text), None, "{text}");
    }
}

#[test]
fn case_094_units_and_leading_zeros_are_read() {
    let ms = Duration::from_millis;
    for (text, expected) in [
        ("100us", Duration::from_micros(100)),
        ("5ms", ms(5)),
        ("1h", ms(3_600_000)),
        ("0010s", ms(10_000)),
        ("2m", ms(120_000)),
        ("7ns", Duration::from_nanos(7)),
        ("000000000000000000000000030s", ms(30_000)),
    ] {
        assert_eq!(parse(text), Some(expected), "{text}");
    }
}

#[test]
fn other_timeouts_are_ignored() {
    for text in
        ["", "s", "5", "-5s", "+5s", "1.5s", " 5s", "5s ", "5 s", "1m30s", "1e3s", "1d", "5S", "5MS", "٥s"]
    {
        assert_eq!(parse(text), None, "{text}");
    }
}
