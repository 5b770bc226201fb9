//! Civil days: which instants a shop's days are, summer time and all.

use chrono::{DateTime, Days as Count, LocalResult, NaiveDate, NaiveTime, TimeDelta, TimeZone};
use chrono_tz::Tz;

use super::Timestamp;

/// One civil day or several in a row, by the clocks of one zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days {
    first: NaiveDate,
    last: NaiveDate,
    zone: Tz,
}

impl Days {
    /// The days from `first` to `last`, both included; `None` if they are in the wrong order.
    pub fn new(first: NaiveDate, last: NaiveDate, zone: Tz) -> Option<Self> {
        (first <= last).then_some(Self { first, last, zone })
    }

    /// One day.
    pub const fn one(day: NaiveDate, zone: Tz) -> Self {
        Self { first: day, last: day, zone }
    }

    /// The first of them.
    pub const fn first(&self) -> NaiveDate {
        self.first
    }

    /// The last of them.
    pub const fn last(&self) -> NaiveDate {
        self.last
    }

    /// By whose clocks they are days.
    pub const fn zone(&self) -> Tz {
        self.zone
    }

    /// When the first of them begins.
    pub fn from(&self) -> Timestamp {
        start_of(self.first, self.zone)
    }

    /// When the last of them has ended.
    pub fn until(&self) -> Timestamp {
        self.last.succ_opt().map_or(Timestamp::MAX_UTC, |next| start_of(next, self.zone))
    }

    /// How many they are.
    pub fn count(&self) -> u64 {
        (self.last - self.first).num_days().unsigned_abs() + 1
    }

    /// The days of which the last is `last`, `count` of them.
    pub fn up_to(last: NaiveDate, count: u64, zone: Tz) -> Self {
        let first = last.checked_sub_days(Count::new(count.saturating_sub(1))).unwrap_or(last);
        Self { first, last, zone }
    }

    /// Each of them, in order.
    pub fn each(&self) -> impl Iterator<Item = NaiveDate> {
        let last = self.last;
        self.first.iter_days().take_while(move |day| *day <= last)
    }
}

/// When `day` begins: at midnight, at the first one where the clocks show it twice, or, where the clocks leave it out,
/// when they go on.
fn start_of(day: NaiveDate, zone: Tz) -> Timestamp {
    let mut midnight = day.and_time(NaiveTime::MIN);
    // No zone has ever left out more than a day.
    let end = midnight.checked_add_signed(TimeDelta::days(2)).unwrap_or(midnight);
    while midnight < end {
        match zone.from_local_datetime(&midnight) {
            LocalResult::Single(start) | LocalResult::Ambiguous(start, _) => return start.to_utc(),
            LocalResult::None => midnight += TimeDelta::minutes(1),
        }
    }
    DateTime::from_naive_utc_and_offset(midnight, chrono::Utc)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn hours(text: &str, zone: Tz) -> i64 {
        let days = Days::one(day(text), zone);
        (days.until() - days.from()).num_hours()
    }

    #[test]
    fn a_day_is_as_long_as_the_clocks_make_it() {
        let warsaw = chrono_tz::Europe::Warsaw;
        assert_eq!(
            (hours("2026-03-28", warsaw), hours("2026-03-29", warsaw), hours("2026-03-30", warsaw)),
            (24, 23, 24)
        );
        assert_eq!(
            (hours("2026-10-24", warsaw), hours("2026-10-25", warsaw), hours("2026-10-26", warsaw)),
            (24, 25, 24)
        );
        assert_eq!(hours("2026-03-29", chrono_tz::Africa::Harare), 24);
        assert_eq!(Days::one(day("2026-03-29"), warsaw).from(), "2026-03-28T23:00:00Z".parse::<Timestamp>().unwrap());
        assert_eq!(Days::one(day("2026-03-29"), warsaw).until(), "2026-03-29T22:00:00Z".parse::<Timestamp>().unwrap());
    }

    #[test]
    fn a_midnight_that_is_left_out_or_comes_twice_begins_the_day_once() {
        // In Santiago the clocks go from 24:00 to 01:00; in Havana from 01:00 back to 00:00.
        assert_eq!(hours("2026-09-06", chrono_tz::America::Santiago), 23);
        assert_eq!(hours("2026-11-01", chrono_tz::America::Havana), 25);
        // Samoa had no 30 December 2011 at all.
        assert_eq!(hours("2011-12-30", chrono_tz::Pacific::Apia), 0);
    }

    #[test]
    fn the_first_and_the_last_days_there_are_begin_and_end_somewhere() {
        for zone in chrono_tz::TZ_VARIANTS {
            let days = [NaiveDate::MIN, NaiveDate::MAX].map(|day| Days::one(day, zone));
            for days in [days[0], days[1], Days::up_to(days[0].last(), 2, zone), Days::up_to(days[1].last(), 2, zone)] {
                assert!(days.from() <= days.until(), "{zone}");
            }
        }
    }

    #[test]
    fn several_days_are_counted_from_both_ends() {
        let zone = chrono_tz::Africa::Harare;
        let days = Days::new(day("2026-02-27"), day("2026-03-02"), zone).unwrap();
        assert_eq!((days.count(), days.each().count()), (4, 4));
        assert_eq!(Days::up_to(day("2026-03-02"), 4, zone), days);
        assert_eq!(Days::new(day("2026-03-02"), day("2026-03-01"), zone), None);
    }

    proptest! {
        #[test]
        fn days_follow_one_another_without_gap_or_overlap(zone in 0..chrono_tz::TZ_VARIANTS.len(), number in 719_163..760_000_i32) {
            let (zone, day) = (chrono_tz::TZ_VARIANTS[zone], NaiveDate::from_num_days_from_ce_opt(number).unwrap());
            let (this, next) = (Days::one(day, zone), Days::one(day.succ_opt().unwrap(), zone));
            prop_assert_eq!(this.until(), next.from());
            prop_assert!(this.from() <= this.until());
        }
    }
}
