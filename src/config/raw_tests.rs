use super::*;

fn read(text: &str) -> (File, Vec<String>) {
    let (file, problems) = parse(Path::new("/p.yaml"), text).unwrap();
    (file, problems.iter().map(ToString::to_string).collect())
}

#[test]
fn settings_are_sorted_by_their_path() {
    let (file, problems) =
        read("config_version: 1\nlog: {level: info}\nmcp:\n  commands:\n  - {command: x}\nhealth:\n");
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!(
        file.values.keys().copied().collect::<Vec<_>>(),
        ["config_version", "log.level", "mcp.commands"]
    );
}

#[test]
fn case_271_every_unknown_and_repeated_key_is_reported_with_path_and_line() {
    let (_, problems) =
        read("log:\n  levle: info\nlogs: 1\nlog: {}\nmcp: [1]\ncontrol_plane:\n  sk-secret: 1\n");
    assert_eq!(
        problems,
        [
            "/p.yaml:2: log.levle: unknown key \"levle\"; did you mean level?",
            "/p.yaml:3: logs: unknown key \"logs\"; did you mean log?",
            "/p.yaml:4: log: duplicate key; keep one of them",
            "/p.yaml:5: mcp: must be a map; found a list",
            problems[4].as_str(),
        ]
    );
    assert!(
        problems[4].starts_with("/p.yaml:7: control_plane: unknown key a text of 9 characters"),
        "{}",
        problems[4]
    );
    assert!(!problems[4].contains("secret"));
    let (_, problems) = read("- a\n");
    assert_eq!(problems, ["/p.yaml:1: the file must be a map of settings; found a list"]);
}

#[test]
fn a_syntax_error_names_file_line_and_column_and_nothing_of_the_text() {
    let error = parse(Path::new("/p.yaml"), "a: 1\nb: \"sk-secret").unwrap_err().to_string();
    assert!(error.starts_with("parse config file /p.yaml: line "), "{error}");
    assert!(!error.contains("secret"), "{error}");
    let error = open(Path::new("/nonexistent/p.yaml")).unwrap_err().to_string();
    assert_eq!(error, "parse config file /nonexistent/p.yaml: no such file");
}

proptest::proptest! {
    #[test]
    fn no_file_is_too_odd(text in "(log|mcp|control_plane|a|- |: |\n|  |\\{|\\}|,|x){0,30}") {
        drop(parse(Path::new("/p.yaml"), &text).map(|(file, problems)| (file.values.len(), problems.len())));
    }
}
