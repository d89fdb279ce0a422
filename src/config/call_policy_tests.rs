use std::collections::BTreeMap;

use super::*;

fn checked(yaml: &str) -> Result<String, Vec<String>> {
    let place = Place { file: Some(Path::new("p.yaml").into()), line: Some(1), path: "policy".into() };
    check(&tree::parse(yaml).unwrap(), &Origin::inline(place), None)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

#[test]
fn scalars_without_quotes_are_numbers_and_truth_values_and_all_else_is_text() {
    let yaml = "version: 1\nrules:\n- id: x\n  tools: [a]\n  arguments:\n    type: object\n    properties:\n      a: {enum: [1, \"1\", 1.50, yes, 'true', true, 1e3, null, 0x10]}\n";
    let text = checked(yaml).unwrap();
    assert!(text.contains(r#"{"enum":[1,"1",1.50,"yes","true",true,1e3,null,"0x10"]}"#), "{text}");
}

#[test]
fn problems_have_the_line_and_the_path_of_the_profile() {
    let yaml = "version: 1\nmode: loud\nrules:\n- id: x\n  tools: [a]\n  arguments:\n    type: object\n    properties:\n      a:\n        type: string\n        format: uri\n- id: y\n  tools: ['b*']\n  tools: [c]\n";
    let problems = checked(yaml).unwrap_err();
    let starts = [
        "p.yaml:14: policy.rules[1].tools: duplicate key",
        "p.yaml:2: policy.mode: must be enforce or monitor; found \"\\\"loud\\\"\"",
        "p.yaml:11: policy.rules[0].arguments.properties.a.format: \"format\" is not enforced",
        "p.yaml:13: policy.rules[1].tools[0]: a * is not enforced",
    ];
    assert_eq!(problems.len(), starts.len(), "{problems:#?}");
    for (problem, start) in problems.iter().zip(starts) {
        assert!(problem.starts_with(start), "{problem}\n{start}");
    }
}

#[test]
fn a_file_is_a_policy_or_a_profile_with_one() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let accounts = &crate::config::Accounts::of(Path::new("/etc"));
    let host = super::super::Host { env: &BTreeMap::new(), uid: 1, gid: 1, accounts };
    let plain = write("a.yaml", "version: 1\nrules: [{id: x, tools: [a]}]\n");
    let inline = write("b.yaml", "config_version: 1\npolicy: {version: 1, rules: [{id: x, tools: [a]}]}\n");
    let named = write("c.yaml", &format!("policy: file:{}\n", plain.display()));
    let texts: Vec<_> = [&plain, &inline, &named].iter().map(|path| any(path, host).unwrap()).collect();
    assert_eq!(texts, [r#"{"version":1,"rules":[{"id":"x","tools":["a"]}]}"#; 3]);
    let missing = any(&dir.path().join("d.yaml"), host).unwrap_err();
    assert!(missing[0].to_string().contains("no such file"), "{}", missing[0]);
    let broken = any(&write("e.yaml", "a: [\n"), host).unwrap_err();
    assert!(broken[0].to_string().contains("not valid YAML"), "{}", broken[0]);
}
