//! Civil time in a merchant's files → instants. A local time that its zone skips or repeats is refused, never guessed;
//! so is a day of another age, which is most likely a year of two digits.

use chrono::{DateTime, Datelike as _, LocalResult, Months, NaiveDate, NaiveDateTime, TimeZone as _};
use chrono_tz::Tz;

use crate::domain::{Days, Timestamp};

/// What the text of a time must be.
const RULE: &str = "must be a time like 2026-03-12T14:05:00+02:00, or a day like 2026-03-12, or 2026-03-12 14:05";

/// The first year of which a merchant's files may tell.
const FIRST_YEAR: i32 = 2000;

/// How far beyond today they may tell, in months.
const AHEAD: Months = Months::new(12);

/// Which instant a day alone stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DayMeans {
    /// Its first.
    Begin,
    /// The first of the day after: what is due that day is late from then on.
    End,
}

/// `day`, if it is one that a merchant's file can tell of when it is `today`.
pub(super) fn of_our_time(day: NaiveDate, today: NaiveDate) -> Result<NaiveDate, String> {
    let last = today.checked_add_months(AHEAD).unwrap_or(today);
    if day.year() >= FIRST_YEAR && day <= last {
        return Ok(day);
    }
    Err(format!("is read as {day}, and must be from {FIRST_YEAR}-01-01 to {last}, a year from today"))
}

/// Reads an instant: with its offset, or as the clocks of `zone` show it.
pub(super) fn read(text: &str, zone: Tz, day_means: DayMeans, today: NaiveDate) -> Result<Timestamp, String> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return of_our_time(at.date_naive(), today).map(|_| at.to_utc());
    }
    if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        let day = Days::one(of_our_time(day, today)?, zone);
        return Ok(if day_means == DayMeans::End { day.until() } else { day.from() });
    }
    let formats = ["%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"];
    let local = formats.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok()).ok_or(RULE)?;
    of_our_time(local.date(), today)?;
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

    fn today() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 3, 12).unwrap()
    }

    fn at(text: &str, zone: Tz) -> Result<String, String> {
        read(text, zone, DayMeans::Begin, today()).map(|at| at.to_rfc3339())
    }

    #[test]
    fn a_time_without_an_offset_is_that_of_the_merchants_clocks() {
        for text in ["2026-03-12 14:05", "2026-03-12T14:05:00", "2026-03-12T12:05:00Z", "2026-03-12T14:05:00+02:00"] {
            assert_eq!(at(text, Tz::Africa__Harare).as_deref(), Ok("2026-03-12T12:05:00+00:00"), "{text}");
        }
        assert_eq!(at("2026-03-12", Tz::Africa__Harare).as_deref(), Ok("2026-03-11T22:00:00+00:00"));
        let due = read("2026-03-12", Tz::Africa__Harare, DayMeans::End, today()).unwrap();
        assert_eq!(due.to_rfc3339(), "2026-03-12T22:00:00+00:00");
    }

    #[test]
    fn a_time_that_the_clocks_skip_or_show_twice_wants_its_offset() {
        assert!(at("2026-03-29 02:30", Tz::Europe__Warsaw).unwrap_err().contains("skip"));
        assert!(at("2026-10-25 02:30", Tz::Europe__Warsaw).unwrap_err().contains("twice"));
        assert_eq!(at("2026-10-25T02:30:00+01:00", Tz::Europe__Warsaw).as_deref(), Ok("2026-10-25T01:30:00+00:00"));
    }

    #[test]
    fn a_day_of_another_age_is_refused_and_told_as_it_was_read() {
        for (text, read) in [
            ("26-03-12", "0026-03-12"),
            ("26-03-12 14:05", "0026-03-12"),
            ("1999-12-31", "1999-12-31"),
            ("0001-01-01T00:00:00+02:00", "0001-01-01"),
            ("-262143-01-01", "-262143-01-01"),
            ("+262142-12-31", "+262142-12-31"),
            ("2062-03-12T14:05:00Z", "2062-03-12"),
            ("2027-03-13", "2027-03-13"),
        ] {
            let bounds = "and must be from 2000-01-01 to 2027-03-12, a year from today";
            assert_eq!(at(text, Tz::Africa__Harare), Err(format!("is read as {read}, {bounds}")), "{text}");
        }
        for text in ["2000-01-01", "2027-03-12"] {
            assert!(at(text, Tz::Africa__Harare).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_told_what_one_looks_like() {
        for text in ["", "12/03/2026", "2026-13-01", "yesterday", "2026-03-12 25:00"] {
            assert_eq!(at(text, Tz::UTC), Err(RULE.into()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(
            text in any::<String>(),
            near in "[-+]?[0-9]{1,7}-[0-9]{2}-[0-9]{2}([ T][0-9:]{0,8})?([-+][0-9:]{5}|Z)?",
            (year, month, day) in (-262_143..=262_142_i32, 1..=12_u32, 1..=28_u32),
            zone in 0..chrono_tz::TZ_VARIANTS.len(),
        ) {
            let (zone, day) = (chrono_tz::TZ_VARIANTS[zone], NaiveDate::from_ymd_opt(year, month, day).unwrap());
            for text in [text, near, day.to_string(), format!("{day} 00:00")] {
                for day_means in [DayMeans::Begin, DayMeans::End] {
                    let _ = (read(&text, zone, day_means, today()), read(&text, zone, day_means, day));
                }
            }
        }
    }
}
