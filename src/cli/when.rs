//! Days and instants on the command line, and how instants are printed.

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveTime, SecondsFormat};
use clap::Args;

use crate::domain::Timestamp;

/// A span of time to narrow a list to.
#[derive(Debug, Args)]
pub(super) struct Period {
    /// Only at or after this day or instant (2026-03-12, or RFC 3339).
    #[arg(long, value_name = "WHEN", value_parser = when)]
    since: Option<Timestamp>,
    /// Only before this day or instant.
    #[arg(long, value_name = "WHEN", value_parser = when)]
    until: Option<Timestamp>,
    /// Only on this day.
    #[arg(long, value_name = "DAY", value_parser = day, conflicts_with_all = ["since", "until"])]
    date: Option<NaiveDate>,
}

impl Period {
    /// From when on, and until before when.
    pub(super) fn bounds(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        match self.date {
            Some(day) => (Some(midnight(day)), day.succ_opt().map(midnight)),
            None => (self.since, self.until),
        }
    }
}

/// An instant as it is printed: RFC 3339, UTC.
pub(super) fn stamp(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A civil day, its year in four digits: 26-03-12 would be one of long ago.
pub(super) fn day(text: &str) -> Result<NaiveDate, String> {
    let four_digits = |day: &NaiveDate| (1000..=9999).contains(&day.year());
    text.parse().ok().filter(four_digits).ok_or_else(|| "not a day like 2026-03-12".into())
}

fn when(text: &str) -> Result<Timestamp, String> {
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Ok(instant.to_utc());
    }
    day(text).map(midnight).map_err(|_| "neither a day like 2026-03-12 nor an instant like 2026-03-12T08:00:00Z".into())
}

/// Where a day begins, in UTC.
fn midnight(day: NaiveDate) -> Timestamp {
    day.and_time(NaiveTime::MIN).and_utc()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_a_year_of_four_digits() {
        for text in ["2026-03-12", "1000-01-01", "9999-12-31"] {
            assert_eq!(day(text).map(|day| day.to_string()).as_deref(), Ok(text));
        }
        for text in
            ["26-03-12", "0026-03-12", "+262142-12-31", "-262143-01-01", "2026-02-30", "12/03/2026", "today", ""]
        {
            assert!(day(text).is_err() && when(text).is_err(), "{text}");
        }
    }
}
