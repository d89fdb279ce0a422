//! `audit verify`: the report of a whole directory, and the exit code that it deserves.

use std::path::Path;

use zeroize::Zeroizing;

use super::{Verify, unreadable};
use crate::audit::chain::{Digest, Key, unhex};
use crate::audit::directory::name;
use crate::audit::object::Object;
use crate::audit::verify::{Report, verify};
use crate::commands::{complain, say};
use crate::exit::Exit;

/// Calls without an end that are named in the text.
const NAMED: usize = 20;

pub(super) fn run(wanted: &Verify) -> Exit {
    let key = match wanted.key.as_deref().map(read_key).transpose() {
        Ok(key) => key,
        Err(why) => {
            complain(&why);
            return Exit::NoPerm;
        }
    };
    let Some(checkpoints) = wanted.checkpoint.iter().map(|text| checkpoint(text)).collect::<Option<Vec<_>>>()
    else {
        complain("--checkpoint: give sequence and hash as the log of the service shows them: 12:HASH");
        return Exit::Usage;
    };
    let has_key = key.is_some();
    let report = match verify(Path::new(&wanted.directory), key, &checkpoints) {
        Ok(report) => report,
        Err(e) => return unreadable(&wanted.directory, &e),
    };
    say(&if wanted.json { as_json(&report, has_key) } else { as_text(&report, has_key) });
    if report.problems.is_empty() { Exit::Ok } else { Exit::Data }
}

fn read_key(file: &str) -> Result<Key, String> {
    let text = std::fs::read_to_string(file).map(Zeroizing::new).map_err(|e| format!("{file}: {e}"))?;
    Key::from_hex(text.trim())
        .ok_or_else(|| format!("{file}: is not a key, which is 64 lower-case hex digits"))
}

fn checkpoint(text: &str) -> Option<(u64, Digest)> {
    let (sequence, hash) = text.split_once(':')?;
    Some((sequence.parse().ok()?, unhex(hash)?))
}

fn as_text(report: &Report, has_key: bool) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: String| text.push_str(&format!("{name:<9} {value}\n"));
    let files = match (report.files.first(), report.files.last()) {
        (Some(first), Some(last)) => format!("{} ({} to {})", report.files.len(), name(*first), name(*last)),
        _ => "none".into(),
    };
    row("files", files);
    let span = report.span.map(|(first, last)| format!(" ({first} to {last})")).unwrap_or_default();
    row("records", format!("{}{span}", report.records));
    if let Some((first, last)) = &report.times {
        row("time", format!("{first} to {last}"));
    }
    let keys = if has_key {
        format!("{} of {} records are authentic", report.authentic, report.records)
    } else {
        "not checked: without --key only the order is, and whoever took the machine can make that anew".into()
    };
    row("keys", keys);
    let (permitted, finished) = (report.permitted, report.finished);
    row(
        "calls",
        format!("{permitted} permitted, {finished} finished, {} in progress or in doubt", report.open.len()),
    );
    for (call, request, sequence) in report.open.iter().take(NAMED) {
        row(
            "",
            format!("{} ({}), decided in record {sequence}", call.escape_debug(), request.escape_debug()),
        );
    }
    if report.open.len() > NAMED {
        row("", format!("and {} more; --json names all", report.open.len() - NAMED));
    }
    for note in &report.notes {
        row("note", note.clone());
    }
    for problem in &report.problems {
        row("PROBLEM", problem.clone());
    }
    if report.more > 0 {
        row("PROBLEM", format!("and {} more", report.more));
    }
    row(
        "result",
        if report.problems.is_empty() {
            "nothing is wrong".into()
        } else {
            "this log was damaged or changed".into()
        },
    );
    text
}

fn as_json(report: &Report, has_key: bool) -> String {
    let texts = |texts: &[String]| serde_json::to_string(texts).unwrap_or_default();
    let open = report.open.iter().map(|(call, request_id, sequence)| {
        let mut open = Object::default();
        open.text("call", call).text("request_id", request_id).number("sequence", *sequence).json()
    });
    let open = format!("[{}]", open.collect::<Vec<_>>().join(","));
    let mut calls = Object::default();
    calls.number("permitted", report.permitted).number("finished", report.finished).raw("open", &open);
    let mut all = Object::default();
    all.number("version", 1);
    all.raw("files", &texts(&report.files.iter().map(|file| name(*file)).collect::<Vec<_>>()));
    all.number("records", report.records).count("authentic", has_key.then_some(report.authentic));
    all.count("first", report.span.map(|s| s.0)).count("last", report.span.map(|s| s.1));
    all.object("calls", &calls).raw("notes", &texts(&report.notes)).raw("problems", &texts(&report.problems));
    all.number("more_problems", report.more).json()
}
