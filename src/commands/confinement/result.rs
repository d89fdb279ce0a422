//! What was found, in the shape of `--json`. Pure.
//!
//! The shape is promised: members are added, never renamed or removed, as long as `version` is 1.

use serde::{Deserialize, Serialize};

use crate::confine::attempts::{Area, Attempt, Expected, Outcome};
use crate::confine::kernel::Kernel;
use crate::confine::report::Report;

/// Everything.
#[derive(Debug, Serialize, Deserialize)]
pub struct Findings {
    /// Of this shape: 1.
    pub version: u8,
    /// `uname -r`.
    pub kernel: String,
    /// What of Landlock it has.
    pub landlock_abi: u8,
    /// What it does not enforce, as a sentence; none when it has all that is usual.
    pub caveat: Option<String>,
    /// Whether a configuration was given.
    pub configured: bool,
    /// What is in force in each role.
    pub roles: Vec<InForce>,
    /// The attempts; none without `--probe`.
    #[serde(rename = "attempts")]
    pub rows: Vec<Row>,
    /// Their number by verdict.
    pub totals: Totals,
}

/// What is in force in one role.
#[derive(Debug, Serialize, Deserialize)]
pub struct InForce {
    /// An MCP server's channel.
    pub channel: Option<String>,
    /// As it reported.
    #[serde(flatten)]
    pub report: Report,
}

/// An attempt of one role.
#[derive(Debug, Serialize, Deserialize)]
pub struct Row {
    /// Whose.
    pub role: String,
    /// An MCP server's channel.
    pub channel: Option<String>,
    /// Its name.
    pub attempt: String,
    /// What it is about.
    pub area: Area,
    /// What it is.
    pub what: String,
    /// What it must come to: an error, `killed by signal 31`, `open`, `granted`, or why it is not enforced.
    pub expected: String,
    /// What it came to.
    pub observed: String,
    /// What that means.
    pub verdict: Verdict,
}

/// What an outcome means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Denied, by the answer that it must get.
    Denied,
    /// Nothing denies it to this role.
    Open,
    /// The configuration grants it.
    Granted,
    /// The kernel is too old to deny it.
    NotEnforced,
    /// It is not what it must be.
    NotDenied,
}

/// Numbers of attempts.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Totals {
    /// By [`Verdict`].
    pub denied: usize,
    /// Likewise.
    pub open: usize,
    /// Likewise.
    pub granted: usize,
    /// Likewise.
    pub not_enforced: usize,
    /// Likewise; anything but 0 is a fault.
    pub not_denied: usize,
}

impl Row {
    /// Compares an outcome with what it must be.
    #[must_use]
    pub fn new(
        role: &str,
        channel: Option<&str>,
        attempt: &Attempt,
        expected: &Expected,
        observed: Outcome,
    ) -> Self {
        let verdict = match expected {
            _ if !expected.is_met(observed) => Verdict::NotDenied,
            Expected::Denied(_) => Verdict::Denied,
            Expected::Open => Verdict::Open,
            Expected::Granted => Verdict::Granted,
            Expected::NotEnforced(_) => Verdict::NotEnforced,
        };
        Self {
            role: role.into(),
            channel: channel.map(Into::into),
            attempt: attempt.name.into(),
            area: attempt.area,
            what: attempt.what.into(),
            expected: expected.to_string(),
            observed: observed.to_string(),
            verdict,
        }
    }
}

impl Findings {
    /// Nothing yet.
    #[must_use]
    pub fn new(kernel: Kernel, configured: bool) -> Self {
        Self {
            version: 1,
            caveat: kernel.caveat(),
            kernel: kernel.release,
            landlock_abi: kernel.landlock,
            configured,
            roles: Vec::new(),
            rows: Vec::new(),
            totals: Totals::default(),
        }
    }

    /// Adds what a role reported, and counts again.
    pub fn add(&mut self, channel: Option<String>, report: Report) {
        self.roles.push(InForce { channel, report });
        let count = |verdict| self.rows.iter().filter(|row| row.verdict == verdict).count();
        self.totals = Totals {
            denied: count(Verdict::Denied),
            open: count(Verdict::Open),
            granted: count(Verdict::Granted),
            not_enforced: count(Verdict::NotEnforced),
            not_denied: count(Verdict::NotDenied),
        };
    }

    /// Whether every attempt that should be denied was denied, and every process is confined.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let confined = |report: &Report| {
            report.seccomp.mode == 2
                && report.no_new_privileges
                && !report.dumpable
                && report.uid.iter().chain(&report.gid).all(|id| *id != 0)
                && report.capabilities.effective == "0"
                && report.capabilities.permitted == "0"
        };
        self.rows.iter().all(|row| row.verdict != Verdict::NotDenied)
            && self.roles.iter().all(|role| confined(&role.report))
    }
}

#[cfg(test)]
#[path = "result_tests.rs"]
mod tests;
