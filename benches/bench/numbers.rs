//! Medians, percentiles, ratios and tables.

use std::fmt;
use std::time::Duration;

/// One number over another, in thousandths.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ratio(u64);

impl Ratio {
    /// `above` ÷ `below`.
    pub fn of(above: u64, below: u64) -> Self {
        Self((u128::from(above) * 1000 / u128::from(below.max(1))).try_into().unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0 {
            thousandths @ 0..10_000 => format!("{}.{:02}", thousandths / 1000, thousandths % 1000 / 10),
            thousandths @ 10_000..100_000 => format!("{}.{}", thousandths / 1000, thousandths % 1000 / 100),
            thousandths => format!("{}", thousandths / 1000),
        };
        f.pad(&text)
    }
}

/// The middle one; of an even number, the upper of the two in the middle.
pub fn median<T: Copy + Ord>(values: &[T]) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

/// The value that `permille` of 1000 do not exceed, of values in order.
pub fn percentile(sorted: &[Duration], permille: usize) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted.get((sorted.len() * permille / 1000).min(last)).copied().unwrap_or_default()
}

/// How many happened in a second.
pub fn per_second(count: u64, time: Duration) -> u64 {
    (u128::from(count) * 1_000_000 / time.as_micros().max(1)).try_into().unwrap_or(u64::MAX)
}

/// A time in microseconds, for ratios.
pub fn micros(time: Duration) -> u64 {
    time.as_micros().try_into().unwrap_or(u64::MAX)
}

/// A time for people: milliseconds with two decimals.
pub fn millis(time: Duration) -> String {
    format!("{}.{:02}", time.as_micros() / 1000, time.as_micros() % 1000 / 10)
}

/// A table that is printed as it grows.
pub struct Table(Vec<usize>);

impl Table {
    /// Prints the title and the names of the columns.
    pub fn new(title: &str, columns: &[&str]) -> Self {
        println!("\n## {title}\n");
        println!("| {} |", columns.join(" | "));
        println!("|{}|", columns.iter().map(|name| "-".repeat(name.len() + 2)).collect::<Vec<_>>().join("|"));
        Self(columns.iter().map(|name| name.chars().count()).collect())
    }

    /// Prints a row.
    pub fn row(&self, cells: &[&dyn fmt::Display]) {
        let cells: Vec<String> =
            cells.iter().zip(&self.0).map(|(cell, width)| format!("{:>width$}", cell.to_string())).collect();
        println!("| {} |", cells.join(" | "));
    }
}
