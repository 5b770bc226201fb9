//! Power cuts and polite requests to leave, in the middle of a crowd.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use paynowd::simulator::SimulatedPayment;
use tokio::task::JoinHandle;

use crate::house::http::{FORM, Line, request};
use crate::house::{DEADLINE, House, Settings};

/// How many connections a crowd has.
const LINES: usize = 16;

/// Posts that are on their way, and how many have been answered 200.
struct Burst {
    tasks: Vec<JoinHandle<Vec<String>>>,
    seen: Arc<AtomicUsize>,
}

impl Burst {
    /// Posts about each payment once, over many connections, until done or cut off.
    fn begin(house: &House, payments: &[SimulatedPayment]) -> Self {
        let (address, seen) = (house.public, Arc::<AtomicUsize>::default());
        let share = |nth: usize| -> Vec<(String, Vec<u8>)> {
            let request = |payment: &SimulatedPayment| {
                let body = house.gateway.status_update_body(&payment.guid, "Sent").unwrap();
                (payment.guid.clone(), request("POST", "/paynow/shop", &[FORM], body.as_bytes()))
            };
            payments.iter().skip(nth).step_by(LINES).map(request).collect()
        };
        let tasks = (0..LINES).map(|nth| tokio::spawn(post_all(address, share(nth), Arc::clone(&seen)))).collect();
        Self { tasks, seen }
    }

    /// Waits until so many have been answered 200.
    async fn until_seen(&self, count: usize) {
        let until = Instant::now() + DEADLINE;
        while self.seen.load(Ordering::SeqCst) < count {
            assert!(Instant::now() < until, "only {:?} of {count} posts were answered 200", self.seen);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Whose posts were answered 200, once every connection is done or cut off.
    async fn acknowledged(self) -> Vec<String> {
        let mut all = Vec::new();
        for task in self.tasks {
            all.extend(task.await.unwrap());
        }
        all
    }
}

async fn post_all(address: std::net::SocketAddr, share: Vec<(String, Vec<u8>)>, seen: Arc<AtomicUsize>) -> Vec<String> {
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
    }
    acknowledged
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

#[tokio::test(flavor = "multi_thread")]
async fn killed_under_a_burst_the_daemon_has_everything_it_acknowledged() {
    let mut house = House::start(quiet()).await;
    let mut acknowledged = Vec::new();
    for kill_after in [20, 90, 160] {
        let payments: Vec<_> = (0..200).map(|number| house.begin(&format!("INV-{number}"), "1.00")).collect();
        let burst = Burst::begin(&house, &payments);
        burst.until_seen(kill_after).await;
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
    let burst = Burst::begin(&house, &payments);
    burst.until_seen(60).await;
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
