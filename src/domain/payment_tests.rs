//! The decision about one observation, rule by rule. When the gateway is asked next is in `plans`, what holds
//! over any sequence of observations in `properties`.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::domain::schedule::Bound;
use crate::domain::{
    Announce, Class, Condition, Evidence, Method, Notice, NoticeKind, Origin, Outcome, Pace, PollPlan, PollSchedule,
    Reference, Step,
};

#[path = "payment_life.rs"]
mod life;
#[path = "payment_plans.rs"]
mod plans;
#[path = "payment_properties.rs"]
mod properties;

use life::*;

#[test]
fn the_first_post_opens_the_payment_and_asks_the_gateway_at_once() {
    let mut life = Life::new();
    let decision = life.post(Status::Paid);
    assert_eq!(decision.outcome, Outcome::Opened);
    assert_eq!(life.stands(), (Status::Paid, Trust::Reported));
    assert_eq!((decision.plan.due, decision.plan.pace), (Some(start()), Pace::Confirm));
    assert_eq!((decision.payment.first_seen, decision.payment.last_changed), (start(), start()));
    assert_eq!((decision.payment.facts, decision.findings), (facts("25.00"), vec![]));
}

#[test]
fn an_unpaid_first_post_is_watched_rather_than_confirmed() {
    let decision = Life::new().post(Status::Created);
    assert_eq!((decision.outcome, decision.plan.pace), (Outcome::Opened, Pace::Watch));
    assert!(decision.plan.due.unwrap() > start() && decision.notices.is_empty());
}

#[test]
fn a_repeated_post_changes_nothing_and_keeps_the_plan() {
    let mut life = Life::new();
    life.post(Status::Paid);
    let before = life.known.clone().unwrap();
    let decision = life.post(Status::Paid);
    assert_eq!((decision.outcome, &decision.payment, decision.plan), (Outcome::Repeated, &before.payment, before.plan));
    assert!(decision.notices.is_empty() && decision.findings.is_empty() && decision.withdrawn.is_empty());
}

#[test]
fn a_repeated_claim_nobody_would_ask_about_any_more_is_asked_about_again() {
    let mut life = Life::new();
    life.post(Status::Paid);
    life.known.as_mut().unwrap().plan.due = None;
    assert!(life.post(Status::Paid).plan.due.is_some());
    let mut settled = Life::confirmed(Status::Paid);
    assert_eq!(settled.post(Status::Paid).plan.due, None, "what is confirmed is not asked about for a repeat");
}

#[test]
fn a_repeated_claim_that_is_asked_about_rarely_by_now_is_asked_about_at_once() {
    let mut life = Life::new();
    life.post(Status::Paid);
    let rarely = Some(start() + 60 * MINUTE);
    life.known.as_mut().unwrap().plan = PollPlan { due: rarely, pace: Pace::Watch, ..life.known.clone().unwrap().plan };
    let plan = life.post(Status::Paid).plan;
    assert!(plan.due < rarely && plan.pace == Pace::Confirm, "{plan:?}");
}

#[test]
fn a_step_back_changes_nothing_and_is_asked_about() {
    let mut life = Life::confirmed(Status::Paid);
    let before = life.payment().clone();
    let decision = life.post(Status::Created);
    assert_eq!((decision.outcome, &decision.payment), (Outcome::Regressed, &before));
    assert_eq!((decision.plan.due, decision.plan.pace), (Some(start() + 2 * MINUTE), Pace::Confirm));
    assert!(decision.outcome.is_event() && decision.notices.is_empty());
}

#[test]
fn an_unknown_word_is_recorded_and_reported_and_changes_nothing() {
    for mut life in [Life::confirmed(Status::Paid), Life::confirmed(Status::Created)] {
        let before = life.payment().clone();
        for decision in [life.post(Status::Unknown), life.poll(Status::Unknown)] {
            assert_eq!((decision.outcome, &decision.payment), (Outcome::Unrecognised, &before));
            assert_eq!(classes(&decision)[0], Class::StatusMismatch);
            assert!(decision.findings[0].found.contains("On Hold"));
        }
    }
    let decision = Life::new().post(Status::Unknown);
    assert_eq!((decision.outcome, decision.payment.status), (Outcome::Unrecognised, Status::Unknown));
    assert_eq!((classes(&decision), decision.plan.due), (vec![Class::StatusMismatch], Some(start())));
}

#[test]
fn a_post_that_contradicts_the_base_fields_goes_to_quarantine_with_findings_and_a_poll() {
    let mut life = Life::confirmed(Status::Created);
    let before = life.payment().clone();
    let mut recut = seen(Channel::Post, Status::Paid, life.now);
    recut.facts = facts("2500.00");
    recut.facts.reference = Some(Reference::parse("INV-3").unwrap());
    let decision = life.hear(&recut);
    assert_eq!((decision.outcome, &decision.payment), (Outcome::Contradicted, &before));
    assert!(!decision.outcome.is_event() && decision.notices.is_empty());
    assert_eq!(classes(&decision), [Class::ContradictingPost; 2]);
    assert_eq!(decision.findings[1].expected, "amount 25.00");
    assert_eq!(decision.findings[1].found, "amount 2500.00");
    assert_eq!(decision.plan.pace, Pace::Confirm);
}

#[test]
fn blanks_around_a_reference_contradict_nothing_and_a_post_does_not_change_them() {
    let mut life = Life::confirmed(Status::Created);
    let mut padded = seen(Channel::Post, Status::Paid, life.now);
    padded.facts.reference = Some(Reference::parse(" INV-32 ").unwrap());
    let decision = life.hear(&padded);
    assert_eq!((decision.outcome, decision.payment.facts), (Outcome::Moved, facts("25.00")));
    assert_eq!((life.poll(Status::Paid).outcome, life.payment().facts.clone()), (Outcome::Confirmed, facts("25.00")));
}

#[test]
fn a_repeated_or_older_post_completes_what_is_known_and_replaces_nothing_of_it() {
    let by = |method: &str| Facts { method: Some(Method::parse(method).unwrap()), ..facts("25.00") };
    for word in [Status::Paid, Status::Pending, Status::Unknown] {
        let mut life = Life::confirmed(Status::Paid);
        let first = Observation { facts: by("EcoCash"), ..seen(Channel::Post, word, life.now) };
        assert_eq!(life.hear(&first).payment.facts, first.facts);
        let before = life.payment().clone();
        let other = Observation { facts: by("Visa"), ..seen(Channel::Post, word, life.now) };
        assert_eq!(life.hear(&other).payment, before);
    }
}

#[test]
fn an_old_post_does_not_end_a_dispute_that_the_gateway_has_confirmed() {
    for word in [Status::Paid, Status::Delivered] {
        let mut life = Life::confirmed(Status::Disputed);
        let decision = life.post(word);
        assert_eq!((decision.outcome, life.stands()), (Outcome::Regressed, (Status::Disputed, Trust::Confirmed)));
        assert_eq!(decision.plan.pace, Pace::Confirm, "it may be over");
        assert_eq!((life.poll(word).outcome, life.stands()), (Outcome::Moved, (word, Trust::Confirmed)));
    }
    let mut claimed = Life::new();
    claimed.post(Status::Disputed);
    assert_eq!(claimed.post(Status::Paid).outcome, Outcome::Moved, "nobody has confirmed that one");
}

#[test]
fn a_claim_of_the_same_millisecond_as_the_question_is_not_refuted_by_its_answer() {
    let mut life = Life::confirmed(Status::Created);
    let asked = life.now + Duration::from_micros(300);
    // The ledger keeps milliseconds.
    life.hear(&seen(Channel::Post, Status::Paid, life.now));
    let answer = Observation { asked: Some(asked), ..seen(Channel::Poll, Status::Created, life.now) };
    assert_eq!((life.hear(&answer).outcome, life.stands()), (Outcome::Agreed, (Status::Paid, Trust::Reported)));
}

#[test]
fn a_poll_confirms_and_only_then_is_paid_announced() {
    let mut life = Life::new();
    let claim = life.post(Status::Paid);
    assert_eq!((claim.notices, claim.unconfirmed_at), (Vec::new(), Some(start() + 15 * MINUTE)));
    let decision = life.poll(Status::Paid);
    assert_eq!((decision.outcome, life.stands()), (Outcome::Confirmed, (Status::Paid, Trust::Confirmed)));
    assert_eq!((decision.withdrawn, decision.unconfirmed_at), (vec![NoticeKind::Unconfirmed(Status::Paid)], None));
    let reached =
        Notice { kind: NoticeKind::Reached(Status::Paid), condition: Condition::UnlessReported(Status::Paid) };
    assert_eq!(decision.notices, [reached]);
    assert_eq!((decision.plan.due, decision.plan.asked), (None, Some(start() + MINUTE)));
    assert_eq!((decision.payment.first_seen, decision.payment.last_changed), (start(), start() + MINUTE));
    assert!(decision.settled.contains(&Class::PaidUnconfirmed));
}

#[test]
fn a_poll_that_brings_nothing_new_is_no_event() {
    let mut life = Life::confirmed(Status::AwaitingDelivery);
    let before = life.payment().clone();
    let decision = life.poll(Status::AwaitingDelivery);
    assert_eq!((decision.outcome, &decision.payment), (Outcome::Agreed, &before));
    assert!(!decision.outcome.is_event() && decision.notices.is_empty() && decision.findings.is_empty());
}

#[test]
fn the_ledger_follows_the_poll_where_a_post_was_recut() {
    let mut life = Life::new();
    let mut recut = seen(Channel::Post, Status::Paid, start());
    recut.facts = facts("41.00");
    recut.facts.gateway_reference = Some(crate::domain::GatewayReference::parse("3521622").unwrap());
    life.hear(&recut);
    let decision = life.poll(Status::Paid);
    assert_eq!((decision.outcome, life.stands()), (Outcome::Corrected, (Status::Paid, Trust::Confirmed)));
    assert_eq!(life.payment().facts, facts("25.00"));
    let findings: Vec<_> = decision.findings.iter().map(|it| (it.expected.as_str(), it.found.as_str())).collect();
    assert_eq!(
        findings,
        [("gateway_reference 35216224", "gateway_reference 3521622"), ("amount 25.00", "amount 41.00")]
    );
    let told: Vec<_> = decision.notices.iter().map(|notice| (notice.kind, notice.condition)).collect();
    let corrected = (NoticeKind::Corrected(Status::Paid), Condition::IfTold);
    assert_eq!(told, [corrected, (NoticeKind::Reached(Status::Paid), Condition::UnlessTold)]);
}

#[test]
fn a_claim_the_gateway_does_not_confirm_is_taken_back_and_corrected_for_those_told() {
    let mut life = Life::new();
    life.post(Status::Paid);
    let decision = life.poll(Status::Created);
    assert_eq!((decision.outcome, life.stands()), (Outcome::Corrected, (Status::Created, Trust::Confirmed)));
    assert_eq!(
        decision.withdrawn,
        [NoticeKind::Unconfirmed(Status::Paid), NoticeKind::Reported(Status::Paid)],
        "what has not gone out is withdrawn"
    );
    let corrected =
        Notice { kind: NoticeKind::Corrected(Status::Created), condition: Condition::IfToldMore(Status::Created) };
    assert_eq!(decision.notices, [corrected]);
    assert_eq!((classes(&decision), &*decision.findings[0].found), (vec![Class::ContradictingPost], "status paid"));
}

#[test]
fn confirmed_money_is_not_undone_by_a_lower_word_of_post_or_poll() {
    for money in [Status::AwaitingDelivery, Status::Delivered, Status::Paid] {
        for lower in [Status::Created, Status::Pending, Status::Cancelled, Status::Failed] {
            let mut life = Life::confirmed(money);
            assert_eq!(life.post(lower).outcome, Outcome::Regressed);
            let decision = life.poll(lower);
            assert_eq!((decision.outcome, life.stands()), (Outcome::Regressed, (money, Trust::Confirmed)));
            assert_eq!(classes(&decision)[0], Class::StatusMismatch);
            assert!(decision.notices.is_empty());
        }
    }
}

#[test]
fn confirmed_money_is_not_undone_by_a_claim_and_a_lower_poll_together() {
    for claim in [Status::Disputed, Status::Refunded] {
        let mut life = Life::confirmed(Status::Paid);
        assert_eq!(life.post(claim).outcome, Outcome::Moved);
        let decision = life.poll(Status::Created);
        assert_eq!((decision.outcome, life.stands()), (Outcome::Regressed, (claim, Trust::Reported)));
        assert_eq!(classes(&decision), [Class::StatusMismatch]);
        assert_eq!((life.poll(Status::Paid).payment.status, life.stands().1), (Status::Paid, Trust::Confirmed));
    }
}

#[test]
fn money_after_the_end_is_taken_and_found_critical_and_only_less_than_money_settles_that() {
    for by in [Channel::Post, Channel::Poll] {
        let mut life = Life::confirmed(Status::Cancelled);
        let late = seen(by, Status::Paid, life.now);
        let decision = life.hear(&late);
        assert_eq!((decision.outcome, classes(&decision)), (Outcome::Moved, vec![Class::PaidLate]));
    }
    let mut life = Life::confirmed(Status::Cancelled);
    life.post(Status::Paid);
    assert!(life.poll(Status::Cancelled).settled.contains(&Class::PaidLate), "it was not money at all");
    let mut life = Life::confirmed(Status::Cancelled);
    life.poll(Status::Paid);
    life.post(Status::Refunded);
    let decision = life.poll(Status::Paid);
    assert_eq!((decision.outcome, decision.settled.contains(&Class::PaidLate)), (Outcome::Corrected, false));
}

#[test]
fn a_stuck_payment_that_moves_after_all_is_stuck_no_more() {
    let mut life = Life::confirmed(Status::Created);
    assert!(!life.poll(Status::Pending).settled.contains(&Class::StuckPending));
    assert!(life.poll(Status::Paid).settled.contains(&Class::StuckPending));
}

fn button_sale(amount: &str) -> Observation {
    let key = GatewayKey::parse("40222").unwrap();
    let wire = seen(Channel::Button, Status::Paid, start());
    Observation { key, poll_url: None, wire_status: None, facts: facts(amount), ..wire }
}

#[test]
fn a_button_sale_is_announced_at_once_and_never_asked_about() {
    let mut life = Life::under(Terms { confirmable: false, ..terms() });
    let decision = life.hear(&button_sale("25.00"));
    assert_eq!(life.stands(), (Status::Paid, Trust::Unconfirmable));
    let letter = Notice { kind: NoticeKind::Reached(Status::Paid), condition: Condition::Always };
    assert_eq!((decision.notices, decision.plan.due), (vec![letter], None));
    assert_eq!(life.hear(&button_sale("25.00")).outcome, Outcome::Repeated);
    let contradiction = life.hear(&button_sale("26.00"));
    assert_eq!((contradiction.outcome, contradiction.plan.due), (Outcome::Contradicted, None));
    assert_eq!(life.payment().facts, facts("25.00"));
}

#[test]
fn who_wants_reports_hears_of_the_claim_at_once_and_of_its_confirmation_only_if_not_told() {
    let mut life = Life::under(Terms { announce: Announce::Reported, ..terms() });
    let claim = Notice { kind: NoticeKind::Reported(Status::Paid), condition: Condition::Always };
    let decision = life.post(Status::Paid);
    assert_eq!((decision.notices, decision.unconfirmed_at), (vec![claim], None));
    assert_eq!(life.poll(Status::Paid).notices[0].condition, Condition::UnlessReported(Status::Paid));
}

#[test]
fn only_states_the_merchant_asked_for_make_letters() {
    let mut life = Life::under(Terms { notify_on: vec![Status::Refunded], ..terms() });
    let claim = life.post(Status::Paid);
    assert_eq!((claim.notices, claim.unconfirmed_at), (Vec::new(), None));
    assert!(life.poll(Status::Paid).notices.is_empty());
    assert_eq!(kinds(&life.poll(Status::Refunded)), [NoticeKind::Reached(Status::Refunded)]);
}

#[test]
fn an_unpaid_state_is_announced_only_by_the_gateway() {
    let mut life = Life::under(Terms { notify_on: vec![Status::Created], ..terms() });
    let claim = life.post(Status::Created);
    assert_eq!((claim.notices, claim.unconfirmed_at), (Vec::new(), None));
    assert_eq!(kinds(&life.poll(Status::Created)), [NoticeKind::Reached(Status::Created)]);
}

#[test]
fn a_further_claim_replaces_the_letter_about_the_one_before() {
    let mut life = Life::new();
    life.post(Status::AwaitingDelivery);
    let decision = life.post(Status::Paid);
    assert_eq!(decision.withdrawn, [NoticeKind::Unconfirmed(Status::AwaitingDelivery)]);
    assert_eq!(decision.unconfirmed_at, Some(start() + 16 * MINUTE));
    assert_eq!(life.post(Status::Paid).unconfirmed_at, decision.unconfirmed_at, "said again it is not younger");
}

#[test]
fn nobody_waits_to_tell_nobody_of_a_claim() {
    let mut life = Life::under(Terms { recipients: Vec::new(), ..terms() });
    assert_eq!(life.post(Status::Paid).unconfirmed_at, None);
}

#[test]
fn what_only_asking_brought_is_told_from_what_a_post_told() {
    let mut life = Life::new();
    life.hear(&Observation { facts: Facts::default(), ..seen(Channel::Import, Status::Created, start()) });
    assert_eq!((life.stands(), life.payment().posted), ((Status::Created, Trust::Reported), Posted::Never));
    life.poll(Status::Paid);
    assert_eq!((life.stands(), life.payment().posted), ((Status::Paid, Trust::Confirmed), Posted::Never));
    assert_eq!(life.payment().facts, facts("25.00"), "the gateway's word, not the shop's");
    life.post(Status::Created);
    assert_eq!(life.payment().posted, Posted::Earlier);
    life.post(Status::Paid);
    assert_eq!(life.payment().posted, Posted::Current);
    life.poll(Status::Refunded);
    assert_eq!(life.payment().posted, Posted::Earlier);
}

#[test]
fn a_payment_the_shop_has_begun_is_asked_about_at_once_and_its_word_changes_nothing_later() {
    let mut life = Life::new();
    let begun = life.hear(&seen(Channel::Import, Status::Created, start()));
    assert_eq!((begun.outcome, begun.plan.due), (Outcome::Opened, Some(start())));
    life.poll(Status::Paid);
    let before = life.payment().clone();
    let again = life.hear(&seen(Channel::Import, Status::Created, life.now));
    assert_eq!((again.outcome, again.payment), (Outcome::Agreed, before));
}

#[test]
fn money_is_dated_by_its_first_word_and_undated_when_there_is_none_after_all() {
    let mut life = Life::new();
    life.post(Status::Created);
    assert_eq!(life.payment().paid_at, None);
    let when = life.now;
    life.post(Status::Paid);
    life.poll(Status::Paid);
    life.poll(Status::Disputed);
    assert_eq!(life.payment().paid_at, Some(when));
    let mut life = Life::new();
    life.post(Status::Paid);
    life.poll(Status::Created);
    assert_eq!(life.payment().paid_at, None);
}

#[test]
fn the_poll_url_seen_first_is_the_one_that_is_asked_however_later_messages_spell_it() {
    let opened = Payment::decide(None, &seen(Channel::Post, Status::Pending, start()), &terms()).payment;
    let shouted = POLL_URL.replace("CheckPayment", "CHECKPAYMENT");
    let shouted = PollUrl::parse(&shouted, &"https://www.paynow.co.zw".parse::<Origin>().unwrap()).unwrap();
    let later = Observation { poll_url: Some(shouted), ..seen(Channel::Post, Status::Paid, start() + MINUTE) };
    let moved = opened.moved(&later);
    assert_eq!((moved.status, moved.poll_url.unwrap().as_str()), (Status::Paid, POLL_URL));
}
