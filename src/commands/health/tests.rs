use super::*;

#[test]
fn nothing_that_a_terminal_obeys_is_printed() {
    assert_eq!(plain("a\u{1b}[2J\u{9b}31m\u{202e}b"), "a\\u{1b}[2J\\u{9b}31m\\u{202e}b");
    assert_eq!(plain("Grüße, 世界"), "Grüße, 世界");
    let value = serde_json::json!({"a": "\u{1b}\u{7f}\u{9b}\u{2066}\n"});
    for text in [json(&value, true), json(&value, false)] {
        assert!(!text.replace('\n', "").chars().any(misleads), "{text:?}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
