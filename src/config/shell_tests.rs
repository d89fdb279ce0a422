use super::*;

#[test]
fn words_quotes_and_escapes() {
    let cases: &[(&str, &[&str])] = &[
        ("a b  c", &["a", "b", "c"]),
        ("  a\t\n b ", &["a", "b"]),
        ("a 'b c' d", &["a", "b c", "d"]),
        (r#"a "b c" d"#, &["a", "b c", "d"]),
        (r"a\ b", &["a b"]),
        (r#""a\"b\\c\d""#, &[r#"a"b\cd"#]),
        (r"'a\b'", &[r"a\b"]),
        (r#"pre"mid"'post'"#, &["premidpost"]),
        (r#"a "" ''"#, &["a", "", ""]),
        ("sh -c $HOME|*;&&>x", &["sh", "-c", "$HOME|*;&&>x"]),
        (r"a \é", &["a", "é"]),
        ("'\"' \"'\"", &["\"", "'"]),
    ];
    for (text, arguments) in cases {
        assert_eq!(split(text).unwrap(), *arguments, "{text}");
    }
}

#[test]
fn what_is_not_a_command_is_named() {
    for (text, error) in [
        ("", "command is empty"),
        ("  \t", "command is empty"),
        ("a \\", "unterminated escape sequence"),
        ("a \"b\\", "unterminated escape sequence"),
        ("a 'b", "unterminated quoted string"),
        ("a \"b", "unterminated quoted string"),
        ("a\0b", "command contains a NUL"),
    ] {
        assert_eq!(split(text).unwrap_err().to_string(), error, "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn quoted_arguments_come_back(arguments in proptest::collection::vec("[^\0]{0,12}", 1..6)) {
        let single: Vec<String> = arguments.iter().map(|a| format!("'{}'", a.replace('\'', r"'\''"))).collect();
        proptest::prop_assert_eq!(&split(&single.join(" ")).unwrap(), &arguments);
        let double: Vec<String> =
            arguments.iter().map(|a| format!("\"{}\"", a.replace('\\', r"\\").replace('"', "\\\""))).collect();
        proptest::prop_assert_eq!(&split(&double.join("\t")).unwrap(), &arguments);
    }

    #[test]
    fn no_text_is_too_odd(text in ".*") {
        drop(split(&text));
    }
}
