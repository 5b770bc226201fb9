//! Many connections that post at once, and what each of them was told.

use std::io;
use std::net::SocketAddr;

use paynowd::simulator::SimulatedPayment;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::http::{FORM, Line, request};
use super::{DEADLINE, House};

/// How many connections a crowd has.
const LINES: usize = 16;

/// Posts that are on their way, and how many have been answered 200.
pub struct Crowd {
    tasks: Vec<JoinHandle<Told>>,
    seen: watch::Receiver<usize>,
}

/// What a crowd was told.
#[derive(Default)]
pub struct Told {
    /// The GUIDs of payments whose posts were answered 200.
    pub acknowledged: Vec<String>,
    /// How many answers began and did not end.
    pub cut_off: usize,
}

impl Crowd {
    /// Posts the gateway's present word about each payment once, over many connections, until done or cut off.
    pub fn begin(house: &House, payments: &[SimulatedPayment], word: &str) -> Self {
        let (address, (count, seen)) = (house.public, watch::channel(0));
        let share = |nth: usize| -> Vec<(String, Vec<u8>)> {
            let request = |payment: &SimulatedPayment| {
                let body = house.gateway.status_update_body(&payment.guid, word).unwrap();
                (payment.guid.clone(), request("POST", "/paynow/shop", &[FORM], body.as_bytes()))
            };
            payments.iter().skip(nth).step_by(LINES).map(request).collect()
        };
        let tasks = (0..LINES).map(|nth| tokio::spawn(post_all(address, share(nth), count.clone()))).collect();
        Self { tasks, seen }
    }

    /// Waits until so many have been answered 200.
    pub async fn until_seen(&self, count: usize) {
        let mut seen = self.seen.clone();
        let reached = timeout(DEADLINE, seen.wait_for(|seen| *seen >= count)).await.is_ok_and(|seen| seen.is_ok());
        assert!(reached, "only {} of {count} posts were answered 200", *self.seen.borrow());
    }

    /// What they were told, once every connection is done or cut off.
    pub async fn told(self) -> Told {
        let mut all = Told::default();
        for task in self.tasks {
            let told = task.await.unwrap();
            all.acknowledged.extend(told.acknowledged);
            all.cut_off += told.cut_off;
        }
        all
    }
}

async fn post_all(address: SocketAddr, share: Vec<(String, Vec<u8>)>, seen: watch::Sender<usize>) -> Told {
    let mut told = Told::default();
    let Ok(mut line) = Line::open(address).await else { return told };
    for (guid, bytes) in share {
        match line.ask(&bytes).await {
            Ok(answer) if answer.status == 200 => {
                told.acknowledged.push(guid);
                seen.send_modify(|seen| *seen += 1);
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                told.cut_off += 1;
                break;
            }
            _ => break,
        }
    }
    told
}

/// Everything that was acknowledged is in the ledger.
pub fn assert_all_in(house: &House, acknowledged: &[String]) {
    let stored = house.payments_json(&[]);
    let stored: std::collections::HashSet<_> = stored.iter().filter_map(|row| row["gateway_key"].as_str()).collect();
    let lost: Vec<_> = acknowledged.iter().filter(|guid| !stored.contains(guid.as_str())).collect();
    assert!(lost.is_empty(), "{} of {} were acknowledged and are lost: {lost:?}", lost.len(), acknowledged.len());
}
