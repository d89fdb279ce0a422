//! Slips of the keyboard, in every section of the file and in every flag: what was meant is suggested.

use super::*;
use crate::config::argv;
use crate::config::keys::ALL;
use crate::config::settings::settings;

/// The usual slips: a character too few, two exchanged, one too many.
fn slips(word: &str) -> Vec<String> {
    let at = word.len() / 2;
    let (head, tail) = word.split_at(at);
    let mut without = word.to_string();
    without.remove(at);
    let mut exchanged: Vec<char> = word.chars().collect();
    exchanged.swap(at - 1, at);
    vec![without, exchanged.into_iter().collect(), format!("{head}x{tail}")]
}

/// A file with a value at a path of the table of settings.
fn file(path: &str) -> String {
    let mut text = String::new();
    let mut depth = 0;
    let parts: Vec<&str> = path.split('.').collect();
    for (n, part) in parts.iter().enumerate() {
        let last = n + 1 == parts.len();
        let name = part.trim_end_matches("[]");
        text += &format!("{}{name}:{}", " ".repeat(depth), if last { " 1\n" } else { "\n" });
        depth += 1;
        if part.ends_with("[]") {
            text += &format!("{}-\n", " ".repeat(depth));
            depth += 1;
        }
    }
    text
}

#[test]
fn a_slip_in_any_key_of_the_file_is_answered_with_the_key_that_was_meant() {
    let table = settings();
    let mut tried = 0;
    // What is not supported is refused as a whole.
    for row in table.rows().filter(|row| !row.path.starts_with("harpoon.targets[]")) {
        let (section, name) = row.path.rsplit_once('.').map_or(("", row.path), |(s, n)| (s, n));
        let legal = |slip: &str| table.rows().any(|row| row.path.rsplit('.').next() == Some(slip));
        for slip in slips(name).into_iter().filter(|slip| slip != name && !legal(slip)) {
            let path = if section.is_empty() { slip.clone() } else { format!("{section}.{slip}") };
            let problems = base().without("MCP_SERVER_URL").yaml(&file(&path)).run().unwrap_err();
            let unknown = format!("unknown key \"{slip}\"; ");
            let problem = problems.iter().find(|p| p.contains(&unknown));
            let problem = problem.unwrap_or_else(|| panic!("{path}: {problems:#?}"));
            assert!(problem.ends_with(&format!("did you mean {name}?")), "{problem}");
            tried += 1;
        }
    }
    assert!(tried > 300, "{tried}");
    // Sections themselves.
    for (slip, meant) in
        [("contol_plane", "control_plane"), ("mpc", "mcp"), ("lgo", "log"), ("polcy", "policy")]
    {
        let problems = base().yaml(&format!("{slip}: {{}}")).run().unwrap_err().join("\n");
        says(&problems, &format!("unknown key \"{slip}\"; did you mean {meant}?"));
    }
}

#[test]
fn a_setting_in_the_wrong_section_is_answered_with_its_place() {
    says(
        &base().yaml("tunnel_id: x").bad(),
        "unknown key \"tunnel_id\"; did you mean control_plane.tunnel_id?",
    );
    says(&base().yaml("mcp: {check_interval: 1s}").bad(), "did you mean proxy.check_interval?");
    // One of several: all that is legal here.
    says(&base().yaml("restart: {http_proxy: x}").bad(), "legal here: backoff_max");
}

#[test]
fn a_slip_in_any_flag_is_answered_with_the_flag_that_was_meant() {
    for key in ALL.iter().filter(|key| !key.flag.is_empty()) {
        for spelled in [key.flag.to_string(), key.flag.replace('.', "-")] {
            for slip in slips(&spelled) {
                if slip == spelled || argv::find(&format!("--{slip}")).is_some() {
                    continue;
                }
                let error = argv::normalise(&[format!("--{slip}=x")]).unwrap_err().to_string();
                let dotted = format!("unknown flag: --{slip}; did you mean --{}?", key.flag);
                let kebab = dotted.replace(&format!("--{}?", key.flag), &format!("{}?", argv::option(key)));
                assert!(error == dotted || error == kebab, "{error}");
            }
        }
    }
    let error = argv::normalise(&["--control-plane.pol-timeout", "1s"]).unwrap_err().to_string();
    assert_eq!(
        error,
        "unknown flag: --control-plane.pol-timeout; did you mean --control-plane.poll-timeout?"
    );
}
