//! Printing: lines, tables and complaints. What came over a wire cannot move the cursor or reverse the line.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

/// Set once something was to be printed and is lost.
static LOST: AtomicBool = AtomicBool::new(false);

/// Prints one line to standard output. `false` if it is of no use to go on: nobody reads any more, or it is lost.
pub(super) fn line(text: impl Display) -> bool {
    arrived(&writeln!(io::stdout().lock(), "{text}"))
}

/// The same with bytes as they are.
pub(super) fn bytes(bytes: &[u8]) -> bool {
    let mut out = io::stdout().lock();
    arrived(&out.write_all(bytes).and_then(|()| out.flush()))
}

/// Says so, once, if something is lost.
fn arrived(printed: &io::Result<()>) -> bool {
    if let Err(error) = printed
        && error.kind() != io::ErrorKind::BrokenPipe
        && !LOST.swap(true, Ordering::Relaxed)
    {
        complain(&format!("what was printed is not all there was: {error}"));
    }
    printed.is_ok()
}

/// Whether all that was printed has arrived, or was not wanted.
pub(super) fn is_whole() -> bool {
    !LOST.load(Ordering::Relaxed)
}

/// Says what went wrong, to standard error.
pub(super) fn complain(trouble: &impl Display) {
    // If even standard error is gone, there is nobody left to tell.
    let _ = writeln!(io::stderr().lock(), "paynowd: {trouble}");
}

/// Says what went wrong and all that it was caused by.
pub(super) fn complain_of(error: &dyn std::error::Error) {
    let mut trouble = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        trouble = format!("{trouble}: {deeper}");
        cause = deeper.source();
    }
    complain(&trouble);
}

/// Rows under a heading, each column as wide as its widest cell.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    numbers: Vec<bool>,
}

impl Table {
    /// A table with these headings; one that begins with `>` stands over numbers, which align to the right.
    pub(super) fn new(headings: &[&str]) -> Self {
        Self {
            numbers: headings.iter().map(|heading| heading.starts_with('>')).collect(),
            rows: vec![headings.iter().map(|heading| heading.trim_start_matches('>').to_owned()).collect()],
        }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| crate::mailer::shown(&cell)).collect());
    }

    /// Prints the table, or `nothing` if it has no rows.
    pub(super) fn print(&self, nothing: &str) {
        if self.rows.len() < 2 {
            line(nothing);
            return;
        }
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.numbers.len()).map(width).collect();
        for row in &self.rows {
            let cells = row.iter().zip(&widths).zip(&self.numbers).map(|((cell, width), number)| {
                if *number { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            });
            if !line(cells.collect::<Vec<_>>().join("  ").trim_end()) {
                return;
            }
        }
    }
}
