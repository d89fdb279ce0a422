//! `health`: the probe of `tunnel-client`, with its output and its exit codes.

use std::path::Path;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use serde_json::{Value, json};

use super::{Base, HealthCommand, Locator, ask, is_ok, json as print, plain, say};
use crate::config;
use crate::exit::Exit;
use crate::worker::inquire::{Found, Page};

/// Looks, tells and judges.
pub fn probe(wanted: &HealthCommand, locator: &Locator) -> Exit {
    let url = |page: Page| locator.base.as_ref().map(|base| format!("{}{}", base.url, page.path())).ok();
    let live = ask(locator, Page::Live);
    let ready = (!wanted.live).then(|| ask(locator, Page::Ready));
    let polled = wanted.require_control_plane_poll.then(|| ask(locator, Page::Polled));
    let process = process(wanted);
    let has_polled = |found: &Found| found.value.as_ref().and_then(Value::as_f64).is_some_and(|at| at > 0.0);
    let ok = is_ok(&live)
        && ready.as_ref().is_none_or(is_ok)
        && polled.as_ref().is_none_or(has_polled)
        && process.get("running") != Some(&Value::Bool(false))
        && process.get("error").is_none_or(Value::is_null);
    let page = |page: Page, found: &Found| {
        json!({
            "url": url(page),
            "ok": is_ok(found),
            "status": found.status,
            "body": found.text.trim_end(),
            "error": found.error,
        })
    };
    let base = locator.base.as_ref().map(|base: &Base| base.url.clone()).ok();
    let report = json!({
        "locator": {
            "kind": locator.kind,
            "url": locator.url,
            "url_file": locator.url_file,
            "port": locator.port,
            "resolved_base_url": base,
            "error": locator.base.as_ref().err(),
        },
        "process": process,
        "base_url": base,
        // There is none.
        "ui_url": null,
        "healthz": page(Page::Live, &live),
        "readyz": ready.as_ref().map(|found| page(Page::Ready, found)),
        "control_plane_poll": polled.as_ref().map(|found| json!({
            "url": url(Page::Polled),
            "value": found.value,
            "ok": has_polled(found),
            "error": found.error,
        })),
        "result": if ok { "ok" } else { "fail" },
    });
    say(&if wanted.json { print(&report, true) } else { lines(&report) });
    if ok { Exit::Ok } else { Exit::Unwell }
}

/// The process that is to run: what is known of it.
fn process(wanted: &HealthCommand) -> Value {
    let (pid, error) = match (&wanted.pid, &wanted.pid_file) {
        (Some(pid), _) => (Some(*pid), None),
        (None, Some(file)) => match read(Path::new(file)) {
            Ok(pid) => (Some(pid), None),
            Err(why) => (None, Some(why)),
        },
        (None, None) => (None, None),
    };
    let running = pid.map(|pid| {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        // One of another user runs, too.
        pid.is_some_and(|pid| matches!(test_kill_process(pid), Ok(()) | Err(Errno::PERM)))
    });
    json!({"pid": pid, "pid_file": wanted.pid_file, "running": running, "error": error})
}

fn read(file: &Path) -> Result<u32, String> {
    let bytes = config::file(file).map_err(|e| format!("{} cannot be read: {e}", file.display()))?;
    let pid = str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse().ok());
    pid.ok_or_else(|| format!("{} holds no number of a process", file.display()))
}

/// The report for a person.
fn lines(report: &Value) -> String {
    let mut out = String::new();
    let mut line =
        |name: &str, what: String| out.push_str(&format!("{:<20} {}\n", format!("{name}:"), plain(&what)));
    let text = |value: &Value| value.as_str().unwrap_or("none").to_string();
    let locator = &report["locator"];
    line(
        "Locator",
        [text(&locator["kind"]), locator["error"].as_str().map(|e| format!(": {e}")).unwrap_or_default()]
            .concat(),
    );
    line("Base URL", text(&report["base_url"]));
    line("UI URL", text(&report["ui_url"]));
    for (name, of) in
        [("Healthz", "healthz"), ("Readyz", "readyz"), ("Control-plane poll", "control_plane_poll")]
    {
        let page = &report[of];
        let word = match page["ok"].as_bool() {
            None => "not asked",
            Some(true) => "ok",
            Some(false) => "FAIL",
        };
        let status = page["status"].as_u64().map(|status| status.to_string()).unwrap_or_default();
        let body = page["body"].as_str().unwrap_or_default().lines().collect::<Vec<_>>().join("; ");
        let value = page["value"].as_f64().map(|at| at.to_string()).unwrap_or_default();
        let error = page["error"].as_str().unwrap_or_default();
        let parts = [word, &status, &value, &body, error];
        line(name, parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" "));
    }
    let process = &report["process"];
    let pid = process["pid"].as_u64().map(|pid| format!("{pid} ")).unwrap_or_default();
    line(
        "Process",
        match (process["running"].as_bool(), process["error"].as_str()) {
            (_, Some(error)) => format!("FAIL {error}"),
            (Some(true), None) => format!("{pid}runs"),
            (Some(false), None) => format!("FAIL {pid}does not run"),
            (None, None) => "not asked".into(),
        },
    );
    line("Result", if report["result"] == "ok" { "OK" } else { "FAIL" }.into());
    out
}
