//! What `Retry-After` asks for. Reading it is pure; obeying it is the caller's.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};

/// How long a stranger may ask us to stay away, at most.
const LONGEST: Duration = Duration::from_hours(24);

/// The wait a `Retry-After` value asks for, counted from `now`: a number of seconds or an HTTP
/// date (RFC 9110, section 10.2.3). A date gone by is no wait at all; nothing is longer than
/// 24 hours; what is neither number nor date is `None`.
pub fn retry_after(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        let wait = value.parse().map_or(LONGEST, Duration::from_secs);
        return Some(wait.min(LONGEST));
    }
    let date = NaiveDateTime::parse_from_str(value, "%a, %d %b %Y %H:%M:%S GMT").ok()?;
    let wait = (date.and_utc() - now).to_std().unwrap_or(Duration::ZERO);
    Some(wait.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Option<Duration> {
        let now = DateTime::parse_from_rfc3339("2026-03-01T12:00:00Z").unwrap();
        retry_after(value, now.to_utc())
    }

    #[test]
    fn seconds_and_dates_are_understood() {
        assert_eq!(read("0"), Some(Duration::ZERO));
        assert_eq!(read(" 120 "), Some(Duration::from_mins(2)));
        assert_eq!(read("Sun, 01 Mar 2026 12:01:30 GMT"), Some(Duration::from_secs(90)));
    }

    #[test]
    fn a_date_gone_by_is_no_wait() {
        assert_eq!(read("Sun, 01 Mar 2026 11:59:59 GMT"), Some(Duration::ZERO));
    }

    #[test]
    fn nothing_is_longer_than_a_day() {
        assert_eq!(read("86401"), Some(LONGEST));
        assert_eq!(read("99999999999999999999999"), Some(LONGEST));
        assert_eq!(read("Mon, 01 Mar 2027 12:00:00 GMT"), Some(LONGEST));
    }

    #[test]
    fn what_is_neither_is_nothing() {
        for value in ["", "soon", "-5", "+5", "1.5", "2026-03-01T12:01:30Z"] {
            assert_eq!(read(value), None, "{value:?}");
        }
    }
}
