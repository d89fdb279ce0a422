//! From what the confined process met to findings: which check fails, why, and what mends it. Pure.
//!
//! A failure is told once, at the check that it begins with; the checks that could not go on because of it are left out.

use super::Case;
use super::failures::{ANSWERS, FAILURES};
use super::finding::Report;
use super::known::{Known, Names};
use super::settings::entry;
use crate::commands::policy::survey::Said;
use crate::config::keys;
use crate::worker::examine::{CLOCK, CONTROL, ERA, GOOD, OAUTH, PROXY, REACH};

/// Seconds that clocks may differ by: certificates and signatures allow for some minutes.
const MAX_SKEW: u64 = 120;

/// What is on one line of the report.
struct Line<'a> {
    what: &'a str,
    of: &'a str,
    code: &'a str,
    detail: &'a str,
}

impl Line<'_> {
    /// Whether it went wrong before the peer was reached.
    fn is_of_proxy(&self) -> bool {
        self.code.starts_with("Proxy") || self.code.starts_with("Via")
    }
}

fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    text.lines().filter_map(|line| {
        let mut fields = line.splitn(4, '\t');
        let mut next = || fields.next();
        Some(Line { what: next()?, of: next()?, code: next()?, detail: next()? })
    })
}

impl Known {
    fn failed(&self, report: &mut Report, id: &'static str, names: &Names, line: &Line<'_>) {
        let row = FAILURES
            .iter()
            .find(|(code, part, ..)| line.code.starts_with(code) && line.detail.contains(part));
        let (why, next) = row.map_or(("", ""), |(_, _, why, next)| (*why, *next));
        let who = if line.of.is_empty() { String::new() } else { format!("{}: ", line.of) };
        let summary = format!("{who}{}", line.detail);
        let evidence = format!("{}: {}", names.place, line.detail);
        report.fail(id, &summary, [why, &evidence, &self.fill(next, names)]);
    }
}

/// Nobody is met.
pub fn skip(case: &mut Case<'_>, known: &Known, why: &str, next: &str) {
    let ids = [
        "dns",
        "proxy",
        "control_plane",
        "control_plane_pins",
        "clock_skew",
        "mcp_server_reachable",
        "oauth_metadata",
        "mcp_era",
    ];
    for id in ids {
        if !case.report.has(id) {
            match id {
                "mcp_server_reachable" | "oauth_metadata" if known.http.is_empty() => by_command(case, id),
                _ => case.report.skip(id, why, next),
            }
        }
    }
}

fn by_command(case: &mut Case<'_>, id: &'static str) {
    case.report.skip(id, "the MCP servers are started by command", "");
}

/// Somebody was met.
pub fn tell(case: &mut Case<'_>, known: &Known, said: &Said) {
    let all: Vec<Line<'_>> = lines(&said.text).collect();
    proxies(case, known, &all);
    match all.iter().find(|line| line.what == CONTROL) {
        Some(line) => control(case, known, line),
        None => case.report.fail(
            "control_plane",
            "nothing was said of it",
            ["", "", "run: tunnelward confinement"],
        ),
    }
    clock(case, &all);
    for (id, what) in [("mcp_server_reachable", REACH), ("oauth_metadata", OAUTH)] {
        if known.http.is_empty() {
            by_command(case, id);
        } else {
            http(case, known, (id, what), &all);
        }
    }
    era(case, known, said, &all);
    skip(case, known, "what comes before it failed", "mend the checks that failed first");
}

fn proxies(case: &mut Case<'_>, known: &Known, all: &[Line<'_>]) {
    let looked: Vec<&Line<'_>> = all.iter().filter(|line| line.what == PROXY).collect();
    if let Some(line) = looked.iter().find(|line| line.code != GOOD) {
        let of_control = known.http.iter().find(|(_, names)| names.proxy != known.control.proxy);
        let names = match of_control {
            Some((_, names)) if known.control.proxy == keys::HTTP_PROXY.yaml => names,
            _ => &known.control,
        };
        return known.failed(
            &mut case.report,
            "proxy",
            &Names { place: line.of.into(), ..names.clone() },
            line,
        );
    }
    // What a proxy says shows only when it is asked for the way to somebody.
    if let Some(line) = all.iter().filter(|line| line.what != PROXY).find(|line| line.is_of_proxy()) {
        let names = match line.what {
            CONTROL => Some(&known.control),
            _ => known.http.iter().find(|(channel, _)| channel == line.of).map(|(_, names)| names),
        };
        return known.failed(&mut case.report, "proxy", names.unwrap_or(&known.control), line);
    }
    if !known.has_proxy {
        return case.report.skip("proxy", "none is used", "");
    }
    let shown: Vec<&str> = looked.iter().map(|line| line.of).collect();
    case.report.pass("proxy", shown.join(", "));
}

fn control(case: &mut Case<'_>, known: &Known, line: &Line<'_>) {
    let names = &known.control;
    let at = &names.place;
    let code = line.code;
    if code == "Dns" {
        return known.failed(&mut case.report, "dns", names, line);
    }
    if !line.is_of_proxy() {
        let text = match (known.is_address, known.has_proxy) {
            (true, _) => "is an address",
            (false, true) => "is resolved here or by the proxy",
            (false, false) => "can be resolved",
        };
        case.report.pass("dns", format!("{at}: {text}"));
    }
    if code == "Pin" {
        return known.failed(&mut case.report, "control_plane_pins", names, line);
    }
    if line.is_of_proxy() {
        return;
    }
    let answered = code == GOOD || code == "Body" || code.parse::<u16>().is_ok();
    if answered && known.pins > 0 {
        case.report.pass("control_plane_pins", format!("one of {} pins is in the verified path", known.pins));
    } else if known.pins == 0 {
        let host = format!("run: tunnelward pin {at}");
        case.report.skip(
            "control_plane_pins",
            "none are configured: the web's authorities are believed",
            &host,
        );
    }
    if code == GOOD {
        return case.report.pass("control_plane", format!("{at} knows the tunnel {}", line.detail));
    }
    if !answered {
        return known.failed(&mut case.report, "control_plane", names, line);
    }
    let row = ANSWERS.iter().find(|(start, ..)| code.starts_with(start));
    let (why, next) = row.map_or(("", ""), |(_, why, next)| (*why, *next));
    let mut next = known.fill(next, names);
    if line.detail.contains("tunnel_active_organization") {
        next = case.target().set(keys::ORGANIZATION_ID.yaml, "<ORGANIZATION_ID>");
    }
    case.report.fail("control_plane", line.detail, [why, &format!("{at} answered: {}", line.detail), &next]);
}

fn clock(case: &mut Case<'_>, all: &[Line<'_>]) {
    let ahead = all.iter().find(|line| line.what == CLOCK).and_then(|line| line.detail.parse::<i64>().ok());
    let Some(ahead) = ahead else {
        return case.report.skip("clock_skew", "no answer had a date", "mend the checks that failed first");
    };
    let apart = ahead.unsigned_abs();
    if apart <= MAX_SKEW {
        return case.report.pass("clock_skew", format!("{apart} s from the control plane's clock"));
    }
    let side = if ahead > 0 { "behind" } else { "ahead of" };
    let summary = format!("this machine's clock is {apart} s {side} the control plane's");
    let why = "certificates that are good are taken for ended or not begun";
    case.report.fail("clock_skew", &summary, [why, &summary, "run: timedatectl set-ntp true"]);
}

fn http(case: &mut Case<'_>, known: &Known, (id, what): (&'static str, &str), all: &[Line<'_>]) {
    let mut good = Vec::new();
    for line in all.iter().filter(|line| line.what == what) {
        let Some((_, names)) = known.http.iter().find(|(channel, _)| channel == line.of) else { continue };
        match line.code {
            GOOD => good.push(format!("{}: {}", line.of, line.detail)),
            "None" => good.push(format!("OAuth metadata not advertised ({})", line.of)),
            "Invalid" => {
                let why = "the server answers where its OAuth metadata should be, but not with such";
                let next = format!("have {} answer 404 there, or with its metadata", names.place);
                return case.report.fail(
                    id,
                    &format!("{}: {}", line.of, line.detail),
                    [why, line.detail, &next],
                );
            }
            // The reachability says it, and there is nothing to add.
            _ if what == OAUTH && case.report.failed().any(|failed| failed == "mcp_server_reachable") => {
                return;
            }
            _ if line.is_of_proxy() => return,
            _ => return known.failed(&mut case.report, id, names, line),
        }
    }
    case.report.pass(id, good.join(", "));
}

fn era(case: &mut Case<'_>, known: &Known, said: &Said, all: &[Line<'_>]) {
    let id = "mcp_era";
    let mut good = Vec::new();
    for line in all.iter().filter(|line| line.what == ERA) {
        let command = known.channels.iter().find(|(channel, _)| channel == line.of).and_then(|(_, n)| *n);
        match (line.code, command) {
            (GOOD, _) => good.push(format!("{}: {}", line.of, line.detail)),
            ("401" | "403", None) => good.push(format!("{}: asks for authorization first", line.of)),
            // The reachability has said why.
            (_, None) if case.report.failed().any(|failed| failed == "mcp_server_reachable") => return,
            (_, None) => {
                let why = "what answers there does not speak MCP, or not at this path";
                let names = known.http.iter().find(|(channel, _)| channel == line.of);
                let next = names.map(|(_, names)| known.fill("set %url to <MCP_URL>%in", names));
                let summary = format!("{}: {}", line.of, line.detail);
                return case.report.fail(id, &summary, [why, line.detail, &next.unwrap_or_default()]);
            }
            (_, Some(n)) => {
                let words = said.last_words.get(n).map(|words| String::from_utf8_lossy(words).into_owned());
                let words = words.filter(|words| !words.trim().is_empty());
                let evidence = match words {
                    Some(words) => format!("{}; the end of its stderr:\n{}", line.detail, words.trim_end()),
                    None => format!("{}; it wrote nothing to stderr", line.detail),
                };
                let key = entry(case, &keys::MCP_COMMANDS, n, "command");
                let next = case.target().change(&key, "<MCP_COMMAND>");
                let why = "the server starts, and does not speak MCP on its standard output";
                return case.report.fail(
                    id,
                    &format!("{}: {}", line.of, line.detail),
                    [why, &evidence, &next],
                );
            }
        }
    }
    case.report.pass(id, good.join(", "));
}
