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

#[test]
fn numbers_and_truth_values_are_told_from_names() {
    let plain = "true No ON y 0 -5 +7 1_000 0x1F 0o17 1.10 .5 5. 1e3 -1.5E-7 99999999999999999999 0.0 007.5";
    let names = "007 -007 0x 0b2 1__0 _1 1_ 30s . e3 1e 1e+ 1.2.3 0x1G trueish 10.0.0.1";
    for (texts, expected) in [(plain, true), (names, false)] {
        for text in texts.split(' ') {
            let root = parse(&format!("k: {text}\n")).unwrap();
            let node = &entries(&root)[0].1;
            assert_eq!(self::text(node), text);
            assert_eq!(node.plain, expected, "{text}");
        }
    }
}

#[test]
fn a_tag_is_kept_to() {
    let root = parse("a: !!str 5\nb: ! yes\nc: !!int \"5\"\nd: !!null x\ne: !mine 5\n").unwrap();
    let plain: Vec<bool> = entries(&root).iter().map(|(_, node)| node.plain).collect();
    assert_eq!(plain, [false, false, true, false, true]);
    assert!(matches!(entries(&root)[3].1.value, Value::Null));
    for wrong in [
        "!!int yes",
        "!!bool 5",
        "!!float x",
        "!!map [a]",
        "!!seq {a: b}",
        "!!str [a]",
        "!!timestamp 1",
        ".inf",
    ] {
        assert_eq!(parse(&format!("a: {wrong}\n")).unwrap_err().why, "not valid YAML", "{wrong}");
    }
}

#[test]
fn what_is_put_in_for_an_alias_stands_where_the_alias_is() {
    let root = parse("a: &x\n  k: [1]\nb: *x\nc:\n  <<: [*x, {k: 2, l: 3}]\n").unwrap();
    assert_eq!(entries(&root)[1].1.line, 3);
    assert_eq!(entries(&entries(&root)[1].1)[0].1.line, 3);
    let merged = entries(&entries(&root)[2].1);
    let lines: Vec<(&str, u64)> = merged.iter().map(|(key, node)| (key.as_str(), node.line)).collect();
    assert_eq!(lines, [("k", 5), ("l", 5)]);
    for (text, why) in [
        ("a: &x [*x]\n", "an anchor contains an alias of itself"),
        ("a: *x\n", "an alias names an anchor that does not exist"),
        ("<<: 5\n", "a merge key needs a map or a list of maps"),
    ] {
        assert_eq!(parse(text).unwrap_err().why, why);
    }
}

#[test]
fn every_bound_holds() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(&nested(16)).is_ok());
    let anchors: String = (0..101).map(|n| format!("- &a{n} x\n")).collect();
    let merges = "- {<<: {a: b}}\n".repeat(101);
    let aliases = format!("- &a x\n{}", "- *a\n".repeat(101));
    // Deep only by an alias.
    let by_alias = format!("- &a {}\n- [[*a]]\n", nested(14));
    for text in [nested(17), anchors, merges, aliases, by_alias, "- x\n".repeat(50_000)] {
        assert_eq!(parse(&text).unwrap_err().why, TOO_LARGE);
    }
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
