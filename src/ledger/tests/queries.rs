//! Reading: filters, names, and the indexes that keep it quick.

use rusqlite::{Params, params, params_from_iter};

use super::*;
use crate::domain::Trust;
use crate::ledger::keys as settling;

/// Five payments: 1 paid and confirmed, 2 paid as reported, 3 created, 4 as another integration, and a button sale.
async fn stocked() -> House {
    let mut house = House::new();
    for (payment, word) in [(1, "Paid"), (2, "Paid"), (3, "Created")] {
        house.post(payment, word, at(payment.into())).await;
    }
    house.poll(1, "Paid", at(10)).await;
    house.gateway = gateway(Protocol::Zimbabwe, "zig");
    house.post(4, "Paid", at(4)).await;
    house.gateway = gateway(Protocol::ZimbabweButton, "button");
    let sale =
        Fields::from_pairs([("Paynow_Reference", "1002"), ("Transaction_Amount", "25.00"), ("Amount_Paid", "26.30")]);
    let sale = hash::sign(sale, "Hash", Rule::NamesAndValues, &Key::guid(KEY).unwrap()).encode();
    house.hear(sale.as_bytes(), at(5), Admission::Wait).await.unwrap();
    house
}

impl House {
    fn listed(&self, filter: &Filter) -> Vec<String> {
        let mut keys = Vec::new();
        let each = |payment: Payment| {
            keys.push(payment.facts.gateway_reference.unwrap().to_string());
            true
        };
        self.ledger.reader().payments(filter, each).unwrap();
        keys
    }

    fn named(&self, name: &str, integration: Option<&str>) -> Vec<String> {
        let stories = self.ledger.reader().stories(name, integration).unwrap();
        stories.into_iter().map(|story| story.known.payment.integration.to_string()).collect()
    }
}

#[tokio::test]
async fn every_filter_narrows_and_the_newest_comes_first() {
    let house = stocked().await;
    let all = Filter::default();
    assert_eq!(house.listed(&all), ["1002", "1004", "1003", "1002", "1001"]);
    for (filter, expected) in [
        (Filter { integration: Some("shop".into()), ..all.clone() }, &["1003", "1002", "1001"][..]),
        (Filter { integration: Some("nobody".into()), ..all.clone() }, &[]),
        (Filter { statuses: vec![Status::Created], ..all.clone() }, &["1003"]),
        (Filter { statuses: vec![Status::Created, Status::Paid], limit: Some(2), ..all.clone() }, &["1002", "1004"]),
        (Filter { trust: Some(Trust::Confirmed), ..all.clone() }, &["1001"]),
        (Filter { trust: Some(Trust::Unconfirmable), ..all.clone() }, &["1002"]),
        (Filter { reference: Some("INV-2".into()), ..all.clone() }, &["1002"]),
        (Filter { reference: Some("inv-2".into()), ..all.clone() }, &[]),
        (Filter { since: Some(at(2)), until: Some(at(4)), ..all.clone() }, &["1003", "1002"]),
        (
            Filter {
                integration: Some("shop".into()),
                statuses: vec![Status::Paid],
                trust: Some(Trust::Reported),
                reference: Some("INV-2".into()),
                since: Some(at(0)),
                until: Some(at(9)),
                limit: Some(9),
            },
            &["1002"],
        ),
    ] {
        assert_eq!(house.listed(&filter), expected, "{filter:?}");
    }
}

#[tokio::test]
async fn payments_of_several_ends_and_of_none_are_listed_by_number() {
    let house = House::new();
    for (payment, word) in
        [(1, "Cancelled"), (2, "Created"), (3, "Paid"), (4, "Refunded"), (5, "Cancelled"), (6, "Sent")]
    {
        house.post(payment, word, at(payment.into())).await;
    }
    let of = |statuses: &[Status], limit| Filter { statuses: statuses.to_vec(), limit, ..Filter::default() };
    let ended = [Status::Refunded, Status::Cancelled];
    assert_eq!(house.listed(&of(&ended, None)), ["1005", "1004", "1001"]);
    let [refunded, cancelled] = ended;
    let unpaid = [Status::Pending, refunded, Status::Created, cancelled, Status::Disputed];
    assert_eq!(house.listed(&of(&unpaid, None)), ["1006", "1005", "1004", "1002", "1001"]);
    assert_eq!(house.listed(&of(&unpaid, Some(2))), ["1006", "1005"]);
    assert_eq!(house.listed(&of(&[Status::Paid, cancelled], None)), ["1005", "1003", "1001"]);
    assert_eq!(house.listed(&of(&[cancelled, cancelled], None)), ["1005", "1001"], "asked for twice");
}

#[tokio::test]
async fn a_page_of_any_list_is_read_by_an_index_in_its_order() {
    let house = stocked().await;
    let file = house.foreign();
    let all = Filter { limit: Some(50), ..Filter::default() };
    let shop = || Some("shop".to_owned());
    for (filter, integrations, walk) in [
        (all.clone(), &[1, 2][..], &["SCAN payment"][..]),
        (
            Filter { reference: Some("INV-1".into()), integration: shop(), ..all.clone() },
            &[1],
            &["SEARCH payment USING INDEX payment_by_reference (reference=?)"],
        ),
        (
            Filter { integration: shop(), ..all.clone() },
            &[1],
            &["SEARCH payment USING INDEX payment_by_age (integration_id=?)"],
        ),
        (
            Filter { integration: shop(), until: Some(at(1)), statuses: vec![Status::Paid], ..all.clone() },
            &[1],
            &["SEARCH payment USING INDEX payment_by_age (integration_id=? AND first_seen<?)"],
        ),
        (
            Filter { since: Some(at(0)), until: Some(at(1)), ..all.clone() },
            &[1, 2],
            &["SEARCH payment USING INDEX payment_by_age (integration_id=? AND first_seen>? AND first_seen<?)"; 2],
        ),
        (
            Filter { statuses: vec![Status::Disputed, Status::Created], ..all.clone() },
            &[1, 2],
            &["SEARCH payment USING INDEX payment_by_state (trust=? AND status=?)"; 6],
        ),
        (
            Filter { statuses: vec![Status::Failed, Status::Pending, Status::Expired], ..all.clone() },
            &[1, 2],
            &["SEARCH payment USING INDEX payment_by_state (trust=? AND status=?)"; 9],
        ),
        (Filter { statuses: vec![Status::Paid, Status::Failed], ..all.clone() }, &[1, 2], &["SCAN payment"]),
        (
            Filter { trust: Some(Trust::Reported), ..all.clone() },
            &[1, 2],
            &["SEARCH payment USING INDEX payment_by_state (trust=? AND status=?)"; 14],
        ),
        (
            Filter { trust: Some(Trust::Reported), statuses: vec![Status::Paid], ..all.clone() },
            &[1, 2],
            &["SEARCH payment USING INDEX payment_by_state (trust=? AND status=?)"],
        ),
        (
            Filter { trust: Some(Trust::Unconfirmable), ..all.clone() },
            &[1, 2],
            &["SEARCH payment USING INDEX payment_by_state (trust=? AND status=?)"; 14],
        ),
        (Filter { trust: Some(Trust::Confirmed), ..all.clone() }, &[1, 2], &["SCAN payment"]),
    ] {
        let (list, values) = query::list_statement(&filter, integrations);
        let list = plan(&file, &list, params_from_iter(values));
        let steps: Vec<&str> = list.lines().filter(|step| step.contains(" payment")).collect();
        assert_eq!(steps, walk, "{filter:?}");
        assert!(!list.contains("TEMP B-TREE"), "nothing is sorted: {list}");
    }
}

#[tokio::test]
async fn a_list_ends_when_its_reader_has_enough() {
    let house = stocked().await;
    let mut seen = 0;
    let two = |_| {
        seen += 1;
        seen < 2
    };
    house.ledger.reader().payments(&Filter::default(), two).unwrap();
    assert_eq!(seen, 2);
}

#[tokio::test]
async fn a_payment_is_found_by_key_then_by_the_gateways_reference_then_by_the_merchants() {
    let house = stocked().await;
    assert_eq!(house.named(key(1).as_str(), None), ["shop"]);
    assert_eq!(house.named(&key(0xab).as_str().to_uppercase(), None), Vec::<String>::new());
    assert_eq!(house.named(&key(4).as_str().to_uppercase(), None), ["zig"]);
    assert_eq!(house.named(key(4).as_str(), Some("shop")), Vec::<String>::new());
    assert_eq!(house.named("1003", None), ["shop"]);
    assert_eq!(house.named("1002", None), ["button"], "a key comes before a reference");
    assert_eq!(house.named("1002", Some("shop")), ["shop"]);
    assert_eq!(house.named("INV-4", None), ["zig"]);
    assert_eq!(house.named("INV-", None), Vec::<String>::new());
}

#[tokio::test]
async fn a_guid_in_upper_case_is_the_same_payment() {
    let mut house = House::new();
    house.post(0xab, "Paid", at(0)).await;
    assert_eq!(house.named(&key(0xab).as_str().to_uppercase(), None), ["shop"]);
    let shouted = String::from_utf8(message(0xab, "Paid", "25.00")).unwrap();
    let pairs = Fields::parse(shouted.as_bytes(), 64).unwrap();
    let pairs = pairs.iter().filter(|(name, _)| *name != "hash").map(|(name, value)| {
        let value = value.replace(key(0xab).as_str(), &key(0xab).as_str().to_uppercase());
        (name.to_owned(), value)
    });
    let again = hash::sign(Fields::from_pairs(pairs), "hash", Rule::Values, &Key::guid(KEY).unwrap()).encode();
    house.gateway = gateway(Protocol::Zimbabwe, "shop");
    let recorded = house.hear(again.as_bytes(), at(1), Admission::Wait).await.unwrap();
    assert_eq!(recorded.outcome, Outcome::Repeated);
}

/// How SQLite would go about `sql`, one step a line.
pub(super) fn plan(file: &Connection, sql: &str, values: impl Params) -> String {
    let mut plan = file.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let steps = plan.query_map(values, |row| row.get::<_, String>(3)).unwrap();
    steps.map(Result::unwrap).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn what_is_read_often_is_read_by_an_index() {
    let house = stocked().await;
    let file = house.foreign();
    let due = plan(&file, &crate::ledger::polls::due_statement(), params![0, 1, "[]"]);
    assert!(
        due.contains("payment USING INDEX payment_by_poll_due (poll_due<?)") && !due.contains("TEMP B-TREE"),
        "{due}"
    );
    let letters = plan(&file, &deliveries::due_statement(), params![0, 1]);
    assert!(letters.contains("outbox USING INDEX outbox_by_due (due<?)") && !letters.contains("TEMP"), "{letters}");
    let claims = plan(&file, crate::ledger::unconfirmed::DUE, params![0, 1]);
    assert!(claims.contains("payment USING INDEX payment_by_unconfirmed_due (unconfirmed_due<?)"), "{claims}");
    assert!(!claims.contains("TEMP"), "{claims}");
    let next = plan(&file, crate::ledger::unconfirmed::NEXT, [0]);
    assert!(next.contains("payment USING COVERING INDEX payment_by_unconfirmed_due (unconfirmed_due>?)"), "{next}");
    let settled = plan(&file, settling::SETTLED, [0]);
    for layer in ["shallow_key", "deep_key"] {
        assert!(settled.contains(&format!("SEARCH {layer} USING PRIMARY KEY (place=?)")), "{settled}");
        let neighbours = plan(&file, settling::NEIGHBOURS, [0, 0]);
        assert!(
            neighbours.contains(&format!("SEARCH {layer} USING PRIMARY KEY (place>? AND place<?)")),
            "{neighbours}"
        );
    }
    for (fresh, values) in [(settling::UNKNOWN, 1), (settling::FRESH, 1)] {
        let fresh = plan(&file, fresh, params_from_iter(std::iter::repeat_n(0, values)));
        assert!(fresh.contains("SEARCH payment USING INTEGER PRIMARY KEY (rowid>?)"), "{fresh}");
    }
    for (moving, values) in [(settling::LAST_OF_STEP, 3), (settling::DEEPEN, 4), (settling::LEAVE, 4)] {
        let moving = plan(&file, moving, params_from_iter(std::iter::repeat_n(0, values)));
        assert!(moving.contains("SEARCH shallow_key USING PRIMARY KEY ((place,payment_id)>("), "{moving}");
        assert!(!moving.contains("TEMP B-TREE"), "{moving}");
    }
    let found = plan(&file, &record::find_statement(), params![1, 1, vec![0_u8; 16]]);
    assert!(found.contains("payment USING INTEGER PRIMARY KEY (rowid=?)"), "{found}");
    assert!(!found.contains("SCAN"), "{found}");
    let heard = plan(&file, &format!("{} SELECT id FROM about", events::about("?1")), [1]);
    assert!(heard.contains("SEARCH payment USING INTEGER PRIMARY KEY (rowid=?)"), "{heard}");
    assert!(heard.contains("SEARCH event USING INTEGER PRIMARY KEY (rowid=?)"), "{heard}");
    let findings = plan(&file, counts::FINDINGS, []);
    assert!(findings.contains("USING COVERING INDEX discrepancy_open"), "{findings}");
    let overdue = plan(&file, counts::POLLS_DUE, [0]);
    assert!(overdue.contains("COVERING INDEX payment_by_poll_due (poll_due<?)"), "{overdue}");
    let story = plan(&file, &query::stories_statement("id"), params![1, None::<String>]);
    assert!(story.contains("payment USING INTEGER PRIMARY KEY (rowid=?)"), "{story}");
    let story = plan(&file, &query::stories_statement("reference"), params!["INV-1", None::<String>]);
    assert!(story.contains("payment USING INDEX payment_by_reference (reference=?)"), "{story}");
    let story = plan(&file, &query::stories_statement("gateway_reference"), params!["1002", None::<String>]);
    assert!(story.contains("payment USING INDEX payment_by_gateway_reference (gateway_reference=?)"), "{story}");
    let told = plan(&file, &outbox::list_statement(true), [1]);
    assert!(told.contains("outbox USING INDEX sqlite_autoindex_outbox_1 (payment_id=?)"), "{told}");
    let open = plan(&file, &crate::ledger::sweep::open_statement(), params!["shop", 0, 9, 0]);
    assert!(open.contains("payment USING INDEX payment_by_state (trust=? AND status=? AND rowid>?)"), "{open}");
    assert!(!open.contains("SCAN payment"), "{open}");
    assert!(!open.contains("TEMP B-TREE"), "{open}");
    let settled = plan(&file, &crate::ledger::sweep::final_statement(), params!["shop", 0, 0, 9, 9]);
    assert!(settled.contains("payment_by_change (last_changed>? AND last_changed<?)"), "{settled}");
    assert!(!settled.contains("TEMP B-TREE"), "{settled}");
    let orders = plan(&file, crate::ledger::sweep::ORDERS, params!["shop", 0, 9, 0]);
    assert!(orders.contains("expectation_unfound (integration_id=? AND rowid>?)"), "{orders}");
    assert!(!orders.contains("TEMP B-TREE"), "{orders}");
    let searched = plan(&file, traces::DUE, params![0, 1, "[]"]);
    assert!(searched.contains("expectation USING INDEX expectation_by_trace_due (trace_due<?)"), "{searched}");
    assert!(searched.contains("payment USING INDEX payment_by_reference (reference=?)"), "{searched}");
    let next = plan(&file, "SELECT min(trace_due) FROM expectation WHERE trace_due > ?1", [0]);
    assert!(next.contains("expectation_by_trace_due"), "{next}");
    let no_text = None::<String>;
    let money = plan(&file, &money::statement(), params![0, 0, 1, "live", no_text, no_text]);
    assert!(money.contains("payment USING INDEX payment_by_change (last_changed>?)"), "{money}");
    assert!(!money.contains("TEMP B-TREE"), "an export needs no memory: {money}");
    let pairs = plan(&file, settlements::PAIRS, [0]);
    assert!(pairs.contains("payment USING INDEX payment_by_change (last_changed>?)"), "{pairs}");
    assert!(
        pairs.contains("settlement USING INDEX settlement_unmatched (integration_id=? AND reference=?)"),
        "{pairs}"
    );
    let looked_at = plan(&file, &snapshot_rows::payments_statement(), params![0, "shop"]);
    for part in [
        "payment USING COVERING INDEX payment_by_change (last_changed>?)",
        "payment USING COVERING INDEX payment_by_poll_due",
        "discrepancy USING COVERING INDEX discrepancy_open",
        "payment USING INTEGER PRIMARY KEY (rowid=?)",
        "named USING INDEX expectation_by_payment (payment_id=?)",
        "(integration_id=? AND reference=?)",
    ] {
        assert!(looked_at.contains(part), "{part}: {looked_at}");
    }
    assert!(!looked_at.contains("SCAN payment"), "{looked_at}");
    let next = plan(&file, crate::ledger::polls::NEXT, [0]);
    assert!(next.contains("COVERING INDEX payment_by_poll_due"), "{next}");
}
