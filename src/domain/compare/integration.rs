//! One integration as a whole: posts that could not be proven, and posts that do not come.

use super::{Rules, Standing};
use crate::domain::{Class, Payment, Posted};

/// How many changes only asking brought, and none a post, before the silence is no accident.
const SILENT: u64 = 3;

/// How many kinds of refused posts are told of one integration: strangers can make up more than anybody reads.
const KINDS: usize = 20;

/// What is counted of one integration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tallies {
    /// Posts in quarantine that could not be proven, the newest kind first.
    pub refusals: Vec<Refusals>,
    /// Payments whose money or end was learned by asking, and not by a post.
    pub asked: u64,
    /// Payments of whose present state a post told.
    pub posted: u64,
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
            Posted::Current => self.posted += 1,
            Posted::Never | Posted::Earlier if payment.status.is_pending() => {}
            Posted::Never | Posted::Earlier => self.asked += 1,
        }
    }

    pub(super) fn compare(&self) -> Vec<Standing> {
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
        if self.asked >= SILENT && self.posted == 0 {
            let found = "payments change, and only asking tells";
            standing.push(Standing::new(Class::CallbackSilence, "posts that tell of changes", found));
        }
        standing
    }
}
