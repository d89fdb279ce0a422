//! A table with bars, for a terminal. Pure.

/// Longest bar, in halves of a character.
const BAR: u64 = 40;
/// Widest first column, in characters.
const WIDEST: usize = 48;

/// Rows of texts below their titles: the first column to the left, the others to the right, and a bar for each row.
pub fn table(titles: &[&str], rows: &[(Vec<String>, u64)]) -> String {
    let most = rows.iter().map(|(_, n)| *n).max().unwrap_or(0).max(1);
    let cells = |row: &[String]| row.iter().map(|cell| short(cell)).collect::<Vec<_>>();
    let titles: Vec<String> = titles.iter().map(|t| (*t).to_string()).collect();
    let mut lines = vec![(cells(&titles), None)];
    lines.extend(rows.iter().map(|(row, n)| (cells(row), Some(*n))));
    let widths: Vec<usize> = (0..titles.len())
        .map(|at| {
            lines
                .iter()
                .filter_map(|(row, _)| row.get(at))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for (row, n) in lines {
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let width = *width;
            text.push_str(&if at == 0 { format!("{cell:<width$}") } else { format!("  {cell:>width$}") });
        }
        if let Some(n) = n {
            let bar = usize::try_from(n.saturating_mul(BAR) / most).unwrap_or(0);
            text.push_str("  ");
            text.push_str(&"█".repeat(bar / 2));
            if bar % 2 == 1 || (bar == 0 && n > 0) {
                text.push('▌');
            }
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

/// What a peer chose may be long, and may hold what a terminal obeys.
fn short(cell: &str) -> String {
    let cell: String = cell.escape_debug().collect();
    if cell.chars().count() <= WIDEST {
        return cell;
    }
    cell.chars().take(WIDEST - 1).chain(['…']).collect()
}
