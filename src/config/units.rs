//! How durations, sizes and poll steps are written: `15m`, `64KiB`, `1m x10`, `5m until 1h`. Text to values and back;
//! what range a value may have is said where the key is read.

use std::time::Duration;

use crate::domain::Step;
use crate::domain::schedule::Bound;

/// The units of durations, in milliseconds, the largest first.
const TIMES: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
/// The units of sizes, in bytes, the largest first.
const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
/// How often one rung of a schedule may poll.
const MOST_TIMES: u32 = 1000;

/// How a duration is written, for findings.
pub(super) const DURATIONS: &str = "like 250ms, 30s, 15m, 6h or 14d";
/// How a size is written, for findings.
pub(super) const SIZES_LIKE: &str = "like 512B, 64KiB or 1MiB";

/// Reads a whole number with a unit: `250ms`, `30s`, `15m`, `6h`, `14d`.
pub fn duration(text: &str) -> Option<Duration> {
    counted(text, &TIMES).map(Duration::from_millis)
}

/// Reads bytes: a whole number, alone or with one of `B`, `KiB`, `MiB`, `GiB`.
pub(super) fn size(text: &str) -> Option<u64> {
    whole(text.trim()).or_else(|| counted(text, &SIZES))
}

/// Reads one rung of a poll schedule: `15s x8` (so many times) or `5m until 1h` (until that age).
pub(super) fn step(text: &str) -> Option<Step> {
    let (every, bound) = text.trim().split_once(' ')?;
    let bound = bound.trim();
    let bound = if let Some(age) = bound.strip_prefix("until ") {
        Bound::Until(duration(age)?)
    } else {
        let times = whole(bound.strip_prefix('x')?)?;
        Bound::Times(u32::try_from(times).ok().filter(|times| (1..=MOST_TIMES).contains(times))?)
    };
    Some(Step { every: duration(every)?, bound })
}

/// A duration as [`duration`] reads it.
pub(super) fn spell_duration(duration: Duration) -> String {
    spell(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX), &TIMES, "0s")
}

/// A size as [`size`] reads it.
pub(super) fn spell_size(bytes: u64) -> String {
    spell(bytes, &SIZES, "0B")
}

/// A whole number followed by one of `units`, multiplied out; `None` if it is anything else or would not fit.
fn counted(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    whole(number)?.checked_mul(*factor)
}

/// Digits and nothing else: no sign, no blanks.
fn whole(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) { None } else { text.parse().ok() }
}

/// The largest unit that leaves no rest.
fn spell(value: u64, units: &[(&str, u64)], nothing: &str) -> String {
    let fits = units.iter().find(|(_, factor)| value > 0 && value.is_multiple_of(*factor));
    fits.map_or_else(|| nothing.to_owned(), |(name, factor)| format!("{}{name}", value / factor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_whole_numbers_with_a_unit() {
        for (text, milliseconds) in
            [("250ms", 250), ("0s", 0), ("30s", 30_000), ("15m", 900_000), ("6h", 21_600_000), ("14d", 1_209_600_000)]
        {
            assert_eq!(duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "s", "30", "30 s", "-1s", "+1s", "1.5h", "1w", "1S", "1m30s", "٣s", "99999999999999999999d"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_bytes_or_binary_multiples() {
        for (text, bytes) in [("0", 0), ("512B", 512), ("1024", 1024), ("64KiB", 65_536), ("1MiB", 1 << 20)] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for text in ["", "KiB", "64kb", "64KB", "1.5MiB", "-1", "1 KiB", "18446744073709551615KiB"] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn steps_say_how_often_and_for_how_long() {
        let seconds = Duration::from_secs;
        assert_eq!(step("15s x8"), Some(Step { every: seconds(15), bound: Bound::Times(8) }));
        assert_eq!(step("5m until 1h"), Some(Step { every: seconds(300), bound: Bound::Until(seconds(3600)) }));
        for text in ["", "15s", "15s 8", "15s x", "15s x0", "15s x1001", "x8", "5m until", "5m until soon", "until 1h"]
        {
            assert_eq!(step(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in any::<String>(), near in "[0-9a-zK ]{0,24}") {
            for text in [text, near] {
                let _ = (duration(&text), size(&text), step(&text));
            }
        }

        #[test]
        fn what_is_spelled_is_read_back(value in any::<u32>()) {
            let time = Duration::from_millis(value.into());
            prop_assert_eq!(duration(&spell_duration(time)), Some(time));
            prop_assert_eq!(size(&spell_size(value.into())), Some(value.into()));
        }
    }
}
