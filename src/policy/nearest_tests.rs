use super::*;

#[test]
fn distances() {
    assert_eq!(distance("", "abc"), 3);
    assert_eq!(distance("levle", "level"), 1);
    assert_eq!(distance("lvl", "level"), 2);
    assert_eq!(distance("ca", "abc"), 3);
    assert_eq!(distance("same", "same"), 0);
}

#[test]
fn only_what_is_near_is_meant() {
    assert_eq!(nearest("levle", ["file", "level"]), Some("level"));
    assert_eq!(nearest("colour", ["file", "format", "level"]), None);
    // Half of a short word is another word.
    assert_eq!(nearest("abc", ["xyc"]), None);
    assert_eq!(nearest("x", []), None);
}
