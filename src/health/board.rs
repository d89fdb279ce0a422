//! What `/status` says, as a person reads it: lines of at most 80 columns, the worst first. Pure.
//!
//! The document may be anybody's: what is not there, or is not what it should be, is shown as a dash, and every text is
//! cut to its column. Control characters are left for whoever prints the lines to escape.

use serde_json::Value;

/// The longest text outside of the table.
const MAX_TEXT: usize = 300;
/// Rows of one list; there are 31 channels and 20 calls.
const MAX_ROWS: usize = 32;
/// Of a digest that is shown.
const DIGEST: usize = 12;
const DAY: u64 = 86_400;

/// All of it.
#[must_use]
pub fn lines(status: &Value) -> Vec<String> {
    let now = number(&status["started_at"]).saturating_add(number(&status["uptime_seconds"]));
    let mut out = Vec::new();
    standing(status, now, &mut out);
    out.push(String::new());
    control_plane(status, &mut out);
    calls(status, &mut out);
    out.push(String::new());
    channels(status, &mut out);
    out.push(String::new());
    house(status, now, &mut out);
    recent(status, &mut out);
    out
}

/// One line, and one for each reason.
fn standing(status: &Value, now: u64, out: &mut Vec<String>) {
    let word = if status["ready"] == true { "READY" } else { "NOT READY" };
    let since = match status["since"].as_u64() {
        Some(since) => format!(" since {}", span(now.saturating_sub(since))),
        None => String::new(),
    };
    let mut line = format!(
        "{word}{since}; tunnelward {}, up {}",
        text(&status["agent_version"], 20),
        span(number(&status["uptime_seconds"]))
    );
    let lifecycle = text(&status["lifecycle"], 12);
    if lifecycle != "running" {
        line = format!("{line}, {lifecycle}");
    }
    out.push(line);
    out.extend(rows(&status["reasons"]).map(|reason| format!("  ! {}", text(&reason["text"], MAX_TEXT))));
    if let Some(refusal) = status.pointer("/reloads/last_refusal").and_then(Value::as_str) {
        out.push(format!("  ! reload refused: {}", cut(refusal, MAX_TEXT)));
    }
}

fn control_plane(status: &Value, out: &mut Vec<String>) {
    let plane = &status["control_plane"];
    let last = match plane["seconds_since_success"].as_u64() {
        Some(ago) => format!("answered {} ago", span(ago)),
        None => "has not answered a poll".into(),
    };
    row(
        out,
        "control plane",
        format!(
            "{}, {last}; {} polls, {} failed",
            text(&plane["origin"], 60),
            number(&plane["polls"]),
            number(&plane["errors"])
        ),
    );
}

fn calls(status: &Value, out: &mut Vec<String>) {
    let totals = &status["totals"];
    row(
        out,
        "calls",
        format!(
            "{} in the last minute; {} in {}, {} failed, {} denied",
            number(&totals["per_minute"]),
            number(&totals["calls"]),
            span(number(&status["counted_since_seconds"])),
            number(&totals["errors"]),
            number(&totals["denied"])
        ),
    );
}

fn channels(status: &Value, out: &mut Vec<String>) {
    out.push(table(
        ["CHANNEL", "KIND", "TARGET", "STATE", "CALLS", "FAILED", "P50", "P99"].map(String::from),
    ));
    for channel in rows(&status["channels"]) {
        let state = if channel["reachable"] == true { "reachable" } else { "UNREACHABLE" };
        out.push(table([
            text(&channel["name"], 14),
            text(&channel["kind"], 5),
            text(&channel["target"], 24),
            state.into(),
            number(&channel["calls"]).to_string(),
            number(&channel["errors"]).to_string(),
            took(&channel["p50_ms"], number(&channel["calls"])),
            took(&channel["p99_ms"], number(&channel["calls"])),
        ]));
    }
}

/// 80 columns.
fn table([a, b, c, d, e, f, g, h]: [String; 8]) -> String {
    format!("{a:<14} {b:<5} {c:<24} {d:<11} {e:>5} {f:>6} {g:>4} {h:>4}")
}

/// The bound below which these calls lie.
fn took(ms: &Value, calls: u64) -> String {
    match ms.as_u64() {
        Some(ms) if ms < 1000 => format!("{ms}ms"),
        Some(ms) => format!("{}s", ms.div_ceil(1000)),
        None if calls > 0 => ">60s".into(),
        None => "-".into(),
    }
}

/// Everything that is not about calls.
fn house(status: &Value, now: u64, out: &mut Vec<String>) {
    for child in rows(&status["children"]) {
        let (name, state) = (text(&child["channel"], 24), text(&child["state"], 12));
        row(out, "child", format!("{name}: {state}, restarted {}", times(&child["restarts"])));
    }
    let reloads = &status["reloads"];
    row(
        out,
        "worker",
        format!(
            "restarted {}; reloaded {}, refused {}",
            times(&status["worker_restarts"]),
            times(&reloads["done"]),
            times(&reloads["refused"])
        ),
    );
    let (audit, policy) = (&status["audit"], &status["policy"]);
    row(
        out,
        "audit",
        match audit["mode"].as_str() {
            Some("off") => "off: no call is recorded".into(),
            _ if audit["failing"] == true => {
                format!("FAILING, {} failures; records cannot be written", number(&audit["failures"]))
            }
            _ => format!("{} records, {} failures", number(&audit["records"]), number(&audit["failures"])),
        },
    );
    row(
        out,
        "policy",
        match policy["sha256"].as_str() {
            Some("none") => "none: everything may be called".into(),
            _ => format!(
                "{}; {} allowed, {} denied, {} would be",
                text(&policy["sha256"], DIGEST),
                number(&policy["allowed"]),
                number(&policy["denied"]),
                number(&policy["monitored"])
            ),
        },
    );
    let confinement = &status["confinement"];
    let of = |what: &str| {
        let [broker, worker] = ["broker", "worker"]
            .map(|role| confinement.get(role).and_then(|of| of.get(what)).map_or(0, number));
        format!("{broker}/{worker}")
    };
    let (abi, filters) = (of("landlock_abi"), of("seccomp_filters"));
    let violations = number(&confinement["violations"]);
    row(
        out,
        "confinement",
        format!("Landlock {abi}, filters {filters} (broker/worker); {violations} violations"),
    );
    for certificate in rows(&status["certificates"]) {
        let left = number(&certificate["not_after"]).checked_sub(now).map(|left| left / DAY);
        let of = text(&certificate["of"], 40);
        let left = left.map_or_else(|| "EXPIRED".into(), |days| format!("{days} days left"));
        row(out, "certificate", format!("{of}: {left}"));
    }
    let mismatches = number(&status["pin_mismatches"]);
    if mismatches > 0 {
        row(out, "pins", format!("did not fit {}", times(&status["pin_mismatches"])));
    }
    for proxy in rows(&status["proxies"]) {
        let word = if proxy["reachable"] == true { "reachable" } else { "UNREACHABLE" };
        row(out, "proxy", format!("{}: {word}", text(&proxy["proxy"], 50)));
    }
}

fn recent(status: &Value, out: &mut Vec<String>) {
    let mut calls = rows(&status["recent"]).peekable();
    if calls.peek().is_some() {
        out.extend([String::new(), "LAST CALLS".into()]);
    }
    for call in calls {
        let time = call["time"].as_str().and_then(|time| time.get(11..19)).unwrap_or("-");
        let what = match call["name"].as_str() {
            Some(name) => format!("{} {}", text(&call["method"], 24), cut(name, 24)),
            None => text(&call["method"], 40),
        };
        let (channel, outcome) = (text(&call["channel"], 12), text(&call["outcome"], 12));
        out.push(format!("{time:<8} {channel:<12} {what:<36} {outcome:<12} {:>6}ms", number(&call["ms"])));
    }
}

fn row(out: &mut Vec<String>, name: &str, what: String) {
    out.push(format!("{name:<14} {what}"));
}

fn rows(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten().take(MAX_ROWS)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

fn times(value: &Value) -> String {
    match number(value) {
        0 => "never".into(),
        1 => "once".into(),
        n => format!("{n} times"),
    }
}

fn text(value: &Value, most: usize) -> String {
    match value.as_str() {
        None | Some("") => "-".into(),
        Some(text) => cut(text, most),
    }
}

/// So many characters; what was cut off is marked.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.into();
    }
    text.chars().take(most.saturating_sub(1)).chain(['~']).collect()
}

/// The two largest units of a time.
fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / DAY);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
#[path = "board_tests.rs"]
mod tests;
