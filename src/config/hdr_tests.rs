use super::*;

#[test]
fn names_are_tokens_and_values_have_no_control_bytes() {
    for name in ["X-A", "a", "x_y.z", "!#$%&'*+-.^_`|~"] {
        assert!(is_name(name), "{name}");
    }
    for name in ["", "X A", "a:", "é", "a\r", "(a)"] {
        assert!(!is_name(name), "{name}");
    }
    assert!(is_value("a\tb é ~") && is_value(""));
    for value in ["a\r\nb", "\n", "\0", "\x7f"] {
        assert!(!is_value(value), "{value:?}");
    }
}

#[test]
fn lines_are_split_at_the_first_colon() {
    assert_eq!(split(" X-A : b:c "), Some(("X-A", "b:c")));
    assert_eq!(split("X-A:"), Some(("X-A", "")));
    assert_eq!(split("X-A"), None);
    assert_eq!(split(": v"), None);
}

#[test]
fn reserved_and_framing_names_are_known_in_any_case() {
    assert!(is_reserved("AUTHORIZATION") && is_reserved("x-tunnel-client-version"));
    assert!(!is_reserved("OpenAI-Organization") && !is_reserved("X-Tunnel-Client-Wire-Protocol-Version"));
    assert!(is_framing("Transfer-Encoding") && !is_framing("X-A"));
}
