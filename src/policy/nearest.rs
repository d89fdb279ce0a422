//! What was probably meant by a word that does not exist. Pure; for people only, nothing is decided by it.

/// The legal word that is nearest to this one, when it is near enough to be meant: a few slips of the keyboard away, and
/// fewer than would make any short word another.
#[must_use]
pub fn nearest<'a>(word: &str, legal: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = legal.into_iter().map(|legal| (distance(word, legal), legal)).min();
    near.filter(|(slips, legal)| *slips <= 3 && slips.saturating_mul(2) <= legal.len())
        .map(|(_, legal)| legal)
}

/// How many characters must be added, dropped or replaced, or exchanged with their neighbours; of the first 64.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let at = |row: &[usize], n: usize| row.get(n).copied().unwrap_or(usize::MAX);
    let (mut last, mut row): (Vec<usize>, Vec<usize>) = (Vec::new(), (0..=b.len()).collect());
    for (i, x) in a.iter().enumerate() {
        let mut next = vec![i.saturating_add(1)];
        for (j, y) in b.iter().enumerate() {
            let mut least = at(&row, j).saturating_add(usize::from(x != y));
            least = least.min(at(&row, j.saturating_add(1)).min(at(&next, j)).saturating_add(1));
            let exchanged =
                i > 0 && j > 0 && a.get(i.wrapping_sub(1)) == Some(y) && b.get(j.wrapping_sub(1)) == Some(x);
            if exchanged {
                least = least.min(at(&last, j.wrapping_sub(1)).saturating_add(1));
            }
            next.push(least);
        }
        last = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
#[path = "nearest_tests.rs"]
mod tests;
