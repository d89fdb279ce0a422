//! `audit show`: records for people, or as they are.

use std::collections::HashSet;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use super::{Show, Times, unreadable};
use crate::audit::view::{self, View};
use crate::exit::Exit;

pub(super) fn run(wanted: &Show) -> Exit {
    let times = match Times::new(wanted.since.as_ref(), wanted.until.as_ref()) {
        Ok(times) => times,
        Err(exit) => return exit,
    };
    let mut out = BufWriter::new(io::stdout().lock());
    // The calls whose decision was shown: the record of the end names neither tool nor decision.
    let mut shown = HashSet::new();
    let mut gone = false;
    let result = view::each(Path::new(&wanted.directory), |view, line| {
        if gone || !is_wanted(wanted, view, &mut shown) || !times.hold(&view.time) {
            return;
        }
        let written =
            if wanted.json { writeln!(out, "{line}") } else { writeln!(out, "{}", row(view, line)) };
        // A reader that has seen enough.
        gone = written.is_err();
    });
    drop(out.flush());
    result.map_or_else(|e| unreadable(&wanted.directory, &e), |()| Exit::Ok)
}

fn is_wanted(wanted: &Show, view: &View, shown: &mut HashSet<String>) -> bool {
    let is =
        |wanted: &Option<String>, found: Option<&String>| wanted.as_ref().is_none_or(|w| Some(w) == found);
    if !is(&wanted.event, Some(&view.event)) {
        return false;
    }
    let call = wanted.call.as_ref();
    if call.is_some() && view.call.as_ref() != call && view.request_id.as_ref() != call {
        return false;
    }
    let by_call = wanted.tool.is_some() || wanted.decision.is_some();
    if !by_call {
        return true;
    }
    match (&*view.event, &view.call) {
        ("call_decided", call) => {
            let found = is(&wanted.tool, view.name.as_ref()) && is(&wanted.decision, view.decision.as_ref());
            if let (true, Some(call)) = (found, call) {
                shown.insert(call.clone());
            }
            found
        }
        ("call_finished", Some(call)) => shown.remove(call),
        ("call_in_doubt", Some(call)) => shown.contains(call),
        _ => false,
    }
}

/// Number, time, event, and what else the record says, in its order; without what every record has.
fn row(view: &View, line: &str) -> String {
    const EVERY: [&str; 8] = ["v", "seq", "time", "mono_us", "boot", "prev", "event", "mac"];
    let mut text = format!(
        "{:>8}  {}  {:<15}",
        view.seq,
        view.time.escape_debug(),
        view.event.escape_debug().to_string()
    );
    let all: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap_or_default();
    for (name, value) in all.iter().filter(|(name, _)| !EVERY.contains(&name.as_str())) {
        let value = match value {
            serde_json::Value::String(value) => value.clone(),
            value => value.to_string(),
        };
        // Digests are for machines; what tells two apart is enough here.
        let value = if value.len() == 64 && value.bytes().all(|b| b.is_ascii_hexdigit()) {
            format!("{}…", value.get(..12).unwrap_or_default())
        } else {
            value
        };
        text.push_str(&format!(" {name}={}", value.escape_debug()));
    }
    text
}
