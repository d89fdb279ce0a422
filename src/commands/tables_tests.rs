use super::*;

#[test]
fn a_command_is_read_from_its_own_help() {
    let program = Command::of(&[]).unwrap();
    assert!(program.commands.iter().any(|c| c.name == "config" && c.about == "look at the configuration"));
    assert_eq!(program.options.iter().map(|o| o.name.as_str()).collect::<Vec<_>>(), ["--version"]);
    let show = Command::of(&["audit", "show"]).unwrap();
    assert_eq!(show.about, "show records");
    assert!(show.options.iter().any(|o| o.name == "--decision"
        && o.about == "calls with this decision: permit, duplicate, in_doubt or deny"));
    assert!(show.takes_value("--since") && !show.takes_value("--json") && !show.with_flags);
    let confinement = Command::of(&["confinement"]).unwrap();
    assert!(confinement.with_flags && confinement.about.ends_with("takes the flags of run too"));
    assert!(confinement.takes_value("--log.level") && !confinement.takes_value("--probe"));
    assert!(!confinement.takes_value("--log.http-raw-unsafe"));
    assert!(Command::of(&["no-such-command"]).is_none());
}

#[test]
fn every_command_that_says_so_takes_the_flags_of_run() {
    fn walk(words: &[&str], found: &mut Vec<String>) {
        let command = Command::of(words).unwrap_or_else(|| panic!("{words:?} has no help"));
        assert!(words.is_empty() || !command.about.is_empty(), "{words:?}");
        assert_eq!(command.with_flags, command.usage.contains("[flags]"), "{words:?}");
        found.push(words.join(" "));
        for below in &command.commands {
            walk(&[words, &[below.name.as_str()]].concat(), found);
        }
    }
    let mut found = Vec::new();
    walk(&[], &mut found);
    for name in
        ["run", "config check", "config show", "config schema", "audit verify", "policy explain", "pin"]
    {
        assert!(found.iter().any(|command| command == name), "{name} is not in {found:?}");
    }
}

#[test]
fn every_flag_has_its_help_once() {
    let named: Vec<&str> = flags().map(|(flag, ..)| flag).collect();
    let table: Vec<&str> = ALL.iter().map(|key| key.flag).filter(|flag| !flag.is_empty()).collect();
    let sorted = |mut names: Vec<&'static str>| {
        names.sort_unstable();
        names
    };
    assert_eq!(sorted(named), sorted(table));
    for (flag, help, variable) in flags() {
        assert!(!help.is_empty() && !variable.is_empty(), "{flag}");
    }
}
