//! The official SDKs, unchanged but for their addresses, against the simulator, with the daemon as result URL.
//!
//! `PAYNOWD_TEST_PYTHON` names a Python that has the package `paynow`, `PAYNOWD_TEST_NODE_PATH` a `node_modules` that
//! has the package of that name. Without them, any python3 or node that knows the package will do; without that, the
//! test says loudly that it was skipped.

use std::process::Command;
use std::time::Duration;

use paynowd::protocol::Key;
use paynowd::simulator::{Simulator, SimulatorSettings};

use crate::house::{House, SHOP_KEY, Settings};

const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/sdk/shop.py");
const NODE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/sdk/shop.js");

fn python() -> Option<Command> {
    let python = std::env::var("PAYNOWD_TEST_PYTHON").unwrap_or_else(|_| "python3".into());
    let knows = Command::new(&python).args(["-c", "import paynow"]).output();
    knows.is_ok_and(|output| output.status.success()).then(|| {
        let mut command = Command::new(python);
        command.arg(PYTHON);
        command
    })
}

fn node() -> Option<Command> {
    let with_path = || {
        let mut command = Command::new("node");
        if let Ok(path) = std::env::var("PAYNOWD_TEST_NODE_PATH") {
            command.env("NODE_PATH", path);
        }
        command
    };
    let knows = with_path().args(["-e", "require('paynow')"]).output();
    knows.is_ok_and(|output| output.status.success()).then(|| {
        let mut command = with_path();
        command.arg(NODE);
        command
    })
}

/// Has the SDK's shop sell twice, and looks whether the daemon knows.
async fn sells(shop: Option<Command>, name: &str, references: [&str; 2]) {
    let Some(mut shop) = shop else {
        eprintln!("SKIPPED: no {name} with the package paynow; see tests/it/sdk.rs");
        return;
    };
    let gateway = Simulator::start(SimulatorSettings {
        time_factor: 50,
        auto_pay: Some(Duration::from_secs(10)),
        extras: true,
        ..SimulatorSettings::new("1201", Key::opaque(SHOP_KEY))
    })
    .await
    .unwrap();
    let house = House::start(Settings::usual().set("integrations.shop.gateway", gateway.origin())).await;
    let sold = shop.args([gateway.origin(), &house.url("shop"), SHOP_KEY]).output().unwrap();
    let printed = String::from_utf8_lossy(&sold.stdout).into_owned();
    assert!(sold.status.success(), "{printed}{}", String::from_utf8_lossy(&sold.stderr));
    let lines: Vec<_> = references.iter().map(|reference| format!("{reference} paid")).collect();
    assert_eq!(printed.lines().collect::<Vec<_>>(), lines);
    for reference in references {
        let story = house.until_it_is(reference, "paid", "confirmed").await;
        assert_eq!(story["amount"], "12.50");
    }
    assert_eq!(house.until_letters(2).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_python_sdk_sells_and_the_daemon_knows() {
    sells(python(), "python3", ["PY-WEB-1", "PY-EXPRESS-1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_node_sdk_sells_and_the_daemon_knows() {
    sells(node(), "node", ["JS-WEB-1", "JS-EXPRESS-1"]).await;
}
