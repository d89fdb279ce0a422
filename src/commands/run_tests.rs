use super::*;

fn env(stream: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("JOURNAL_STREAM".to_owned(), stream.to_owned())])
}

#[test]
fn the_journal_is_recognised_by_its_stream_and_not_by_an_inherited_variable() {
    assert!(is_journal(&env("8:4711"), Some("8:4711")));
    for stream in ["8:4712", "9:4711", "8:47", "", "1", " 8:4711"] {
        assert!(!is_journal(&env(stream), Some("8:4711")), "{stream:?}");
    }
    assert!(!is_journal(&env("8:4711"), None), "stderr is closed");
    assert!(!is_journal(&BTreeMap::new(), Some("8:4711")));
}
