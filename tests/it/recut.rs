//! Characters moved across field boundaries, which Paynow's hash does not protect: what a customer types into one
//! message must not become another field, nor another kind of message, even under the same key.

use paynowd::protocol::Key;
use paynowd::protocol::zimbabwe::Fields;
use paynowd::simulator::{ButtonSale, PostSpec, Signature};

use crate::house::http::post;
use crate::house::letters::subjects;
use crate::house::{DEADLINE, House, SHOP_KEY, Settings};

/// A shop and a stall that sells by button, with one key for both.
async fn one_key_for_two() -> House {
    let settings = Settings::usual()
        .set("integrations.stall.protocol", "paynow-zimbabwe-button")
        .set("integrations.stall.key_files", ["shop.key"])
        .set("integrations.stall.currency", "USD")
        .set("integrations.stall.notify", ["owner@shop.example"]);
    House::start(settings).await
}

/// What somebody bought at the stall, with a name of their choice.
fn bought_by(name: &str) -> ButtonSale {
    let signature = Signature::With(Key::opaque(SHOP_KEY));
    ButtonSale { name: name.into(), signature, ..ButtonSale::default() }
}

/// The values of a message, or its names and values, one after another: what is hashed. And the hash.
fn hashed(message: &[u8], names: bool) -> (String, String) {
    let fields = Fields::parse(message, 64).unwrap();
    let all = fields.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("hash"));
    let text = all.map(|(name, value)| if names { format!("{name}{value}") } else { value.to_owned() }).collect();
    (text, fields.value("hash").unwrap().to_owned())
}

/// The same characters under the same hash, cut into these fields.
fn cut(fields: &[(&str, &str)], hash: &str) -> String {
    Fields::from_pairs(fields.iter().copied().chain([("Hash", hash)])).encode()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_chosen_to_look_like_a_button_sale_does_not_become_one() {
    let house = one_key_for_two().await;
    let chosen = "Paynow_Reference77Transaction_Amount999.00Amount_Paid999.00";
    let payment = house.begin(chosen, "1.00");
    let update = house.gateway.status_update_body(&payment.guid, "Paid").unwrap();
    let (text, hash) = hashed(update.as_bytes(), false);
    let rest = text.strip_prefix(chosen).unwrap();
    let sale = [("Paynow_Reference", "77"), ("Transaction_Amount", "999.00"), ("Amount_Paid", "999.00"), (rest, "")];
    assert_eq!(post(house.public, "/paynow/stall", cut(&sale, &hash)).await.status, 200);
    assert!(house.payments_json(&[]).is_empty());
    assert_eq!(house.quarantine()[0].0, "suspect");
    assert_eq!(post(house.public, "/paynow/shop", update).await.status, 200);
    assert_eq!(house.show_json(&payment.guid)["amount"], "1.00");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_button_sale_cut_into_a_status_update_is_a_claim_that_nobody_confirms() {
    let house = one_key_for_two().await;
    let guid = "0b9c3a44-52c9-4b0e-8a2c-9a4f0c1d2e3f";
    let url = format!("{}/Interface/CheckPayment/?guid={guid}", house.gateway.origin());
    let sale = house.gateway.button_body(&bought_by(&format!("INV-935216224999.00Paid{url}")));
    let (text, hash) = hashed(sale.as_bytes(), true);
    let (before, rest) = text.split_once("INV-9").unwrap();
    let after = rest.split_once(&url).unwrap().1;
    let update = [
        ("before", before),
        ("reference", "INV-9"),
        ("paynowreference", "35216224"),
        ("amount", "999.00"),
        ("status", "Paid"),
        ("pollurl", &url),
        ("after", after),
    ];
    assert_eq!(post(house.public, "/paynow/shop", cut(&update, &hash)).await.status, 200);
    house.until(guid, |story| story["polls"].as_array().is_some_and(|polls| !polls.is_empty())).await;
    let story = house.show_json(guid);
    assert_eq!((&story["status"], &story["trust"]), (&"paid".into(), &"reported".into()));
    assert!(house.letters().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customers_name_chosen_to_look_like_an_amount_does_not_become_one() {
    let house = one_key_for_two().await;
    for name in ["Transaction_Amount999.00Amount_Paid999.00", "transaction_amount999.00AMOUNT_PAID999.00"] {
        let sale = house.gateway.button_body(&bought_by(name));
        let (text, hash) = hashed(sale.as_bytes(), true);
        let rest = text.split_once(name).unwrap().1;
        let (amount, paid) = name.split_at(name.to_lowercase().find("amount_paid").unwrap());
        let recut = [
            ("Paynow_Reference", "1082"),
            ("Customer_Name", ""),
            amount.split_at("Transaction_Amount".len()),
            paid.split_at("Amount_Paid".len()),
            (rest, ""),
        ];
        assert_eq!(post(house.public, "/paynow/stall", cut(&recut, &hash)).await.status, 200);
    }
    assert!(house.payments_json(&[]).is_empty());
    assert!(house.quarantine().iter().all(|(kind, ..)| kind == "suspect"));
    assert_eq!(house.quarantine().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_button_sale_does_not_become_several_by_cutting_its_number_short() {
    let house = one_key_for_two().await;
    let sale = house.gateway.button_body(&bought_by("Tendai Moyo"));
    let (text, hash) = hashed(sale.as_bytes(), true);
    let whole = text.strip_prefix("Paynow_Reference1082").unwrap();
    let (between, rest) = whole.split_once("Transaction_Amount").unwrap();
    for (number, left) in [("1", "082"), ("10", "82"), ("108", "2")] {
        for empty_name in [false, true] {
            let junk = format!("{left}{between}");
            let junk = if empty_name { ("", junk.as_str()) } else { (junk.as_str(), "") };
            let fields = [("Paynow_Reference", number), junk, ("Transaction_Amount", "25.00"), rest[5..].split_at(11)];
            assert_eq!(post(house.public, "/paynow/stall", cut(&fields, &hash)).await.status, 200);
        }
    }
    for (amount, left) in [("2", "5.00"), ("25.0", "0")] {
        let fields = [
            ("Paynow_Reference", "1082"),
            between.split_at(13),
            ("Transaction_Amount", amount),
            (left, ""),
            rest[5..].split_at(11),
        ];
        assert_eq!(post(house.public, "/paynow/stall", cut(&fields, &hash)).await.status, 200);
    }
    assert!(house.payments_json(&[]).is_empty(), "{:?}", house.payments_json(&[]));
    assert_eq!(house.quarantine().len(), 8);
    assert_eq!(post(house.public, "/paynow/stall", sale).await.status, 200);
    assert_eq!(house.payments_json(&[]).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_that_reads_like_other_fields_is_a_reference() {
    let house = House::start(Settings::usual()).await;
    for reference in [
        "INV-1&amount=999.00&status=Paid",
        "INV-2%26amount%3D999.00",
        "amount=999.00",
        "hash",
        "352162241.00Paid",
        "999.00",
        "Paid",
        "Transaction_Amount999.00Amount_Paid999.00",
    ] {
        let payment = house.begin(reference, "25.00");
        house.gateway.set_status(&payment.guid, "Paid").unwrap();
        assert_eq!(house.post(&payment, &PostSpec::status("Paid")).await, 200);
        house.gateway.wait_for_polls(&payment.guid, 1, DEADLINE).await.unwrap();
        let story = house.until_it_is(&payment.guid, "paid", "confirmed").await;
        assert_eq!((&story["reference"], &story["amount"]), (&reference.into(), &"25.00".into()));
    }
    assert!(house.quarantine().is_empty());
    let letters = house.until_letters(8).await;
    assert!(subjects(&letters).iter().all(|subject| subject.starts_with("Paid: USD 25.00, ")));
}
