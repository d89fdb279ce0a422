//! The JSON Schema (2020-12) of the file, for editors: made from the tables that the reader of the file goes by.
//!
//! Pure. It says less than the checks do: what depends on other settings or on the machine is theirs. It refuses what they
//! take in three points, where an editor does well to mind: numbers and truth values in quotes, `yes` and `no`, and words in
//! other than small letters.

use super::settings::{Row, Settings, settings};
use crate::policy::string;

/// A duration as Go writes it.
const DURATION: &str = r"^\+?(0|([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+)$";
const ID: &str = r"^\s*tunnel_[a-z0-9]{32}\s*$";

/// The schema.
#[must_use]
pub fn schema() -> String {
    let table = settings();
    let mut out =
        String::from(r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","title":"tunnelward","#);
    members(&table, "", &mut out);
    out.push_str("}\n");
    out
}

/// `type` and `properties` of the map whose paths begin with `prefix`, without the braces around them.
fn members(table: &Settings, prefix: &str, out: &mut String) {
    out.push_str(if prefix.is_empty() { r#""type":"object""# } else { r#""type":["object","null"]"# });
    out.push_str(r#","additionalProperties":false,"properties":{"#);
    let mut before = None;
    for row in table.rows() {
        let name =
            row.path.strip_prefix(prefix).map(|rest| rest.split(['.', '[']).next().unwrap_or_default());
        let Some(name) = name.filter(|name| before != Some(*name)) else { continue };
        if before.is_some() {
            out.push(',');
        }
        before = Some(name);
        string(name, out);
        out.push_str(":{");
        let path = format!("{prefix}{name}");
        match table.row(&path) {
            Some(row) => value(table, row, out),
            None => members(table, &format!("{path}."), out),
        }
        out.push('}');
    }
    out.push('}');
}

/// What stands in the braces of a setting.
fn value(table: &Settings, row: Row<'_>, out: &mut String) {
    if !row.about.is_empty() {
        out.push_str(r#""description":"#);
        string(row.about, out);
        out.push(',');
    }
    let (kind, bounds) = row.kind.split_once(' ').unwrap_or((row.kind, ""));
    if !row.default.is_empty() {
        out.push_str(r#""default":"#);
        match kind {
            "truth" | "whole" => out.push_str(row.default),
            _ => string(row.default, out),
        }
        out.push(',');
    }
    let inside = format!("{}.", row.path);
    match kind {
        "truth" => out.push_str(r#""type":["boolean","null"]"#),
        "whole" => {
            let (least, most) = bounds.split_once(' ').unwrap_or_default();
            out.push_str(&format!(r#""type":["integer","null"],"minimum":{least},"maximum":{most}"#));
        }
        "word" => {
            out.push_str(r#""enum":["#);
            for word in bounds.split(',') {
                string(word, out);
                out.push(',');
            }
            out.push_str("null]");
        }
        // A number without a unit can only be 0.
        "duration" => pattern(r#"["string","integer","null"],"minimum":0,"maximum":0"#, DURATION, out),
        "id" => pattern(r#"["string","null"]"#, ID, out),
        "name" => out.push_str(r#""type":["string","integer","null"]"#),
        "texts" => out.push_str(r#""type":["array","null"],"items":{"type":["string","integer"]}"#),
        "networks" => out.push_str(r#""type":["array","string","null"],"items":{"type":"string"}"#),
        "ports" => {
            out.push_str(r#""type":["array","null"],"items":{"type":"integer","minimum":1,"maximum":65535}"#)
        }
        "headers" => out.push_str(
            r#""type":["object","null"],"additionalProperties":{"type":["string","number","boolean"]}"#,
        ),
        "entries" => {
            out.push_str(r#""type":["array","null"],"items":{"#);
            members(table, &format!("{}[].", row.path), out);
            out.push('}');
        }
        "map" => members(table, &inside, out),
        "policy" => {
            out.push_str(r#""anyOf":[{"type":"string","pattern":"^\\s*file:.+$"},{"#);
            members(table, &inside, out);
            out.push_str("}]");
        }
        "any" => out.push_str(r#""type":["object","null"],"additionalProperties":true"#),
        _ => out.push_str(r#""type":["string","null"]"#),
    }
}

fn pattern(kinds: &str, pattern: &str, out: &mut String) {
    out.push_str(&format!(r#""type":{kinds},"pattern":"#));
    string(pattern, out);
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
