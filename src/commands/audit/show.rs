//! `audit show`: records for people, or as they are.

use std::collections::HashSet;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use super::{Show, Times, unreadable};
use crate::audit::chain::Members;
use crate::audit::view;
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
    let result = view::each(Path::new(&wanted.directory), &mut |record, line| {
        if gone || !is_wanted(wanted, record, &mut shown) || !times.hold(record) {
            return;
        }
        let written = if wanted.json { writeln!(out, "{line}") } else { writeln!(out, "{}", row(record)) };
        // A reader that has seen enough.
        gone = written.is_err();
    });
    drop(out.flush());
    result.map_or_else(|e| unreadable(&wanted.directory, &e), |()| Exit::Ok)
}

fn is_wanted(wanted: &Show, record: &Members, shown: &mut HashSet<String>) -> bool {
    let is = |wanted: &Option<String>, name: &str| {
        wanted.as_ref().is_none_or(|w| Some(w.as_str()) == record.text(name))
    };
    if !is(&wanted.event, "event") || !(is(&wanted.call, "call") || is(&wanted.call, "request_id")) {
        return false;
    }
    if wanted.tool.is_none() && wanted.decision.is_none() {
        return true;
    }
    match (record.text("event").unwrap_or_default(), record.text("call")) {
        ("call_decided", call) => {
            let found = is(&wanted.tool, "name") && is(&wanted.decision, "decision");
            if let (true, Some(call)) = (found, call) {
                shown.insert(call.to_string());
            }
            found
        }
        ("call_finished", Some(call)) => shown.remove(call),
        ("call_in_doubt", Some(call)) => shown.contains(call),
        _ => false,
    }
}

/// Number, time, event, and what else the record says; without what every record has.
fn row(record: &Members) -> String {
    const EVERY: [&str; 8] = ["v", "seq", "time", "mono_us", "boot", "prev", "event", "mac"];
    let number = record.number("seq").unwrap_or_default();
    let [time, event] =
        ["time", "event"].map(|name| record.text(name).unwrap_or_default().escape_debug().to_string());
    let mut text = format!("{number:>8}  {time}  {event:<15}");
    for (name, value) in record.iter().filter(|(name, _)| !EVERY.contains(name)) {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        // Digests are for machines; what tells two apart is enough here.
        let is_digest = value.len() == 64 && value.bytes().all(|b| b.is_ascii_hexdigit());
        let (value, more) =
            if is_digest { (value.get(..12).unwrap_or_default(), "…") } else { (value.as_str(), "") };
        text.push_str(&format!(" {}={}{more}", name.escape_debug(), value.escape_debug()));
    }
    text.truncate(text.trim_end().len());
    text
}
