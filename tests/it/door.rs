//! What the door answers to whom. Each row of the README's table of answers is a test here or in `bounds`.

use paynowd::protocol::Key;
use paynowd::simulator::{ButtonSale, PostSpec, Recut, Signature};

use crate::house::http::{Answer, FORM, Line, ask, post, request};
use crate::house::{BUTTON_KEY, House, SHOP_KEY, Settings};

fn assert_empty(answer: &Answer, status: u16) {
    assert_eq!((answer.status, answer.body.as_str()), (status, ""), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_payment_is_stored_before_it_is_answered_200_with_an_empty_body() {
    let house = House::start(Settings::usual()).await;
    let payment = house.begin("INV-32", "25.00");
    let body = house.gateway.status_update_body(&payment.guid, "Paid").unwrap();
    assert_empty(&post(house.public, "/paynow/shop", body).await, 200);
    let [stored] = &house.payments_json(&[])[..] else { panic!("one payment") };
    assert_eq!(stored["gateway_key"], payment.guid);
    assert_eq!(stored["reference"], "INV-32");
    assert_eq!(stored["gateway_reference"], payment.gateway_reference);
    assert_eq!(stored["amount"], "25.00");
    assert_eq!(stored["currency"], "USD");
    assert_eq!(stored["mode"], "live");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_update_changes_nothing_and_answers_200() {
    let house = House::start(Settings::usual()).await;
    let payment = house.pay("INV-32", "25.00").await;
    let before = house.until_it_is(&payment.guid, "paid", "confirmed").await;
    let body = house.gateway.status_update_body(&payment.guid, "Paid").unwrap();
    for _ in 0..2 {
        assert_empty(&post(house.public, "/paynow/shop", &body).await, 200);
    }
    let after = house.show_json(&payment.guid);
    for field in ["status", "trust", "amount", "last_changed"] {
        assert_eq!(after[field], before[field]);
    }
    let outcomes: Vec<_> = after["events"].as_array().unwrap().iter().map(|event| &event["outcome"]).collect();
    assert_eq!(outcomes, ["opened", "confirmed", "repeated", "repeated"]);
    assert_eq!(after["letters"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_first_posts_of_one_payment_at_once_open_it_once() {
    let house = House::start(Settings::usual()).await;
    let mut lines = Vec::new();
    for _ in 0..16 {
        lines.push(Line::open(house.public).await.unwrap());
    }
    for number in 1..=4 {
        let payment = house.begin(&format!("INV-{number}"), "25.00");
        let body = house.gateway.status_update_body(&payment.guid, "Sent").unwrap();
        let bytes = request("POST", "/paynow/shop", &[FORM], body.as_bytes());
        for line in &mut lines {
            line.say(&bytes[..bytes.len() - 1]).await.unwrap();
        }
        for line in &mut lines {
            line.say(&bytes[bytes.len() - 1..]).await.unwrap();
        }
        for line in &mut lines {
            assert_empty(&line.answer().await.unwrap(), 200);
        }
        assert_eq!(house.payments_json(&[]).len(), number);
        let story = house.show_json(&payment.guid);
        let posts = story["events"].as_array().unwrap().iter().filter(|event| event["channel"] == "post");
        let outcomes: Vec<_> = posts.map(|event| event["outcome"].as_str().unwrap()).collect();
        assert!(outcomes[0] == "opened" && outcomes[1..].iter().all(|outcome| *outcome == "repeated"), "{outcomes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_word_about_an_unknown_payment_is_stored_and_answered_200() {
    let house = House::start(Settings::usual()).await;
    let payment = house.begin("INV-32", "25.00");
    house.gateway.set_status(&payment.guid, "On Hold").unwrap();
    let body = house.gateway.status_update_body(&payment.guid, "On Hold").unwrap();
    assert_empty(&post(house.public, "/paynow/shop", body).await, 200);
    let stored = house.show_json(&payment.guid);
    assert_eq!((stored["status"].as_str(), stored["wire_status"].as_str()), (Some("unknown"), Some("On Hold")));
    assert_eq!(stored["discrepancies"][0]["class"], "status-mismatch");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_message_is_answered_400_and_kept() {
    let house = House::start(Settings::usual()).await;
    let payment = house.begin("INV-32", "25.00");
    let body = |spec: PostSpec| String::from_utf8(house.gateway.body(&payment.guid, &spec).unwrap()).unwrap();
    let paid = || PostSpec::status("Paid");
    let genuine = body(paid());
    let cases = [
        ("", "body is empty"),
        ("hello", "no hash"),
        ("%ff=%fe", "not UTF-8"),
        ("\u{7f}\u{1}{}[]", "no hash"),
        (&body(paid().signed(Signature::Missing)), "no hash"),
        (&body(paid().signed(Signature::Text(String::new()))), "not 128"),
        (&body(paid().signed(Signature::Text("0BF21B".into()))), "not 128"),
        (&body(paid().signed(Signature::Text("Z".repeat(128)))), "not 128"),
        (&format!("{genuine}&amount=25.00"), "more than once"),
        (&format!("{genuine}&AMOUNT=1.00"), "more than once"),
        (&format!("{genuine}&Hash={}", "0".repeat(128)), "more than once"),
        (&"a&".repeat(64), "more than 64 fields"),
    ];
    for (body, _) in cases {
        assert_empty(&post(house.public, "/paynow/shop", body).await, 400);
    }
    let kept = house.quarantine();
    assert_eq!(kept.len(), cases.len());
    for ((kind, reason, peer), (_, wanted)) in kept.iter().zip(cases) {
        assert_eq!((kind.as_str(), peer.as_deref()), ("malformed", Some("127.0.0.1")));
        assert!(reason.contains(wanted), "{reason:?} should speak of {wanted:?}");
    }
    assert!(house.payments_json(&[]).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_hash_is_answered_403_and_believed_in_nothing() {
    let house = House::start(Settings::usual()).await;
    let payment = house.begin("INV-32", "25.00");
    let genuine = house.gateway.status_update_body(&payment.guid, "Paid").unwrap();
    let with = |spec: PostSpec| house.gateway.body(&payment.guid, &spec).unwrap();
    let paid = || PostSpec::status("Paid");
    let unordered = paid().order(&["amount", "status"]).recut(Recut::GatewayReferenceToAmount);
    for body in [
        with(paid().signed(Signature::Wrong)),
        with(paid().signed(Signature::With(Key::opaque(BUTTON_KEY)))),
        with(paid().signed(Signature::With(Key::opaque(&SHOP_KEY.to_uppercase())))),
        with(paid().signed(Signature::Text("0".repeat(128)))),
        with(unordered),
        genuine.replace("amount=25.00", "amount=26.00").into_bytes(),
        genuine.replace("status=Paid", "status=paid").into_bytes(),
        genuine.replace("INV-32", "INV-33").into_bytes(),
        format!("{genuine}&extra=1").into_bytes(),
    ] {
        assert_empty(&post(house.public, "/paynow/shop", body).await, 403);
    }
    assert!(house.quarantine().iter().all(|(kind, ..)| kind == "forged"));
    assert_eq!(house.quarantine().len(), 9);
    assert!(house.payments_json(&[]).is_empty());
    assert_eq!(house.gateway.polls(&payment.guid), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_post_sets_nothing_off_whatever_its_fields_say() {
    let house = House::start(Settings::usual()).await;
    let payment = house.pay("INV-32", "25.00").await;
    let before = house.until_it_is(&payment.guid, "paid", "confirmed").await;
    let forged = || PostSpec::status("Refunded").signed(Signature::Wrong);
    for spec in [
        forged(),
        forged().field("amount", "1.00"),
        forged().field("amount", "25,00"),
        forged().field("reference", "a\r\nb"),
        forged().without("status"),
        PostSpec::status("Quantum").signed(Signature::Wrong),
    ] {
        assert_eq!(house.post(&payment, &spec).await, 403);
    }
    assert!(house.quarantine().iter().all(|(kind, ..)| kind == "forged"), "{:?}", house.quarantine());
    // Whatever those posts may have set off came before the poll of this one.
    let other = house.pay("INV-33", "25.00").await;
    house.until_it_is(&other.guid, "paid", "confirmed").await;
    assert_eq!(house.gateway.polls(&payment.guid), 1);
    assert_eq!(house.until_letters(2).await.len(), 2);
    let after = house.show_json(&payment.guid);
    for unmoved in ["status", "events", "discrepancies", "next_poll"] {
        assert_eq!(after[unmoved], before[unmoved]);
    }
}

/// Writes a message otherwise, as some sender does.
type Spell = fn(&str) -> String;

#[tokio::test(flavor = "multi_thread")]
async fn every_spelling_the_gateway_uses_is_taken() {
    // The key was typed in upper case; the gateway hashes it in lower case.
    let house = House::start(Settings::usual().file("shop.key", &format!("{}\n", SHOP_KEY.to_uppercase()))).await;
    let spellings: [(&str, Spell); 7] = [
        ("as it is", str::to_owned),
        ("HASH=", |body| body.replace("&hash=", "&HASH=")),
        ("Hash=", |body| body.replace("&hash=", "&Hash=")),
        ("lower-case digits", |body| {
            let (fields, hash) = body.split_once("&hash=").unwrap();
            format!("{fields}&hash={}", hash.to_lowercase())
        }),
        ("blanks as %20", |body| body.replace('+', "%20")),
        ("a bare name", |body| body.replace("&status=", "&nothing&status=")),
        ("blanks around a value, not hashed", |body| body.replace("status=Paid", "status=+Paid+")),
    ];
    for (name, spell) in spellings {
        let payment = house.begin("Order 7", "25.00");
        house.gateway.set_status(&payment.guid, "Paid").unwrap();
        let body = spell(&house.gateway.status_update_body(&payment.guid, "Paid").unwrap());
        assert_empty(&post(house.public, "/paynow/shop", &body).await, 200);
        assert_eq!(house.show_json(&payment.guid)["status"], "paid", "{name}: {body}");
    }
    // Blanks around a value that were hashed, and any order of fields, are genuine too.
    let payment = house.begin("Order 8", "25.00");
    house.gateway.set_status(&payment.guid, "Paid").unwrap();
    let odd = PostSpec::status(" Paid ").extras().order(&["status", "pollurl", "amount"]).hash_name("hAsH");
    assert_eq!(house.post(&payment, &odd).await, 200);
    assert_eq!(house.show_json(&payment.guid)["status"], "paid");
    assert!(house.quarantine().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_to_the_house_are_told_404_and_405() {
    let house = House::start(Settings::usual()).await;
    let body = "reference=INV-32";
    for path in ["/", "/paynow", "/paynow/", "/paynow/nobody", "/paynow/SHOP", "/paynow/shop/", "/paynow/shop/x", "//"]
    {
        assert_empty(&post(house.public, path, body).await, 404);
    }
    for path in ["/healthz", "/readyz", "/metrics", "/v1/payments"] {
        assert_empty(&ask(house.public, "GET", path, &[], b"").await, 404);
    }
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let answer = ask(house.public, method, "/paynow/shop", &[FORM], b"").await;
        assert_empty(&answer, 405);
        assert_eq!(answer.header("allow"), Some("POST"), "{method}");
    }
    assert_eq!(post(house.public, "/paynow/shop?token=1", body).await.status, 400, "a query does not matter");
    assert!(house.quarantine().len() == 1, "only what reached an integration is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_media_type_or_a_compressed_body_is_answered_415() {
    let house = House::start(Settings::usual()).await;
    let payment = house.begin("INV-32", "25.00");
    let body = house.gateway.status_update_body(&payment.guid, "Paid").unwrap();
    for headers in [
        &["Content-Type: application/json"][..],
        &["Content-Type: multipart/form-data; boundary=x"],
        &["Content-Type: text/plain"],
        &[FORM, "Content-Encoding: gzip"],
        &[FORM, "Content-Encoding: identity, gzip"],
    ] {
        assert_empty(&ask(house.public, "POST", "/paynow/shop", headers, body.as_bytes()).await, 415);
    }
    assert!(house.payments_json(&[]).is_empty());
    for headers in [
        &["Content-Type: Application/X-WWW-Form-Urlencoded; charset=UTF-8"][..],
        &[FORM, "Content-Encoding: Identity"],
        &[],
    ] {
        assert_empty(&ask(house.public, "POST", "/paynow/shop", headers, body.as_bytes()).await, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_language_is_not_taken_for_another_even_with_the_same_key() {
    let twin = Settings::usual()
        .set("integrations.stall.protocol", "paynow-zimbabwe-button")
        .set("integrations.stall.key_files", ["shop.key"])
        .set("integrations.stall.currency", "USD");
    let house = House::start(twin).await;
    let payment = house.begin("INV-32", "25.00");
    let update = house.gateway.status_update_body(&payment.guid, "Paid").unwrap();
    let sale = house
        .gateway
        .button_body(&ButtonSale { signature: Signature::With(Key::opaque(SHOP_KEY)), ..ButtonSale::default() });
    assert_empty(&post(house.public, "/paynow/stall", &update).await, 403);
    assert_empty(&post(house.public, "/paynow/shop", &sale).await, 403);
    assert!(house.payments_json(&[]).is_empty());
    assert_empty(&post(house.public, "/paynow/shop", &update).await, 200);
    assert_empty(&post(house.public, "/paynow/stall", &sale).await, 200);
}
