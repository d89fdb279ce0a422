use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn texts(body: &str) -> (Vec<&str>, Option<&'static str>) {
    let scan = scan(body.as_bytes());
    (scan.elements.iter().map(|e| &body[e.range.clone()]).collect(), scan.broken)
}

#[test]
fn elements_are_split_at_their_own_brackets() {
    let body =
        r#" { "x" : [ {"commands":[9]} ] , "commands" : [ {"a":"]}\"\\"} , [1,[2]] ,3, "s,]" ] , "y":{} } "#;
    assert_eq!(texts(body), (vec![r#"{"a":"]}\"\\"}"#, "[1,[2]]", "3", r#""s,]""#], None));
}

#[test]
fn case_038_no_commands_in_any_spelling_is_success() {
    for body in ["{}", r#"{"commands":[]}"#, r#"{"commands": [ ] }"#, r#"{"commands":null}"#, r#"{"x":1}"#] {
        assert_eq!(texts(body), (vec![], None), "{body}");
    }
}

#[test]
fn the_name_of_the_array_is_found_in_any_case_and_with_escapes() {
    for key in ["commands", "COMMANDS", "Commands", "\\u0063ommands", "\\u0043OMMANDS"] {
        assert_eq!(texts(&format!("{{\"{key}\":[1]}}")).0, ["1"], "{key}");
    }
    assert_eq!(texts(r#"{"command":[1],"commandsx":[2]}"#), (vec![], None));
}

#[test]
fn what_is_not_an_object_with_an_array_is_broken() {
    for body in
        ["", " ", "[]", "null", "{", "{]", r#"{"commands":{}}"#, r#"{"commands":7}"#, r#"{"commands":"x"}"#]
    {
        assert!(texts(body).1.is_some(), "{body:?}");
    }
    assert_eq!(texts(r#"{"commands":[1]} x"#), (vec!["1"], Some("text follows the body's object")));
}

#[test]
fn a_second_array_is_not_taken() {
    assert_eq!(texts(r#"{"commands":[1],"Commands":[2]}"#), (vec!["1"], Some("commands occurs twice")));
}

#[test]
fn mismatched_brackets_cost_only_their_element() {
    assert_eq!(texts(r#"{"commands":[{"a":[},{"b":1}]}"#), (vec![r#"{"a":[}"#, r#"{"b":1}"#], None));
    assert_eq!(texts(r#"{"commands":[{"a":1,[2]]}"#).0, [r#"{"a":1,[2]"#]);
    assert_eq!(texts(r#"{"commands":[,1,]}"#).0, ["", "1", ""]);
}

#[test]
fn depth_is_counted_without_recursion() {
    let nested = |n: usize| format!("{{\"commands\":[{}{},7]}}", "[".repeat(n), "]".repeat(n));
    for (depth, deep) in [(129, false), (130, true), (300_000, true)] {
        let scan = scan(nested(depth).as_bytes());
        assert_eq!((scan.elements.len(), scan.broken), (2, None), "{depth}");
        assert_eq!((scan.elements[0].deep, scan.elements[1].deep), (deep, false), "{depth}");
    }
}

#[test]
fn elements_are_counted() {
    let of = |n: usize| format!("{{\"commands\":[{}]}}", vec!["{}"; n].join(","));
    assert_eq!((scan(of(1024).as_bytes()).elements.len(), scan(of(1024).as_bytes()).broken), (1024, None));
    let scan = scan(of(1025).as_bytes());
    assert_eq!(scan.elements.len(), 1024);
    assert!(scan.broken.is_some());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[\\PC\"\\\\{}\\[\\],:]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[\\PC\"\\\\{}\\[\\]]{0,6}", inner, 0..6)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_are_survived(body: Vec<u8>) {
        let _ = scan(&body);
    }

    #[test]
    fn any_soup_of_brackets_is_survived(soup in "[\\[\\]{}\",:\\\\ a1]{0,200}") {
        let body = format!("{{\"commands\":[{soup}");
        for element in scan(body.as_bytes()).elements {
            prop_assert!(body.get(element.range).is_some());
        }
    }

    #[test]
    fn what_serde_json_splits_is_split_alike(
        before in any_json(),
        elements in prop::collection::vec(any_json(), 0..8),
        pretty: bool,
    ) {
        let whole = json!({"before": before, "commands": elements, "later": [1, {"commands": [0]}]});
        let body = if pretty { serde_json::to_string_pretty(&whole) } else { serde_json::to_string(&whole) }.unwrap();
        let found = scan(body.as_bytes());
        prop_assert_eq!(found.broken, None);
        let read: Vec<Value> =
            found.elements.iter().map(|e| serde_json::from_str(&body[e.range.clone()]).unwrap()).collect();
        prop_assert_eq!(read, elements);
    }

    #[test]
    fn a_cut_body_keeps_its_complete_elements(
        elements in prop::collection::vec(any_json(), 1..6),
        cut in 0usize..1000,
    ) {
        let body = serde_json::to_string(&json!({"commands": elements})).unwrap();
        let end = body.len() * cut / 1000;
        let whole = scan(body.as_bytes()).elements;
        let part = scan(&body.as_bytes()[..end]);
        prop_assert!(part.broken.is_some());
        // An element is certainly complete once the byte behind it has arrived.
        let complete: Vec<_> = whole.iter().filter(|e| e.range.end < end).cloned().collect();
        prop_assert!(part.elements.starts_with(&complete));
        prop_assert!(whole.starts_with(&part.elements));
    }
}
