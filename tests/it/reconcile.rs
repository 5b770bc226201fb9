//! Reconciliation through the real binary: what does not add up is found, kept, closed, and resolved by people.

use std::fs::File;

use paynowd::simulator::{PostSpec, Signature};
use rusqlite::params;
use serde_json::Value;

use crate::house::{House, Settings};

impl House {
    /// What is open, as `class reference: expected / found`, in the order of the alphabet.
    fn open_findings(&self) -> Vec<String> {
        let mut all: Vec<String> = self
            .discrepancies(&[])
            .iter()
            .map(|found| {
                let text = |name: &str| found[name].as_str().unwrap_or("-").to_owned();
                format!("{} {}: {} / {}", text("class"), text("reference"), text("expected"), text("found"))
            })
            .collect();
        all.sort();
        all
    }

    fn discrepancies(&self, filters: &[&str]) -> Vec<Value> {
        let printed = self.done(&[&["discrepancies", "list", "--json"], filters].concat());
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Puts an order into the books.
    fn order(&self, reference: &str, amount: i64, currency: &str) {
        let ledger = self.ledger();
        ledger
            .execute(
                "INSERT INTO expectation (integration_id, reference, amount, currency, mode, created) \
                 SELECT id, ?1, ?2 * 10000, ?3, 'live', 0 FROM integration WHERE name = 'shop'",
                params![reference, amount, currency],
            )
            .unwrap();
    }

    fn reconcile(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.done(&[&["reconcile", "--json"], arguments].concat())).unwrap()
    }

    async fn confirmed(&self, reference: &str, amount: &str) -> String {
        let payment = self.pay(reference, amount).await;
        self.until_it_is(&payment.guid, "paid", "confirmed").await;
        payment.guid
    }
}

/// Orders and payments of which some do not fit; four findings.
async fn unfitting() -> House {
    let house = House::start(Settings::usual()).await;
    house.confirmed("INV-1", "25.00").await;
    for (reference, amount, currency) in
        [("INV-1", 25, "USD"), ("INV-2", 25, "USD"), ("INV-3", 25, "USD"), ("INV-4", 25, "ZWG"), ("INV-9", 25, "USD")]
    {
        house.order(reference, amount, currency);
    }
    house.confirmed("INV-2", "20.00").await;
    house.confirmed("INV-3", "25.01").await;
    house.confirmed("INV-4", "25.00").await;
    house.confirmed("INV-5", "25.00").await;
    house
}

const UNFITTING: [&str; 4] = [
    "currency-mismatch INV-4: ZiG 25.00 / USD 25.00",
    "overpaid INV-3: USD 25.00 / USD 25.01",
    "underpaid INV-2: USD 25.00 / USD 20.00",
    "unknown-reference INV-5: an order in the books / paid under INV-5",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_the_books_is_found_kept_and_closed_once_it_fits() {
    let house = unfitting().await;
    let ran = house.reconcile(&[]);
    assert_eq!(ran["asked"]["payments"], 5, "what became final of late is asked about: {ran}");
    assert_eq!(ran["asked"]["answered"], 5, "by the daemon that serves the ledger: {ran}");
    assert_eq!((&ran["need_you"], &ran["letters"]), (&4.into(), &1.into()), "{ran}");
    assert_eq!(house.open_findings(), UNFITTING);
    let before = house.discrepancies(&[]);

    let again = house.reconcile(&[]);
    assert_eq!(again["letters"], 0, "the day has been reported");
    for (class, moves) in again["classes"].as_object().unwrap() {
        assert_eq!((&moves["opened"], &moves["kept"], &moves["closed"]), (&0.into(), &1.into(), &0.into()), "{class}");
    }
    assert_eq!(house.discrepancies(&[]), before, "a second run changes nothing");

    house.order("INV-5", 25, "USD");
    house.ledger().execute("UPDATE expectation SET amount = 200000 WHERE reference = 'INV-2'", []).unwrap();
    let ran = house.reconcile(&[]);
    assert_eq!(ran["classes"]["underpaid"]["closed"], 1);
    assert_eq!(ran["classes"]["unknown-reference"]["closed"], 1);
    assert_eq!(house.open_findings(), UNFITTING[..2]);
    let closed = house.discrepancies(&["--all", "--class", "underpaid"]);
    assert_eq!((&closed[0]["state"], &closed[0]["actor"]), (&"resolved".into(), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_asks_nobody_changes_nothing_and_says_what_would_be() {
    let house = unfitting().await;
    let last = house.show_json("INV-5")["gateway_key"].as_str().unwrap().to_owned();
    let asked = house.gateway.polls(&last);
    let runs = || house.ledger().query_row("SELECT count(*) FROM run", [], |row| row.get::<_, i64>(0)).unwrap();
    let before = runs();
    let said = house.reconcile(&["--dry-run"]);
    let mut would: Vec<&str> =
        said["would_open"].as_array().unwrap().iter().map(|one| one["class"].as_str().unwrap()).collect();
    would.sort_unstable();
    assert_eq!(would, ["currency-mismatch", "overpaid", "underpaid", "unknown-reference"]);
    assert_eq!((house.open_findings().len(), house.gateway.polls(&last), runs()), (0, asked, before));
    assert!(house.done(&["reconcile", "--dry-run"]).contains("INV-5"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_daemon_the_command_asks_by_itself() {
    let mut house = House::start(Settings::usual()).await;
    let payment = house.begin("INV-7", "25.00");
    assert_eq!(house.gateway.move_to(&payment.guid, "Sent").await.unwrap().status(), Some(200));
    house.until_it_is(&payment.guid, "pending", "confirmed").await;
    house.stop().await;
    house.gateway.set_status(&payment.guid, "Disputed").unwrap();
    let ran = house.reconcile(&[]);
    assert_eq!((&ran["asked"]["payments"], &ran["asked"]["answered"]), (&1.into(), &1.into()), "{ran}");
    assert_eq!(house.open_findings(), ["reversed INV-7: paid / disputed"]);
    // And the lock of the daemon is free again.
    house.open().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_resolved_stays_resolved_and_stands_in_the_chain() {
    let house = unfitting().await;
    house.reconcile(&[]);
    let found = house.discrepancies(&["--class", "underpaid"]).remove(0);
    let id = found["id"].to_string();
    let refused = house.run(&["discrepancies", "resolve", &id, "--reason", " "]);
    assert_eq!(refused.status.code(), Some(64));
    house.done(&["discrepancies", "resolve", &id, "--reason", "paid the rest in cash", "--actor", "tendai"]);
    let twice = house.run(&["discrepancies", "resolve", &id, "--reason", "again", "--actor", "tendai"]);
    assert_eq!(twice.status.code(), Some(1));
    let other = house.discrepancies(&["--class", "currency-mismatch"]).remove(0)["id"].to_string();
    house.done(&["discrepancies", "resolve", &other, "--reason", "agreed with the customer"]);
    let by = house.discrepancies(&["--all", "--class", "currency-mismatch"]).remove(0)["actor"].clone();
    assert!(by.as_str().unwrap().starts_with("uid "), "no name is in the environment: {by}");

    house.reconcile(&[]);
    assert_eq!(house.open_findings().len(), 2, "they are not opened again");
    let shown: Value = serde_json::from_str(&house.done(&["discrepancies", "show", &id, "--json"])).unwrap();
    assert_eq!((&shown["actor"], &shown["resolution"]), (&"tendai".into(), &"paid the rest in cash".into()));
    assert_eq!(shown["state"], "resolved");
    let story = house.show_json(found["gateway_key"].as_str().unwrap());
    let event = story["events"].as_array().unwrap().last().unwrap();
    assert_eq!((&event["channel"], &event["decision"]["actor"]), (&"operator".into(), &"tendai".into()));
    assert_eq!(story["discrepancies"][0]["resolution"], "paid the rest in cash");
    house.done(&["ledger", "verify"]);
    house.done(&["ledger", "rebuild", "--check"]);

    let ledger = house.ledger();
    ledger.execute_batch("DROP TRIGGER event_is_never_changed").unwrap();
    let change = "UPDATE event SET body = CAST(replace(CAST(body AS TEXT), 'tendai', 'nobody') AS BLOB) \
                  WHERE channel = 'operator' AND CAST(body AS TEXT) LIKE '%tendai%'";
    assert_eq!(ledger.execute(change, []).unwrap(), 1);
    let verified = house.run(&["ledger", "verify"]);
    assert_eq!(verified.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&verified.stdout).contains(&format!("chain: event {}", event["id"])));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_reconciliation_at_a_time() {
    let house = unfitting().await;
    let lock = File::options().create(true).append(true).open(house.path("paynowd.db.reconcile.lock")).unwrap();
    lock.lock().unwrap();
    let busy = house.run(&["reconcile"]);
    assert_eq!(busy.status.code(), Some(69));
    assert!(String::from_utf8_lossy(&busy.stderr).contains("another reconciliation"));
    assert_eq!(house.open_findings().len(), 0);
    drop(lock);
    house.reconcile(&[]);
    assert_eq!(house.open_findings(), UNFITTING);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_integration_and_only_days_that_have_begun() {
    let house = unfitting().await;
    house.reconcile(&["--integration", "button"]);
    let said = house.done(&["reconcile", "--integration", "button"]);
    assert!(said.ends_with("nobody is written to: only one integration was looked at\n"), "{said}");
    assert_eq!(house.open_findings().len(), 0);
    house.reconcile(&["--integration", "shop"]);
    assert_eq!(house.open_findings(), UNFITTING);
    for wrong in [["--integration", "nobody"], ["--date", "2999-01-01"], ["--date", "yesterday"]] {
        assert_eq!(house.run(&["reconcile", wrong[0], wrong[1]]).status.code(), Some(64), "{wrong:?}");
    }
    let ran = house.reconcile(&["--date", "2026-03-12"]);
    assert_eq!((&ran["first_day"], &ran["last_day"]), (&"2026-03-12".into(), &"2026-03-12".into()));
    let said = house.done(&["reconcile", "--date", "2026-03-12"]);
    assert!(said.ends_with("nobody is written to: 12 Mar 2026 was reported before\n"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_out_of_turn_is_reported_once_and_takes_no_nightly_reports_turn() {
    let house = unfitting().await;
    let before = house.letters().len();
    let today = chrono::Utc::now().with_timezone(&chrono_tz::Africa::Harare).date_naive();
    for _ in 0..2 {
        house.reconcile(&["--date", &today.to_string()]);
        house.reconcile(&[]);
    }
    let letters = house.until_letters(before + 2).await;
    let mut subjects: Vec<_> = letters.iter().map(|letter| letter.subject().to_owned()).collect();
    subjects.retain(|subject| subject.starts_with("Paynow "));
    subjects.sort();
    let day = |day: chrono::NaiveDate| day.format("Paynow %-d %b: ").to_string();
    let mut days = [day(today), day(today.pred_opt().unwrap())];
    days.sort();
    assert_eq!(subjects.len(), 2, "{subjects:?}");
    assert!(subjects.iter().zip(&days).all(|(subject, day)| subject.starts_with(day)), "{subjects:?}");
    let so_far = letters.iter().filter(|letter| letter.text.contains(", so far")).count();
    assert_eq!(so_far, 1, "only today has not ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nightly_run_finds_the_same() {
    let mut house = unfitting().await;
    house.stop().await;
    let text = std::fs::read_to_string(house.path("daemon.toml")).unwrap();
    house.write("daemon.toml", &format!("{text}\n[reconcile]\nschedule = \"* * * * * *\"\n"));
    house.open().await;
    let found = house.wait(|| Some(house.open_findings()).filter(|found| found.len() == 4)).await;
    assert_eq!(found.unwrap_or_else(|| panic!("{}", house.log())), UNFITTING);
}

#[tokio::test(flavor = "multi_thread")]
async fn posts_that_cannot_be_proven_and_posts_that_do_not_come_are_told_of_the_integration() {
    let house = House::start(Settings::usual()).await;
    let payment = house.begin("INV-8", "25.00");
    let forged = PostSpec::status("Paid").signed(Signature::Wrong);
    assert_eq!(house.post(&payment, &forged).await, 403);
    for reference in ["INV-1", "INV-2", "INV-3"] {
        let payment = house.begin(reference, "25.00");
        assert_eq!(house.gateway.move_to(&payment.guid, "Sent").await.unwrap().status(), Some(200));
        house.gateway.set_status(&payment.guid, "Paid").unwrap();
        house.until_it_is(&payment.guid, "paid", "confirmed").await;
    }
    house.reconcile(&[]);
    let found = house.open_findings();
    assert_eq!(found.len(), 2, "{found:#?}");
    assert_eq!(found[0], "callback-silence -: posts that tell of changes / payments change, and only asking tells");
    assert!(found[1].starts_with("refused-posts -: posts that can be proven / from 127.0.0.1: "), "{found:#?}");
    house.confirmed("INV-4", "25.00").await;
    house.reconcile(&[]);
    assert_eq!(house.open_findings().len(), 1, "a post came through");
}
