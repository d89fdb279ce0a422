use super::*;
use crate::config::keys::ALL;

fn names(words: &[&str]) -> Vec<String> {
    let lines = candidates(words);
    lines.lines().map(|line| line.split('\t').next().unwrap().to_string()).collect()
}

#[test]
fn commands_and_those_below_them_are_offered() {
    assert_eq!(names(&["conf"]), ["config", "confinement"]);
    assert_eq!(names(&["config", "s"]), ["show", "schema"]);
    assert_eq!(names(&["completions", ""]), ["bash", "zsh", "fish"]);
    assert!(names(&["help", "p"]).contains(&"proxies".to_string()));
    assert!(names(&["help", "p"]).contains(&"pin".to_string()));
    assert_eq!(names(&["help", "audit", "ver"]), ["verify"]);
    assert_eq!(names(&["no-such-command-begins-so"]), [""; 0]);
    assert!(names(&[]).contains(&"run".to_string()));
}

#[test]
fn every_flag_is_offered_where_the_flags_of_run_are_taken() {
    for command in [
        &["run"][..],
        &["config", "check"],
        &["config", "show"],
        &["confinement"],
        &["pin", "h"],
        &["status"],
    ] {
        let offered = names(&[command, &["--"]].concat());
        for key in ALL.iter().filter(|key| !key.flag.is_empty()) {
            let flag = format!("--{}", key.flag);
            assert_eq!(offered.iter().filter(|name| **name == flag).count(), 1, "{command:?} {flag}");
        }
    }
    assert!(names(&["config", "show", "--js"]) == ["--json"]);
    assert_eq!(names(&["audit", "verify", "/log", "--"]), ["--key", "--checkpoint", "--json", "--help"]);
}

#[test]
fn a_value_is_left_to_the_shell() {
    assert_eq!(candidates(&["run", "--config", ""]), "");
    assert_eq!(candidates(&["audit", "verify", "--key", ""]), "");
    assert_eq!(candidates(&["run", "--config=x", ""]), "");
    assert_eq!(candidates(&["health", "--url-file", ""]), "");
    assert!(names(&["health", "--req"]) == ["--require-control-plane-poll"]);
}
