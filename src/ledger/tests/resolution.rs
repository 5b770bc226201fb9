//! What a person decided: once, in the chain, and told with the payment's story.

use super::*;

/// A payment that stands paid, and later only created by the gateway's word: a finding of record, number 1.
async fn mismatched() -> House {
    let house = House::new();
    house.post(1, "Paid", at(0)).await;
    house.poll(1, "Paid", at(1)).await;
    house.poll(1, "Created", at(2)).await;
    assert_eq!(house.ask::<i64>("SELECT count(*) FROM discrepancy WHERE state = 'open'"), Some(1));
    house
}

impl House {
    async fn resolve(&self, id: i64, reason: &str) -> Resolved {
        let resolution = Resolution { discrepancy: id, actor: "tendai".into(), reason: reason.into(), at: at(10) };
        self.ledger.resolve(resolution).await.unwrap()
    }
}

#[tokio::test]
async fn a_persons_decision_closes_the_finding_and_stands_in_the_chain() {
    let house = mismatched().await;
    let Resolved::Now(found) = house.resolve(1, "Paynow says it is paid").await else { panic!("it was open") };
    assert_eq!((found.state.as_str(), found.actor.as_deref()), ("resolved", Some("tendai")));
    assert_eq!((found.resolved, found.resolution.as_deref()), (Some(at(10)), Some("Paynow says it is paid")));
    assert_eq!(
        house.ask::<Vec<u8>>("SELECT body FROM event WHERE channel = 'operator'").unwrap(),
        br#"{"actor":"tendai","class":"status-mismatch","discrepancy":1,"integration":"shop","reason":"Paynow says it is paid"}"#
    );
    let story = house.story(1);
    let decision = story.events.last().unwrap().decision.clone().unwrap();
    assert_eq!((decision.discrepancy, decision.reason.as_str()), (1, "Paynow says it is paid"));
    assert_eq!(story.known.payment.status, Status::Paid, "it moves no payment");
    // The next event is chained to it, and everything verifies.
    house.post(2, "Created", at(11)).await;
    chain::assert_unbroken(&house.foreign());
    let verified = house.ledger.reader().verify(Scope::Whole).unwrap();
    assert!(verified.flaws.is_empty(), "{:?}", verified.flaws);
}

#[tokio::test]
async fn what_is_resolved_is_not_resolved_again_and_a_number_that_is_none_is_said_to_be() {
    let house = mismatched().await;
    house.resolve(1, "one").await;
    let Resolved::Before(found) = house.resolve(1, "two").await else { panic!("it was resolved") };
    assert_eq!(found.resolution.as_deref(), Some("one"));
    assert!(matches!(house.resolve(99, "three").await, Resolved::Unknown));
    assert_eq!(house.ask::<i64>("SELECT count(*) FROM event WHERE channel = 'operator'"), Some(1));
}

#[tokio::test]
async fn a_decision_about_no_payment_is_chained_as_well() {
    let house = House::new();
    house.post(1, "Created", at(0)).await;
    let sql = "INSERT INTO discrepancy (class, state, integration_id, expected, found, opened, last_seen) \
               VALUES ('callback-silence', 'open', 1, 'posts', 'none', 0, 0)";
    house.foreign().execute(sql, []).unwrap();
    assert!(matches!(house.resolve(1, "the firewall is mended").await, Resolved::Now(_)));
    chain::assert_unbroken(&house.foreign());
    assert!(house.ledger.reader().verify(Scope::Whole).unwrap().flaws.is_empty());
}

#[tokio::test]
async fn a_changed_decision_is_found_by_name() {
    for change in [
        "body = CAST(replace(CAST(body AS TEXT), 'tendai', 'nobody') AS BLOB)",
        "at = at + 1",
        "payment_id = NULL",
        "outcome = 'moved'",
        "amount = 5",
    ] {
        let house = mismatched().await;
        house.resolve(1, "seen in the dashboard").await;
        house.post(2, "Created", at(11)).await;
        let event = house.ask::<i64>("SELECT id FROM event WHERE channel = 'operator'").unwrap();
        let file = house.foreign();
        file.execute_batch("DROP TRIGGER event_is_never_changed").unwrap();
        file.execute(&format!("UPDATE event SET {change} WHERE id = ?1"), [event]).unwrap();
        let flaws = house.ledger.reader().verify(Scope::Whole).unwrap().flaws;
        let broken = flaws.iter().find(|flaw| flaw.check == Check::Chain).unwrap_or_else(|| panic!("{change}"));
        assert_eq!(broken.row, Some(("event".into(), event)), "{change}");
    }
}

#[tokio::test]
async fn a_later_answer_that_agrees_settles_what_an_earlier_one_contradicted() {
    let house = mismatched().await;
    house.poll(1, "Paid", at(3)).await;
    assert_eq!(house.ask::<i64>("SELECT count(*) FROM discrepancy WHERE state = 'open'"), Some(0));
}
