//! Policies that are refused when they are loaded, each with the path of what is wrong.

use super::*;

/// A rule among others, and the fault it is: path, and a part of the text.
const RULES: &[(&str, &str, &str)] = &[
    (r#"{"tools":["a"]}"#, "rules[0]", "id is missing"),
    (r#"{"id":"A","tools":["a"]}"#, "rules[0].id", "lower-case"),
    (r#"{"id":"a.b","tools":["a"]}"#, "rules[0].id", "lower-case"),
    (r#"{"id":"x"}"#, "rules[0]", "must have one of"),
    (r#"{"id":"x","tools":["a"],"prompts":["b"]}"#, "rules[0]", "must have one of"),
    (r#"{"id":"x","tools":["a"],"tool":["b"]}"#, "rules[0].tool", "unknown key"),
    (r#"{"id":"x","effect":"block","tools":["a"]}"#, "rules[0].effect", "allow or deny"),
    (r#"{"id":"x","tools":[]}"#, "rules[0].tools", "must not be empty"),
    (r#"{"id":"x","tools":"a"}"#, "rules[0].tools", "must be a list"),
    (r#"{"id":"x","tools":[""]}"#, "rules[0].tools[0]", "must not be empty"),
    (r#"{"id":"x","tools":[1]}"#, "rules[0].tools[0]", "must be text"),
    (r#"{"id":"x","tools":["a","a"]}"#, "rules[0].tools[1]", "duplicate"),
    (r#"{"id":"x","tools":["read_*"]}"#, "rules[0].tools[0]", "names are exact"),
    (r#"{"id":"x","methods":["tools/*"]}"#, "rules[0].methods[0]", "names are exact"),
    (r#"{"id":"x","methods":["tools/call"]}"#, "rules[0].methods[0]", "by the name of what it uses"),
    (r#"{"id":"x","methods":["resources/read"]}"#, "rules[0].methods[0]", "by the name of what it uses"),
    (r#"{"id":"x","methods":["preset:all"]}"#, "rules[0].methods[0]", "preset:session"),
    (r#"{"id":"x","methods":["preset:session","ping"]}"#, "rules[0].methods", "duplicate"),
    (r#"{"id":"x","resources":["file:///srv*"]}"#, "rules[0].resources[0]", "a prefix must"),
    (r#"{"id":"x","resources":["*"]}"#, "rules[0].resources[0]", "a prefix must"),
    (r#"{"id":"x","resources":["file:///a/../*"]}"#, "rules[0].resources[0]", "a prefix must"),
    (r#"{"id":"x","resources":["file:///a%2fb/*"]}"#, "rules[0].resources[0]", "a prefix must"),
    (r#"{"id":"x","resources":["file:///*/b"]}"#, "rules[0].resources[0]", "names are exact"),
    (
        r#"{"id":"x","resources":["a://b/*","a://b/c/*"]}"#,
        "rules[0].resources[1]",
        "never reached: it is covered",
    ),
    (
        r#"{"id":"x","resources":["a://b/c","a://b/*"]}"#,
        "rules[0].resources[0]",
        "never reached: it is covered",
    ),
    (r#"{"id":"x","tools":["a"],"channels":["B C"]}"#, "rules[0].channels[0]", "channel name"),
    (r#"{"id":"x","tools":["a"],"channels":["elsewhere"]}"#, "rules[0].channels", "never reached"),
    (r#"{"id":"x","tools":["a"],"limits":{"in_flight":0}}"#, "rules[0].limits.in_flight", "between 1"),
    (r#"{"id":"x","tools":["a"],"limits":{"in_flight":1.0}}"#, "rules[0].limits.in_flight", "whole number"),
    (r#"{"id":"x","tools":["a"],"limits":{"rate":1}}"#, "rules[0].limits.rate", "unknown key"),
    (
        r#"{"id":"x","effect":"deny","tools":["a"],"limits":{"in_flight":1}}"#,
        "rules[0].limits",
        "nothing to limit",
    ),
    (
        r#"{"id":"x","effect":"deny","tools":["a"],"arguments":{"type":"object"}}"#,
        "rules[0].arguments",
        "only a rule that allows",
    ),
    (
        r#"{"id":"x","methods":["ping"],"arguments":{"type":"object"}}"#,
        "rules[0].arguments",
        "only a rule that allows",
    ),
    (r#"{"id":"x","tools":["a"],"arguments":{}}"#, "rules[0].arguments", "arguments are an object"),
    (r#"{"id":"x","tools":["a"]},{"id":"x","tools":["b"]}"#, "rules[1].id", "another rule"),
    (r#"{"id":"x","tools":["a"]},{"id":"y","tools":["a"]}"#, "rules[1].tools[0]", "duplicate"),
    (
        r#"{"id":"x","tools":["a"],"channels":["main"]},{"id":"y","tools":["a"]}"#,
        "rules[1].tools[0]",
        "duplicate",
    ),
    (
        r#"{"id":"x","tools":["a"]},{"id":"y","effect":"deny","tools":["a"]}"#,
        "rules[0].tools[0]",
        "denied by",
    ),
    (
        r#"{"id":"x","tools":["a"],"channels":["main"]},{"id":"y","effect":"deny","methods":["tools/call"]}"#,
        "rules[0].tools[0]",
        "denied by",
    ),
    (
        r#"{"id":"y","effect":"deny","resources":["a://b/*"]},{"id":"x","resources":["a://b/c"]}"#,
        "rules[1].resources[0]",
        "denied by",
    ),
];

/// A schema of the argument `p`, and the fault it is.
const SCHEMAS: &[(&str, &str, &str)] = &[
    (r#"1"#, "", "must be a schema"),
    (r#"{"type":"strin"}"#, ".type", "must be one of"),
    (r#"{"type":["string","string"]}"#, ".type[1]", "duplicate"),
    (r#"{"format":"uri"}"#, ".format", "is not enforced"),
    (r##"{"$ref":"#/x"}"##, ".$ref", "is not enforced"),
    (r#"{"allOf":[]}"#, ".allOf", "is not enforced"),
    (r#"{"not":{}}"#, ".not", "is not enforced"),
    (r#"{"type":"number","multipleOf":2}"#, ".multipleOf", "is not enforced"),
    (r#"{"type":"string","minlength":2}"#, ".minlength", "is not enforced"),
    (r#"{"minLength":2}"#, ".minLength", "without the type"),
    (r#"{"type":"integer","minLength":2}"#, ".minLength", "without the type"),
    (r#"{"type":"string","minimum":2}"#, ".minimum", "without the type"),
    (r#"{"pattern":"^a$"}"#, ".pattern", "without the type"),
    (r#"{"properties":{}}"#, ".properties", "without the type"),
    (r#"{"path_under":"/a"}"#, ".path_under", "without the type"),
    (r#"{"type":"string","pattern":"a"}"#, ".pattern", "must begin with ^"),
    (r#"{"type":"string","pattern":"^a"}"#, ".pattern", "must begin with ^"),
    (r#"{"type":"string","pattern":"^a\\$"}"#, ".pattern", "must begin with ^"),
    (r#"{"type":"string","pattern":"^a|b$"}"#, ".pattern", "write ^(?:a|b)$"),
    (r#"{"type":"string","pattern":"^(?=a)b$"}"#, ".pattern", "only (?: can"),
    (r#"{"type":"string","pattern":"^(a)\\1$"}"#, ".pattern", "an escape"),
    (r#"{"type":"string","pattern":"^\\bx$"}"#, ".pattern", "an escape"),
    (r#"{"type":"string","pattern":"^a{3,1}$"}"#, ".pattern", "a repetition is"),
    (r#"{"type":"string","pattern":"^(a{999}){999}$"}"#, ".pattern", "too large"),
    (r#"{"type":"string","pattern":"^[z-a]$"}"#, ".pattern", "a range"),
    (r#"{"type":"string","pattern":"^($"}"#, ".pattern", "a ( without"),
    (r#"{"type":"string","minLength":3,"maxLength":2}"#, "", "no value satisfies"),
    (r#"{"type":"array","minItems":3,"maxItems":2}"#, "", "no value satisfies"),
    (r#"{"type":"integer","minimum":3,"maximum":2}"#, "", "no number satisfies"),
    (r#"{"type":"integer","minimum":3,"exclusiveMaximum":3}"#, "", "no number satisfies"),
    (r#"{"type":"integer","minimum":"3"}"#, ".minimum", "must be a number"),
    (r#"{"type":"object","required":["x"]}"#, "", "not among properties"),
    (r#"{"enum":[]}"#, ".enum", "must be a list"),
    (r#"{"enum":["a","a"]}"#, ".enum", "duplicate"),
    (r#"{"enum":[1,1.0]}"#, ".enum", "duplicate"),
    (r#"{"type":"string","enum":["a",1]}"#, ".enum", "type excludes"),
    (r#"{"const":{}}"#, ".const", "are not enforced"),
    (r#"{"const":1,"enum":[1]}"#, ".enum", "twice"),
    (r#"{"anyOf":[]}"#, ".anyOf", "list of schemas"),
    (r#"{"anyOf":[{"typ":"null"}]}"#, ".anyOf[0].typ", "is not enforced"),
    (r#"{"type":"string","path_under":"a/b"}"#, ".path_under", "absolute path"),
    (r#"{"type":"string","path_under":"/a/../b"}"#, ".path_under", "absolute path"),
    (r#"{"type":"string","path_under":[]}"#, ".path_under", "must not be empty"),
    (r#"{"type":"string","host_in":"Example.org"}"#, ".host_in", "lower case"),
    (r#"{"type":"string","host_in":"https://a"}"#, ".host_in", "lower case"),
    (r#"{"type":"string","host_in":["*.a","*"]}"#, ".host_in[1]", "lower case"),
    (r#"{"type":"array","items":[{}]}"#, ".items", "must be a schema"),
    (r#"{"type":"object","additionalProperties":1}"#, ".additionalProperties", "must be a schema"),
    (r#"{"$schema":"http://json-schema.org/draft-07/schema#"}"#, ".$schema", "2020-12"),
];

/// Other members of a policy, and the fault they are.
const MEMBERS: &[(&str, &str, &str)] = &[
    (r#""versio":1"#, "versio", "unknown key"),
    (r#""mode":"log""#, "mode", "enforce or monitor"),
    (r#""pins":true"#, "pins", "enforce or warn or off"),
    (r#""limits":{"result_bytes":-1}"#, "limits.result_bytes", "whole number"),
    (r#""limits":{"calls_per_minute":1000000}"#, "limits.calls_per_minute", "whole number"),
    (r#""limits":[]"#, "limits", "must be a map"),
    (r#""headers":{"request":["a b"]}"#, "headers.request[0]", "name of a header"),
    (r#""headers":{"request":["X-*"]}"#, "headers.request[0]", "name of a header"),
    (r#""headers":{"request":["A","a"]}"#, "headers.request[1]", "duplicate"),
    (r#""headers":{"answer":["set-cookie"]}"#, "headers.answer[0]", "never leaves"),
    (r#""headers":{"response":[]}"#, "headers.response", "unknown key"),
    (r#""pins":"enforce""#, "rules[0].tools[0]", "no approved definition"),
    (r#""pins":"off","definitions":{"main":{"a":"x"}}"#, "definitions.main.a", "SHA-256"),
    (
        r#""definitions":{"main":{"ok":"0000000000000000000000000000000000000000000000000000000000000000"}}"#,
        "definitions",
        "have no effect",
    ),
    (
        r#""pins":"warn","definitions":{"main":{"ok":"0000000000000000000000000000000000000000000000000000000000000000","b":"0000000000000000000000000000000000000000000000000000000000000000"}}"#,
        "definitions.main.b",
        "no rule allows",
    ),
];

#[track_caller]
fn expect(text: &str, path: &str, part: &str) {
    let found = faults(text);
    let hit = found.iter().any(|fault| fault.path == path && fault.expected.contains(part));
    assert!(hit, "{text}\nwants {path}: {part}\nfound {found:#?}");
}

#[test]
fn a_rule_that_says_nothing_or_too_much_is_refused_with_its_path() {
    for (rules, path, part) in RULES {
        let channels = r#""channels":["main","files"],"#;
        expect(&format!(r#"{{"version":1,{channels}"rules":[{rules}]}}"#), path, part);
    }
}

#[test]
fn a_condition_that_cannot_be_enforced_is_refused_with_its_path() {
    for (schema, path, part) in SCHEMAS {
        let text = format!(
            r#"{{"version":1,"rules":[{{"id":"x","tools":["a"],"arguments":{{"type":"object","properties":{{"p":{schema}}}}}}}]}}"#
        );
        expect(&text, &format!("rules[0].arguments.properties.p{path}"), part);
    }
}

#[test]
fn the_other_members_are_as_strict() {
    for (member, path, part) in MEMBERS {
        expect(&format!(r#"{{"version":1,{member},"rules":[{{"id":"x","tools":["ok"]}}]}}"#), path, part);
    }
    expect(r#"{"rules":[{"id":"x","tools":["ok"]}]}"#, "version", "is missing");
    expect(r#"{"version":2,"rules":[{"id":"x","tools":["ok"]}]}"#, "version", "and is \"2\"");
    expect(r#"{"version":1}"#, "rules", "without a rule");
    expect("[]", "", "must be a map");
    expect("{", "", "not JSON");
    expect(r#"{"version":1,"version":1}"#, "", "key twice");
}

#[test]
fn a_channel_that_is_not_configured_is_refused_where_that_is_known() {
    let text = r#"{"version":1,"channels":["main","files"],"rules":[{"id":"x","tools":["a"],"channels":["files"]}]}"#;
    assert!(load(text, Some(&["main", "files"])).is_ok());
    let found = load(text, Some(&["main"])).unwrap_err();
    let paths: Vec<&str> = found.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(paths, ["channels[1]", "rules[0].channels[0]"]);
}

#[test]
fn the_digest_is_that_of_what_is_said_and_not_of_how() {
    let a = policy(r#"{"version":1,"rules":[{"id":"x","tools":["a"]}]}"#).digest;
    let b = policy(r#"{ "rules":[{"tools":["\u0061"],"id":"x"}], "version":1 }"#).digest;
    let c = policy(r#"{"version":1,"rules":[{"id":"y","tools":["a"]}]}"#).digest;
    assert_eq!((a.len(), &a), (64, &b));
    assert_ne!(a, c);
}

#[test]
fn readme_names_every_key_of_a_policy_and_of_a_rule() {
    let readme = include_str!("../../../README.md");
    let section = readme.split("## Call policy").nth(1).unwrap().split("\n## ").next().unwrap();
    let keys = load::keys();
    assert!(keys.len() > 20);
    for key in keys {
        let spellings = [format!("`{key}`"), format!(".{key}`"), format!("`{key}."), format!("`{key}: ")];
        assert!(spellings.iter().any(|spelling| section.contains(spelling)), "{key}");
    }
}
