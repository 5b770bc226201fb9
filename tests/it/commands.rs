//! Looking at the ledger: filters, tables, JSON, and what never reaches a terminal.

use paynowd::simulator::{ButtonSale, PostSpec};

use crate::house::http::{FORM, ask};
use crate::house::{House, Settings, paynowd};

#[tokio::test(flavor = "multi_thread")]
async fn payments_are_listed_newest_first_by_every_filter() {
    let settings = Settings::usual()
        .set("integrations.stall.protocol", "paynow-zimbabwe")
        .set("integrations.stall.id", "1201")
        .set("integrations.stall.key_files", ["shop.key"])
        .set("integrations.stall.currency", "ZiG");
    let house = House::start(settings).await;
    let paid = house.pay("INV-1", "1.00").await;
    house.until_it_is(&paid.guid, "paid", "confirmed").await;
    let cancelled = house.gateway.initiate("INV-2", "2.00", Some(&house.url("stall")));
    house.gateway.move_to(&cancelled.guid, "Cancelled").await.unwrap();
    house.until_it_is(&cancelled.guid, "cancelled", "confirmed").await;
    house.gateway.post_button(&house.url("button"), &ButtonSale::default()).await.unwrap();
    // The same reference again, at another integration.
    let again = house.gateway.initiate("INV-1", "3.00", Some(&house.url("stall")));
    house.gateway.move_to(&again.guid, "Sent").await.unwrap();
    house.until_it_is(&again.guid, "pending", "confirmed").await;

    let keys = |filters: &[&str]| -> Vec<String> {
        house.payments_json(filters).iter().map(|payment| payment["gateway_key"].as_str().unwrap().to_owned()).collect()
    };
    let all = [again.guid.as_str(), "1082", &cancelled.guid, &paid.guid];
    let first_seen = house.show_json(&paid.guid)["first_seen"].as_str().unwrap().to_owned();
    let (today, second) =
        (&first_seen[..10], house.show_json(&cancelled.guid)["first_seen"].as_str().unwrap().to_owned());
    for (filters, wanted) in [
        (&[][..], &all[..]),
        (&["--integration", "shop"], &[all[3]]),
        (&["--integration", "nobody"], &[]),
        (&["--status", "paid"], &[all[1], all[3]]),
        (&["--status", "paid", "--status", "cancelled"], &[all[1], all[2], all[3]]),
        (&["--trust", "unconfirmable"], &[all[1]]),
        (&["--trust", "reported"], &[]),
        (&["--reference", "INV-1"], &[all[0], all[3]]),
        (&["--reference", "INV-1", "--integration", "stall"], &[all[0]]),
        (&["--reference", "inv-1"], &[]),
        (&["--reference", "INV-%"], &[]),
        (&["--since", &second], &all[..3]),
        (&["--until", &second], &[all[3]]),
        (&["--since", today], &all[..]),
        (&["--until", today], &[]),
        (&["--date", today], &all[..]),
        (&["--date", "2019-01-01"], &[]),
        (&["--limit", "2"], &all[..2]),
    ] {
        assert_eq!(keys(filters), wanted, "{filters:?}");
    }
    let currencies: Vec<_> = house.payments_json(&[]).iter().map(|payment| payment["currency"].clone()).collect();
    assert_eq!(currencies, ["ZWG", "USD", "ZWG", "USD"]);
    let table = house.done(&["payments", "list"]);
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("FIRST SEEN (UTC)") && lines.len() == 5, "{table}");
    assert!(lines[4].contains("shop") && lines[4].contains("USD 1.00") && lines[4].contains("Paid"), "{table}");
    assert!(lines[1].contains("ZiG 3.00"), "{table}");
    assert_eq!(house.done(&["payments", "list", "--status", "refunded"]), "no such payments\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_payment_is_shown_by_its_key_paynows_number_or_its_reference() {
    let house = House::start(Settings::usual()).await;
    let payment = house.pay("INV-32", "25.00").await;
    house.until_it_is(&payment.guid, "paid", "confirmed").await;
    for name in [&payment.guid, &payment.gateway_reference, "INV-32"] {
        let story = house.show_json(name);
        assert_eq!(story["gateway_key"], payment.guid);
        for list in ["events", "polls", "letters", "discrepancies"] {
            assert!(story[list].is_array(), "{list}");
        }
        let told = house.done(&["payments", "show", name]);
        assert!(told.contains("USD 25.00") && told.contains("Paid (confirmed)") && told.contains("no discrepancies"));
    }
    let nothing = house.run(&["payments", "show", "INV-33"]);
    assert_eq!((nothing.status.code(), nothing.stdout.len()), (Some(1), 0));
    let times = house.show_json("INV-32");
    for time in [&times["first_seen"], &times["events"][0]["at"]] {
        let text = time.as_str().unwrap();
        assert!(text.len() == 24 && text.ends_with('Z') && text.contains('T'), "RFC 3339, UTC: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_an_integration_that_nobody_heard_of_says_so() {
    let house = House::start(Settings::usual()).await;
    house.pay("INV-32", "25.00").await;
    let days = ["--from", "2026-01-01", "--to", "2026-01-02"];
    for command in [
        &["payments", "list"][..],
        &["payments", "show", "INV-32"],
        &["discrepancies", "list", "--json"],
        &["quarantine", "list"],
        &["quarantine", "purge", "--all"],
        &["quarantine", "release", "--all"],
        &[&["export", "--format", "csv"][..], &days].concat(),
    ] {
        let said = |integration: &str| {
            let output = house.run(&[command, &["--integration", integration]].concat());
            String::from_utf8(output.stderr).unwrap()
        };
        let complaint = "--integration \"shpo\": the ledger has never heard of it; it knows button, shop\n";
        assert!(said("shpo").contains(complaint), "{command:?}: {}", said("shpo"));
        assert!(!said("shop").contains("--integration"), "{command:?}: {}", said("shop"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_is_not_there_is_said_so() {
    let house = House::build(Settings::usual()).await;
    let output = house.run(&["payments", "list"]);
    assert_eq!(output.status.code(), Some(69));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("paynowd.db") && said.contains("there is no ledger yet"), "{output:?}");
    assert_eq!(said.matches("paynowd.db").count(), 1, "{said}");
    for command in [
        &["mail", "retry"][..],
        &["discrepancies", "resolve", "1", "--reason", "x"],
        &["quarantine", "purge", "--all", "--yes"],
        &["quarantine", "release", "--all"],
        &["reconcile"],
    ] {
        let output = house.run(command);
        assert_eq!(output.status.code(), Some(69), "{command:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("there is no ledger yet"), "{output:?}");
    }
    assert!(!house.path("paynowd.db").exists(), "neither looking nor mending makes one");
    house.write("paynowd.db", "");
    for command in [&["ledger", "verify"][..], &["payments", "list"], &["mail", "retry"]] {
        let output = house.run(command);
        assert_eq!(output.status.code(), Some(69), "{command:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("there is no ledger yet"), "{output:?}");
    }
    assert_eq!(house.run(&["check"]).status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_cannot_be_used_is_named_once() {
    let house = House::build(Settings::usual()).await;
    house.ledger().execute_batch("CREATE TABLE orders (id INTEGER PRIMARY KEY)").unwrap();
    for command in [&["payments", "list"][..], &["mail", "retry"], &["ledger", "verify"]] {
        let said = String::from_utf8(house.run(command).stderr).unwrap();
        assert!(said.contains("some other program") && said.matches("paynowd.db").count() == 1, "{command:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_there_is_nothing_of_is_named_as_what_was_asked_for() {
    let house = House::start(Settings::usual()).await;
    let said = |arguments: &[&str]| {
        let output = house.run(arguments);
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    for (arguments, code, words) in [
        (&["mail", "retry"][..], 0, "no letter has been tried in vain, refused or given up\n"),
        (&["mail", "retry", "7"], 1, "7 is no letter that has been tried in vain"),
        (&["quarantine", "purge", "7", "--yes"], 1, "nothing of that number is in quarantine"),
        (&["quarantine", "purge", "--all", "--yes"], 1, "nothing of that kind is in quarantine"),
        (&["expect", "list"], 0, "nothing is expected\n"),
        (&["expect", "list", "--open"], 0, "nothing is expected for which no money has come\n"),
    ] {
        let (ended, told) = said(arguments);
        assert!(ended == Some(code) && told.contains(words), "{arguments:?}: {ended:?} {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_came_over_a_wire_moves_a_cursor_or_turns_a_line_around() {
    let house = House::start(Settings::usual()).await;
    let tricky = "INV\u{202e}24-\u{2066}\u{200b}VNI";
    let payment = house.begin(tricky, "25.00");
    house.gateway.set_status(&payment.guid, "Paid\u{202e}\u{feff}").unwrap();
    assert_eq!(house.post(&payment, &PostSpec::status("Paid\u{202e}\u{feff}")).await, 200);
    // Control characters are outside the grammar: kept aside, and named by reason only.
    let escape = PostSpec::status("Paid").field("reference", "\u{1b}[2J\u{7}INV");
    assert_eq!(house.post(&payment, &escape).await, 200);
    let repeated = format!("{}=1&{0}=2", "a%1b%5b2J%0aERROR%20all%20is%20lost%e2%80%ae");
    let answer = crate::house::http::post(house.public, "/paynow/shop", repeated).await;
    assert_eq!(answer.status, 400);
    // The same in every field there is, of both kinds of message, and in fields that nobody knows.
    for field in ["reference", "paynowreference", "amount", "status", "pollurl", "paymentinstrument", ESCAPES] {
        assert_eq!(
            house.post(&house.begin("INV-1", "1.00"), &PostSpec::status("Sent").field(field, ESCAPES)).await,
            200
        );
    }
    let sale = ButtonSale::default;
    let text = || ESCAPES.to_owned();
    for sale in [
        ButtonSale { reference: text(), ..sale() },
        ButtonSale { reference: "1".into(), name: text(), ..sale() },
        ButtonSale { reference: "2".into(), email: text(), ..sale() },
        ButtonSale { reference: "3".into(), phone: text(), ..sale() },
        ButtonSale { amount: text(), ..sale() },
        ButtonSale { paid: text(), ..sale() },
        ButtonSale { reference: "4".into(), extras: vec![(text(), text())], ..sale() },
    ] {
        assert_eq!(house.gateway.post_button(&house.url("button"), &sale).await.unwrap(), 200);
    }
    let headers = ["X-Forwarded-For: \u{1b}[2J", "Content-Type: text/\u{1b}[2J", "User-Agent: \u{1b}[2J\u{202e}"];
    for header in headers {
        ask(house.public, "POST", "/paynow/shop%1b%5b2J%0aERROR", &[FORM, header], b"a=b").await;
        ask(house.public, "POST", "/paynow/shop", &[header], b"a=b").await;
    }
    house.until(&payment.guid, |story| !story["polls"].as_array().unwrap().is_empty()).await;
    let stored = house.show_json(&payment.guid);
    assert_eq!(stored["reference"], tricky, "what is stored is what came");
    for command in [
        &["payments", "list"][..],
        &["payments", "show", &payment.guid],
        &["payments", "show", tricky],
        &["payments", "show", "\u{1b}[2J\u{202e}"],
        &["mail", "list"],
        &["quarantine", "list"],
        &["quarantine", "show", "1"],
        &["quarantine", "show", "2"],
        &["quarantine", "release", "--all"],
        &["explain", "1"],
        &["explain", "2"],
    ] {
        let output = house.run(command);
        let seen = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_harmless(&seen);
    }
    for number in 1..=house.quarantine().len() {
        for command in [&["quarantine", "show"][..], &["explain"]] {
            let output = house.run(&[command, &[&number.to_string()]].concat());
            assert_harmless(&String::from_utf8([output.stdout, output.stderr].concat()).unwrap());
        }
    }
    assert_harmless(&house.log());
    // Four sales, and the payment with the tricky reference as soon as it is given up to ask.
    for letter in house.until_letters(4).await {
        assert_harmless(&letter.raw.replace('\r', ""));
        assert_harmless(&letter.text.replace('\r', ""));
        assert!(letter.all("Bcc").is_empty(), "{}", letter.raw);
    }
}

/// Ends a line, a text and a header; clears the screen, rings, turns the line around, and makes up a line of the log.
const ESCAPES: &str = "a\r\nBcc: all@shop.example\r\n\r\n\u{1b}[2J\u{7}\0\u{202e}\u{9b}2J\nERROR all is lost";

fn assert_harmless(text: &str) {
    let harmful = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    assert!(!text.contains(harmful), "{text:?}");
    assert!(!text.lines().any(|line| line.starts_with("ERROR")), "a line of the log was made up: {text:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_did_not_fit_on_the_disk_is_not_called_done() {
    let house = House::start(Settings::usual()).await;
    house.pay("INV-1", "1.00").await;
    let mut command = paynowd(&house.path("."));
    command
        .args(["payments", "list", "--json"])
        .stdout(std::fs::File::options().write(true).open("/dev/full").unwrap());
    let output = command.stderr(std::process::Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), said.lines().count()), (Some(69), 1), "{said}");
    assert!(said.contains("not all there was"), "{said}");
}
