//! Power cuts and polite requests to leave, in the middle of a crowd.

use crate::house::crowd::{Crowd, assert_all_in};
use crate::house::http::{FORM, Line, request};
use crate::house::{House, Settings};

/// A house in which nothing but posts happens, so that a burst is a burst.
fn quiet() -> Settings {
    Settings::usual().set("poll.pending", ["1h x10"]).set("poll.confirm", ["1h"])
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_under_a_burst_the_daemon_has_everything_it_acknowledged() {
    let mut house = House::start(quiet()).await;
    let mut acknowledged = Vec::new();
    for kill_after in [20, 90, 160] {
        let payments: Vec<_> = (0..200).map(|number| house.begin(&format!("INV-{number}"), "1.00")).collect();
        let crowd = Crowd::begin(&house, &payments, "Sent");
        crowd.until_seen(kill_after).await;
        house.kill();
        let round = crowd.told().await.acknowledged;
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
    let crowd = Crowd::begin(&house, &payments, "Sent");
    crowd.until_seen(60).await;
    house.stop().await;
    assert!(!house.path("paynowd.db-wal").exists(), "the write-ahead log is folded into the ledger");
    let acknowledged = crowd.told().await.acknowledged;
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
