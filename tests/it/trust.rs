//! What is believed, on whose word, and what becomes of a claim that does not hold.

use paynowd::simulator::{ButtonSale, Misbehaviour, PostSpec, Recut};
use serde_json::Value;

use crate::house::letters::subjects;
use crate::house::slow_gateway::SlowGateway;
use crate::house::{House, Settings};

/// Classes and findings of every discrepancy, as `class: found`.
fn discrepancies(story: &Value) -> Vec<String> {
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
    let all = story["discrepancies"].as_array().unwrap().iter();
    all.map(|finding| format!("{}: {}", text(finding, "class"), text(finding, "found"))).collect()
}

fn fields<'a>(story: &'a Value, names: &[&str]) -> Vec<&'a str> {
    names.iter().map(|name| story[*name].as_str().unwrap_or("null")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_post_is_confirmed_by_asking_the_gateway_and_then_told() {
    let house = House::start(Settings::usual()).await;
    let payment = house.pay("INV-1042", "25.00").await;
    let story = house.until_it_is(&payment.guid, "paid", "confirmed").await;
    assert_eq!(house.gateway.polls(&payment.guid), 1);
    let events = story["events"].as_array().unwrap();
    let told: Vec<_> = events.iter().map(|event| fields(event, &["channel", "evidence", "outcome", "trust"])).collect();
    assert_eq!(told, [["post", "sha512", "opened", "reported"], ["poll", "sha512", "confirmed", "confirmed"]]);
    assert_eq!(story["next_poll"], Value::Null, "paid is final");
    assert!(discrepancies(&story).is_empty());
    let [letter] = &house.until_letters(1).await[..] else { panic!("one letter") };
    assert_eq!((letter.subject(), letter.to()), ("Paid: USD 25.00, INV-1042", "owner@shop.example"));
    assert!(letter.text.contains("Sure. We asked Paynow, and it confirms this."), "{}", letter.text);
    assert!(letter.text.contains("Hand over the goods."), "{}", letter.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_re_cut_into_a_larger_amount_is_taken_from_nobody_but_the_gateway() {
    let house = House::start(Settings::usual()).await;
    let payment = house.begin("INV-1047", "1.00");
    house.gateway.set_status(&payment.guid, "Paid").unwrap();
    let recut = PostSpec::status("Paid").recut(Recut::GatewayReferenceToAmount);
    assert_eq!(house.post(&payment, &recut).await, 200);
    let story = house.until_it_is(&payment.guid, "paid", "confirmed").await;
    assert_eq!(fields(&story, &["amount", "gateway_reference"]), ["1.00", &payment.gateway_reference]);
    let found = discrepancies(&story);
    assert!(found.contains(&"contradicting-post: amount 41.00".to_owned()), "{found:?}");
    let letters = house.until_letters(1).await;
    assert_eq!(subjects(&letters), ["Paid: USD 1.00, INV-1047"]);
    assert!(!letters[0].raw.contains("41.00"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_of_paid_that_the_gateway_does_not_share_is_told_to_nobody() {
    let house = House::start(Settings::usual().set("integrations.shop.announce_after", "1h")).await;
    // The gateway itself still says Created, and 1.00.
    let payment = house.begin("INV-1047", "1.00");
    let recut = PostSpec::status("Paid").recut(Recut::GatewayReferenceToAmount);
    assert_eq!(house.post(&payment, &recut).await, 200);
    let story = house.until_it_is(&payment.guid, "created", "confirmed").await;
    assert_eq!(story["amount"], "1.00");
    let found = discrepancies(&story);
    assert!(found.contains(&"contradicting-post: status paid".to_owned()), "{found:?}");
    assert!(story["letters"].as_array().unwrap().is_empty() && house.letters().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_re_cut_into_another_reference_ends_with_the_gateways_reference() {
    let house = House::start(Settings::usual()).await;
    let payment = house.begin("INV-32", "25.00");
    house.gateway.set_status(&payment.guid, "Paid").unwrap();
    let recut = PostSpec::status("Paid").recut(Recut::GatewayReferenceToReference);
    assert_eq!(house.post(&payment, &recut).await, 200);
    let story = house.until_it_is(&payment.guid, "paid", "confirmed").await;
    assert_eq!(story["reference"], "INV-32");
    assert!(discrepancies(&story).contains(&"contradicting-post: reference INV-323".to_owned()));
    assert_eq!(subjects(&house.until_letters(1).await), ["Paid: USD 25.00, INV-32"]);
    assert!(house.payments_json(&["--reference", "INV-323"]).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_that_contradicts_a_known_payment_is_kept_aside_and_changes_nothing() {
    let house = House::start(Settings::usual()).await;
    let payment = house.pay("INV-32", "25.00").await;
    house.until_it_is(&payment.guid, "paid", "confirmed").await;
    let recut = PostSpec::status("Refunded").recut(Recut::GatewayReferenceToAmount);
    assert_eq!(house.post(&payment, &recut).await, 200);
    house.gateway.wait_for_polls(&payment.guid, 2, crate::house::DEADLINE).await.unwrap();
    let story = house.show_json(&payment.guid);
    assert_eq!(fields(&story, &["status", "trust", "amount"]), ["paid", "confirmed", "25.00"]);
    assert!(discrepancies(&story).contains(&"contradicting-post: amount 425.00".to_owned()), "{story:#}");
    let [(kind, reason, _)] = &house.quarantine()[..] else { panic!("one post in quarantine") };
    assert_eq!(kind, "contradicts");
    assert!(reason.starts_with("contradicts what is known of the payment: "), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_url_that_leads_elsewhere_is_never_followed() {
    let elsewhere = SlowGateway::start(std::time::Duration::ZERO, |_| String::new()).await;
    let house = House::start(Settings::usual()).await;
    let payment = house.begin("INV-32", "25.00");
    let guid = &payment.guid;
    let gateway = house.gateway.origin();
    let port: u16 = gateway.rsplit(':').next().unwrap().parse().unwrap();
    let at = |origin: &str| format!("{origin}/Interface/CheckPayment/?guid={guid}");
    let tricks = [
        format!("{}/Interface/CheckPayment/?guid={guid}", elsewhere.origin()),
        format!("{gateway}@{}/Interface/CheckPayment/?guid={guid}", elsewhere.address),
        format!("{gateway}.example/Interface/CheckPayment/?guid={guid}"),
        format!("https{}/Interface/CheckPayment/?guid={guid}", gateway.trim_start_matches("http")),
        format!("{gateway}/Interface/CheckPayment/../../simulator/payments?guid={guid}"),
        format!("{gateway}/simulator/payments?guid={guid}"),
        format!("{gateway}/Interface/CheckPayment/?guid={guid}&next=1"),
        format!("{gateway}/Interface/CheckPayment/?guid={guid}#"),
        format!("{gateway}/Interface/CheckPayment/?guid=1"),
        format!("file:///etc/passwd?guid={guid}"),
        at(&format!("http://127.0.0.1:{}", port.wrapping_add(1).max(1))),
        at("http://127.0.0.1"),
        at(&format!("http://localhost:{port}")),
        at(&format!("http://[::1]:{port}")),
        at(&format!("http://[::ffff:127.0.0.1]:{port}")),
        at(&format!("http://2130706433:{port}")),
        at(&format!("http://0x7f.1:{port}")),
        at(&format!("http://127.0.0.1.:{port}")),
        at(&format!("http://１２７.0.0.1:{port}")),
        at(&format!("http://xn--127-0-0-1.example:{port}")),
        at("http://10.0.0.1"),
        at("http://169.254.169.254"),
        at("https://www.paynow.co.zw"),
        at(&format!("http://user:word@127.0.0.1:{port}")),
        at(&format!("http:/\\127.0.0.1:{port}")),
        at(&format!("//127.0.0.1:{port}")),
        at(&format!("{gateway}\r\nHost: elsewhere.example")),
        format!("{gateway}/Interface/%2e%2e/Interface/CheckPayment/?guid={guid}"),
        format!("{gateway}/Interface/CheckPayment/%2e%2e/?guid={guid}"),
        format!("{gateway}/Interface%2fCheckPayment/?guid={guid}"),
        format!("{gateway}//Interface/CheckPayment/?guid={guid}"),
        format!("{gateway}/Interface\\CheckPayment/?guid={guid}"),
        format!("{gateway}/Interface/CheckPayment/;x?guid={guid}"),
        format!("{gateway}/Interface/CheckPayment/?guid={guid}%00"),
        format!("{gateway}/Interface/CheckPayment/?guid={guid}\0"),
        format!("{gateway}/Interface/CheckPayment/?guid={guid} HTTP/1.1\r\nX: y"),
        format!("{gateway}/Interface/CheckPayment/?guid={{{guid}}}"),
        String::new(),
    ];
    for url in &tricks {
        assert_eq!(house.post(&payment, &PostSpec::status("Paid").field("pollurl", url)).await, 200, "{url}");
    }
    assert_eq!(house.payments_json(&[]), Vec::<Value>::new());
    let kept = house.quarantine();
    assert_eq!(kept.len(), tricks.len());
    assert!(kept.iter().all(|(kind, reason, _)| kind == "suspect" && reason.contains("field pollurl")), "{kept:?}");
    // Whatever those posts may have set off came before the poll of this one.
    let other = house.pay("INV-33", "25.00").await;
    house.until_it_is(&other.guid, "paid", "confirmed").await;
    assert_eq!((elsewhere.connections(), house.gateway.polls(guid)), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_outside_the_grammar_are_kept_aside_however_well_signed() {
    let house = House::start(Settings::usual()).await;
    let payment = house.begin("INV-32", "25.00");
    let paid = || PostSpec::status("Paid");
    let cases = [
        ("amount", paid().field("amount", "25,00")),
        ("amount", paid().field("amount", "-25.00")),
        ("amount", paid().field("amount", "2.5e1")),
        ("amount", paid().field("amount", "25.00001")),
        ("amount", paid().field("amount", "99999999999999999999.00")),
        ("amount", paid().without("amount")),
        ("paynowreference", paid().field("paynowreference", "INV")),
        ("reference", paid().field("reference", "a\r\nBcc: everybody@example.com")),
        ("reference", paid().field("reference", "\u{1b}[2J")),
        ("reference", paid().field("reference", "INV-32\0")),
        ("reference", paid().field("reference", "INV\u{2028}32")),
        ("reference", paid().field("reference", &"x".repeat(256))),
        ("status", paid().field("status", "Paid\r\nSent")),
        ("status", paid().field("status", "Pa\u{1b}[8mid")),
        ("reference", paid().field("reference", "")),
        ("status", paid().without("status")),
        ("pollurl", paid().without("pollurl")),
    ];
    for (field, spec) in &cases {
        assert_eq!(house.post(&payment, spec).await, 200, "{field}");
    }
    // Nothing they say is taken but the payment's poll URL; where it stands is the gateway's word.
    let story = house.until_it_is(&payment.guid, "created", "confirmed").await;
    assert_eq!((&story["reference"], &story["amount"]), (&"INV-32".into(), &"25.00".into()));
    let kept = house.quarantine();
    assert_eq!(kept.len(), cases.len());
    for ((kind, reason, _), (field, _)) in kept.iter().zip(cases) {
        assert_eq!(kind, "suspect");
        assert!(reason.starts_with(&format!("field {field}: ")), "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_back_changes_nothing_and_brings_about_a_poll() {
    let house = House::start(Settings::usual()).await;
    let payment = house.pay("INV-32", "25.00").await;
    house.until_it_is(&payment.guid, "paid", "confirmed").await;
    assert_eq!(house.gateway.polls(&payment.guid), 1);
    for (polls, word) in [(2, "Sent"), (3, "Cancelled")] {
        assert_eq!(house.post(&payment, &PostSpec::status(word)).await, 200);
        house.gateway.wait_for_polls(&payment.guid, polls, crate::house::DEADLINE).await.unwrap();
        let story = house.show_json(&payment.guid);
        assert_eq!(fields(&story, &["status", "trust", "wire_status"]), ["paid", "confirmed", "Paid"]);
        assert_eq!(story["events"].as_array().unwrap().last().unwrap()["outcome"], "regressed");
    }
    assert_eq!(house.until_letters(1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_word_about_a_known_payment_is_recorded_and_changes_nothing() {
    let house = House::start(Settings::usual()).await;
    let payment = house.pay("INV-32", "25.00").await;
    house.until_it_is(&payment.guid, "paid", "confirmed").await;
    assert_eq!(house.post(&payment, &PostSpec::status("Quantum")).await, 200);
    let story = house.show_json(&payment.guid);
    assert_eq!(fields(&story, &["status", "trust", "wire_status"]), ["paid", "confirmed", "Paid"]);
    let last = story["events"].as_array().unwrap().last().unwrap();
    assert_eq!(fields(last, &["said", "outcome"]), ["unknown", "unrecognised"]);
    assert_eq!(discrepancies(&story), ["status-mismatch: status \"Quantum\""]);
}

#[tokio::test(flavor = "multi_thread")]
async fn money_in_escrow_is_paid_from_its_first_day_and_every_step_is_told_once() {
    let house = House::start(Settings::usual()).await;
    let payment = house.begin("INV-1043", "40.00");
    for (word, status) in
        [("Sent", "pending"), ("Awaiting Delivery", "awaiting-delivery"), ("Delivered", "delivered"), ("Paid", "paid")]
    {
        assert_eq!(house.gateway.move_to(&payment.guid, word).await.unwrap().status(), Some(200));
        house.until_it_is(&payment.guid, status, "confirmed").await;
    }
    let letters = house.until_letters(3).await;
    let wanted =
        ["Awaiting Delivery: USD 40.00, INV-1043", "Delivered: USD 40.00, INV-1043", "Paid: USD 40.00, INV-1043"];
    assert_eq!(subjects(&letters), wanted);
    assert!(discrepancies(&house.show_json(&payment.guid)).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn money_after_cancelled_is_taken_and_raises_an_alarm() {
    let house = House::start(Settings::usual()).await;
    let payment = house.begin("INV-1044", "15.50");
    house.gateway.move_to(&payment.guid, "Cancelled").await.unwrap();
    house.until_it_is(&payment.guid, "cancelled", "confirmed").await;
    house.gateway.move_to(&payment.guid, "Paid").await.unwrap();
    let story = house.until_it_is(&payment.guid, "paid", "confirmed").await;
    let late = story["discrepancies"].as_array().unwrap().iter().find(|finding| finding["class"] == "paid-late");
    assert_eq!(
        fields(late.unwrap(), &["severity", "state", "expected", "found"]),
        ["critical", "open", "cancelled", "paid"]
    );
    assert_eq!(
        subjects(&house.until_letters(2).await),
        ["Cancelled: USD 15.50, INV-1044", "Paid: USD 15.50, INV-1044"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_button_sale_keeps_both_amounts_and_is_called_unconfirmable() {
    let house = House::start(Settings::usual()).await;
    let sale = ButtonSale {
        reference: "1,082".into(),
        paid: "26.30".into(),
        extras: vec![("T-shirt_size".into(), "XL".into())],
        ..ButtonSale::default()
    };
    for _ in 0..2 {
        assert_eq!(house.gateway.post_button(&house.url("button"), &sale).await.unwrap(), 200);
    }
    let story = house.show_json("1,082");
    let names = ["integration", "amount", "amount_paid", "status", "trust", "gateway_reference", "reference"];
    assert_eq!(fields(&story, &names), ["button", "25.00", "26.30", "paid", "unconfirmable", "1,082", "null"]);
    assert_eq!(story["next_poll"], Value::Null);
    let letters = house.until_letters(1).await;
    assert_eq!(subjects(&letters), ["Paid: USD 25.00, Paynow 1,082"]);
    assert!(letters[0].text.contains("this kind of payment cannot be confirmed"), "{}", letters[0].text);
}

#[tokio::test(flavor = "multi_thread")]
async fn test_money_is_labelled_wherever_it_shows() {
    let house = House::start(Settings::usual().set("integrations.shop.mode", "test")).await;
    let payment = house.pay("INV-32", "25.00").await;
    let story = house.until_it_is(&payment.guid, "paid", "confirmed").await;
    assert_eq!(story["mode"], "test");
    assert!(house.done(&["payments", "list"]).contains("shop [test]"));
    let letters = house.until_letters(1).await;
    assert_eq!(subjects(&letters), ["[TEST] Paid: USD 25.00, INV-32"]);
    assert!(letters[0].text.starts_with("TEST PAYMENT. No real money moved"), "{}", letters[0].text);
}

#[tokio::test(flavor = "multi_thread")]
async fn amounts_and_references_are_kept_to_the_last_character() {
    let house = House::start(Settings::usual()).await;
    for (reference, amount) in [("0042", "0.01"), ("Order%20100", "1234567.8901"), (" zażółć + & = 訂單 ", "25.10")]
    {
        let payment = house.pay(reference, amount).await;
        let story = house.until_it_is(&payment.guid, "paid", "confirmed").await;
        assert_eq!(fields(&story, &["reference", "amount"]), [reference, amount]);
        assert_eq!(house.payments_json(&["--reference", reference]).len(), 1);
    }
    house.gateway.misbehave(Misbehaviour::Duplicate);
    house.pay("INV-1", "1.00").await;
    assert!(house.quarantine().is_empty());
}
