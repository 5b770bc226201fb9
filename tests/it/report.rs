//! The letter of a run, through the real binary: once for its days, with its files, to whoever wants it.

use paynowd::simulator::Misbehaviour;
use serde_json::Value;

use crate::clock::{DAY, until_runs, with_a_clock};
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

#[tokio::test(flavor = "multi_thread")]
async fn the_first_letter_of_a_house_that_was_dark_tells_of_the_days_before_too() {
    let (mut house, disk) = with_a_clock(Settings::usual()).await;
    let paid = house.pay("INV-1", "25.00").await;
    house.until_it_is(&paid.guid, "paid", "confirmed").await;
    until_runs(&house, 1).await;
    let first_day = |house: &House| {
        Some(house.mail_json().into_iter().find(|letter| letter["notice"] == "report")?["first_day"].clone())
    };
    assert_eq!(first_day(&house), None);
    house.stop().await;
    disk.set_clock_wrong_by(4 * DAY);
    let began = chrono::Utc::now().with_timezone(&chrono_tz::Africa::Harare).date_naive();
    house.open().await;
    until_runs(&house, 2).await;
    assert_eq!(first_day(&house), Some(began.to_string().into()));
    let letters = house.until_letters(2).await;
    let report = letters.iter().find(|letter| letter.subject().starts_with("Paynow ")).unwrap();
    assert!(report.text.contains("1 payment paid: USD 25.00."), "{}", report.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_is_confirmed_only_after_the_letter_of_its_day_is_in_the_next_letter() {
    let (house, disk) = with_a_clock(Settings::usual()).await;
    house.gateway.misbehave(Misbehaviour::UnsignedError);
    house.pay("INV-1", "500.00").await;
    until_runs(&house, 1).await;
    disk.set_clock_wrong_by(DAY);
    let reports = async |count| {
        let all = house.wait(|| {
            let mut letters = house.letters();
            letters.retain(|letter| letter.subject().starts_with("Paynow "));
            Some(letters).filter(|letters| letters.len() == count)
        });
        all.await.unwrap_or_else(|| panic!("{}", house.log()))
    };
    let claimed = reports(1).await.remove(0);
    assert!(claimed.subject().contains(": 0 paid "), "{}", claimed.subject());
    assert!(claimed.text.contains("in no total: 1 payment, USD 500.00."), "{}", claimed.text);
    // The next run asks again, and is answered.
    house.gateway.behave();
    disk.set_clock_wrong_by(2 * DAY);
    let letters = reports(2).await;
    let since = letters.iter().filter(|letter| letter.text.contains("Confirmed since, of earlier days"));
    let since: Vec<_> = since.collect();
    assert_eq!(since.len(), 1, "{letters:#?}");
    assert!(since[0].subject().contains(": 0 paid "), "{}", since[0].subject());
    assert!(since[0].text.contains("totals: 1 payment, USD 500.00.") && !since[0].text.contains("in no total:"));
    disk.set_clock_wrong_by(3 * DAY);
    let since = reports(3).await.iter().filter(|letter| letter.text.contains("Confirmed since")).count();
    assert_eq!(since, 1, "told once");
}
