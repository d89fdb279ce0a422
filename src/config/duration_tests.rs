use super::*;

#[test]
fn durations_are_those_of_go() {
    let good = [
        ("0", 0),
        ("0s", 0),
        ("30s", 30_000_000_000),
        ("1m30s", 90_000_000_000),
        ("1h2m3s4ms5us6ns", 3_723_004_005_006),
        ("500us", 500_000),
        ("5\u{b5}s", 5_000),
        ("1.5h", 5_400_000_000_000),
        (".5s", 500_000_000),
        ("5.s", 5_000_000_000),
        ("+5s", 5_000_000_000),
        ("0.1234567891s", 123_456_789),
        ("9223372036854775807ns", 9_223_372_036_854_775_807),
    ];
    for (text, nanos) in good {
        assert_eq!(parse(text), Some(Duration::from_nanos(nanos)), "{text}");
    }
    let bad = [
        "",
        "+",
        "30",
        "s",
        ".s",
        "1 s",
        " 1s",
        "1S",
        "1d",
        "1e3s",
        "-1s",
        "1s-1s",
        "9223372036854775808ns",
        "1.2.3s",
        "99999999999999999999h",
        "5é",
        "٣s",
    ];
    for text in bad {
        assert_eq!(parse(text), None, "{text}");
    }
    assert!(is_negative("-1s") && is_negative("-1m30s"));
    assert!(!is_negative("-0s") && !is_negative("1s") && !is_negative("-"));
}

#[test]
fn truth_values_are_those_of_go() {
    for text in ["1", "t", "T", "TRUE", "true", "True"] {
        assert_eq!(truth(text), Some(true));
    }
    for text in ["0", "f", "F", "FALSE", "false", "False"] {
        assert_eq!(truth(text), Some(false));
    }
    for text in ["", "yes", "on", "tRUE", " true", "2"] {
        assert_eq!(truth(text), None, "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn every_whole_number_of_seconds_is_understood(seconds in 0u64..9_223_372_036) {
        proptest::prop_assert_eq!(parse(&format!("{seconds}s")), Some(Duration::from_secs(seconds)));
        let split = format!("{}h{}m{}s", seconds / 3600, seconds / 60 % 60, seconds % 60);
        proptest::prop_assert_eq!(parse(&split), Some(Duration::from_secs(seconds)));
    }

    #[test]
    fn no_text_is_too_odd(text in "[-+.0-9a-zµ]{0,40}") {
        proptest::prop_assert!(!(parse(&text).is_some() && is_negative(&text)));
    }
}
