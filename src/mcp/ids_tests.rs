use super::*;
use proptest::prelude::*;

#[test]
fn strings_are_compared_by_what_they_say() {
    assert!(same_id(r#""a""#, r#""\u0061""#));
    assert!(same_id(r#""""#, r#""""#));
    assert!(same_id(r#""\ud83d\ude00""#, "\"😀\""));
    assert!(!same_id(r#""a""#, r#""A""#));
    assert!(!same_id(r#""a""#, r#""a ""#));
}

#[test]
fn numbers_are_compared_by_value_without_rounding() {
    for (a, b) in
        [("1e2", "100"), ("100.0", "1E+2"), ("1.50", "15e-1"), ("-0", "0.0"), ("0e9", "0"), ("0.001", "1e-3")]
    {
        assert!(same_id(a, b) && same_id(b, a), "{a} {b}");
    }
    for (a, b) in
        [("9007199254740993", "9007199254740992"), ("1", "-1"), ("1.5", "1"), ("1e400", "1e401"), ("10", "1")]
    {
        assert!(!same_id(a, b) && !same_id(b, a), "{a} {b}");
    }
}

#[test]
fn a_string_never_equals_a_number() {
    assert!(!same_id("\"1\"", "1"));
    assert!(!same_id("null", "0"));
    assert!(!same_id("true", "1"));
}

#[test]
fn an_absurd_exponent_equals_only_its_own_spelling() {
    let absurd = format!("1e{}", "9".repeat(40));
    assert!(same_id(&absurd, &absurd));
    assert!(!same_id(&absurd, "1"));
    assert_eq!(whole(&absurd), None);
    assert_eq!(whole("1e999999999"), None);
}

#[test]
fn whole_numbers_are_read_in_every_spelling() {
    for (raw, value) in [("7", 7), ("7.0", 7), ("70e-1", 7), ("7e0", 7), ("1e2", 100), ("0.0", 0), (" 7 ", 7)]
    {
        assert_eq!(whole(raw), Some(value), "{raw}");
    }
    assert_eq!(whole("18446744073709551615"), Some(u64::MAX));
    for raw in ["-7", "7.5", "\"7\"", "+7", "18446744073709551616", "", "null", "7x", "1e"] {
        assert_eq!(whole(raw), None, "{raw}");
    }
}

proptest! {
    #[test]
    fn shifting_the_point_changes_nothing(digits in "[1-9][0-9]{0,30}", shift in 0_i64..40, negative in any::<bool>()) {
        let sign = if negative { "-" } else { "" };
        let plain = format!("{sign}{digits}");
        let zeros = "0".repeat(usize::try_from(shift).unwrap());
        let (longer, shifted) = (format!("{sign}{digits}{zeros}e-{shift}"), format!("{sign}0.{digits}e{}", digits.len()));
        prop_assert!(same_id(&plain, &longer));
        prop_assert!(same_id(&plain, &shifted));
    }

    #[test]
    fn different_integers_differ(a in any::<u64>(), b in any::<u64>()) {
        prop_assert_eq!(same_id(&a.to_string(), &b.to_string()), a == b);
        prop_assert_eq!(whole(&format!("{a}.0")), Some(a));
    }

    #[test]
    fn any_text_is_survived(a in "\\PC{0,20}", b in "[-0-9.eE+]{0,12}") {
        let _ = (same_id(&a, &b), same_id(&b, &a), whole(&a), whole(&b));
    }
}
