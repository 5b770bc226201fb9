//! `paynowd simulate`: a gateway's twin, for people and for the official SDKs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use super::exit::Exit;
use super::{Ended, block_on, output};
use crate::config::LogConfig;
use crate::daemon::telemetry;
use crate::protocol::{Key, Protocol};
use crate::simulator::{Misbehaviour, Mischief, Simulator, SimulatorSettings, poland};

/// The id and key that Paynow's documentation prints: known to everyone, good for nothing but this.
const DOCUMENTED: (&str, &str) = ("1201", "3e9fed89-60e1-4ce5-ab6e-6b1eb2d4f977");

/// The Api-Key and the Signature-Key that Paynow Poland's documentation prints: as good for nothing.
const DOCUMENTED_IN_POLAND: (&str, &str) =
    ("97a55694-5478-43b5-b406-fb49ebfdd2b5", "b305b996-bca5-4404-a0b7-2ccea3d2b64b");

/// Which twin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    Zimbabwe,
    Poland,
}

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Whose twin: Paynow Zimbabwe's or Paynow Poland's.
    #[arg(long, value_enum, default_value_t = Which::Zimbabwe)]
    gateway: Which,
    /// Where to listen: loopback only.
    #[arg(long, default_value = "127.0.0.1:8089")]
    listen: SocketAddr,
    /// The integration id of the merchant (Zimbabwe).
    #[arg(long, default_value = DOCUMENTED.0)]
    id: String,
    /// A file with the integration key, in Poland the Signature-Key; the key of Paynow's documentation otherwise.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// A file with the Api-Key (Poland); that of Paynow's documentation otherwise.
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// A file with the key of the button template; the integration key otherwise (Zimbabwe).
    #[arg(long, value_name = "FILE")]
    button_key_file: Option<PathBuf>,
    /// Where status updates or notifications go for payments that do not say: your paynowd's /paynow/NAME.
    #[arg(long, value_name = "URL")]
    result_url: Option<String>,
    /// How many times faster than life test numbers and BLIK codes act.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    time_factor: u32,
    /// Pay every web payment by itself after so many seconds (Zimbabwe).
    #[arg(long, value_name = "SECONDS")]
    auto_pay: Option<u64>,
    /// Send the optional fields, too (Zimbabwe).
    #[arg(long)]
    extras: bool,
    /// Misbehave (repeatable): duplicate, delay, reorder, wrong-key, recut, recut-reference, silence, error-then-ok,
    /// html, hang, retry-after, lie, redirect, unsigned-error.
    #[arg(long, value_name = "HOW", value_parser = misbehaviour)]
    misbehave: Vec<Misbehaviour>,
}

pub(super) fn run(wanted: &Arguments) -> Ended {
    match wanted.gateway {
        Which::Zimbabwe => zimbabwe(wanted),
        Which::Poland => in_poland(wanted),
    }
}

/// Runs Zimbabwe's twin to its end.
fn zimbabwe(wanted: &Arguments) -> Ended {
    let key = read_key(wanted.key_file.as_ref(), Protocol::Zimbabwe, DOCUMENTED.1)?;
    let button_key = match &wanted.button_key_file {
        Some(_) => read_key(wanted.button_key_file.as_ref(), Protocol::ZimbabweButton, DOCUMENTED.1)?,
        None => key.clone(),
    };
    telemetry::start(&LogConfig::default());
    let settings = SimulatorSettings {
        listen: wanted.listen,
        result_url: wanted.result_url.clone(),
        time_factor: wanted.time_factor,
        auto_pay: wanted.auto_pay.map(Duration::from_secs),
        extras: wanted.extras,
        button_key,
        ..SimulatorSettings::new(&wanted.id, key)
    };
    block_on(simulate(settings, &wanted.misbehave))
}

/// Runs Poland's twin to its end.
fn in_poland(wanted: &Arguments) -> Ended {
    let key = read_key(wanted.key_file.as_ref(), Protocol::Poland, DOCUMENTED_IN_POLAND.1)?;
    let api_key = match &wanted.api_key_file {
        Some(file) => read(file)?.trim().to_owned(),
        None => DOCUMENTED_IN_POLAND.0.to_owned(),
    };
    telemetry::start(&LogConfig::default());
    let settings = poland::SimulatorSettings {
        listen: wanted.listen,
        notification_url: wanted.result_url.clone(),
        time_factor: wanted.time_factor,
        ..poland::SimulatorSettings::new(&api_key, key)
    };
    block_on(simulate_poland(settings, &wanted.misbehave))
}

async fn simulate_poland(settings: poland::SimulatorSettings, misbehave: &[Misbehaviour]) -> Exit {
    let simulator = match poland::Simulator::start(settings).await {
        Ok(simulator) => simulator,
        Err(error) => return unavailable(&error),
    };
    for how in misbehave {
        simulator.misbehave(Mischief::always(*how));
    }
    let pages = [("create", "/v3/payments"), ("status", "/v3/payments/PAYMENTID/status"), ("control", "/")];
    let exit = stay("Paynow Poland", simulator.origin(), &pages).await;
    simulator.stop().await;
    exit
}

fn unavailable(error: &dyn std::error::Error) -> Exit {
    output::complain_of(error);
    Exit::Unavailable
}

async fn simulate(settings: SimulatorSettings, misbehave: &[Misbehaviour]) -> Exit {
    let simulator = match Simulator::start(settings).await {
        Ok(simulator) => simulator,
        Err(error) => return unavailable(&error),
    };
    for how in misbehave {
        simulator.misbehave(Mischief::always(*how));
    }
    let pages = [
        ("initiate", "/interface/initiatetransaction"),
        ("express", "/interface/remotetransaction"),
        ("trace", "/interface/trace"),
        ("control", "/"),
    ];
    let exit = stay("Paynow Zimbabwe", simulator.origin(), &pages).await;
    simulator.stop().await;
    exit
}

/// Says where a twin listens and waits until it is asked to stop.
async fn stay(whose: &str, origin: &str, pages: &[(&str, &str)]) -> Exit {
    // Before anybody learns that it runs, so that nobody can ask too early.
    let stop_asked = match stop_asked() {
        Ok(stop_asked) => stop_asked,
        Err(error) => return unavailable(&error),
    };
    output::line(format!("{whose}'s twin listens on {origin}"));
    for (what, page) in pages {
        output::line(format!("  {what:<9}  {origin}{page}"));
    }
    output::line("Point an integration's gateway here, and a shop's SDK, too. Ctrl-C ends it.");
    stop_asked.await;
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

/// The key in `file`, or the documented one.
fn read_key(file: Option<&PathBuf>, protocol: Protocol, documented: &str) -> Result<Key, Exit> {
    let Some(file) = file else { return Ok(Key::opaque(documented)) };
    protocol.key(&read(file)?).map_err(|error| {
        output::complain(&format!("{}: {error}", file.display()));
        Exit::Configuration
    })
}

fn read(file: &PathBuf) -> Result<String, Exit> {
    std::fs::read_to_string(file).map_err(|error| {
        output::complain(&format!("{}: {error}", file.display()));
        Exit::Unavailable
    })
}

fn misbehaviour(text: &str) -> Result<Misbehaviour, String> {
    let choices = || Misbehaviour::ALL.map(Misbehaviour::code).join(", ");
    Misbehaviour::from_code(text).ok_or_else(|| format!("not a misbehaviour; one of {}", choices()))
}
