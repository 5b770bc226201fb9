//! One integration as a whole: posts that could not be proven, and posts that do not come.

use chrono::TimeDelta;

use super::{Rules, Standing};
use crate::domain::{Class, Payment, Posted, Timestamp};

/// How many changes only asking has brought since the last that a post told of, before the silence is no accident.
const SILENT: usize = 3;

/// How long no post has told of anything by then: a post may be on its way, and one or another is lost.
const SILENT_FOR: TimeDelta = TimeDelta::days(1);

/// How many kinds of refused posts are told of one integration: strangers can make up more than anybody reads.
const KINDS: usize = 20;

/// What is counted of one integration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tallies {
    /// Posts in quarantine that could not be proven, the newest kind first.
    pub refusals: Vec<Refusals>,
    /// When the newest payments changed whose money or end was learned by asking, and not by a post; as many as tell a
    /// silence.
    pub(super) asked: Vec<Timestamp>,
    /// When the newest payment changed of whose present state a post told.
    pub(super) told: Option<Timestamp>,
}

/// Refused posts of one kind from one sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusals {
    /// What is wrong with them.
    pub diagnosis: String,
    /// Who sent them, as far as that is known.
    pub peer: Option<String>,
}

impl Tallies {
    /// Counts how the present state of `payment` was learned, if that was within the look-back.
    pub fn count(&mut self, payment: &Payment, rules: &Rules<'_>) {
        if !rules.is_recent(payment.last_changed) {
            return;
        }
        match payment.posted {
            Posted::Current => self.told = self.told.max(Some(payment.last_changed)),
            Posted::Never | Posted::Earlier if payment.status.is_pending() => {}
            Posted::Never | Posted::Earlier => {
                let newer = self.asked.partition_point(|at| *at > payment.last_changed);
                self.asked.insert(newer, payment.last_changed);
                self.asked.truncate(SILENT);
            }
        }
    }

    /// Whether posts have stopped to come: whatever changed of late, only asking told.
    fn is_silent(&self, now: Timestamp) -> bool {
        let unheard = self.asked.len() == SILENT && self.asked.iter().all(|at| self.told < Some(*at));
        unheard && self.told.is_none_or(|told| now - told > SILENT_FOR)
    }

    pub(super) fn compare(&self, rules: &Rules<'_>) -> Vec<Standing> {
        let mut standing: Vec<Standing> = Vec::new();
        for Refusals { diagnosis, peer } in &self.refusals {
            let peer = peer.as_deref().unwrap_or("an unknown sender");
            let refused = Standing {
                class: Class::RefusedPosts,
                subject: format!("{diagnosis} | {peer}"),
                expected: "posts that can be proven".into(),
                found: format!("from {peer}: {diagnosis}"),
            };
            if standing.len() < KINDS && !standing.contains(&refused) {
                standing.push(refused);
            }
        }
        if self.is_silent(rules.now) {
            let found = "payments change, and only asking tells";
            standing.push(Standing::new(Class::CallbackSilence, "posts that tell of changes", found));
        }
        standing
    }
}
