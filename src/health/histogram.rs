//! Times, counted by how long they took. Pure.

use std::fmt::Write as _;
use std::time::Duration;

/// Upper bounds in milliseconds; one more place counts what took longer.
const BOUNDS: [u32; 15] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000];
const PLACES: usize = BOUNDS.len() + 1;

/// In what a histogram is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// As Prometheus wants it.
    Seconds,
    /// As the names of some metrics want it.
    Milliseconds,
}

impl Unit {
    /// So many microseconds in decimal, without what needs floating point.
    fn of(self, micros: u64) -> String {
        let text = match self {
            Self::Seconds => format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000),
            Self::Milliseconds => format!("{}.{:03}", micros / 1000, micros % 1000),
        };
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

/// The counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; PLACES],
    sum: Duration,
}

impl Histogram {
    /// One more.
    pub fn add(&mut self, took: Duration) {
        let place = BOUNDS.partition_point(|bound| Duration::from_millis(u64::from(*bound)) < took);
        if let Some(count) = self.counts.get_mut(place) {
            *count = count.saturating_add(1);
        }
        self.sum = self.sum.saturating_add(took);
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The bound, in milliseconds, below which this share of all lies (in percent); `None` when there is none or it took
    /// longer than all bounds.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Option<u32> {
        let rank = self.count().saturating_mul(percent).div_ceil(100);
        let mut below = 0_u64;
        let place = self.counts.iter().position(|count| {
            below = below.saturating_add(*count);
            rank > 0 && below >= rank
        });
        BOUNDS.get(place?).copied()
    }

    /// Writes its lines; `labels` is empty or `name="value",…`.
    pub fn write(&self, out: &mut String, name: &str, labels: &str, unit: Unit) {
        let comma = if labels.is_empty() { "" } else { "," };
        let mut below = 0_u64;
        for (bound, count) in BOUNDS.iter().zip(&self.counts) {
            below = below.saturating_add(*count);
            let bound = unit.of(u64::from(*bound).saturating_mul(1000));
            // Writing to a text does not fail.
            let _ = writeln!(out, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {below}");
        }
        let sum = unit.of(u64::try_from(self.sum.as_micros()).unwrap_or(u64::MAX));
        let count = self.count();
        let (open, close) = if labels.is_empty() { ("", "") } else { ("{", "}") };
        let _ = writeln!(out, "{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {count}");
        let _ = writeln!(out, "{name}_sum{open}{labels}{close} {sum}");
        let _ = writeln!(out, "{name}_count{open}{labels}{close} {count}");
    }
}

#[cfg(test)]
#[path = "histogram_tests.rs"]
mod tests;
