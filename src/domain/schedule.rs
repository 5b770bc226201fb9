//! When to ask the gateway again: steps that grow with a payment's age, spread by jitter. Pure: the jitter comes
//! from the payment's identity, so that the same payment at the same attempt is always due at the same instant.

use std::time::Duration;

use super::{GatewayKey, MerchantTrace, Status, Timestamp, Trust};

/// One rung of a poll schedule: ask every so often, for so many times or until the payment has that age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// How long between two polls on this rung.
    pub every: Duration,
    /// When this rung ends.
    pub bound: Bound,
}

/// When a rung of a schedule ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// After this many polls.
    Times(u32),
    /// When this much time has passed since the schedule began.
    Until(Duration),
}

/// Every interval of polling, from the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PollSchedule {
    /// Waits before each try to confirm a claim; the first is usually zero. When they are used up, `pending` follows.
    pub confirm: Vec<Duration>,
    /// For payments that are not paid yet, and for claims the gateway would not confirm.
    pub pending: Vec<Step>,
    /// For money that is held or disputed.
    pub held: Vec<Step>,
    /// How soon after one poll a post may bring about the next: what a flood of replays is worth.
    pub gap: Duration,
}

/// Why a payment is being polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// A post made a claim that wants the gateway's own word, now.
    Confirm,
    /// The state is what it is; we watch for the next one.
    Watch,
}

super::codes!(Pace { Confirm = "confirm", Watch = "watch" });

/// Why asking changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InVain {
    /// The answer was nothing new.
    Answered,
    /// There was no answer that proves anything.
    Unanswered,
}

/// Where a payment stands on its schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollPlan {
    /// When the gateway is to be asked; `None` when nothing is left to ask.
    pub due: Option<Timestamp>,
    /// Why.
    pub pace: Pace,
    /// How many polls this pace has seen.
    pub attempt: u32,
    /// When this pace began.
    pub since: Timestamp,
    /// When the gateway was last asked.
    pub asked: Option<Timestamp>,
}

impl PollPlan {
    /// Nothing to ask, ever: the gateway offers no way.
    pub const fn none(now: Timestamp) -> Self {
        Self { due: None, pace: Pace::Watch, attempt: 0, since: now, asked: None }
    }
}

impl PollSchedule {
    /// Ask as soon as courtesy allows, to confirm what a post claims. A poll that is due sooner stays due.
    pub fn confirm_now(&self, key: &GatewayKey, plan: Option<&PollPlan>, now: Timestamp) -> PollPlan {
        let first = self.confirm.first().copied().unwrap_or_default();
        let asked = plan.and_then(|plan| plan.asked);
        // A clock that was set back must not keep us waiting for what it said before.
        let courteous = asked.map_or(now, |asked| asked.min(now) + self.gap);
        let wanted = (now + spread(first, key.as_str(), 0)).max(courteous);
        let due = plan.and_then(|plan| plan.due).map_or(wanted, |due| due.min(wanted));
        PollPlan { due: Some(due), pace: Pace::Confirm, attempt: 0, since: now, asked }
    }

    /// Begin watching a payment that has just reached `status`.
    pub fn watch(
        &self,
        key: &GatewayKey,
        status: Status,
        trust: Trust,
        asked: Option<Timestamp>,
        now: Timestamp,
    ) -> PollPlan {
        let plan = PollPlan { due: None, pace: Pace::Watch, attempt: 0, since: now, asked };
        PollPlan { due: self.step_due(&plan, key, status, trust, now), ..plan }
    }

    /// The gateway was asked at `now` in vain: when to ask again. A doubt about what is confirmed is kept up like a
    /// payment that is not paid yet until there is an answer.
    ///
    /// `due` is `None` in the result when the schedule has come to its end.
    pub fn after_poll(
        &self,
        plan: &PollPlan,
        why: InVain,
        key: &GatewayKey,
        status: Status,
        trust: Trust,
        now: Timestamp,
    ) -> PollPlan {
        let asked = PollPlan { attempt: plan.attempt.saturating_add(1), asked: Some(now), ..*plan };
        if asked.pace != Pace::Confirm {
            return PollPlan { due: self.step_due(&asked, key, status, trust, now), ..asked };
        }
        let doubted = why == InVain::Unanswered && trust == Trust::Confirmed;
        let hurried = u32::try_from(self.confirm.len()).unwrap_or(u32::MAX);
        let wait = match asked.attempt.checked_sub(hurried) {
            None if doubted || trust == Trust::Reported => {
                usize::try_from(asked.attempt).ok().and_then(|tried| self.confirm.get(tried).copied())
            }
            Some(later) if doubted => rung(&self.pending, later, asked.since, now),
            None | Some(_) => None,
        };
        if let Some(wait) = wait {
            return PollPlan { due: Some(now + spread(wait, key.as_str(), asked.attempt)), ..asked };
        }
        // It stands on the rung of its age: a claim may have grown old while nobody could ask.
        let watched = PollPlan { pace: Pace::Watch, attempt: 0, ..asked };
        PollPlan { due: self.step_due(&watched, key, status, trust, now), ..watched }
    }

    /// Whether a payment that stands so has no rung left, whoever asks beyond the schedule.
    pub fn is_over(&self, plan: &PollPlan, status: Status, trust: Trust, now: Timestamp) -> bool {
        self.step(plan, status, trust, now).is_none()
    }

    /// For how long a payment that is not paid is asked about in all.
    pub fn pending_for(&self) -> Duration {
        self.pending.iter().fold(Duration::ZERO, |so_far, step| match step.bound {
            Bound::Times(times) => so_far.saturating_add(step.every.saturating_mul(times)),
            Bound::Until(end) => so_far.max(end),
        })
    }

    /// When the rung that `plan` stands on says to ask next.
    fn step_due(
        &self,
        plan: &PollPlan,
        key: &GatewayKey,
        status: Status,
        trust: Trust,
        now: Timestamp,
    ) -> Option<Timestamp> {
        self.step(plan, status, trust, now).map(|every| now + spread(every, key.as_str(), plan.attempt))
    }

    /// How often to ask on the rung that `plan` stands on.
    fn step(&self, plan: &PollPlan, status: Status, trust: Trust, now: Timestamp) -> Option<Duration> {
        let unproven_claim = trust == Trust::Reported && status.wants_confirmation();
        let steps = if status.is_pending() || unproven_claim {
            &self.pending
        } else if status.is_held() {
            &self.held
        } else {
            return None;
        };
        rung(steps, plan.attempt, plan.since, now)
    }

    /// An order was looked for by its trace for the `attempt`th time, in vain: when to look again, as rarely as at a
    /// payment that is not paid. `None` at the end.
    pub fn after_trace(
        &self,
        trace: &MerchantTrace,
        attempt: u32,
        since: Timestamp,
        now: Timestamp,
    ) -> Option<Timestamp> {
        rung(&self.pending, attempt, since, now).map(|every| now + spread(every, trace.as_str(), attempt))
    }
}

/// How often to ask on the rung that one stands on after so many attempts since then.
fn rung(steps: &[Step], attempt: u32, since: Timestamp, now: Timestamp) -> Option<Duration> {
    let age = (now - since).to_std().unwrap_or_default();
    let mut used = 0_u32;
    let here = |step: &&Step| match step.bound {
        Bound::Times(times) => {
            used = used.saturating_add(times);
            attempt < used
        }
        Bound::Until(end) => age < end,
    };
    steps.iter().find(here).map(|step| step.every)
}

/// `wait`, moved by up to a tenth either way, the same for the same identity and attempt. The first wait stays as it
/// is: payments arrive spread already, and dates that come in order are cheap to index.
fn spread(wait: Duration, identity: &str, attempt: u32) -> Duration {
    if attempt == 0 {
        return wait;
    }
    let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ u64::from(attempt);
    for byte in identity.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^= hash >> 32;
    let per_mille = 900 + u32::try_from(hash % 201).unwrap_or(100);
    wait / 1000 * per_mille
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn schedule() -> PollSchedule {
        PollSchedule {
            confirm: vec![seconds(0), seconds(5), seconds(15), seconds(45)],
            pending: vec![
                Step { every: seconds(15), bound: Bound::Times(8) },
                Step { every: seconds(60), bound: Bound::Times(10) },
                Step { every: seconds(300), bound: Bound::Until(seconds(3600)) },
                Step { every: seconds(3600), bound: Bound::Until(seconds(86_400)) },
                Step { every: seconds(21_600), bound: Bound::Until(seconds(14 * 86_400)) },
            ],
            held: vec![Step { every: seconds(21_600), bound: Bound::Until(seconds(90 * 86_400)) }],
            gap: seconds(5),
        }
    }

    fn key() -> GatewayKey {
        GatewayKey::parse("06f656ab-ed60-4a03-8373-a3321b4b3e68").unwrap()
    }

    fn start() -> Timestamp {
        Timestamp::from_timestamp(1_700_000_000, 0).unwrap()
    }

    fn about(wait: Duration, expected: Duration) -> bool {
        wait >= expected / 10 * 9 && wait <= expected / 10 * 11
    }

    #[test]
    fn a_claim_is_confirmed_at_once_then_at_growing_waits_then_like_a_pending_payment() {
        let (schedule, mut now) = (schedule(), start());
        let mut plan = schedule.confirm_now(&key(), None, now);
        assert_eq!(plan.due, Some(now));
        for expected in [5, 15, 45, 15, 15] {
            plan = schedule.after_poll(&plan, InVain::Unanswered, &key(), Status::Paid, Trust::Reported, now);
            let due = plan.due.unwrap();
            assert!(about((due - now).to_std().unwrap(), seconds(expected)), "{expected}: {}", due - now);
            now = due;
        }
        assert_eq!(plan.pace, Pace::Watch);
    }

    #[test]
    fn a_pending_payment_is_asked_about_ever_more_rarely_and_then_no_more() {
        let (schedule, mut now) = (schedule(), start());
        let mut plan = schedule.watch(&key(), Status::Created, Trust::Reported, None, now);
        let mut waits = Vec::new();
        while let Some(due) = plan.due {
            waits.push((due - now).to_std().unwrap());
            now = due;
            plan = schedule.after_poll(&plan, InVain::Answered, &key(), Status::Created, Trust::Confirmed, now);
            assert!(waits.len() < 200, "the schedule must end");
        }
        assert!(waits.iter().take(8).all(|wait| about(*wait, seconds(15))));
        assert!(waits.iter().skip(8).take(10).all(|wait| about(*wait, seconds(60))));
        assert!(waits.last().is_some_and(|wait| about(*wait, seconds(21_600))));
        assert!(now - start() >= chrono::TimeDelta::days(14));
    }

    #[test]
    fn an_order_is_traced_as_a_pending_payment_is_asked_about_and_then_given_up() {
        let (schedule, trace, mut now) = (schedule(), MerchantTrace::parse("T-1").unwrap(), start());
        let mut waits = Vec::new();
        while let Some(due) = schedule.after_trace(&trace, u32::try_from(waits.len()).unwrap() + 1, start(), now) {
            waits.push((due - now).to_std().unwrap());
            now = due;
            assert!(waits.len() < 200, "the schedule must end");
        }
        assert!(waits.iter().take(7).all(|wait| about(*wait, seconds(15))));
        assert!(waits.iter().skip(7).take(10).all(|wait| about(*wait, seconds(60))));
        assert!(now - start() >= chrono::TimeDelta::days(14));
    }

    #[test]
    fn what_is_confirmed_and_final_is_asked_about_no_more() {
        let plan = schedule().watch(&key(), Status::Paid, Trust::Confirmed, None, start());
        assert_eq!(plan.due, None);
        let held = schedule().watch(&key(), Status::AwaitingDelivery, Trust::Confirmed, None, start());
        assert!(about((held.due.unwrap() - start()).to_std().unwrap(), seconds(21_600)));
    }

    #[test]
    fn a_flood_of_replays_cannot_make_us_ask_more_often_than_the_gap() {
        let (schedule, now) = (schedule(), start());
        let asked = PollPlan { asked: Some(now), ..PollPlan::none(now) };
        let plan = schedule.confirm_now(&key(), Some(&asked), now);
        assert_eq!(plan.due, Some(now + seconds(5)));
        let again = schedule.confirm_now(&key(), Some(&plan), now + seconds(1));
        assert_eq!(again.due, plan.due);
    }

    #[test]
    fn jitter_is_within_a_tenth_and_differs_between_payments() {
        let waits: std::collections::BTreeSet<Duration> =
            (0..50_u8).map(|n| spread(seconds(100), GatewayKey::from_guid([n; 16]).as_str(), 3)).collect();
        assert!(waits.iter().all(|wait| about(*wait, seconds(100))));
        assert!(waits.len() > 10);
    }
}
