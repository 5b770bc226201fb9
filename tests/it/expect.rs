//! `paynowd expect`: what the merchant's books say should be paid, in by hand and by file.

use serde_json::{Value, json};

use crate::house::{House, Settings};

/// A heading that spreadsheets write, and these rows.
fn orders(rows: &[&str]) -> String {
    format!("\u{FEFF}Integration;Reference;Amount;Currency;Created;Poll_URL;Shelf\r\n{}\r\n", rows.join("\r\n"))
}

fn listed(house: &House, filters: &[&str]) -> Vec<Value> {
    let printed = house.done(&[&["expect", "list", "--json"], filters].concat());
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Exit code, standard output, standard error.
fn run(house: &House, arguments: &[&str]) -> (i32, String, String) {
    let output = house.run(arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_orders_is_taken_row_by_row_and_again_without_effect() {
    let house = House::build(Settings::usual()).await;
    house.write(
        "orders.csv",
        &orders(&[
            "shop;INV-1;25.00;USD;2026-03-12;;A1",
            "shop;\"INV-2\";9.50;ZiG;2026-03-12 14:05;;A2",
            "shop;INV-3;1,204.50;USD;2026-03-12;;A3",
            "stall;INV-4;1.00;USD;2026-03-12;;",
            "button;INV-5;1.00;USD;2026-03-12;;",
            "shop;INV-6;1.00;USD;2026-03-12;https://evil.example/Interface/CheckPayment/?guid=x;",
        ]),
    );
    let file = house.path("orders.csv");
    let import = ["expect", "import", file.to_str().unwrap()];
    let dry = run(&house, &[&import[..], &["--dry-run"]].concat());
    assert!(dry.2.contains("there is no ledger yet at ") && dry.2.contains("ledger.path means another"), "{}", dry.2);
    assert_eq!((dry.0, dry.1.as_str()), (1, "2 new, 0 known, 4 bad rows (nothing was changed)\n"));
    assert!(!house.path("paynowd.db").exists(), "a dry run makes no ledger");

    let (code, summed, told) = run(&house, &import);
    assert_eq!((code, summed.as_str()), (1, "2 new, 0 known, 4 bad rows\n"));
    let begun = |told: &str| {
        told.contains("so a new one is begun") && told.contains(house.path("paynowd.db").to_str().unwrap())
    };
    assert!(begun(&told), "{told}");
    for part in [
        "columns that mean nothing here: Shelf",
        "line 4: amount: must have a point before its decimals and no thousands separators",
        "line 5: integration: stall is not an integration in the configuration; there are: button, shop",
        "line 6: integration: a custom button's notifications carry no reference of yours",
        "line 7: poll_url: is not a poll URL of this integration's gateway",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
    assert!(!told.contains("evil.example"));
    let (code, summed, told) = run(&house, &import);
    assert_eq!((code, summed.as_str()), (1, "0 new, 2 known, 4 bad rows\n"));
    assert!(!begun(&told), "{told}");
    let kept: Vec<Value> =
        listed(&house, &[]).iter().map(|order| json!([order["reference"], order["created"]])).collect();
    assert_eq!(kept, [json!(["INV-2", "2026-03-12T12:05:00.000Z"]), json!(["INV-1", "2026-03-11T22:00:00.000Z"])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistyped_ledger_path_is_seen_when_a_new_ledger_is_begun_there() {
    let house = House::build(Settings::usual().variable("PAYNOWD_LEDGER__PATH", "typo/x.db")).await;
    let order = ["--integration", "shop", "--reference", "INV-1", "--currency", "USD", "--amount", "1"];
    let (code, _, told) = run(&house, &[&["expect", "add"], &order[..]].concat());
    assert!(code == 0 && told.contains("typo/x.db, so a new one is begun"), "{told}");
    let (code, _, told) = run(&house, &[&["expect", "add"], &order[..]].concat());
    assert_eq!((code, told.as_str()), (0, ""), "it is there now");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_holds_nothing_for_us_says_so() {
    let house = House::build(Settings::usual()).await;
    let import = |text: &str| {
        house.write("orders.csv", text);
        run(&house, &["expect", "import", house.path("orders.csv").to_str().unwrap()])
    };
    let heading = "integration,reference,amount,currency,created";
    let (code, summed, told) = import(&format!("{heading}\r\n"));
    assert_eq!((code, summed.as_str()), (0, "0 new, 0 known\n"));
    assert!(told.contains("orders.csv: there is no row under the heading"), "{told}");
    let (code, summed, told) = import(&format!("{heading},due\rshop,CR1,1.00,USD,2026-03-12,\r"));
    assert_eq!((code, summed.as_str()), (1, ""));
    assert!(told.contains("a carriage return alone") && !told.contains("CR1"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_money_under_a_known_reference_is_a_conflict_until_it_is_to_replace() {
    let house = House::build(Settings::usual()).await;
    let add = |amount: &'static str, more: &[&'static str]| {
        let order = ["expect", "add", "--integration", "shop", "--reference", "INV-1", "--currency", "USD", "--amount"];
        run(&house, &[&order[..], &[amount], more].concat())
    };
    assert_eq!(add("25.00", &[]).0, 0);
    assert_eq!(add("25", &[]).1, "shop INV-1: USD 25.00 was expected already\n");
    let (code, said, _) = add("26.00", &["--json"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &said["outcome"], &said["expected_already"]["amount"]), (1, &json!("conflict"), &json!("25.00")));
    house.write("orders.csv", &orders(&["shop;INV-1;27.00;USD;2026-03-12;;"]));
    let file = house.path("orders.csv");
    let (code, summed, told) = run(&house, &["expect", "import", file.to_str().unwrap()]);
    assert_eq!((code, summed.as_str()), (1, "0 new, 0 known, 1 conflict\n"));
    assert!(told.contains("line 2: shop INV-1: USD 25.00 is expected already, not USD 27.00"), "{told}");
    assert_eq!(add("26.00", &["--replace"]).0, 0);
    assert_eq!(listed(&house, &[])[0]["amount"], "26.00");
    let (code, _, told) = add("26,00", &[]);
    assert_eq!(code, 64);
    assert!(told.contains("--amount: must have a point"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expected_payment_is_asked_about_though_no_post_ever_comes() {
    let house = House::start(Settings::usual()).await;
    let payment = house.gateway.initiate("INV-7", "25.00", None);
    let url = format!("{}/Interface/CheckPayment/?guid={}", house.gateway.origin(), payment.guid);
    house.write(
        "orders.csv",
        &orders(&["shop;INV-8;1.00;USD;2026-03-12;;", &format!("shop;INV-7;25.00;USD;2026-03-12;{url};")]),
    );
    let file = house.path("orders.csv");
    assert_eq!(run(&house, &["expect", "import", file.to_str().unwrap()]).0, 0);
    assert_eq!(listed(&house, &["--open"]).len(), 2);
    house.gateway.move_to(&payment.guid, "Paid").await.unwrap();
    house.until_it_is(&payment.guid, "paid", "confirmed").await;
    let open = listed(&house, &["--open"]);
    assert_eq!((open.len(), &open[0]["reference"]), (1, &json!("INV-8")));
    assert!(!house.done(&["expect", "list", "--json"]).contains(&payment.guid), "a poll URL is never printed");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_payment_closes_the_order_it_is_for_and_no_other_that_names_its_poll_url() {
    let house = House::start(Settings::usual()).await;
    let payment = house.gateway.initiate("ORDER-B", "30.00", None);
    let url = format!("{}/Interface/CheckPayment/?guid={}", house.gateway.origin(), payment.guid);
    for (reference, amount) in [("ORDER-A", "45.00"), ("ORDER-B", "30.00")] {
        let order = ["expect", "add", "--integration", "shop", "--reference", reference, "--amount", amount];
        house.done(&[&order[..], &["--currency", "USD", "--poll-url", &url]].concat());
    }
    house.gateway.move_to(&payment.guid, "Paid").await.unwrap();
    house.until_it_is(&payment.guid, "paid", "confirmed").await;
    let open = listed(&house, &["--open"]);
    assert_eq!((open.len(), &open[0]["reference"]), (1, &json!("ORDER-A")));

    run(&house, &["reconcile"]);
    let found = || {
        let printed = house.done(&["discrepancies", "list", "--json"]);
        let found = printed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let told = found.map(|found| json!([found["class"], found["reference"], found["expected"], found["found"]]));
        told.filter(|told| told[0] != "missing-in-ledger").collect::<Vec<Value>>()
    };
    let expected = "a payment for ORDER-A behind its poll URL";
    let led = "the gateway says that it is the payment for ORDER-B";
    assert_eq!(found(), [json!(["missing-at-gateway", "ORDER-A", expected, led])]);

    // The customer pays for the other one too: by the reference alone its payment is found.
    let own = house.pay("ORDER-A", "45.00").await;
    house.until_it_is(&own.guid, "paid", "confirmed").await;
    assert!(listed(&house, &["--open"]).is_empty());
    run(&house, &["reconcile"]);
    assert!(found().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_table_of_orders_is_one_error() {
    let house = House::build(Settings::usual()).await;
    for (content, reason) in [
        ("reference,amount,created\n", "the heading lacks integration, currency;"),
        ("", "the first line must name the columns"),
    ] {
        house.write("orders.csv", content);
        let (code, _, told) = run(&house, &["expect", "import", house.path("orders.csv").to_str().unwrap()]);
        assert_eq!(code, 1);
        assert!(told.contains(reason), "{told}");
    }
    let (code, _, told) = run(&house, &["expect", "import", "nowhere.csv"]);
    assert_eq!(code, 69);
    assert!(told.contains("nowhere.csv: No such file"), "{told}");
}
