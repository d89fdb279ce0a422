//! README and SECURITY say what is: the settings that exist, the tests that show a claim.

use std::collections::BTreeSet;
use std::path::Path;

use crate::place::repository;
use tunnelward::config::keys::{self, Standing};

fn read(name: &str) -> String {
    std::fs::read_to_string(repository().join(name)).unwrap()
}

/// The names of all functions that are tests, below `src` and `tests`.
fn tests() -> BTreeSet<String> {
    fn walk(dir: &Path, names: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, names);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                // Between the attribute and the name there may be other attributes and `async`.
                for (at, _) in text.match_indices("test]").chain(text.match_indices("test(")) {
                    let rest = text.get(at..).unwrap_or_default();
                    let name =
                        rest.split_once("fn ").map(|(_, rest)| rest.split('(').next().unwrap_or_default());
                    names.extend(name.map(str::to_string));
                }
            }
        }
    }
    let mut names = BTreeSet::new();
    for dir in ["src", "tests"] {
        walk(&repository().join(dir), &mut names);
    }
    names
}

/// What stands in backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_claim_of_security_md_names_tests_that_exist() {
    let text = read("SECURITY.md");
    let tests = tests();
    let mut named = 0;
    for shown in text.split("Shown by:").skip(1) {
        let list = shown.split(".\n").next().unwrap();
        for name in quoted(list) {
            named += 1;
            assert!(tests.contains(name), "SECURITY.md names the test {name}, which does not exist");
        }
    }
    assert!(named >= 25, "{named} tests named");
}

#[test]
fn the_table_of_readme_has_every_setting_of_our_own_and_no_other() {
    let readme = read("README.md");
    let table = readme.split("### Settings that").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows: BTreeSet<&str> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .flat_map(|line| quoted(line.split('|').nth(1).unwrap()))
        // Members of the entries of a list are not rows of the parser's table.
        .filter(|key| !key.contains("[]"))
        .collect();
    let own: BTreeSet<&str> = keys::ALL
        .iter()
        .filter(|key| key.flag.is_empty() && key.env.is_empty() && key.standing == Standing::Used)
        .map(|key| key.yaml)
        .filter(|key| *key != "config_version")
        .collect();
    assert_eq!(rows, own);
}

#[test]
fn the_defaults_of_readme_are_those_of_config_show_and_of_the_schema() {
    let readme = read("README.md");
    let table = readme.split("### Settings that").nth(1).unwrap().split("\n## ").next().unwrap();
    let settings = tunnelward::config::settings::settings();
    let mut compared = 0;
    for line in table.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        for path in quoted(cells[1]) {
            let row =
                settings.row(path).unwrap_or_else(|| panic!("{path} is not in src/config/settings.txt"));
            let default = match cells[3].split_once(" MiB") {
                Some((number, _)) => (number.parse::<u64>().unwrap() << 20).to_string(),
                None => cells[3].trim_matches(['`', '"']).to_string(),
            };
            // What is none, or is said in words.
            let words = default.starts_with("none") || default.contains("the ") || default == "all";
            if !words && !path.starts_with("confinement.user") && !path.starts_with("confinement.group") {
                assert_eq!(row.default, default, "{path}");
                compared += 1;
            }
        }
    }
    assert!(compared >= 25, "{compared} defaults compared");
}
