use std::cmp::Ordering::{Equal, Greater, Less};

use super::*;

#[test]
fn numbers_compare_by_what_they_say() {
    for (a, b, order) in [
        ("1", "1.0", Equal),
        ("0", "-0.0e9", Equal),
        ("100", "1e2", Equal),
        ("0.001", "1e-3", Equal),
        ("9007199254740993", "9007199254740992", Greater),
        ("-2", "1", Less),
        ("-2", "-1", Less),
        ("12", "9", Greater),
        ("0.12", "0.9", Less),
        ("1e10", "9999999999", Greater),
        ("123.450", "123.45", Equal),
    ] {
        assert_eq!(orders(a, b).map(|(exact, _)| exact), Some(order), "{a} {b}");
        assert_eq!(same(a, b), order == Equal, "{a} {b}");
    }
    assert_eq!(orders("9007199254740993", "9007199254740992"), Some((Greater, Equal)));
    assert_eq!(orders("1", "1e1234567"), None);
}

#[test]
fn integers_are_those_without_a_fraction_however_written() {
    for raw in ["0", "-0.0", "7", "1.0", "1e3", "120e-1", "123456789012345678901234567890", "0e5"] {
        assert!(is_integer(raw), "{raw}");
    }
    for raw in ["0.5", "1e-1", "12e-1", "1e-400", "1e1234567"] {
        assert!(!is_integer(raw), "{raw}");
    }
    assert!(is_finite("1e308") && !is_finite("1e309") && !is_finite("1e9999999"));
}
