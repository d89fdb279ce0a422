//! What a check found, and how all of it is written: as text, with explanations, or as JSON. Pure.
//!
//! Everything that `doctor` prints about a finding leaves through here, and no secret of the configuration does.

use std::fmt::Write as _;

use crate::policy;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing to do.
    Pass,
    /// To be mended.
    Fail,
    /// Not looked at.
    Skip,
}

impl Status {
    const fn name(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Skip => "SKIP",
        }
    }
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which check.
    pub id: &'static str,
    /// How it ended.
    pub status: Status,
    /// In a few words.
    pub summary: String,
    /// Why it is not good, or was not looked at.
    pub why: String,
    /// What was seen.
    pub evidence: String,
    /// What to do: a line for each step, in the words of [`super::advice`].
    pub next: String,
}

/// All of it.
#[derive(Debug, Default)]
pub struct Report {
    findings: Vec<Finding>,
    secrets: Vec<String>,
}

/// Shorter secrets than this are not looked for: they would be found in words that are none.
const LEAST_SECRET: usize = 6;

impl Report {
    /// What must not be printed.
    pub fn hide(&mut self, secret: &str) {
        if secret.len() >= LEAST_SECRET {
            self.secrets.push(secret.to_owned());
        }
    }

    /// A check that passed.
    pub fn pass(&mut self, id: &'static str, summary: impl Into<String>) {
        self.add(id, Status::Pass, summary.into(), ["", "", ""]);
    }

    /// A check that was left out.
    pub fn skip(&mut self, id: &'static str, why: &str, next: &str) {
        self.add(id, Status::Skip, why.to_owned(), [why, "", next]);
    }

    /// A check that failed: why, what was seen, what to do.
    pub fn fail(&mut self, id: &'static str, summary: &str, [why, evidence, next]: [&str; 3]) {
        self.add(id, Status::Fail, summary.to_owned(), [why, evidence, next]);
    }

    fn add(&mut self, id: &'static str, status: Status, summary: String, [why, evidence, next]: [&str; 3]) {
        let (why, evidence, next) = (why.into(), evidence.into(), next.into());
        self.findings.push(Finding { id, status, summary, why, evidence, next });
    }

    /// Whether there is a finding of a check.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.findings.iter().any(|finding| finding.id == id)
    }

    /// The checks that failed, in their order.
    pub fn failed(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.findings.iter().filter(|f| f.status == Status::Fail).map(|f| f.id)
    }

    /// Brings the findings into the order of `ids`, and every text into a form that can be printed.
    pub fn finish(&mut self, ids: &[&str]) {
        // Of some dozens: a sort is more code than they are worth.
        let found = std::mem::take(&mut self.findings);
        for id in ids {
            self.findings.extend(found.iter().filter(|finding| finding.id == *id).cloned());
        }
        let clean = |text: &mut String| {
            for secret in &self.secrets {
                if text.contains(secret.as_str()) {
                    *text = text.replace(secret.as_str(), "[secret]");
                }
            }
            // Nothing of a file or a peer may move the cursor or begin a line of its own.
            *text = text.replace(|c: char| c.is_control() && c != '\n', "?");
        };
        for finding in &mut self.findings {
            clean(&mut finding.summary);
            finding.summary = finding.summary.replace('\n', " ");
            for text in [&mut finding.why, &mut finding.evidence, &mut finding.next] {
                clean(text);
            }
        }
    }

    /// As text. `next` is what comes after a report without failures.
    #[must_use]
    pub fn text(&self, explain: bool, next: &str) -> String {
        let mut out = String::new();
        for finding in &self.findings {
            let _ =
                writeln!(out, "CHECK {:<24} {:<4} {}", finding.id, finding.status.name(), finding.summary);
            if !explain || finding.status == Status::Pass {
                continue;
            }
            let parts =
                [("Why", &finding.why), ("Evidence", &finding.evidence), ("What to do next", &finding.next)];
            for (title, text) in parts.iter().filter(|(_, text)| !text.is_empty()) {
                let _ = writeln!(out, "  {title}:");
                for line in text.lines() {
                    let _ = writeln!(out, "    {line}");
                }
            }
        }
        let failed: Vec<&str> = self.failed().collect();
        let _ = if failed.is_empty() {
            write!(out, "\nRESULT ok\nNEXT   {next}\n")
        } else {
            write!(out, "\nRESULT fail\nFAILED_CHECKS {}\nEXIT_CODE 2\n", failed.join(","))
        };
        out
    }

    /// As JSON, indented by two spaces.
    #[must_use]
    pub fn json(&self, next: &str) -> String {
        let failed: Vec<&str> = self.failed().collect();
        let mut out = String::from("{\n");
        if failed.is_empty() {
            out.push_str("  \"result\": \"ok\",\n  \"next\": ");
            policy::string(next, &mut out);
        } else {
            out.push_str("  \"result\": \"fail\",\n  \"failed_checks\": [\n");
            let ids: Vec<String> = failed.iter().map(|id| format!("    \"{id}\"")).collect();
            let _ = write!(out, "{}\n  ]", ids.join(",\n"));
        }
        out.push_str(",\n  \"checks\": [");
        for (n, finding) in self.findings.iter().enumerate() {
            let Finding { id, status, summary, why, evidence, next } = finding;
            out.push_str(if n > 0 { ",\n    {" } else { "\n    {" });
            let members = [
                ("id", *id),
                ("status", status.name()),
                ("summary", summary),
                ("why", why),
                ("evidence", evidence),
                ("next", next),
            ];
            // The first three are always there.
            let there = members.iter().enumerate().filter(|(n, (_, text))| *n < 3 || !text.is_empty());
            for (n, (name, text)) in there {
                let _ = write!(out, "{}\n      \"{name}\": ", if n > 0 { "," } else { "" });
                policy::string(text, &mut out);
            }
            out.push_str("\n    }");
        }
        out.push_str("\n  ]\n}\n");
        out
    }
}

#[cfg(test)]
#[path = "finding_tests.rs"]
mod tests;
