//! Properties that hold for all calls.

use proptest::prelude::*;

use super::super::rules::{Found, Kind};
use super::*;

/// A rule about one of few names, so that rules and calls meet.
fn rule(n: usize, kind: u8, name: u8, deny: bool, channel: Option<bool>) -> String {
    let effect = if deny { r#""effect":"deny","# } else { "" };
    let channels = match channel {
        None => "",
        Some(true) => r#""channels":["main"],"#,
        Some(false) => r#""channels":["files"],"#,
    };
    let about = match kind % 4 {
        0 => format!(r#""tools":["t{name}"]"#),
        1 => format!(r#""prompts":["p{name}"]"#),
        2 => format!(r#""resources":["a://r{name}/*"]"#),
        _ => format!(r#""methods":["m{name}"]"#),
    };
    format!(r#"{{"id":"r{n}",{effect}{channels}{about}}}"#)
}

fn call(kind: u8, name: u8) -> String {
    match kind % 4 {
        0 => tool(&format!("t{name}"), "{}"),
        1 => request("prompts/get", &format!(r#"{{"name":"p{name}"}}"#)),
        2 => request("resources/read", &format!(r#"{{"uri":"a://r{name}/x"}}"#)),
        _ => request(&format!("m{name}"), "{}"),
    }
}

fn allows(policy: &Policy, kind: u8, name: u8, channel: &str) -> bool {
    let body = call(kind, name);
    policy.decide(&Call { channel, body: body.as_bytes(), headers: &HeaderMap::new() }).allowed
}

type Parts = (u8, u8, bool, Option<bool>);

fn parts() -> impl Strategy<Value = Parts> {
    (0..4_u8, 0..3_u8, any::<bool>(), any::<Option<bool>>())
}

fn build(rules: &[Parts]) -> Option<Policy> {
    let rules: Vec<String> =
        rules.iter().enumerate().map(|(n, (k, m, d, c))| rule(n, *k, *m, *d, *c)).collect();
    load(&format!(r#"{{"version":1,"rules":[{}]}}"#, rules.join(",")), None).ok()
}

/// What [`Policy::find`] says, found by looking at every name of every rule.
fn walk<'p>(policy: &'p Policy, channel: &str, kind: Kind, name: &str) -> Option<(bool, &'p str)> {
    let about = |rule: &&super::super::rules::Rule| {
        rule.kind == kind
            && rule.channels.as_ref().is_none_or(|all| all.iter().any(|c| c == channel))
            && rule.names.iter().any(|n| n.covers(name, rule.deny))
    };
    let first = |deny| policy.rules.iter().filter(about).find(|rule| rule.deny == deny);
    first(true).or_else(|| first(false)).map(|rule| (!rule.deny, &*rule.id))
}

proptest! {
    #[test]
    fn the_index_finds_what_a_walk_finds(
        rules in proptest::collection::vec(parts(), 1..9),
        name in r"(t|p|m|a://r)[0-3](/x|/\.\./|/)?",
    ) {
        for policy in build(&rules).into_iter().chain([policy(POLICY)]) {
            for channel in ["main", "files", "docs", "other"] {
                for kind in [Kind::Method, Kind::Tool, Kind::Prompt, Kind::Resource] {
                    for name in [&*name, "echo", "drop", "doc://index", "doc://library/open/vault/a", "ping"] {
                        let found = match policy.find(channel, kind, name) {
                            Found::Allowed(rule, _) => Some((true, &*rule.id)),
                            Found::Denied(rule) => Some((false, &*rule.id)),
                            Found::Nothing => None,
                        };
                        prop_assert_eq!(found, walk(&policy, channel, kind, name));
                    }
                }
            }
        }
    }

    #[test]
    fn adding_a_deny_never_allows_more(
        rules in proptest::collection::vec(parts(), 1..6),
        deny in parts(),
    ) {
        let mut more = rules.clone();
        more.push((deny.0, deny.1, true, deny.3));
        if let (Some(before), Some(after)) = (build(&rules), build(&more)) {
            for channel in ["main", "files", "other"] {
                for (kind, name) in (0..4).flat_map(|k| (0..3).map(move |n| (k, n))) {
                    prop_assert!(allows(&before, kind, name, channel) || !allows(&after, kind, name, channel));
                }
            }
        }
    }

    #[test]
    fn no_bytes_make_the_engine_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let policy = policy(POLICY);
        for list in [List::Tools, List::Resources, List::Capabilities] {
            let _ = policy.filter(&mut State::default(), "main", list, &bytes);
        }
        let found = verdict(&policy, "main", &bytes, &HeaderMap::new());
        prop_assert!(found.starts_with("no "));
        if let Ok(text) = std::str::from_utf8(&bytes) {
            let _ = load(text, None);
        }
    }

    #[test]
    fn no_json_like_text_makes_the_engine_panic(
        text in r#"(\{|\}|\[|\]|,|:|"method"|"params"|"name"|"tools/call"|"\\u00|"|1e|-|0|null|true| |tools|result|a){0,40}"#,
    ) {
        let policy = policy(POLICY);
        let _ = verdict(&policy, "main", text.as_bytes(), &HeaderMap::new());
        let _ = policy.filter(&mut State::default(), "main", List::Tools, text.as_bytes());
        let _ = load(&text, None);
    }

    #[test]
    fn what_is_read_is_json_for_another_reader_too(
        text in r#"(\{|\}|\[|\]|,|:|"a"|"b\\n"|1|-0\.5e3|null|true| ){1,12}"#,
    ) {
        if super::super::json::read(text.as_bytes(), 1000).is_ok() {
            prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
        }
    }

    #[test]
    fn any_pattern_and_text_end(pattern in r"\^(a|b|\(|\)|\*|\+|\?|\[ab\]|\||\{2\}|\.){0,12}\$", text in "[ab]{0,40}") {
        if let Ok(pattern) = super::super::pattern::Pattern::new(&pattern) {
            let _ = pattern.matches(&text);
        }
    }

    #[test]
    fn any_schema_takes_or_refuses_any_arguments(
        arguments in r#"\{"path":("/srv/shared/[a-z./]{0,12}"|[1-9][0-9]{0,4}|null|\[1,2\])(,"lines":-?(0|[1-9][0-9]{0,3})(\.[0-9])?(e[0-9])?)?\}"#,
    ) {
        let policy = policy(POLICY);
        let found = verdict(&policy, "files", tool("read_file", &arguments).as_bytes(), &HeaderMap::new());
        prop_assert!(found == "ok read" || found == "no read", "{}", found);
        if found == "ok read" {
            prop_assert!(!arguments.contains("/..\"") && !arguments.contains("/../"));
        }
    }
}
