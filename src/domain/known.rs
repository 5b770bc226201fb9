//! What is known of a payment, and what the next word of it makes of that, by who says it: a post, a gateway that was
//! asked, the shop. The parts of [`Payment::decide`].

use std::time::Duration;

use super::{
    Announce, Channel, Class, Condition, Decision, Finding, InVain, Notice, NoticeKind, Observation, Outcome, Pace,
    Payment, PollPlan, Seen, Status, Terms, Timestamp, Trust, WireStatus,
};

/// What a payment and its poll plan were before an observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The payment so far.
    pub payment: Payment,
    /// The last state that the gateway itself confirmed, whatever has been claimed since.
    pub proven: Option<Status>,
    /// When the gateway is to be asked about it.
    pub plan: PollPlan,
    /// When the merchant is to be told that nobody has confirmed what is claimed.
    pub unconfirmed_at: Option<Timestamp>,
}

/// The first word of a payment.
pub(super) fn open(seen: &Observation, terms: &Terms) -> Decision {
    let payment = Payment::opened(seen, terms.currency, terms.mode);
    let unrecognised = seen.status == Status::Unknown;
    Decision {
        outcome: if unrecognised { Outcome::Unrecognised } else { Outcome::Opened },
        plan: match seen.channel {
            Channel::Poll | Channel::Trace => {
                terms.schedule.watch(&payment.key, payment.status, payment.trust, Some(seen.at), seen.at)
            }
            Channel::Post | Channel::Button | Channel::Import => {
                plan_after_claim(&payment, None, unrecognised || !seen.channel.is_post(), terms, seen.at)
            }
        },
        unconfirmed_at: unconfirmed_at(&payment, terms, seen.at),
        withdrawn: Vec::new(),
        notices: notices_of_claim(&payment, terms),
        findings: if unrecognised { vec![unknown_word(seen)] } else { Vec::new() },
        settled: &[],
        payment,
    }
}

impl Known {
    /// Whether more than a post vouches for the money having come: the gateway's own answer, at some time, or that there
    /// is nobody who could be asked.
    pub fn has_proven_money(&self) -> bool {
        self.payment.trust != Trust::Reported || self.proven.is_some_and(Status::has_had_money)
    }

    /// The shop says that it has begun this payment. We know.
    pub(super) fn hear_shop(&self) -> Decision {
        self.quiet(Outcome::Agreed, self.payment.clone(), self.plan)
    }

    /// Somebody posted an authentic message about this payment.
    pub(super) fn hear_claim(&self, seen: &Observation, terms: &Terms) -> Decision {
        let (before, now) = (&self.payment, seen.at);
        let differences = before.facts.differences(&seen.facts);
        let unchanged = |outcome, plan| {
            let payment = if differences.is_empty() { before.completed(seen) } else { before.clone() };
            self.quiet(outcome, payment, plan)
        };
        let ask_now = || plan_after_claim(before, Some(&self.plan), true, terms, now);
        if !differences.is_empty() {
            let findings = differences.iter().map(|it| contradiction(it.field, &it.known, &it.seen)).collect();
            return Decision { findings, ..unchanged(Outcome::Contradicted, ask_now()) };
        }
        match before.status.observe(seen.status) {
            // Said again after we had stopped hurrying: perhaps there is an answer by now.
            Seen::Repeat if before.is_unproven() && (self.plan.due.is_none() || self.plan.pace == Pace::Watch) => {
                unchanged(Outcome::Repeated, ask_now())
            }
            Seen::Repeat => unchanged(Outcome::Repeated, self.plan),
            Seen::Regress => unchanged(Outcome::Regressed, ask_now()),
            Seen::Unknown => {
                Decision { findings: vec![unknown_word(seen)], ..unchanged(Outcome::Unrecognised, ask_now()) }
            }
            // What the shop has to answer for does not end on the word of a post, which may be an old one.
            Seen::Move if before.status == Status::Disputed && before.trust == Trust::Confirmed => {
                unchanged(Outcome::Regressed, ask_now())
            }
            Seen::Move => {
                let payment = before.moved(seen);
                Decision {
                    outcome: Outcome::Moved,
                    plan: plan_after_claim(&payment, Some(&self.plan), false, terms, now),
                    unconfirmed_at: unconfirmed_at(&payment, terms, now),
                    withdrawn: vec![NoticeKind::Unconfirmed(before.status)],
                    notices: notices_of_claim(&payment, terms),
                    findings: paid_late(before.status, seen.status),
                    settled: &[],
                    payment,
                }
            }
        }
    }

    /// We asked the gateway about this payment, and this is its answer.
    pub(super) fn hear_answer(&self, seen: &Observation, terms: &Terms) -> Decision {
        let (before, now) = (&self.payment, seen.at);
        let verdict = before.status.observe(seen.status);
        let claim_was_unproven = before.trust != Trust::Confirmed;
        let undoes_money = self.proven.is_some_and(Status::has_had_money) && !seen.status.has_had_money();
        let holds = verdict == Seen::Unknown || (verdict == Seen::Regress && (!claim_was_unproven || undoes_money));
        if holds {
            let (plan, last) = self.asked_in_vain(InVain::Answered, terms, now);
            let finding = if verdict == Seen::Unknown {
                unknown_word(seen)
            } else {
                Finding {
                    class: Class::StatusMismatch,
                    expected: before.status.code().into(),
                    found: seen.status.code().into(),
                }
            };
            let outcome = if verdict == Seen::Unknown { Outcome::Unrecognised } else { Outcome::Regressed };
            let findings = std::iter::once(finding).chain(last).collect();
            return Decision { findings, ..self.quiet(outcome, before.clone(), plan) };
        }

        let retracted = verdict == Seen::Regress;
        if retracted
            && seen.asked.is_some_and(|asked| asked.timestamp_millis() <= before.last_changed.timestamp_millis())
        {
            // The claim came while the question was under way: the answer is older and says nothing of it.
            let spent = PollPlan { due: None, asked: Some(now), ..self.plan };
            let plan = plan_after_claim(before, Some(&spent), true, terms, now);
            return self.quiet(Outcome::Agreed, before.clone(), plan);
        }
        let differences = before.facts.differences(&seen.facts);
        let other_facts = !differences.is_empty();
        let moved = before.status != seen.status;
        if !moved && !claim_was_unproven && !other_facts {
            let (plan, last) = self.asked_in_vain(InVain::Answered, terms, now);
            return Decision {
                findings: last.into_iter().collect(),
                settled: &[Class::StatusMismatch],
                ..self.quiet(Outcome::Agreed, before.clone(), plan)
            };
        }

        let payment = before.moved(seen);
        let outcome = match (retracted || other_facts, moved) {
            (true, _) => Outcome::Corrected,
            (false, true) => Outcome::Moved,
            (false, false) => Outcome::Confirmed,
        };
        let mut findings: Vec<Finding> =
            differences.into_iter().map(|it| contradiction(it.field, &it.seen, &it.known)).collect();
        if retracted {
            findings.push(contradiction("status", seen.status.code(), before.status.code()));
        }
        findings.extend(paid_late(before.status, seen.status));
        let mut withdrawn = vec![NoticeKind::Unconfirmed(before.status)];
        let mut notices = Vec::new();
        if retracted || other_facts {
            withdrawn.push(NoticeKind::Reported(before.status));
        }
        let (correct, condition) = match (other_facts, retracted) {
            (true, _) => (Some(Condition::IfTold), Condition::UnlessTold),
            (false, true) => (Some(Condition::IfToldMore(payment.status)), Condition::UnlessToldMore(payment.status)),
            (false, false) => (None, Condition::UnlessReported(payment.status)),
        };
        if let Some(condition) = correct {
            notices.push(Notice { kind: NoticeKind::Corrected(payment.status), condition });
        }
        if terms.notify_on.contains(&payment.status) {
            notices.push(Notice { kind: NoticeKind::Reached(payment.status), condition });
        }
        Decision {
            outcome,
            plan: terms.schedule.watch(&payment.key, payment.status, payment.trust, Some(now), now),
            unconfirmed_at: None,
            withdrawn,
            notices,
            findings,
            settled: settled_by(payment.status),
            payment,
        }
    }

    /// That, and nothing that anybody would have to be told.
    const fn quiet(&self, outcome: Outcome, payment: Payment, plan: PollPlan) -> Decision {
        Decision {
            outcome,
            payment,
            plan,
            unconfirmed_at: self.unconfirmed_at,
            withdrawn: Vec::new(),
            notices: Vec::new(),
            findings: Vec::new(),
            settled: &[],
        }
    }

    /// The gateway was asked and did not answer in a way that proves anything: when to ask again, not before
    /// `retry_after`, and the finding that is due if that was the last time.
    pub fn unanswered(
        &self,
        terms: &Terms,
        now: Timestamp,
        retry_after: Option<Duration>,
    ) -> (PollPlan, Option<Finding>) {
        let (mut plan, last) = self.asked_in_vain(InVain::Unanswered, terms, now);
        if let (Some(due), Some(wait)) = (plan.due, retry_after) {
            plan.due = Some(due.max(now + wait));
        }
        (plan, last)
    }

    /// The next date on the schedule after a poll that changed nothing, and the finding at its end.
    fn asked_in_vain(&self, why: InVain, terms: &Terms, now: Timestamp) -> (PollPlan, Option<Finding>) {
        let payment = &self.payment;
        let plan = terms.schedule.after_poll(&self.plan, why, &payment.key, payment.status, payment.trust, now);
        // A run asks beyond the schedule; what stands at its end was said when it came.
        let said = self.plan.pace == Pace::Watch
            && self.plan.asked.is_some_and(|at| terms.schedule.is_over(&self.plan, payment.status, payment.trust, at));
        let open_end = plan.due.is_none() && !said && (payment.is_unproven() || payment.status.is_pending());
        (plan, open_end.then(|| payment.left_open()))
    }
}

/// When to ask about a payment after a post: at once if it claims something or looks odd, else as it grows older.
fn plan_after_claim(payment: &Payment, plan: Option<&PollPlan>, odd: bool, terms: &Terms, now: Timestamp) -> PollPlan {
    if !terms.confirmable {
        PollPlan::none(now)
    } else if odd || payment.status.wants_confirmation() {
        terms.schedule.confirm_now(&payment.key, plan, now)
    } else {
        terms.schedule.watch(&payment.key, payment.status, payment.trust, plan.and_then(|plan| plan.asked), now)
    }
}

/// What the merchant is told at once of a state that the gateway was not asked about.
fn notices_of_claim(payment: &Payment, terms: &Terms) -> Vec<Notice> {
    let kind = match (payment.trust, terms.announce) {
        _ if !terms.notify_on.contains(&payment.status) => None,
        (Trust::Unconfirmable | Trust::Confirmed, _) => Some(NoticeKind::Reached(payment.status)),
        (Trust::Reported, Announce::Reported) => Some(NoticeKind::Reported(payment.status)),
        (Trust::Reported, Announce::Confirmed) => None,
    };
    kind.map(|kind| Notice { kind, condition: Condition::Always }).into_iter().collect()
}

/// When the merchant is told of a claim that nobody has confirmed by then, if not at once.
fn unconfirmed_at(payment: &Payment, terms: &Terms, now: Timestamp) -> Option<Timestamp> {
    let waits = payment.is_unproven() && terms.announce == Announce::Confirmed;
    let wanted = terms.notify_on.contains(&payment.status) && !terms.recipients.is_empty();
    (waits && wanted).then(|| now + terms.announce_after)
}

/// The post and the gateway, or two posts, disagree on `field`.
fn contradiction(field: &str, expected: &str, found: &str) -> Finding {
    Finding {
        class: Class::ContradictingPost,
        expected: format!("{field} {expected}"),
        found: format!("{field} {found}"),
    }
}

/// A status word nobody documented.
fn unknown_word(seen: &Observation) -> Finding {
    let word = seen.wire_status.as_ref().map_or("", WireStatus::as_str);
    Finding { class: Class::StatusMismatch, expected: "a documented status".into(), found: format!("status {word:?}") }
}

/// What the gateway's own word for `status` settles.
const fn settled_by(status: Status) -> &'static [Class] {
    if status.is_pending() {
        &[Class::StatusMismatch, Class::PaidUnconfirmed, Class::PaidLate]
    } else if status.has_had_money() {
        &[Class::StatusMismatch, Class::PaidUnconfirmed, Class::StuckPending]
    } else {
        &[Class::StatusMismatch, Class::PaidUnconfirmed, Class::StuckPending, Class::PaidLate]
    }
}

/// Money came after the payment had been given up.
fn paid_late(before: Status, after: Status) -> Vec<Finding> {
    if before.is_dead() && (after.is_paid() || after == Status::Disputed) {
        vec![Finding { class: Class::PaidLate, expected: before.code().into(), found: after.code().into() }]
    } else {
        Vec::new()
    }
}
