//! The checks of the machine and of how this process was started: kernel and unit.

use super::Case;
use crate::config::confinement::DEFAULT_ABI;
use crate::config::keys;
use crate::config::types::Config;
use crate::confine::kernel::{Kernel, Missing};

/// Both.
pub fn all(case: &mut Case<'_>, config: Option<&Config>) {
    let wanted = case.peek.one(&keys::CONFINEMENT_REQUIRE);
    let wanted = wanted.and_then(|said| said.text.expose().trim().parse().ok());
    let floor = config.map(|config| config.confinement.require).or(wanted).unwrap_or(DEFAULT_ABI);
    kernel(case, floor);
    unit(case);
}

fn kernel(case: &mut Case<'_>, floor: u8) {
    let kernel = Kernel::probe();
    let shown = format!("Linux {}, Landlock ABI {}", kernel.release, kernel.landlock);
    match kernel.check(floor) {
        Ok(_) => {
            let caveat = kernel.caveat().map(|caveat| format!("; {caveat}")).unwrap_or_default();
            case.report.pass("kernel", format!("{shown}, seccomp{caveat}"));
        }
        Err(missing) => {
            let next = match &missing {
                Missing::Floor { has, .. } => {
                    let step = case.target().set(keys::CONFINEMENT_REQUIRE.yaml, &has.to_string());
                    format!("{step}\nor use a newer kernel; the line is: confinement: {{require: {has}}}")
                }
                Missing::Landlock { .. } | Missing::Seccomp { .. } => "use a kernel that has it".into(),
            };
            let why = "nothing starts on a kernel that cannot confine it as it must be";
            case.report.fail("kernel", &shown, [why, &missing.to_string(), &next]);
        }
    }
}

/// Whether what a unit of ours takes away is taken away. Anywhere else there is nothing to compare with.
fn unit(case: &mut Case<'_>) {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let group = read("/proc/self/cgroup");
    let own = group
        .lines()
        .filter_map(|line| line.rsplit('/').next())
        .find(|unit| unit.starts_with("tunnelward") && unit.ends_with(".service"));
    let Some(own) = own.filter(|_| case.host.env.contains_key("INVOCATION_ID")) else {
        let next = "run: systemd-analyze security tunnelward.service";
        return case.report.skip("unit", "not started by the service manager in a unit of ours", next);
    };
    let status = read("/proc/self/status");
    let has = |line: &str| status.lines().any(|l| l.split_whitespace().eq(line.split_whitespace()));
    let lacks: Vec<&str> = [
        ("NoNewPrivs: 1", "NoNewPrivileges=yes"),
        ("Seccomp: 2", "SystemCallFilter="),
        ("CapBnd: 0000000000000000", "CapabilityBoundingSet="),
    ]
    .iter()
    .filter(|(line, _)| !has(line))
    .map(|(_, option)| *option)
    .collect();
    if lacks.is_empty() {
        return case.report.pass("unit", format!("{own} is hardened"));
    }
    let evidence = format!("{own} lacks {}", lacks.join(", "));
    let why = "the unit does not take away what the agent does not need";
    // Not `systemctl revert`: with all drop-ins the credentials would be gone.
    let next = format!(
        "run: systemctl cat {own}\nand take out of the drop-ins what sets these options otherwise; then run: systemctl daemon-reload"
    );
    case.report.fail("unit", &evidence, [why, &evidence, &next]);
}
