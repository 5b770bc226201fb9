//! Civil time in a merchant's files → instants. A local time that its zone skips or repeats is refused, never guessed.

use chrono::{DateTime, LocalResult, NaiveDate, NaiveDateTime, TimeZone as _};
use chrono_tz::Tz;

use crate::domain::{Days, Timestamp};

/// What the text of a time must be.
const RULE: &str = "must be a time like 2026-03-12T14:05:00+02:00, or a day like 2026-03-12, or 2026-03-12 14:05";

/// Which instant a day alone stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DayMeans {
    /// Its first.
    Begin,
    /// The first of the day after: what is due that day is late from then on.
    End,
}

/// Reads an instant: with its offset, or as the clocks of `zone` show it.
pub(super) fn read(text: &str, zone: Tz, day_means: DayMeans) -> Result<Timestamp, String> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(at.to_utc());
    }
    if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        let day = Days::one(day, zone);
        return Ok(if day_means == DayMeans::End { day.until() } else { day.from() });
    }
    let formats = ["%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"];
    let local = formats.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok()).ok_or(RULE)?;
    match zone.from_local_datetime(&local) {
        LocalResult::Single(at) => Ok(at.to_utc()),
        LocalResult::None => Err(format!(
            "is a time that the clocks of {zone} skip that day; write it with its offset: 2026-03-12T14:05:00+02:00"
        )),
        LocalResult::Ambiguous(..) => Err(format!(
            "is a time that the clocks of {zone} show twice that day; write it with its offset: 2026-03-12T14:05:00+02:00"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str, zone: Tz) -> Result<String, String> {
        read(text, zone, DayMeans::Begin).map(|at| at.to_rfc3339())
    }

    #[test]
    fn a_time_without_an_offset_is_that_of_the_merchants_clocks() {
        for text in ["2026-03-12 14:05", "2026-03-12T14:05:00", "2026-03-12T12:05:00Z", "2026-03-12T14:05:00+02:00"] {
            assert_eq!(at(text, Tz::Africa__Harare).as_deref(), Ok("2026-03-12T12:05:00+00:00"), "{text}");
        }
        assert_eq!(at("2026-03-12", Tz::Africa__Harare).as_deref(), Ok("2026-03-11T22:00:00+00:00"));
        let due = read("2026-03-12", Tz::Africa__Harare, DayMeans::End).unwrap();
        assert_eq!(due.to_rfc3339(), "2026-03-12T22:00:00+00:00");
    }

    #[test]
    fn a_time_that_the_clocks_skip_or_show_twice_wants_its_offset() {
        assert!(at("2026-03-29 02:30", Tz::Europe__Warsaw).unwrap_err().contains("skip"));
        assert!(at("2026-10-25 02:30", Tz::Europe__Warsaw).unwrap_err().contains("twice"));
        assert_eq!(at("2026-10-25T02:30:00+01:00", Tz::Europe__Warsaw).as_deref(), Ok("2026-10-25T01:30:00+00:00"));
    }

    #[test]
    fn what_is_no_time_is_told_what_one_looks_like() {
        for text in ["", "12/03/2026", "2026-13-01", "yesterday", "2026-03-12 25:00"] {
            assert_eq!(at(text, Tz::UTC), Err(RULE.into()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in any::<String>(), near in "[0-9]{4}-[0-9]{2}-[0-9]{2}[ T]?[0-9:]{0,8}") {
            let _ = (read(&text, Tz::Africa__Cairo, DayMeans::Begin), read(&near, Tz::Africa__Cairo, DayMeans::End));
        }
    }
}
