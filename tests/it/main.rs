//! The test house: the built binary, a real SQLite file, the simulator as gateway, a real SMTP conversation, and
//! systemd's notify socket played by the harness. Nothing sleeps for a fixed time; every wait has a condition and a
//! deadline. The names of the tests are the specification.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a test that cannot go on says where and stops"
)]

mod house;
mod shim;

mod admin;
mod announce;
mod bounds;
mod burst;
mod check;
mod clock;
mod commands;
mod door;
mod durability;
mod expect;
mod explain;
mod export;
mod faults;
mod footprint;
mod gateways;
mod hostile;
mod integrity;
mod kills;
mod mail;
mod metrics;
mod poland;
mod poller;
mod power_loss;
mod quarantine;
mod reconcile;
mod recut;
mod reload;
mod report;
mod sdk;
mod secrets;
mod settlement;
mod simulate;
mod trust;
