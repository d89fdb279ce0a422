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
