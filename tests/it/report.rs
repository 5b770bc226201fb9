//! The letter of a run, through the real binary: once for its days, with its files, to whoever wants it.

use serde_json::Value;

use crate::house::{House, Settings};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_writes_one_letter_about_its_day_and_a_second_run_none() {
    let house = House::start(Settings::usual()).await;
    let ran: Value = serde_json::from_str(&house.done(&["reconcile", "--json"])).unwrap();
    assert_eq!(ran["letters"], 1, "{ran}");
    let letter = house.until_letters(1).await.remove(0);
    for said in ["No payment was paid.", "Nothing needs you.", "Integrations: button and shop"] {
        assert!(letter.text.contains(said), "{}", letter.text);
    }
    assert!(letter.subject().starts_with("Paynow ") && letter.all("Content-Type")[0].starts_with("multipart/mixed"));
    for file in ["transactions.csv", "discrepancies.csv"] {
        assert!(letter.raw.contains(&format!("filename=\"{file}\"")), "{}", letter.raw);
    }

    let again: Value = serde_json::from_str(&house.done(&["reconcile", "--json"])).unwrap();
    assert_eq!((&again["letters"], &again["last_day"]), (&0.into(), &ran["last_day"]));
    let listed: Value = serde_json::from_str(&house.done(&["mail", "list", "--json"])).unwrap();
    assert_eq!((&listed["notice"], &listed["last_day"]), (&"report".into(), &ran["last_day"]));
    assert_eq!((&listed["reference"], &listed["integration"]), (&Value::Null, &Value::Null));
    assert!(house.done(&["mail", "list"]).contains(ran["last_day"].as_str().unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_about_one_integration_writes_to_nobody() {
    let house = House::start(Settings::usual()).await;
    let ran: Value = serde_json::from_str(&house.done(&["reconcile", "--json", "--integration", "shop"])).unwrap();
    assert_eq!(ran["letters"], 0, "{ran}");
    assert_eq!(house.done(&["mail", "list", "--json"]), "");
}
