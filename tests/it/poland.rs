//! Paynow Poland through the same door: notifications by JSON and signature, answers by certificate.

use paynowd::protocol::Key;
use paynowd::simulator::Signature;
use paynowd::simulator::poland::{NotificationSpec, Simulator, SimulatorSettings};
use serde_json::Value;

use crate::house::letters::subjects;
use crate::house::{House, Settings};

const API_KEY: &str = "97a55694-5478-43b5-b406-fb49ebfdd2b5";
const SIGNATURE_KEY: &str = "b305b996-bca5-4404-a0b7-2ccea3d2b64b";

/// A gateway in Poland and a shop that listens to it.
async fn shop() -> (Simulator, House) {
    let gateway = Simulator::start(SimulatorSettings::new(API_KEY, Key::opaque(SIGNATURE_KEY))).await.unwrap();
    let settings = Settings::usual()
        .set("integrations.poland.protocol", "paynow-poland")
        .set("integrations.poland.key_files", ["signature.key"])
        .set("integrations.poland.api_key_file", "api.key")
        .set("integrations.poland.currency", "PLN")
        .set("integrations.poland.notify", ["owner@shop.example"])
        .set("integrations.poland.gateway", gateway.origin())
        .file("signature.key", SIGNATURE_KEY)
        .file("api.key", API_KEY);
    let house = House::start(settings).await;
    (gateway, house)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_is_confirmed_by_asking_and_shows_no_amount() {
    let (gateway, house) = shop().await;
    let payment = gateway.create("ZAM-77", 4500, Some(&house.url("poland")));
    assert_eq!(gateway.move_to(&payment, "CONFIRMED").await.unwrap().status(), Some(200));
    let story = house.until_it_is(&payment, "paid", "confirmed").await;
    assert_eq!((&story["amount"], &story["reference"]), (&Value::Null, &Value::from("ZAM-77")));
    assert_eq!((&story["wire_status"], &story["currency"]), (&Value::from("CONFIRMED"), &Value::from("PLN")));
    let evidence: Vec<_> = story["events"].as_array().unwrap().iter().map(|event| event["evidence"].clone()).collect();
    assert_eq!(evidence, ["hmac-sha256", "tls"]);
    let letters = house.until_letters(1).await;
    assert_eq!(subjects(&letters), ["Paid: ZAM-77"]);
    assert!(!letters[0].text.contains("0.00"), "{}", letters[0].text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_notification_is_found_out_by_asking() {
    let (gateway, house) = shop().await;
    let payment = gateway.create("ZAM-78", 4500, Some(&house.url("poland")));
    gateway.move_to(&payment, "PENDING").await.unwrap();
    gateway.set_status(&payment, "CONFIRMED").unwrap();
    house.until_it_is(&payment, "paid", "confirmed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_signed_as_poland_signs_is_refused_and_not_believed() {
    let (gateway, house) = shop().await;
    let url = house.url("poland");
    let payment = gateway.create("ZAM-79", 4500, Some(&url));
    let paid = || NotificationSpec::status("CONFIRMED").to(&url);
    assert_eq!(gateway.notify(&payment, &paid().signed(Signature::Wrong)).await.unwrap(), 403);
    assert_eq!(gateway.notify(&payment, &paid().signed(Signature::Missing)).await.unwrap(), 400);
    let twice = paid().header("Signature", "F69sbjUxBX4eFjfUal/Y9XGREbfaRjh/zdq9j4MWeHM=");
    assert_eq!(gateway.notify(&payment, &twice).await.unwrap(), 400);
    assert_eq!(house.payments_json(&[]), Vec::<Value>::new());
    assert_eq!(gateway.notify(&payment, &paid().pretty()).await.unwrap(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_notification_after_a_newer_one_changes_nothing() {
    let (gateway, house) = shop().await;
    let url = house.url("poland");
    let payment = gateway.create("ZAM-80", 4500, Some(&url));
    gateway.move_to(&payment, "CONFIRMED").await.unwrap();
    house.until_it_is(&payment, "paid", "confirmed").await;
    assert_eq!(gateway.notify(&payment, &NotificationSpec::status("PENDING").to(&url)).await.unwrap(), 200);
    let story = house.until_it_is(&payment, "paid", "confirmed").await;
    assert_eq!(story["events"].as_array().unwrap().last().unwrap()["outcome"], "regressed");
}
