//! Finds the names of a policy that may be about a call without a look at every rule. Pure.
//!
//! Calls come one by one, and what a rule is made of has left the processor's cache by the next: a walk over fifty rules
//! costs more than all the rest of a decision. What is found here is no more than a candidate; the rule has the last word.

use super::rules::{Allowed, Kind, Rule};

/// The names of all rules.
#[derive(Clone, Debug, Default)]
pub struct Index {
    /// Those that mean one name only, by its hash. Sorted.
    exact: Vec<(u64, Allowed)>,
    /// Those that mean all that begins with them.
    prefixes: Vec<Allowed>,
}

impl Index {
    /// Of these rules.
    #[must_use]
    pub fn of(rules: &[Rule]) -> Self {
        let mut index = Self::default();
        for (n, rule) in rules.iter().enumerate() {
            for (m, name) in rule.names.iter().enumerate() {
                let at = Allowed { rule: n, name: m };
                if name.prefix {
                    index.prefixes.push(at);
                } else {
                    index.exact.push((hash(rule.kind, &name.text), at));
                }
            }
        }
        index.exact.sort_unstable();
        index
    }

    /// The names that may be about it, in no order: among them are all that are.
    pub fn candidates(&self, kind: Kind, name: &str) -> impl Iterator<Item = Allowed> {
        let wanted = hash(kind, name);
        let from = self.exact.partition_point(|(hash, _)| *hash < wanted);
        let same =
            self.exact.iter().skip(from).take_while(move |(hash, _)| *hash == wanted).map(|(_, at)| *at);
        // Only resources have prefixes.
        let prefixes = if kind == Kind::Resource { self.prefixes.as_slice() } else { &[] };
        same.chain(prefixes.iter().copied())
    }
}

/// FNV-1a. Two names of one hash are both candidates, so a caller gains nothing by finding some.
fn hash(kind: Kind, name: &str) -> u64 {
    let kind = match kind {
        Kind::Method => 0,
        Kind::Tool => 1,
        Kind::Prompt => 2,
        Kind::Resource => 3,
    };
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    name.bytes().fold(step(0xcbf2_9ce4_8422_2325, kind), step)
}
