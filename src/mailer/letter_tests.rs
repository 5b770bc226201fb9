//! What letters say, word for word, and what no field of a payment can make them say.

use lettre::message::Mailbox;
use proptest::prelude::*;

use super::*;
use crate::domain::{
    Facts, GatewayKey, GatewayReference, IntegrationName, PollUrl, Reference, Status, Trust, WireStatus,
};
use crate::mailer::read_back::{read_back, seen};

const GUID: &str = "c1b5c2f0-6b1f-4d0e-9b0a-0d6d3a0f7a11";

fn sender() -> Mailbox {
    "Paynow ledger <ledger@shop.example>".parse().unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// INV-1042 over 25 US dollars, paid and confirmed.
fn payment() -> Payment {
    Payment {
        integration: IntegrationName::parse("shop").unwrap(),
        key: GatewayKey::parse(GUID).unwrap(),
        facts: Facts {
            reference: Some(Reference::parse("INV-1042").unwrap()),
            gateway_reference: Some(GatewayReference::parse("40222").unwrap()),
            amount: Some("25.00".parse().unwrap()),
            amount_paid: None,
            method: None,
        },
        currency: "USD".parse().unwrap(),
        mode: Mode::Live,
        status: Status::Paid,
        wire_status: Some(WireStatus::parse("Paid").unwrap()),
        trust: Trust::Confirmed,
        poll_url: None,
        posted: crate::domain::Posted::Current,
        paid_at: None,
        first_seen: at("2026-07-31T12:01:07Z"),
        last_changed: at("2026-07-31T12:05:00Z"),
    }
}

fn in_state(status: Status, word: &str) -> Payment {
    Payment { status, wire_status: Some(WireStatus::parse(word).unwrap()), ..payment() }
}

fn button_sale() -> Payment {
    Payment {
        key: GatewayKey::parse("40222").unwrap(),
        facts: Facts { reference: None, amount_paid: Some("25.63".parse().unwrap()), ..payment().facts },
        wire_status: None,
        trust: Trust::Unconfirmable,
        ..payment()
    }
}

fn letter(kind: NoticeKind, payment: Payment) -> Letter {
    Letter {
        message_id: "40222.paid.1@shop.example".into(),
        recipient: "owner@shop.example".into(),
        about: About::Payment { kind, payment: Box::new(payment) },
        written: at("2026-07-31T12:05:02Z"),
    }
}

/// A letter for tests of the transports.
pub(in crate::mailer) fn composed(message_id: &str, recipient: &str) -> Composed {
    let paid = letter(NoticeKind::Reached(Status::Paid), payment());
    let letter = Letter { message_id: message_id.into(), recipient: recipient.into(), ..paid };
    compose(&letter, &sender(), chrono_tz::Africa::Harare).unwrap()
}

/// Compares subject and text with `golden/NAME.txt`; with `GOLDEN=write` in the environment, writes them there.
#[track_caller]
fn assert_reads(name: &str, kind: NoticeKind, payment: Payment) {
    let composed = compose(&letter(kind, payment), &sender(), chrono_tz::Africa::Harare).unwrap();
    let message = read_back(composed.bytes());
    let read = format!("Subject: {}\n\n{}", composed.subject(), message.text);
    let path = format!("{}/src/mailer/golden/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("GOLDEN").is_some_and(|value| value == "write") {
        std::fs::write(&path, &read).unwrap();
    }
    assert_eq!(read, std::fs::read_to_string(&path).unwrap_or_default());
    assert!(!String::from_utf8_lossy(composed.bytes()).contains(&GUID[..8]) && !message.html.contains(&GUID[..8]));
}

#[test]
fn a_confirmed_payment_reads_well() {
    assert_reads("paid", NoticeKind::Reached(Status::Paid), payment());
}

#[test]
fn an_amount_that_no_message_states_is_called_unknown_and_is_to_be_compared_before_goods_go() {
    let facts = Facts { gateway_reference: None, amount: None, ..payment().facts };
    let polish = Payment { facts, key: GatewayKey::parse("NOLV-8F9-08K-WGD").unwrap(), ..payment() };
    let polish = Payment { wire_status: Some(WireStatus::parse("CONFIRMED").unwrap()), ..polish };
    assert_reads("amount-unknown", NoticeKind::Reached(Status::Paid), polish.clone());
    let claimed = letter(NoticeKind::Unconfirmed(Status::Paid), Payment { trust: Trust::Reported, ..polish });
    let claimed = read_back(compose(&claimed, &sender(), chrono_tz::UTC).unwrap().bytes());
    assert!(claimed.text.contains("compare its amount with your order before"), "{}", claimed.text);
}

#[test]
fn money_held_until_delivery_is_said_in_words() {
    let held = in_state(Status::AwaitingDelivery, "Awaiting Delivery");
    assert_reads("awaiting-delivery", NoticeKind::Reached(Status::AwaitingDelivery), held);
    let delivered = in_state(Status::Delivered, "Delivered");
    assert_reads("delivered", NoticeKind::Reached(Status::Delivered), delivered);
}

#[test]
fn a_claim_without_confirmation_says_so_first() {
    let claimed = || Payment { trust: Trust::Reported, ..payment() };
    assert_reads("unconfirmed-paid", NoticeKind::Unconfirmed(Status::Paid), claimed());
    assert_reads("reported-paid", NoticeKind::Reported(Status::Paid), claimed());
}

#[test]
fn a_correction_takes_back_the_earlier_letter() {
    assert_reads("corrected", NoticeKind::Corrected(Status::Pending), in_state(Status::Pending, "Sent"));
}

#[test]
fn a_button_sale_shows_both_amounts_and_its_limits() {
    assert_reads("button", NoticeKind::Reached(Status::Paid), button_sale());
}

#[test]
fn test_money_is_labelled_twice() {
    assert_reads("test-mode", NoticeKind::Reached(Status::Paid), Payment { mode: Mode::Test, ..payment() });
}

#[test]
fn money_that_goes_back_or_never_came_reads_well() {
    assert_reads("disputed", NoticeKind::Reached(Status::Disputed), in_state(Status::Disputed, "Disputed"));
    assert_reads("refunded", NoticeKind::Reached(Status::Refunded), in_state(Status::Refunded, "Refunded"));
    assert_reads("cancelled", NoticeKind::Reached(Status::Cancelled), in_state(Status::Cancelled, "Cancelled"));
    assert_reads("expired", NoticeKind::Reached(Status::Expired), in_state(Status::Expired, "EXPIRED"));
}

#[test]
fn subjects_put_what_matters_first_and_never_show_an_amount_nobody_told() {
    let subject = |kind, payment| wording::subject(kind, &payment);
    let unknown =
        |payment: Payment| Payment { facts: Facts { amount: None, amount_paid: None, ..payment.facts }, ..payment };
    assert_eq!(subject(NoticeKind::Reached(Status::Paid), payment()), "Paid: USD 25.00, INV-1042");
    assert_eq!(subject(NoticeKind::Reached(Status::Paid), button_sale()), "Paid: USD 25.00, Paynow 40222");
    assert_eq!(subject(NoticeKind::Reached(Status::Paid), unknown(payment())), "Paid: INV-1042");
    assert_eq!(subject(NoticeKind::Reported(Status::Paid), payment()), "Reported: Paid, USD 25.00, INV-1042");
    assert_eq!(subject(NoticeKind::Unconfirmed(Status::Paid), unknown(payment())), "Unconfirmed: Paid, INV-1042");
    let sent = in_state(Status::Pending, "Sent");
    assert_eq!(subject(NoticeKind::Corrected(Status::Pending), sent), "Correction: Sent, USD 25.00, INV-1042");
    let zig = Payment { currency: "ZWG".parse().unwrap(), mode: Mode::Test, ..payment() };
    assert_eq!(subject(NoticeKind::Reached(Status::Refunded), zig), "[TEST] Refunded: ZiG 25.00, INV-1042");
    let large = Payment { facts: Facts { amount: "1204.50".parse().ok(), ..payment().facts }, ..payment() };
    assert_eq!(subject(NoticeKind::Reached(Status::Paid), large), "Paid: USD 1,204.50, INV-1042");
    let bare = Payment { facts: Facts::default(), ..payment() };
    assert_eq!(subject(NoticeKind::Reached(Status::Failed), bare), "Failed: shop");
}

#[test]
fn the_command_names_exactly_this_payment() {
    let with = |text: &str| Payment {
        facts: Facts { reference: Some(Reference::parse(text).unwrap()), ..payment().facts },
        ..payment()
    };
    assert_eq!(command(&with("it's")), r"paynowd payments list --reference 'it'\''s'");
    assert_eq!(command(&with("--help")), "paynowd payments list --reference='--help'");
    assert_eq!(command(&with("a\u{202E}b")), r"paynowd payments list --reference $'a\U0000202eb'");
    assert_eq!(command(&button_sale()), "paynowd payments show 40222");
    assert_eq!(command(&Payment { facts: Facts::default(), ..payment() }), "paynowd payments list");
}

#[test]
fn the_html_part_says_the_same_and_fetches_nothing() {
    let hostile = Payment {
        facts: Facts { reference: Some(Reference::parse("<img src=x>&'\"").unwrap()), ..payment().facts },
        ..payment()
    };
    let composed =
        compose(&letter(NoticeKind::Reached(Status::Paid), hostile), &sender(), chrono_tz::Africa::Harare).unwrap();
    let html = read_back(composed.bytes()).html;
    assert!(html.contains("&lt;img src=x&gt;&amp;&#x27;&quot;"), "{html}");
    for fetched in ["<img", "<script", "<link", "<a ", "src=\"", "href", "http", "url("] {
        assert!(!html.contains(fetched), "{fetched}");
    }
    for said in
        ["Good news: your customer has paid USD 25.00", "Hand over the goods", "31 July 2026, 14:05 (Africa/Harare)"]
    {
        assert!(html.contains(&said.replace('/', "&#x2f;")), "{said} in {html}");
    }
}

#[test]
fn a_letter_that_cannot_be_addressed_or_dated_is_refused() {
    let good = letter(NoticeKind::Reached(Status::Paid), payment());
    let fails = |letter: Letter| compose(&letter, &sender(), chrono_tz::UTC).unwrap_err();
    for id in ["", "one", "@shop.example", "a@b@c", "a b@c", "../x@c", "a/b@c", ".a@c", "a>\r\nX: y@c"] {
        assert!(matches!(fails(Letter { message_id: id.into(), ..good.clone() }), ComposeError::MessageId(_)), "{id}");
    }
    for recipient in ["", "owner", "o@x\r\nBcc: y@z", "żółw@shop.example"] {
        let wrong = fails(Letter { recipient: recipient.into(), ..good.clone() });
        assert!(matches!(wrong, ComposeError::Recipient(_)), "{recipient}");
    }
    assert!(matches!(fails(Letter { written: at("1969-12-31T23:59:59Z"), ..good }), ComposeError::Written(_)));
}

#[test]
fn a_reference_that_mail_programs_would_decode_is_shown_as_it_is() {
    let forged = "=?utf-8?q?INV-1042_is_PAID_IN_FULL?=";
    assert_eq!(seen(forged), "INV-1042 is PAID IN FULL", "what a mail program makes of it");
    for reference in [forged, "żółć =?utf-8?b?WA==?= and more, over several words, of which none is whole"] {
        let facts = Facts { reference: Some(Reference::parse(reference).unwrap()), ..payment().facts };
        let letter = letter(NoticeKind::Reached(Status::Paid), Payment { facts, ..payment() });
        let composed = compose(&letter, &sender(), chrono_tz::UTC).unwrap();
        let subject = read_back(composed.bytes()).headers.swap_remove(4).1;
        assert!(!subject.contains(forged), "{subject}");
        assert_eq!(seen(&subject), composed.subject());
        assert!(composed.subject().ends_with(reference), "{}", composed.subject());
        let lines = std::str::from_utf8(composed.bytes()).unwrap().lines();
        assert!(lines.take_while(|line| !line.is_empty()).all(|line| line.len() <= 76), "{letter:?}");
    }
}

fn any_kind() -> impl Strategy<Value = NoticeKind> {
    (0..14_usize, 0..4).prop_map(|(at, kind)| match kind {
        0 => NoticeKind::Reached(Status::ALL[at]),
        1 => NoticeKind::Reported(Status::ALL[at]),
        2 => NoticeKind::Unconfirmed(Status::ALL[at]),
        _ => NoticeKind::Corrected(Status::ALL[at]),
    })
}

/// Text that tries: any characters, with line ends, header names, markup and direction overrides mixed in.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>(),
        Just("\r\nSubject: x".to_owned()),
        Just("\r\n\r\n--".to_owned()),
        Just("\u{202E}{{ 7*7 }}\u{2066}=?utf-8?q?=0D=0ABcc:_x?=".to_owned()),
        Just("</td><script>".to_owned()),
    ];
    proptest::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

fn any_payment() -> impl Strategy<Value = Payment> {
    let names = (hostile(), hostile(), "[0-9][0-9,]{0,19}", "[a-z0-9-]{1,40}");
    let sums = (proptest::option::of(0..i64::MAX), proptest::option::of(0..i64::MAX));
    let rest = (0..14_usize, 0..3_usize, any::<bool>(), 0..253_402_300_799_i64);
    (names, sums, rest).prop_map(|((reference, word, number, key), (amount, paid), (status, trust, test, second))| {
        Payment {
            key: GatewayKey::parse(&key).unwrap(),
            facts: Facts {
                reference: Reference::parse(&reference).ok(),
                gateway_reference: GatewayReference::parse(&number).ok(),
                amount: amount.and_then(crate::domain::Amount::from_ten_thousandths),
                amount_paid: paid.and_then(crate::domain::Amount::from_ten_thousandths),
                method: None,
            },
            mode: if test { Mode::Test } else { Mode::Live },
            status: Status::ALL[status],
            wire_status: WireStatus::parse(&word).ok(),
            trust: [Trust::Reported, Trust::Confirmed, Trust::Unconfirmable][trust],
            poll_url: None::<PollUrl>,
            last_changed: Timestamp::from_timestamp(second, 0).unwrap(),
            ..payment()
        }
    })
}

proptest! {
    #[test]
    fn no_field_of_a_payment_can_add_a_header_or_a_part(kind in any_kind(), payment in any_payment(), zone in 0..500_usize) {
        let letter = letter(kind, payment);
        let composed = compose(&letter, &sender(), chrono_tz::TZ_VARIANTS[zone]).unwrap();
        let message = read_back(composed.bytes());
        let names: Vec<&str> = message.headers.iter().map(|(name, _)| name.as_str()).collect();
        prop_assert_eq!(names, [
            "Message-ID", "Date", "From", "To", "Subject", "Auto-Submitted", "MIME-Version", "Content-Type",
        ]);
        prop_assert_eq!(&message.headers[0].1, "<40222.paid.1@shop.example>");
        prop_assert_eq!(&message.headers[3].1, "owner@shop.example");
        prop_assert!(composed.subject().chars().count() <= 100, "{}", composed.subject());
        let subject = &message.headers[4].1;
        prop_assert!(!composed.subject().contains("=?") || seen(subject) == composed.subject(), "{}", subject);
        let hidden = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}');
        prop_assert!(!composed.subject().contains(hidden) && !message.text.contains(hidden) && !message.html.contains(hidden));
        prop_assert!(!message.html.contains("<script"));
    }
}
