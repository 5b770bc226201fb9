//! Civil time in a merchant's files → instants. A local time that its zone skips or repeats is refused, never guessed.

use chrono::{DateTime, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, Offset as _, TimeDelta, TimeZone as _};
use chrono_tz::Tz;

use crate::domain::Timestamp;

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

/// Where `day` begins in `zone`: at midnight, or, where the clocks skip that, when they go on.
pub fn day_begins(day: NaiveDate, zone: Tz) -> Timestamp {
    let midnight = day.and_time(NaiveTime::MIN);
    match zone.from_local_datetime(&midnight) {
        LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => at.to_utc(),
        LocalResult::None => {
            // The offset of the day before still holds when the clocks skip: midnight by it is when they do.
            let before = zone.offset_from_utc_datetime(&(midnight - TimeDelta::days(1)));
            (midnight - TimeDelta::seconds(before.fix().local_minus_utc().into())).and_utc()
        }
    }
}

/// Reads an instant: with its offset, or as the clocks of `zone` show it.
pub(super) fn read(text: &str, zone: Tz, day_means: DayMeans) -> Result<Timestamp, String> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(at.to_utc());
    }
    if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        let day = if day_means == DayMeans::End { day.succ_opt().unwrap_or(day) } else { day };
        return Ok(day_begins(day, zone));
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
    fn a_day_whose_midnight_is_skipped_begins_when_the_clocks_go_on() {
        let day = NaiveDate::from_ymd_opt(2024, 4, 26).unwrap();
        // Egypt: from 2024-04-25 23:59:59 (+02:00) straight to 01:00 (+03:00).
        assert_eq!(day_begins(day, Tz::Africa__Cairo).to_rfc3339(), "2024-04-25T22:00:00+00:00");
        // Where midnight comes twice, the first counts.
        let day = NaiveDate::from_ymd_opt(2024, 11, 3).unwrap();
        assert_eq!(day_begins(day, Tz::America__Havana).to_rfc3339(), "2024-11-03T04:00:00+00:00");
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

        #[test]
        fn days_begin_one_after_the_other(days in 0..20_000_i64) {
            let day = NaiveDate::from_ymd_opt(1980, 1, 1).unwrap() + TimeDelta::days(days);
            for zone in [Tz::Africa__Cairo, Tz::America__Havana, Tz::Asia__Beirut, Tz::Europe__Warsaw] {
                let (begin, next) = (day_begins(day, zone), day_begins(day.succ_opt().unwrap(), zone));
                prop_assert!(begin < next);
                prop_assert!((TimeDelta::hours(22)..=TimeDelta::hours(26)).contains(&(next - begin)), "{} {}", zone, day);
            }
        }
    }
}
