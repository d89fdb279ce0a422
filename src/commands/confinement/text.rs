//! What was found, for people. Pure.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use super::result::{Findings, InForce, Row, Verdict};
use crate::confine::report::{Limit, Report};

/// The whole text.
pub fn render(findings: &Findings) -> String {
    let mut text = format!("kernel {}, Landlock ABI {}\n", findings.kernel, findings.landlock_abi);
    if let Some(caveat) = &findings.caveat {
        text.push_str(&format!("note: {caveat}\n"));
    }
    if !findings.configured {
        text.push_str(
            "note: no configuration was given; shown are a control plane at port 443 and one MCP server without grants\n",
        );
    }
    for role in &findings.roles {
        in_force(&mut text, role);
    }
    if !findings.rows.is_empty() {
        attempts(&mut text, findings);
    }
    text
}

fn in_force(text: &mut String, InForce { channel, report }: &InForce) {
    let who =
        channel.as_ref().map_or_else(|| report.role.clone(), |c| format!("{}, channel {c}", report.role));
    text.push_str(&format!("\n{who}\n"));
    let mut line = |name: &str, value: String| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {name:<22} {value}");
    };
    let yes = |is: bool| if is { "yes" } else { "no" }.to_string();
    line(
        "user, group",
        format!("{}, {}; supplementary {}", ids(&report.uid), ids(&report.gid), ids(&report.groups)),
    );
    line("capabilities", capabilities(report));
    line("no new privileges", yes(report.no_new_privileges));
    line("open to its user", yes(report.dumpable));
    line("refuses W then X", yes(report.refuses_executable_memory));
    let filters: Vec<String> = report
        .seccomp
        .filters
        .iter()
        .map(|f| format!("{} ({} instructions)", f.name, f.instructions))
        .collect();
    let in_force = report.seccomp.in_force.map(|n| format!(", {n} in force with those above it"));
    line(
        "seccomp",
        format!("mode {}: {}{}", report.seccomp.mode, filters.join(", "), in_force.unwrap_or_default()),
    );
    let landlock = &report.landlock;
    line("Landlock", format!("ABI {}, at least {} is required", landlock.abi, landlock.floor));
    line("  refused unless granted", join(&landlock.files));
    line("", join(&landlock.network));
    line("  kept inside", join(&landlock.scopes));
    line("  may read", paths(&landlock.read));
    line("  may change", paths(&landlock.write));
    line("  may execute", paths(&landlock.execute));
    line(
        "  may connect to TCP",
        join(landlock.tcp.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice()),
    );
    line("limits", report.limits.iter().map(limit).collect::<Vec<_>>().join(", "));
    line("threads", report.threads.to_string());
    if let Some(locked) = report.secrets_locked {
        line("secrets locked", yes(locked));
    }
}

fn ids(ids: &[u32]) -> String {
    let mut set = BTreeSet::new();
    set.extend(ids);
    join(&set.into_iter().map(ToString::to_string).collect::<Vec<_>>())
}

fn capabilities(report: &Report) -> String {
    let sets = &report.capabilities;
    let held = [
        ("effective", &sets.effective),
        ("permitted", &sets.permitted),
        ("inheritable", &sets.inheritable),
        ("ambient", &sets.ambient),
    ];
    let held: Vec<String> =
        held.iter().filter(|(_, set)| *set != "0").map(|(name, set)| format!("{name} {set}")).collect();
    let bounding = if sets.bounding == "0" { "bounding set empty" } else { "bounding set not empty" };
    let held = if held.is_empty() { "none".to_string() } else { held.join(", ") };
    format!("{held}; {bounding}")
}

fn join(names: &[String]) -> String {
    if names.is_empty() { "none".into() } else { names.join(" ") }
}

fn paths(paths: &BTreeSet<PathBuf>) -> String {
    join(&paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>())
}

fn limit(limit: &Limit) -> String {
    let bound = |n: Option<u64>| n.map_or("unlimited".to_string(), |n| n.to_string());
    format!("{} {}", limit.name.trim_start_matches("Max "), bound(limit.soft))
}

fn attempts(text: &mut String, findings: &Findings) {
    let whom =
        |row: &Row| row.channel.as_ref().map_or_else(|| row.role.clone(), |c| format!("{} {c}", row.role));
    let width = findings.rows.iter().map(|row| whom(row).len()).max().unwrap_or(0);
    let _ =
        writeln!(text, "\n{:<width$}  {:<28}  {:<22}  {:<22}  ", "role", "attempt", "expected", "observed");
    for row in &findings.rows {
        let end = match row.verdict {
            Verdict::Denied => "ok",
            Verdict::Open => "open to this role",
            Verdict::Granted => "granted",
            Verdict::NotEnforced => "not enforced",
            Verdict::NotDenied => "NOT DENIED",
        };
        let _ = writeln!(
            text,
            "{:<width$}  {:<28}  {:<22}  {:<22}  {end}",
            whom(row),
            row.attempt,
            row.expected,
            row.observed
        );
    }
    let totals = &findings.totals;
    let _ = writeln!(
        text,
        "\n{} attempts: {} denied, {} open to their role, {} granted, {} not enforced by this kernel, {} NOT DENIED",
        findings.rows.len(),
        totals.denied,
        totals.open,
        totals.granted,
        totals.not_enforced,
        totals.not_denied
    );
}
