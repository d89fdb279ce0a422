use super::*;
use crate::policy::load;

fn offer() -> Offer {
    Offer {
        channel: "main".into(),
        tools: vec![
            r#"{"name":"read","annotations":{"readOnlyHint":true},"inputSchema":{"type":"object","$schema":"http://json-schema.org/draft-07/schema#","required":["path"],
               "properties":{"path":{"type":"string","format":"uri","minLength":1,"description":"x\ny"},"n":{"type":"integer","multipleOf":2,"minimum":0},
               "p":{"type":"string","pattern":"loose"},"who":{"anyOf":[{"type":"string"},{"type":"null"}]},"k":{"enum":["a","b"]},"r":{"$ref":"x"}},"additionalProperties":false}}"#.into(),
            r#"{"name":"write","inputSchema":{"type":"object","properties":{"x":{"type":"string"}}}}"#.into(),
            r#"{"name":"odd\n  - id: evil\u2028\ud83d\ude00","annotations":{"readOnlyHint":true}}"#.into(),
            r#"{"name":"quoted\" # \u00e9","annotations":{"readOnlyHint":true},"inputSchema":{"type":"object"}}"#.into(),
            r#"{"name":"read","annotations":{"readOnlyHint":true}}"#.into(),
            "{".into(),
        ],
        prompts: vec!["greet".into()],
        resources: vec!["doc://a\nversion: 2".into()],
        failed: None,
    }
}

#[test]
fn read_only_tools_are_allowed_and_pinned_and_all_else_is_a_comment() {
    let text = suggest(&[offer()]);
    let lines: Vec<&str> = text.lines().collect();
    for line in [
        "  - id: main-1",
        "    tools: [\"read\"]",
        "  # - id: main-2",
        "  #   tools: [\"write\"]",
        "  #   arguments: {\"type\":\"object\",\"properties\":{\"x\":{\"type\":\"string\"}}}",
        "  # not enforced: arguments.path.format",
        "  # not enforced: arguments.n.multipleOf",
        "  # not enforced: arguments.p.pattern",
        "  # not enforced: arguments.r.$ref",
        "    tools: [\"quoted\\\" # \\u00e9\"]",
        "  # - {id: main-4, channels: [main], prompts: [\"greet\"]}",
        "  # - {id: main-5, channels: [main], resources: [\"doc://a\\u000aversion: 2\"]}",
    ] {
        assert!(lines.contains(&line), "{line}\nin\n{text}");
    }
    let arguments = r#"    arguments: {"type":"object","required":["path"],"properties":{"path":{"type":"string","minLength":1},"n":{"type":"integer","minimum":0},"p":{"type":"string"},"who":{"anyOf":[{"type":"string"},{"type":"null"}]},"k":{"enum":["a","b"]},"r":{}},"additionalProperties":false}"#;
    assert!(lines.contains(&arguments), "{text}");
    assert!(text.is_ascii() && !text.contains("evil"));
}

#[test]
fn differences_are_what_changed_what_went_and_what_came() {
    let digest = |raw: &str| canonical::definition(&json::read(raw.as_bytes(), 100).unwrap()).unwrap();
    let same = r#"{"name":"same"}"#;
    let policy = format!(
        r#"{{"version":1,"pins":"enforce","rules":[{{"id":"x","tools":["same","other","gone"]}}],"definitions":{{"main":{{"same":"{}","other":"{}","gone":"{}"}}}}}}"#,
        digest(same),
        digest(r#"{"name":"other"}"#),
        digest(same),
    );
    let policy = load(&policy, None).unwrap();
    let changed = r#"{"name":"other","description":"x"}"#;
    let offer = |tools: &[&str]| Offer {
        channel: "main".into(),
        tools: tools.iter().map(|t| (*t).to_owned()).collect(),
        ..Offer::default()
    };
    let found = differences(&policy, &[offer(&[same, changed, r#"{"name":"new"}"#])]);
    let expected = format!(
        "changed main: \"other\" {}\nnew main: \"new\" {}\ngone main: \"gone\"\n",
        digest(changed),
        digest(r#"{"name":"new"}"#)
    );
    assert_eq!(found, expected);
}
