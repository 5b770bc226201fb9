//! What is left after the power went out at the worst moment, and after a polite request to leave.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use paynowd::simulator::{Misbehaviour, Mischief, SimulatedPayment};
use serde_json::Value;

use crate::house::http::{FORM, Line, ask, post, request};
use crate::house::letters::assert_same;
use crate::house::post_office::{PostOffice, Protection, Verdict};
use crate::house::{DEADLINE, House, Settings};

/// The outcome of a paid flow, however often it was interrupted.
async fn assert_paid_and_told_once(house: &House, payment: &SimulatedPayment) {
    let sent = |story: &Value| story["letters"].as_array().unwrap().iter().all(|letter| letter["state"] == "sent");
    let settled = |story: &Value| story["trust"] == "confirmed" && story["status"] == "paid" && sent(story);
    let story = house.until(&payment.guid, settled).await;
    assert_eq!(story["letters"].as_array().unwrap().len(), 2, "{story:#}");
    let outcomes: Vec<_> = story["events"].as_array().unwrap().iter().map(|event| &event["outcome"]).collect();
    assert_eq!(outcomes, ["opened", "confirmed"]);
    let letters = house.letters();
    let mut to: Vec<_> = letters.iter().map(|letter| (letter.to(), letter.subject())).collect();
    to.sort_unstable();
    let subject = "Paid: USD 25.00, INV-32";
    assert_eq!(to, [("books@shop.example", subject), ("owner@shop.example", subject)]);
}

fn two_recipients() -> Settings {
    Settings::usual().set("integrations.shop.notify", ["owner@shop.example", "books@shop.example"])
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_right_after_its_answer_the_daemon_still_confirms_and_tells() {
    let mut house = House::start(two_recipients()).await;
    let payment = house.pay("INV-32", "25.00").await;
    house.restart().await;
    assert_paid_and_told_once(&house, &payment).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_the_gateway_thinks_the_daemon_asks_again() {
    let mut house = House::start(two_recipients()).await;
    house.gateway.misbehave(Mischief::next(1, Misbehaviour::Hang).waiting(DEADLINE));
    let payment = house.pay("INV-32", "25.00").await;
    house.gateway.wait_for_polls(&payment.guid, 1, DEADLINE).await.unwrap();
    house.restart().await;
    assert_paid_and_told_once(&house, &payment).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_right_after_confirming_the_daemon_still_tells() {
    let mut house = House::start(two_recipients()).await;
    let payment = house.pay("INV-32", "25.00").await;
    house.until_it_is(&payment.guid, "paid", "confirmed").await;
    house.restart().await;
    assert_paid_and_told_once(&house, &payment).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_over_and_over_the_daemon_ends_where_it_would_have_ended() {
    let mut house = House::start(two_recipients()).await;
    let payment = house.pay("INV-32", "25.00").await;
    let settled = |house: &House| house.letters().len() == 2;
    for _ in 0..20 {
        house.restart().await;
        if settled(&house) {
            break;
        }
    }
    assert_paid_and_told_once(&house, &payment).await;
    house.restart().await;
    assert_paid_and_told_once(&house, &payment).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_a_letter_and_its_receipt_the_daemon_repeats_it_under_the_same_name() {
    let office = PostOffice::open(Protection::Plain, &[Verdict::FallSilent]).await;
    let mut house = House::start(Settings::usual().smtp(office.port, "none")).await;
    house.pay("INV-32", "25.00").await;
    office.until_letters(1).await;
    house.restart().await;
    let letters = office.until_letters(2).await;
    assert_same(&letters[0].2, &letters[1].2);
}

/// Posts every body once over `lines` connections, until told to stop or cut off. Returns whose were answered 200.
async fn burst(house: &House, payments: &[SimulatedPayment], lines: usize, seen: &Arc<AtomicUsize>) -> Burst {
    let mut shares: Vec<Vec<(String, Vec<u8>)>> = vec![Vec::new(); lines];
    for (at, payment) in payments.iter().enumerate() {
        let body = house.gateway.status_update_body(&payment.guid, "Sent").unwrap();
        shares[at % lines].push((payment.guid.clone(), request("POST", "/paynow/shop", &[FORM], body.as_bytes())));
    }
    let (address, stop) = (house.public, Arc::new(AtomicBool::new(false)));
    let tasks = shares.into_iter().map(|share| {
        let (seen, stop) = (Arc::clone(seen), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            let Ok(mut line) = Line::open(address).await else { return acknowledged };
            for (guid, bytes) in share {
                match line.ask(&bytes).await {
                    Ok(answer) if answer.status == 200 => {
                        acknowledged.push(guid);
                        seen.fetch_add(1, Ordering::SeqCst);
                    }
                    _ => break,
                }
                if stop.load(Ordering::SeqCst) {
                    break;
                }
            }
            acknowledged
        })
    });
    Burst { tasks: tasks.collect() }
}

struct Burst {
    tasks: Vec<tokio::task::JoinHandle<Vec<String>>>,
}

impl Burst {
    async fn acknowledged(self) -> Vec<String> {
        let mut all = Vec::new();
        for task in self.tasks {
            all.extend(task.await.unwrap());
        }
        all
    }
}

/// A house in which nothing but posts happens, so that a burst is a burst.
fn quiet() -> Settings {
    Settings::usual().set("poll.pending", ["1h x10"]).set("poll.confirm", ["1h"])
}

fn assert_all_in(house: &House, acknowledged: &[String]) {
    let stored = house.payments_json(&[]);
    for guid in acknowledged {
        assert!(stored.iter().any(|payment| payment["gateway_key"] == **guid), "{guid} was acknowledged and is lost");
    }
}

async fn until_seen(seen: &AtomicUsize, count: usize) {
    let until = Instant::now() + DEADLINE;
    while seen.load(Ordering::SeqCst) < count {
        assert!(Instant::now() < until, "only {} of {count} posts were answered 200", seen.load(Ordering::SeqCst));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_under_a_burst_the_daemon_has_everything_it_acknowledged() {
    let mut house = House::start(quiet()).await;
    let mut acknowledged = Vec::new();
    for kill_after in [20, 90, 160] {
        let payments: Vec<_> = (0..200).map(|number| house.begin(&format!("INV-{number}"), "1.00")).collect();
        let seen = Arc::default();
        let burst = burst(&house, &payments, 16, &seen).await;
        until_seen(&seen, kill_after).await;
        house.kill();
        let round = burst.acknowledged().await;
        assert!(round.len() >= kill_after);
        acknowledged.extend(round);
        house.open().await;
        assert_all_in(&house, &acknowledged);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_under_load_the_daemon_loses_nothing_and_ends_well() {
    let mut house = House::start(quiet()).await;
    let payments: Vec<_> = (0..400).map(|number| house.begin(&format!("INV-{number}"), "1.00")).collect();
    let seen = Arc::default();
    let burst = burst(&house, &payments, 16, &seen).await;
    until_seen(&seen, 60).await;
    house.stop().await;
    assert!(!house.path("paynowd.db-wal").exists(), "the write-ahead log is folded into the ledger");
    let acknowledged = burst.acknowledged().await;
    assert!(acknowledged.len() >= 60);
    assert_all_in(&house, &acknowledged);
    assert!(house.log().contains("stopped"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_on_its_way_is_answered_before_the_daemon_leaves() {
    let mut house = House::start(quiet()).await;
    let payment = house.begin("INV-32", "25.00");
    let body = house.gateway.status_update_body(&payment.guid, "Sent").unwrap();
    let whole = request("POST", "/paynow/shop", &[FORM], body.as_bytes());
    let mut line = Line::open(house.public).await.unwrap();
    line.say(&whole[..whole.len() - 1]).await.unwrap();
    house.signal(rustix::process::Signal::TERM);
    house.hear("STOPPING=1").await;
    assert_eq!(line.ask(&whole[whole.len() - 1..]).await.unwrap().status, 200);
    assert_eq!(house.ended().await.code(), Some(0));
    assert_eq!(house.show_json(&payment.guid)["status"], "pending");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_somebody_holds_the_ledger_posts_are_answered_503_and_afterwards_200() {
    let house = House::start(Settings::usual()).await;
    let (early, late) = (house.begin("INV-1", "1.00"), house.begin("INV-2", "2.00"));
    let body = |payment: &SimulatedPayment| house.gateway.status_update_body(&payment.guid, "Paid").unwrap();
    for payment in [&early, &late] {
        house.gateway.set_status(&payment.guid, "Paid").unwrap();
    }
    let holder = house.ledger();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answer = post(house.public, "/paynow/shop", body(&early)).await;
    assert_eq!((answer.status, answer.body.as_str(), answer.header("retry-after")), (503, "", Some("5")));
    assert_eq!(ask(house.admin, "GET", "/healthz", &[], b"").await.status, 200, "alive");
    assert_eq!(ask(house.admin, "GET", "/readyz", &[], b"").await.status, 503, "and not ready");
    assert!(house.payments_json(&[]).is_empty(), "readers are not kept waiting");
    holder.execute_batch("ROLLBACK").unwrap();
    for payment in [&early, &late] {
        assert_eq!(post(house.public, "/paynow/shop", body(payment)).await.status, 200);
        house.until_it_is(&payment.guid, "paid", "confirmed").await;
    }
    assert_eq!(ask(house.admin, "GET", "/readyz", &[], b"").await.status, 200);
    house.until_letters(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_leaves_the_ledger_to_the_first() {
    let house = House::start(Settings::usual()).await;
    let second = house.run(&["serve"]);
    assert_eq!(second.status.code(), Some(69));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another paynowd serves this ledger"), "{second:?}");
    let payment = house.pay("INV-32", "25.00").await;
    house.until_it_is(&payment.guid, "paid", "confirmed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_of_a_newer_release_is_left_alone() {
    let mut house = House::start(Settings::usual()).await;
    house.pay("INV-32", "25.00").await;
    house.stop().await;
    house.ledger().pragma_update(None, "user_version", 99).unwrap();
    for command in [&["serve"][..], &["payments", "list"], &["check"]] {
        let refused = house.run(command);
        let said = String::from_utf8_lossy(&[refused.stderr, refused.stdout].concat()).into_owned();
        let wanted = if command == ["serve"] {
            78
        } else if command == ["check"] {
            1
        } else {
            69
        };
        assert_eq!(refused.status.code(), Some(wanted), "{command:?}: {said}");
        assert!(said.contains("the ledger has schema 99"), "{command:?}: {said}");
    }
}
