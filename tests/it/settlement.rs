//! `paynowd settlement import`: what was paid out, held against what was paid.

use chrono::{Days, Utc};
use chrono_tz::Africa::Harare;

use paynowd::books::SettlementMap;

use crate::house::{House, Settings, paynowd};

const MAP: &str = "[columns]\ndate = \"Day\"\nreference = \"Ref\"\ngross = \"Gross\"\nnet = \"Net\"\n\
    [format]\ndate = \"%d/%m/%Y\"\n[constants]\ncurrency = \"USD\"\nintegration = \"shop\"\n";

fn import(house: &House, rows: &[String], more: &[&str]) -> (i32, String, String) {
    import_by(house, MAP, "Day;Ref;Gross;Net", rows, more)
}

fn import_by(house: &House, map: &str, heading: &str, rows: &[String], more: &[&str]) -> (i32, String, String) {
    house.write("map.toml", map);
    house.write("bank.csv", &format!("{heading}\r\n{}\r\n", rows.join("\r\n")));
    let (bank, map) = (house.path("bank.csv"), house.path("map.toml"));
    let import = ["settlement", "import", bank.to_str().unwrap(), "--map", map.to_str().unwrap()];
    let output = house.run(&[&import[..], more].concat());
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A line paid out so many days from today.
fn line(days: u64, reference: &str, gross: &str, net: &str) -> String {
    let day = Utc::now().with_timezone(&Harare).date_naive().checked_add_days(Days::new(days)).unwrap();
    format!("{};{reference};{gross};{net}", day.format("%d/%m/%Y"))
}

/// Reference, fee and the reference of the payment of each line, in the order of import.
fn lines(house: &House) -> Vec<(String, Option<i64>, Option<String>)> {
    let ledger = house.ledger();
    let mut rows = ledger
        .prepare(
            "SELECT settlement.reference, fee, payment.reference FROM settlement \
             LEFT JOIN payment ON payment.id = payment_id ORDER BY settlement.id",
        )
        .unwrap();
    rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap().map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn payouts_find_their_payments_one_to_one_and_once() {
    let house = House::start(Settings::usual()).await;
    let first = house.pay("INV-1", "25.00").await;
    let second = house.pay("INV-2", "9.00").await;
    for payment in [&first, &second] {
        house.until_it_is(&payment.guid, "paid", "confirmed").await;
    }
    let paynow = house.show_json(&second.guid)["gateway_reference"].as_str().unwrap().to_owned();
    let rows = [
        line(2, "INV-1", "25.00", "24.00"),
        line(2, &paynow, "9.00", ""),
        line(2, "INV-1", "25.00", "24.00"),
        line(11, "INV-2", "9.00", ""),
        line(2, "INV-9", "1.00", ""),
        line(2, "INV-9", "1,00", ""),
    ];
    let dry = import(&house, &rows, &["--dry-run"]);
    assert!(!dry.2.contains("no ledger"), "{}", dry.2);
    assert_eq!((dry.0, dry.1.as_str()), (1, "5 new, 0 known, 1 bad line (nothing was changed)\n"));
    let (code, summed, told) = import(&house, &rows, &[]);
    assert_eq!((code, summed.as_str()), (1, "5 new, 0 known, 1 bad line; 2 matched, 3 without a payment so far\n"));
    assert!(told.contains("line 7: gross: "), "{told}");
    let named = |text: &str| Some(text.to_owned());
    assert_eq!(
        lines(&house),
        [
            ("INV-1".into(), Some(10_000), named("INV-1")),
            (paynow, None, named("INV-2")),
            ("INV-1".into(), Some(10_000), None),
            ("INV-2".into(), None, None),
            ("INV-9".into(), None, None),
        ]
    );
    let (_, summed, _) = import(&house, &rows, &[]);
    assert_eq!(summed, "0 new, 5 known, 1 bad line; 0 matched, 3 without a payment so far\n");
    let late = house.pay("INV-9", "1.00").await;
    house.until_it_is(&late.guid, "paid", "confirmed").await;
    let (code, summed, _) = import(&house, &rows[..1], &[]);
    assert_eq!((code, summed.as_str()), (0, "0 new, 1 known; 1 matched, 2 without a payment so far\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_says_something_else_is_corrected_until_its_payment_is_found() {
    let house = House::start(Settings::usual()).await;
    let paid = house.pay("INV-1", "25.00").await;
    house.until_it_is(&paid.guid, "paid", "confirmed").await;
    let map = MAP.replace("[format]", "line = \"Id\"\n[format]");
    let import = |days: u64, gross: &str, more: &[&str]| {
        let row = format!("{};7", line(days, "INV-1", gross, ""));
        let (_, summed, told) = import_by(&house, &map, "Day;Ref;Gross;Net;Id", &[row], more);
        assert_eq!(told, "", "there was a row, and it is good");
        summed
    };
    assert_eq!(import(11, "2.50", &[]), "1 new, 0 known; 0 matched, 1 without a payment so far\n");
    assert_eq!(import(1, "25.00", &["--dry-run"]), "0 new, 0 known, 1 corrected (nothing was changed)\n");
    assert_eq!(import(11, "2.50", &[]), "0 new, 1 known; 0 matched, 1 without a payment so far\n");
    assert_eq!(import(1, "25.00", &[]), "0 new, 0 known, 1 corrected; 1 matched, 0 without a payment so far\n");
    assert_eq!(import(2, "20.00", &[]), "0 new, 1 known; 0 matched, 0 without a payment so far\n");
    let kept: i64 = house.ledger().query_row("SELECT gross FROM settlement", [], |row| row.get(0)).unwrap();
    assert_eq!((lines(&house).len(), kept), (1, 250_000), "its payment was found by what it said");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_year_of_two_digits_is_not_taken_for_one_of_long_ago() {
    let house = House::start(Settings::usual()).await;
    let (code, summed, told) = import(&house, &["12/03/26;INV-1;25.00;".into()], &[]);
    assert_eq!((code, summed.as_str()), (1, "0 new, 0 known, 1 bad line; 0 matched, 0 without a payment so far\n"));
    assert!(told.contains("line 2: date: is read as 0026-03-12") && told.contains("%y"), "{told}");
    assert_eq!(lines(&house), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_of_less_waits_for_the_right_one_to_be_taken_first() {
    let house = House::start(Settings::usual()).await;
    let paid = house.pay("INV-1", "25.00").await;
    house.until_it_is(&paid.guid, "paid", "confirmed").await;
    let rows = [line(0, "INV-1", "20.00", ""), line(0, "INV-1", "26.00", ""), line(1, "INV-1", "25.00", "")];
    assert_eq!(import(&house, &rows, &[]).1, "3 new, 0 known; 1 matched, 2 without a payment so far\n");
    let matched: Vec<bool> = lines(&house).into_iter().map(|(_, _, payment)| payment.is_some()).collect();
    assert_eq!(matched, [false, false, true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_map_that_does_not_fit_is_one_error_that_says_why() {
    let house = House::build(Settings::usual()).await;
    house.write("bank.csv", "Day,Reference,Gross\n");
    let run = |map: &str| {
        house.write("map.toml", map);
        let (bank, map) = (house.path("bank.csv"), house.path("map.toml"));
        let output = house.run(&["settlement", "import", bank.to_str().unwrap(), "--map", map.to_str().unwrap()]);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for (map, reason) in [
        (MAP.to_owned(), "bank.csv: the heading has no column \"Ref\", which the map names"),
        (MAP.replace("gross", "gros"), "unknown field `gros`"),
        (MAP.replace("%d/%m/%Y", "%!"), "format.date must be a pattern"),
        (
            MAP.replace("\"shop\"", "\"stall\""),
            "stall is not an integration in the configuration; there are: button, shop",
        ),
    ] {
        let (code, told) = run(&map);
        assert!(code == Some(1) && told.contains(reason), "{reason}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_daemon_has_ever_run_it_is_said_that_a_ledger_is_begun_and_where() {
    let house = House::build(Settings::usual()).await;
    let (code, _, told) = import(&house, &[line(2, "INV-1", "25.00", "24.00")], &["--dry-run"]);
    assert!(code == 0 && told.contains("there is no ledger yet at "), "{told}");
    assert!(!house.path("paynowd.db").exists());
    let (code, summed, told) = import(&house, &[], &[]);
    assert_eq!((code, summed.as_str()), (0, "0 new, 0 known; 0 matched, 0 without a payment so far\n"));
    assert!(told.contains("paynowd.db, so a new one is begun") && told.contains("no row under the heading"), "{told}");
}

#[test]
fn the_map_in_the_help_can_be_copied_from_any_terminal() {
    let home = tempfile::tempdir().unwrap();
    for columns in ["60", "80", "100", "200"] {
        let output =
            paynowd(home.path()).args(["settlement", "import", "--help"]).env("COLUMNS", columns).output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        let map = help.split_once("A map:\n\n").unwrap().1;
        SettlementMap::read(map, None).unwrap_or_else(|trouble| panic!("{columns}: {trouble}\n{map}"));
        assert!(map.contains("%d %b %Y is 31 Dec 2026"), "{map}");
    }
}
