use std::collections::BTreeSet;

use super::*;
use crate::config::keys::{ALL, Standing};
use crate::config::{check, duration};

#[test]
fn every_setting_has_a_row_and_every_row_is_a_setting() {
    let table = settings();
    let rows: Vec<&str> = table.rows().map(|row| row.path).collect();
    assert_eq!(rows.len(), rows.iter().collect::<BTreeSet<_>>().len());
    // Those of cloudflared are refused in any form: there is nothing to say about them.
    let own = ALL.iter().filter(|key| !key.yaml.is_empty() && key.standing != Standing::Cloudflared);
    let own: BTreeSet<String> = own.map(|key| key.yaml.to_string()).collect();
    let members: BTreeSet<String> = check::members().into_iter().collect();
    let expected: BTreeSet<String> = own.union(&members).cloned().collect();
    // What is not supported is described for editors, and has no reader whose members could be compared.
    let found: BTreeSet<String> =
        rows.iter().filter(|path| !path.starts_with("harpoon.targets[]")).map(|p| (*p).to_string()).collect();
    assert_eq!(found, expected);
}

#[test]
fn rows_of_one_section_follow_each_other() {
    let table = settings();
    let mut seen = BTreeSet::new();
    let mut before = "";
    for row in table.rows() {
        let section = row.path.rsplit_once('.').map_or("", |(section, _)| section);
        let top = section.split(['.', '[']).next().unwrap();
        if top != before && !top.is_empty() {
            assert!(seen.insert(top.to_string()), "{top} is torn apart at {}", row.path);
        }
        before = top;
    }
}

#[test]
fn defaults_are_of_their_kind() {
    for row in settings().rows().filter(|row| !row.default.is_empty()) {
        let good = match row.kind.split(' ').next().unwrap() {
            "whole" => row.default.parse::<i64>().is_ok(),
            "truth" => matches!(row.default, "true" | "false"),
            "duration" => duration::parse(row.default).is_some(),
            "word" => row.kind[5..].split(',').any(|word| word == row.default),
            _ => true,
        };
        assert!(good, "{row:?}");
    }
}
