//! `confinement`: whom the broker becomes, the floor, what follows a violation.

use super::*;
use crate::config::confinement::{Identity, OnViolation};

const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\ntunnelward:x:990:991::/:/usr/sbin/nologin\n\
    other:x:1500:1600::/:/bin/sh\ntoor:x:0:0::/:/bin/sh\nrootish:x:1700:0::/:/bin/sh\n";
const GROUP: &str = "root:x:0:\ntunnelward:x:995:\nstaff:x:50:other\n";

#[test]
fn root_becomes_the_account_that_is_named() {
    for (yaml, uid, gid) in [
        ("", 990, 995),
        ("confinement: {user: other}", 1500, 1600),
        ("confinement: {user: other, group: staff}", 1500, 50),
        ("confinement: {group: staff}", 990, 50),
        ("confinement: {user: 1500}", 1500, 1600),
        ("confinement: {user: 4242}", 4242, 4242),
        ("confinement: {user: 4242, group: 77}", 4242, 77),
        ("confinement: {user: '1500', group: tunnelward}", 1500, 995),
        ("confinement: {user: rootish, group: 77}", 1700, 77),
        ("confinement: {user: ''}", 990, 995),
    ] {
        let config = base().root(PASSWD, GROUP).yaml(yaml).good();
        assert_eq!(config.confinement.identity, Some(Identity { uid, gid }), "{yaml}");
        assert_eq!(config.warnings, Vec::<String>::new());
    }
    let without_group = base().root(PASSWD, "root:x:0:\n").good();
    assert_eq!(without_group.confinement.identity, Some(Identity { uid: 990, gid: 991 }));
}

#[test]
fn root_without_an_account_to_become_is_told_how_to_make_one() {
    let line = "useradd --system --no-create-home --shell /usr/sbin/nologin tunnelward";
    let problem = base().root("root:x:0:0::/:/bin/sh\n", GROUP).bad();
    says(&problem, "confinement.user: the agent was started as root and there is no user tunnelward");
    says(&problem, line);
    says(&problem, "by name or number");
    let problem = base().root(PASSWD, GROUP).yaml("confinement: {user: nosuch}").bad();
    says(&problem, "p.yaml:1: confinement.user: there is no user \"nosuch\" in /etc/passwd");
    says(&problem, "useradd --system");
}

#[test]
fn nobody_becomes_root() {
    for yaml in [
        "confinement: {user: root}",
        "confinement: {user: toor}",
        "confinement: {user: 0}",
        "confinement: {user: '00'}",
        "confinement: {user: other, group: root}",
        "confinement: {user: other, group: 0}",
        "confinement: {user: rootish}",
    ] {
        says(&base().root(PASSWD, GROUP).yaml(yaml).bad(), "root cannot be the identity of the agent");
    }
    let root_under_our_name = "tunnelward:x:0:5::/:/bin/sh\n";
    says(&base().root(root_under_our_name, GROUP).bad(), "root cannot be the identity of the agent");
    for yaml in ["{user: 4294967295}", "{user: -1}", "{user: +5}", "{user: 4294967296}"] {
        let problem = base().root(PASSWD, GROUP).yaml(&format!("confinement: {yaml}")).bad();
        says(&problem, "there is no user");
    }
    says(
        &base().root(PASSWD, GROUP).yaml("confinement: {user: other, group: nosuch}").bad(),
        "there is no group \"nosuch\" in /etc/group",
    );
}

#[test]
fn an_ordinary_user_stays_who_it_is() {
    assert_eq!(base().good().confinement.identity, None);
    let own = ordinary();
    for yaml in [
        format!("{{user: {own}}}"),
        format!("{{group: {own}}}"),
        format!("{{user: '{own}', group: '{own}'}}"),
    ] {
        let config = base().yaml(&format!("confinement: {yaml}")).good();
        assert_eq!((config.confinement.identity, config.warnings.len()), (None, 0), "{yaml}");
    }
    let config = base().yaml("confinement: {user: tunnelward, group: 7}").good();
    assert_eq!(config.confinement.identity, None);
    let [user, group] = &config.warnings[..] else { panic!("{:?}", config.warnings) };
    says(user, "confinement.user has no effect: only root can become another user");
    says(group, "confinement.group has no effect");
}

#[test]
fn a_lower_floor_is_asked_for_by_name_and_says_what_it_loses() {
    assert_eq!(base().good().confinement.require, 4);
    const WORDS: [&str; 5] = ["moved or linked", "truncated", "TCP ports", "ioctl", "signals"];
    for (require, lost) in [(1, &WORDS[..]), (2, &WORDS[1..]), (3, &WORDS[2..])] {
        let config = base().yaml(&format!("confinement: {{require: {require}}}")).good();
        assert_eq!(config.confinement.require, require);
        let [warning] = &config.warnings[..] else { panic!("{:?}", config.warnings) };
        for word in WORDS {
            assert_eq!(warning.contains(word), lost.contains(&word), "{warning} {word}");
        }
    }
    for require in 4..=10 {
        let config = base().yaml(&format!("confinement: {{require: {require}}}")).good();
        assert_eq!((config.confinement.require, config.warnings.len()), (require, 0));
    }
    for wrong in ["0", "11", "-1", "x", "2.0"] {
        let problem = base().yaml(&format!("confinement: {{require: {wrong}}}")).bad();
        says(&problem, "p.yaml:1: confinement.require: must be");
    }
}

#[test]
fn what_follows_a_violation_is_chosen_in_the_file_only() {
    let chosen = |t: Try| t.good().confinement.on_violation;
    assert_eq!(chosen(base()), OnViolation::Stop);
    assert_eq!(chosen(base().yaml("confinement: {on_violation: stop}")), OnViolation::Stop);
    assert_eq!(chosen(base().yaml("confinement: {on_violation: restart}")), OnViolation::Restart);
    says(&base().yaml("confinement: {on_violation: ignore}").bad(), "must be stop or restart");
    says(
        &base().yaml("confinement: {on_violations: stop}").bad(),
        "unknown key \"on_violations\"; did you mean on_violation?",
    );
    for name in ["CONFINEMENT_REQUIRE", "CONFINEMENT_ON_VIOLATION"] {
        assert_eq!(base().env(name, "1").good().confinement, base().good().confinement);
    }
}
