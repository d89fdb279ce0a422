//! What `/status` says, as a person reads it: lines of at most 80 columns (but for reasons), the worst first. Pure.
//!
//! The document may be anybody's: what is not there, or is not what it should be, is shown as a dash or nothing, and every
//! text is cut to its column. Control characters are left for whoever prints the lines to escape.
//!
//! The lines are templates: `{path kind width}` is the value at that path of the document, or of the row, and the kind one
//! of `fill`.

use serde_json::Value;

/// The longest text outside of the table.
const MAX_TEXT: usize = 300;
/// Rows of one list; there are 31 channels and 20 calls.
const MAX_ROWS: usize = 32;
const DAY: u64 = 86_400;

const READY: &str = "READY since {/since a}; tunnelward {/agent_version t 20}, up {/uptime_seconds s}";
const NOT_READY: &str =
    "NOT READY since {/since a}; tunnelward {/agent_version t 20}, up {/uptime_seconds s}";
const REASON: &str = "  ! {/text t}";
const REFUSED: &str = "  ! reload refused: {/reloads/last_refusal t}";
const POLLED: &str = "control plane  {/control_plane/origin t 60}, answered {/control_plane/seconds_since_success s} ago; {/control_plane/polls n} polls, {/control_plane/errors n} failed";
const UNPOLLED: &str =
    "control plane  {/control_plane/origin t 60} has not answered a poll; {/control_plane/errors n} failed";
const CALLS: &str = "calls          {/totals/per_minute n} in the last minute; {/totals/calls n} in {/counted_since_seconds s}, {/totals/errors n} failed, {/totals/denied n} denied";
const HEAD: &str = "CHANNEL        KIND  TARGET                   STATE       CALLS FAILED  P50  P99";
const CHANNEL: &str = "{/name T 14} {/kind T 5} {/target T 24} {/reachable r 11} {/calls n 5} {/errors n 6} {/p50_ms m 4} {/p99_ms m 4}";
const CHILD: &str = "child          {/channel t 24}: {/state t 12}, restarted {/restarts x}";
const WORKER: &str =
    "worker         restarted {/worker_restarts x}; reloaded {/reloads/done x}, refused {/reloads/refused x}";
const AUDIT_OFF: &str = "audit          off: no call is recorded";
const AUDIT_FAILS: &str = "audit          FAILING, {/audit/failures n} failures; records cannot be written";
const AUDIT: &str = "audit          {/audit/records n} records, {/audit/failures n} failures";
const NO_POLICY: &str = "policy         none: everything may be called";
const POLICY: &str = "policy         {/policy/sha256 t 12}; {/policy/allowed n} allowed, {/policy/denied n} denied, {/policy/monitored n} would be";
const CONFINEMENT: &str = "confinement    Landlock {/confinement/broker/landlock_abi n}/{/confinement/worker/landlock_abi n}, filters {/confinement/broker/seccomp_filters n}/{/confinement/worker/seccomp_filters n} (broker/worker); {/confinement/violations n} violations";
const CERTIFICATE: &str = "certificate    {/of t 40}: {/not_after d}";
const PINS: &str = "pins           did not fit {/pin_mismatches x}";
const PROXY: &str = "proxy          {/proxy t 50}: {/reachable r}";
const CALL: &str = "{/time h 8} {/channel T 12} {/method w 36} {/outcome T 12} {/ms n 6}ms";

/// All of it.
#[must_use]
pub fn lines(status: &Value) -> Vec<String> {
    let now = number(status.get("started_at")).saturating_add(number(status.get("uptime_seconds")));
    let text = |path: &str| status.pointer(path).and_then(Value::as_str);
    let holds = |path: &str| status.pointer(path) == Some(&Value::Bool(true));
    let mut out = Vec::new();
    let mut one = |template: &str, of: &Value| out.push(fill(template, of, now));
    let each = |list: &str, template: &str, one: &mut dyn FnMut(&str, &Value)| {
        let rows = status.get(list).and_then(Value::as_array).into_iter().flatten();
        rows.take(MAX_ROWS).for_each(|row| one(template, row));
    };
    one(if holds("/ready") { READY } else { NOT_READY }, status);
    each("reasons", REASON, &mut one);
    if text("/reloads/last_refusal").is_some() {
        one(REFUSED, status);
    }
    one("", status);
    let polled = status.pointer("/control_plane/seconds_since_success").is_some_and(Value::is_number);
    one(if polled { POLLED } else { UNPOLLED }, status);
    one(CALLS, status);
    one("", status);
    one(HEAD, status);
    each("channels", CHANNEL, &mut one);
    one("", status);
    each("children", CHILD, &mut one);
    one(WORKER, status);
    one(
        match text("/audit/mode") {
            Some("off") => AUDIT_OFF,
            _ if holds("/audit/failing") => AUDIT_FAILS,
            _ => AUDIT,
        },
        status,
    );
    one(if text("/policy/sha256") == Some("none") { NO_POLICY } else { POLICY }, status);
    one(CONFINEMENT, status);
    each("certificates", CERTIFICATE, &mut one);
    if number(status.get("pin_mismatches")) > 0 {
        one(PINS, status);
    }
    each("proxies", PROXY, &mut one);
    if status.pointer("/recent/0").is_some() {
        one("", status);
        one("LAST CALLS", status);
        each("recent", CALL, &mut one);
    }
    out
}

/// The template with values of the document or row. The kinds: `t` a text, cut to its width; `T` the same in a column; `n` a
/// number; `s` a time in seconds, `a` how long ago one was; `d` the days until one; `h` the time of day; `x` how often; `m`
/// the bound in milliseconds below which calls lie; `r` whether it can be reached; `w` a method and the name that goes with
/// it. Numbers stand right in their columns, all else left.
fn fill(template: &str, of: &Value, now: u64) -> String {
    let mut out = String::new();
    for part in template.split('{') {
        let Some((spec, rest)) = part.split_once('}') else {
            out.push_str(part);
            continue;
        };
        let mut words = spec.split(' ');
        let value = words.next().and_then(|path| of.pointer(path));
        let kind = words.next().unwrap_or_default();
        let width = words.next().and_then(|width| width.parse().ok()).unwrap_or(0);
        let shown = show(kind, value, (of, now), if width == 0 { MAX_TEXT } else { width });
        let pad = " ".repeat(width.saturating_sub(shown.chars().count()));
        match kind {
            "t" => out.push_str(&shown),
            "n" | "m" => out.extend([pad.as_str(), &shown]),
            _ => out.extend([shown.as_str(), &pad]),
        }
        out.push_str(rest);
    }
    out
}

fn show(kind: &str, value: Option<&Value>, (of, now): (&Value, u64), width: usize) -> String {
    let n = number(value);
    let known = value.is_some_and(Value::is_number);
    match kind {
        "n" => n.to_string(),
        "s" | "a" | "d" if !known => "-".into(),
        "s" => span(n),
        "a" => span(now.saturating_sub(n)),
        "d" => n.checked_sub(now).map_or_else(|| "EXPIRED".into(), |left| counted(left / DAY, " days left")),
        "h" => value.and_then(Value::as_str).and_then(|time| time.get(11..19)).unwrap_or("-").into(),
        "x" if n == 0 => "never".into(),
        "x" if n == 1 => "once".into(),
        "x" => counted(n, " times"),
        "m" if !known => if number(of.get("calls")) > 0 { ">60s" } else { "-" }.into(),
        "m" if n < 1000 => counted(n, "ms"),
        "m" => counted(n.div_ceil(1000), "s"),
        "r" => if value == Some(&Value::Bool(true)) { "reachable" } else { "UNREACHABLE" }.into(),
        "w" => match of.get("name").and_then(Value::as_str) {
            Some(name) => cut([&text(value, width), " ", name].concat(), width),
            None => text(value, width),
        },
        _ => text(value, width),
    }
}

fn number(value: Option<&Value>) -> u64 {
    value.and_then(Value::as_u64).unwrap_or_default()
}

fn counted(n: u64, of: &str) -> String {
    n.to_string() + of
}

fn text(value: Option<&Value>, most: usize) -> String {
    match value.and_then(Value::as_str) {
        None | Some("") => "-".into(),
        Some(text) => cut(text.into(), most),
    }
}

/// So many characters; what was cut off is marked.
fn cut(text: String, most: usize) -> String {
    if text.chars().count() <= most {
        return text;
    }
    text.chars().take(most.saturating_sub(1)).chain(['~']).collect()
}

/// The two largest units of a time.
fn span(seconds: u64) -> String {
    let units = [(DAY, " d"), (3600, " h"), (60, " min"), (1, " s")];
    let mut rest = seconds;
    let mut out = String::new();
    for (unit, name) in units {
        let (count, begun) = (rest / unit, !out.is_empty());
        rest %= unit;
        if begun {
            return out + " " + &counted(count, name);
        }
        if count > 0 || unit == 1 {
            out = counted(count, name);
        }
    }
    out
}

#[cfg(test)]
#[path = "board_tests.rs"]
mod tests;
