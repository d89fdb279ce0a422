use std::collections::BTreeSet;

use super::*;

#[test]
fn no_name_stands_for_two_settings() {
    for name in [|k: &Key| k.yaml, |k: &Key| k.flag, |k: &Key| k.env] {
        let names: Vec<&str> = ALL.iter().map(name).filter(|n| !n.is_empty()).collect();
        assert_eq!(names.len(), names.iter().collect::<BTreeSet<_>>().len());
    }
}

#[test]
fn a_flag_has_a_variable() {
    for key in ALL {
        assert!(key.flag.is_empty() || !key.env.is_empty(), "{key:?}");
    }
}

#[test]
fn flags_stay_apart_when_dots_become_hyphens() {
    let kebab: BTreeSet<String> =
        ALL.iter().filter(|k| !k.flag.is_empty()).map(|k| k.flag.replace('.', "-")).collect();
    assert_eq!(kebab.len(), ALL.iter().filter(|k| !k.flag.is_empty()).count());
}
