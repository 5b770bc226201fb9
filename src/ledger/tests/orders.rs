//! What the merchant's books expect, the proof of where it is, and the search by trace.

use super::*;
use crate::domain::compare::{Account, Order};
use crate::domain::{Amount, Days, Held, MerchantTrace, PollUrl, Posted, Reference};
use crate::protocol::Traced;

/// The order INV-n of 25 dollars, as a shop enters it.
fn order(number: u8, trace: Option<&str>) -> Expectation {
    Expectation {
        integration: shop(),
        reference: Reference::parse(&format!("INV-{number}")).unwrap(),
        amount: "25.00".parse::<Amount>().unwrap(),
        currency: "USD".parse().unwrap(),
        mode: Mode::Live,
        created: at(0),
        due: None,
        poll_url: None,
        trace: trace.map(trace_of),
    }
}

/// A line of a settlement file that pays INV-1 out.
fn paid_out(day: Timestamp) -> Settlement {
    Settlement {
        integration: shop(),
        line: "1".into(),
        day: day.date_naive(),
        reference: "INV-1".into(),
        currency: "USD".parse().unwrap(),
        gross: Some("25.00".parse().unwrap()),
        fee: None,
        net: None,
    }
}

fn trace_of(text: &str) -> MerchantTrace {
    MerchantTrace::parse(text).unwrap()
}

impl House {
    async fn expect(&self, order: Expectation, when: Timestamp) -> Expected {
        self.ledger.expect(Booking::new(order, Arc::clone(&self.terms), OnConflict::Keep), when).await.unwrap()
    }

    /// The orders to be asked about by trace.
    async fn due_traces(&self, when: Timestamp) -> Vec<DueTrace> {
        let (due, _) = self.ledger.reader().due_questions(vec!["shop".into()], when, 99).await.unwrap();
        due.into_iter().filter_map(|due| if let Due::Trace(trace) = due { Some(trace) } else { None }).collect()
    }

    async fn untraced(&self, id: i64, trace: &str, code: &'static str, when: Timestamp) {
        let asked = Untraced { integration: shop(), id, trace: trace_of(trace), at: when, code, retry_after: None };
        self.ledger.untraced(asked, Arc::clone(&self.terms)).await.unwrap();
    }

    async fn found(&self, id: i64, trace: &str, body: &[u8], when: Timestamp) {
        let answer = Answer { status: 200, body, asked: when };
        let Ok(Traced::Found(seen)) = self.gateway.read_traced(&trace_of(trace), &answer, when) else { panic!() };
        self.ledger.traced(id, trace_of(trace), *seen, Arc::clone(&self.terms)).await.unwrap();
    }

    fn trace_due(&self) -> Option<i64> {
        self.ask::<Option<i64>>("SELECT trace_due FROM expectation").flatten()
    }
}

#[tokio::test]
async fn an_order_with_a_trace_is_due_at_once_and_once_found_no_more() {
    let house = House::new();
    let bell = house.ledger.polls_due();
    assert_eq!(house.expect(order(1, Some("T-1")), at(0)).await, Expected::New);
    tokio::time::timeout(Duration::from_secs(10), bell.notified()).await.unwrap();
    let due = house.due_traces(at(0)).await;
    assert_eq!((due.len(), due[0].reference.as_str(), due[0].payment), (1, "INV-1", None));
    house.found(due[0].id, "T-1", &message(1, "Paid", "25.00"), at(1)).await;
    let story = house.story(1);
    assert_eq!(story.known.payment.posted, Posted::Never);
    assert_eq!((story.events[0].channel.as_str(), story.events[0].evidence.as_str()), ("trace", "sha512"));
    assert_eq!((story.polls[0].outcome.as_str(), house.trace_due()), ("opened", None));
    let found = "SELECT trace_answer FROM expectation JOIN payment ON payment.id = payment_id WHERE status = 'paid'";
    assert_eq!(house.ask::<String>(found), Some("found".into()));
    assert_eq!(house.expect(order(1, Some("T-1")), at(2)).await, Expected::Known);
    assert!(house.due_traces(at(9_999_999)).await.is_empty());
}

#[tokio::test]
async fn an_order_that_is_not_found_is_looked_for_as_long_as_the_schedule_lasts_and_changes_nothing() {
    let house = House::new();
    house.expect(order(1, Some("T-1")), at(0)).await;
    let id = house.due_traces(at(0)).await[0].id;
    house.untraced(id, "T-1", "not-found", at(0)).await;
    assert!(house.due_traces(at(50)).await.is_empty(), "asked a minute apart");
    assert_eq!(house.due_traces(at(70)).await.len(), 1);
    house.untraced(id, "T-1", "timed-out", at(70)).await;
    assert_eq!(house.trace_due(), None, "given up");
    let noted = "SELECT trace_answer || ' ' || trace_attempt || ' ' || traced FROM expectation";
    assert_eq!(house.ask::<String>(noted), Some(format!("timed-out 2 {}", at(70).timestamp_millis())));
    for table in ["payment", "event", "discrepancy"] {
        assert_eq!(house.ask::<i64>(&format!("SELECT count(*) FROM {table}")), Some(0), "{table}");
    }
}

#[tokio::test]
async fn a_payment_that_came_by_itself_ends_the_search_unless_it_was_given_up() {
    let house = House::new();
    house.expect(order(1, Some("T-1")), at(0)).await;
    house.post(1, "Cancelled", at(1)).await;
    assert_eq!(house.due_traces(at(2)).await[0].payment, None, "it may have been begun again");
    let paid = message(2, "Paid", "25.00");
    let fields = Fields::parse(&paid, 64).unwrap();
    let fields = fields.iter().filter(|(name, _)| *name != "hash");
    let fields = fields.map(|(name, value)| (name, if name == "reference" { "INV-1" } else { value }));
    let paid = hash::sign(Fields::from_pairs(fields), "hash", Rule::Values, &Key::guid(KEY).unwrap()).encode();
    house.hear(paid.as_bytes(), at(3), Admission::Wait).await.unwrap();
    let due = house.due_traces(at(4)).await.remove(0);
    house.ledger.came(due.id, due.payment.unwrap()).await.unwrap();
    assert!(house.due_traces(at(9_999_999)).await.is_empty());
    let linked = "SELECT payment.status FROM expectation JOIN payment ON payment.id = payment_id";
    assert_eq!(house.ask::<String>(linked), Some("paid".into()));
}

#[tokio::test]
async fn another_trace_is_another_attempt_and_the_answer_to_the_first_says_nothing_of_it() {
    let house = House::new();
    house.expect(order(1, Some("T-1")), at(0)).await;
    let id = house.due_traces(at(0)).await[0].id;
    for second in [0, 70] {
        house.untraced(id, "T-1", "not-found", at(second)).await;
    }
    assert_eq!(house.trace_due(), None);
    assert_eq!(house.expect(order(1, Some("T-2")), at(80)).await, Expected::Known);
    assert_eq!(house.due_traces(at(80)).await[0].trace, trace_of("T-2"));
    house.untraced(id, "T-1", "not-found", at(81)).await;
    assert_eq!(house.ask::<Option<String>>("SELECT trace_answer FROM expectation"), Some(None));
    assert_eq!(house.trace_due(), Some(at(80).timestamp_millis()));
    house.found(id, "T-2", &message(1, "Created", "25.00"), at(82)).await;
    assert_eq!(house.expect(order(1, Some("T-3")), at(90)).await, Expected::Known);
    assert_eq!(house.due_traces(at(90)).await.len(), 1, "the customer tries again");
}

#[tokio::test]
async fn while_there_is_a_poll_url_nobody_asks_by_trace_for_an_hour_unless_its_payment_is_given_up() {
    let house = House::new();
    house.expect(order(1, Some("T-1")), at(0)).await;
    let url = format!("https://www.paynow.co.zw/Interface/CheckPayment/?guid={}", key(1));
    let poll_url = PollUrl::stored(&url);
    assert!(poll_url.is_some());
    assert_eq!(house.expect(Expectation { poll_url, ..order(1, None) }, at(1)).await, Expected::Known);
    let hour = 60 * 60;
    assert!(house.due_traces(at(hour)).await.is_empty());
    assert_eq!(house.due_traces(at(1 + hour)).await.len(), 1);
    let story = house.story(1);
    assert_eq!((story.known.plan.due, story.events[0].evidence.as_str()), (Some(at(1)), "none"));

    house.poll(1, "Cancelled", at(2)).await;
    let due = house.due_traces(at(2)).await.remove(0);
    house.untraced(due.id, "T-1", "not-found", at(2)).await;
    assert!(house.trace_due() > Some(at(2).timestamp_millis()), "not for ever");
    house.poll(1, "Paid", at(3)).await;
    assert_eq!(house.trace_due(), None, "there is nothing to look for");
}

#[tokio::test]
async fn a_trace_that_comes_later_is_asked_by_at_once_and_a_payment_without_money_ends_no_search() {
    let house = House::new();
    let url = format!("https://www.paynow.co.zw/Interface/CheckPayment/?guid={}", key(1));
    house.expect(Expectation { poll_url: PollUrl::stored(&url), ..order(1, None) }, at(0)).await;
    house.poll(1, "Created", at(1)).await;
    house.expect(order(1, Some("T-1")), at(2)).await;
    let due = house.due_traces(at(2)).await.remove(0);
    assert_eq!(due.payment, None);
    house.post(1, "Paid", at(3)).await;
    let due = house.due_traces(at(3)).await.remove(0);
    house.ledger.came(due.id, due.payment.unwrap()).await.unwrap();
    assert_eq!(house.trace_due(), None);
}

#[tokio::test]
async fn a_begun_payment_is_imported_with_the_gateways_own_proof() {
    let house = House::new();
    let url = format!("https://www.paynow.co.zw/Interface/CheckPayment/?guid={}", key(1));
    let fields =
        Fields::from_pairs([("status", "Ok"), ("browserurl", "https://www.paynow.co.zw/x"), ("pollurl", &url)]);
    let body = hash::sign(fields, "hash", Rule::Values, &Key::guid(KEY).unwrap()).encode().into_bytes();
    let begun = house.gateway.read_begun(&body).unwrap();
    let terms = Arc::clone(&house.terms);
    let expected =
        house.ledger.expect(Booking::new(order(1, None), terms, OnConflict::Keep).begun(begun), at(0)).await.unwrap();
    assert_eq!(expected, Expected::New);
    let story = house.story(1);
    let event = &story.events[0];
    assert_eq!(
        (event.channel.as_str(), event.evidence.as_str(), story.known.plan.due),
        ("import", "sha512", Some(at(0)))
    );
    assert_eq!(house.ask::<Vec<u8>>("SELECT body FROM event"), Some(body));
    assert_eq!(house.ask::<String>("SELECT poll_url FROM expectation WHERE payment_id IS NOT NULL"), Some(url));
    assert!(house.ledger.reader().verify(Scope::Whole).unwrap().flaws.is_empty());
}

#[tokio::test]
async fn a_sweep_looks_for_every_order_without_a_payment_and_counts_a_payment_that_came_as_found() {
    let house = House::new();
    for number in 1..=4 {
        house.expect(order(number, (number != 3).then(|| format!("T-{number}")).as_deref()), at(0)).await;
    }
    let due = house.due_traces(at(0)).await;
    let ids: Vec<i64> = due.iter().map(|due| due.id).collect();
    for (id, trace) in [(ids[0], "T-1"), (ids[1], "T-2")] {
        for second in [0, 70] {
            house.untraced(id, trace, "not-found", at(second)).await;
        }
    }
    let (night, sweep) =
        (at(50_000), Sweep { integration: shop(), began: at(50_000), final_since: at(0), open_since: at(0) });
    let slice = house.ledger.reader().slice(sweep, Place::Orders(0), 9).await.unwrap();
    let orders: Vec<Subject> = ids.iter().copied().map(Subject::Order).collect();
    assert_eq!((&slice.subjects, slice.next), (&orders, None));
    house.ledger.ask(slice.subjects, night, night).await.unwrap();
    assert_eq!(house.due_traces(night).await.len(), 3);
    assert_eq!(house.ledger.reader().brought(orders.clone(), (night, night)).await.unwrap(), []);
    house.untraced(ids[0], "T-1", "not-found", night).await;
    house.found(ids[1], "T-2", &message(2, "Paid", "25.00"), night).await;
    house.post(4, "Paid", night).await;
    let payment = house.due_traces(night).await.remove(0).payment.unwrap();
    house.ledger.came(ids[2], payment).await.unwrap();
    let brought = house.ledger.reader().brought(orders.clone(), (night, night)).await.unwrap();
    let expected = [Err("not-found".to_owned()), Ok(()), Ok(())];
    assert_eq!(brought, orders.into_iter().zip(expected).collect::<Vec<_>>());
    assert!(house.due_traces(night).await.is_empty(), "given up again");
}

#[tokio::test]
async fn an_order_is_linked_to_the_payment_that_pays_it_whichever_comes_first() {
    let house = House::new();
    let linked = |number: u8| {
        let sql = format!(
            "SELECT count(*) FROM expectation JOIN payment ON payment.id = payment_id \
             WHERE expectation.reference = 'INV-{number}' AND trace_due IS NULL"
        );
        house.ask::<i64>(&sql) == Some(1)
    };
    house.expect(order(1, Some("T-1")), at(0)).await;
    house.post(1, "Paid", at(1)).await;
    assert!(!linked(1), "a claim is no money");
    house.poll(1, "Paid", at(2)).await;
    assert!(linked(1));
    house.post(2, "Paid", at(3)).await;
    house.poll(2, "Paid", at(4)).await;
    house.expect(order(2, Some("T-2")), at(5)).await;
    assert!(linked(2));
    house.post(3, "Cancelled", at(6)).await;
    house.poll(3, "Cancelled", at(7)).await;
    house.expect(order(3, Some("T-3")), at(8)).await;
    assert!(!linked(3), "another payment may still come");
}

#[tokio::test]
async fn an_order_is_not_paid_by_the_payment_of_another_though_both_name_its_poll_url() {
    let house = House::new();
    let poll_url = PollUrl::stored(&format!("https://www.paynow.co.zw/Interface/CheckPayment/?guid={}", key(2)));
    assert!(poll_url.is_some());
    for number in [1, 2] {
        house.expect(Expectation { poll_url: poll_url.clone(), ..order(number, None) }, at(0)).await;
    }
    let open = || {
        let mut open = Vec::new();
        let each = |order: Expectation| {
            open.push(order.reference.to_string());
            true
        };
        house.ledger.reader().expectations(Orders::Open, each).unwrap();
        open
    };
    // By their references: the orders that a run compares payments with, and those that lead elsewhere.
    let seen = || {
        let snapshot = house.ledger.reader().snapshot().unwrap();
        let span = Span { integration: None, changed_since: at(0), both_modes: true };
        let (mut compared, mut leading) = (Vec::new(), Vec::new());
        let each = |_, account: Account, _: &[Held]| {
            compared.push(account.expectation.unwrap().reference.to_string());
        };
        snapshot.payments(&span, each).unwrap();
        let (shop, _) = snapshot.integrations().unwrap()[0].clone();
        let each = |_, order: Order, _: &[Held]| {
            leading.push((order.expectation.reference.to_string(), order.leads_to.unwrap().to_string()));
        };
        snapshot.orders(shop, &span, each).unwrap();
        (compared, leading)
    };
    house.poll(2, "Paid", at(1)).await;
    assert_eq!(open(), ["INV-1"]);
    assert_eq!(seen(), (vec!["INV-2".to_owned()], vec![("INV-1".to_owned(), "INV-2".to_owned())]));

    house.post(1, "Paid", at(2)).await;
    house.poll(1, "Paid", at(3)).await;
    assert!(open().is_empty());
    let linked = "SELECT count(*) FROM expectation JOIN payment ON payment.id = payment_id \
                  AND payment.reference = expectation.reference";
    assert_eq!(house.ask::<i64>(linked), Some(2), "its own payment takes the place of the other's");
    assert_eq!(seen(), (vec!["INV-2".to_owned(), "INV-1".to_owned()], Vec::new()));
}

#[tokio::test]
async fn blanks_around_a_reference_make_it_no_other_order() {
    let house = House::new();
    let poll_url = PollUrl::stored(&format!("https://www.paynow.co.zw/Interface/CheckPayment/?guid={}", key(1)));
    let reference = Reference::parse(" INV-1\u{a0}").unwrap();
    house.expect(Expectation { reference, poll_url, ..order(1, None) }, at(0)).await;
    house.poll(1, "Paid", at(1)).await;
    let mut open = 0;
    let each = |_| {
        open += 1;
        true
    };
    house.ledger.reader().expectations(Orders::Open, each).unwrap();
    assert_eq!(open, 0);
}

#[tokio::test]
async fn an_order_is_paid_once_more_than_a_post_says_so_and_stays_paid_when_the_money_goes_back() {
    let house = House::new();
    house.expect(order(1, None), at(0)).await;
    let unpaid = async || {
        let mut open = 0;
        let each = |_| {
            open += 1;
            true
        };
        house.ledger.reader().expectations(Orders::Open, each).unwrap();
        let day = reports::order(Days::one(at(0).date_naive(), chrono_tz::UTC));
        let report = house.ledger.reader().count_report(day, at(60)).await.unwrap().report;
        assert_eq!(report.orders.unwrap().unpaid, open);
        open
    };
    house.post(1, "Paid", at(1)).await;
    assert_eq!(unpaid().await, 1, "a post says so");
    house.poll(1, "Paid", at(2)).await;
    assert_eq!(unpaid().await, 0);
    house.post(1, "Refunded", at(3)).await;
    assert_eq!(unpaid().await, 0, "that there was money is proven");
    house.poll(1, "Refunded", at(4)).await;
    assert_eq!(unpaid().await, 0);
}

#[tokio::test]
async fn a_line_whose_net_sum_and_fee_do_not_make_up_its_gross_is_paid_out_with_what_they_do() {
    let house = House::new();
    house.post(1, "Paid", at(0)).await;
    house.poll(1, "Paid", at(1)).await;
    let amount = |text: &str| Some(text.parse().unwrap());
    let line = Settlement { fee: amount("1.00"), net: amount("14.00"), ..paid_out(at(0)) };
    house.ledger.settle(vec![line], at(2)).await.unwrap();
    house.ledger.match_settlements(chrono_tz::UTC).await.unwrap();
    let snapshot = house.ledger.reader().snapshot().unwrap();
    let mut found = None;
    let span = Span { integration: None, changed_since: at(0), both_modes: true };
    snapshot.payments(&span, |_, account: Account, _: &[Held]| found = account.paid_out).unwrap();
    assert_eq!(found.unwrap().gross, amount("15.00"));
}

#[tokio::test]
async fn what_was_held_is_paid_out_by_a_line_of_after_its_release_however_long_ago_it_was_paid() {
    let house = House::new();
    let day = |count: i64| at(count * 24 * 60 * 60);
    house.post(1, "Awaiting Delivery", day(0)).await;
    house.poll(1, "Awaiting Delivery", day(0)).await;
    house.ledger.settle(vec![paid_out(day(13))], day(13)).await.unwrap();
    let matched = || house.ledger.match_settlements(chrono_tz::UTC);
    assert_eq!(matched().await.unwrap(), Matched { now: 0, waiting: 1 }, "held for all we know");
    house.poll(1, "Paid", day(12)).await;
    assert_eq!(matched().await.unwrap(), Matched { now: 1, waiting: 0 });
}

#[tokio::test]
async fn what_is_imported_is_not_the_first_thing_heard() {
    let house = House::new();
    let first_heard = || house.ledger.reader().snapshot().unwrap().first_heard().unwrap();
    let url = format!("https://www.paynow.co.zw/Interface/CheckPayment/?guid={}", key(1));
    house.expect(Expectation { poll_url: PollUrl::stored(&url), ..order(1, None) }, at(0)).await;
    assert_eq!((house.ask("SELECT channel FROM event"), first_heard()), (Some("import".to_owned()), None));
    house.poll(1, "Paid", at(86_400)).await;
    house.post(2, "Paid", at(86_500)).await;
    assert_eq!(first_heard(), Some(at(86_400)));
}
