//! When the gateway is asked next, and what stands at the end of asking.

use super::*;

#[test]
fn a_doubt_about_what_is_confirmed_lasts_until_the_gateway_has_answered() {
    for word in [Status::Pending, Status::Unknown] {
        let mut life = Life::confirmed(Status::Paid);
        assert_eq!(life.payment().status, Status::Paid);
        life.post(word);
        for _ in 0..3 {
            let known = life.known.as_mut().unwrap();
            let due = known.plan.due.unwrap();
            known.plan = known.unanswered(&life.terms, due, None).0;
            assert_eq!(known.plan.pace, Pace::Confirm);
        }
        assert!(life.known.as_ref().unwrap().plan.due.is_some());
        assert_eq!(life.poll(Status::Paid).plan.due, None);
    }
}

#[test]
fn held_money_is_watched_and_settled_money_is_not() {
    for (status, watched) in [(Status::AwaitingDelivery, true), (Status::Disputed, true), (Status::Paid, false)] {
        let plan = Life::confirmed(status).known.unwrap().plan;
        assert_eq!((plan.due.is_some(), plan.pace), (watched, Pace::Watch), "{status}");
    }
}

#[test]
fn at_the_end_of_the_schedule_stands_a_finding() {
    for (status, class) in [(Status::Created, Class::StuckPending), (Status::Paid, Class::PaidUnconfirmed)] {
        let mut life = Life::new();
        life.post(status);
        let mut found = None;
        for _ in 0..9 {
            let known = life.known.as_mut().unwrap();
            let Some(due) = known.plan.due else { break };
            (known.plan, found) = known.unanswered(&terms(), due, None);
            assert_eq!(found.is_some(), known.plan.due.is_none(), "a finding stands at the end and only there");
        }
        assert_eq!(found.map(|finding| finding.class), Some(class));
        let known = life.known.unwrap();
        let night = known.plan.asked.unwrap() + Duration::from_hours(9);
        assert_eq!(known.unanswered(&terms(), night, None).1, None, "asked beyond the end, it is said once");
    }
    let mut held = Life::confirmed(Status::AwaitingDelivery);
    let known = held.known.as_mut().unwrap();
    known.plan.attempt = 9;
    assert_eq!(known.unanswered(&terms(), start(), None).1, None, "held money needs nobody's attention");
}

#[test]
fn a_gateway_that_wants_to_be_left_alone_is() {
    let mut life = Life::new();
    life.post(Status::Paid);
    let known = life.known.unwrap();
    let (plan, _) = known.unanswered(&terms(), start(), Some(60 * MINUTE));
    assert_eq!((plan.due, plan.attempt), (Some(start() + 60 * MINUTE), 1));
    let (plan, _) = known.unanswered(&terms(), start(), Some(Duration::ZERO));
    assert!(plan.due.unwrap() > start(), "and never asked sooner than the schedule says");
}

#[test]
fn a_clock_that_was_set_back_does_not_keep_a_claim_waiting() {
    let mut life = Life::confirmed(Status::Created);
    let long_ago = start() - Duration::from_hours(24 * 365);
    let decision = life.hear(&seen(Channel::Post, Status::Paid, long_ago));
    assert!(decision.plan.due.unwrap() <= long_ago + MINUTE);
    let (plan, _) = life.known.unwrap().unanswered(&terms(), long_ago, None);
    assert!(plan.due.unwrap() <= long_ago + MINUTE);
}

#[test]
fn an_answer_older_than_the_claim_it_meets_retracts_nothing_and_is_asked_for_again() {
    let mut life = Life::confirmed(Status::Pending);
    let asked = life.now;
    life.now += MINUTE;
    life.post(Status::Paid);
    let stale = Observation { asked: Some(asked), ..seen(Channel::Poll, Status::Pending, life.now) };
    let decision = life.hear(&stale);
    assert_eq!((decision.outcome, decision.findings, decision.notices), (Outcome::Agreed, Vec::new(), Vec::new()));
    assert_eq!(life.stands(), (Status::Paid, Trust::Reported));
    assert_eq!(decision.plan.due, Some(stale.at + life.terms.schedule.gap), "as soon as courtesy allows");

    let claimed = life.payment().last_changed;
    let at_once = Observation { asked: Some(claimed), ..seen(Channel::Poll, Status::Pending, life.now) };
    assert_eq!(life.hear(&at_once).outcome, Outcome::Agreed, "in the same millisecond nobody knows which came first");

    let fresh = Observation { asked: Some(life.now), ..seen(Channel::Poll, Status::Pending, life.now) };
    assert_eq!(life.hear(&fresh).outcome, Outcome::Corrected);
}

#[test]
fn a_gateway_that_disagrees_is_asked_no_faster_after_the_clock_was_set_back() {
    let mut life = Life::new();
    life.post(Status::Paid);
    let mut now = start() - Duration::from_hours(1);
    life.known.as_mut().unwrap().plan.due = Some(now);
    for _ in 0..9 {
        let answer = Observation { asked: Some(now), ..seen(Channel::Poll, Status::Created, now) };
        let due = life.hear(&answer).plan.due;
        assert_eq!(due, Some(now + life.terms.schedule.gap));
        now = due.unwrap();
    }
}

#[test]
fn a_claim_that_grew_old_while_nobody_could_ask_is_said_to_be_unconfirmed_all_the_same() {
    let step = Step { every: MINUTE, bound: Bound::Until(60 * MINUTE) };
    let schedule = Arc::new(PollSchedule { pending: vec![step], ..(*terms().schedule).clone() });
    let terms = Terms { schedule, ..terms() };
    let mut life = Life::under(terms.clone());
    life.post(Status::Paid);
    let mut known = life.known.unwrap();
    let mut said = Vec::new();
    let mut now = start() + chrono::TimeDelta::days(9);
    while known.plan.due.is_some() {
        let (plan, finding) = known.unanswered(&terms, now, None);
        known.plan = plan;
        said.extend(finding.map(|finding| finding.class));
        now = plan.due.unwrap_or(now);
    }
    assert_eq!(said, [Class::PaidUnconfirmed]);
}
