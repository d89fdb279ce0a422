//! `audit export`: calls in the forms of other systems. One line is one call: its decision and its end together.
//!
//! ECS 8.17 (categories `api`), OCSF 1.4.0 API Activity (class 6003), CEF 0. What these have no field for stays in the log.

use std::collections::HashMap;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use serde_json::{Value, json};

use super::{Export, unreadable};
use crate::audit::view::{self, View};
use crate::commands::complain;
use crate::exit::Exit;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A call, as far as the log knows it.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) decided: View,
    /// `None` when it was not permitted, or has no end.
    pub(super) finished: Option<View>,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Success,
    Failure,
    Unknown,
}

pub(super) fn run(wanted: &Export) -> Exit {
    let render: fn(&Call) -> String = match wanted.format.as_str() {
        "ecs" => |call| ecs(call).to_string(),
        "ocsf" => |call| ocsf(call).to_string(),
        "cef" => cef,
        _ => {
            complain("--format must be ecs, ocsf or cef");
            return Exit::Usage;
        }
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let (mut open, mut gone) = (HashMap::new(), false);
    let mut put = |call: &Call| gone = gone || writeln!(out, "{}", render(call)).is_err();
    let result = view::each(Path::new(&wanted.directory), |view, _| match (&*view.event, &view.call) {
        ("call_decided", None) => put(&Call { decided: view.clone(), finished: None }),
        ("call_decided", Some(call)) => drop(open.insert(call.clone(), view.clone())),
        ("call_finished", Some(call)) => {
            if let Some(decided) = open.remove(call) {
                put(&Call { decided, finished: Some(view.clone()) });
            }
        }
        _ => {}
    });
    let mut without_end: Vec<View> = open.into_values().collect();
    without_end.sort_by_key(|view| view.seq);
    for decided in without_end {
        put(&Call { decided, finished: None });
    }
    drop(out.flush());
    result.map_or_else(|e| unreadable(&wanted.directory, &e), |()| Exit::Ok)
}

impl Call {
    fn last(&self) -> &View {
        self.finished.as_ref().unwrap_or(&self.decided)
    }

    fn was_permitted(&self) -> bool {
        self.decided.call.is_some()
    }

    fn outcome(&self) -> Outcome {
        match &self.finished {
            None if self.was_permitted() => Outcome::Unknown,
            None => Outcome::Failure,
            Some(end) if end.outcome.as_deref() == Some("answered") && end.status.is_none_or(|s| s < 400) => {
                Outcome::Success
            }
            Some(_) => Outcome::Failure,
        }
    }

    fn operation(&self) -> &str {
        self.decided.method.as_deref().unwrap_or("session termination")
    }

    fn decision(&self) -> &str {
        self.decided.decision.as_deref().unwrap_or_default()
    }
}

pub(super) fn ecs(call: &Call) -> Value {
    let (decided, last) = (&call.decided, call.last());
    let outcome = match call.outcome() {
        Outcome::Success => "success",
        Outcome::Failure => "failure",
        Outcome::Unknown => "unknown",
    };
    let end = call.finished.as_ref();
    pruned(json!({
        "@timestamp": last.time,
        "ecs": {"version": "8.17.0"},
        "event": {
            "kind": "event",
            "category": ["api"],
            "type": ["access", if call.was_permitted() { "allowed" } else { "denied" }],
            "action": call.operation(),
            "outcome": outcome,
            "id": decided.call,
            "reason": call.decision(),
            "sequence": last.seq,
            "duration": end.and_then(|e| e.ms).map(|ms| ms.saturating_mul(1_000_000)),
            "dataset": "tunnelward.audit",
            "module": "tunnelward",
        },
        "http": {
            "request": {"id": decided.request_id, "body": {"bytes": decided.request_bytes}},
            "response": {"status_code": end.and_then(|e| e.status), "body": {"bytes": end.and_then(|e| e.result_bytes)}},
        },
        "observer": {"product": "tunnelward", "vendor": "tunnelward", "type": "proxy", "version": VERSION},
        "service": {"name": decided.channel},
        "trace": {"id": decided.trace},
        "labels": {"mcp_name": decided.name},
    }))
}

pub(super) fn ocsf(call: &Call) -> Value {
    let (decided, last) = (&call.decided, call.last());
    let (status_id, status, severity_id) = match call.outcome() {
        Outcome::Success => (1, "Success", 1),
        Outcome::Failure => (2, "Failure", 2),
        Outcome::Unknown => (0, "Unknown", 2),
    };
    let end = call.finished.as_ref();
    let resource = decided.name.as_ref().map(|name| json!([{"name": name, "type": call.operation()}]));
    pruned(json!({
        "category_uid": 6,
        "class_uid": 6003,
        "activity_id": 99,
        "activity_name": call.operation(),
        "type_uid": 600_399,
        "severity_id": severity_id,
        "status_id": status_id,
        "status": status,
        "status_detail": call.decision(),
        "time": epoch_ms(&last.time),
        "duration": end.and_then(|e| e.ms),
        "actor": {"app_name": "Secure MCP Tunnel", "session": {"uid": decided.session}},
        "api": {
            "operation": call.operation(),
            "service": {"name": decided.channel},
            "request": {"uid": decided.request_id},
            "response": {"code": end.and_then(|e| e.status)},
        },
        "src_endpoint": {"svc_name": "Secure MCP Tunnel"},
        "resources": resource,
        "metadata": {
            "version": "1.4.0",
            "uid": decided.call,
            "sequence": last.seq,
            "correlation_uid": decided.trace,
            "product": {"name": "tunnelward", "vendor_name": "tunnelward", "version": VERSION},
        },
    }))
}

pub(super) fn cef(call: &Call) -> String {
    let (decided, last) = (&call.decided, call.last());
    let (outcome, severity) = match call.outcome() {
        Outcome::Success => ("success", 1),
        Outcome::Failure => ("failure", 5),
        Outcome::Unknown => ("unknown", 5),
    };
    let end = call.finished.as_ref();
    let number = |n: Option<u64>| n.map(|n| n.to_string());
    let text = |t: &Option<String>| t.clone();
    let fields = [
        ("rt", epoch_ms(&last.time).map(|ms| ms.to_string())),
        ("act", text(&decided.decision)),
        ("outcome", Some(outcome.into())),
        ("externalId", text(&decided.call)),
        ("in", number(decided.request_bytes)),
        ("out", number(end.and_then(|e| e.result_bytes))),
        ("cn1Label", number(end.and_then(|e| e.ms)).map(|_| "milliseconds".into())),
        ("cn1", number(end.and_then(|e| e.ms))),
        ("cs1Label", decided.channel.as_ref().map(|_| "channel".into())),
        ("cs1", text(&decided.channel)),
        ("cs2Label", decided.name.as_ref().map(|_| "name".into())),
        ("cs2", text(&decided.name)),
        ("cs3Label", decided.request_id.as_ref().map(|_| "request".into())),
        ("cs3", text(&decided.request_id)),
    ];
    let fields = fields.into_iter().filter_map(|(key, value)| {
        let value =
            value?.replace('\\', "\\\\").replace('=', "\\=").replace('\r', "\\r").replace('\n', "\\n");
        // What a terminal or a parser might obey.
        let value = value.replace(char::is_control, "?");
        Some(format!("{key}={value}"))
    });
    let name = call.operation().replace('\\', "\\\\").replace('|', "\\|").replace(char::is_control, "?");
    let extension = fields.collect::<Vec<_>>().join(" ");
    format!("CEF:0|tunnelward|tunnelward|{VERSION}|{}|{name}|{severity}|{extension}", last.event)
}

/// Without members that are null, and without objects that have none left.
fn pruned(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, value)| (name, pruned(value)));
            Value::Object(
                members
                    .filter(|(_, v)| !v.is_null() && v.as_object().is_none_or(|o| !o.is_empty()))
                    .collect(),
            )
        }
        other => other,
    }
}

/// Milliseconds since 1970 of a time that the log wrote.
fn epoch_ms(time: &str) -> Option<u64> {
    let number = |from: usize, to: usize| time.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    // Days before a date in years that begin in March, so that a leap day is the last of its year.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days = (365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day).checked_sub(719_469)?;
    let seconds = days * 86_400 + number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?;
    Some(seconds * 1000 + number(20, 23)?)
}
