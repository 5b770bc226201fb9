//! How much room the daemon takes while nothing happens.

use std::fs;

use crate::house::{House, Settings};

/// How much resident memory an idle daemon may have, in KiB.
const IDLE: u64 = 20 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn idle_the_daemon_is_smaller_than_20_mb() {
    let house = House::start(Settings::usual()).await;
    let payment = house.pay("INV-32", "25.00").await;
    house.until_it_is(&payment.guid, "paid", "confirmed").await;
    house.until_letters(1).await;
    let resident = resident(house.pid());
    eprintln!("idle: {resident} KiB resident");
    if cfg!(debug_assertions) && resident > IDLE {
        eprintln!("SKIPPED: an unoptimised build may be larger; run with --release");
        return;
    }
    assert!(resident <= IDLE, "{resident} KiB");
}

fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
