use super::*;

fn print(words: &[&str]) -> String {
    match about(words) {
        Cli::Print(text) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_exit_code_is_explained() {
    let codes: Vec<&str> = include_str!("../exit.rs")
        .lines()
        .filter_map(|line| line.trim().split_once(" = ")?.1.strip_suffix(','))
        .filter(|code| code.parse::<u8>().is_ok())
        .collect();
    assert!(codes.len() >= 13, "{codes:?}");
    let text = print(&["exit-codes"]);
    let explained: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("    ").or(Some(line)))
        .filter_map(|line| line.split_once("  ").map(|(code, _)| code.trim()))
        .filter(|code| code.parse::<u8>().is_ok())
        .collect();
    assert_eq!(explained, codes);
}

#[test]
fn all_topics_are_there_and_fit_a_terminal() {
    let names: Vec<String> = topics().iter().map(|topic| topic.name().to_string()).collect();
    let expected = [
        "configuration",
        "files",
        "exit-codes",
        "reload",
        "policy",
        "audit",
        "confinement",
        "proxies",
        "stdio",
        "upgrade",
    ];
    for name in expected {
        assert!(names.iter().any(|known| known == name), "{name} is not in {names:?}");
    }
    for topic in topics() {
        assert!(!topic.summary().is_empty() && topic.text().len() > 100, "{}", topic.name());
        assert!(topic.text().lines().all(|line| line.chars().count() <= 84), "{}", topic.name());
        assert!(print(&[]).contains(topic.summary()));
    }
}

#[test]
fn what_the_topics_name_exists() {
    let all: String = topics().iter().map(|topic| topic.text().to_string() + "\n").collect();
    for (at, _) in all.match_indices("tunnelward ") {
        let words: Vec<&str> = all[at..].split_whitespace().skip(1).take(2).collect();
        let known = |words: &[&str]| cli::help_of(words).is_some();
        if words.first().is_some_and(|first| first.chars().all(|c| c.is_ascii_lowercase()) && *first != "for")
        {
            assert!(known(&words[..1]), "{words:?}");
            let below = words.get(1).filter(|w| w.chars().all(|c| c.is_ascii_lowercase()));
            let group =
                super::super::tables::Command::of(&words[..1]).is_some_and(|c| !c.commands.is_empty());
            assert!(!group || below.is_some_and(|_| known(&words)), "{words:?}");
        }
    }
    let keys = crate::config::settings::settings();
    for key in
        ["reload_interval", "drain_timeout", "confinement.require", "audit.on_failure", "restart.times"]
    {
        assert!(all.contains(key) && keys.row(key).is_some(), "{key}");
    }
}

#[test]
fn help_of_a_command_is_its_help() {
    assert!(print(&["run"]).starts_with("Usage: tunnelward run"));
    assert!(print(&["audit", "verify"]).starts_with("Usage: tunnelward audit verify"));
    assert!(print(&["man"]).starts_with(".TH TUNNELWARD 1"));
    match about(&["nonsense"]) {
        Cli::Usage(text) => assert!(text.contains("configuration"), "{text}"),
        other => panic!("{other:?}"),
    }
}
