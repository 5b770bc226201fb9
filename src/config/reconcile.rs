//! `[reconcile]`: the nightly run: when, how far back it looks, and who gets its report. Says what was asked for; what
//! is due is decided from the ledger.

use std::time::Duration;

use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use super::integration::addresses;
use super::reader::Section;

/// Every night at half past two.
const NIGHTLY: &str = "0 30 2 * * *";
/// How long a payment that became final is looked at again: a gateway that corrects itself does so within days.
const LOOK_BACK: Duration = days(7);
/// How long a delivery may take before somebody should ask why the money is still held.
const ESCROW_AFTER: Duration = days(7);
/// How long a schedule may be, in bytes.
const LONGEST: usize = 100;

/// When the nightly run is.
#[derive(Clone, Debug)]
pub struct ReconcileConfig {
    /// The times of day, in `timezone`.
    pub schedule: Cron,
    /// The zone whose clocks the schedule means, summer time and all, and whose days are reported.
    pub timezone: Tz,
    /// How long after it became final a payment is still asked about once a night.
    pub look_back: Duration,
    /// How long the gateway may hold money before that is a finding.
    pub escrow_after: Duration,
    /// Who gets the report; empty means everyone whom any integration notifies.
    pub report_to: Vec<String>,
}

impl ReconcileConfig {
    /// `None` never happens: the schedule that stands in for a refused one is known to be good.
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let rule =
            "a schedule of seconds, minutes, hours, day, month and weekday that comes true, like \"0 30 2 * * *\"";
        let asked = section.read("schedule", rule, parse);
        let zone = "an IANA time zone like \"Africa/Harare\" or \"UTC\"";
        let timezone = section.read("timezone", zone, |text| text.parse().ok()).unwrap_or(Tz::Africa__Harare);
        let look_back = section.duration("look_back", LOOK_BACK, Duration::ZERO..=days(90));
        let escrow_after = section.duration("escrow_after", ESCROW_AFTER, days(1)..=days(90));
        let report_to = addresses(&mut section, "report_to");
        section.finish();
        Some(Self { schedule: asked.or_else(|| parse(NIGHTLY))?, timezone, look_back, escrow_after, report_to })
    }
}

const fn days(count: u64) -> Duration {
    Duration::from_hours(count * 24)
}

/// Reads five or six fields, seconds first where there are six.
fn parse(text: &str) -> Option<Cron> {
    if !text.is_ascii() || text.len() > LONGEST {
        return None;
    }
    let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
    parser.parse(text).ok().filter(comes_true)
}

/// Whether there is any such time: 30 February is well written and never comes.
fn comes_true(schedule: &Cron) -> bool {
    let start = chrono::DateTime::UNIX_EPOCH;
    schedule.find_next_occurrence(&start, true).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_or_six_fields_and_nicknames_are_schedules() {
        for text in ["0 30 2 * * *", "30 2 * * *", "*/2 * * * * *", "0 0 3 L * *", "0 0 4 * * MON-FRI", "@daily"] {
            assert!(parse(text).is_some(), "{text}");
        }
        assert_eq!(parse("30 2 * * *"), parse(NIGHTLY));
    }

    #[test]
    fn what_never_comes_or_is_no_schedule_is_refused() {
        for text in ["", "daily", "61 * * * * *", "0 30 2 * *  * 2030", "0 0 0 30 2 *", "0 30 25 * * *", "*"] {
            assert!(parse(text).is_none(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn reading_never_panics(text in "[-0-9*/,LW#?+@ A-Z]{0,30}", any in ".{0,30}") {
            let _ = (parse(&text), parse(&any));
        }
    }
}
