//! When something happened, as the gateway's own clock had it. A claim like any other: it is kept, never counted with,
//! because clocks differ, seconds tie and one hour in October comes twice.

use std::fmt;

use chrono::{LocalResult, NaiveDateTime, TimeZone};

use super::Timestamp;

/// A moment as the gateway wrote it, and what instants that can mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaidAt {
    text: Box<str>,
    meant: Option<(Timestamp, Timestamp)>,
}

impl SaidAt {
    /// `text`, which a clock in `zone` would show as `clock`.
    pub fn on_a_clock<Z: TimeZone>(text: &str, clock: NaiveDateTime, zone: &Z) -> Self {
        let meant = match zone.from_local_datetime(&clock) {
            LocalResult::Single(at) => Some((at.to_utc(), at.to_utc())),
            LocalResult::Ambiguous(one, other) => {
                let (one, other) = (one.to_utc(), other.to_utc());
                Some((one.min(other), one.max(other)))
            }
            LocalResult::None => None,
        };
        Self { text: text.into(), meant }
    }

    /// Takes back what was kept: as it was written, and what that was found to mean.
    pub fn stored(text: &str, meant: Option<(Timestamp, Timestamp)>) -> Self {
        Self { text: text.into(), meant }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The earliest and the latest instant it can mean: the same but in the hour that comes twice. `None` for a time
    /// that no clock in that zone ever showed.
    pub const fn meant(&self) -> Option<(Timestamp, Timestamp)> {
        self.meant
    }
}

impl fmt::Display for SaidAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Europe::Warsaw;

    use super::*;

    fn said(text: &str) -> SaidAt {
        SaidAt::on_a_clock(text, text.parse().unwrap(), &Warsaw)
    }

    fn instant(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_clock_time_is_kept_as_given_and_as_the_instant_it_means() {
        let winter = said("2018-12-12T13:24:52");
        assert_eq!(winter.as_str(), "2018-12-12T13:24:52");
        assert_eq!(winter.meant(), Some((instant("2018-12-12T12:24:52Z"), instant("2018-12-12T12:24:52Z"))));
        assert_eq!(said("2026-07-01T12:00:00").meant().unwrap().0, instant("2026-07-01T10:00:00Z"));
    }

    #[test]
    fn octobers_repeated_hour_can_mean_two_instants() {
        let twice = said("2026-10-25T02:30:00").meant();
        assert_eq!(twice, Some((instant("2026-10-25T00:30:00Z"), instant("2026-10-25T01:30:00Z"))));
        for once in ["2026-10-25T01:59:59", "2026-10-25T03:00:00"] {
            let (earliest, latest) = said(once).meant().unwrap();
            assert_eq!(earliest, latest, "{once}");
        }
    }

    #[test]
    fn marchs_skipped_hour_is_kept_though_it_means_no_instant() {
        let never = said("2026-03-29T02:30:00");
        assert_eq!((never.as_str(), never.meant()), ("2026-03-29T02:30:00", None));
    }
}
