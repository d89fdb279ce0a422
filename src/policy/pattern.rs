//! Patterns over whole strings, in a subset of ECMAScript's, matched in linear time. Pure.
//!
//! A pattern begins with `^` and ends with `$`, so that it is about the whole string: one that is not anchored lets
//! anything pass around it. There are no assertions and no back references, hence nothing that could run away: a match
//! takes at most length of program times length of text steps, and both are bounded.

mod parse;

use parse::Re;

/// Most steps of a program.
const MAX_OPS: usize = 1000;
/// Most steps of one match; a longer text does not match. A few milliseconds.
const MAX_STEPS: usize = 1_000_000;

/// A range of characters, both ends included.
type Range = (char, char);

#[derive(Clone, Debug)]
enum Op {
    /// One character that is (or, when `false`, is not) in the ranges.
    Set(Vec<Range>, bool),
    /// Go on at both.
    Split(usize, usize),
    /// Go on there.
    Jump(usize),
    /// The text ends here.
    Match,
}

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Pattern(Vec<Op>);

impl Pattern {
    /// Compiles.
    ///
    /// # Errors
    /// With what cannot be enforced, for a person.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        let re = parse::parse(text)?;
        let mut ops = Vec::new();
        emit(&re, &mut ops)?;
        ops.push(Op::Match);
        Ok(Self(ops))
    }

    /// Whether all of `text` matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        if text.len().saturating_mul(self.0.len()) > MAX_STEPS {
            return false;
        }
        let mut threads = Threads { at: Vec::new(), open: Vec::new(), seen: vec![0; self.0.len()], step: 1 };
        let mut current = Vec::new();
        threads.add(&self.0, 0);
        for c in text.chars() {
            std::mem::swap(&mut current, &mut threads.at);
            threads.at.clear();
            threads.step += 1;
            for at in current.iter().copied() {
                if let Some(Op::Set(ranges, wanted)) = self.0.get(at) {
                    let within = ranges.iter().any(|(from, to)| (*from..=*to).contains(&c));
                    if within == *wanted {
                        threads.add(&self.0, at + 1);
                    }
                }
            }
            if threads.at.is_empty() {
                return false;
            }
        }
        threads.at.iter().any(|at| matches!(self.0.get(*at), Some(Op::Match)))
    }
}

/// The places in a program that are reached, each once.
struct Threads {
    at: Vec<usize>,
    /// Places that are still to be looked at.
    open: Vec<usize>,
    /// In which step a place was last reached.
    seen: Vec<usize>,
    step: usize,
}

impl Threads {
    fn add(&mut self, ops: &[Op], start: usize) {
        self.open.push(start);
        while let Some(at) = self.open.pop() {
            match self.seen.get_mut(at) {
                Some(seen) if *seen != self.step => *seen = self.step,
                _ => continue,
            }
            match ops.get(at) {
                Some(Op::Split(a, b)) => self.open.extend([*b, *a]),
                Some(Op::Jump(to)) => self.open.push(*to),
                Some(Op::Set(..) | Op::Match) => self.at.push(at),
                None => {}
            }
        }
    }
}

fn emit(re: &Re, ops: &mut Vec<Op>) -> Result<(), &'static str> {
    if ops.len() > MAX_OPS {
        return Err("the pattern is too large");
    }
    match re {
        Re::Set(ranges, wanted) => ops.push(Op::Set(ranges.clone(), *wanted)),
        Re::Sequence(parts) => {
            for part in parts {
                emit(part, ops)?;
            }
        }
        Re::Either(branches) => {
            let mut ends = Vec::new();
            for (n, branch) in branches.iter().enumerate() {
                let split = ops.len();
                let last = n + 1 == branches.len();
                if !last {
                    ops.push(Op::Match);
                }
                emit(branch, ops)?;
                if !last {
                    ends.push(ops.len());
                    ops.push(Op::Match);
                    split_at(ops, split);
                }
            }
            for end in ends {
                let after = ops.len();
                set(ops, end, Op::Jump(after));
            }
        }
        Re::Repeat(inner, least, most) => {
            for _ in 0..*least {
                emit(inner, ops)?;
            }
            let Some(most) = most else {
                let split = ops.len();
                ops.push(Op::Match);
                emit(inner, ops)?;
                ops.push(Op::Jump(split));
                split_at(ops, split);
                return Ok(());
            };
            let mut splits = Vec::new();
            for _ in *least..*most {
                splits.push(ops.len());
                ops.push(Op::Match);
                emit(inner, ops)?;
            }
            for split in splits {
                split_at(ops, split);
            }
        }
    }
    Ok(())
}

/// Makes the step at `at` go on behind itself or at what comes next.
fn split_at(ops: &mut [Op], at: usize) {
    let next = ops.len();
    set(ops, at, Op::Split(at + 1, next));
}

fn set(ops: &mut [Op], at: usize, op: Op) {
    if let Some(slot) = ops.get_mut(at) {
        *slot = op;
    }
}

#[cfg(test)]
#[path = "pattern_tests.rs"]
mod tests;
