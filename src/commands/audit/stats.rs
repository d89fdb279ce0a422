//! `audit stats`: calls by what they called, and what became of them.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::table::table;
use super::{Stats, Times, ended_well, unreadable};
use crate::audit::chain::Members;
use crate::audit::view;
use crate::commands::say;
use crate::exit::Exit;

/// Rows that are kept apart; a peer chooses the names.
const MAX_ROWS: usize = 1000;

#[derive(Debug, Default)]
struct Row {
    calls: u64,
    not_permitted: u64,
    failed: u64,
    in_doubt: u64,
    bytes: u64,
    ms: Vec<u64>,
}

/// Of a log.
#[derive(Debug, Default)]
struct Counts {
    rows: BTreeMap<String, Row>,
    /// The decisions about calls without an end.
    open: HashMap<String, Members>,
    polls_refused: u64,
    violations: u64,
    starts: u64,
}

pub(super) fn run(wanted: &Stats) -> Exit {
    let times = match Times::new(wanted.since.as_ref(), wanted.until.as_ref()) {
        Ok(times) => times,
        Err(exit) => return exit,
    };
    let mut counts = Counts::default();
    let counted = view::each(Path::new(&wanted.directory), &mut |record, _| {
        if times.hold(record) {
            counts.count(record);
        }
    });
    if let Err(e) = counted {
        return unreadable(&wanted.directory, &e);
    }
    say(&counts.text());
    Exit::Ok
}

impl Counts {
    fn count(&mut self, record: &Members) {
        let call = record.text("call");
        match record.text("event").unwrap_or_default() {
            "start" => self.starts += 1,
            "violation" => self.violations += 1,
            "poll_refused" => self.polls_refused += 1,
            "call_decided" => {
                let row = self.row(record);
                row.calls += 1;
                match call {
                    Some(call) => drop(self.open.insert(call.into(), record.clone())),
                    None => row.not_permitted += 1,
                }
            }
            "call_finished" => {
                let Some(decided) = call.and_then(|call| self.open.remove(call)) else { return };
                let row = self.row(&decided);
                row.failed += u64::from(!ended_well(record));
                row.bytes = row.bytes.saturating_add(record.number("result_bytes").unwrap_or(0));
                row.ms.extend(record.number("ms"));
            }
            "call_in_doubt" => {
                let Some(decided) = call.and_then(|call| self.open.get(call)).cloned() else { return };
                self.row(&decided).in_doubt += 1;
            }
            _ => {}
        }
    }

    fn row(&mut self, decided: &Members) -> &mut Row {
        let mut name = title(decided);
        if self.rows.len() >= MAX_ROWS && !self.rows.contains_key(&name) {
            name = "(others)".into();
        }
        self.rows.entry(name).or_default()
    }

    fn text(self) -> String {
        let mut rows: Vec<_> = self.rows.into_iter().collect();
        rows.sort_unstable_by(|(a, x), (b, y)| y.calls.cmp(&x.calls).then(a.cmp(b)));
        let total: u64 = rows.iter().map(|(_, row)| row.calls).sum();
        let rows: Vec<_> = rows
            .into_iter()
            .map(|(name, mut row)| {
                row.ms.sort_unstable();
                let numbers = [row.calls, row.not_permitted, row.failed, row.in_doubt].map(|n| n.to_string());
                let times = [50, 95, 100].map(|p| percentile(&row.ms, p));
                let cells = [vec![name], numbers.to_vec(), vec![size(row.bytes)], times.to_vec()].concat();
                (cells, row.calls)
            })
            .collect();
        let titles = [
            "channel method name",
            "calls",
            "not permitted",
            "failed",
            "in doubt",
            "answers",
            "p50 ms",
            "p95 ms",
            "max ms",
        ];
        let (starts, polls, violations) = (self.starts, self.polls_refused, self.violations);
        format!(
            "{}\n{total} calls, {} without an end; {starts} starts, {polls} times polling failed, {violations} violations\n",
            table(&titles, &rows),
            self.open.len()
        )
    }
}

fn title(record: &Members) -> String {
    ["channel", "method", "name"]
        .into_iter()
        .filter_map(|name| record.text(name))
        .collect::<Vec<_>>()
        .join(" ")
}

/// The value below which so many of 100 lie; of values in order.
fn percentile(sorted: &[u64], percent: usize) -> String {
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).map(u64::to_string).unwrap_or_default()
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} B"),
        10_240..10_485_760 => format!("{} KiB", bytes / 1024),
        _ => format!("{} MiB", bytes / 1_048_576),
    }
}
