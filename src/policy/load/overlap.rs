//! Names that say the same twice, or that are never reached. Pure.

use crate::policy::fault::Faults;
use crate::policy::rules::{Kind, Name, Policy, Rule};

/// A name with its rule and its path.
struct Entry<'p> {
    rule: &'p Rule,
    name: &'p Name,
    at: (usize, usize),
}

impl Entry<'_> {
    fn path(&self) -> String {
        let (rule, name) = self.at;
        let key = match self.rule.kind {
            Kind::Method => return format!("rules[{rule}].methods"),
            Kind::Tool => "tools",
            Kind::Prompt => "prompts",
            Kind::Resource => "resources",
        };
        format!("rules[{rule}].{key}[{name}]")
    }
}

/// Holds every name against every other. The rules are bounded in number, and so is this.
pub(super) fn check(policy: &Policy, faults: &mut Faults) {
    for (n, rule) in policy.rules.iter().enumerate() {
        if let (Some(open), Some(own)) = (&policy.channels, &rule.channels) {
            for channel in own.iter().filter(|channel| !open.contains(channel)) {
                let why = format!("never reached: channel {channel} is not among the channels of the policy");
                faults.add(&format!("rules[{n}].channels"), &why);
            }
        }
    }
    let entries: Vec<Entry<'_>> = policy
        .rules
        .iter()
        .enumerate()
        .flat_map(|(n, rule)| {
            rule.names.iter().enumerate().map(move |(m, name)| Entry { rule, name, at: (n, m) })
        })
        .collect();
    for (n, entry) in entries.iter().enumerate() {
        let others = entries.iter().enumerate().filter(|(m, _)| *m != n);
        let reason = others.map(|(m, other)| shadowed(policy, entry, other, m < n)).find(Option::is_some);
        if let Some((why, other)) = reason.flatten() {
            faults.add(&entry.path(), &format!("{:?} {why} rule {}", entry.name.text, other.id));
        }
    }
}

/// Why `entry` says nothing beside `other`, which stands before it when `earlier`.
fn shadowed<'p>(
    policy: &Policy,
    entry: &Entry<'_>,
    other: &Entry<'p>,
    earlier: bool,
) -> Option<(&'static str, &'p Rule)> {
    let (a, b) = (entry.rule, other.rule);
    if a.deny != b.deny {
        let calls = by_method(a.kind)
            .is_some_and(|method| b.kind == Kind::Method && b.names.iter().any(|n| n.text == method));
        let covered = a.kind == b.kind && other.name.includes(entry.name) || calls;
        return (!a.deny && covered && spans(policy, b, a))
            .then_some(("is never reached: it is denied by", b));
    }
    if a.kind != b.kind || !other.name.includes(entry.name) || (entry.name.preset && other.name.preset) {
        return None;
    }
    if *entry.name == *other.name || entry.name.preset != other.name.preset {
        // Both ways round the same; the later one is reported, and a name beside a preset that has it.
        let later = if entry.name.preset == other.name.preset { earlier } else { other.name.preset };
        return (later && meets(a, b)).then_some(("is a duplicate of what is said by", b));
    }
    spans(policy, b, a).then_some(("is never reached: it is covered by", b))
}

/// The one method by which things of a kind are used.
fn by_method(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Tool => Some("tools/call"),
        Kind::Prompt => Some("prompts/get"),
        Kind::Resource | Kind::Method => None,
    }
}

/// Whether two rules share a channel.
fn meets(a: &Rule, b: &Rule) -> bool {
    match (&a.channels, &b.channels) {
        (Some(a), Some(b)) => a.iter().any(|channel| b.contains(channel)),
        _ => true,
    }
}

/// Whether `a` is about every channel that `b` is about.
fn spans(policy: &Policy, a: &Rule, b: &Rule) -> bool {
    match (&a.channels, b.channels.as_ref().or(policy.channels.as_ref())) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(a), Some(b)) => b.iter().all(|channel| a.contains(channel)),
    }
}
