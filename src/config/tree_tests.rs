use super::*;

fn text(node: &Node) -> &str {
    match &node.value {
        Value::Text(text) => text.expose(),
        other => panic!("{} instead of a text", other.kind()),
    }
}

fn entries(node: &Node) -> &[(String, Node)] {
    match &node.value {
        Value::Map(entries) => entries,
        other => panic!("{} instead of a map", other.kind()),
    }
}

#[test]
fn scalars_keep_the_spelling_of_the_file() {
    let written =
        ["1.10", "007", "0x14", "yes", "True", "1e3", "30s", "-5", "~x", "1_000", "9007199254740993"];
    for spelling in written {
        for yaml in [
            format!("k: {spelling}\n"),
            format!("ü: é\nk:   {spelling} # c\n"),
            format!("{{\"k\": {spelling}}}"),
        ] {
            let root = parse(&yaml).unwrap();
            assert_eq!(text(&entries(&root).last().unwrap().1), spelling, "{yaml}");
        }
    }
    let root = parse("a: &x 1.10\nb: *x\nc: \"1.10\"\nd: !!str 1.10\n").unwrap();
    for (_, node) in entries(&root) {
        assert_eq!(text(node), "1.10");
    }
}

#[test]
fn nodes_know_their_line() {
    let root = parse("a: 1\nb:\n  - x\n  - y: z\n").unwrap();
    let [a, b] = entries(&root) else { panic!() };
    assert_eq!((a.1.line, b.1.line), (1, 3));
    let Value::List(items) = &b.1.value else { panic!() };
    assert_eq!((items[0].line, items[1].line), (3, 4));
}

#[test]
fn an_empty_text_is_nothing() {
    for empty in ["", "\n", "# only a comment\n", "---\n", "~", "null\n"] {
        assert!(matches!(parse(empty).unwrap().value, Value::Null), "{empty:?}");
    }
}

#[test]
fn repeated_keys_are_kept_for_the_caller_to_report() {
    assert_eq!(entries(&parse("a: 1\na: 2\n").unwrap()).len(), 2);
}

#[test]
fn merge_keys_are_expanded() {
    let root = parse("base: &b {x: 1}\nuse:\n  <<: *b\n  y: 2\n").unwrap();
    assert_eq!(entries(&entries(&root)[1].1).len(), 2);
}

#[test]
fn errors_have_a_position_and_no_text_of_the_file() {
    let error = parse("a: 1\nb: \"sk-secret\n").unwrap_err();
    assert!(error.line >= 2, "{error:?}");
    assert!(!error.why.contains("sk-secret"));
    let error = parse("a: 1\n---\nb: 2\n").unwrap_err();
    assert_eq!(error.why, "more than one document; a profile is a single document");
    let error = parse("a: [1, 2\n").unwrap_err();
    assert_eq!(error.why, "not valid YAML");
    assert_eq!(parse("a: *nowhere\n").unwrap_err().line, 1);
    assert!(parse("? [a, b]\n: c\n").is_err());
}

#[test]
fn alias_bombs_and_deep_nesting_are_refused() {
    let mut bomb = String::from("a: &a [x,x,x,x,x,x,x,x,x,x]\n");
    for (i, c) in ('b'..='j').enumerate() {
        let before = char::from(b'a' + u8::try_from(i).unwrap());
        bomb.push_str(&format!("{c}: &{c} [{}]\n", vec![format!("*{before}"); 10].join(",")));
    }
    assert!(parse(&bomb).is_err());
    assert!(parse(&format!("a: {}{}", "[".repeat(5000), "]".repeat(5000))).is_err());
}

proptest::proptest! {
    #[test]
    fn no_text_is_too_odd(text in "[-a-z0-9:.{}\\[\\]&*!|>'\"#%,<\n ]{0,80}") {
        drop(parse(&text));
    }

    #[test]
    fn a_quoted_text_comes_back(text in "[ -~é]{0,40}") {
        let root = parse(&format!("k: {}", serde_json::to_string(&text).unwrap())).unwrap();
        proptest::prop_assert_eq!(self::text(&entries(&root)[0].1), &text);
    }
}
