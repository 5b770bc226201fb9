//! `paynowd export`: what was paid, for other people's books.

use chrono::{Days, Utc};
use serde_json::{Value, json};

use crate::house::{House, Settings};

/// Three days around now, so that no midnight falls between a payment and its export.
fn export(house: &House, format: &str, more: &[&str]) -> (i32, String, String) {
    let today = Utc::now().date_naive();
    let (from, to) = (today.checked_sub_days(Days::new(1)).unwrap(), today.checked_add_days(Days::new(1)).unwrap());
    let (from, to) = (from.to_string(), to.to_string());
    let output = house.run(&[&["export", "--format", format, "--from", &from, "--to", &to], more].concat());
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_paid_is_exported_the_same_every_time_and_no_spreadsheet_computes_it() {
    let house = House::start(Settings::usual()).await;
    let paid = house.pay("=cmd|x", "25.00").await;
    house.until_it_is(&paid.guid, "paid", "confirmed").await;
    let open = house.begin("INV-2", "9.00");
    assert_eq!(house.gateway.move_to(&open.guid, "Created").await.unwrap().status(), Some(200));

    let (code, csv, told) = export(&house, "csv", &[]);
    assert_eq!((code, told.as_str()), (0, ""));
    assert_eq!(export(&house, "csv", &[]).1, csv);
    let rows: Vec<&str> = csv.lines().collect();
    assert_eq!(rows.len(), 2, "{csv}");
    assert!(
        rows[0].starts_with("id,integration,mode,gateway_key,reference,") && rows[1].contains(",'=cmd|x,"),
        "{csv}"
    );
    let object: Value = serde_json::from_str(&export(&house, "jsonl", &[]).1).unwrap();
    assert_eq!((&object["reference"], &object["amount"]), (&json!("=cmd|x"), &json!("25.00")));
    let id = object["id"].as_str().unwrap();
    assert!(rows[1].starts_with(id));
    for format in ["xero", "quickbooks", "ledger"] {
        let (_, text, _) = export(&house, format, &[]);
        assert!(text.contains(id) && text.contains("25.00"), "{text}");
        assert!(!text.contains(&paid.guid), "{format} holds a poll URL's GUID");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_paynow_has_not_confirmed_is_in_no_accounts() {
    let house = House::start(Settings::usual().set("poll.confirm", ["1h"])).await;
    let claimed = house.pay("INV-1", "25.00").await;
    house.until_it_is(&claimed.guid, "paid", "reported").await;
    for format in ["xero", "quickbooks", "ledger"] {
        let (code, text, told) = export(&house, format, &[]);
        assert_eq!((code, text.matches("25.00").count()), (0, 0), "{text}");
        assert_eq!(told, "paynowd: left out, because Paynow has not confirmed it yet: 1\n");
    }
    let object: Value = serde_json::from_str(&export(&house, "jsonl", &[]).1).unwrap();
    assert_eq!((&object["amount"], &object["trust"]), (&json!("25.00"), &json!("reported")));
}

#[tokio::test(flavor = "multi_thread")]
async fn test_money_is_never_among_live_money() {
    let house = House::start(Settings::usual().set("integrations.shop.mode", "test")).await;
    let paid = house.pay("INV-1", "25.00").await;
    house.until_it_is(&paid.guid, "paid", "confirmed").await;
    assert_eq!(export(&house, "jsonl", &[]).1, "");
    assert_eq!(export(&house, "jsonl", &["--mode", "test"]).1.lines().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_statement_is_of_one_currency() {
    let settings = Settings::usual()
        .set("integrations.zig.protocol", "paynow-zimbabwe")
        .set("integrations.zig.id", "1201")
        .set("integrations.zig.key_files", ["shop.key"])
        .set("integrations.zig.currency", "ZiG");
    let house = House::start(settings).await;
    let dollars = house.pay("INV-1", "25.00").await;
    let zig = house.gateway.initiate("INV-2", "90.00", Some(&house.url("zig")));
    assert_eq!(house.gateway.move_to(&zig.guid, "Paid").await.unwrap().status(), Some(200));
    for guid in [&dollars.guid, &zig.guid] {
        house.until_it_is(guid, "paid", "confirmed").await;
    }
    let file = house.path("statement.csv");
    let into = ["--out", file.to_str().unwrap()];
    let (code, _, told) = export(&house, "xero", &into);
    assert_eq!(code, 1);
    assert!(told.contains("here are USD, ZWG: choose with --currency") && !file.exists(), "{told}");
    assert_eq!(export(&house, "xero", &[&into[..], &["--currency", "ZiG"]].concat()).0, 0);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains(",90.00,Paynow,") && text.lines().count() == 2, "{text}");
    assert!(!house.path("statement.csv.part").exists());
    assert_eq!(export(&house, "ledger", &["--integration", "shop"]).1.matches("; id: ").count(), 1);
}
