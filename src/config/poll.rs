//! `[poll]`: how gateways are asked, and every interval of asking. The arithmetic is the domain's.

use std::sync::Arc;
use std::time::Duration;

use super::reader::Section;
use super::units;
use crate::domain::schedule::Bound;
use crate::domain::{PollSchedule, Step};

/// How many rungs or waits a schedule may have.
const MOST_STEPS: usize = 20;
/// The longest interval or age a schedule may name: a year.
const LONGEST: Duration = Duration::from_hours(365 * 24);
/// The shortest interval between two polls of one payment.
const SHORTEST: Duration = Duration::from_millis(100);
/// One hour.
const HOUR: Duration = Duration::from_hours(1);

/// How gateways are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PollConfig {
    /// Questions at once to one gateway host.
    pub concurrency: usize,
    /// How long one question and its answer may take, name and connection included.
    pub timeout: Duration,
    /// How long a connection may take to stand.
    pub connect_timeout: Duration,
    /// The largest answer, in bytes.
    pub reply_bytes: usize,
    /// When to ask; shared by every integration's terms.
    pub schedule: Arc<PollSchedule>,
}

impl PollConfig {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let seconds = Duration::from_secs;
        let timeouts = SHORTEST..=seconds(300);
        let config = Self {
            concurrency: section.number("concurrency", 8, 1..=256),
            timeout: section.duration("timeout", seconds(15), timeouts.clone()),
            connect_timeout: section.duration("connect_timeout", seconds(5), timeouts),
            reply_bytes: section.size("reply_bytes", 64 << 10, 1 << 10..=8 << 20),
            schedule: Arc::new(schedule(&mut section)),
        };
        if config.connect_timeout > config.timeout {
            section.error("connect_timeout", "must not be longer than poll.timeout, which includes it");
        }
        section.finish();
        config
    }
}

fn schedule(section: &mut Section<'_>) -> PollSchedule {
    let seconds = Duration::from_secs;
    let until = |every, age| Step { every, bound: Bound::Until(age) };
    PollSchedule {
        confirm: section
            .durations("confirm", 1..=MOST_STEPS, Duration::ZERO..=24 * HOUR)
            .unwrap_or_else(|| [0, 5, 15, 45].map(seconds).to_vec()),
        pending: steps(section, "pending").unwrap_or_else(|| {
            vec![
                Step { every: seconds(15), bound: Bound::Times(8) },
                Step { every: seconds(60), bound: Bound::Times(10) },
                until(seconds(300), HOUR),
                until(HOUR, 24 * HOUR),
                until(6 * HOUR, 14 * 24 * HOUR),
            ]
        }),
        held: steps(section, "held").unwrap_or_else(|| vec![until(6 * HOUR, 90 * 24 * HOUR)]),
        gap: section.duration("gap", seconds(5), Duration::ZERO..=HOUR),
    }
}

/// The rungs of `key`, each ending later than those before it.
fn steps(section: &mut Section<'_>, key: &'static str) -> Option<Vec<Step>> {
    let within = |step: &Step| {
        let ends = match step.bound {
            Bound::Times(_) => true,
            Bound::Until(age) => age <= LONGEST,
        };
        (SHORTEST..=LONGEST).contains(&step.every) && ends
    };
    let rule = "like \"15s x8\" (eight times) or \"5m until 1h\" (until that age), from 100ms to 365d";
    let steps = section.list(key, 1..=MOST_STEPS, rule, |text| units::step(text).filter(within))?;
    let ages: Vec<Duration> = steps.iter().filter_map(until).collect();
    if !ages.is_sorted_by(|earlier, later| earlier < later) {
        section.error(key, "each \"until\" must be later than the one before it");
    }
    Some(steps)
}

const fn until(step: &Step) -> Option<Duration> {
    match step.bound {
        Bound::Times(_) => None,
        Bound::Until(age) => Some(age),
    }
}
