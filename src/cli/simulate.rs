//! `paynowd simulate`: the gateway's twin, for people and for the official SDKs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::exit::Exit;
use super::{block_on, output};
use crate::config::LogConfig;
use crate::daemon::telemetry;
use crate::protocol::{Key, Protocol};
use crate::simulator::{Misbehaviour, Mischief, Simulator, SimulatorSettings};

/// The id and key that Paynow's documentation prints: known to everyone, good for nothing but this.
const DOCUMENTED: (&str, &str) = ("1201", "3e9fed89-60e1-4ce5-ab6e-6b1eb2d4f977");

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where to listen: loopback only.
    #[arg(long, default_value = "127.0.0.1:8089")]
    listen: SocketAddr,
    /// The integration id of the merchant.
    #[arg(long, default_value = DOCUMENTED.0)]
    id: String,
    /// A file with the integration key; the key of Paynow's documentation otherwise.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// A file with the key of the button template; the integration key otherwise.
    #[arg(long, value_name = "FILE")]
    button_key_file: Option<PathBuf>,
    /// Where status updates go for payments that do not say: your paynowd's /paynow/NAME.
    #[arg(long, value_name = "URL")]
    result_url: Option<String>,
    /// How many times faster than life the test numbers act.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    time_factor: u32,
    /// Pay every web payment by itself after so many seconds.
    #[arg(long, value_name = "SECONDS")]
    auto_pay: Option<u64>,
    /// Send the optional fields, too.
    #[arg(long)]
    extras: bool,
    /// Misbehave (repeatable): duplicate, delay, reorder, wrong-key, recut, recut-reference, silence, error-then-ok,
    /// html, hang, retry-after, lie, redirect, unsigned-error.
    #[arg(long, value_name = "HOW", value_parser = misbehaviour)]
    misbehave: Vec<Misbehaviour>,
}

pub(super) fn run(wanted: Arguments) -> Exit {
    let key = match wanted.key_file.as_ref().map_or_else(|| Ok(documented_key()), read_key) {
        Ok(key) => key,
        Err(exit) => return exit,
    };
    let button_key = match wanted.button_key_file.as_ref().map_or_else(|| Ok(key.clone()), read_key) {
        Ok(key) => key,
        Err(exit) => return exit,
    };
    telemetry::start(&LogConfig::default());
    let settings = SimulatorSettings {
        listen: wanted.listen,
        result_url: wanted.result_url,
        time_factor: wanted.time_factor,
        auto_pay: wanted.auto_pay.map(Duration::from_secs),
        extras: wanted.extras,
        button_key,
        ..SimulatorSettings::new(&wanted.id, key)
    };
    block_on(simulate(settings, wanted.misbehave)).unwrap_or_else(|exit| exit)
}

async fn simulate(settings: SimulatorSettings, misbehave: Vec<Misbehaviour>) -> Exit {
    let simulator = match Simulator::start(settings).await {
        Ok(simulator) => simulator,
        Err(error) => {
            output::complain_of(&error);
            return Exit::Unavailable;
        }
    };
    for how in misbehave {
        simulator.misbehave(Mischief::always(how));
    }
    // Before anybody learns that it runs, so that nobody can ask too early.
    let stop_asked = match stop_asked() {
        Ok(stop_asked) => stop_asked,
        Err(error) => {
            output::complain_of(&error);
            return Exit::Unavailable;
        }
    };
    let origin = simulator.origin();
    output::line(format!("Paynow Zimbabwe's twin listens on {origin}"));
    output::line(format!("  initiate   {origin}/interface/initiatetransaction"));
    output::line(format!("  express    {origin}/interface/remotetransaction"));
    output::line(format!("  trace      {origin}/interface/trace"));
    output::line(format!("  control    {origin}/"));
    output::line("Point an integration's gateway here, and a shop's SDK, too. Ctrl-C ends it.");
    stop_asked.await;
    simulator.stop().await;
    Exit::Done
}

/// Listens for Ctrl-C and SIGTERM from now on; the future ends when one of them comes.
pub(super) fn stop_asked() -> std::io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// The key of Paynow's documentation.
fn documented_key() -> Key {
    Key::opaque(DOCUMENTED.1)
}

fn read_key(file: &PathBuf) -> Result<Key, Exit> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        output::complain(&format!("{}: {error}", file.display()));
        Exit::Unavailable
    })?;
    Protocol::Zimbabwe.key(&text).map_err(|error| {
        output::complain(&format!("{}: {error}", file.display()));
        Exit::Configuration
    })
}

fn misbehaviour(text: &str) -> Result<Misbehaviour, String> {
    let choices = || Misbehaviour::ALL.map(Misbehaviour::code).join(", ");
    Misbehaviour::from_code(text).ok_or_else(|| format!("not a misbehaviour; one of {}", choices()))
}
